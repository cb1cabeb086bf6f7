"""From decisions to spectra and sound, for a batch, such that gradients flow: see `percepnet.reference.mix`."""

from torch import Tensor

from percepnet.params import SignalParams
from percepnet.reference.mix import RESCALE_MAX
from percepnet.training.signal import stft
from percepnet.training.signal.bands import TINY, Bands, bands_of


def mix(noisy: Tensor, comb: Tensor, strengths: Tensor, bands: Bands) -> Tensor:
    """Replace a part of each band by its comb-filtered version, z = (1 - r) y + r p.

    Parameters
    ----------
    noisy, comb : Tensor [shape=(batch, T, 481), complex]
    strengths : Tensor [shape=(batch, T, bands)]
    bands : Bands

    Returns
    -------
    Tensor [shape=(batch, T, 481), complex]
    """
    return noisy + bands.to_bins(strengths) * (comb - noisy)


def enhance_spectrum(noisy: Tensor, comb: Tensor, gains: Tensor, strengths: Tensor, bands: Bands) -> Tensor:
    """Apply gains and strengths, without the post-filter, which is no part of training.

    Parameters
    ----------
    noisy, comb : Tensor [shape=(batch, T, 481), complex]
    gains, strengths : Tensor [shape=(batch, T, bands)]
    bands : Bands

    Returns
    -------
    Tensor [shape=(batch, T, 481), complex]
        Differentiable in gains and strengths.
    """
    mixed = mix(noisy, comb, strengths, bands)
    energy_noisy, energy_mixed = bands.energy(noisy), bands.energy(mixed)
    rescale = ((energy_noisy + TINY) / (energy_mixed + TINY)).sqrt().clamp(max=float(RESCALE_MAX))
    return bands.to_bins(gains * rescale) * mixed


def enhance(noisy: Tensor, comb: Tensor, gains: Tensor, strengths: Tensor, params: SignalParams) -> Tensor:
    """The enhanced sound of consecutive frames.

    Parameters
    ----------
    noisy, comb : Tensor [shape=(batch, T, 481), complex]
    gains, strengths : Tensor [shape=(batch, T, bands)]
    params : SignalParams

    Returns
    -------
    Tensor [shape=(batch, 480 * T)]
        As of `stft.overlap_add`. The phase that the high-pass turned is not turned back: neither is that of a target
        from the same analysis.
    """
    bands = bands_of(params.band_edges, gains.device)
    return stft.overlap_add(stft.synthesis(enhance_spectrum(noisy, comb, gains, strengths, bands)))
