"""The rest of an echo is taken out bin by bin: it lies where the echo lies that was taken away.

A voice has harmonics, and between those of the far end there is hardly any echo. A gain for all of a band takes from
the talker there, and leaves more than is needed on the harmonics. So the rest of the echo, of which a network says how
much there is in a band, is spread over the bins of the band as the echo that was taken away is. Where next to nothing
was taken away, nothing is known of that, and the band's gain is that of its bins.

The look-ahead of two frames is there to be used: a window of 60 ms around the frame has bins of 16.7 Hz, between which
two voices are told apart whose harmonics share bins of 50 Hz. Of what the window gives, the frame is kept, and the
windows around it that are given out.
"""

from typing import NamedTuple

import numpy as np

from percepnet.arrays import Array, Samples
from percepnet.params import HOP_SAMPLES, WINDOW_SAMPLES
from percepnet.reference import stft
from percepnet.reference.bands import Bands
from percepnet.reference.echo_past import Past
from percepnet.reference.powers import powers, smoothed
from percepnet.reference.windows import ALONE, frames

FINE = 3  # bins of the long window in one of the frame's
LONG_SAMPLES = FINE * WINDOW_SAMPLES
LONG_HOPS = LONG_SAMPLES // HOP_SAMPLES
SHAPED_BINS = FINE * 160  # up to 8 kHz: above, voices hiss
LEFT_SMOOTHING = np.float32(0.5)  # of what is left, from frame to frame
ECHO_DECAY = np.float32(0.6)  # of an echo's power, in a frame: rooms go on for a while
UNKNOWN = np.float32(0.0003)  # of what is left in a band: an echo below that says nothing of where its rest lies
MORE = np.float32(1.9)  # of the rest than what is left less what is kept: phases differ
LEAST = np.float32(0.05)  # of the band's gain
MOST = np.float32(24.0)  # of its cube, more than the band's gain: where there is little but echo, hardly more
SILENT = np.float32(1e-12)  # energy
TAKEN_TWICE = np.float32(0.1)  # a gain below which no more of the enhancement's is given back

_LONG_WINDOW = (np.sin(np.pi * (np.arange(LONG_SAMPLES) + 0.5) / LONG_SAMPLES) ** 2).astype(np.float32)
_FRAME_START = np.array([(LONG_SAMPLES - WINDOW_SAMPLES) // 2])


class Rest(NamedTuple):
    """What is known of the rest of an echo when a hop has been heard."""

    gains: Array  # (bands,): how much of the frame that is decided is none
    echo: Samples  # (channels, 480): what was taken away from the hop


class WithoutRest(NamedTuple):
    """The frame that is decided, without the rest of the echo."""

    noisy: np.ndarray  # (channels, 481) spectrum
    windows: np.ndarray  # (windows, channels, 481) spectra of what is given out, phases not yet turned back
    gains: Array  # (481,): for another spectrum of the same frame
    of_bands: Array  # (bands,): what was taken out; 1 where no echo was taken away before


class EchoShape:
    """Takes the rest of an echo out of frames.

    Parameters
    ----------
    bands : Bands
    lookahead_frames : int
        By which decisions come later than the frame that they are for.
    channels : int
    shifts : tuple of int
        Of the windows that are given out.
    """

    def __init__(self, bands: Bands, lookahead_frames: int, channels: int, shifts: tuple[int, ...] = ALONE) -> None:
        self._bands = bands
        self._shifts = shifts
        later = lookahead_frames + 1 - LONG_HOPS // 2
        self._later = max(later, 0)  # hops between the end of the long window and the newest
        self._missing = max(-later, 0)  # hops of the long window that nobody has heard yet: silence
        self._channels = channels
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._left = np.zeros(SHAPED_BINS, np.float32)
        self._echo = np.zeros(SHAPED_BINS, np.float32)
        self._echoes = [Past(self._later + LONG_HOPS) for _ in range(self._channels)]

    @property
    def samples(self) -> int:
        """How many of the newest samples `push` looks at."""
        return (LONG_HOPS - self._missing + self._later) * HOP_SAMPLES

    def push(self, rest: Rest, heard: Samples) -> WithoutRest:
        """The next hop.

        Parameters
        ----------
        rest : Rest
        heard : np.ndarray [shape=(channels, samples)]
            The newest of what is left of each channel, as the analysis hears it.

        Returns
        -------
        WithoutRest
        """
        for past, hop in zip(self._echoes, rest.echo, strict=True):
            past.push(hop)
        known = LONG_HOPS - self._missing
        echo = np.stack([past.read(self._later, known) for past in self._echoes])
        left = self._long_spectra(heard[:, : known * HOP_SAMPLES])
        gains, of_bands = self._gains(rest.gains, powers(left), powers(self._long_spectra(echo)))
        # the long window is divided out; its ends, where it is nothing, are of no window
        kept = np.fft.irfft(left * gains, n=LONG_SAMPLES, axis=-1) / _LONG_WINDOW
        noisy, *given = stft.analysis(frames(kept, _FRAME_START, (0, *self._shifts)))[0].astype(np.complex64)
        of_frame = _around(gains) / np.float32(FINE)
        return WithoutRest(noisy, np.stack(given), of_frame.astype(np.float32), of_bands)

    def _long_spectra(self, x: Samples) -> np.ndarray:
        whole = np.concatenate([x, np.zeros((len(x), self._missing * HOP_SAMPLES), np.float32)], axis=1)
        return np.asarray(np.fft.rfft(whole * _LONG_WINDOW, axis=-1), np.complex64)

    def _gains(self, of_bands: Array, left: Array, echo: Array) -> tuple[Array, Array]:
        echo = smoothed(echo)
        echo[:SHAPED_BINS] = self._echo = np.maximum(echo[:SHAPED_BINS], ECHO_DECAY * self._echo)
        self._left += (1 - LEFT_SMOOTHING) * (smoothed(left)[:SHAPED_BINS] - self._left)
        of_left, of_echo = (self._bands.sums(_around(power)) for power in (left, echo))
        ratio = self._fine(of_left / (of_echo + UNKNOWN * of_left + SILENT))
        share = ratio[:SHAPED_BINS] * (MORE * echo[:SHAPED_BINS] / (self._left + SILENT) + UNKNOWN)
        gains = self._fine(of_bands)
        rest = self._fine(1 - of_bands * of_bands)[:SHAPED_BINS]
        flat = gains[:SHAPED_BINS]
        shaped = np.sqrt(np.maximum(1 - rest * share, 0))
        gains[:SHAPED_BINS] = np.clip(shaped, LEAST * flat, np.minimum(flat + MOST * flat * flat * flat, 1))
        return gains, np.where(of_echo > UNKNOWN * of_left, of_bands, np.float32(1))

    def _fine(self, of_bands: Array) -> Array:
        """Values of bands in the bins of the long window: in straight lines from bin to bin of the frame."""
        of_frame = np.asarray(self._bands.to_bins(of_bands), np.float32)
        steps = np.diff(of_frame)[:, None] * (np.arange(FINE, dtype=np.float32) / np.float32(FINE))
        return np.append(of_frame[:-1, None] + steps, of_frame[-1]).astype(np.float32)


def _around(fine: Array) -> Array:
    """Sums of the bins of the long window around each bin of the frame."""
    return np.asarray(np.pad(fine, FINE // 2, "reflect").reshape(-1, FINE).sum(axis=1), np.float32)


def beside_the_rest(taken: Array, gains: Array, strengths: Array) -> tuple[Array, Array]:
    """What the enhancement does where the rest of an echo is taken out before.

    It hears the echo, and takes a part of it for noise: half of what both take, in dB, is given back. More would leave
    noise. The comb filter adds up periods in which there is the echo too, so it gets less to say.

    Parameters
    ----------
    taken : np.ndarray [shape=(bands,)]
        Gains that take it out.
    gains, strengths : np.ndarray [shape=(bands,)]
        Decisions of the enhancement.

    Returns
    -------
    tuple of two np.ndarray [shape=(bands,), dtype=float32]
    """
    given_back = np.minimum(gains / np.sqrt(np.maximum(taken, TAKEN_TWICE)), 1)
    return np.asarray(given_back, np.float32), np.asarray(strengths * taken, np.float32)
