"""How much quiet recordings of a batch are lifted: see `percepnet.reference.gain_control`."""

from typing import NamedTuple

import torch
from torch import Tensor

from percepnet.reference import gain_control as reference

FULL_SCALE = float(reference._FULL_SCALE)
TARGET, START, PEAK_MIN = (float(value) for value in (reference.TARGET, reference.START, reference.PEAK_MIN))
RELEASE, RELEASE_AT_FIRST = float(reference.RELEASE), float(reference.RELEASE_AT_FIRST)


class GainState(NamedTuple):
    """The loudest frames, for how many frames they still count, and whether there were any."""

    peak: Tensor  # (batch,)
    held: Tensor  # (batch,)
    has_begun: Tensor  # (batch,), bool


def gain_state(batch: int, device: torch.device) -> GainState:
    """Before the first frame."""
    nothing = torch.zeros(batch, device=device)
    return GainState(torch.full_like(nothing, START), nothing, nothing.bool())


def gains(energies: Tensor, sounding: Tensor, state: GainState) -> tuple[Tensor, GainState]:
    """The next frames.

    Parameters
    ----------
    energies : Tensor [shape=(batch, T)]
        Of whole frames.
    sounding : Tensor [shape=(batch, T), dtype=bool]
        All but digital silence.
    state : GainState

    Returns
    -------
    gains : Tensor [shape=(batch, T)]
        What powers are multiplied by.
    state : GainState
    """
    found = []
    peak, held, has_begun = state
    for power, sounds in zip((energies / FULL_SCALE).unbind(1), sounding.unbind(1), strict=True):
        louder = sounds & (power > peak)
        waits = sounds & ~louder & (held > 0)
        falls = sounds & ~louder & (held == 0)
        falling = (peak * torch.where(has_begun, RELEASE, RELEASE_AT_FIRST)).clamp(min=PEAK_MIN)
        peak = torch.where(louder, power, torch.where(falls, falling, peak))
        held = torch.where(louder, float(reference.HOLD_FRAMES), held - waits.to(held))
        has_begun = has_begun | louder
        found.append(torch.where(sounds, (TARGET / peak).clamp(min=1), 1.0))
    return torch.stack(found, dim=1), GainState(peak, held, has_begun)
