"""Noise where it lies within a band, for a batch: see `percepnet.reference.noise_shape`."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from percepnet.params import SHAPED_BINS
from percepnet.reference import noise_shape as reference
from percepnet.reference.bin_ratios import Heard
from percepnet.training.scan import scan
from percepnet.training.signal.bands import Bands, power
from percepnet.training.signal.bin_ratios import SILENT, bin_ratios, spread, summed

SMOOTHING, NOISE_SMOOTHING = float(reference.SMOOTHING), float(reference.NOISE_SMOOTHING)
EXPONENT = -1 / 16

# What corrects the rule: by how much of itself each factor is to change [shape=(batch, T, 160)], by the `bin_ratios`.
Corrector = Callable[[Tensor], Tensor]


class NoiseShapeState(NamedTuple):
    """What a sequence that goes on needs of what was heard before."""

    heard: Tensor  # (batch, 160)
    noise: Tensor  # (batch, 160)
    before: Tensor  # (batch, 160)


class ShapedFrames(NamedTuple):
    """What is heard of frames; all [shape=(batch, T, bins), complex], at least up to 8 kHz."""

    noisy: Tensor
    after: Tensor  # one frame later
    ahead: Tensor  # and `percepnet.reference.noise_shape.frames_ahead` frames later
    comb: Tensor


def noise_shape_state(batch: int, device: torch.device) -> NoiseShapeState:
    """Before the first frame."""
    return NoiseShapeState(*(torch.zeros(batch, SHAPED_BINS, device=device) for _ in range(3)))


def shaped_frames(noisy: Tensor, comb: Tensor, lookahead_frames: int) -> ShapedFrames:
    """Frames with those that are heard while they are decided. At the end of a sequence the last one stays.

    Parameters
    ----------
    noisy, comb : Tensor [shape=(batch, T, bins)]
    lookahead_frames : int
        Of the signal path.

    Returns
    -------
    ShapedFrames
    """
    most = reference.frames_ahead(lookahead_frames)
    count = noisy.shape[1]
    later = torch.arange(count, device=noisy.device)
    after, ahead = (noisy[:, (later + frames).clamp(max=count - 1)] for frames in (min(1, most), most))
    return ShapedFrames(noisy, after, ahead, comb)


def noise_shape(
    frames: ShapedFrames,
    gains: Tensor,
    strengths: Tensor,
    bands: Bands,
    state: NoiseShapeState,
    corrector: Corrector | None = None,
) -> tuple[Tensor, NoiseShapeState]:
    """What bins are to be multiplied by besides their gains.

    Parameters
    ----------
    frames : ShapedFrames
    gains, strengths : Tensor [shape=(batch, T, bands)]
    bands : Bands
    state : NoiseShapeState
    corrector : Corrector, optional

    Returns
    -------
    factors : Tensor [shape=(batch, T, bins)]
        No gradient flows through what the gains say of the noise, only through the power that they are lifted by; and
        into the corrector.
    state : NoiseShapeState
    """
    all_bins = bands.to_bins(gains).clamp(min=float(reference.TINY_GAIN))
    with torch.no_grad():
        unsmoothed = power(frames.noisy)
        now, ahead = _shaped(unsmoothed), _shaped(power(frames.ahead))
        of_bins = all_bins[..., :SHAPED_BINS]
        taken = (1 - of_bins.square()).clamp(min=0)
        slow = (1 - NOISE_SMOOTHING) * taken**8
        noise = scan(1 - slow, slow * now, state.noise)
        heard = scan(torch.full_like(ahead, SMOOTHING), (1 - SMOOTHING) * ahead, state.heard)
        ratio = spread(summed(heard, bands) / (summed(noise, bands) + SILENT), bands)
        level = (taken * ratio).clamp(float(reference.NOISE_LEAST), float(reference.NOISE_MOST))
        kept = (1 - level * noise / (heard + SILENT)).clamp(min=0)
        factors = (kept.sqrt() / of_bins).clamp(float(reference.LEAST), 1)
        known = corrector and Heard(
            now, torch.cat([state.before[:, None], now[:, :-1]], dim=1), _shaped(power(frames.after)), ahead,
            unsmoothed[..., :SHAPED_BINS], _shaped(power(frames.comb)), heard, noise,
            of_bins, spread(strengths, bands), factors,
        )  # fmt: skip
        ratios = bin_ratios(known, bands) if known else None
    if corrector and ratios is not None:
        factors = factors * (1 + corrector(ratios))
        factors = factors.clamp(float(reference.CORRECTED_LEAST), float(reference.CORRECTED_MOST))
    further = _smoothed(F.pad(factors, (0, bands.bins - SHAPED_BINS), value=1.0))
    return further * all_bins**EXPONENT, NoiseShapeState(heard[:, -1], noise[:, -1], now[:, -1])


def _shaped(bins: Tensor) -> Tensor:
    return _smoothed(bins)[..., :SHAPED_BINS]


def _smoothed(bins: Tensor) -> Tensor:
    before = torch.cat([bins[..., 1:2], bins[..., :-1]], dim=-1)
    after = torch.cat([bins[..., 1:], bins[..., -2:-1]], dim=-1)
    return 0.5 * bins + 0.25 * (before + after)
