"""What the network for bins is given: how the powers of a bin are to each other, which no level changes.

Each number is a share, x / (x + y), less 1/2: from -1/2 to 1/2 whatever the powers. A bin is given its own and those
of its two neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from percepnet.arrays import Array
from percepnet.params import BIN_RATIOS, BINS, SHAPED_BINS
from percepnet.reference.bands import Bands

SILENT = np.float32(1e-12)  # energy

X = TypeVar("X")  # an array, or a tensor in training

# In this order: the share of the first in both, or the first alone, which is one.
RATIOS = (
    ("noise", "heard"),
    ("now", "heard"),
    ("ahead", "heard"),
    ("now", "noise"),
    ("combed", "now"),
    ("gains", None),
    ("strengths", None),
    ("rule", None),
    ("now", "around"),
    ("heard", "heard_around"),
    ("noisy", None),
    ("place", None),
    ("before", "heard"),
    ("after", "heard"),
    ("unsmoothed", "now"),
    ("ahead", "noise"),
)


@dataclass(frozen=True)
class Heard(Generic[X]):
    """What is known of the bins of a frame when it is decided; all [shape=(..., 160), dtype=float32]."""

    now: X  # power, over neighbouring bins, of the frame
    before: X  # of the frame before
    after: X  # of the next one
    ahead: X  # of the one after that
    unsmoothed: X  # power of the frame in the bin alone
    combed: X  # power of the frame after the comb filter, over neighbouring bins
    heard: X  # power over frames
    noise: X  # of the noise, over frames
    gains: X
    strengths: X
    rule: X  # what the rule says that they are to be multiplied by


def bin_ratios(of: Heard[Array], bands: Bands) -> Array:
    """The features of the network for bins.

    Parameters
    ----------
    of : Heard
    bands : Bands

    Returns
    -------
    np.ndarray [shape=(160, 48)]
        Of the bin below, of the bin and of the one above; zeros beyond both ends.
    """
    heard, noise = (summed(x, bands) for x in (of.heard, of.noise))
    width = spread(summed(np.ones(SHAPED_BINS, np.float32), bands), bands)
    ratio = spread(noise / (heard + SILENT), bands)
    besides = {
        "around": spread(summed(of.now, bands), bands) / width,  # mean power over the bands around the bin
        "heard_around": spread(heard, bands) / width,
        "noisy": ratio / (1 + ratio),
        "place": np.arange(SHAPED_BINS, dtype=np.float32) / np.float32(SHAPED_BINS),
    }
    own = np.stack(ratios_of(vars(of) | besides), axis=1).astype(np.float32) - np.float32(0.5)
    beyond = np.zeros((1, BIN_RATIOS), np.float32)
    padded = np.concatenate([beyond, own, beyond])
    return np.concatenate([padded[:-2], own, padded[2:]], axis=1)


def ratios_of(known: Mapping[str, Any]) -> list[Any]:
    """Those of a bin, of arrays or of tensors by the names in `RATIOS`."""
    return [known[x] if y is None else known[x] / (known[x] + known[y] + SILENT) for x, y in RATIOS]


def spread(of_bands: Array, bands: Bands) -> Array:
    """Values of bands, interpolated to bins up to 8 kHz."""
    return np.asarray(bands.to_bins(of_bands)[:SHAPED_BINS], np.float32)


def summed(of_bins: Array, bands: Bands) -> Array:
    """What bands hold of bins up to 8 kHz."""
    return np.asarray(bands.sums(np.pad(of_bins, (0, BINS - SHAPED_BINS))), np.float32)
