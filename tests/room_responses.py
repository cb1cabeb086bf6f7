"""Impulse responses of rooms whose reverberation time is known."""

import numpy as np


def exponential_room(rt60_s, seconds=1.4, seed=0):
    time_s = np.arange(round(seconds * 48000)) / 48000
    tail = np.random.default_rng(seed).standard_normal(len(time_s)) * 10 ** (-3 * time_s / rt60_s)
    return tail.astype(np.float32)
