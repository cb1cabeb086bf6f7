"""Filters, colours, speeds and rooms as factors on spectra of whole mixtures: one transform there, one back."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from percepnet.acoustics.mixing import LOWPASS_TRANSITION_HZ
from percepnet.params import SAMPLE_RATE_HZ

COLOUR_KNOTS = 10  # one an octave above 60 Hz
SPEED_STEP = 1.01  # speeds that differ by less are taken for the same


def smooth_length(at_least: int) -> int:
    """The next even length that Fourier transforms are fast at: a product of 2, 3 and 5.

    Examples
    --------
    >>> smooth_length(1001)
    1024
    """
    lengths = _smooth_lengths(2 * at_least + 2)
    return int(lengths[np.searchsorted(lengths, at_least)])


@lru_cache(maxsize=8)
def _smooth_lengths(below: int) -> npt.NDArray[np.int64]:
    found = [
        2**a * 3**b * 5**c
        for a in range(1, below.bit_length())
        for b in range(below.bit_length())
        if 2**a * 3**b <= below
        for c in range(below.bit_length())
        if 2**a * 3**b * 5**c <= below
    ]
    return np.array(sorted(found), np.int64)


@lru_cache(maxsize=8)
def speeds(length: int, slowest: float, fastest: float) -> npt.NDArray[np.int64]:
    """Lengths that, squeezed or stretched to `length`, are speeds from the slowest to the fastest.

    Returns
    -------
    np.ndarray [shape=(speeds,), dtype=int]
        About 1 % apart.
    """
    lengths = _smooth_lengths(int(2 * fastest * length) + 2)
    kept = [0]
    for candidate in lengths[(lengths >= slowest * length) & (lengths <= fastest * length)]:
        if candidate >= SPEED_STEP * kept[-1]:
            kept.append(int(candidate))
    return np.array(kept[1:] or [length], np.int64)


def at_speed(sound: Tensor, length: int, bins: int) -> Tensor:
    """Spectrum of sounds that are played faster or slower.

    Parameters
    ----------
    sound : Tensor [shape=(batch, n)]
    length : int
        Of the transform: samples that become 2 (bins - 1).
    bins : int

    Returns
    -------
    Tensor [shape=(batch, bins), complex]
        What the new rate cannot hold is cut off.
    """
    spectrum = torch.fft.rfft(sound, n=length)
    scale = 2 * (bins - 1) / length
    kept = min(bins, spectrum.shape[-1])
    fitted = spectrum.new_zeros(len(sound), bins)
    torch.mul(spectrum[:, :kept], scale, out=fitted[:, :kept])
    return fitted


@lru_cache(maxsize=8)
def _axes(bins: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Frequencies, the interpolation of colours, and delays of 0, 1 and 2 samples."""
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, bins)
    octaves = np.clip(np.log2(np.maximum(hz, 60) / 60), 0, COLOUR_KNOTS - 1)
    colours = np.maximum(0, 1 - np.abs(octaves - np.arange(COLOUR_KNOTS)[:, None]))
    delays = np.exp(-1j * np.pi * np.linspace(0, 1, bins) * np.arange(3)[:, None])
    return (
        torch.from_numpy(hz.astype(np.float32)).to(device),
        torch.from_numpy(colours.astype(np.float32)).to(device),
        torch.from_numpy(delays.astype(np.complex64)).to(device),
    )


def microphones(filters: Tensor, colours_db: Tensor, bins: int) -> Tensor:
    """Responses of random microphones.

    Parameters
    ----------
    filters : Tensor [shape=(batch, 2, 3)]
        Numerator and denominator of a second-order filter each.
    colours_db : Tensor [shape=(batch, 10)]
        Gains at octaves above 60 Hz.
    bins : int

    Returns
    -------
    Tensor [shape=(batch, bins), complex]
    """
    _, colours, delays = _axes(bins, filters.device)
    above, below = (filters[:, half].to(delays.dtype) @ delays for half in (0, 1))
    return above.div_(below).mul_(10 ** (colours_db @ colours / 20))


def tilts(db_per_octave: Tensor, bins: int) -> Tensor:
    """Responses that rise by so many decibels an octave above 40 Hz, at most 1.

    Parameters
    ----------
    db_per_octave : Tensor [shape=(batch,)]
    bins : int

    Returns
    -------
    Tensor [shape=(batch, bins)]
    """
    hz, _, _ = _axes(bins, db_per_octave.device)
    octaves = torch.log2(hz.clamp(min=40) / 40)
    level_db = db_per_octave[:, None] * octaves
    return 10 ** ((level_db - level_db.amax(dim=1, keepdim=True)) / 20)


def lowpass(cutoff_hz: Tensor, bins: int) -> Tensor:
    """Responses of `percepnet.acoustics.mixing.lowpass`.

    Parameters
    ----------
    cutoff_hz : Tensor [shape=(batch,)]
    bins : int

    Returns
    -------
    Tensor [shape=(batch, bins)]
    """
    hz, _, _ = _axes(bins, cutoff_hz.device)
    slope = ((cutoff_hz[:, None] - hz) / LOWPASS_TRANSITION_HZ).clamp(0, 1)
    return torch.sin(0.5 * torch.pi * slope).square()


def noise_spectrum(count: int, bins: int, generator: torch.Generator) -> Tensor:
    """Spectra of white Gaussian noise.

    Returns
    -------
    Tensor [shape=(count, bins), complex]
    """
    return torch.randn(count, bins, dtype=torch.complex64, device=generator.device, generator=generator)
