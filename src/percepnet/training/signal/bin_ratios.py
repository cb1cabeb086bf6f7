"""What the network for bins is given, for a batch: see `percepnet.reference.bin_ratios`."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from percepnet.params import BIN_NEIGHBOURHOOD, SHAPED_BINS
from percepnet.reference import bin_ratios as reference
from percepnet.training.signal.bands import Bands

SILENT = float(reference.SILENT)


class Heard(NamedTuple):
    """See `percepnet.reference.bin_ratios.Heard`; all [shape=(batch, T, 160)]."""

    now: Tensor
    before: Tensor
    after: Tensor
    ahead: Tensor
    unsmoothed: Tensor
    combed: Tensor
    heard: Tensor
    noise: Tensor
    gains: Tensor
    strengths: Tensor
    rule: Tensor


def bin_ratios(of: Heard, bands: Bands) -> Tensor:
    """The features of the network for bins.

    Parameters
    ----------
    of : Heard
    bands : Bands

    Returns
    -------
    Tensor [shape=(batch, T, 160, 48)]
    """
    heard, noise = summed(of.heard, bands), summed(of.noise, bands)
    width = spread(summed(torch.ones_like(of.now[:1, :1]), bands), bands)
    around, heard_around = (spread(x, bands) / width for x in (summed(of.now, bands), heard))
    ratio = spread(noise / (heard + SILENT), bands)
    place = torch.arange(SHAPED_BINS, device=of.now.device) / SHAPED_BINS
    ratios = (
        _share(of.noise, of.heard),
        _share(of.now, of.heard),
        _share(of.ahead, of.heard),
        _share(of.now, of.noise),
        _share(of.combed, of.now),
        of.gains,
        of.strengths,
        of.rule,
        _share(of.now, around),
        _share(of.heard, heard_around),
        ratio / (1 + ratio),
        place.expand_as(of.now),
        _share(of.before, of.heard),
        _share(of.after, of.heard),
        _share(of.unsmoothed, of.now),
        _share(of.ahead, of.noise),
    )
    own = torch.stack(ratios, dim=-1) - 0.5
    reach = BIN_NEIGHBOURHOOD // 2
    padded = F.pad(own, (0, 0, reach, reach))
    return torch.cat([padded[:, :, i : i + SHAPED_BINS] for i in range(BIN_NEIGHBOURHOOD)], dim=-1)


def summed(of_bins: Tensor, bands: Bands) -> Tensor:
    """What bands hold of bins up to 8 kHz."""
    return bands.sums(F.pad(of_bins, (0, bands.bins - SHAPED_BINS)))


def spread(of_bands: Tensor, bands: Bands) -> Tensor:
    """Values of bands, interpolated to bins up to 8 kHz."""
    return bands.to_bins(of_bands)[..., :SHAPED_BINS]


def _share(x: Tensor, y: Tensor) -> Tensor:
    return x / (x + y + SILENT)
