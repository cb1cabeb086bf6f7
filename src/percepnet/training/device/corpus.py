"""Recordings in a device's memory, as 16-bit samples in one tensor, and random stretches of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from percepnet.errors import PercepNetError
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.training.corpus import AudioStore

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

PIECES_MAX = 64  # of a stretch; what is then still missing is filled by the last piece over and over
SHORT_SHARE = 1.5  # times a stretch: a speaker with less to say is followed by others of the same source


class Pieces(NamedTuple):
    """Stretches of sound, each put together of pieces of recordings."""

    addresses: Ints  # (stretches, pieces) of the first sample of each
    ends: Ints  # (stretches, pieces) place in the stretch behind the last sample of each
    gains: Floats  # (stretches, pieces) 0 for a pause
    bandwidth_hz: Floats  # (stretches,) the lowest of the recordings used


class Turns(NamedTuple):
    """How the speech of stretches is divided up; arrays of shape (stretches,)."""

    seconds: Floats  # mean length of a turn; inf for as long as the recording
    pause_seconds: Floats  # mean length of the pauses behind them; 0 for none
    far_db: Floats  # level of the second voice, which takes every other turn; 0 where there is but one


def no_turns(stretches: int) -> Turns:
    """Recordings as they are."""
    return Turns(np.full(stretches, np.inf), np.zeros(stretches), np.zeros(stretches))


class Recorded:
    """The recordings of a store on a device, and which of them belong together.

    Parameters
    ----------
    store : AudioStore
        Decoded here, by several processes.
    device : torch.device
    groups : sequence of str
        Of each recording: the speaker or the category. A group is drawn with the square root of its length, so that
        250 speakers with a sentence each count for far more than one with as many sentences.
    wider : sequence of str
        Of each recording, what its group is part of: the source.
    weights : mapping of str to float, optional
        Factor on the probability of what is wider.
    extra : sequence of np.ndarray [shape=(n,), dtype=int16]
        More recordings, which are only drawn by number: they come after those of the store.
    """

    def __init__(
        self,
        store: AudioStore,
        device: torch.device,
        groups: Sequence[str],
        wider: Sequence[str],
        weights: Mapping[str, float] | None = None,
        extra: Sequence[npt.NDArray[np.int16]] = (),
    ) -> None:
        self.recordings = len(store.clips)
        self.audio = _on_device([store.decoded(), *extra], device)
        lengths = [clip.samples for clip in store.clips] + [len(sound) for sound in extra]
        self.samples = np.array(lengths, np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.samples)[:-1]]).astype(np.int64)
        known = [clip.bandwidth_hz for clip in store.clips]
        self.bandwidth_hz = np.array(known + [SAMPLE_RATE_HZ / 2] * len(extra))
        if not self.recordings:
            return
        names, group_of = np.unique(list(groups), return_inverse=True)
        _, wider_of = np.unique(list(wider), return_inverse=True)
        # recordings in the order of their groups, so that a group is a range
        self._order = np.argsort(group_of, kind="stable")
        lengths_s = self.samples[self._order].astype(np.float64)
        self._ends = np.cumsum(lengths_s)
        counts = np.bincount(group_of, minlength=len(names))
        last = np.cumsum(counts)
        self._to = self._ends[last - 1]
        self._from = np.concatenate([[0.0], self._to[:-1]])
        self.group_of = group_of
        self._wider = wider_of[self._order[last - 1]]
        factors = np.array([(weights or {}).get(wider[self._order[end - 1]], 1.0) for end in last])
        self._shares = np.sqrt(self._to - self._from) * factors
        if not self._shares.sum() > 0:
            raise PercepNetError(f"no recording is left by the weights {dict(weights or {})}")
        # groups in the order of what is wider, to draw another of the same
        self._by_wider = np.argsort(self._wider, kind="stable")
        self._wider_ends = np.cumsum(self._shares[self._by_wider])
        last = np.cumsum(np.bincount(self._wider))
        self._wider_to = self._wider_ends[last - 1]
        self._wider_from = np.concatenate([[0.0], self._wider_to[:-1]])

    def group(self, rng: np.random.Generator, count: int) -> Ints:
        """Random groups."""
        return self._pick(rng, np.cumsum(self._shares), np.zeros(count), np.full(count, self._shares.sum()))

    def beside(self, rng: np.random.Generator, groups: Ints) -> Ints:
        """Random groups of what given ones are part of."""
        within = self._wider[groups]
        picked = self._pick(rng, self._wider_ends, self._wider_from[within], self._wider_to[within])
        return self._by_wider[picked]

    def member(self, rng: np.random.Generator, groups: Ints) -> Ints:
        """A random recording of each group, by length."""
        return self._order[self._pick(rng, self._ends, self._from[groups], self._to[groups])]

    def draw(self, rng: np.random.Generator, needs: Ints, turns: Turns | None = None, whose: Ints | None = None) -> Pieces:
        """Random stretches, each of one group where that has enough.

        Parameters
        ----------
        rng : np.random.Generator
        needs : np.ndarray [shape=(stretches,), dtype=int]
            Samples.
        turns : Turns, optional
        whose : np.ndarray [shape=(stretches,), dtype=int], optional
            Groups, where they are not to be drawn.

        Returns
        -------
        Pieces
        """
        count = len(needs)
        turns = turns or no_turns(count)
        first = self.group(rng, count) if whose is None else whose
        voices = np.stack([first, self.beside(rng, first)])
        limits = np.minimum(turns.seconds, 1e6) * SAMPLE_RATE_HZ
        has_pauses = turns.pause_seconds > 0
        rows = np.arange(count)
        at, silent = np.zeros(count, np.int64), np.zeros(count, bool)
        bandwidth_hz = np.full(count, SAMPLE_RATE_HZ / 2)
        addresses, ends, gains = [], [], []
        for turn in range(PIECES_MAX):
            missing = needs - at
            if not (missing > 0).any():
                break
            voice = np.where(turns.far_db < 0, turn // np.where(has_pauses, 2, 1) % 2, 0)
            groups = voices[voice, rows]
            short = self._to[groups] - self._from[groups] < SHORT_SHARE * needs
            if turn:
                groups = np.where(short, self.beside(rng, groups), groups)
            which = self.member(rng, groups)
            start = rng.integers(np.maximum(1, self.samples[which] - missing + 1))
            length = np.minimum(self.samples[which] - start, rng.uniform(0.5, 1.5, count) * limits)
            pause = rng.exponential(np.maximum(turns.pause_seconds, 1e-9)) * SAMPLE_RATE_HZ + 1
            length = np.where(silent, pause, length).astype(np.int64)
            start = np.where(silent, 0, start)
            if turn == PIECES_MAX - 1:
                length = missing
                start = np.minimum(start, np.maximum(0, self.samples[which] - missing))
            length = np.clip(np.minimum(length, missing), 0, None)
            addresses.append(self.starts[which] + start)
            at = at + length
            ends.append(at)
            gains.append(np.where(silent, 0.0, np.where(voice == 1, 10 ** (turns.far_db / 20), 1.0)))
            heard = (length > 0) & ~silent
            bandwidth_hz = np.where(heard, np.minimum(bandwidth_hz, self.bandwidth_hz[which]), bandwidth_hz)
            silent = has_pauses & ~silent
        return Pieces(*(np.stack(part, axis=1) for part in (addresses, ends, gains)), bandwidth_hz)

    def onwards(self, which: Ints, cursors: Ints, needs: Ints) -> Pieces:
        """Stretches of one recording each, from a place in it on and again from its beginning.

        Parameters
        ----------
        which, cursors, needs : np.ndarray [shape=(stretches,), dtype=int]

        Returns
        -------
        Pieces
        """
        samples = self.samples[which]
        rounds = min(PIECES_MAX, int(np.max(-(-needs // samples), initial=0)) + 1)
        firsts = samples - cursors
        ends = firsts[:, None] + samples[:, None] * np.arange(rounds)
        ends = np.minimum(ends, needs[:, None])
        ends[:, -1] = needs
        addresses = np.repeat(self.starts[which][:, None], rounds, axis=1)
        addresses[:, 0] += cursors
        return Pieces(addresses, ends, np.ones(ends.shape), self.bandwidth_hz[which].copy())

    def render(self, pieces: Pieces, samples: int) -> Tensor:
        """Stretches as sound.

        Parameters
        ----------
        pieces : Pieces
        samples : int
            As many of each; beyond its end a stretch is silent.

        Returns
        -------
        Tensor [shape=(stretches, samples)]
        """
        device = self.audio.device
        begins = np.concatenate([np.zeros((len(pieces.ends), 1), np.int64), pieces.ends[:, :-1]], axis=1)
        # one more piece, of silence, for what lies beyond
        offsets = np.pad(pieces.addresses - begins, [(0, 0), (0, 1)], mode="edge")
        gains = np.pad(pieces.gains, [(0, 0), (0, 1)]) / 32768
        ends = on_device(pieces.ends.astype(np.int32), device)
        places = torch.arange(samples, device=device, dtype=torch.int32)
        which = torch.searchsorted(ends, places.expand(len(ends), -1).contiguous(), right=True)
        address = on_device(offsets, device).gather(1, which).add_(places)
        # short recordings and silence may point past the last sample; what is there is not heard
        sound = self.audio[address.clamp_(0, len(self.audio) - 1)].float()
        return sound.mul_(on_device(gains.astype(np.float32), device).gather(1, which))

    @staticmethod
    def _pick(rng: np.random.Generator, ends: Floats, low: Floats, high: Floats) -> Ints:
        """Numbers of the intervals that random places between two others lie in."""
        places = low + rng.random(len(low)) * (high - low)
        return np.minimum(np.searchsorted(ends, places, side="right"), len(ends) - 1)


def on_device(array: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    """An array on a device, without waiting for it."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def _on_device(parts: Sequence[npt.NDArray[np.int16]], device: torch.device) -> Tensor:
    if device.type == "cpu" and len(parts) == 1 and len(parts[0]):
        return torch.from_numpy(parts[0])  # the file itself, which the system reads as needed
    whole = torch.zeros(max(1, sum(map(len, parts))), dtype=torch.int16, device=device)
    at = 0
    for part in parts:
        if len(part):
            whole[at : at + len(part)].copy_(torch.from_numpy(part))
        at += len(part)
    return whole
