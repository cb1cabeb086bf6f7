"""Pairs to evaluate on: clean speech, and the same with noise at a known signal-to-noise ratio."""

import numpy as np

from percepnet.acoustics.levels import active_level_db, frame_powers
from percepnet.arrays import Samples

FRAME_SAMPLES = 960  # 20 ms
CROSSFADE_SAMPLES = 4800  # 100 ms
PEAK_MAX = 0.95


def speech_level_db(x: Samples) -> float:
    """Level of the active frames of 20 ms of speech [shape=(n,)] at 48 kHz, relative to full scale."""
    return active_level_db(frame_powers(x, FRAME_SAMPLES))


def looped(x: Samples, samples: int, start: int = 0) -> Samples:
    """``samples`` of ``x`` from ``start``, repeated with an equal-power crossfade of 100 ms where it is too short."""
    if start + samples <= len(x):
        return x[start : start + samples]
    fade = min(CROSSFADE_SAMPLES, len(x) // 2)
    phase = (np.arange(fade) + 0.5) / max(fade, 1) * np.pi / 2
    period = x[: len(x) - fade].copy()
    period[:fade] = x[:fade] * np.sin(phase) + x[len(x) - fade :] * np.cos(phase)
    return np.take(period, np.arange(start, start + samples), mode="wrap")


def mix(
    speech: Samples, noise: Samples, snr_db: float, level_dbfs: float, reference: Samples | None = None
) -> tuple[Samples, Samples]:
    """Set speech to an active level and noise below it.

    Parameters
    ----------
    speech, noise : np.ndarray [shape=(n,)]
    snr_db : float
        Active level of the speech (`speech_level_db`) over the mean level of the noise.
    level_dbfs : float
        Active level of the speech; both signals are lowered together where the sum would pass a peak of 0.95.
    reference : np.ndarray [shape=(n,)], optional
        The same speech as it should be heard, with less of the room; default: the speech itself.

    Returns
    -------
    clean, noisy : np.ndarray [shape=(n,)]
    """
    noise_db = 10 * np.log10(np.mean(np.square(noise, dtype=np.float64)))
    gain = np.float32(10 ** ((level_dbfs - speech_level_db(speech)) / 20))
    noisy = speech * gain + noise * np.float32(10 ** ((level_dbfs - snr_db - noise_db) / 20))
    scale = np.float32(min(1.0, PEAK_MAX / np.max(np.abs(noisy))))
    return (speech if reference is None else reference) * gain * scale, noisy * scale
