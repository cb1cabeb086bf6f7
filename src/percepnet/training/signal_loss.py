"""A loss on the enhanced sound itself: gains and strengths are judged by what comes out of them.

The decisions go through the differentiable mix of bands and comb filter; the spectra of what comes out, compressed as
loudness is, are compared with those of the clean speech at several resolutions. Speech that is missing counts more than
noise that is left.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from percepnet.params import SignalParams
from percepnet.training.signal import stft
from percepnet.training.signal.bands import bands_of
from percepnet.training.signal.mix import enhance_spectrum
from percepnet.training.signal.precision import full_precision

WINDOWS_SAMPLES = (512, 1024, 2048)  # 11, 21 and 43 ms
FLOOR = 1e-6  # of power, relative to the level of speech: below, and at 0, the compression is linear
NOISE_SHARE = 0.3  # of the noisy level, where there is no speech to be relative to


@dataclass(frozen=True)
class SignalLossWeights:
    """Parameters of the loss on the enhanced sound.

    Parameters
    ----------
    weight : float
        Relative to the gain loss; 0 for none.
    exponent : float
        Of the magnitudes.
    removed : float
        Weight of what is too little, relative to what is too much.
    complex_share : float
        Of the distance of complex values, whose phases the comb filter changes; the rest is that of magnitudes.
    """

    weight: float = 0.0
    exponent: float = 0.3
    removed: float = 2.0
    complex_share: float = 0.3


class Spectra(NamedTuple):
    """What decisions are applied to, and what should come of it; all [shape=(batch, frames, 481), complex]."""

    noisy: Tensor
    comb: Tensor
    clean: Tensor


def signal_loss(
    gains: Tensor, strengths: Tensor, spectra: Spectra, known: Tensor, params: SignalParams, weights: SignalLossWeights
) -> Tensor:
    """Distance of what decisions make of noisy speech from the clean speech.

    Parameters
    ----------
    gains, strengths : Tensor [shape=(batch, frames, bands)]
    spectra : Spectra
        Of consecutive frames.
    known : Tensor [shape=(batch, frames, bands)]
        1 where the clean speech is known, 0 where it is not: nothing is compared there.
    params : SignalParams
    weights : SignalLossWeights

    Returns
    -------
    Tensor [shape=()]
    """
    bands = bands_of(params.band_edges, gains.device)
    with full_precision():
        shown = bands.to_bins(known)
        found = enhance_spectrum(spectra.noisy, spectra.comb, gains, strengths, bands)
        enhanced, clean, noisy = (
            stft.overlap_add(stft.synthesis(shown * spectrum)) for spectrum in (found, spectra.clean, spectra.noisy)
        )
    return sound_loss(enhanced, clean, noisy, weights)


def sound_loss(found: Tensor, target: Tensor, noisy: Tensor, weights: SignalLossWeights) -> Tensor:
    """Distance of sounds by their compressed spectra.

    Parameters
    ----------
    found, target, noisy : Tensor [shape=(batch, n)]
        The noisy sound sets the scale where the target is silent.
    weights : SignalLossWeights

    Returns
    -------
    Tensor [shape=()]
        0 where speech comes out as it should. It does not depend on the level of a recording.
    """
    level = torch.maximum(_rms(target), NOISE_SHARE * _rms(noisy)).clamp(min=1e-6)
    found, target = found / level, target / level
    total = found.new_zeros(())
    lengths = [length for length in WINDOWS_SAMPLES if length <= found.shape[-1]]
    for length in lengths:
        window = torch.hann_window(length, device=found.device)
        window = window / window.square().sum().sqrt()
        a, b = (_spectrum(sound, window) for sound in (found, target))
        size_a, size_b = (spectrum.real.square() + spectrum.imag.square() + FLOOR for spectrum in (a, b))
        loud_a, loud_b = size_a ** (weights.exponent / 2), size_b ** (weights.exponent / 2)
        shape_a, shape_b = a * (loud_a / size_a.sqrt()), b * (loud_b / size_b.sqrt())
        bias = torch.where(loud_a < loud_b, weights.removed, 1.0)
        magnitude = (bias * (loud_a - loud_b).square()).mean()
        difference = shape_a - shape_b
        both = (difference.real.square() + difference.imag.square()).mean()
        total = total + (1 - weights.complex_share) * magnitude + weights.complex_share * both
    return total / max(1, len(lengths))


def _spectrum(sound: Tensor, window: Tensor) -> Tensor:
    length = len(window)
    return torch.stft(sound, length, length // 2, window=window, center=False, return_complex=True)


def _rms(sound: Tensor) -> Tensor:
    return sound.square().mean(dim=-1, keepdim=True).sqrt()
