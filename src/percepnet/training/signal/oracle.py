"""What a perfect network would decide for the frames of a batch: see `percepnet.reference.oracle`."""

from typing import NamedTuple

import torch
from torch import Tensor

from percepnet.params import SignalParams
from percepnet.training.signal.analysis import Frames
from percepnet.training.signal.bands import TINY, bands_of, coherence


class _BandSums(NamedTuple):
    """Energies and correlations of the clean (x) and noisy (y) speech and their comb-filtered versions (p, p_hat)."""

    energy_x: Tensor
    energy_y: Tensor
    energy_p: Tensor
    energy_p_hat: Tensor
    x_p: Tensor
    y_p: Tensor
    p_hat_p: Tensor
    y_p_hat: Tensor


def decide(clean: Frames, noisy: Frames, params: SignalParams, steady: bool = True) -> tuple[Tensor, Tensor]:
    """Oracle gains and exact strengths.

    Parameters
    ----------
    clean, noisy : Frames
        With the same taps.
    params : SignalParams
    steady : bool
        Measure coherences over three frames (1/4, 1/2, 1/4).

    Returns
    -------
    gains, strengths : Tensor [shape=(batch, T, bands)]
    """
    sums = _band_sums(clean, noisy, params)
    gains = ((sums.energy_x + TINY) / (sums.energy_y + TINY)).sqrt().clamp(max=1.0)
    if steady:
        sums = _BandSums(*map(_over_three_frames, sums))
    q_x = coherence(sums.x_p, sums.energy_x, sums.energy_p)
    q_y = coherence(sums.y_p, sums.energy_y, sums.energy_p)
    q_p = coherence(sums.p_hat_p, sums.energy_p_hat, sums.energy_p)
    c = coherence(sums.y_p_hat, sums.energy_y, sums.energy_p_hat)
    d = ((sums.energy_p_hat + TINY) / (sums.energy_y + TINY)).sqrt()
    return gains.float(), exact_strength(q_x, q_y, q_p, c, d).float()


def exact_strength(q_x: Tensor, q_y: Tensor, q_p: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """The strength that gives the mixture the coherence of the clean speech; arguments as of the reference.

    Parameters
    ----------
    q_x, q_y, q_p, c, d : Tensor [shape=(...), dtype=float64]

    Returns
    -------
    Tensor [shape=(...)]
    """
    a = q_p**2 - q_x**2
    b = q_p * q_y - q_x**2 * c
    shortfall = q_x**2 - q_y**2
    scaled_root = d * (b + (b * b + a * shortfall).clamp(min=0.0).sqrt())
    total = shortfall + scaled_root
    r = (shortfall / torch.where(total > 0.0, total, 1.0)).clamp(0.0, 1.0)
    r = torch.where((q_p <= q_x) | (scaled_root <= 0.0), 1.0, r)
    return torch.where((q_x <= 0.0) | (q_y >= q_x) | (shortfall <= 0.0), 0.0, r)


def _band_sums(clean: Frames, noisy: Frames, params: SignalParams) -> _BandSums:
    """Sums in single precision; what is made of them, small differences of coherences near one, in double."""
    bands = bands_of(params.band_edges, noisy.noisy.device)
    sums = _BandSums(
        energy_x=clean.energies,
        energy_y=noisy.energies,
        energy_p=clean.comb_energies,
        energy_p_hat=noisy.comb_energies,
        x_p=clean.comb_correlations,
        y_p=bands.correlation(noisy.noisy, clean.comb),
        p_hat_p=bands.correlation(noisy.comb, clean.comb),
        y_p_hat=noisy.comb_correlations,
    )
    return _BandSums(*(values.double() for values in sums))


def _over_three_frames(values: Tensor) -> Tensor:
    around = torch.cat([values[:, :1], values, values[:, -1:]], dim=1)
    return 0.25 * around[:, :-2] + 0.5 * around[:, 1:-1] + 0.25 * around[:, 2:]
