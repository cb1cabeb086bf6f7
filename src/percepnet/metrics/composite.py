"""Composite metrics of Hu and Loizou (2008): predicted mean opinion scores of speech, background and whole.

Each is a linear regression on PESQ, the log-likelihood ratio of linear prediction, the weighted spectral slope distance
(Klatt 1982) and, for the background, the segmental signal-to-noise ratio, all at 16 kHz in frames of 30 ms. The
packages that have them do not run with a current SciPy, so they are written out here, as in Loizou's own
``composite.m``, quirks included: the numbers in papers come from it.
"""

import numpy as np
from numpy.typing import NDArray

from percepnet.arrays import Samples

RATE_HZ = 16_000
FRAME_SAMPLES = 480  # 30 ms
HOP_SAMPLES = 120
LPC_ORDER = 16
KEPT_SHARE = 0.95  # of frames, the least distorted ones
SEGMENTAL_SNR_DB = (-10.0, 35.0)
FFT_SIZE = 1024
# Critical bands: centre and bandwidth in Hz.
# fmt: off
CENTRES_HZ = np.array((
    50, 120, 190, 260, 330, 400, 470, 540, 617.372, 703.378, 798.717, 904.128, 1020.38, 1148.30, 1288.72, 1442.54,
    1610.70, 1794.16, 1993.93, 2211.08, 2446.71, 2701.97, 2978.04, 3276.17, 3597.63,
))
BANDWIDTHS_HZ = np.array((
    70, 70, 70, 70, 70, 70, 70, 77.3724, 86.0056, 95.3398, 105.411, 116.256, 127.914, 140.423, 153.823, 168.154,
    183.457, 199.776, 217.153, 235.631, 255.255, 276.072, 298.126, 321.465, 346.136,
))
# fmt: on
SLOPE_GLOBAL, SLOPE_LOCAL = 20.0, 1.0  # Klatt's weights of the largest and of the nearest peak, in dB

_EPSILON = np.finfo(np.float64).eps
_WINDOW = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, FRAME_SAMPLES + 1) / (FRAME_SAMPLES + 1))

Values = NDArray[np.float64]


def composite_scores(reference: Samples, estimate: Samples, pesq_wb: float) -> tuple[float, float, float]:
    """CSIG, CBAK and COVL, 1 to 5.

    Parameters
    ----------
    reference, estimate : np.ndarray [shape=(n,)]
        Clean speech and what is judged, at 16 kHz, aligned in time, at least 0.1 s.
    pesq_wb : float
        Their wide-band PESQ.
    """
    x, y = (np.asarray(signal, dtype=np.float64) for signal in (reference, estimate))
    llr, wss, snr_db = log_likelihood_ratio(x, y), weighted_spectral_slope(x, y), segmental_snr_db(x, y)
    speech = 3.093 - 1.029 * llr + 0.603 * pesq_wb - 0.009 * wss
    background = 1.634 + 0.478 * pesq_wb - 0.007 * wss + 0.063 * snr_db
    whole = 1.594 + 0.805 * pesq_wb - 0.512 * llr - 0.007 * wss
    low, middle, high = (float(np.clip(value, 1.0, 5.0)) for value in (speech, background, whole))
    return low, middle, high


def segmental_snr_db(x: Values, y: Values) -> float:
    """Signal-to-noise ratio of frames, limited to -10 to 35 dB, on average."""
    signal = np.square(_frames(x)).sum(axis=-1)
    noise = np.square(_frames(x) - _frames(y)).sum(axis=-1)
    ratios_db = 10 * np.log10(signal / (noise + _EPSILON) + _EPSILON)
    return float(np.clip(ratios_db, *SEGMENTAL_SNR_DB)[:-1].mean())


def log_likelihood_ratio(x: Values, y: Values) -> float:
    """How much worse the estimate's linear prediction fits the clean frames than their own does; 0 for equal ones."""
    (a_x, r_x), (a_y, _) = (_linear_prediction(_frames(signal + _EPSILON)[:-1]) for signal in (x, y))
    lags = np.abs(np.subtract.outer(np.arange(LPC_ORDER + 1), np.arange(LPC_ORDER + 1)))
    covariance = r_x[:, lags]
    error_y, error_x = (np.einsum("fi,fij,fj->f", a, covariance, a) for a in (a_y, a_x))
    ratio = error_y / np.maximum(error_x, 1e-300)
    return _mean_of_best(np.log(np.where(ratio > 0, ratio, 1000.0)))


def weighted_spectral_slope(x: Values, y: Values) -> float:
    """Distance of the slopes between neighbouring critical bands, which count more near peaks of the spectrum."""
    levels_x, levels_y = (_band_levels_db(signal + _EPSILON) for signal in (x, y))
    slopes_x, slopes_y = (np.diff(levels, axis=-1) for levels in (levels_x, levels_y))
    weights = (_slope_weights(levels_x, slopes_x) + _slope_weights(levels_y, slopes_y)) / 2
    distances = (weights * np.square(slopes_x - slopes_y)).sum(axis=-1) / weights.sum(axis=-1)
    return _mean_of_best(distances)


def _frames(x: Values) -> Values:
    return np.lib.stride_tricks.sliding_window_view(x, FRAME_SAMPLES)[::HOP_SAMPLES] * _WINDOW


def _mean_of_best(distances: Values) -> float:
    return float(np.sort(distances)[: round(len(distances) * KEPT_SHARE)].mean())


def _linear_prediction(frames: Values) -> tuple[Values, Values]:
    """Prediction-error filters and autocorrelations of frames, both [shape=(frames, 17)] (Levinson, Durbin)."""
    r = np.stack([(frames[:, : FRAME_SAMPLES - k] * frames[:, k:]).sum(axis=-1) for k in range(LPC_ORDER + 1)], axis=-1)
    a = np.zeros((len(r), LPC_ORDER + 1))
    a[:, 0] = 1.0
    error = r[:, 0].copy()
    for order in range(1, LPC_ORDER + 1):
        reflection = -(a[:, :order] * r[:, order:0:-1]).sum(axis=-1) / np.maximum(error, _EPSILON**2)
        a[:, 1 : order + 1] += reflection[:, None] * a[:, order - 1 :: -1][:, :order]
        error *= 1 - reflection**2
    return a, r


def _band_levels_db(x: Values) -> Values:
    """Levels of critical bands [shape=(frames, 25)]."""
    frames = _frames(x)[: int(len(x) / HOP_SAMPLES - FRAME_SAMPLES / HOP_SAMPLES)]
    power = np.square(np.abs(np.fft.rfft(frames, FFT_SIZE)))[:, :-1]
    hz_per_bin = RATE_HZ / FFT_SIZE
    distance = (np.arange(FFT_SIZE // 2) - np.floor(CENTRES_HZ / hz_per_bin)[:, None]) * hz_per_bin
    filters = BANDWIDTHS_HZ[0] / BANDWIDTHS_HZ[:, None] * np.exp(-11 * np.square(distance / BANDWIDTHS_HZ[:, None]))
    filters[filters <= np.exp(-30 / (2 * 2.303))] = 0  # -30 dB
    return np.asarray(np.maximum(10 * np.log10(np.maximum(power @ filters.T, 1e-300)), -100.0))


def _slope_weights(levels_db: Values, slopes_db: Values) -> Values:
    bands = slopes_db.shape[-1]
    # of a rising slope the band before the next that does not rise, of a falling one the band after the last that rises
    peak = np.empty(slopes_db.shape, dtype=np.intp)
    after = np.full(len(slopes_db), bands)
    for band in range(bands - 1, -1, -1):
        after = np.where(slopes_db[:, band] > 0, after, band)
        peak[:, band] = after - 1
    before = np.full(len(slopes_db), -1)
    for band in range(bands):
        before = np.where(slopes_db[:, band] > 0, band, before)
        peak[:, band] = np.where(slopes_db[:, band] > 0, peak[:, band], before + 1)
    peaks_db = np.take_along_axis(levels_db, peak, axis=-1)
    from_largest = levels_db.max(axis=-1, keepdims=True) - levels_db[:, :-1]
    from_nearest = peaks_db - levels_db[:, :-1]
    return np.asarray(SLOPE_GLOBAL / (SLOPE_GLOBAL + from_largest) * SLOPE_LOCAL / (SLOPE_LOCAL + from_nearest))
