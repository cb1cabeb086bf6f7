"""A linear recurrence over time and its gradient, without a record of every step for autograd."""

from typing import Any, cast

import torch
from torch import Tensor


def scan(decay: Tensor, addition: Tensor, before: Tensor) -> Tensor:
    """h_t = decay_t h_(t-1) + addition_t.

    Parameters
    ----------
    decay, addition : Tensor [shape=(batch, frames, units)]
    before : Tensor [shape=(batch, units)]
        The state before the first frame.

    Returns
    -------
    Tensor [shape=(batch, frames, units)]
        The states of all frames.

    Examples
    --------
    >>> half, one = torch.full((1, 3, 1), 0.5), torch.ones(1, 3, 1)
    >>> scan(half, one, torch.full((1, 1), 4.0)).flatten().tolist()
    [3.0, 2.5, 2.25]
    """
    return cast(Tensor, _Scan.apply(decay, addition, before))  # type: ignore[no-untyped-call]


class _Scan(torch.autograd.Function):
    """The gradient is a scan too, backwards in time: l_t = dL/dh_t + decay_(t+1) l_(t+1)."""

    @staticmethod
    def forward(ctx: Any, decay: Tensor, addition: Tensor, before: Tensor) -> Tensor:
        states = _states(decay, addition, before)
        ctx.save_for_backward(decay, before, states)
        return states

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        decay, before, states = ctx.saved_tensors
        if (kernel := _kernel(decay)) is not None:
            return cast(tuple[Tensor, Tensor, Tensor], kernel.backward(decay, before, states, grads[0]))
        later = torch.cat([decay[:, 1:], torch.zeros_like(decay[:, :1])], dim=1)
        found = _states(later.flip(1), grads[0].flip(1), torch.zeros_like(before)).flip(1)
        earlier = torch.cat([before[:, None], states[:, :-1]], dim=1)
        return found * earlier, found, found[:, 0] * decay[:, 0]


def _states(decay: Tensor, addition: Tensor, before: Tensor) -> Tensor:
    if (kernel := _kernel(decay)) is not None:
        return cast(Tensor, kernel.forward(decay, addition, before))
    # a processor takes the frames one by one; a GPU, which is idle then, in log2(frames) steps over all of them
    return (_doubled if decay.is_cuda else _stepped)(decay, addition, before)


def _kernel(decay: Tensor) -> Any:
    """The kernels for GPUs, where they are to be had."""
    if not decay.is_cuda or decay.dtype != torch.float32:
        return None
    try:
        from percepnet.training import scan_kernel
    except ImportError:
        return None
    return scan_kernel if scan_kernel.works(decay.device) else None


def _stepped(decay: Tensor, addition: Tensor, before: Tensor) -> Tensor:
    decays, states = decay.transpose(0, 1).contiguous(), addition.transpose(0, 1).contiguous()
    if states.data_ptr() == addition.data_ptr():
        states = states.clone()
    state = before
    for factor, new in zip(decays.unbind(), states.unbind(), strict=True):
        state = new.addcmul_(factor, state)
    return states.transpose(0, 1)


def _doubled(decay: Tensor, addition: Tensor, before: Tensor) -> Tensor:
    """By doubling: after k steps each frame holds what the last 2^k frames gave it (Hillis and Steele 1986).

    There are only products and sums, as step by step, no divisions by products of decays, which would overflow.
    """
    states = torch.cat([addition[:, :1] + decay[:, :1] * before[:, None], addition[:, 1:]], dim=1)
    frames = states.shape[1]
    distance = 1
    decay = decay[:, 1:]  # from `distance` frames ago to now, of the frames that still lack something
    while distance < frames:
        longer = states[:, distance:] + decay * states[:, :-distance]
        states = torch.cat([states[:, :distance], longer], dim=1)
        decay = decay[:, distance:] * decay[:, :-distance]
        distance *= 2
    return states
