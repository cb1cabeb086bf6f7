"""Levels of sound: root mean squares, decibels, lengths; and which frames of a recording are active."""

import numpy as np
import numpy.typing as npt

from percepnet.arrays import Array

Powers = npt.NDArray[np.float64]

ACTIVE_DB = 40.0  # frames within so much of the loudest are active
LEVEL_FRAME_SAMPLES = 480
SPEECH_DB = 30.0  # below active speech, down to which a frame is speech; room tone begins 20 dB lower
BESIDE_FRAMES = 2
SILENCE_POWER = 1e-12
BLOCK_FRAMES = 4096  # squared at a time: an hour of audio in 64 bits would take 1.4 GB


def frame_powers(audio: npt.NDArray[np.floating], frame_samples: int = LEVEL_FRAME_SAMPLES) -> Powers:
    """Mean squares of the frames of a recording; of the whole where it is shorter than a frame.

    Parameters
    ----------
    audio : np.ndarray [shape=(n,)]
    frame_samples : int
        Length of a frame; default: 10 ms at 48 kHz.

    Returns
    -------
    np.ndarray [shape=(frames,)]
        Empty where the recording is.
    """
    length = min(frame_samples, len(audio))
    if not length:
        return np.zeros(0)
    frames = audio[: len(audio) // length * length].reshape(-1, length)
    blocks = (frames[start : start + BLOCK_FRAMES] for start in range(0, len(frames), BLOCK_FRAMES))
    return np.concatenate([np.mean(np.square(block, dtype=np.float64), axis=1) for block in blocks])


def active(powers: npt.NDArray[np.floating], within_db: float = ACTIVE_DB) -> npt.NDArray[np.bool_]:
    """Which frames are active: those within so much of the loudest.

    Parameters
    ----------
    powers : np.ndarray [shape=(frames,)]
        Mean squares, as from `frame_powers`.
    within_db : float
    """
    return powers >= powers.max(initial=0) * 10 ** (-within_db / 10)


def active_power(powers: Powers) -> float:
    """Mean power of the active frames; 0 for silence.

    Parameters
    ----------
    powers : np.ndarray [shape=(frames,)]
        As from `frame_powers`.
    """
    return float(powers[active(powers)].mean()) if powers.size else 0.0


def active_level_db(powers: Powers) -> float:
    """Level of the active frames, relative to full scale; -inf for silence.

    Parameters
    ----------
    powers : np.ndarray [shape=(frames,)]
        As from `frame_powers`.
    """
    return power_db(active_power(powers))


def active_rms(audio: Array) -> float:
    """Root mean square of the active frames of 10 ms; 0 for silence.

    Parameters
    ----------
    audio : np.ndarray [shape=(n,)]
        At 48 kHz.
    """
    return float(np.sqrt(active_power(frame_powers(audio))))


def speech_frames(clean: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Which frames of 10 ms of clean speech are speech: within 30 dB of its active level, or two beside such a one.

    Parameters
    ----------
    clean : np.ndarray [shape=(n,)]
        At 48 kHz.

    Returns
    -------
    np.ndarray [shape=(n // 480,)]
    """
    powers = frame_powers(clean)[: len(clean) // LEVEL_FRAME_SAMPLES]
    loud = np.pad(powers > max(active_power(powers) * 10 ** (-SPEECH_DB / 10), SILENCE_POWER), BESIDE_FRAMES)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(loud, 2 * BESIDE_FRAMES + 1).any(axis=-1))


def power_db(power: float) -> float:
    return 10 * float(np.log10(power)) if power > 0 else -np.inf


def amplitude(db: float) -> float:
    return float(10 ** (db / 20))


def rms(audio: npt.NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(audio.astype(np.float64) ** 2))) if audio.size else 0.0


def fit_length(audio: npt.NDArray[np.floating], samples: int) -> Array:
    fitted = np.zeros(samples, np.float32)
    fitted[: len(audio)] = audio[:samples]
    return fitted
