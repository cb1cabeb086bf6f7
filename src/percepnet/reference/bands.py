"""Triangular bands, spaced and sized like the ear's own (equivalent rectangular bandwidth).

Each edge of the table is the centre of a triangle that falls to zero at its neighbours, so that the bands of every bin
sum to one: a gain that is the same in all bands is that gain in all bins.
"""

from functools import lru_cache

import numpy as np

from percepnet.params import BINS

# Far below the least significant bit of 16-bit audio; keeps silence from dividing by zero.
TINY = np.float32(1e-15)


class Bands:
    """The band filters of one table of edges.

    Parameters
    ----------
    edges : tuple of int
        Centres of the bands, in bins of 50 Hz, increasing from 0.

    Attributes
    ----------
    edges : tuple of int
    weights : np.ndarray [shape=(bands, 481), dtype=float32]
        The triangles. Bins above the last centre belong to the last band altogether: they follow its gain.
    widths : np.ndarray [shape=(bands,), dtype=float32]
        Sum of each triangle's weights, in bins.
    """

    def __init__(self, edges: tuple[int, ...]) -> None:
        self.edges = edges
        centres = np.asarray(edges, dtype=np.float64)
        bins = np.minimum(np.arange(BINS), centres[-1])
        lower = np.clip(np.searchsorted(centres, bins, side="right") - 1, 0, len(edges) - 2)
        fraction = (bins - centres[lower]) / (centres[lower + 1] - centres[lower])
        weights = np.zeros((len(edges), BINS))
        weights[lower, np.arange(BINS)] = 1.0 - fraction
        weights[lower + 1, np.arange(BINS)] += fraction
        self.weights = weights.astype(np.float32)
        self.widths = self.weights.sum(axis=-1)
        self._to_bands = np.ascontiguousarray(self.weights.T)

    def energy(self, spectrum: np.ndarray) -> np.ndarray:
        """Energy of each band, E_b = sum_k w_b(k) |X(k)|^2.

        Parameters
        ----------
        spectrum : np.ndarray [shape=(..., 481), complex]

        Returns
        -------
        np.ndarray [shape=(..., bands)]
        """
        return self.sums(spectrum.real**2 + spectrum.imag**2)

    def sums(self, powers: np.ndarray) -> np.ndarray:
        """Energy of each band, from the powers of bins.

        Parameters
        ----------
        powers : np.ndarray [shape=(..., 481)]

        Returns
        -------
        np.ndarray [shape=(..., bands)]
        """
        return powers @ self._to_bands

    def correlation(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Real inner product of two spectra in each band, sum_k w_b(k) Re(X(k)^* P(k)).

        Parameters
        ----------
        x, p : np.ndarray [shape=(..., 481), complex]

        Returns
        -------
        np.ndarray [shape=(..., bands)]
        """
        return (x.real * p.real + x.imag * p.imag) @ self._to_bands

    def to_bins(self, values: np.ndarray) -> np.ndarray:
        """Interpolate values of bands to bins, g(k) = sum_b w_b(k) g_b.

        Parameters
        ----------
        values : np.ndarray [shape=(..., bands)]

        Returns
        -------
        np.ndarray [shape=(..., 481)]
        """
        return values @ self.weights


@lru_cache(maxsize=16)
def bands_of(edges: tuple[int, ...]) -> Bands:
    """The band filters of a table of edges, made once."""
    return Bands(edges)


def coherence(
    correlation: np.ndarray, energy_x: np.ndarray, energy_p: np.ndarray, floor: np.ndarray | np.float32 = TINY
) -> np.ndarray:
    """Normalised inner product of two spectra in each band, -1 to 1; 0 where either is silent (P21).

    Parameters
    ----------
    correlation, energy_x, energy_p : np.ndarray [shape=(..., bands)]
    floor : np.ndarray [shape=(bands,)] or float
        Energy below which a band counts as silent: it is added to both energies.

    Returns
    -------
    np.ndarray [shape=(..., bands)]
    """
    return np.clip(correlation / np.sqrt((energy_x + floor) * (energy_p + floor)), -1.0, 1.0)
