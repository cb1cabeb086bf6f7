"""The drift of a signal, DC and what lies below all voices, is subtracted from what is given out, and no phase turns.

The high-pass of what the network hears (`percepnet.reference.highpass`) turns the phase of a voice's lowest harmonics,
which can be given back in bins of 50 Hz only roughly: clean recordings of VoiceBank came out with an SI-SDR of 22 dB,
others with 28 to 34. The frame that is decided has a future of 20 ms. With that the drift is a weighted mean of what
lies around a sample, 40 ms before to 20 ms after it, and what is left is speech as it was: with 26 dB, and 35 to 44.

The weights are the least squares between what is to be kept and what is to be rejected, over frequency: -44 dB at
8 Hz, -7 dB at 30 Hz, within .2 dB from 60 Hz on. The drift is slow, so it is known once a millisecond, from means of
triangles of 2 ms, and lies on straight lines between. The late window of a frame (`percepnet.reference.windows`) ends
3.3 ms after what is known of it: there, where it has all but faded out, the drift goes on as it went last.
"""

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from percepnet.arrays import Array, Samples
from percepnet.params import HOP_SAMPLES
from percepnet.reference.windows import SHIFT_SAMPLES

KNOT_SAMPLES = 48  # a millisecond, in which straight lines are as good as curves
HOP_KNOTS = HOP_SAMPLES // KNOT_SAMPLES
KNOTS_PAST, KNOTS_FUTURE = 39, 19
WEIGHTS = KNOTS_PAST + 1 + KNOTS_FUTURE
FUTURE_SAMPLES = (KNOTS_FUTURE + 1) * KNOT_SAMPLES
FUTURE_FRAMES = FUTURE_SAMPLES // HOP_SAMPLES
TRIANGLE = 2 * KNOT_SAMPLES - 1  # samples
REJECTED_HZ = 8.0  # what everything below is worth a thousand times a voice
REJECTED_SHARE = 0.45  # of a voice, just above: what microphones pick up there is rarely one
REJECTED_TO_HZ = 55.0  # where that has come down to nothing


@lru_cache(maxsize=1)
def triangle() -> np.ndarray:
    """Weights of the samples around a knot, of sum 1.

    Returns
    -------
    np.ndarray [shape=(95,), dtype=float64]
    """
    return (1 - np.abs(np.arange(TRIANGLE) - (KNOT_SAMPLES - 1)) / KNOT_SAMPLES) / KNOT_SAMPLES


@lru_cache(maxsize=1)
def weights() -> Array:
    """Weights of the knots, 39 ms before to 19 ms after the one whose drift is wanted, of sum 1.

    With D(f) the drift of a tone, they minimise the sum over f of keep |D|^2 + reject |1 - D|^2.

    Returns
    -------
    np.ndarray [shape=(59,), dtype=float32]
    """
    hz = np.arange(500.0)
    keep = np.clip((hz - 10) / 90, 0, 1)
    share = REJECTED_SHARE * np.clip((REJECTED_TO_HZ - hz) / (REJECTED_TO_HZ - 10), 0, 1)
    reject = np.where(hz <= REJECTED_HZ, 1000.0, share)
    knots = np.arange(-KNOTS_PAST, KNOTS_FUTURE + 1)
    seconds = knots * KNOT_SAMPLES / 48_000
    tones = np.exp(2j * np.pi * np.outer(hz, seconds)) * np.sinc(hz * KNOT_SAMPLES / 48_000)[:, None] ** 2
    squares = (tones.conj().T @ ((keep + reject)[:, None] * tones)).real
    squares += 1e-6 * np.trace(squares) / WEIGHTS * np.eye(WEIGHTS)  # neighbours know nearly the same
    found = np.linalg.solve(squares, (tones.conj().T @ reject).real)
    return np.asarray(found / found.sum(), np.float32)


class DriftFree:
    """Hops without their drift, 20 ms late.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self.reset()

    def reset(self) -> None:
        """Begin a new stream: what it begins with has been there for ever."""
        self._x: Samples | None = None

    def push(self, hops: Samples) -> tuple[Samples, Samples]:
        """Take in the next hops.

        Parameters
        ----------
        hops : np.ndarray [shape=(channels, 480 * T), dtype=float32]

        Returns
        -------
        free : np.ndarray [shape=(channels, 480 * T), dtype=float32]
            Ends 960 samples before what was given ends.
        ahead : np.ndarray [shape=(channels, T, 160), dtype=float32]
            What follows each hop of it, without a drift that goes on as it did at the end of the hop.
        """
        if self._x is None:
            first = hops[:, :1]
            self._x = np.repeat(first, FUTURE_SAMPLES, axis=1)
            self._means = np.repeat(first.astype(np.float64), WEIGHTS - 1, axis=1)
            self._drift = first.astype(np.float64)
        x = np.concatenate([self._x, hops], axis=1)
        # a triangle ends before the next knot: the last that is complete is around the last knot of the hops
        around = sliding_window_view(x[:, FUTURE_SAMPLES - KNOT_SAMPLES + 1 :], TRIANGLE, axis=-1)[:, ::KNOT_SAMPLES]
        means = np.concatenate([self._means, around @ triangle()], axis=1)
        drift = np.concatenate([self._drift, sliding_window_view(means, WEIGHTS, axis=-1) @ weights()], axis=1)
        steps = np.arange(KNOT_SAMPLES) / KNOT_SAMPLES
        lines = drift[:, :-1, None] + steps * np.diff(drift)[:, :, None]
        out = x[:, : hops.shape[1]] - lines.reshape(self._channels, -1)
        behind = sliding_window_view(x[:, HOP_SAMPLES:], SHIFT_SAMPLES, axis=-1)[:, ::HOP_SAMPLES]
        last, ends = (drift[:, HOP_KNOTS - back :: HOP_KNOTS, None] for back in (1, 0))
        goes_on = ends + np.arange(SHIFT_SAMPLES) * ((ends - last) / KNOT_SAMPLES)
        ahead = behind[:, : goes_on.shape[1]] - goes_on
        self._x, self._means, self._drift = x[:, -FUTURE_SAMPLES:], means[:, 1 - WEIGHTS :], drift[:, -1:]
        return np.asarray(out, np.float32), np.asarray(ahead, np.float32)
