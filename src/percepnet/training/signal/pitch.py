"""Pitch of a batch: see `percepnet.reference.pitch`.

The best path is found step by step, since each step needs the one before. To have few steps, a long recording is cut
into stretches that are tracked side by side, each from some frames before its beginning on: by then a path no longer
depends on where it came from, but for a frame in thousands (`tests/test_signal_pitch.py`).
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from percepnet.params import HOP_SAMPLES, PERIOD_MAX_SAMPLES, PERIOD_MIN_SAMPLES
from percepnet.reference import pitch as reference
from percepnet.training.signal.comb import filter_matrix

CELLS = reference.CELLS
STEPS = 2 * reference.STEP_CELLS + 1
STRETCH = 80  # frames that are tracked side by side with others
WARM_UP = 80  # frames before a stretch, of which only the path is kept


class _Tables(NamedTuple):
    low_pass: Tensor  # of a hop
    window: Tensor
    emphasis: Tensor
    window_correlation: Tensor
    lags: Tensor  # (cells, lags of the widest cell), `beyond` where a cell has less
    lags_samples: Tensor
    step_costs: Tensor
    cell_cost: Tensor


@lru_cache(maxsize=8)
def _tables(device: torch.device) -> _Tables:
    starts = [*reference._CELL_START, len(reference._LAGS_SAMPLES)]
    members = [np.arange(first, end) for first, end in pairwise(starts)]
    widest = max(map(len, members))
    beyond = len(reference._LAGS_SAMPLES)
    lags = np.stack([np.pad(some, (0, widest - len(some)), constant_values=beyond) for some in members])
    arrays = (
        filter_matrix(reference._LOW_PASS[None], reference.DECIMATION, reference.HOP).numpy(),
        reference._WINDOW,
        reference._EMPHASIS,
        reference._WINDOW_CORRELATION,
        lags,
        np.append(reference._LAGS_SAMPLES, 0).astype(np.float32),
        reference._STEP_COSTS,
        reference._CELL_COST,
    )
    return _Tables(*(torch.from_numpy(array).to(device) for array in arrays))


def correlation(x: Tensor) -> Tensor:
    """Whitened normalised autocorrelation of the 40 ms that end with each hop.

    Parameters
    ----------
    x : Tensor [shape=(batch, reference.pitch.HISTORY_SAMPLES + 480 * T)]

    Returns
    -------
    Tensor [shape=(batch, T, lags)]
    """
    tables = _tables(x.device)
    low = (x.unfold(-1, tables.low_pass.shape[0], HOP_SAMPLES) @ tables.low_pass).flatten(1)
    segments = low.unfold(-1, reference.SEGMENT, reference.HOP)
    spectrum = torch.fft.rfft(segments * tables.window, n=reference.FFT)
    power = torch.view_as_real(spectrum).square().sum(dim=-1)
    whitened = power * tables.emphasis / (_envelope(power) + 1e-12) ** reference.WHITENING
    lags = torch.fft.irfft(whitened.to(spectrum.dtype), n=reference.FFT * reference.OVERSAMPLING)
    zero_lag = lags[..., :1] + 1e-20
    return lags[..., reference._FIRST_LAG : reference._LAST_LAG + 1] / (zero_lag * tables.window_correlation)


def _envelope(power: Tensor) -> Tensor:
    reach = round(reference.ENVELOPE_HZ * reference.FFT / reference.RATE_HZ)
    padded = F.pad(power, (reach + 1, reach), mode="reflect")
    total = torch.cumsum(padded, dim=-1, dtype=torch.float64)
    width = 2 * reach + 1
    return ((total[..., width:] - total[..., :-width]) / width).clamp(min=0).float()


def cells(lags: Tensor) -> tuple[Tensor, Tensor]:
    """Highest correlation in each cell, and its period refined by a parabola through three lags.

    Parameters
    ----------
    lags : Tensor [shape=(batch, T, lags)]
        From `correlation`.

    Returns
    -------
    peaks, periods_samples : Tensor [shape=(batch, T, cells)]
    """
    tables = _tables(lags.device)
    middle = F.pad(lags[..., 1:-1], (0, 1), value=-torch.inf)
    peaks, which = middle[..., tables.lags].max(dim=-1)
    at = tables.lags.expand(*which.shape, -1).gather(-1, which[..., None])[..., 0]
    left, right = lags.gather(-1, at), lags.gather(-1, at + 2)
    curvature = left + right - 2.0 * peaks
    offset = torch.where(curvature < 0.0, 0.5 * (left - right) / curvature.clamp(max=-1e-6), 0.0)
    periods = tables.lags_samples[at] + offset.clamp(-0.5, 0.5) * reference._STEP_SAMPLES
    return peaks, periods.clamp(PERIOD_MIN_SAMPLES, PERIOD_MAX_SAMPLES)


class PitchState(NamedTuple):
    """The best paths so far: scores of their ends, and what is needed to follow them back M - 1 steps."""

    scores: Tensor  # (batch, cells)
    leader: Tensor  # (batch,) best cell
    periods: Tensor  # (batch, M - 1, cells) of the last frames
    origins: Tensor  # (batch, M - 1, cells) where their best paths came from


def pitch_state(batch: int, lookahead_frames: int, device: torch.device) -> PitchState:
    """Before the first frame."""
    back = max(lookahead_frames - 1, 0)
    return PitchState(
        torch.zeros(batch, CELLS, device=device),
        torch.zeros(batch, dtype=torch.long, device=device),
        torch.full((batch, back, CELLS), float(reference.SILENT_PERIOD_SAMPLES), device=device),
        torch.arange(CELLS, device=device).expand(batch, back, CELLS),
    )


def track(peaks: Tensor, periods: Tensor, state: PitchState) -> tuple[Tensor, Tensor, PitchState]:
    """Take the correlations of the next hops into the paths.

    Parameters
    ----------
    peaks, periods : Tensor [shape=(batch, T, cells)]
        From `cells`.
    state : PitchState

    Returns
    -------
    contours : Tensor [shape=(batch, T, max(M, 1))]
        As `reference.pitch.PitchTracker.step` returns them.
    correlations : Tensor [shape=(batch, T)]
    state : PitchState
    """
    gains = peaks - _tables(peaks.device).cell_cost
    ends, origins, scores = _paths(gains, state)
    at_end = peaks.gather(-1, ends[..., None])[..., 0].clamp(0.0, 1.0)

    back = state.periods.shape[1]
    periods, origins = torch.cat([state.periods, periods], dim=1), torch.cat([state.origins, origins], dim=1)
    frames = ends.shape[1]
    path = ends
    contour = [_at(periods[:, back:], path)]
    for step in range(1, back + 1):
        # origins of frame t are cells of frame t - 1
        path = _at(origins[:, back - step + 1 : back - step + 1 + frames], path)
        contour.insert(0, _at(periods[:, back - step : back - step + frames], path))
    after = PitchState(scores, ends[:, -1], periods[:, frames:], origins[:, frames:])
    return torch.stack(contour, dim=-1), at_end, after


def _at(values: Tensor, cell: Tensor) -> Tensor:
    return values.gather(-1, cell[..., None])[..., 0]


def _paths(gains: Tensor, state: PitchState) -> tuple[Tensor, Tensor, Tensor]:
    """Best last cells and origins of all frames, and the last scores; stretches side by side."""
    batch, frames, _ = gains.shape
    stretches = max(1, -(-(frames - WARM_UP) // STRETCH)) if frames > STRETCH + WARM_UP else 1
    if stretches == 1:
        best, steps, ends, scores = _recursion(gains, state.scores)
        before = torch.cat([state.leader[:, None], ends[:, :-1]], dim=1)
        return ends, _origins(best, steps, before), scores
    # stretch 0 is WARM_UP frames longer and needs no others before it
    length = -(-(frames - WARM_UP) // stretches)
    padded = F.pad(gains, (0, 0, 0, stretches * length + WARM_UP - frames))
    side_by_side = padded.unfold(1, WARM_UP + length, length).transpose(-1, -2)
    first = torch.zeros(batch, stretches, CELLS, device=gains.device)
    first[:, 0] = state.scores
    *found, _ = _recursion(side_by_side.flatten(0, 1), first.flatten(0, 1))
    best, steps, ends = (_joined(part.reshape(batch, stretches, *part.shape[1:]), frames) for part in found)
    before = torch.cat([state.leader[:, None], ends[:, :-1]], dim=1)
    last = best[:, -1].clamp(min=-reference.JUMP_COST) + gains[:, -1]
    return ends, _origins(best, steps, before), last - last.amax(dim=-1, keepdim=True)


def _joined(values: Tensor, frames: int) -> Tensor:
    """Stretches [shape=(batch, stretches, frames, ...)] one after another, without what warmed them up."""
    rest = values[:, 1:, WARM_UP:]
    return torch.cat([values[:, 0], rest.flatten(1, 2)], dim=1)[:, :frames]


def _recursion(gains: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The steps themselves. Scores are relative to the best, so that a jump costs the same from everywhere."""
    batch, frames, _ = gains.shape
    costs = _tables(gains.device).step_costs
    reach = scores.new_full((batch, CELLS + STEPS - 1), -torch.inf)
    middle = reach[:, reference.STEP_CELLS : -reference.STEP_CELLS]
    neighbours = reach.unfold(-1, STEPS, 1)
    middle.copy_(scores)
    best = gains.new_empty(frames, batch, CELLS)
    steps = torch.empty(frames, batch, CELLS, dtype=torch.long, device=gains.device)
    ends = torch.empty(frames, batch, dtype=torch.long, device=gains.device)
    top = gains.new_empty(batch)
    for frame, gain in enumerate(gains.transpose(0, 1).contiguous()):
        torch.max(neighbours - costs, dim=-1, out=(best[frame], steps[frame]))
        new = best[frame].clamp(min=-reference.JUMP_COST).add_(gain)
        torch.max(new, dim=-1, out=(top, ends[frame]))
        torch.sub(new, top[:, None], out=middle)
    return best.transpose(0, 1), steps.transpose(0, 1), ends.transpose(0, 1), middle.clone()


def _origins(best: Tensor, steps: Tensor, leader: Tensor) -> Tensor:
    """Where the best path to each cell came from: a near cell, or by a jump from the best of the frame before."""
    near = steps + torch.arange(CELLS, device=steps.device) - reference.STEP_CELLS
    return torch.where(best < -reference.JUMP_COST, leader[..., None], near)
