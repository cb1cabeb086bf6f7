"""Synthetic voices with a known pitch, for tests."""

from functools import lru_cache

import numpy as np

RATE_HZ = 48_000


@lru_cache(maxsize=32)
def glide(
    seed: int, seconds: float = 4.0, low_hz: float = 60.0, high_hz: float = 480.0
) -> tuple[np.ndarray, np.ndarray]:
    """A voiced sound whose pitch wanders up to one and a half octaves a second.

    Harmonics up to 8 kHz fall off by 6 dB an octave and pass three random formants.

    Returns
    -------
    voice : np.ndarray [shape=(n,)]
        Of RMS 0.05.
    f0_hz : np.ndarray [shape=(n,)]
    """
    rng = np.random.default_rng(seed)
    samples = int(seconds * RATE_HZ)
    times, knots = [0.0], [np.exp(rng.uniform(np.log(low_hz), np.log(high_hz)))]
    while times[-1] < seconds:
        step = rng.uniform(0.25, 0.6)
        times.append(times[-1] + step)
        knots.append(np.clip(knots[-1] * 2.0 ** (rng.uniform(-1.5, 1.5) * step), low_hz, high_hz))
    f0_hz = np.exp(np.interp(np.arange(samples) / RATE_HZ, times, np.log(knots)))
    phase = 2 * np.pi * np.cumsum(f0_hz) / RATE_HZ
    formants = [
        (rng.uniform(*span), width) for span, width in (((300, 800), 80), ((900, 2000), 120), ((2200, 3200), 180))
    ]
    voice = np.zeros(samples)
    for harmonic in range(1, int(8000 / low_hz) + 1):
        frequency = harmonic * f0_hz
        audible = frequency < 8000
        resonance = sum(1.0 / (1.0 + ((frequency - centre) / width) ** 2) for centre, width in formants)
        voice += np.where(audible, np.cos(harmonic * phase) / harmonic * (0.1 + resonance), 0.0)
    return 0.05 * voice / np.sqrt(np.mean(voice**2)), f0_hz


def steady(period_samples: float, seconds: float = 1.0, harmonics_to_hz: float = 6000.0) -> np.ndarray:
    """Equal harmonics of a constant pitch, of RMS 0.1."""
    n = np.arange(int(seconds * RATE_HZ))
    count = int(harmonics_to_hz * period_samples / RATE_HZ)
    voice = sum(np.cos(2 * np.pi * k * n / period_samples + k * k) for k in range(1, count + 1))
    return 0.1 * voice / np.sqrt(np.mean(voice**2))


def noise(seed: int, samples: int, rms: float) -> np.ndarray:
    """White noise."""
    return rms * np.random.default_rng(seed).standard_normal(samples)
