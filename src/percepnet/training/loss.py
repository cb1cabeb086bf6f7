"""What the training minimises: the losses of P21 (default) and of P20, on gains and comb filter strengths."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from percepnet.errors import PercepNetError
from percepnet.training.calibration import band_range

LossKind = Literal["P21", "P20"]

P21_EXPONENT = 0.6  # 2 gamma, gamma = 0.3
P20_EXPONENT = 0.5  # gamma
STRENGTH_EXPONENT = 0.5
LOUDNESS_EXPONENT = 0.23  # of power, Zwicker's
# x ** gamma has an infinite slope at 0, which is where re-implementations report their NaNs
POWER_FLOOR = 1e-3
DENOMINATOR_FLOOR = 1e-2
PROBABILITY_MIN = 1e-4
LEAK_GAIN = 0.15  # the best gain of a band with hardly any speech
LOGIT_MARGIN = 1e-6


@dataclass(frozen=True)
class LossWeights:
    """Parameters of the loss.

    Parameters
    ----------
    kind : {"P21", "P20"}
        P21's gain loss divides by the larger of the two gains, which stresses speech that is removed entirely and small
        leaks in silence; P20's is a plain compressed distance.
    strength : float
        Weight of the strength loss relative to the gain loss. Not published.
    quartic : float
        lambda_4 of P21 and C_4 of P20.
    speech : float
        Weight of the cross-entropy of the speech probability, of networks that say it.
    strength_floor : float
        Weight of a strength in a band without speech. The strength matters as far as there is speech to be heard:
        elsewhere the gain removes the band, whatever the comb filter does.
    loudness : float
        Weight of the loudness loss relative to the gain loss. Not published: the others count every band of every frame
        alike, however little of it is to be heard.
    pauses, leaks : float
        Weights of what is left in frames without speech, and of bands whose best gain is next to nothing.
    shifts : dict of str to float
        Bands such as "18-33", and what the logits of their gains are to lie above (or below) those of the best gains.
        What `percepnet export --gain-shift` does afterwards is then learned, and other losses know of it. Bands that
        are named twice, by a recipe and by one that it extends, are shifted by the sum.
    """

    kind: LossKind = "P21"
    strength: float = 1.0
    quartic: float = 10.0
    speech: float = 0.1
    strength_floor: float = 0.05
    loudness: float = 5.0
    pauses: float = 0.0
    leaks: float = 0.0
    shifts: dict[str, float] = field(default_factory=dict)

    @property
    def band_shifts(self) -> dict[range, float]:
        """The shifts by bands.

        Raises
        ------
        PercepNetError
            For what names no bands.
        """
        try:
            return {band_range(bands): shift for bands, shift in self.shifts.items()}
        except ValueError:
            raise PercepNetError('[loss] shifts: expected bands, counted from 0, such as "18-33" = -0.8') from None


def gain_loss(found: Tensor, target: Tensor, mask: Tensor, weights: LossWeights | None = None) -> Tensor:
    """Distance of band gains from their targets, mean over the bands that count.

    Parameters
    ----------
    found, target : Tensor [shape=(..., bands)]
        From 0 to 1.
    mask : Tensor [shape=(..., bands)]
        1 where the target is known, 0 where it is not.
    weights : LossWeights, optional

    Returns
    -------
    Tensor [shape=()]
    """
    weights = weights or LossWeights()
    exponent = P21_EXPONENT if weights.kind == "P21" else P20_EXPONENT
    a, b = _power(found, exponent), _power(target, exponent)
    distance = (a - b) ** 2
    if weights.kind == "P21":
        distance = distance / (torch.maximum(a, b) + DENOMINATOR_FLOOR)
    return _mean(distance + weights.quartic * distance**2, mask)


def strength_loss(
    found: Tensor, target: Tensor, gain_target: Tensor, mask: Tensor, weights: LossWeights | None = None
) -> Tensor:
    """Distance of comb filter strengths from their targets, by how much speech there is in the band.

    Parameters
    ----------
    found, target, gain_target, mask : Tensor [shape=(..., bands)]
    weights : LossWeights, optional

    Returns
    -------
    Tensor [shape=()]
    """
    weights = weights or LossWeights()
    distance = (_power(1 - found, STRENGTH_EXPONENT) - _power(1 - target, STRENGTH_EXPONENT)) ** 2
    audible = weights.strength_floor + (1 - weights.strength_floor) * gain_target.clamp(0, 1)
    return _mean(distance, mask * audible)


def loudness_loss(found: Tensor, target: Tensor, mask: Tensor, energies: Tensor) -> Tensor:
    """Distance of the loudness that gains leave of each band, in units of its mean square over a sequence.

    Parameters
    ----------
    found, target, mask : Tensor [shape=(batch, frames, bands)]
    energies : Tensor [shape=(batch, frames, bands)]
        Of the noisy speech, in any unit.

    Returns
    -------
    Tensor [shape=()]
    """
    loudness = (energies + torch.finfo(energies.dtype).tiny) ** LOUDNESS_EXPONENT
    weight = mask * loudness**2
    weight = weight / weight.mean(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(energies.dtype).tiny)
    distance = (_power(found, 2 * LOUDNESS_EXPONENT) - _power(target, 2 * LOUDNESS_EXPONENT)) ** 2
    return (weight * distance).mean()


def left_over(found: Tensor, where: Tensor) -> Tensor:
    """What gains leave of bands in which there is nothing to be kept, compressed.

    Parameters
    ----------
    found, where : Tensor [shape=(..., bands)]
        Gains, and 1 for those that count.

    Returns
    -------
    Tensor [shape=()]
        0 where everything is removed, to 1.
    """
    return _mean(_power(found, P21_EXPONENT), where)


def unshifted(gains: Tensor, shifts: Mapping[range, float]) -> Tensor:
    """Gains before they were made higher or lower.

    Parameters
    ----------
    gains : Tensor [shape=(..., bands)]
    shifts : mapping of range to float
        Of logits, by bands.

    Returns
    -------
    Tensor [shape=(..., bands)]
    """
    if not shifts:
        return gains
    shift = gains.new_zeros(gains.shape[-1])
    for bands, value in shifts.items():
        shift[bands.start : bands.stop] += value
    return torch.sigmoid(torch.logit(gains, LOGIT_MARGIN) - shift)


def speech_loss(found: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of the speech probability.

    Parameters
    ----------
    found, target : Tensor [shape=(batch, frames, 1)]
        From 0 to 1.

    Returns
    -------
    Tensor [shape=()]
    """
    return torch.nn.functional.binary_cross_entropy(found.clamp(PROBABILITY_MIN, 1 - PROBABILITY_MIN), target)


def total_loss(
    gains: Tensor,
    strengths: Tensor,
    gain_target: Tensor,
    strength_target: Tensor,
    mask: Tensor,
    energies: Tensor,
    weights: LossWeights | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The whole loss, and its parts of gains and strengths.

    Parameters
    ----------
    gains, strengths, gain_target, strength_target, mask, energies : Tensor [shape=(batch, frames, bands)]
    weights : LossWeights, optional

    Returns
    -------
    total, gain, strength : Tensor [shape=()]
    """
    weights = weights or LossWeights()
    gain = gain_loss(gains, gain_target, mask, weights)
    strength = strength_loss(strengths, strength_target, gain_target, mask, weights)
    total = gain + weights.strength * strength
    if weights.loudness:
        total = total + weights.loudness * loudness_loss(gains, gain_target, mask, energies)
    return total, gain, strength


def _power(x: Tensor, exponent: float) -> Tensor:
    return (x.clamp(0, 1) + POWER_FLOOR) ** exponent


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    # a batch without a single known band has no loss, and no NaN
    return (values * weight).sum() / weight.sum().clamp(min=1.0)
