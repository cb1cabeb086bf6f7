"""The recurrence of `percepnet.training.scan` as two kernels for GPUs, written in Triton.

Every program holds the state of a few units of one sequence in registers and goes through its frames: each number is
read and written once, where doubling reads and writes it at every step.
"""

import warnings
from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

UNITS = 32  # of a program: a warp


@triton.jit  # type: ignore[untyped-decorator]
def _forward_kernel(decay, addition, before, states, frames: tl.constexpr, units, count: tl.constexpr):  # type: ignore[no-untyped-def]
    sequence, unit = tl.program_id(0), tl.program_id(1) * count + tl.arange(0, count)
    inside = unit < units
    state = tl.load(before + sequence * units + unit, mask=inside, other=0.0)
    at = sequence.to(tl.int64) * frames * units + unit
    for _ in range(frames):
        state = tl.load(decay + at, mask=inside, other=0.0) * state + tl.load(addition + at, mask=inside, other=0.0)
        tl.store(states + at, state, mask=inside)
        at += units


@triton.jit  # type: ignore[untyped-decorator]
def _backward_kernel(  # type: ignore[no-untyped-def]
    decay,
    before,
    states,
    grads,
    decay_grads,
    addition_grads,
    before_grads,
    frames: tl.constexpr,
    units,
    count: tl.constexpr,
):
    sequence, unit = tl.program_id(0), tl.program_id(1) * count + tl.arange(0, count)
    inside = unit < units
    at = sequence.to(tl.int64) * frames * units + (frames - 1) * units + unit
    first = sequence * units + unit
    carried = tl.zeros([count], dtype=tl.float32)
    for step in range(frames):
        found = carried + tl.load(grads + at, mask=inside, other=0.0)
        earlier = tl.load(states + at - units, mask=inside & (step != frames - 1), other=0.0)
        earlier += tl.load(before + first, mask=inside & (step == frames - 1), other=0.0)
        tl.store(addition_grads + at, found, mask=inside)
        tl.store(decay_grads + at, found * earlier, mask=inside)
        carried = found * tl.load(decay + at, mask=inside, other=0.0)
        at -= units
    tl.store(before_grads + first, carried, mask=inside)


def forward(decay: Tensor, addition: Tensor, before: Tensor) -> Tensor:
    """States of all frames.

    Parameters
    ----------
    decay, addition : Tensor [shape=(batch, frames, units), dtype=float32]
    before : Tensor [shape=(batch, units), dtype=float32]

    Returns
    -------
    Tensor [shape=(batch, frames, units)]
    """
    decay, addition, before = (part.contiguous() for part in (decay, addition, before))
    states = torch.empty_like(addition)
    batch, frames, units = states.shape
    _forward_kernel[(batch, triton.cdiv(units, UNITS))](
        decay, addition, before, states, frames, units, count=UNITS, num_warps=1
    )
    return states


def backward(decay: Tensor, before: Tensor, states: Tensor, grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of `forward`.

    Parameters
    ----------
    decay, states, grads : Tensor [shape=(batch, frames, units), dtype=float32]
        `grads` of the states.
    before : Tensor [shape=(batch, units), dtype=float32]

    Returns
    -------
    decay, addition, before : Tensor
        Gradients of each.
    """
    decay, before, states, grads = (part.contiguous() for part in (decay, before, states, grads))
    found = torch.empty_like(decay), torch.empty_like(decay), torch.empty_like(before)
    batch, frames, units = states.shape
    _backward_kernel[(batch, triton.cdiv(units, UNITS))](
        decay, before, states, grads, *found, frames, units, count=UNITS, num_warps=1
    )
    return found


@cache
def works(device: torch.device) -> bool:
    """Whether the kernels run on a device and are right, tried once on a few numbers."""
    try:
        generator = torch.Generator("cpu").manual_seed(0)
        decay, addition, grads = (torch.rand(2, 5, UNITS + 3, generator=generator).to(device) for _ in range(3))
        before = torch.rand(2, UNITS + 3, generator=generator).to(device)
        states, state, expected = forward(decay, addition, before), before, []
        for frame in range(5):
            state = decay[:, frame] * state + addition[:, frame]
            expected.append(state)
        found = backward(decay, before, states, grads)
        carried = torch.zeros_like(before)
        for frame in reversed(range(5)):
            total = grads[:, frame] + carried
            earlier = expected[frame - 1] if frame else before
            wanted = (total * earlier, total)
            if not all(torch.allclose(part[:, frame], right) for part, right in zip(found, wanted, strict=False)):
                return False
            carried = total * decay[:, frame]
        return torch.allclose(states, torch.stack(expected, dim=1)) and torch.allclose(found[2], carried)
    except Exception as error:  # whatever a compiler that is not quite there raises
        warnings.warn(f"scans run without their kernel ({error})", stacklevel=2)
        return False
