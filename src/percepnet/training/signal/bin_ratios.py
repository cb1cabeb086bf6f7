"""What the network for bins is given, for a batch: see `percepnet.reference.bin_ratios`."""

import torch
import torch.nn.functional as F
from torch import Tensor

from percepnet.params import BIN_NEIGHBOURHOOD, SHAPED_BINS
from percepnet.reference.bin_ratios import SILENT as REFERENCE_SILENT
from percepnet.reference.bin_ratios import Heard, ratios_of
from percepnet.training.signal.bands import Bands

SILENT = float(REFERENCE_SILENT)


def bin_ratios(of: Heard[Tensor], bands: Bands) -> Tensor:
    """The features of the network for bins.

    Parameters
    ----------
    of : Heard
        All [shape=(batch, T, 160)].
    bands : Bands

    Returns
    -------
    Tensor [shape=(batch, T, 160, 48)]
    """
    heard, noise = summed(of.heard, bands), summed(of.noise, bands)
    width = spread(summed(torch.ones_like(of.now[:1, :1]), bands), bands)
    ratio = spread(noise / (heard + SILENT), bands)
    besides = {
        "around": spread(summed(of.now, bands), bands) / width,
        "heard_around": spread(heard, bands) / width,
        "noisy": ratio / (1 + ratio),
        "place": (torch.arange(SHAPED_BINS, device=of.now.device) / SHAPED_BINS).expand_as(of.now),
    }
    own = torch.stack(ratios_of(vars(of) | besides), dim=-1) - 0.5
    reach = BIN_NEIGHBOURHOOD // 2
    padded = F.pad(own, (0, 0, reach, reach))
    return torch.cat([padded[:, :, i : i + SHAPED_BINS] for i in range(BIN_NEIGHBOURHOOD)], dim=-1)


def summed(of_bins: Tensor, bands: Bands) -> Tensor:
    """What bands hold of bins up to 8 kHz."""
    return bands.sums(F.pad(of_bins, (0, bands.bins - SHAPED_BINS)))


def spread(of_bands: Tensor, bands: Bands) -> Tensor:
    """Values of bands, interpolated to bins up to 8 kHz."""
    return bands.to_bins(of_bands)[..., :SHAPED_BINS]
