"""One network trained by several processes: PyTorch's DistributedDataParallel, as `torchrun` starts it.

Every process of the group draws sequences of its own, and gradients are averaged at every update, so that all hold the
same weights. Whatever decides how a training goes on is added up over the group first, so that all of them decide the
same at the same update. The process of rank 0 alone writes and reports. Without torchrun it is alone.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from percepnet.errors import PercepNetError

TIMEOUT = timedelta(hours=1)  # of waiting for another process, which may be waiting for its first features
_numbers = count()  # of the times that this process was connected, which is the same in all of them


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a training, seen from one of them.

    Parameters
    ----------
    rank : int
        Of this process.
    size : int
        How many there are.
    local_rank : int
        Of this process among those of its machine: the number of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def main(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """Where this process calculates."""
        return torch.device("cuda", self.local_rank) if torch.cuda.is_available() else torch.device("cpu")

    def parallel(self, network: nn.Module) -> nn.Module:
        """A network whose gradients are the means over the group; the network itself where it is one process."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, [self.local_rank] if self.device.type == "cuda" else None)

    def average(self, network: nn.Module) -> None:
        """Turn the gradients of a network that is not `parallel` into their means over all processes of the group."""
        if self.size == 1:
            return
        for parameter in network.parameters():
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
                parameter.grad /= self.size

    def sum(self, values: Sequence[float]) -> list[float]:
        """Each value added up over all processes of the group, all of which must ask for it."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return total.tolist()


@contextmanager
def process_group() -> Iterator[ProcessGroup]:
    """The processes that torchrun started, connected while the context lasts; one if it started none.

    All of them enter it equally often.

    Raises
    ------
    PercepNetError
        If there are more processes on a machine than GPUs.
    """
    if not launched():
        yield ProcessGroup()
        return
    local_rank = int(os.environ["LOCAL_RANK"])
    gpus = torch.cuda.device_count()
    if gpus:
        if local_rank >= gpus:
            raise PercepNetError(
                f"more processes than GPUs: use --nproc_per_node {gpus}, or set CUDA_VISIBLE_DEVICES= for CPUs alone"
            )
        torch.cuda.set_device(local_rank)
    store, rank, size = next(distributed.rendezvous("env://", timeout=TIMEOUT))  # type: ignore[attr-defined]
    # torchrun's store keeps the addresses of a connection that has ended: under the same keys, a rank that is early for
    # the next one would find those of before, and wait for an answer from where nobody listens any more
    store = distributed.PrefixStore(f"percepnet/{next(_numbers)}", store)  # type: ignore[attr-defined]
    distributed.init_process_group("nccl" if gpus else "gloo", store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    try:
        yield ProcessGroup(rank, size, local_rank)
    finally:
        distributed.destroy_process_group()


def launched() -> bool:
    """Whether torchrun started this process."""
    return distributed.is_available() and distributed.is_torchelastic_launched()


def writes() -> bool:
    """Whether this process is the one that prints, connected or not."""
    return not launched() or os.environ["RANK"] == "0"
