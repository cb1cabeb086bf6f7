"""Levels of sound: root mean squares, decibels, lengths."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

ACTIVE_DB = 40.0  # frames within so much of the loudest are taken for active
LEVEL_FRAME_SAMPLES = 480


def active_rms(audio: Array) -> float:
    """Root mean square of the frames of 10 ms that are within 40 dB of the loudest; 0 for silence.

    Parameters
    ----------
    audio : np.ndarray [shape=(n,)]
    """
    frames = audio[: len(audio) // LEVEL_FRAME_SAMPLES * LEVEL_FRAME_SAMPLES].reshape(-1, LEVEL_FRAME_SAMPLES)
    if not frames.size:
        return rms(audio)
    power = np.mean(frames.astype(np.float64) ** 2, axis=1)
    active = power[power >= power.max() * 10 ** (-ACTIVE_DB / 10)]
    return float(np.sqrt(active.mean()))


def amplitude(db: float) -> float:
    return float(10 ** (db / 20))


def rms(audio: npt.NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(audio.astype(np.float64) ** 2))) if audio.size else 0.0


def fit_length(audio: npt.NDArray[np.floating], samples: int) -> Array:
    fitted = np.zeros(samples, np.float32)
    fitted[: len(audio)] = audio[:samples]
    return fitted
