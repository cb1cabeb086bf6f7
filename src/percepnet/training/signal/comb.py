"""The comb filter of a batch by gathers: see `percepnet.reference.comb`."""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from percepnet.params import COMB_TAPS, HOP_SAMPLES, WINDOW_SAMPLES
from percepnet.reference import comb as reference

PHASES = reference.PHASES
REACH = reference.INTERPOLATOR_REACH
TAPS = 2 * COMB_TAPS + 1
BLOCK = 32  # samples that are interpolated by one product
FRAMES_AT_ONCE = {"cpu": 128, "cuda": 1 << 15}  # 11 windows a frame: what stays in a cache, and what fits a memory


@lru_cache(maxsize=8)
def _tables(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Interpolators of a block, weights of the taps, and their numbers."""
    interpolators = filter_matrix(reference._INTERPOLATORS, 1, BLOCK).to(device)
    weights = torch.from_numpy(reference.hann_weights()).to(device)
    return interpolators, weights, torch.arange(-COMB_TAPS, COMB_TAPS + 1, device=device)


def upsample(x: Tensor) -> Tensor:
    """Four values a sample, at offsets of 0, 1/4, 1/2 and 3/4.

    Parameters
    ----------
    x : Tensor [shape=(batch, n + 15)]
        The n samples with 7 more before them and 8 behind.

    Returns
    -------
    Tensor [shape=(batch, 4, n)]
        Offsets apart, so that the window of a tap is a piece of one row.
    """
    samples = x.shape[-1] - 2 * REACH + 1
    blocks = F.pad(x, (0, -samples % BLOCK)).unfold(-1, BLOCK + 2 * REACH - 1, BLOCK)
    found = (blocks @ _tables(x.device)[0]).view(len(x), -1, PHASES, BLOCK)
    return found.transpose(1, 2).flatten(2)[..., :samples]


def filter_matrix(taps: np.ndarray, step: int, count: int) -> Tensor:
    """Filters as a matrix, of which one product gives many outputs: short convolutions are slow, products are not.

    Parameters
    ----------
    taps : np.ndarray [shape=(filters, taps)]
        What is multiplied with the samples from the output's place on.
    step, count : int
        Samples between outputs, and how many outputs of each filter.

    Returns
    -------
    Tensor [shape=((count - 1) * step + taps, filters * count)]
        To be multiplied with that many samples from the left.
    """
    filters, length = taps.shape
    matrix = np.zeros(((count - 1) * step + length, filters, count), np.float32)
    for place in range(count):
        matrix[place * step : place * step + length, :, place] = taps.T
    return torch.from_numpy(matrix).flatten(1)


def tap_delays(periods: Tensor, now: int) -> Tensor:
    """Where the taps of frames lie along the pitch contour.

    Parameters
    ----------
    periods : Tensor [shape=(..., frames)]
        Pitch periods in samples at the centres of consecutive frames, the present one and others around it.
    now : int
        Index of the present frame.

    Returns
    -------
    Tensor [shape=(..., 11), dtype=float64]
    """
    periods = periods.double()
    rate = HOP_SAMPLES / periods
    phase = F.pad(torch.cumsum(0.5 * (rate[..., 1:] + rate[..., :-1]), dim=-1), (1, 0))
    wanted = phase[..., now, None] + _tables(periods.device)[2]
    last = periods.shape[-1] - 1
    left = (torch.searchsorted(phase, wanted, right=True) - 1).clamp(0, last - 1)
    before, after = phase.gather(-1, left), phase.gather(-1, left + 1)
    share = ((wanted - before) / (after - before)).clamp(0, 1)
    inside = (left + share - now) * HOP_SAMPLES
    early, late = (wanted - phase[..., :1]).clamp(max=0), (wanted - phase[..., -1:]).clamp(min=0)
    return inside + early * periods[..., :1] + late * periods[..., -1:]


def comb_filter(fine: Tensor, start: int, delays: Tensor, future_samples: int) -> tuple[Tensor, Tensor]:
    """Average each window with its neighbours some periods away.

    Parameters
    ----------
    fine : Tensor [shape=(batch, 4, n)]
        Samples from `upsample`.
    start : int
        First sample of the first window of 960; each next window begins 480 later.
    delays : Tensor [shape=(batch, T, 11), dtype=float64]
        From `tap_delays`.
    future_samples : int
        How far beyond its window a frame may look.

    Returns
    -------
    filtered : Tensor [shape=(batch, T, 960)]
    weights : Tensor [shape=(batch, T, 11)]
    """
    batch, frames, _ = delays.shape
    samples = fine.shape[-1]
    _, hann, taps = _tables(fine.device)
    usable = (delays + REACH <= future_samples) | (taps <= 0)
    weights = hann * usable
    weights = weights / weights.sum(dim=-1, keepdim=True)
    offsets = torch.round(torch.where(usable, delays, 0.0) * PHASES).long()
    rows = PHASES * torch.arange(batch, device=fine.device)[:, None, None] + offsets.remainder(PHASES)
    starts = start + HOP_SAMPLES * torch.arange(frames, device=fine.device)[None, :, None]
    at = rows * samples + starts + offsets.div(PHASES, rounding_mode="floor")
    # every window of every row of samples, without copying them
    flat = fine.contiguous().view(-1)
    windows = flat.as_strided((flat.numel() - WINDOW_SAMPLES + 1, WINDOW_SAMPLES), (1, 1))
    some = FRAMES_AT_ONCE.get(fine.device.type, 1 << 12)
    filtered = [
        (share[:, None] @ windows[places])[:, 0]
        for places, share in zip(
            torch.split(at.view(-1, TAPS), some), torch.split(weights.view(-1, TAPS), some), strict=True
        )
    ]
    return torch.cat(filtered).view(batch, frames, WINDOW_SAMPLES), weights
