"""Training examples of a batch: the rows that `percepnet.training.features.sequence` makes one recording at a time."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from percepnet.acoustics.levels import BESIDE_FRAMES, SILENCE_POWER, SPEECH_DB
from percepnet.params import SAMPLE_RATE_HZ, WINDOW_SAMPLES, SignalParams
from percepnet.training import features as reference
from percepnet.training.rows import UNKNOWN, RowLayout
from percepnet.training.signal.analysis import AnalysisState, analyse, analysis_state
from percepnet.training.signal.levels import active_rms, amplitude, hop_power
from percepnet.training.signal.oracle import decide


class Mixtures(NamedTuple):
    """A batch of what `percepnet.acoustics.mixing.Mixture` is one of."""

    clean: Tensor  # (batch, n)
    noisy: Tensor  # (batch, n)
    bandwidth_hz: Tensor  # (batch,)
    cutoff_hz: Tensor  # (batch,)
    limit_db: Tensor  # (batch,)


class ExampleState(NamedTuple):
    """What a sequence that goes on needs of what came before."""

    noisy: AnalysisState
    clean: AnalysisState


class Examples(NamedTuple):
    """What a batch of sequences is trained on."""

    rows: Tensor  # (batch, frames, columns of RowLayout)
    noisy: Tensor  # (batch, frames, 481) spectra of the frames that are decided on
    comb: Tensor  # (batch, frames, 481)
    clean: Tensor  # (batch, frames, 481)


def example_state(batch: int, params: SignalParams, device: torch.device) -> ExampleState:
    """Before the first sample."""
    return ExampleState(analysis_state(batch, params, device), analysis_state(batch, params, device))


def examples(
    mixtures: Mixtures, params: SignalParams, state: ExampleState | None = None
) -> tuple[Examples, ExampleState]:
    """Features and targets of a batch of mixtures.

    Parameters
    ----------
    mixtures : Mixtures
        Of whole hops.
    params : SignalParams
        Of the network that is trained.
    state : ExampleState, optional
        Of the same sequences, where these mixtures continue them.

    Returns
    -------
    examples : Examples
    state : ExampleState
    """
    analysed = RowLayout(params).analysed
    state = state or example_state(len(mixtures.noisy), analysed, mixtures.noisy.device)
    noisy, noisy_after = analyse(analysed, mixtures.noisy, state.noisy)
    clean, clean_after = analyse(analysed, mixtures.clean, state.clean, noisy.tap_delays)
    gains, strengths = decide(clean, noisy, analysed)
    gains = torch.maximum(gains, amplitude(-mixtures.limit_db)[:, None, None])
    level = active_rms(mixtures.clean)
    power = hop_power(mixtures.clean)
    gains = torch.where(_known(mixtures, power, level, params), gains, UNKNOWN)
    speech = _is_speech(power, level, params)[..., None]
    rows = torch.cat([noisy.features, gains, strengths, speech], dim=-1)
    # a mixture with numbers that are not finite says nothing, and spoils no weights
    finite = rows.isfinite().all(dim=-1, keepdim=True).all(dim=1, keepdim=True)
    rows = torch.where(finite, rows, torch.zeros_like(rows).index_fill(-1, _columns(params, rows.device), UNKNOWN))
    return Examples(rows, noisy.noisy, noisy.comb, clean.noisy), ExampleState(noisy_after, clean_after)


def _columns(params: SignalParams, device: torch.device) -> Tensor:
    gains = RowLayout(params).gains
    return torch.arange(gains.start, gains.stop, device=device)


def _known(mixtures: Mixtures, power: Tensor, level: Tensor, params: SignalParams) -> Tensor:
    """See `percepnet.training.features.known`."""
    pause = level.square() * 10 ** (-reference.PAUSE_DB / 10)
    speech = (power > pause[:, None]).float()
    hops = reference.PAUSE_HOPS
    # a frame is the hops t - 1 and t; hops beside those may hold the ends of words
    wide = F.max_pool1d(F.pad(speech, (hops - 2, 1))[:, None], hops, stride=1)[:, 0] > 0
    wide = F.pad(wide, (params.lookahead_frames, 0), value=True)[:, : power.shape[1]]
    edges_hz = torch.tensor(params.band_edges, device=power.device) * (SAMPLE_RATE_HZ / WINDOW_SAMPLES)
    spoken, unspoken = (edges_hz <= hz[:, None] for hz in (mixtures.bandwidth_hz, mixtures.cutoff_hz))
    return torch.where(wide[..., None], spoken[:, None], unspoken[:, None])


def _is_speech(power: Tensor, level: Tensor, params: SignalParams) -> Tensor:
    """See `percepnet.training.features.is_speech`."""
    least = (level.square() * 10 ** (-SPEECH_DB / 10)).clamp(min=SILENCE_POWER)
    loud = (power > least[:, None]).float()
    reach = BESIDE_FRAMES
    wide = F.max_pool1d(F.pad(loud, (reach, reach))[:, None], 2 * reach + 1, stride=1)[:, 0]
    return F.pad(wide, (params.lookahead_frames, 0))[:, : power.shape[1]]
