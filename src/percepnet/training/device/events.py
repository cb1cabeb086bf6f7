"""Short and loud moments of recorded noises, which come again and again: `Mixer._events` for a batch."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from percepnet.acoustics.mixing import EVENT_AROUND_SAMPLES, MixingConfig
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.training.device.corpus import Floats, Ints, Recorded, on_device

BLOCK = 480  # loudest moments are known to 10 ms
STEP_BLOCKS = 100
LENGTH_S = (0.08, 1.2)
EVENTS_MAX = 64  # in a segment
REPEATED = 0.6  # that an event is the one before it again
FADE = SAMPLE_RATE_HZ // 50


class Moments(NamedTuple):
    """The loudest moment of every four seconds of the recordings, in their order."""

    address: Ints  # of the moment
    peak: Floats
    first: Ints  # of each recording: the number of its first moment
    counts: Ints  # of each recording


def loudest_moments(noise: Recorded) -> Moments:
    """Find the moments of all recordings, once."""
    addresses, peaks, counts = [], [], []
    audio = noise.audio
    for start, samples in zip(noise.starts[: noise.recordings], noise.samples, strict=False):
        sound = audio[start : start + samples].abs()
        blocks = torch.nn.functional.pad(sound, (0, -len(sound) % BLOCK)).view(-1, BLOCK).amax(dim=1)
        width = min(len(blocks), EVENT_AROUND_SAMPLES // BLOCK)
        peak, at = blocks.float().unfold(0, width, STEP_BLOCKS).max(dim=1)
        at = at + STEP_BLOCKS * torch.arange(len(at), device=at.device)
        addresses.append((int(start) + BLOCK * at).cpu().numpy())
        peaks.append((peak / 32768).cpu().numpy())
        counts.append(len(at))
    count = np.array(counts, np.int64)
    return Moments(
        np.concatenate([*addresses, np.zeros(0, np.int64)]),
        np.concatenate([*peaks, np.zeros(0)]),
        np.cumsum(count) - count,
        count,
    )


def events(
    rng: np.random.Generator, noise: Recorded, moments: Moments, which: Ints, samples: int, config: MixingConfig
) -> Tensor:
    """Segments of events.

    Parameters
    ----------
    rng : np.random.Generator
    noise : Recorded
    moments : Moments
    which : np.ndarray [shape=(segments,), dtype=int]
        Recording of the first event of each.
    samples : int
    config : MixingConfig

    Returns
    -------
    Tensor [shape=(segments, samples)]
    """
    count, device = len(which), noise.audio.device
    total = torch.zeros(count, samples, device=device)
    mean_gap = np.exp(rng.uniform(np.log(0.2), np.log(3), count)) * SAMPLE_RATE_HZ
    at = rng.exponential(0.5 * mean_gap)
    columns = []
    event = _draw(rng, noise, moments, which, config)
    for number in range(EVENTS_MAX):
        active = at < samples
        if not active.any():
            break
        if number:
            others = _draw(rng, noise, moments, noise.member(rng, noise.group(rng, count)), config)
            event = np.where(rng.random(count) < REPEATED, event, others)
        gain = 10 ** (rng.uniform(-12, 0, count) / 20) / np.maximum(event[4], 1e-4)
        columns.append(np.stack([np.arange(count), at, gain, *event[:4]])[:, active])
        at = at + event[1] // 2 + rng.exponential(mean_gap)
    if not columns:
        return total
    made = on_device(np.concatenate(columns, axis=1), device)
    row, begin, gain, address, length, speed, end = (value[:, None] for value in made)
    places = torch.arange(int(LENGTH_S[1] * SAMPLE_RATE_HZ), device=device)
    place = address + places * speed
    whole = place.long()
    share = (place - whole).float()
    last = len(noise.audio) - 1
    sound = torch.lerp(
        noise.audio[whole.clamp(0, last)].float(), noise.audio[(whole + 1).clamp(0, last)].float(), share
    )
    fade = (length / 4).clamp(1, FADE)
    shape = torch.minimum(places / fade, (length - places) / fade).clamp(0, 1)
    target = begin.long() + places
    heard = (places < length) & (place < end - 1) & (target < samples)
    sound = sound * (shape * gain / 32768).float() * heard
    flat = (row.long() * samples + target.clamp(max=samples - 1)).flatten()
    return total.view(-1).index_add_(0, flat, sound.flatten()).view(count, samples)


def _draw(rng: np.random.Generator, noise: Recorded, moments: Moments, which: Ints, config: MixingConfig) -> Floats:
    """Address, length, speed, end of the recording and peak of random events [shape=(5, events)]."""
    count = len(which)
    moment = moments.first[which] + rng.integers(moments.counts[which])
    before = rng.uniform(0.005, 0.1, count) * SAMPLE_RATE_HZ
    low, high = np.log(config.noise_speed_min), np.log(config.noise_speed_max)
    speed = np.where(rng.random(count) < config.noise_speed_share, np.exp(rng.uniform(low, high, count)), 1.0)
    start = noise.starts[which]
    address = np.maximum(start, moments.address[moment] - (before * speed).astype(np.int64))
    end = start + noise.samples[which]
    length = np.exp(rng.uniform(np.log(LENGTH_S[0]), np.log(LENGTH_S[1]), count)) * SAMPLE_RATE_HZ
    length = np.minimum(length, (end - address) / speed)
    return np.stack([address, length, speed, end, moments.peak[moment]])
