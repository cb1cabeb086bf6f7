"""Recordings in a device's memory, as 16-bit samples in one tensor, and random stretches of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from percepnet.errors import PercepNetError
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.training.store import AudioStore

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PIECES_MAX = 64  # of a stretch; what is then still missing is filled by the last piece over and over
SHORT_SHARE = 1.5  # times a stretch: a speaker with less to say is followed by others of the same source


class Pieces(NamedTuple):
    """Stretches of sound, each put together of pieces of recordings."""

    addresses: Ints  # (stretches, pieces) of the first sample of each
    ends: Ints  # (stretches, pieces) place in the stretch behind the last sample of each
    bandwidth_hz: Floats  # (stretches,) the lowest of the recordings used


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

    def draw(self, rng: np.random.Generator, needs: Ints, whose: Ints | None = None) -> Pieces:
        """Random stretches, each of one group where that has enough.

        Parameters
        ----------
        rng : np.random.Generator
        needs : np.ndarray [shape=(stretches,), dtype=int]
            Samples.
        whose : np.ndarray [shape=(stretches,), dtype=int], optional
            Groups, where they are not to be drawn.

        Returns
        -------
        Pieces
        """
        groups = self.group(rng, len(needs)) if whose is None else whose
        at = np.zeros(len(needs), np.int64)
        bandwidth_hz = np.full(len(needs), SAMPLE_RATE_HZ / 2)
        addresses, ends = [], []
        for turn in range(PIECES_MAX):
            missing = needs - at
            if turn and not (missing > 0).any():
                break
            which = self.member(rng, groups)
            start = rng.integers(np.maximum(1, self.samples[which] - missing + 1))
            length = np.clip(np.minimum(self.samples[which] - start, missing), 0, None)
            length = missing if turn == PIECES_MAX - 1 else length
            addresses.append(self.starts[which] + start)
            at = at + length
            ends.append(at)
            heard = np.where(length > 0, self.bandwidth_hz[which], np.inf)
            bandwidth_hz = np.minimum(bandwidth_hz, heard)
            short = self._to[groups] - self._from[groups] < SHORT_SHARE * needs
            groups = np.where(short, self.beside(rng, groups), groups)
        return Pieces(np.stack(addresses, axis=1), np.stack(ends, axis=1), bandwidth_hz)

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
        return Pieces(addresses, ends, self.bandwidth_hz[which])

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
        offsets = on_device(pieces.addresses - begins, device)
        ends = on_device(pieces.ends, device)
        places = torch.arange(samples, device=device)
        which = torch.searchsorted(ends, places.expand(len(ends), -1).contiguous(), right=True)
        inside = which < ends.shape[1]
        address = offsets.gather(1, which.clamp_(max=ends.shape[1] - 1)).add_(places)
        # a last piece that had to fill up may point past the last sample
        return self.audio[address.clamp_(0, len(self.audio) - 1)].float().mul_(inside / 32768)

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
