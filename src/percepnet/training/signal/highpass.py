"""The high-pass of a batch, all hops at once: see `percepnet.reference.highpass`.

The filter is linear, and so is its memory: what a block of samples leaves behind goes into the state by one product,
and the states of all blocks follow from each other by doubling, as in `percepnet.training.scan`.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from percepnet.reference import highpass as reference

BLOCK = 120  # samples; the product costs as many a sample, the doubling one step more for half as many
STATE = reference.STATE


@lru_cache(maxsize=4)
def _matrices(corner_hz: float, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What a block (rows) and its state give to the block and to the next state."""
    ones = np.eye(BLOCK + STATE)
    y, state = reference.recursion(corner_hz, ones[:, :BLOCK], ones[:, BLOCK:])
    y_t, state_t = torch.from_numpy(y).to(device), torch.from_numpy(state).to(device)
    return y_t[:BLOCK].float(), y_t[BLOCK:], state_t[:BLOCK], state_t[BLOCK:]


def beginning(corner_hz: float, x: Tensor) -> Tensor:
    """The state before the first sample: as if that had been there for ever.

    Parameters
    ----------
    corner_hz : float
    x : Tensor [shape=(batch, n)]

    Returns
    -------
    Tensor [shape=(batch, 4), dtype=float64]
    """
    first = reference.sections(corner_hz)[0]
    before = x[:, 0].double()
    nothing = torch.zeros_like(before)
    return torch.stack([(first.b1 + first.b2) * before, first.b2 * before, nothing, nothing], dim=-1)


def highpass(corner_hz: float, hops: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Filter the next hops.

    Parameters
    ----------
    corner_hz : float
        0 is no filter.
    hops : Tensor [shape=(batch, 480 * T)]
    state : Tensor [shape=(batch, 4), dtype=float64]
        What `beginning` or the last call returned.

    Returns
    -------
    y : Tensor [shape=(batch, 480 * T)]
    state : Tensor [shape=(batch, 4), dtype=float64]
    """
    if not corner_hz:
        return hops, state
    within, ringing, leaves, keeps = _matrices(corner_hz, hops.device)
    blocks = hops.reshape(len(hops), -1, BLOCK)
    states = torch.cat([state[:, None], blocks.double() @ leaves], dim=1)
    distance, power = 1, keeps
    while distance < states.shape[1]:
        longer = states[:, distance:] + states[:, :-distance] @ power
        states = torch.cat([states[:, :distance], longer], dim=1)
        distance, power = 2 * distance, power @ power
    # in double precision, since what a state rings with is a small difference of large ramps
    y = blocks @ within + (states[:, :-1] @ ringing).float()
    return y.flatten(1), states[:, -1]
