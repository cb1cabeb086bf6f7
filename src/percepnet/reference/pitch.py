"""Pitch: whitened normalised correlation, then the best path through time (Viterbi), with look-ahead.

The article asks for the period that maximises the correlation of the signal with its past, and for a trajectory without
large jumps. The search runs at 12 kHz on 40 ms of signal: its power spectrum is whitened, so that neither formants nor
coloured noise decide, and its autocorrelation is divided by that of the window. Periods are sorted into cells of equal
width on a logarithmic scale, in which a jump costs the same at every pitch.

P20 does not print its search; this one keeps its range and its look-ahead, and is tested for what it finds.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from percepnet.params import HOP_SAMPLES, PERIOD_MAX_SAMPLES, PERIOD_MIN_SAMPLES, SAMPLE_RATE_HZ

DECIMATION = 4
RATE_HZ = SAMPLE_RATE_HZ // DECIMATION
HOP = HOP_SAMPLES // DECIMATION
LOW_PASS_TAPS = 49  # 1 ms at 48 kHz

SEGMENT = 4 * HOP  # 40 ms, centred on the frame before the newest one
FFT = 1024  # holds a segment and its longest lag without wrapping
OVERSAMPLING = 2  # lags in steps of half a sample at 12 kHz, 2 samples at 48 kHz

ENVELOPE_HZ = 350.0  # the envelope is a mean over this much on both sides: wider than one harmonic of any voice
WHITENING = 0.8  # 1 flattens the envelope altogether, noise between the formants included
HIGH_PASS_HZ = (50.0, 100.0)  # rumble is periodic too
LOW_PASS_HZ = (2500.0, 4500.0)  # above, harmonics are weak, and noise is not

CELLS_PER_OCTAVE = 24
STEP_CELLS = 4  # largest regular change in 10 ms: a sixth of an octave
STEP_COST = 0.02  # times the squared number of cells
JUMP_COST = 0.5  # to any other period: a new syllable, a new talker
LAG_COST = 0.05  # per octave of lag: a period's double correlates as well as the period


def _low_pass() -> np.ndarray:
    n = np.arange(LOW_PASS_TAPS) - (LOW_PASS_TAPS - 1) / 2
    taps = np.sinc(n * 0.85 / DECIMATION) * np.hanning(LOW_PASS_TAPS + 2)[1:-1]
    return (taps / taps.sum()).astype(np.float32)


def _ramp(frequency_hz: np.ndarray, start_hz: float, end_hz: float) -> np.ndarray:
    return np.clip((frequency_hz - start_hz) / (end_hz - start_hz), 0.0, 1.0)


def _emphasis() -> np.ndarray:
    frequency_hz = np.arange(FFT // 2 + 1) * RATE_HZ / FFT
    return (_ramp(frequency_hz, *HIGH_PASS_HZ) * (1.0 - _ramp(frequency_hz, *LOW_PASS_HZ))).astype(np.float32)


def _window_correlation() -> np.ndarray:
    """Autocorrelation of the segment's window at the searched lags, relative to lag 0."""
    spectrum = np.abs(np.fft.rfft(_WINDOW, n=FFT)) ** 2
    correlation = np.fft.irfft(spectrum, n=FFT * OVERSAMPLING)
    return (correlation[_FIRST_LAG : _LAST_LAG + 1] / correlation[0]).astype(np.float32)


_LOW_PASS = _low_pass()
_EMPHASIS = _emphasis()
_WINDOW = np.hanning(SEGMENT + 2)[1:-1].astype(np.float32)
# In steps of the oversampled lag, with one more on each side for the parabola.
_STEP_SAMPLES = DECIMATION / OVERSAMPLING
_FIRST_LAG = int(PERIOD_MIN_SAMPLES / _STEP_SAMPLES) - 1
_LAST_LAG = int(PERIOD_MAX_SAMPLES / _STEP_SAMPLES) + 1
_WINDOW_CORRELATION = _window_correlation()

_LAGS_SAMPLES = np.arange(_FIRST_LAG + 1, _LAST_LAG) * _STEP_SAMPLES
_CELL_OF_LAG = np.round(np.log2(_LAGS_SAMPLES / PERIOD_MIN_SAMPLES) * CELLS_PER_OCTAVE).astype(int)
CELLS = int(_CELL_OF_LAG[-1]) + 1
_CELL_START = np.searchsorted(_CELL_OF_LAG, np.arange(CELLS))
_CELL_COST = (LAG_COST * np.arange(CELLS) / CELLS_PER_OCTAVE).astype(np.float32)
_CELL = np.arange(CELLS)
_NEIGHBOURS = _CELL[:, None] + np.arange(2 * STEP_CELLS + 1)
_STEP_COSTS = (STEP_COST * np.arange(-STEP_CELLS, STEP_CELLS + 1) ** 2).astype(np.float32)

SILENT_PERIOD_SAMPLES = 272  # the middle of the range, until something is heard
HISTORY_SAMPLES = SEGMENT * DECIMATION - HOP_SAMPLES + LOW_PASS_TAPS - 1


def correlation(x: np.ndarray) -> np.ndarray:
    """Whitened normalised autocorrelation of the 40 ms that end with each hop.

    Parameters
    ----------
    x : np.ndarray [shape=(channels, HISTORY_SAMPLES + 480 * T)]
        At 48 kHz. Channels share one pitch: their correlations are added.

    Returns
    -------
    np.ndarray [shape=(T, lags)]
        Lags of 94 to 770 samples in steps of 2; 1 for a perfect repetition, 0 for silence.
    """
    low = sliding_window_view(x, LOW_PASS_TAPS, axis=-1)[..., ::DECIMATION, :] @ _LOW_PASS
    segments = sliding_window_view(low, SEGMENT, axis=-1)[..., ::HOP, :]
    spectrum = np.fft.rfft(segments * _WINDOW, n=FFT, axis=-1)
    power = (spectrum.real**2 + spectrum.imag**2).sum(axis=0)
    whitened = power * _EMPHASIS / (_envelope(power) + np.float32(1e-12)) ** np.float32(WHITENING)
    lags = np.fft.irfft(whitened, n=FFT * OVERSAMPLING, axis=-1)
    zero_lag = lags[..., :1] + np.float32(1e-20)
    return lags[..., _FIRST_LAG : _LAST_LAG + 1] / (zero_lag * _WINDOW_CORRELATION)


def _envelope(power: np.ndarray) -> np.ndarray:
    reach = round(ENVELOPE_HZ * FFT / RATE_HZ)
    padded = np.pad(power, [(0, 0), (reach + 1, reach)], mode="reflect")
    total = np.cumsum(padded, axis=-1, dtype=np.float64)
    width = 2 * reach + 1
    return np.maximum((total[..., width:] - total[..., :-width]) / width, 0.0).astype(np.float32)


def cells(lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Highest correlation in each cell, and its period refined by a parabola through three lags.

    Parameters
    ----------
    lags : np.ndarray [shape=(T, lags)]
        From `correlation`.

    Returns
    -------
    peaks, periods_samples : np.ndarray [shape=(T, cells)]
    """
    middle = lags[:, 1:-1]
    peaks = np.maximum.reduceat(middle, _CELL_START, axis=-1)
    is_peak = middle >= peaks[:, _CELL_OF_LAG]
    at = np.maximum.reduceat(np.where(is_peak, np.arange(middle.shape[-1]), -1), _CELL_START, axis=-1)
    left, right = np.take_along_axis(lags, at, axis=-1), np.take_along_axis(lags, at + 2, axis=-1)
    curvature = left + right - 2.0 * peaks
    offset = np.where(curvature < 0.0, 0.5 * (left - right) / np.minimum(curvature, -1e-6), 0.0)
    periods = _LAGS_SAMPLES[at] + np.clip(offset, -0.5, 0.5) * _STEP_SAMPLES
    return peaks, np.clip(periods, PERIOD_MIN_SAMPLES, PERIOD_MAX_SAMPLES).astype(np.float32)


class PitchTracker:
    """The best path of periods so far, and what it says of a frame a little before its end.

    Parameters
    ----------
    lookahead_frames : int
        M. The correlation is centred one frame before the newest, so the path is followed back M - 1 steps.
    """

    def __init__(self, lookahead_frames: int) -> None:
        self._back = max(lookahead_frames - 1, 0)
        self.reset()

    def reset(self) -> None:
        """Forget the path."""
        self._scores = np.zeros(CELLS, dtype=np.float32)
        self._reach = np.full(CELLS + 2 * STEP_CELLS, -np.inf, dtype=np.float32)  # no cells beyond the ends
        self._periods = [np.full(CELLS, SILENT_PERIOD_SAMPLES, dtype=np.float32)] * (self._back + 1)
        self._origins = [_CELL] * self._back

    def step(self, peaks: np.ndarray, periods: np.ndarray) -> tuple[np.ndarray, float]:
        """Take the correlation of the newest hop into the path.

        Parameters
        ----------
        peaks, periods : np.ndarray [shape=(cells,)]
            One row of `cells`.

        Returns
        -------
        periods_samples : np.ndarray [shape=(max(M, 1),)]
            Fractional periods at 48 kHz along the best path: of the output frame, M frames before the newest, and of
            the later frames that the correlation reaches.
        correlation : float
            Normalised correlation at the newest end of the best path, 0 to 1.
        """
        self._reach[STEP_CELLS:-STEP_CELLS] = self._scores
        neighbours = self._reach[_NEIGHBOURS] - _STEP_COSTS
        step = neighbours.argmax(axis=-1)
        best = neighbours[_CELL, step]
        origin = _CELL + step - STEP_CELLS
        leader = int(self._scores.argmax())
        jumps = best < self._scores[leader] - JUMP_COST
        best[jumps] = self._scores[leader] - JUMP_COST
        origin[jumps] = leader
        scores = best + peaks - _CELL_COST
        self._scores = scores - scores.max()
        self._periods = [*self._periods[1:], periods] if self._back else [periods]
        self._origins = [*self._origins[1:], origin] if self._back else []

        end = int(scores.argmax())
        path = [end]
        for earlier in reversed(self._origins):
            path.insert(0, int(earlier[path[0]]))
        contour = np.array([periods[cell] for periods, cell in zip(self._periods, path, strict=True)])
        return contour, float(np.clip(peaks[end], 0.0, 1.0))
