"""Losses on the enhanced sound itself: gains and strengths are judged by what comes out of them.

The decisions go through the differentiable mix of bands and comb filter, and what comes out is compared with the clean
speech. One comparison is that of spectra compressed as loudness is, at several resolutions, where speech that is
missing counts more than noise that is left. The others, up to 8 kHz, are of what the ear makes of it (P.862), of
envelopes (STOI), of distortion (SI-SDR) and of what listeners would say (DNSMOS).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from percepnet.params import SignalParams
from percepnet.training.intelligibility_loss import intelligibility
from percepnet.training.opinion_loss import opinions
from percepnet.training.perceptual_loss import TINY, disturbance
from percepnet.training.precision import bfloat16_is_fast, full_precision
from percepnet.training.signal import stft
from percepnet.training.signal.bands import bands_of
from percepnet.training.signal.mix import enhance_spectrum
from percepnet.training.signal.noise_shape import Corrector, noise_shape, noise_shape_state, shaped_frames

WINDOWS_SAMPLES = (512, 1024, 2048)  # 11, 21 and 43 ms
HEARD_BINS = 200  # up to 8 kHz, and whole bands around it
SPEECH_LEAST = 1e-3  # of the energy of noisy speech: with less there is no speech to compare
OPINION_BEST = 5.0
OPINION_LEVELS_DB = (-36.0, -26.0)  # full scale, of speech with its pauses: as recordings are, and as DNSMOS learned
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
    perceptual : float
        Weight of the disturbance of P.862, 0 to 4.5.
    intelligibility : float
        Weight of what lacks of the correlation of envelopes, 0 to 1.
    distortion : float
        Weight of 10 dB of scale-invariant signal-to-distortion ratio.
    distortion_max_db : float
        What is better is good enough.
    opinion : float
        Weight of the mean opinion that DNSMOS predicts, 1 to 5.
    background : float
        Weight of its opinion of what is left of the noise, 1 to 5.
    opinions : int
        Sounds of a batch that it is asked about, by chance: it calculates more than the network that is trained.
    """

    weight: float = 0.0
    exponent: float = 0.3
    removed: float = 2.0
    complex_share: float = 0.3
    perceptual: float = 0.0
    intelligibility: float = 0.0
    distortion: float = 0.0
    distortion_max_db: float = 25.0
    opinion: float = 0.0
    background: float = 0.0
    opinions: int = 8

    @property
    def asked(self) -> bool:
        """Whether any opinion counts."""
        return self.opinion > 0 or self.background > 0

    @property
    def heard(self) -> bool:
        """Whether any counts that is judged by ear."""
        return self.asked or any(weight > 0 for weight in (self.perceptual, self.intelligibility, self.distortion))

    @property
    def present(self) -> bool:
        """Whether any counts at all."""
        return self.weight > 0 or self.heard


class Spectra(NamedTuple):
    """What decisions are applied to, and what should come of it; all [shape=(batch, frames, 481), complex]."""

    noisy: Tensor
    comb: Tensor
    clean: Tensor


def signal_loss(
    gains: Tensor,
    strengths: Tensor,
    spectra: Spectra,
    known: Tensor,
    params: SignalParams,
    weights: SignalLossWeights,
    corrector: Corrector | None = None,
) -> Tensor:
    """Distance of what decisions make of noisy speech from the clean speech, all kinds of it by their weights.

    Parameters
    ----------
    gains, strengths : Tensor [shape=(batch, frames, bands)]
    spectra : Spectra
        Of consecutive frames.
    known : Tensor [shape=(batch, frames, bands)]
        1 where the clean speech is known, 0 where it is not: nothing is compared there.
    params : SignalParams
    weights : SignalLossWeights
    corrector : Corrector, optional
        A network for bins. What is judged by ear is heard with it.

    Returns
    -------
    Tensor [shape=()]
    """
    total = gains.new_zeros(())
    with full_precision():
        if weights.weight:
            bands = bands_of(params.band_edges, gains.device)
            shown = bands.to_bins(known)
            found = enhance_spectrum(spectra.noisy, spectra.comb, gains, strengths, bands)
            enhanced, clean, noisy = (
                stft.overlap_add(stft.synthesis(shown * spectrum)) for spectrum in (found, spectra.clean, spectra.noisy)
            )
            total = total + weights.weight * sound_loss(enhanced, clean, noisy, weights)
        if weights.heard:
            total = total + _heard_loss(gains, strengths, spectra, known, params, weights, corrector)
    return total


def _heard_loss(
    gains: Tensor,
    strengths: Tensor,
    spectra: Spectra,
    known: Tensor,
    params: SignalParams,
    weights: SignalLossWeights,
    corrector: Corrector | None,
) -> Tensor:
    bands = bands_of(params.band_edges, gains.device, HEARD_BINS)
    noisy, comb, clean = (spectrum[..., :HEARD_BINS] for spectrum in spectra)
    frames = shaped_frames(noisy, comb, params.lookahead_frames)
    state = noise_shape_state(len(gains), gains.device)
    factors, _ = noise_shape(frames, gains, strengths, bands, state, corrector)
    shown = bands.to_bins(known)
    found = factors * enhance_spectrum(noisy, comb, gains, strengths, bands)
    y, x, unprocessed = (
        stft.overlap_add(stft.narrow_synthesis(shown * spectrum)) for spectrum in (found, clean, noisy)
    )
    power = x.square().mean(dim=-1)
    speech = (power > SPEECH_LEAST * unprocessed.square().mean(dim=-1)) & (power > 0)
    total = gains.new_zeros(len(gains))
    if weights.perceptual:
        total = total + weights.perceptual * disturbance(y, x)
    if weights.intelligibility:
        total = total + weights.intelligibility * (1 - intelligibility(y, x))
    if weights.distortion:
        total = total - weights.distortion * si_sdr_db(y, x).clamp(max=weights.distortion_max_db) / 10
    heard = torch.where(speech, total, 0.0).sum() / speech.sum().clamp(min=1)
    return heard + _opinion_loss(y, x, speech, weights) if weights.asked else heard


def _opinion_loss(found: Tensor, target: Tensor, speech: Tensor, weights: SignalLossWeights) -> Tensor:
    heard = speech.nonzero()[:, 0]
    heard = heard[torch.randperm(len(heard), device=heard.device)[: weights.opinions]]
    if not len(heard):
        return found.new_zeros(())
    levels_db = torch.empty(len(heard), 1, device=found.device).uniform_(*OPINION_LEVELS_DB)
    scale = 10 ** (levels_db / 20) / _rms(target[heard])
    products = torch.bfloat16 if bfloat16_is_fast(found.device) else torch.float32
    said = opinions(scale * found[heard], products)
    whole, background = (OPINION_BEST - values.mean() for values in (said.whole, said.background))
    return weights.opinion * whole + weights.background * background


def si_sdr_db(found: Tensor, target: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio (Le Roux et al. 2019).

    Parameters
    ----------
    found, target : Tensor [shape=(batch, n)]

    Returns
    -------
    Tensor [shape=(batch,)]
        In dB.
    """
    energy = target.square().sum(dim=-1) + TINY
    image = ((found * target).sum(dim=-1) / energy)[:, None] * target
    rest = (found - image).square().sum(dim=-1)
    return 10 * torch.log10((image.square().sum(dim=-1) + TINY) / (rest + TINY))


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
