"""Comb filter: keeps what repeats with the period of the voice, and averages away what does not.

Five periods on each side, with the weights of a Hann window, bring noise down by 9 dB. The future reaches only as far
as the look-ahead: taps beyond it are left out, and the others take over their weight.

Two things are finer than in the article, because outer taps miss the waveform otherwise: taps lie between samples, and
each tap follows the pitch contour, adding up the periods that the voice really had on the way, rather than k times the
period of the frame.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from percepnet.params import COMB_TAPS, HOP_SAMPLES, PERIOD_MAX_SAMPLES, WINDOW_SAMPLES

PHASES = 4  # taps to a quarter of a sample
INTERPOLATOR_REACH = 8  # samples on each side
PAST_SAMPLES = COMB_TAPS * PERIOD_MAX_SAMPLES
PAST_FRAMES = -(-PAST_SAMPLES // HOP_SAMPLES)  # of the pitch contour


def hann_weights(taps: int = COMB_TAPS) -> np.ndarray:
    """Weights of the taps k = -taps .. taps, a Hann window without its zeros, of sum 1.

    Returns
    -------
    np.ndarray [shape=(2 * taps + 1,), dtype=float32]
        Their energy, the noise that is left, is 3 / (4 (taps + 1)): -9.03 dB for 5.
    """
    k = np.arange(-taps, taps + 1)
    weights = 0.5 + 0.5 * np.cos(np.pi * k / (taps + 1))
    return (weights / weights.sum()).astype(np.float32)


def _interpolators() -> np.ndarray:
    n = np.arange(1 - INTERPOLATOR_REACH, INTERPOLATOR_REACH + 1)
    at = n[None, :] - np.arange(PHASES)[:, None] / PHASES
    taps = np.sinc(at) * np.cos(np.pi / 2 * at / (INTERPOLATOR_REACH + 1)) ** 2
    return (taps / taps.sum(axis=-1, keepdims=True)).astype(np.float32)


_WEIGHTS = hann_weights()
_INTERPOLATORS = _interpolators()
_TAPS = np.arange(-COMB_TAPS, COMB_TAPS + 1)
_WINDOW_STEPS = PHASES * np.arange(WINDOW_SAMPLES)


def upsample(x: np.ndarray) -> np.ndarray:
    """Four values a sample, at offsets of 0, 1/4, 1/2 and 3/4, by windowed sinc.

    Parameters
    ----------
    x : np.ndarray [shape=(channels, n + 15)]
        The n samples with 7 more before them and 8 behind.

    Returns
    -------
    np.ndarray [shape=(channels, 4 * n)]
        Element 4 * i is sample i itself.
    """
    windows = sliding_window_view(x, 2 * INTERPOLATOR_REACH, axis=-1)
    return (windows @ _INTERPOLATORS.T).reshape(len(x), -1)


def tap_delays(periods: np.ndarray, now: int) -> np.ndarray:
    """Where the taps of a frame lie, so that each is a whole number of periods away along the pitch contour.

    The phase of the voice, in periods, is the integral of 1 / T over time; tap k is where it differs by k.

    Parameters
    ----------
    periods : np.ndarray [shape=(frames,)]
        Pitch periods in samples at the centres of consecutive frames, the present one and others around it.
    now : int
        Index of the present frame.

    Returns
    -------
    np.ndarray [shape=(11,)]
        Distance in samples of the taps k = -5 .. 5 from the centre of the frame, increasing, 0 in the middle.
    """
    rate = HOP_SAMPLES / periods
    phase = np.concatenate([[0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]))])
    wanted = phase[now] + _TAPS
    before, after = wanted - phase[0], wanted - phase[-1]
    inside = np.interp(wanted, phase, np.arange(len(periods)) * float(HOP_SAMPLES)) - now * HOP_SAMPLES
    return inside + np.minimum(before, 0.0) * periods[0] + np.maximum(after, 0.0) * periods[-1]


def comb_filter(
    fine: np.ndarray, starts: np.ndarray, delays: np.ndarray, future_samples: int
) -> tuple[np.ndarray, ...]:
    """Average each window with its neighbours some periods away.

    Parameters
    ----------
    fine : np.ndarray [shape=(channels, 4 * n)]
        Samples from `upsample`.
    starts : np.ndarray [shape=(T,), dtype=int]
        First sample of each window of 960, in samples from the beginning of `fine`.
    delays : np.ndarray [shape=(T, 11)]
        Rows of `tap_delays`.
    future_samples : int
        How far beyond its window a frame may look. Taps that reach further are left out, and the rest renormalised.

    Returns
    -------
    filtered : np.ndarray [shape=(T, channels, 960)]
    weights : np.ndarray [shape=(T, 11)]
        What each tap really had; the centre's is [:, 5], and the noise that is left is their sum of squares.
    """
    usable = delays + INTERPOLATOR_REACH <= future_samples
    usable[:, : COMB_TAPS + 1] = True
    weights = np.where(usable, _WEIGHTS, np.float32(0.0))
    weights /= weights.sum(axis=-1, keepdims=True)
    offsets = np.round(np.where(usable, delays, 0.0) * PHASES).astype(np.int64) + starts[:, None] * PHASES
    filtered = np.zeros((len(starts), len(fine), WINDOW_SAMPLES), dtype=np.float32)
    for tap in range(2 * COMB_TAPS + 1):
        at = offsets[:, tap, None] + _WINDOW_STEPS
        filtered += weights[:, tap, None, None] * fine[:, at].swapaxes(0, 1)
    return filtered, weights
