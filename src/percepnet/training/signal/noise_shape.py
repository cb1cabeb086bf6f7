"""Noise where it lies within a band, for a batch: see `percepnet.reference.noise_shape`."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from percepnet.reference import noise_shape as reference
from percepnet.training.scan import scan
from percepnet.training.signal.bands import Bands, power

SHAPED_BINS = reference.SHAPED_BINS
SMOOTHING, NOISE_SMOOTHING = float(reference.SMOOTHING), float(reference.NOISE_SMOOTHING)
EXPONENT = -1 / 16


class NoiseShapeState(NamedTuple):
    """What a sequence that goes on needs of what was heard before."""

    heard: Tensor  # (batch, 160)
    noise: Tensor  # (batch, 160)


def noise_shape_state(batch: int, device: torch.device) -> NoiseShapeState:
    """Before the first frame."""
    return NoiseShapeState(*(torch.zeros(batch, SHAPED_BINS, device=device) for _ in range(2)))


def heard_ahead(noisy: Tensor, lookahead_frames: int) -> Tensor:
    """The frames that are heard while others are decided. At the end of a sequence the last one stays.

    Parameters
    ----------
    noisy : Tensor [shape=(batch, T, bins)]
    lookahead_frames : int
        Of the signal path.

    Returns
    -------
    Tensor [shape=(batch, T, bins)]
    """
    count = noisy.shape[1]
    at = torch.arange(count, device=noisy.device) + reference.frames_ahead(lookahead_frames)
    return noisy[:, at.clamp(max=count - 1)]


def noise_shape(
    noisy: Tensor, ahead: Tensor, gains: Tensor, bands: Bands, state: NoiseShapeState
) -> tuple[Tensor, NoiseShapeState]:
    """What bins are to be multiplied by besides their gains.

    Parameters
    ----------
    noisy : Tensor [shape=(batch, T, bins), complex]
        At least up to 8 kHz.
    ahead : Tensor [shape=(batch, T, bins), complex]
        Of `heard_ahead`.
    gains : Tensor [shape=(batch, T, bands)]
    bands : Bands
    state : NoiseShapeState

    Returns
    -------
    factors : Tensor [shape=(batch, T, bins)]
        No gradient flows through what the gains say of the noise, only through the power that they are lifted by.
    state : NoiseShapeState
    """
    all_bins = bands.to_bins(gains).clamp(min=float(reference.TINY_GAIN))
    with torch.no_grad():
        frames, later = (_smoothed(power(spectra))[..., :SHAPED_BINS] for spectra in (noisy, ahead))
        of_bins = all_bins[..., :SHAPED_BINS]
        taken = (1 - of_bins.square()).clamp(min=0)
        slow = (1 - NOISE_SMOOTHING) * taken**8
        noise = scan(1 - slow, slow * frames, state.noise)
        heard = scan(torch.full_like(later, SMOOTHING), (1 - SMOOTHING) * later, state.heard)
        silent = float(reference.SILENT)
        ratio = _spread(_summed(heard, bands) / (_summed(noise, bands) + silent), bands)
        level = (taken * ratio).clamp(float(reference.NOISE_LEAST), float(reference.NOISE_MOST))
        kept = (1 - level * noise / (heard + silent)).clamp(min=0)
        lowered = (kept.sqrt() / of_bins).clamp(float(reference.LEAST), 1)
        further = _smoothed(F.pad(lowered, (0, bands.bins - SHAPED_BINS), value=1.0))
        after = NoiseShapeState(heard[:, -1], noise[:, -1])
    return further * all_bins**EXPONENT, after


def _smoothed(bins: Tensor) -> Tensor:
    before = torch.cat([bins[..., 1:2], bins[..., :-1]], dim=-1)
    after = torch.cat([bins[..., 1:], bins[..., -2:-1]], dim=-1)
    return 0.5 * bins + 0.25 * (before + after)


def _summed(shaped: Tensor, bands: Bands) -> Tensor:
    return bands.sums(F.pad(shaped, (0, bands.bins - SHAPED_BINS)))


def _spread(of_bands: Tensor, bands: Bands) -> Tensor:
    return bands.to_bins(of_bands)[..., :SHAPED_BINS]
