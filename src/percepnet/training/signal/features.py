"""What the network sees of the frames of a batch: see `percepnet.reference.features`."""

from typing import NamedTuple

import torch
from torch import Tensor

from percepnet.params import FEATURE_SIZES, RELATIVE_BINS, SignalParams
from percepnet.reference import features as reference
from percepnet.reference.bands import bands_of as reference_bands_of
from percepnet.reference.pitch import SILENT_PERIOD_SAMPLES
from percepnet.training.rows import LIFTED
from percepnet.training.signal.bands import bands_of
from percepnet.training.signal.gain_control import GainState, gain_state, gains

RELATIVE = ("relative_band_levels", "relative_bin_levels")
WINDOW_ENERGY = float(reference._WINDOW_ENERGY)


class FeatureState(NamedTuple):
    """Running means of the levels, how many frames are in them, and how loud the recordings are."""

    band_means: Tensor  # (batch, bands)
    bin_means: Tensor  # (batch, 100)
    heard: Tensor  # (batch,)
    gain: GainState


def feature_state(batch: int, params: SignalParams, device: torch.device) -> FeatureState:
    """Before the first frame."""
    return FeatureState(
        torch.zeros(batch, params.bands, device=device),
        torch.zeros(batch, RELATIVE_BINS, device=device),
        torch.zeros(batch, device=device),
        gain_state(batch, device),
    )


def silent_energy(params: SignalParams, device: torch.device) -> Tensor:
    """Energy of bands that hold nothing but the rounding noise of 16-bit audio."""
    return torch.from_numpy(reference.silent_energy(reference_bands_of(params.band_edges))).to(device)


def features(
    params: SignalParams,
    energies: Tensor,
    bins: Tensor,
    coherences: Tensor,
    periods_samples: Tensor,
    correlations: Tensor,
    state: FeatureState,
) -> tuple[Tensor, FeatureState]:
    """The next frames.

    Parameters
    ----------
    params : SignalParams
    energies : Tensor [shape=(batch, T, bands)]
        Band energies of the newest frames.
    bins : Tensor [shape=(batch, T, 481)]
        Energies of their bins.
    coherences : Tensor [shape=(batch, T, bands)]
    periods_samples, correlations : Tensor [shape=(batch, T)]
    state : FeatureState

    Returns
    -------
    features : Tensor [shape=(batch, T, features)]
        Blocks as of `percepnet.reference.features.Features.push`.
    state : FeatureState
    """
    powers = energies / (WINDOW_ENERGY * bands_of(params.band_edges, energies.device).widths)
    found = {
        "band_levels": _scaled(powers, float(reference.FLOOR)),
        "coherences": coherences,
        "pitch": torch.stack([torch.log2(periods_samples / SILENT_PERIOD_SAMPLES), 2.0 * correlations - 1.0], dim=-1),
    }
    sounding = powers.amax(dim=-1) >= float(reference.RELATIVE_SILENCE)
    if LIFTED in params.feature_blocks:
        lifted, gain = gains(energies.sum(dim=-1), sounding, state.gain)
        found[LIFTED] = _scaled(powers * lifted[..., None], float(reference.FLOOR))
        state = state._replace(gain=gain)
    wanted = [block for block in RELATIVE if block in params.feature_blocks]
    if wanted:
        heard = (state.heard[:, None] + sounding.cumsum(dim=1)).clamp(max=reference.RELATIVE_RISE_FRAMES)
        rise = torch.where(sounding, 1 / heard.clamp(min=1), 0.0)[..., None]
        fall = torch.where(sounding, 1 / heard.clamp(min=1, max=reference.RELATIVE_FALL_FRAMES), 0.0)[..., None]
        sources = {"relative_band_levels": powers, "relative_bin_levels": bins[..., :RELATIVE_BINS] / WINDOW_ENERGY}
        means = dict(zip(RELATIVE, state[:2], strict=True))
        for block in wanted:
            levels = _scaled(sources[block], float(reference.RELATIVE_FLOOR))
            running = _running_means(levels, rise, fall, means[block])
            found[block] = torch.where(heard[..., None] > 0, levels - running, 0.0)
            means[block] = running[:, -1]
        state = FeatureState(means[RELATIVE[0]], means[RELATIVE[1]], heard[:, -1], state.gain)
    assert set(found) <= set(FEATURE_SIZES)
    return torch.cat([found[block] for block in params.feature_blocks], dim=-1), state


def _running_means(levels: Tensor, rise: Tensor, fall: Tensor, before: Tensor) -> Tensor:
    """Frame by frame: which share of a level a mean takes in depends on the mean."""
    mean, means = before, []
    for level, up, down in zip(levels.unbind(1), rise.unbind(1), fall.unbind(1), strict=True):
        # the larger share, `down`, gives the smaller mean just where the level is below the mean
        mean = torch.minimum(torch.lerp(mean, level, up), torch.lerp(mean, level, down))
        means.append(mean)
    return torch.stack(means, dim=1)


def _scaled(powers: Tensor, floor: float) -> Tensor:
    return (10.0 * torch.log10(powers + floor) - float(reference.CENTRE_DB)) / float(reference.SPAN_DB)
