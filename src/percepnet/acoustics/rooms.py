"""Rooms: measured impulse responses made ready for mixing, and simulated ones."""

import numpy as np
import scipy.signal

from percepnet.acoustics.levels import amplitude
from percepnet.arrays import Array
from percepnet.params import SAMPLE_RATE_HZ

EARLY_S = 0.020  # P21: the first 20 ms of a room stay in the target in full
TARGET_RT60_S = 0.2  # P21: what follows is made to decay like this
ROOM_MAX_S = 1.5
BEFORE_DIRECT_SAMPLES = 24  # of a room's response, kept before its direct sound: half a millisecond


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
    response = tail * np.sqrt(amplitude(rng.uniform(-4, 14)) ** -2 / np.sum(tail**2))
    response[(at_s * SAMPLE_RATE_HZ).astype(int)] += (
        rng.uniform(0.1, 0.6, len(at_s)) * rng.choice([-1, 1], len(at_s)) * 10 ** (-3 * at_s / rt60_s)
    )
    response[0] = 1
    return direct_first(response.astype(np.float32))
