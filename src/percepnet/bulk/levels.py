"""Levels of a recording that comes in blocks: of all of it, and of its pauses."""

import numpy as np

from percepnet.acoustics.levels import power_db
from percepnet.arrays import Samples

_FRAME_S = 0.02
_LOWEST_DBFS = -120
_PAUSE_SHARE = 0.1


class LevelMeter:
    """Root mean square, and the level that a tenth of all frames of 20 ms stay below; channels are averaged.

    Parameters
    ----------
    sample_rate_hz : int
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._frame_samples = max(1, round(sample_rate_hz * _FRAME_S))
        self._histogram = np.zeros(-_LOWEST_DBFS + 20, dtype=np.int64)
        self._energy = 0.0
        self._samples = 0
        self._left: Samples | None = None

    def add(self, x: Samples) -> None:
        """Append a block [shape=(channels, n)]."""
        power = np.einsum("cn,cn->n", x, x) / np.float32(x.shape[0])
        self._energy += float(power.sum(dtype=np.float64))
        self._samples += len(power)
        if self._left is not None and len(self._left):
            power = np.concatenate((self._left, power))
        count = len(power) // self._frame_samples
        frames = power[: count * self._frame_samples].reshape(count, self._frame_samples).mean(axis=1)
        self._left = power[count * self._frame_samples :]
        levels_db = 10 * np.log10(np.maximum(frames, 1e-12))
        places = np.clip(np.floor(levels_db) - _LOWEST_DBFS, 0, len(self._histogram) - 1).astype(int)
        self._histogram += np.bincount(places, minlength=len(self._histogram))

    @property
    def level_dbfs(self) -> float:
        """Level of all of it; a full-scale sine has -3 dBFS."""
        return _db(self._energy / max(1, self._samples))

    @property
    def pauses_dbfs(self) -> float:
        """Level that a tenth of it stays below: the noise, where people pause."""
        total = int(self._histogram.sum())
        if not total:
            return self.level_dbfs
        place = int(np.searchsorted(np.cumsum(self._histogram), _PAUSE_SHARE * total))
        return float(place + _LOWEST_DBFS)


def _db(power: float) -> float:
    return max(power_db(power), float(_LOWEST_DBFS))
