"""Sample rates: from the stream's own to 48 kHz and back, exactly aligned in time and with a short, known delay.

A Kaiser-windowed sinc, one row of coefficients for every position that an output sample can have between two input
samples (polyphase). The usual resampling libraries work in FFT blocks and hand their output out in bursts: soxr's VHQ
holds back up to 76 ms each way at 16 kHz and 170 ms at 8 kHz, which real-time use cannot afford, and it is 0.3 dB down
at 94 % of the band. Here the delay is half a filter, 6.7 ms at 16 kHz, and a sample depends on nothing but its
neighbours, so that how a stream is cut into chunks cannot matter.
"""

import math
from functools import lru_cache

import numpy as np

from percepnet.arrays import Samples
from percepnet.params import SAMPLE_RATE_HZ

STOPBAND_DB = 100.0
PASSBAND = 0.94  # of the narrower band; the stop band begins at its edge, so that nothing is folded
EXACT_PHASES_MAX = 1024  # of unusual rates (44101 Hz) there are more, and they are interpolated: error below -115 dB


def half_width_samples(sample_rate_hz: int) -> int:
    """Half the length of the filter between this rate and 48 kHz, in samples at 48 kHz; its delay. 0 at 48 kHz.

    From Kaiser's formula: the number of taps is (A - 8) / (2.285 * transition in radians) for A dB.
    """
    if sample_rate_hz == SAMPLE_RATE_HZ:
        return 0
    nyquist_hz = min(sample_rate_hz, SAMPLE_RATE_HZ) / 2
    transition = 2 * math.pi * (1 - PASSBAND) * nyquist_hz / SAMPLE_RATE_HZ
    return math.ceil((STOPBAND_DB - 8) / (2.285 * transition) / 2)


@lru_cache(maxsize=16)
def _polyphase(source_hz: int, target_hz: int) -> Samples:
    """Coefficients [shape=(phases, taps)]; row p weighs the newest `taps` source samples, p / phases after the last."""
    rate_hz = target_hz if source_hz == SAMPLE_RATE_HZ else source_hz
    half_width = half_width_samples(rate_hz) * source_hz / SAMPLE_RATE_HZ
    taps = math.floor(2 * half_width) + 1
    phases = target_hz // math.gcd(source_hz, target_hz)
    if phases > EXACT_PHASES_MAX:
        position = np.arange(EXACT_PHASES_MAX + 1) / EXACT_PHASES_MAX
    else:
        position = np.arange(phases) / phases
    tau = position[:, None] + np.arange(taps - 1, -1, -1) - half_width  # in source samples, from the filter's centre
    bandwidth = (1 + PASSBAND) / 2 * min(rate_hz, SAMPLE_RATE_HZ) / source_hz  # -6 dB in the middle of the transition
    beta = 0.1102 * (STOPBAND_DB - 8.7)  # Kaiser
    window = np.i0(beta * np.sqrt(np.clip(1 - (tau / half_width) ** 2, 0, None))) * (np.abs(tau) <= half_width)
    rows = np.sinc(bandwidth * tau) * window
    return np.asarray(rows / rows.sum(axis=1, keepdims=True), dtype=np.float32)  # each phase passes 0 Hz unchanged


class Resampler:
    """A causal resampler with state: output n stands at (n * source_hz + start) / target_hz source samples.

    The newest source sample that an output needs is the one at or before that position; what it shows is the signal
    half a filter earlier. Source samples before the first are zero.

    Parameters
    ----------
    source_hz, target_hz : int
        One of the two is 48 kHz.
    channels : int
        First axis of what `process` takes and gives.
    start : int
        Position of output 0, in source samples times target_hz; 0 or less.
    """

    def __init__(self, source_hz: int, target_hz: int, channels: int, start: int = 0) -> None:
        self._source_hz = source_hz
        self._target_hz = target_hz
        self._coefficients = _polyphase(source_hz, target_hz)
        self._taps: int = self._coefficients.shape[1]
        self._step = math.gcd(source_hz, target_hz)
        self._start = start
        self._emitted = 0
        self._oldest = self._first_needed(0)
        self._history = np.zeros((channels, -self._oldest), dtype=np.float32)

    def _first_needed(self, output: int) -> int:
        newest = (output * self._source_hz + self._start) // self._target_hz
        return newest - self._taps + 1

    def process(self, x: Samples, outputs: int) -> Samples:
        """The next `outputs` samples, once `x` has been added to the source.

        Parameters
        ----------
        x : np.ndarray [shape=(channels, n)]
            Enough that the position of the last output lies before its end.
        outputs : int

        Returns
        -------
        np.ndarray [shape=(channels, outputs)]
        """
        source = np.concatenate((self._history, x), axis=1)
        numerators = np.arange(self._emitted, self._emitted + outputs) * self._source_hz + self._start
        newest, remainders = np.divmod(numerators, self._target_hz)
        rows = self._rows(remainders)
        windows = np.lib.stride_tricks.sliding_window_view(source, self._taps, axis=1)
        y: Samples = np.einsum("nt,cnt->cn", rows, windows[:, newest - self._taps + 1 - self._oldest])
        self._emitted += outputs
        first_needed = self._first_needed(self._emitted)
        self._history = source[:, first_needed - self._oldest :]
        self._oldest = first_needed
        return y

    def _rows(self, remainders: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Samples:
        if self._target_hz // self._step <= EXACT_PHASES_MAX:
            return self._coefficients[remainders // self._step]
        phases = remainders / self._target_hz * EXACT_PHASES_MAX
        below = phases.astype(np.int64)
        fraction = (phases - below).astype(np.float32)[:, None]
        return (1 - fraction) * self._coefficients[below] + fraction * self._coefficients[below + 1]
