"""What the network for bins is given: how the powers of a bin are to each other, which no level changes.

Each number is a share, x / (x + y), less 1/2: from -1/2 to 1/2 whatever the powers. A bin is given its own and those
of its two neighbours.
"""

from typing import NamedTuple

import numpy as np

from percepnet.arrays import Array
from percepnet.params import BIN_RATIOS, BINS, SHAPED_BINS
from percepnet.reference.bands import Bands

SILENT = np.float32(1e-12)  # energy


class Heard(NamedTuple):
    """What is known of the bins of a frame when it is decided; all [shape=(160,), dtype=float32]."""

    now: Array  # power, over neighbouring bins, of the frame
    before: Array  # of the frame before
    after: Array  # of the next one
    ahead: Array  # of the one after that
    unsmoothed: Array  # power of the frame in the bin alone
    combed: Array  # power of the frame after the comb filter, over neighbouring bins
    heard: Array  # power over frames
    noise: Array  # of the noise, over frames
    gains: Array
    strengths: Array
    rule: Array  # what the rule says that they are to be multiplied by


def bin_ratios(of: Heard, bands: Bands) -> Array:
    """The features of the network for bins.

    Parameters
    ----------
    of : Heard
    bands : Bands

    Returns
    -------
    np.ndarray [shape=(160, 48), dtype=float32]
        Of the bin below, of the bin and of the one above; zeros beyond both ends.
    """
    heard, noise = (_of_bands(x, bands) for x in (of.heard, of.noise))
    width = _to_bins(_of_bands(np.ones(SHAPED_BINS, np.float32), bands), bands)
    around, heard_around = (_to_bins(x, bands) / width for x in (_of_bands(of.now, bands), heard))
    ratio = _to_bins(noise / (heard + SILENT), bands)
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
        np.arange(SHAPED_BINS, dtype=np.float32) / np.float32(SHAPED_BINS),
        _share(of.before, of.heard),
        _share(of.after, of.heard),
        _share(of.unsmoothed, of.now),
        _share(of.ahead, of.noise),
    )
    own = np.stack(ratios, axis=1).astype(np.float32) - np.float32(0.5)
    beyond = np.zeros((1, BIN_RATIOS), np.float32)
    padded = np.concatenate([beyond, own, beyond])
    return np.concatenate([padded[:-2], own, padded[2:]], axis=1)


def _share(x: Array, y: Array) -> Array:
    return x / (x + y + SILENT)


def _to_bins(of_bands: Array, bands: Bands) -> Array:
    return np.asarray(bands.to_bins(of_bands)[:SHAPED_BINS], np.float32)


def _of_bands(of_bins: Array, bands: Bands) -> Array:
    return np.asarray(bands.sums(np.pad(of_bins, (0, BINS - SHAPED_BINS))), np.float32)
