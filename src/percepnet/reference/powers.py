"""Powers of the bins of a frame, and these over neighbouring bins."""

import numpy as np

from percepnet.arrays import Array


def powers(spectra: np.ndarray) -> Array:
    """Of all channels together.

    Parameters
    ----------
    spectra : np.ndarray [shape=(channels, bins), complex]

    Returns
    -------
    np.ndarray [shape=(bins,), dtype=float32]
    """
    return np.asarray((spectra.real**2 + spectra.imag**2).sum(axis=0), np.float32)


def smoothed(power: Array) -> Array:
    """Over neighbouring bins, as a window spreads a harmonic. Beyond both ends a spectrum is its own mirror image.

    Parameters
    ----------
    power : np.ndarray [shape=(bins,)]

    Returns
    -------
    np.ndarray [shape=(bins,), dtype=float32]
    """
    padded = np.pad(power, 1, "reflect")
    return np.asarray(0.5 * power + 0.25 * (padded[:-2] + padded[2:]), np.float32)
