"""Mixtures to train on: speech, noise and rooms put together as calls and recordings are, from a seed.

The recipe follows P21 (a wide range of levels and of signal-to-noise ratios, measured and simulated rooms, a target
that keeps the first reflections and shortens the reverberation to 200 ms, a random low-pass so that one model serves 8
to 48 kHz) and RNNoise (random second-order filters on each signal, clipping, 16-bit rounding).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.signal
import soxr

from percepnet.params import SAMPLE_RATE_HZ
from percepnet.training.corpus import AudioStore, ClipPool

Array = npt.NDArray[np.float32]

ACTIVE_DB = 40.0  # frames within so much of the loudest are taken for active
LEVEL_FRAME_SAMPLES = 480
EARLY_S = 0.020  # P21: the first 20 ms of a room stay in the target in full
TARGET_RT60_S = 0.2  # P21: what follows is made to decay like this
ROOM_MAX_S = 1.5
BEFORE_DIRECT_SAMPLES = 24  # of a room's response, kept before its direct sound: half a millisecond
LOWPASS_TRANSITION_HZ = 200.0
LOWPASS_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000)  # what narrower sources are sampled at


class Mixture(NamedTuple):
    """One training example as sound.

    Parameters
    ----------
    clean : np.ndarray [shape=(n,)]
        What the enhancer should return, at 48 kHz.
    noisy : np.ndarray [shape=(n,)]
    bandwidth_hz : float
        Above this the clean signal is unknown, or both signals are silent.
    """

    clean: Array
    noisy: Array
    bandwidth_hz: float


@dataclass(frozen=True)
class MixingConfig:
    """How mixtures are made. Shares are probabilities, from 0 to 1.

    Parameters
    ----------
    speed_share, speed_min, speed_max : float
        Speech is played slower or faster, pitch and formants with it. More is lowered than raised, since low voices are
        rarer in open recordings.
    noise_speed_share, noise_speed_min, noise_speed_max : float
        The same of noises, which have no sound of their own to keep: a few hours of them go further.
    level_min_db, level_max_db : float
        Of active speech, relative to full scale.
    no_noise_share, no_speech_share : float
    low_snr_share, high_snr_share : float
        Mixtures from -5 to 0 dB and from 20 to 45 dB; all others are from 0 to 20 dB.
    floor_min_db, floor_max_db : float
        The room tone of the clean recording, relative to speech. It is in both signals, always: pauses of digital
        silence would teach the network to shut a gate.
    second_noise_share : float
    synthetic_share : float
        Of noises made here: hiss, rumble, hum, fans, babble.
    filter_share : float
        That each half of a random second-order filter does something.
    room_share, measured_room_share : float
        Mixtures in a room; and how many of those in a measured one.
    lowpass_share, own_lowpass_share : float
        Mixtures cut at half a lower sample rate; and cut where their speech ends anyway.
    step_share, clip_share, rounding_share : float
        A sudden change of level; an overdriven input; 16 bits.
    """

    speed_share: float = 0.6
    speed_min: float = 0.82
    speed_max: float = 1.12
    noise_speed_share: float = 0.7
    noise_speed_min: float = 0.6
    noise_speed_max: float = 1.6
    level_min_db: float = -45.0
    level_max_db: float = -6.0
    no_noise_share: float = 0.06
    no_speech_share: float = 0.04
    low_snr_share: float = 0.12
    high_snr_share: float = 0.15
    floor_min_db: float = -75.0
    floor_max_db: float = -50.0
    second_noise_share: float = 0.3
    synthetic_share: float = 0.35
    filter_share: float = 0.35
    room_share: float = 0.4
    measured_room_share: float = 0.3
    lowpass_share: float = 0.25
    own_lowpass_share: float = 0.35
    step_share: float = 0.08
    clip_share: float = 0.06
    rounding_share: float = 0.5


class Mixer:
    """Makes mixtures of the recordings of one split.

    Parameters
    ----------
    speech : ClipPool
    noise : ClipPool or None
        Without one, all noises are synthetic.
    rooms : AudioStore or None
        Impulse responses; without any, all rooms are simulated.
    config : MixingConfig, optional
    """

    def __init__(
        self,
        speech: ClipPool,
        noise: ClipPool | None = None,
        rooms: AudioStore | None = None,
        config: MixingConfig | None = None,
    ) -> None:
        self.speech = speech
        self.noise = noise
        self.config = config or MixingConfig()
        self.rooms = [direct_first(rooms.read(index)) for index in range(len(rooms.clips))] if rooms else []

    def mixture(self, seed: int | Sequence[int], seconds: float) -> Mixture:
        """The mixture of a seed.

        Parameters
        ----------
        seed : int or sequence of int
        seconds : float

        Returns
        -------
        Mixture
        """
        rng = np.random.default_rng(seed)
        config = self.config
        samples = round(seconds * SAMPLE_RATE_HZ)
        voice, bandwidth_hz = self._voice(rng, samples)
        voice = self._filtered(rng, voice)
        clean, noisy = self._in_room(rng, voice) if rng.random() < config.room_share else (voice, voice)

        level = active_rms(noisy)
        scale = _amplitude(rng.uniform(config.level_min_db, config.level_max_db)) / level if level > 0 else 1.0
        clean, noisy = clean * scale, noisy * scale
        level = level * scale if level > 0 else _amplitude(config.level_min_db)
        if rng.random() < config.no_speech_share:
            clean, noisy = np.zeros_like(clean), np.zeros_like(noisy)
        floor = tilted_noise(rng, samples, rng.uniform(-9, -3))
        floor *= level * _amplitude(rng.uniform(config.floor_min_db, config.floor_max_db)) / _rms(floor)
        clean, noisy = clean + floor, noisy + floor
        if rng.random() >= config.no_noise_share:
            noisy = noisy + self._noises(rng, samples, level)

        lowpass_hz = self._lowpass_hz(rng, bandwidth_hz)
        if lowpass_hz is not None:
            clean, noisy = lowpass(clean, lowpass_hz), lowpass(noisy, lowpass_hz)
            bandwidth_hz = min(bandwidth_hz, lowpass_hz)
        clean, noisy = self._recorded(rng, clean, noisy)
        return Mixture(clean.astype(np.float32), noisy.astype(np.float32), bandwidth_hz)

    def _voice(self, rng: np.random.Generator, samples: int) -> tuple[Array, float]:
        config = self.config
        return _played(rng, self.speech, samples, config.speed_share, config.speed_min, config.speed_max)

    def _filtered(self, rng: np.random.Generator, audio: Array) -> Array:
        """A random microphone: RNNoise's second-order filter, its poles well inside the unit circle."""
        halves = [
            np.concatenate([[1.0], rng.uniform(-0.375, 0.375, 2)]) if rng.random() < self.config.filter_share else [1.0]
            for _ in range(2)
        ]
        if len(halves[0]) == len(halves[1]) == 1:
            return audio
        return np.asarray(scipy.signal.lfilter(halves[0], halves[1], audio), np.float32)

    def _in_room(self, rng: np.random.Generator, voice: Array) -> tuple[Array, Array]:
        if self.rooms and rng.random() < self.config.measured_room_share:
            response = self.rooms[int(rng.integers(len(self.rooms)))]
        else:
            response = simulated_room(rng)
        early = round(EARLY_S * SAMPLE_RATE_HZ) + BEFORE_DIRECT_SAMPLES
        response = response.copy()
        response[:early] *= rng.uniform(0.5, 1.5)  # P21: other distances
        target = shortened(response)
        return tuple(  # type: ignore[return-value]
            _fit(scipy.signal.oaconvolve(voice, room)[BEFORE_DIRECT_SAMPLES:], len(voice))
            for room in (target, response)
        )

    def _noises(self, rng: np.random.Generator, samples: int, speech_level: float) -> Array:
        config = self.config
        which = rng.random()
        if which < config.low_snr_share:
            snr_db = rng.uniform(-5, 0)
        elif which < config.low_snr_share + config.high_snr_share:
            snr_db = rng.uniform(20, 45)
        else:
            snr_db = rng.uniform(0, 20)
        total = self._one_noise(rng, samples)
        if rng.random() < config.second_noise_share:
            total = total + _amplitude(rng.uniform(-12, 0)) * self._one_noise(rng, samples)
        level = active_rms(total)
        return np.asarray(total * (speech_level * _amplitude(-snr_db) / level if level > 0 else 0.0), np.float32)

    def _one_noise(self, rng: np.random.Generator, samples: int) -> Array:
        """Of active level 1."""
        config = self.config
        if self.noise is None or rng.random() < config.synthetic_share:
            kind = int(rng.choice(4, p=(0.4, 0.15, 0.2, 0.25)))
            if kind == 0:
                audio = swelling(rng, tilted_noise(rng, samples, rng.uniform(-9, 3)))
            elif kind == 1:
                audio = hum(rng, samples)
            elif kind == 2:
                audio = fan(rng, samples)
            else:
                audio = self._babble(rng, samples)
        else:
            speeds = (config.noise_speed_share, config.noise_speed_min, config.noise_speed_max)
            audio, _ = _played(rng, self.noise, samples, *speeds)
        audio = self._filtered(rng, audio)
        level = active_rms(audio)
        return audio / np.float32(level) if level > 0 else audio

    def _babble(self, rng: np.random.Generator, samples: int) -> Array:
        total = np.zeros(samples, np.float32)
        for _ in range(int(rng.integers(3, 7))):
            voice, _ = self.speech.draw(rng, samples)
            level = active_rms(voice)
            if level > 0:
                total += voice * np.float32(_amplitude(rng.uniform(-8, 0)) / level)
        return _fit(scipy.signal.oaconvolve(total, simulated_room(rng)), samples)

    def _lowpass_hz(self, rng: np.random.Generator, bandwidth_hz: float) -> float | None:
        # both draws are always made, so that one share does not change what the other's seed gives
        own, other = rng.random(), rng.random()
        rate_hz = LOWPASS_RATES_HZ[int(rng.integers(len(LOWPASS_RATES_HZ)))]
        if own < self.config.own_lowpass_share and bandwidth_hz < 0.9 * SAMPLE_RATE_HZ / 2:
            return bandwidth_hz
        if other < self.config.lowpass_share:
            return 0.47 * rate_hz  # converters stop a little short of half their rate
        return None

    def _recorded(self, rng: np.random.Generator, clean: Array, noisy: Array) -> tuple[Array, Array]:
        config = self.config
        if rng.random() < config.step_share:
            gain = np.ones(len(clean), np.float32)
            at = int(rng.integers(len(clean)))
            gain[at:] = _amplitude(rng.uniform(-15, 6))
            clean, noisy = clean * gain, noisy * gain
        peak = float(np.abs(noisy).max(initial=0.0))
        if peak > 0 and rng.random() < config.clip_share:
            drive = np.float32(_amplitude(rng.uniform(0, 9)) / peak)
            clean, noisy = clean * drive, np.clip(noisy * drive, -1, 1)
        elif peak > 1:
            clean, noisy = clean / np.float32(peak), noisy / np.float32(peak)
        if rng.random() < config.rounding_share:
            noisy = np.asarray(np.rint(noisy * 32768) / 32768, np.float32)
        return clean, noisy


def _played(
    rng: np.random.Generator, pool: ClipPool, samples: int, share: float, slowest: float, fastest: float
) -> tuple[Array, float]:
    """Recordings at another speed, for a share of the draws, and the bandwidth that they then have."""
    if rng.random() >= share:
        return pool.draw(rng, samples)
    speed = float(np.exp(rng.uniform(np.log(slowest), np.log(fastest))))
    audio, bandwidth_hz = pool.draw(rng, int(np.ceil(samples * speed)) + 1)
    resampled = soxr.resample(audio, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ, quality="MQ")
    return _fit(resampled, samples), min(bandwidth_hz * speed, SAMPLE_RATE_HZ / 2)


def active_rms(audio: Array) -> float:
    """Root mean square of the frames of 10 ms that are within 40 dB of the loudest; 0 for silence.

    Parameters
    ----------
    audio : np.ndarray [shape=(n,)]
    """
    frames = audio[: len(audio) // LEVEL_FRAME_SAMPLES * LEVEL_FRAME_SAMPLES].reshape(-1, LEVEL_FRAME_SAMPLES)
    if not frames.size:
        return _rms(audio)
    power = np.mean(frames.astype(np.float64) ** 2, axis=1)
    active = power[power >= power.max() * 10 ** (-ACTIVE_DB / 10)]
    return float(np.sqrt(active.mean()))


def reverberation_time_s(response: Array) -> float:
    """RT60 of an impulse response, from the decay of its energy between -5 and -25 dB (Schroeder's integral).

    Parameters
    ----------
    response : np.ndarray [shape=(n,)]
        At 48 kHz.

    Returns
    -------
    float
        In seconds; 0 for a response that is over at once.
    """
    left = np.cumsum(response[::-1].astype(np.float64) ** 2)[::-1]
    if left[0] <= 0:
        return 0.0
    with np.errstate(divide="ignore"):
        decay_db = 10 * np.log10(left / left[0])
    begin, end = (int(np.argmax(decay_db <= limit)) if (decay_db <= limit).any() else 0 for limit in (-5, -25))
    return 3 * max(0, end - begin) / SAMPLE_RATE_HZ


def direct_first(response: Array) -> Array:
    """An impulse response from half a millisecond before its direct sound, at most 1.5 s, of early energy 1."""
    direct = int(np.argmax(np.abs(response)))
    padded = np.concatenate([np.zeros(BEFORE_DIRECT_SAMPLES, np.float32), response])
    cut = padded[direct : direct + round(ROOM_MAX_S * SAMPLE_RATE_HZ)]
    early = cut[: round(EARLY_S * SAMPLE_RATE_HZ)]
    energy = float(np.sqrt(np.sum(early.astype(np.float64) ** 2)))
    return np.asarray(cut / energy if energy > 0 else cut, np.float32)


def shortened(response: Array) -> Array:
    """An impulse response with its first 20 ms as they are and the rest decaying as in a room of RT60 = 200 ms (P21).

    Parameters
    ----------
    response : np.ndarray [shape=(n,)]
        As from `direct_first`.

    Returns
    -------
    np.ndarray [shape=(n,)]
        The response itself where the room is drier than that.
    """
    rt60_s = reverberation_time_s(response)
    if rt60_s <= TARGET_RT60_S:
        return response
    late_s = np.maximum(0, (np.arange(len(response)) - BEFORE_DIRECT_SAMPLES) / SAMPLE_RATE_HZ - EARLY_S)
    return np.asarray(response * 10 ** (-3 * late_s * (1 / TARGET_RT60_S - 1 / rt60_s)), np.float32)


def simulated_room(rng: np.random.Generator) -> Array:
    """A plausible small room: a direct sound, a handful of reflections, and a tail of noise that decays.

    Returns
    -------
    np.ndarray [shape=(n,)]
        As from `direct_first`.
    """
    rt60_s = rng.uniform(0.15, 0.8)
    samples = round(1.1 * rt60_s * SAMPLE_RATE_HZ)
    time_s = np.arange(samples) / SAMPLE_RATE_HZ
    noise = rng.standard_normal(samples)
    # air and curtains take the treble first
    low = np.asarray(scipy.signal.sosfilt(scipy.signal.butter(2, 3000, fs=SAMPLE_RATE_HZ, output="sos"), noise))
    treble_rt60_s = rng.uniform(0.4, 0.9) * rt60_s
    tail = low * 10 ** (-3 * time_s / rt60_s) + (noise - low) * 10 ** (-3 * time_s / treble_rt60_s)
    tail *= np.clip((time_s - rng.uniform(0.001, 0.004)) / rng.uniform(0.005, 0.020), 0, 1)  # echoes grow dense
    reflections = int(rng.integers(4, 16))
    at_s = rng.uniform(0.001, 0.040, reflections)
    at_s = at_s[at_s < time_s[-1]]
    response = tail * np.sqrt(_amplitude(rng.uniform(-4, 14)) ** -2 / np.sum(tail**2))
    response[(at_s * SAMPLE_RATE_HZ).astype(int)] += (
        rng.uniform(0.1, 0.6, len(at_s)) * rng.choice([-1, 1], len(at_s)) * 10 ** (-3 * at_s / rt60_s)
    )
    response[0] = 1
    return direct_first(response.astype(np.float32))


def lowpass(audio: Array, cutoff_hz: float) -> Array:
    """The audio without what is above a frequency, as if it had been sampled at twice that rate.

    Parameters
    ----------
    audio : np.ndarray [shape=(n,)]
    cutoff_hz : float
        Where a transition of 200 Hz ends.
    """
    padded = scipy.fft.next_fast_len(len(audio) + SAMPLE_RATE_HZ // 20, real=True)
    spectrum = scipy.fft.rfft(audio, padded)
    frequency_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, len(spectrum))
    slope = np.clip((cutoff_hz - frequency_hz) / LOWPASS_TRANSITION_HZ, 0, 1)
    response = np.sin(0.5 * np.pi * slope) ** 2
    return np.asarray(scipy.fft.irfft(spectrum * response.astype(np.float32), padded)[: len(audio)], np.float32)


def tilted_noise(rng: np.random.Generator, samples: int, db_per_octave: float) -> Array:
    """Gaussian noise whose spectrum rises by so many dB an octave above 40 Hz: 0 is white, -3 pink, -6 brown."""
    padded = scipy.fft.next_fast_len(samples, real=True)
    frequency_hz = np.fft.rfftfreq(padded, 1 / SAMPLE_RATE_HZ)
    shape = np.maximum(frequency_hz, 40) ** (db_per_octave / (20 * np.log10(2)))
    white = scipy.fft.rfft(rng.standard_normal(padded).astype(np.float32))
    audio = scipy.fft.irfft(white * (shape / shape.max()).astype(np.float32), padded)[:samples]
    return np.asarray(audio / max(_rms(audio), 1e-12), np.float32)


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
    return np.asarray(tone / _rms(tone) + hiss * _amplitude(hiss_db), np.float32)


def _amplitude(db: float) -> float:
    return float(10 ** (db / 20))


def _rms(audio: npt.NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(audio.astype(np.float64) ** 2))) if audio.size else 0.0


def _fit(audio: npt.NDArray[np.floating], samples: int) -> Array:
    fitted = np.zeros(samples, np.float32)
    fitted[: len(audio)] = audio[:samples]
    return fitted
