"""Conditions that make enhancement harder: a pair of speech and noise put together again under one of them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from percepnet.acoustics.pairs import PEAK_MAX, looped, speech_level_db
from percepnet.acoustics.resampling import resampled
from percepnet.arrays import Samples
from percepnet.params import SAMPLE_RATE_HZ

SETTLING_S = 1.0  # in which a system finds out that there is no speech
ROOM_FIRST_S = 0.002  # from the direct sound to the first reflection


class Scene(NamedTuple):
    """What a system gets, what it should give, and the sample from which it is judged.

    Where it should give nothing, the one metric is how much less it gives than it gets.
    """

    reference: Samples
    noisy: Samples
    start: int = 0


class Curve(NamedTuple):
    """A property of the input, and a way to give it to a pair of speech and noise [shape=(n,) each, 48 kHz]."""

    title: str
    unit: str
    values: tuple[float, ...]
    scene: Callable[[Samples, Samples, float], Scene]


def at_snr(speech: Samples, noise: Samples, snr_db: float) -> Scene:
    """Active speech level over the mean level of the noise."""
    noise_db = 10 * np.log10(np.mean(np.square(noise, dtype=np.float64)) + 1e-20)
    gain = np.float32(10 ** ((speech_level_db(speech) - noise_db - snr_db) / 20))
    return _within_range(speech, speech + gain * noise)


def at_level(speech: Samples, noise: Samples, peak_dbfs: float) -> Scene:
    """Both at another level; the value is that of the peak."""
    gain = np.float32(10 ** (peak_dbfs / 20) / np.max(np.abs(speech + noise)))
    return Scene(gain * speech, gain * (speech + noise))


def at_rate(speech: Samples, noise: Samples, rate_khz: float) -> Scene:
    """Both through another rate, which ends the band at half of it."""
    rate_hz = round(1000 * rate_khz)
    narrow = [resampled(resampled(x, SAMPLE_RATE_HZ, rate_hz), rate_hz, SAMPLE_RATE_HZ) for x in (speech, noise)]
    speech, noise = (np.resize(np.pad(x, (0, 8)), len(speech)) for x in narrow)
    return _within_range(speech, speech + noise)


def clipped(speech: Samples, noise: Samples, depth_db: float) -> Scene:
    """The input cut off so far below its peak; the reference is whole."""
    limit = np.float32(np.max(np.abs(speech + noise)) * 10 ** (-depth_db / 20))
    return Scene(speech, np.clip(speech + noise, -limit, limit))


def with_gain_step(speech: Samples, noise: Samples, step_db: float) -> Scene:
    """Louder or softer from the middle on, speech and noise alike."""
    gain = np.ones(len(speech), np.float32)
    gain[len(gain) // 2 :] = 10 ** (step_db / 20)
    return _within_range(gain * speech, gain * (speech + noise))


def in_room(speech: Samples, noise: Samples, rt60_s: float) -> Scene:
    """Speech with the tail of a room, as strong as the direct sound at 1 s, weaker in shorter rooms; noise as it is."""
    if rt60_s <= 0:
        return _within_range(speech, speech + noise)
    t = np.arange(round(rt60_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = np.random.default_rng(0).standard_normal(len(t)) * 10 ** (-3 * t / rt60_s) * (t >= ROOM_FIRST_S)
    tail *= np.sqrt(rt60_s / np.sum(tail**2))
    size = len(speech) + len(tail)
    reverberant = np.fft.irfft(np.fft.rfft(speech, size) * np.fft.rfft(tail, size), size)[: len(speech)]
    return _within_range(speech, (speech + noise + reverberant).astype(np.float32))


def after_pause(speech: Samples, noise: Samples, pause_s: float) -> Scene:
    """A pause with noise alone before the speech; what is judged is the speech."""
    pause = round(pause_s * SAMPLE_RATE_HZ)
    whole = looped(noise, pause + len(noise))
    reference = np.pad(speech, (pause, 0))
    return _within_range(reference, reference + whole, pause)


def alone(speech: Samples, noise: Samples, peak_dbfs: float) -> Scene:
    """Nobody speaks; the value is the peak of the noise."""
    gain = np.float32(10 ** (peak_dbfs / 20) / np.max(np.abs(noise)))
    return Scene(np.zeros_like(noise), gain * noise, round(SETTLING_S * SAMPLE_RATE_HZ))


def attenuation_db(noisy: Samples, y: Samples) -> float:
    """By how much a result is softer than the input, 100 dB at most.

    Parameters
    ----------
    noisy, y : np.ndarray [shape=(n,)]
    """
    before, after = (float(np.mean(np.square(x, dtype=np.float64))) for x in (noisy, y))
    return float(10 * np.log10(before / max(after, 1e-10 * before))) if before > 0 else np.nan


CURVES: dict[str, Curve] = {
    "snr": Curve("Signal-to-noise ratio", "dB", (-5, 0, 5, 10, 15, 20, 30, 45), at_snr),
    "noise": Curve("Noise alone, level of its peak", "dBFS", (-50, -30, -10), alone),
    "level": Curve("Level of the input's peak", "dBFS", (-50, -40, -30, -20, -10, 0), at_level),
    "rate": Curve("Sample rate of the source", "kHz", (8, 12, 16, 24, 32, 48), at_rate),
    "clipping": Curve("Clipping below the peak", "dB", (0, 3, 6, 12, 18), clipped),
    "gain": Curve("Step of gain in the middle", "dB", (-24, -12, 0, 12, 24), with_gain_step),
    "room": Curve("Reverberation time, simulated", "s", (0, 0.2, 0.4, 0.8, 1.2), in_room),
    "pause": Curve("Pause before the speech", "s", (0, 1, 5, 15), after_pause),
}


def _within_range(reference: Samples, noisy: Samples, start: int = 0) -> Scene:
    """Both lowered together where the input would pass full scale."""
    gain = np.float32(min(1.0, PEAK_MAX / max(float(np.max(np.abs(noisy))), 1e-9)))
    return Scene(gain * reference, gain * noisy, start)
