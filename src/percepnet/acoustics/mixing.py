"""Mixtures to train on: speech, noise and rooms put together as calls and recordings are, from a seed.

The recipe follows P21 (a wide range of levels and of signal-to-noise ratios, measured and simulated rooms, a target
that keeps the first reflections and shortens the reverberation to 200 ms, a random low-pass so that one model serves 8
to 48 kHz) and RNNoise (random second-order filters on each signal, clipping, 16-bit rounding).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import scipy.fft
import scipy.signal
import soxr

from percepnet.acoustics.levels import active_rms, amplitude, fit_length, rms
from percepnet.acoustics.rooms import BEFORE_DIRECT_SAMPLES, EARLY_S, direct_first, shortened, simulated_room
from percepnet.acoustics.synthetic_noise import calls, equalised, fan, hum, knocks, swelling, tilted_noise
from percepnet.arrays import Array
from percepnet.params import SAMPLE_RATE_HZ

LOWPASS_TRANSITION_HZ = 200.0
FADE_SAMPLES = SAMPLE_RATE_HZ // 100
EVENT_AROUND_SAMPLES = 4 * SAMPLE_RATE_HZ  # in which an event is the loudest moment
NEARLY_CLEAN_DB = 40.0  # the level of speech over everything else from which a recording had better be left alone
LIMIT_SLOPE = 1.5  # decibels more of attenuation for each decibel that speech is nearer to the rest
BABBLE_VOICES = (3, 7)  # from, and below, as all ranges of random integers
CROWD_VOICES = (2, 11)
CROWD_TABLES = 4  # at which each voice of a crowd is heard
CROWD_SOFTEST_DB = -15.0
LOWPASS_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000)  # what narrower sources are sampled at


class Source(Protocol):
    """What speech and noise are drawn from."""

    def draw(self, rng: np.random.Generator, samples: int) -> tuple[Array, float]:
        """A stretch of sound [shape=(samples,)] at 48 kHz, and where its spectrum ends, in Hz."""


class Mixture(NamedTuple):
    """One training example as sound.

    Parameters
    ----------
    clean : np.ndarray [shape=(n,)]
        What the enhancer should return, at 48 kHz.
    noisy : np.ndarray [shape=(n,)]
    bandwidth_hz : float
        Above this the clean speech is unknown; its pauses are known.
    cutoff_hz : float
        Above this both signals are silent.
    limit_db : float
        No band has to be attenuated by more than this.
    """

    clean: Array
    noisy: Array
    bandwidth_hz: float
    cutoff_hz: float = SAMPLE_RATE_HZ / 2
    limit_db: float = np.inf


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
        Of noises made here: hiss, rumble, hum, fans, babble, knocks, calls.
    crowd_share : float
        Of noises that are a crowd in a room, as in a café: 8 to 40 voices.
    event_share : float
        Of recorded noises that are cut to short events, which come again at random times.
    reverse_share, noise_room_share : float
        Of noises that are played backwards, and of those in a simulated room.
    pause_share, pause_min_s, pause_max_s : float
        Speech that begins late, or stops for a while.
    distance_share, distance_max_db : float
        Speech of which a stretch is softer by up to so much, as of somebody who is far away; the noise stays.
    quiet_distance_share : float
        Of those mixtures, in which the noise is softer by up to as much: who is far away is heard in a quiet room.
    filter_share : float
        That each half of a random second-order filter does something.
    equaliser_share, speech_colour_db, noise_colour_db : float
        Signals of another colour, and the standard deviation of their gains.
    room_share, measured_room_share : float
        Mixtures in a room; and how many of those in a measured one.
    lowpass_share, own_lowpass_share : float
        Mixtures cut at half a lower sample rate; and cut where their speech ends anyway.
    step_share, clip_share, rounding_share : float
        A sudden change of level; an overdriven input; 16 bits.
    clean_limit_db : float
        The attenuation that is enough for speech 40 dB above all else, noise and reverberation; 1.5 dB more for each dB
        that it is less (PercepNet+ has a switch for this). Without it weak sounds of clean speech suffer for noise that
        nobody hears. inf limits nothing.
    backwards : bool
        All mixtures from their end to their beginning: for a network that hears recordings backwards.
    """

    speed_share: float = 0.6
    speed_min: float = 0.72
    speed_max: float = 1.3
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
    crowd_share: float = 0.0
    event_share: float = 0.3
    reverse_share: float = 0.1
    noise_room_share: float = 0.25
    equaliser_share: float = 0.5
    speech_colour_db: float = 2.0
    noise_colour_db: float = 5.0
    pause_share: float = 0.0
    pause_min_s: float = 0.5
    pause_max_s: float = 6.0
    distance_share: float = 0.0
    distance_max_db: float = 40.0
    quiet_distance_share: float = 0.0
    filter_share: float = 0.35
    room_share: float = 0.4
    measured_room_share: float = 0.3
    lowpass_share: float = 0.25
    own_lowpass_share: float = 0.35
    step_share: float = 0.08
    clip_share: float = 0.06
    rounding_share: float = 0.5
    clean_limit_db: float = np.inf
    backwards: bool = False


class Mixer:
    """Makes mixtures of the recordings of one split.

    Parameters
    ----------
    speech : Source
    noise : Source or None
        Without one, all noises are synthetic.
    rooms : iterable of np.ndarray [shape=(n,)]
        Impulse responses at 48 kHz; without any, all rooms are simulated.
    config : MixingConfig, optional
    """

    def __init__(
        self,
        speech: Source,
        noise: Source | None = None,
        rooms: Iterable[Array] = (),
        config: MixingConfig | None = None,
    ) -> None:
        self.speech = speech
        self.noise = noise
        self.config = config or MixingConfig()
        self.rooms = [direct_first(response) for response in rooms]

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
        voice = self._filtered(rng, voice, config.speech_colour_db)
        voice, farther_db = self._interrupted(rng, voice)
        clean, noisy = self._in_room(rng, voice) if rng.random() < config.room_share else (voice, voice)

        level = active_rms(noisy)
        scale = amplitude(rng.uniform(config.level_min_db, config.level_max_db)) / level if level > 0 else 1.0
        clean, noisy = clean * scale, noisy * scale
        level = level * scale if level > 0 else amplitude(config.level_min_db)
        if rng.random() < config.no_speech_share:
            clean, noisy = np.zeros_like(clean), np.zeros_like(noisy)
            bandwidth_hz = SAMPLE_RATE_HZ / 2
        floor = tilted_noise(rng, samples, rng.uniform(-9, -3))
        floor *= level * amplitude(rng.uniform(config.floor_min_db, config.floor_max_db)) / rms(floor)
        clean, noisy = clean + floor, noisy + floor
        if rng.random() >= config.no_noise_share:
            quieter_db = 0.0
            if farther_db and config.quiet_distance_share and rng.random() < config.quiet_distance_share:
                quieter_db = rng.uniform(0, farther_db)
            noisy = noisy + self._noises(rng, samples, level * amplitude(-quieter_db))

        cutoff_hz = self._lowpass_hz(rng, bandwidth_hz)
        if cutoff_hz < SAMPLE_RATE_HZ / 2:
            clean, noisy = lowpass(clean, cutoff_hz), lowpass(noisy, cutoff_hz)
        clean, noisy = self._recorded(rng, clean, noisy)
        limit_db = attenuation_limit_db(clean, noisy, config.clean_limit_db)
        clean, noisy = clean.astype(np.float32), noisy.astype(np.float32)
        if config.backwards:
            clean, noisy = clean[::-1].copy(), noisy[::-1].copy()
        return Mixture(clean, noisy, min(bandwidth_hz, cutoff_hz), cutoff_hz, limit_db)

    def _voice(self, rng: np.random.Generator, samples: int) -> tuple[Array, float]:
        config = self.config
        return _played(rng, self.speech, samples, config.speed_share, config.speed_min, config.speed_max)

    def _interrupted(self, rng: np.random.Generator, voice: Array) -> tuple[Array, float]:
        """The voice with a pause, or with a stretch from far away, and how many decibels softer that is."""
        config = self.config
        shares = (config.pause_share, config.distance_share)
        if any(shares):
            what = rng.choice(3, p=(*shares, 1 - sum(shares)))
            if what == 0:
                seconds = rng.uniform(config.pause_min_s, config.pause_max_s)
                return _turned_down(rng, voice, round(seconds * SAMPLE_RATE_HZ), 0.0), 0.0
            if what == 1:
                samples = int(rng.integers(len(voice) // 4, 3 * len(voice) // 4 + 1))
                farther_db = float(rng.uniform(6, config.distance_max_db))
                return _turned_down(rng, voice, samples, amplitude(-farther_db)), farther_db
        return voice, 0.0

    def _filtered(self, rng: np.random.Generator, audio: Array, colour_db: float) -> Array:
        """A random microphone: RNNoise's second-order filter, its poles well inside the unit circle, and a colour."""
        if rng.random() < self.config.equaliser_share:
            audio = equalised(rng, audio, colour_db)
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
            fit_length(scipy.signal.oaconvolve(voice, room)[BEFORE_DIRECT_SAMPLES:], len(voice))
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
            total = total + amplitude(rng.uniform(-12, 0)) * self._one_noise(rng, samples)
        level = active_rms(total)
        return np.asarray(total * (speech_level * amplitude(-snr_db) / level if level > 0 else 0.0), np.float32)

    def _one_noise(self, rng: np.random.Generator, samples: int) -> Array:
        """Of active level 1."""
        config = self.config
        if config.crowd_share and rng.random() < config.crowd_share:
            audio = self._crowd(rng, samples)
        elif self.noise is None or rng.random() < config.synthetic_share:
            audio = self._synthetic(rng, samples)
        else:
            made_by = self._events if rng.random() < config.event_share else self._recording
            audio = made_by(rng, self.noise, samples)
            if rng.random() < config.reverse_share:
                audio = audio[::-1]
        audio = self._filtered(rng, audio, config.noise_colour_db)
        if rng.random() < config.noise_room_share:
            audio = fit_length(scipy.signal.oaconvolve(audio, simulated_room(rng)), samples)
        level = active_rms(audio)
        return audio / np.float32(level) if level > 0 else audio

    def _synthetic(self, rng: np.random.Generator, samples: int) -> Array:
        kind = int(rng.choice(6, p=(0.32, 0.1, 0.17, 0.22, 0.14, 0.05)))
        if kind == 0:
            return swelling(rng, tilted_noise(rng, samples, rng.uniform(-9, 3)))
        if kind == 3:
            return self._babble(rng, samples)
        return {1: hum, 2: fan, 4: knocks, 5: calls}[kind](rng, samples)

    def _recording(self, rng: np.random.Generator, noise: Source, samples: int) -> Array:
        config = self.config
        speeds = (config.noise_speed_share, config.noise_speed_min, config.noise_speed_max)
        return _played(rng, noise, samples, *speeds)[0]

    def _events(self, rng: np.random.Generator, noise: Source, samples: int) -> Array:
        """Something short and loud, now and then: the loudest moment of a recording, and of others."""
        audio = np.zeros(samples, np.float32)
        mean_gap = np.exp(rng.uniform(np.log(0.2), np.log(3))) * SAMPLE_RATE_HZ
        event = self._event(rng, noise)
        at = int(rng.exponential(0.5 * mean_gap))
        while at < samples:
            if rng.random() < 0.4:
                event = self._event(rng, noise)
            piece = event[: samples - at] * np.float32(amplitude(rng.uniform(-12, 0)))
            audio[at : at + len(piece)] += piece
            at += len(event) // 2 + int(rng.exponential(mean_gap))
        return audio

    def _event(self, rng: np.random.Generator, noise: Source) -> Array:
        """Of peak 1."""
        around = self._recording(rng, noise, EVENT_AROUND_SAMPLES)
        loudest = int(np.argmax(np.abs(around)))
        before = int(rng.uniform(0.005, 0.1) * SAMPLE_RATE_HZ)
        length = int(np.exp(rng.uniform(np.log(0.08), np.log(1.2))) * SAMPLE_RATE_HZ)
        event = around[max(0, loudest - before) :][:length].copy()
        fade = min(len(event) // 4, SAMPLE_RATE_HZ // 50)
        event[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
        event[len(event) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        peak = float(np.abs(event).max(initial=0.0))
        return event / np.float32(peak) if peak > 0 else event

    def _babble(self, rng: np.random.Generator, samples: int) -> Array:
        total = np.zeros(samples, np.float32)
        for voice in self._voices(rng, samples, int(rng.integers(*BABBLE_VOICES))):
            total += voice * np.float32(amplitude(rng.uniform(-8, 0)))
        return fit_length(scipy.signal.oaconvolve(total, simulated_room(rng)), samples)

    def _crowd(self, rng: np.random.Generator, samples: int) -> Array:
        """Each voice is heard at several tables, saying something else: it costs less than as many voices."""
        total = np.zeros(samples, np.float32)
        for voice in self._voices(rng, samples, int(rng.integers(*CROWD_VOICES))):
            for _ in range(CROWD_TABLES):
                later = np.roll(voice, int(rng.integers(samples)))
                total += later * np.float32(amplitude(rng.uniform(CROWD_SOFTEST_DB, 0)))
        return fit_length(scipy.signal.oaconvolve(total, simulated_room(rng)), samples)

    def _voices(self, rng: np.random.Generator, samples: int, count: int) -> Iterator[Array]:
        """Of active level 1."""
        for _ in range(count):
            voice, _ = self.speech.draw(rng, samples)
            level = active_rms(voice)
            if level > 0:
                yield voice / np.float32(level)

    def _lowpass_hz(self, rng: np.random.Generator, bandwidth_hz: float) -> float:
        # both draws are always made, so that one share does not change what the other's seed gives
        own, other = rng.random(), rng.random()
        rate_hz = LOWPASS_RATES_HZ[int(rng.integers(len(LOWPASS_RATES_HZ)))]
        if own < self.config.own_lowpass_share and bandwidth_hz < 0.9 * SAMPLE_RATE_HZ / 2:
            return bandwidth_hz
        if other < self.config.lowpass_share:
            return 0.47 * rate_hz  # converters stop a little short of half their rate
        return SAMPLE_RATE_HZ / 2

    def _recorded(self, rng: np.random.Generator, clean: Array, noisy: Array) -> tuple[Array, Array]:
        config = self.config
        if rng.random() < config.step_share:
            gain = np.ones(len(clean), np.float32)
            at = int(rng.integers(len(clean)))
            gain[at:] = amplitude(rng.uniform(-15, 6))
            clean, noisy = clean * gain, noisy * gain
        peak = float(np.abs(noisy).max(initial=0.0))
        if peak > 0 and rng.random() < config.clip_share:
            drive = np.float32(amplitude(rng.uniform(0, 9)) / peak)
            clean, noisy = clean * drive, np.clip(noisy * drive, -1, 1)
        elif peak > 1:
            clean, noisy = clean / np.float32(peak), noisy / np.float32(peak)
        if rng.random() < config.rounding_share:
            noisy = np.asarray(np.rint(noisy * 32768) / 32768, np.float32)
        return clean, noisy


def attenuation_limit_db(clean: Array, noisy: Array, clean_limit_db: float) -> float:
    """How far anything has to be attenuated, for how clean a recording is.

    Parameters
    ----------
    clean, noisy : np.ndarray [shape=(n,)]
    clean_limit_db : float
        For speech that is 40 dB or more above the rest.

    Examples
    --------
    >>> clean = np.ones(4800, np.float32)
    >>> attenuation_limit_db(clean, 1.1 * clean, 5.0)  # 20 dB above
    35.0
    """
    if clean_limit_db == np.inf:
        return np.inf  # without measuring anything
    rest, speech = active_rms(noisy - clean), active_rms(clean)
    if rest <= speech * amplitude(-NEARLY_CLEAN_DB):
        return clean_limit_db
    if speech == 0:
        return np.inf
    return round(clean_limit_db + LIMIT_SLOPE * (NEARLY_CLEAN_DB - 20 * float(np.log10(speech / rest))), 3)


def _played(
    rng: np.random.Generator, pool: Source, samples: int, share: float, slowest: float, fastest: float
) -> tuple[Array, float]:
    """Recordings at another speed, for a share of the draws, and the bandwidth that they then have."""
    if rng.random() >= share:
        return pool.draw(rng, samples)
    speed = float(np.exp(rng.uniform(np.log(slowest), np.log(fastest))))
    audio, bandwidth_hz = pool.draw(rng, int(np.ceil(samples * speed)) + 1)
    resampled = soxr.resample(audio, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ, quality="MQ")
    return fit_length(resampled, samples), min(bandwidth_hz * speed, SAMPLE_RATE_HZ / 2)


def _turned_down(rng: np.random.Generator, audio: Array, samples: int, gain: float) -> Array:
    """A stretch of the audio, at its beginning in every other case, made softer by a gain."""
    start = 0 if rng.random() < 0.5 else int(rng.integers(len(audio)))
    end = min(len(audio), start + samples)
    fade = min(FADE_SAMPLES, end - start)
    gains = np.ones(len(audio), np.float32)
    gains[start:end] = gain
    gains[start : start + fade] = np.linspace(1 if start else gain, gain, fade, dtype=np.float32)
    return audio * gains


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
