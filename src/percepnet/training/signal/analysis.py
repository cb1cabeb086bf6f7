"""Everything that is known of the frames of a batch before the network decides: see `percepnet.reference.analysis`.

A state goes in and comes out, so that recordings of minutes can be analysed a piece at a time.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from percepnet.params import BINS, HOP_SAMPLES, WINDOW_SAMPLES, SignalParams
from percepnet.reference import comb as reference_comb
from percepnet.reference import pitch as reference_pitch
from percepnet.reference.pitch import SILENT_PERIOD_SAMPLES
from percepnet.training.signal import comb, highpass, pitch, stft
from percepnet.training.signal.bands import bands_of, coherence, power
from percepnet.training.signal.features import FeatureState, feature_state, features, silent_energy
from percepnet.training.signal.pitch import PitchState, pitch_state

BEFORE = comb.REACH - 1  # samples that the interpolator of the comb filter needs before the first


class Frames(NamedTuple):
    """What `analyse` finds in T hops; rows as of `percepnet.reference.analysis.Frames`."""

    noisy: Tensor  # (batch, T, 481) spectrum
    comb: Tensor  # (batch, T, 481) spectrum after the comb filter
    features: Tensor  # (batch, T, features)
    periods_samples: Tensor  # (batch, T)
    correlations: Tensor  # (batch, T)
    tap_delays: Tensor  # (batch, T, 11) samples
    tap_weights: Tensor  # (batch, T, 11)
    energies: Tensor  # (batch, T, bands) of `noisy`
    comb_energies: Tensor  # (batch, T, bands) of `comb`
    comb_correlations: Tensor  # (batch, T, bands) of the two


class AnalysisState(NamedTuple):
    """What is remembered of what was heard so far."""

    begun: Tensor  # (batch,) whether anything was
    highpass: Tensor  # (batch, 4)
    x: Tensor  # (batch, history)
    spectra: Tensor  # (batch, M, 481)
    contour: Tensor  # (batch, past frames) periods
    pitch: PitchState
    features: FeatureState


def history_samples(params: SignalParams) -> int:
    """How many samples before the first new one the window of the first decided frame and its taps reach back."""
    future = params.lookahead_frames * HOP_SAMPLES
    return reference_comb.PAST_SAMPLES + comb.REACH + future + WINDOW_SAMPLES - HOP_SAMPLES + BEFORE


def analysis_state(batch: int, params: SignalParams, device: torch.device) -> AnalysisState:
    """Before the first sample."""
    return AnalysisState(
        torch.zeros(batch, dtype=torch.bool, device=device),
        torch.zeros(batch, highpass.STATE, dtype=torch.float64, device=device),
        torch.zeros(batch, history_samples(params), device=device),
        torch.zeros(batch, params.lookahead_frames, BINS, dtype=torch.complex64, device=device),
        torch.full((batch, reference_comb.PAST_FRAMES), float(SILENT_PERIOD_SAMPLES), device=device),
        pitch_state(batch, params.lookahead_frames, device),
        feature_state(batch, params, device),
    )


def analyse(
    params: SignalParams, hops: Tensor, state: AnalysisState | None = None, tap_delays: Tensor | None = None
) -> tuple[Frames, AnalysisState]:
    """Take in the next hops of a batch of recordings.

    Parameters
    ----------
    params : SignalParams
    hops : Tensor [shape=(batch, 480 * T)]
    state : AnalysisState, optional
        What the last call returned.
    tap_delays : Tensor [shape=(batch, T, 11)], optional
        Taps of the comb filter found in another signal. The pitch of this one is then not looked for, and there are no
        features.

    Returns
    -------
    frames : Frames
    state : AnalysisState
    """
    batch, count = len(hops), hops.shape[-1] // HOP_SAMPLES
    state = analysis_state(batch, params, hops.device) if state is None else state
    bands = bands_of(params.band_edges, hops.device)
    future = params.lookahead_frames * HOP_SAMPLES

    filtered_x, highpass_state = hops, state.highpass
    if params.highpass_hz:
        fresh = highpass.beginning(params.highpass_hz, hops)
        before = torch.where(state.begun[:, None], state.highpass, fresh)
        filtered_x, highpass_state = highpass.highpass(params.highpass_hz, hops, before)
    x = torch.cat([state.x, filtered_x], dim=-1)
    history = state.x.shape[-1]
    newest = stft.analysis(stft.frames(x[:, history - HOP_SAMPLES :]))
    spectra = torch.cat([state.spectra, newest], dim=1)
    noisy = spectra[:, :count]

    contour, pitch_after, is_leader = state.contour, state.pitch, tap_delays is None
    if tap_delays is None:
        lags = pitch.correlation(x[:, history - reference_pitch.HISTORY_SAMPLES :])
        paths, correlations, pitch_after = pitch.track(*pitch.cells(lags), state.pitch)
        decided = torch.cat([state.contour, paths[..., 0]], dim=1)
        around = torch.cat([decided[:, :-1].unfold(1, reference_comb.PAST_FRAMES, 1), paths], dim=-1)
        tap_delays = comb.tap_delays(around, reference_comb.PAST_FRAMES)
        periods, contour = paths[..., 0], decided[:, count:]
    else:
        periods = hops.new_full((batch, count), float(SILENT_PERIOD_SAMPLES))
        correlations = torch.zeros_like(periods)
    # the last samples between samples are never asked for: no tap reaches so near to the newest
    fine = comb.upsample(F.pad(x, (0, comb.REACH)))
    start = history - BEFORE - future - HOP_SAMPLES
    windows, weights = comb.comb_filter(fine, start, tap_delays, future)
    combed = stft.analysis(windows)

    sums = bands.energy(noisy), bands.energy(combed), bands.correlation(noisy, combed)
    inputs, features_after = hops.new_zeros(batch, count, 0), state.features
    if is_leader:
        periodic = coherence(sums[2], sums[0], sums[1], silent_energy(params, hops.device))
        bins = power(newest)
        inputs, features_after = features(
            params, bands.sums(bins), bins, periodic, periods, correlations, state.features
        )
    after = AnalysisState(
        torch.ones_like(state.begun), highpass_state, x[:, -history:], spectra[:, count:], contour, pitch_after,
        features_after,
    )  # fmt: skip
    return Frames(noisy, combed, inputs, periods, correlations, tap_delays, weights, *sums), after
