"""What is drawn of a corpus: which source or category, and which stretch of which recording."""

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Literal

import numpy as np

from percepnet.arrays import Array
from percepnet.errors import PercepNetError
from percepnet.training.store import AudioStore


class ClipPool:
    """Recordings to draw from: first a group (a source or a category), then a recording of it.

    Parameters
    ----------
    store : AudioStore
    by : {"source", "category"}
        What the groups are. A group is drawn with the square root of its hours, so that large ones do not drown small
        ones; a recording of the group with its length.
    weights : mapping of str to float, optional
        Factor on the probability of a group.

    Raises
    ------
    PercepNetError
        If a weight names no group or is negative, or if none is left.
    """

    def __init__(
        self, store: AudioStore, by: Literal["source", "category"], weights: Mapping[str, float] | None = None
    ) -> None:
        self.store = store
        members: defaultdict[str, list[int]] = defaultdict(list)
        for index, clip in enumerate(store.clips):
            members[getattr(clip, by)].append(index)
        weights = dict(weights or {})
        if unknown := sorted(set(weights) - set(members)):
            raise PercepNetError(f"no {by} {unknown[0]!r} to weight; there are: {', '.join(sorted(members))}")
        self._groups = [np.array(indices) for indices in members.values()]
        lengths = [np.array([store.clips[i].samples for i in indices], np.float64) for indices in members.values()]
        self._within = [length / length.sum() for length in lengths]
        factors = np.array([weights.get(name, 1.0) for name in members])
        shares = np.sqrt([length.sum() for length in lengths]) * factors
        if (factors < 0).any() or not shares.sum() > 0:
            raise PercepNetError(f"weights of a {by} must be positive; found {weights}")
        self._shares = shares / shares.sum()

    def draw(self, rng: np.random.Generator, samples: int) -> tuple[Array, float]:
        """A stretch of one group: of one recording from a random place on, and of others where that ends.

        Returns
        -------
        audio : np.ndarray [shape=(samples,)]
        bandwidth_hz : float
            The lowest of the recordings used.
        """
        group = int(rng.choice(len(self._groups), p=self._shares))
        pieces: list[Array] = []
        missing, bandwidth_hz = samples, math.inf
        while missing > 0:
            index = int(rng.choice(self._groups[group], p=self._within[group]))
            clip = self.store.clips[index]
            start = int(rng.integers(max(1, clip.samples - missing + 1)))
            pieces.append(self.store.read(index, start, missing))
            missing -= len(pieces[-1])
            bandwidth_hz = min(bandwidth_hz, clip.bandwidth_hz)
        return np.concatenate(pieces), bandwidth_hz
