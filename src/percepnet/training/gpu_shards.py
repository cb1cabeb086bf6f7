"""Shards that a GPU holds in its own memory, so that drawing a batch costs it nothing."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from percepnet.training.features import Shards

MEMORY_SHARE = 0.5  # of what is free; the rest is for the network and a batch


class GpuShards(Shards):
    """The shards of a folder in a device's memory, to draw sequences from: the same ones as `Shards` would.

    Parameters
    ----------
    folder : Path
    device : torch.device
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._device = device
        super().__init__(folder)

    def draw(self, rng: np.random.Generator, batch: int) -> Tensor:
        """Sequences of random shards.

        Returns
        -------
        Tensor [shape=(batch, frames, features + 2 * bands)]
        """
        return torch.stack([shard[row] for shard, row in self._picked(rng, batch)]).float()

    def _read(self, path: Path) -> Tensor:
        return torch.from_numpy(np.load(path)).to(self._device)


def fits(device: torch.device, size_bytes: float) -> bool:
    """Whether a ring of shards fits into what a device has free; never on a CPU, which reads them from disk as needed.

    Parameters
    ----------
    device : torch.device
    size_bytes : float
    """
    return device.type == "cuda" and size_bytes <= MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]
