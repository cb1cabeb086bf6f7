"""Everything that is known of a frame before the network decides: spectrum, pitch, comb-filtered spectrum, features.

The state machine runs on any number of hops at a time: one for a live stream, a whole recording for training features.
"""

from typing import NamedTuple, Protocol

import numpy as np

from percepnet.params import BINS, HOP_SAMPLES, WINDOW_SAMPLES, SignalParams
from percepnet.reference import comb, pitch, stft, windows
from percepnet.reference.bands import bands_of, coherence
from percepnet.reference.drift import FUTURE_FRAMES, FUTURE_SAMPLES, DriftFree
from percepnet.reference.features import Features, silent_energy
from percepnet.reference.highpass import Highpass, undo_phase
from percepnet.reference.noise_shape import frames_ahead


class Frames(NamedTuple):
    """What `Analysis.push` finds in T hops. Row i belongs to the frame M before the i-th new hop, but for the energies
    in the features and the correlation, which belong to the newest one."""

    noisy: np.ndarray  # (T, channels, 481) spectrum
    comb: np.ndarray  # (T, channels, 481) spectrum after the comb filter
    unturned: np.ndarray  # (T, windows, channels, 481) spectra that are given out where nothing is decided, with phases
    combs: np.ndarray  # (T, windows, channels, 481) their spectra after the comb filter, as the network hears them
    features: np.ndarray  # (T, features)
    periods_samples: np.ndarray  # (T,)
    correlations: np.ndarray  # (T,)
    tap_delays: np.ndarray  # (T, 11) samples
    tap_weights: np.ndarray  # (T, 11)


class FrontHalf(Protocol):
    """What every engine's analysis is."""

    def push(self, hops: np.ndarray, tap_delays: np.ndarray | None = None) -> Frames:
        """As of :class:`Analysis`."""


class Analysis:
    """The streaming front half of the signal path.

    Parameters
    ----------
    params : SignalParams
    channels : int
        They share one pitch and one set of features.
    gives_out : bool
        Whether the windows that are given out are found; without, there are none.
    one_window : bool
        Give out only that of the frame.

    Attributes
    ----------
    shifts : tuple of int
        By how many samples the windows that are given out lie behind the decided frame.
    coming : np.ndarray [shape=(frames_ahead + 1, channels, 481), complex64]
        The last frame that was found, and those behind it that the shape of the noise hears.
    """

    def __init__(
        self, params: SignalParams, channels: int = 1, *, gives_out: bool = True, one_window: bool = False
    ) -> None:
        self.params = params
        self.channels = channels
        self._gives_out = gives_out
        self._has_drift = bool(params.highpass_hz) and params.lookahead_frames >= FUTURE_FRAMES
        self.shifts = windows.AROUND if self._has_drift and not one_window else windows.ALONE
        self._bands = bands_of(params.band_edges)
        self._pitch = pitch.PitchTracker(params.lookahead_frames)
        self._coming = 1 + frames_ahead(params.lookahead_frames)
        self._future = params.lookahead_frames * HOP_SAMPLES
        # The first window of the next decided frame begins this far before the first new sample, less its first hop.
        begins = self._future + WINDOW_SAMPLES - HOP_SAMPLES + windows.SHIFT_SAMPLES
        self._history = comb.PAST_SAMPLES + comb.INTERPOLATOR_REACH + begins
        self._free_samples = max(begins - FUTURE_SAMPLES, 0)
        self.reset()

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._pitch.reset()
        self._highpass = Highpass(self.params.highpass_hz)
        self._has_ended = False
        self._drift_free = DriftFree(self.channels)
        self._free = np.zeros((self.channels, self._free_samples), dtype=np.float32)
        self._features = Features(self.params)
        self._x = np.zeros((self.channels, self._history), dtype=np.float32)
        self._fine = np.zeros(
            (self.channels, comb.PHASES * (self._history - comb.INTERPOLATOR_REACH)), dtype=np.float32
        )
        self._spectra = np.zeros((self.params.lookahead_frames, self.channels, BINS), dtype=np.complex64)
        self.coming = np.zeros((self._coming, self.channels, BINS), dtype=np.complex64)
        self._contour = np.full(comb.PAST_FRAMES, pitch.SILENT_PERIOD_SAMPLES, dtype=np.float64)

    def push(self, hops: np.ndarray, tap_delays: np.ndarray | None = None) -> Frames:
        """Take in the next hops.

        Parameters
        ----------
        hops : np.ndarray [shape=(channels, 480 * T), dtype=float32]
        tap_delays : np.ndarray [shape=(T, 11)], optional
            Taps of the comb filter found in another signal. This one's own pitch is then not looked for.

        Returns
        -------
        Frames
        """
        count = hops.shape[-1] // HOP_SAMPLES
        x = np.concatenate([self._x, self._highpass.push(hops)], axis=-1)
        fine_from = self._history - comb.INTERPOLATOR_REACH
        fresh = comb.upsample(x[:, fine_from - comb.INTERPOLATOR_REACH + 1 :])
        # Without look-ahead the centre tap needs the last samples too; what lies between them is never asked for.
        unripe = np.repeat(x[:, -comb.INTERPOLATOR_REACH :], comb.PHASES, axis=-1)
        fine = np.concatenate([self._fine, fresh, unripe], axis=-1)
        newest = stft.analysis(stft.frames(x[:, self._history - HOP_SAMPLES :]).swapaxes(0, 1))
        spectra = np.concatenate([self._spectra, newest])
        noisy = spectra[:count]

        if tap_delays is None:
            periods, correlations, tap_delays = self._track(x[:, self._history - pitch.HISTORY_SAMPLES :])
        else:
            periods, correlations = np.full(count, float(pitch.SILENT_PERIOD_SAMPLES)), np.zeros(count)
        starts = self._history - self._future - HOP_SAMPLES + HOP_SAMPLES * np.arange(count)
        filtered, weights = comb.comb_filter(fine, starts, tap_delays, self._future)
        combed = stft.analysis(filtered)
        unturned = self._unturned(hops, x, noisy, starts)
        combs = self._combs(fine, combed, starts, tap_delays)

        energy = self._bands.energy(noisy).sum(axis=1)
        combed_energy = self._bands.energy(combed).sum(axis=1)
        correlation = self._bands.correlation(noisy, combed).sum(axis=1)
        periodic = coherence(correlation, energy, combed_energy, silent_energy(self._bands))
        loudness = self._bands.energy(newest).mean(axis=1)
        bins = (newest.real**2 + newest.imag**2).mean(axis=1)
        inputs = self._features.push(loudness, bins, periodic, periods, correlations)

        self._x = x[:, -self._history :]
        self._fine = fine[:, -unripe.shape[-1] - comb.PHASES * fine_from : -unripe.shape[-1]]
        self._spectra = spectra[count:]
        self.coming = spectra[count - 1 : count - 1 + self._coming]
        return Frames(
            noisy, combed, unturned, combs, inputs, periods, correlations, tap_delays, weights
        )  # fmt: skip

    def end(self) -> None:
        """What comes from now on is nothing but what follows a recording, from which no drift can be told."""
        self._has_ended = True

    def newest(self, samples: int) -> np.ndarray:
        """What has been heard last, behind the high-pass.

        Parameters
        ----------
        samples : int
            At most what the comb filter looks back on.

        Returns
        -------
        np.ndarray [shape=(channels, samples), dtype=float32]
        """
        return self._x[:, -samples:]

    def _unturned(self, hops: np.ndarray, x: np.ndarray, noisy: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """The windows without their drift; with less of a future than that needs, with phases given back."""
        if not self._gives_out:
            return np.zeros((len(noisy), 0, *noisy.shape[1:]), np.complex64)
        undo = undo_phase(self.params.highpass_hz)
        if not self._has_drift:
            return np.asarray((noisy * undo)[:, None])
        if self._has_ended:
            return stft.analysis(windows.frames(x, starts, self.shifts)) * undo
        free, ahead = self._drift_free.push(hops)
        free = np.concatenate([self._free, free], axis=-1)
        self._free = free[:, hops.shape[-1] :]
        first = windows.SHIFT_SAMPLES + HOP_SAMPLES * np.arange(len(noisy))
        found = windows.frames(np.pad(free, ((0, 0), (0, windows.SHIFT_SAMPLES))), first, self.shifts)
        if self.params.lookahead_frames == FUTURE_FRAMES and max(self.shifts):
            found[:, -1, :, -windows.SHIFT_SAMPLES :] = ahead.swapaxes(0, 1)
        return stft.analysis(found)

    def _combs(self, fine: np.ndarray, combed: np.ndarray, starts: np.ndarray, tap_delays: np.ndarray) -> np.ndarray:
        """The windows after the comb filter, by the taps of their frame, of which the late one has less of a future."""
        if not self._gives_out:
            return np.zeros((len(combed), 0, *combed.shape[1:]), np.complex64)
        found = [
            combed
            if shift == 0
            else stft.analysis(comb.comb_filter(fine, starts + shift, tap_delays, self._future - max(shift, 0))[0])
            for shift in self.shifts
        ]
        return np.stack(found, axis=1)

    def _track(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        periods, correlations, delays = [], [], []
        for peaks, candidates in zip(*pitch.cells(pitch.correlation(x)), strict=True):
            path, correlation = self._pitch.step(peaks, candidates)
            delays.append(comb.tap_delays(np.concatenate([self._contour, path]), comb.PAST_FRAMES))
            self._contour = np.append(self._contour[1:], path[0])
            periods.append(path[0])
            correlations.append(correlation)
        return np.array(periods), np.array(correlations), np.array(delays)
