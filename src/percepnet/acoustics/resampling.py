"""Whole signals at another rate."""

import numpy as np

from percepnet.arrays import Samples


def resampled(x: Samples, source_hz: int, target_hz: int) -> Samples:
    """A whole signal [shape=(n,)] at another rate, without a delay."""
    if source_hz == target_hz:
        return x
    import soxr

    return np.asarray(soxr.resample(x, source_hz, target_hz, quality="VHQ"), dtype=np.float32)
