"""Noises made from nothing: hiss and rumble, hum, fans, and the knocks and calls that recordings are short of."""

import numpy as np
import numpy.typing as npt
import scipy.fft

from percepnet.acoustics.levels import amplitude, rms
from percepnet.arrays import Array
from percepnet.params import SAMPLE_RATE_HZ


def tilted_noise(rng: np.random.Generator, samples: int, db_per_octave: float) -> Array:
    """Gaussian noise whose spectrum rises by so many dB an octave above 40 Hz: 0 is white, -3 pink, -6 brown."""
    padded = scipy.fft.next_fast_len(samples, real=True)
    frequency_hz = np.fft.rfftfreq(padded, 1 / SAMPLE_RATE_HZ)
    shape = np.maximum(frequency_hz, 40) ** (db_per_octave / (20 * np.log10(2)))
    white = scipy.fft.rfft(rng.standard_normal(padded).astype(np.float32))
    audio = scipy.fft.irfft(white * (shape / shape.max()).astype(np.float32), padded)[:samples]
    return np.asarray(audio / max(rms(audio), 1e-12), np.float32)


def swelling(rng: np.random.Generator, audio: Array) -> Array:
    """The audio with a level that wanders by some decibels within seconds, as wind and traffic do."""
    knots = max(2, round(len(audio) / SAMPLE_RATE_HZ) + 1)
    level_db = np.interp(
        np.linspace(0, knots - 1, len(audio)), np.arange(knots), rng.uniform(0, 6) * rng.standard_normal(knots)
    )
    return np.asarray(audio * 10 ** (level_db / 20), np.float32)


def hum(rng: np.random.Generator, samples: int) -> Array:
    """Mains hum: 50 or 60 Hz and its harmonics, over a little hiss."""
    return _harmonics(
        rng, samples, float(rng.choice([50, 60])), int(rng.integers(4, 40)), hiss_db=rng.uniform(-40, -10)
    )


def fan(rng: np.random.Generator, samples: int) -> Array:
    """A fan: rushing air, and the harmonics of its blades."""
    return _harmonics(rng, samples, rng.uniform(60, 400), int(rng.integers(2, 10)), hiss_db=rng.uniform(-5, 15))


def _harmonics(rng: np.random.Generator, samples: int, hz: float, count: int, hiss_db: float) -> Array:
    time_s = np.arange(samples) / SAMPLE_RATE_HZ
    wander = 2e-3 * np.sin(2 * np.pi * rng.uniform(0.1, 1) * time_s + rng.uniform(0, 6))
    phase = 2 * np.pi * hz * (time_s + wander / hz)
    fundamental = np.exp(1j * phase).astype(np.complex64)
    total = np.zeros(samples, np.complex64)
    harmonic = np.ones(samples, np.complex64)
    for k in range(1, count + 1):
        harmonic *= fundamental
        total += harmonic * np.complex64(
            rng.uniform(0.1, 1) * k ** rng.uniform(-1.5, -0.3) * np.exp(1j * rng.uniform(0, 6))
        )
    tone = total.real
    hiss = tilted_noise(rng, samples, rng.uniform(-9, -2))
    return np.asarray(tone / rms(tone) + hiss * amplitude(hiss_db), np.float32)


def knocks(rng: np.random.Generator, samples: int) -> Array:
    """Knocks, clicks and clatter: things that are struck, again and again, and ring for a moment."""
    audio = np.zeros(samples, np.float32)
    per_second = float(np.exp(rng.uniform(np.log(0.5), np.log(10))))
    thing = _struck(rng)
    at = 0
    while (at := at + int(rng.exponential(SAMPLE_RATE_HZ / per_second))) < samples:
        if rng.random() < 0.3:
            thing = _struck(rng)
        _add(audio, at, thing * np.float32(amplitude(rng.uniform(-15, 0))))
    return audio


def calls(rng: np.random.Generator, samples: int) -> Array:
    """Calls as of animals, toys and alarms: voiced as speech is, but with other pitches, glides and envelopes."""
    audio = np.zeros(samples, np.float32)
    at = int(rng.exponential(0.5) * SAMPLE_RATE_HZ)
    while at < samples:
        call = _call(rng)
        pause = rng.uniform(0.02, 0.6) * SAMPLE_RATE_HZ
        for _ in range(int(rng.integers(1, 6))):
            _add(audio, at, call * np.float32(amplitude(rng.uniform(-6, 0))))
            at += len(call) + int(pause * rng.uniform(0.8, 1.2))
        at += int(rng.exponential(1.0) * SAMPLE_RATE_HZ)
    return audio


def equalised(rng: np.random.Generator, audio: Array, deviation_db: float) -> Array:
    """The audio with a smooth random colour.

    Parameters
    ----------
    rng : np.random.Generator
    audio : np.ndarray [shape=(n,)]
    deviation_db : float
        Standard deviation of the gains, which are drawn for each octave.
    """
    padded = scipy.fft.next_fast_len(len(audio), real=True)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(padded, 1 / SAMPLE_RATE_HZ), 60) / 60)
    gain_db = np.interp(octaves, np.arange(10), deviation_db * rng.standard_normal(10))
    spectrum = scipy.fft.rfft(audio, padded) * (10 ** (gain_db / 20)).astype(np.float32)
    return np.asarray(scipy.fft.irfft(spectrum, padded)[: len(audio)], np.float32)


def _struck(rng: np.random.Generator) -> Array:
    samples = int(rng.uniform(0.05, 0.6) * SAMPLE_RATE_HZ)
    time_s = np.arange(samples) / SAMPLE_RATE_HZ
    burst = tilted_noise(rng, samples, rng.uniform(-9, 3)) * np.exp(-time_s / rng.uniform(0.001, 0.03))
    total = burst * amplitude(rng.uniform(-10, 10))
    for _ in range(int(rng.integers(1, 8))):
        hz = np.exp(rng.uniform(np.log(80), np.log(9000)))
        decay_s = rng.uniform(0.003, 0.15) * min(1.0, (500 / hz) ** 0.3)
        total += rng.uniform(0.1, 1) * np.sin(2 * np.pi * hz * time_s + rng.uniform(0, 6)) * np.exp(-time_s / decay_s)
    return np.asarray(total / max(float(np.abs(total).max()), 1e-9) * _fade(samples), np.float32)


def _call(rng: np.random.Generator) -> Array:
    samples = int(np.exp(rng.uniform(np.log(0.06), np.log(1.2))) * SAMPLE_RATE_HZ)
    time_s = np.arange(samples) / SAMPLE_RATE_HZ
    octaves = np.log2(rng.uniform(120, 1200)) + np.cumsum(rng.normal(0, 0.35, 4))
    vibrato = rng.uniform(0, 0.04) * np.sin(2 * np.pi * rng.uniform(3, 30) * time_s)
    hz = 2 ** (np.interp(np.linspace(0, 3, samples), np.arange(4), octaves) + vibrato)
    fundamental = np.exp(2j * np.pi * np.cumsum(hz) / SAMPLE_RATE_HZ).astype(np.complex64)
    peaks_hz, widths = np.exp(rng.uniform(np.log(300), np.log(7000), 3)), rng.uniform(0.2, 0.8, 3)
    tilt = rng.uniform(-1.5, 0)
    tone, harmonic = np.zeros(samples, np.complex64), np.ones(samples, np.complex64)
    for k in range(1, min(40, int(0.45 * SAMPLE_RATE_HZ / hz.max())) + 1):
        harmonic *= fundamental
        near = np.exp(-0.5 * (np.log2(k * hz.mean() / peaks_hz) / widths) ** 2).sum()
        tone += harmonic * np.complex64((0.05 + near) * k**tilt * np.exp(1j * rng.uniform(0, 6)))
    breath = tilted_noise(rng, samples, rng.uniform(-6, 3)) * amplitude(rng.uniform(-30, 3))
    total = tone.real / max(rms(tone.real), 1e-9) + breath
    loudness = np.interp(np.linspace(0, 4, samples), np.arange(5), [0, *rng.uniform(0.3, 1, 3), 0])
    return np.asarray(total * loudness * _fade(samples), np.float32)


def _fade(samples: int) -> npt.NDArray[np.float64]:
    """Ends without a click."""
    fade = min(samples // 2, SAMPLE_RATE_HZ // 500)
    shape = np.ones(samples)
    shape[samples - fade :] = np.linspace(1, 0, fade)
    return shape


def _add(audio: Array, at: int, piece: Array) -> None:
    fitting = piece[: max(0, len(audio) - at)]
    audio[at : at + len(fitting)] += fitting
