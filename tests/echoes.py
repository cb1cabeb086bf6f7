"""Far ends, and their echoes in simulated rooms, for tests."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile

from percepnet.acoustics.rooms import shortened, simulated_room
from percepnet.params import HOP_SAMPLES
from voices import RATE_HZ

CLEAN = Path(__file__).parents[1] / "examples" / "clips" / "clean"


@lru_cache(maxsize=8)
def speech(name: str, seconds: float) -> np.ndarray:
    """A clip without noise, over and over, of RMS 0.05."""
    x, _ = soundfile.read(CLEAN / f"{name}.flac", dtype="float32")
    samples = round(seconds * RATE_HZ) // HOP_SAMPLES * HOP_SAMPLES
    looped = np.resize(x, samples)
    return (0.05 * looped / np.sqrt(np.mean(looped**2))).astype(np.float32)


def echo(far: np.ndarray, seed: int = 1, delay_ms: float = 0.0, gain: float = 0.5) -> np.ndarray:
    """What a microphone hears of it in a simulated room."""
    room = shortened(simulated_room(np.random.default_rng(seed)))
    delay = round(delay_ms * RATE_HZ / 1000)
    heard = gain * scipy.signal.fftconvolve(far, room)[: len(far)]
    return np.concatenate([np.zeros(delay), heard])[: len(far)].astype(np.float32)


def reduction_db(before: np.ndarray, after: np.ndarray, start_s: float, end_s: float) -> float:
    """ERLE: by how much the power of a stretch went down."""
    part = slice(round(start_s * RATE_HZ), round(end_s * RATE_HZ))
    return float(10 * np.log10(np.sum(before[part] ** 2) / (np.sum(after[part] ** 2) + 1e-20)))


def si_sdr_db(clean: np.ndarray, found: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio."""
    target = np.dot(clean, found) / np.dot(clean, clean) * clean
    return float(10 * np.log10(np.sum(target**2) / np.sum((found - target) ** 2)))
