"""Triangular bands of a batch of spectra: see `percepnet.reference.bands`."""

from functools import lru_cache

import torch
from torch import Tensor

from percepnet.params import BINS
from percepnet.reference import bands as reference

TINY = float(reference.TINY)


class Bands:
    """The band filters of one table of edges, on a device.

    Parameters
    ----------
    edges : tuple of int
    device : torch.device
    bins : int
        So many of a spectrum, from the lowest, are what it is given; what lies above is left out of every band.

    Attributes
    ----------
    bins : int
    weights : Tensor [shape=(bands, bins)]
    widths : Tensor [shape=(bands,)]
    """

    def __init__(self, edges: tuple[int, ...], device: torch.device, bins: int = BINS) -> None:
        found = reference.bands_of(edges)
        self.bins = bins
        self.weights = torch.from_numpy(found.weights).to(device)[:, :bins].contiguous()
        self.widths = torch.from_numpy(found.widths).to(device)
        self._to_bands = self.weights.T.contiguous()

    def sums(self, bins: Tensor) -> Tensor:
        """Sum of each band of what is real in every bin.

        Parameters
        ----------
        bins : Tensor [shape=(..., 481)]

        Returns
        -------
        Tensor [shape=(..., bands)]
        """
        return bins @ self._to_bands

    def energy(self, spectrum: Tensor) -> Tensor:
        """Energy of each band.

        Parameters
        ----------
        spectrum : Tensor [shape=(..., 481), complex]

        Returns
        -------
        Tensor [shape=(..., bands)]
        """
        return self.sums(power(spectrum))

    def correlation(self, x: Tensor, p: Tensor) -> Tensor:
        """Real inner product of two spectra in each band.

        Parameters
        ----------
        x, p : Tensor [shape=(..., 481), complex]

        Returns
        -------
        Tensor [shape=(..., bands)]
        """
        return self.sums((torch.view_as_real(x) * torch.view_as_real(p)).sum(dim=-1))

    def to_bins(self, values: Tensor) -> Tensor:
        """Interpolate values of bands to bins.

        Parameters
        ----------
        values : Tensor [shape=(..., bands)]

        Returns
        -------
        Tensor [shape=(..., 481)]
        """
        return values @ self.weights


@lru_cache(maxsize=16)
def bands_of(edges: tuple[int, ...], device: torch.device, bins: int = BINS) -> Bands:
    """The band filters of a table of edges on a device, made once."""
    return Bands(edges, device, bins)


def power(spectrum: Tensor) -> Tensor:
    """Energy of each bin.

    Parameters
    ----------
    spectrum : Tensor [shape=(...), complex]

    Returns
    -------
    Tensor [shape=(...)]
    """
    return torch.view_as_real(spectrum).square().sum(dim=-1)


def coherence(correlation: Tensor, energy_x: Tensor, energy_p: Tensor, floor: Tensor | float = TINY) -> Tensor:
    """Normalised inner product of two spectra in each band, -1 to 1; 0 where either is silent.

    Parameters
    ----------
    correlation, energy_x, energy_p : Tensor [shape=(..., bands)]
    floor : Tensor [shape=(bands,)] or float

    Returns
    -------
    Tensor [shape=(..., bands)]
    """
    return (correlation / ((energy_x + floor) * (energy_p + floor)).sqrt()).clamp(-1.0, 1.0)
