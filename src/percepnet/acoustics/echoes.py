"""Echo as rooms, loudspeakers and drivers make it, from a seed: what is played, and what a microphone hears of it.

The paths follow what is known of calls (P21's joint echo control, and the AEC challenges): loudspeakers that distort,
rooms, delays, clocks that drift apart, paths that change, double talk.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.signal

from percepnet.acoustics.levels import active_rms, amplitude
from percepnet.acoustics.mixing import Mixer, MixingConfig
from percepnet.acoustics.rooms import shortened, simulated_room
from percepnet.acoustics.synthetic_noise import equalised
from percepnet.arrays import Array
from percepnet.params import SAMPLE_RATE_HZ

QUIET_RMS = 1e-4  # of a microphone that hears nothing but itself
TURN_MIN_S, TURN_MAX_S = 0.6, 4.0  # of a talker who takes turns
FADE_SAMPLES = 480
NARROW_HZ = (3900.0, 7900.0, 7900.0, 7900.0, 11900.0)  # bandwidths of calls


@dataclass(frozen=True)
class EchoConfig:
    """How echo is made. Shares are probabilities, from 0 to 1.

    Parameters
    ----------
    far_alone_share, near_alone_share : float
        Only the far end speaks; there is no far end. The rest is double talk.
    turns_share : float
        Of far ends that speak and pause in turns.
    ratio_min_db, ratio_max_db : float
        Of near speech to echo.
    delay_max_s, short_delay_share : float
        How much later the echo comes; the share that comes within 20 ms.
    drift_share, drift_max_ppm : float
        Clocks of loudspeaker and microphone that run differently.
    change_share, jump_share : float
        Paths that change into another, and delays that jump by up to 10 ms.
    narrow_share : float
        Calls that end below 4, 8 or 12 kHz.
    clip_share : float
        Microphones that are overdriven.
    unheard_share : float
        Far ends that no loudspeaker plays.
    far_noise_share : float
        Far ends with noise in them.
    """

    far_alone_share: float = 0.25
    near_alone_share: float = 0.1
    turns_share: float = 0.5
    ratio_min_db: float = -25.0
    ratio_max_db: float = 20.0
    delay_max_s: float = 0.3
    short_delay_share: float = 0.2
    drift_share: float = 0.3
    drift_max_ppm: float = 150.0
    change_share: float = 0.25
    jump_share: float = 0.15
    narrow_share: float = 0.35
    clip_share: float = 0.15
    unheard_share: float = 0.03
    far_noise_share: float = 0.4


class EchoScene(NamedTuple):
    """What goes on at one end of a call, at 48 kHz.

    Parameters
    ----------
    microphone : np.ndarray [shape=(n,)]
    far_end : np.ndarray [shape=(n,)]
        What the loudspeaker is given.
    kept : np.ndarray [shape=(n,)]
        The microphone without the echo: speech, room and noise.
    """

    microphone: Array
    far_end: Array
    kept: Array


class EchoMixer:
    """Makes scenes.

    Parameters
    ----------
    near, far : Mixer
        Of both ends.
    config : EchoConfig
    """

    def __init__(self, near: Mixer, far: Mixer, config: EchoConfig) -> None:
        self._near = near
        self._far = far
        self._config = config

    def scene(self, seed: int | Sequence[int], seconds: float) -> EchoScene:
        """The scene of a seed."""
        config = self._config
        key = [seed] if isinstance(seed, int) else list(seed)
        rng = np.random.default_rng([*key, 7])
        near = self._near.mixture([*key, 8], seconds)
        kept, clean = np.asarray(near.noisy, np.float32), np.asarray(near.clean, np.float32)
        case = rng.random()
        if case < config.far_alone_share:
            kept, clean = self._without_speech(rng, kept, clean)
        if case > 1 - config.near_alone_share:
            return EchoScene(kept, np.zeros_like(kept), kept)
        far = self._turns(rng, np.asarray(self._far.mixture([*key, 9], seconds).noisy, np.float32))
        echo = self._late(rng, self._path(rng, far))
        echo *= self._echo_level(rng, clean) / max(active_rms(echo), 1e-6)
        loudest = np.abs(kept + echo).max()
        if loudest > 1:
            kept, echo = kept * np.float32(0.95 / loudest), echo * np.float32(0.95 / loudest)
        if rng.random() < config.narrow_share:
            kept, echo, far = _narrowed(rng, kept, echo, far)
        microphone = kept + echo
        if rng.random() < config.clip_share:
            most = np.float32(rng.uniform(0.3, 0.9) * np.abs(microphone).max() + 1e-6)
            microphone = np.clip(microphone, -most, most)
        if rng.random() < config.unheard_share:
            microphone = kept
        return EchoScene(microphone, far, kept)

    def _without_speech(self, rng: np.random.Generator, kept: Array, clean: Array) -> tuple[Array, Array]:
        """Only what is beside the speech: noise, softer or not, or nothing but the microphone's own."""
        noise = (kept - clean) * np.float32(amplitude(rng.uniform(-30, 0)))
        own = QUIET_RMS * rng.standard_normal(len(kept)).astype(np.float32)
        return (noise if rng.random() < 0.8 else own), np.zeros_like(clean)

    def _turns(self, rng: np.random.Generator, voice: Array) -> Array:
        if rng.random() >= self._config.turns_share:
            return voice
        speaks = np.empty(len(voice), np.float32)
        start, on = 0, rng.random() < 0.5
        while start < len(voice):
            end = start + int(rng.uniform(TURN_MIN_S, TURN_MAX_S) * SAMPLE_RATE_HZ)
            speaks[start:end], start, on = on, end, not on
        fade = np.full(FADE_SAMPLES, 1 / FADE_SAMPLES)
        return voice * scipy.signal.lfilter(fade, [1.0], speaks).astype(np.float32)

    def _path(self, rng: np.random.Generator, far: Array) -> Array:
        """Loudspeaker and room, or two rooms one after the other."""
        played = loudspeaker(rng, far)
        echo = _in_room(rng, played)
        if rng.random() < self._config.change_share:
            start = rng.uniform(0.2, 0.8) * len(echo)
            share = np.clip((np.arange(len(echo)) - start) / rng.uniform(480, SAMPLE_RATE_HZ), 0, 1)
            echo = echo + share.astype(np.float32) * (_in_room(rng, played) - echo)
        return echo

    def _late(self, rng: np.random.Generator, echo: Array) -> Array:
        """Delay, drift and jumps."""
        config, positions = self._config, np.arange(len(echo))
        longest_s = 0.02 if rng.random() < config.short_delay_share else config.delay_max_s
        delay = int(rng.uniform(0, longest_s) * SAMPLE_RATE_HZ)
        ppm = rng.uniform(-1, 1) * config.drift_max_ppm if rng.random() < config.drift_share else 0.0
        late = np.interp(positions * (1 + ppm * 1e-6) - delay, positions, echo, left=0, right=0).astype(np.float32)
        if rng.random() < config.jump_share:
            at = int(rng.uniform(0.3, 0.8) * len(late))
            late = np.concatenate([late[:at], np.roll(late, int(rng.integers(-480, 480)))[at:]])
        return late

    def _echo_level(self, rng: np.random.Generator, clean: Array) -> float:
        """Wanted root mean square of the active echo."""
        config = self._config
        if not clean.any():
            return amplitude(rng.uniform(-40, -15))
        return active_rms(clean) * amplitude(-rng.uniform(config.ratio_min_db, config.ratio_max_db))


def far_mixing(mixing: MixingConfig, config: EchoConfig) -> MixingConfig:
    """How the far end is mixed: as the near end, with less in it, since another program has cleaned it before."""
    return replace(
        mixing,
        no_noise_share=1 - config.far_noise_share,
        no_speech_share=0.02,
        low_snr_share=0.0,
        high_snr_share=0.9,
        level_min_db=max(mixing.level_min_db, -35.0),
    )


def loudspeaker(rng: np.random.Generator, x: Array) -> Array:
    """What a small loudspeaker makes of a signal: no bass, perhaps no treble, a colour, and distortion.

    Parameters
    ----------
    rng : np.random.Generator
    x : np.ndarray [shape=(n,)]

    Returns
    -------
    np.ndarray [shape=(n,), dtype=float32]
    """
    lowest_hz = float(np.exp(rng.uniform(np.log(60), np.log(500))))
    y = scipy.signal.sosfilt(scipy.signal.butter(2, lowest_hz, "high", fs=SAMPLE_RATE_HZ, output="sos"), x)
    y = _distorted(rng, y)
    if rng.random() < 0.3:
        highest_hz = rng.uniform(4000, 14000)
        y = scipy.signal.sosfilt(scipy.signal.butter(2, highest_hz, fs=SAMPLE_RATE_HZ, output="sos"), y)
    if rng.random() < 0.3:  # something rattles
        y = y + rng.uniform(0, 0.05) * np.roll(np.abs(y), int(rng.integers(0, 50)))
    return equalised(rng, y.astype(np.float32), 4.0)


def _distorted(rng: np.random.Generator, y: Array) -> Array:
    """Hard or soft clipping, a membrane that is stiffer one way than the other, or none of it."""
    kind = int(rng.integers(4))
    most = (np.abs(y).max() + 1e-9) * rng.uniform(0.1, (0.7, 0.8, 0.6, 1.0)[kind])
    if kind == 0:
        return np.clip(y, -most, most)
    if kind == 1:
        return np.asarray(most * np.tanh(y / most))
    if kind == 2:
        bent = 1.5 * y / most - 0.3 * (y / most) ** 2
        bent = np.where(bent > 0, rng.uniform(0.5, 4), 1.0) * bent
        return np.asarray(most * np.tanh(bent / 2))
    return y


def _in_room(rng: np.random.Generator, x: Array) -> Array:
    response = simulated_room(rng)
    if rng.random() < 0.4:
        response = shortened(response)
    return np.asarray(scipy.signal.fftconvolve(x, response)[: len(x)], np.float32)


def _narrowed(rng: np.random.Generator, *signals: Array) -> tuple[Array, ...]:
    """All signals low-passed, the last one not always."""
    bandwidth_hz = float(rng.choice(NARROW_HZ))
    sos = scipy.signal.butter(10, bandwidth_hz, fs=SAMPLE_RATE_HZ, output="sos")
    narrow = [scipy.signal.sosfilt(sos, x).astype(np.float32) for x in signals]
    return (*narrow[:-1], narrow[-1] if rng.random() < 0.7 else signals[-1])
