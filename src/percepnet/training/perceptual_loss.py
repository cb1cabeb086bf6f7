"""A loss that hears: the disturbances of ITU-T P.862 (PESQ, in wide band as P.862.2), such that gradients flow.

Sounds need no alignment here, as what is enhanced is sample by sample where the clean speech is. Bands, thresholds and
factors are those of the recommendation. Levels are set, and the filter is applied, in spectra.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from percepnet.training.signal.bands import power

WINDOW_SAMPLES, HOP_SAMPLES = 512, 256  # 32 and 16 ms
WINDOW_ENERGY = 3 / 8 * WINDOW_SAMPLES  # of a Hann window
BINS = 256  # up to 8 kHz
LEVEL_BINS = slice(10, 105)  # 325 Hz to 3.25 kHz, which levels are set by
LEVEL_POWER = 1e7
# P.862.2's filter in place of a telephone's: numerator and denominator at 16 kHz
HEARD_FILTER = ((2.740826, -5.4816519, 2.740826), (1.0, -1.9444777, 0.94597794))
ZWICKER = 0.23
POWER_SCALE, LOUDNESS_SCALE = 6.910853e-6, 0.1866055
DEAD_ZONE = 0.25
DISTURBANCE_MAX = 45.0
SPLIT_FRAMES, SPLIT_HOP = 20, 10  # 320 ms, over which the worst counts
TINY = 1e-12
# Bands of wide-band P.862: bins of each, its width and centre in Bark, the correction of its power, its threshold.
BAND_BINS = (
    *(1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4),
    *(3, 4, 5, 4, 5, 6, 6, 7, 8, 9, 9, 12, 12, 15, 16, 18, 21, 25, 20),
)
WIDTHS_BARK = (
    *(0.157344, 0.317994, 0.322441, 0.326934, 0.331474, 0.336061, 0.340697, 0.345381, 0.350114, 0.354897),
    *(0.359729, 0.364611, 0.369544, 0.374529, 0.379565, 0.384653, 0.389794, 0.394989, 0.400236, 0.405538),
    *(0.410894, 0.416306, 0.421773, 0.427297, 0.432877, 0.438514, 0.444209, 0.449962, 0.455774, 0.461645),
    *(0.467577, 0.473569, 0.479621, 0.485736, 0.491912, 0.498151, 0.504454, 0.510819, 0.517250, 0.523745),
    *(0.530308, 0.536934, 0.543629, 0.550390, 0.557220, 0.564119, 0.571085, 0.578125, 0.585232),
)
CORRECTIONS = (
    *(
        100.000000,
        99.999992,
        100.000000,
        100.000008,
        100.000008,
        100.000015,
        99.999992,
        99.999969,
        50.000027,
        100.000000,
    ),
    *(99.999969, 100.000015, 99.999947, 100.000061, 53.047077, 110.000046, 117.991989, 65.000000, 68.760147, 69.999931),
    *(71.428818, 75.000038, 76.843384, 80.968781, 88.646126, 63.864388, 68.155350, 72.547775, 75.584831, 58.379192),
    *(80.950836, 64.135651, 54.384785, 73.821884, 64.437073, 59.176456, 65.521278, 61.399822, 58.144047, 57.004543),
    *(64.126297, 54.311001, 61.114979, 55.077751, 56.849335, 55.628868, 53.137054, 54.985844, 79.546974),
)
THRESHOLDS_DB = (
    *(77.1, 63.9, 48.5, 36.9, 30.7, 25.9, 20.2, 16.6, 12.5, 9.9),
    *(6.9, 4.9, 2.8, 1.0, -0.1, -1.4, -2.5, -3.4, -4.1, -4.8),
    *(-5.3, -5.7, -5.9, -6.0, -6.0, -6.0, -6.0, -5.8, -5.4, -5.1),
    *(-4.7, -4.3, -4.0, -3.6, -3.3, -3.1, -3.0, -3.0, -2.9, -2.8),
    *(-2.8, -2.8, -2.9, -3.2, -3.7, -4.3, -4.4, -3.8, -2.7),
)


class _Tables(NamedTuple):
    to_bands: Tensor  # (256, 49), power of bins to that of bands
    widths: Tensor  # (49,)
    thresholds: Tensor  # (49,)
    exponents: Tensor  # (49,)
    heard: Tensor  # (256,), the filter's power


@lru_cache(maxsize=4)
def _tables(device: torch.device) -> _Tables:
    widths = torch.tensor(WIDTHS_BARK)
    centres = widths.cumsum(0) - widths / 2
    band_of_bin = torch.arange(len(BAND_BINS)).repeat_interleave(torch.tensor(BAND_BINS))
    corrections = torch.tensor(CORRECTIONS) * POWER_SCALE
    to_bands = F.one_hot(band_of_bin, len(BAND_BINS)) * corrections
    to_bands[0] = 0.0  # an offset is not heard
    turn = torch.exp(-1j * torch.pi * torch.arange(BINS)[:, None] * torch.arange(3) / BINS)
    above, below = (turn @ torch.tensor(part, dtype=turn.dtype) for part in HEARD_FILTER)
    thresholds = 10 ** (torch.tensor(THRESHOLDS_DB) / 10)
    exponents = ZWICKER * (6 / (centres + 2)).clamp(1, 2) ** 0.15
    parts = (to_bands, widths, thresholds, exponents, (above / below).abs().square())
    return _Tables(*(part.float().to(device) for part in parts))


def disturbance(found: Tensor, target: Tensor) -> Tensor:
    """How far sounds are from clean speech to the ear, as P.862 counts it before it becomes a score.

    Parameters
    ----------
    found, target : Tensor [shape=(batch, n)]
        At 16 kHz, at least 352 ms, at any level.

    Returns
    -------
    Tensor [shape=(batch,)]
        0 where they sound the same. 4.5 less this is the raw score, of which `score` makes one.
    """
    tables = _tables(found.device)
    deg, ref = (_bark_power(sound, tables) for sound in (found, target))
    silent = _audible(ref, tables, 100.0) < 1e7
    mean_deg, mean_ref = (_mean_audible(power, silent, tables) for power in (deg, ref))
    ref = ref * ((mean_deg + 1000) / (mean_ref + 1000)).clamp(0.01, 100)[:, None]
    total = _audible(ref, tables, 1.0)
    change = (total + 5e3) / (_audible(deg, tables, 1.0) + 5e3)
    change = torch.cat([change[:, :1], 0.8 * change[:, 1:] + 0.2 * change[:, :-1]], dim=1).clamp(3e-4, 5)
    deg = deg * change[..., None]
    loud_deg, loud_ref = (_loudness(power, tables) for power in (deg, ref))
    apart = loud_deg - loud_ref
    apart = apart.sign() * F.relu(apart.abs() - DEAD_ZONE * torch.minimum(loud_deg, loud_ref))
    added = ((deg + 50) / (ref + 50)) ** 1.2
    added = torch.where(added < 3, 0.0, added.clamp(max=12))
    weight = ((total + 1e5) / 1e7) ** 0.04
    of_frames = (_norm(apart, 2, tables), _norm(apart * added, 1, tables))
    symmetric, asymmetric = (_over_time((frames / weight).clamp(max=DISTURBANCE_MAX)) for frames in of_frames)
    return 0.1 * symmetric + 0.0309 * asymmetric


def score(disturbances: Tensor) -> Tensor:
    """The score of P.862.2, 1.0 to 4.64.

    Parameters
    ----------
    disturbances : Tensor
        From `disturbance`.
    """
    return 0.999 + 4 / (1 + torch.exp(-1.3669 * (4.5 - disturbances) + 3.8224))


def power_spectra(sound: Tensor) -> Tensor:
    """Powers of windows of 32 ms, 16 ms apart.

    Parameters
    ----------
    sound : Tensor [shape=(batch, n)]
        At 16 kHz.

    Returns
    -------
    Tensor [shape=(batch, frames, 257)]
    """
    window = torch.hann_window(WINDOW_SAMPLES, device=sound.device)
    spectrum = torch.stft(sound, WINDOW_SAMPLES, HOP_SAMPLES, window=window, center=False, return_complex=True)
    return power(spectrum).transpose(1, 2)


def _bark_power(sound: Tensor, tables: _Tables) -> Tensor:
    powers = power_spectra(sound)[..., :BINS]
    of_frame = 2 * powers[..., LEVEL_BINS].sum(dim=-1) / (WINDOW_SAMPLES * WINDOW_ENERGY)
    level = of_frame.mean(dim=1) + TINY
    return (powers * tables.heard) @ tables.to_bands * (LEVEL_POWER / level)[:, None, None]


def _audible(power: Tensor, tables: _Tables, factor: float) -> Tensor:
    return torch.where(power > factor * tables.thresholds, power, 0.0)[..., 1:].sum(dim=-1)


def _mean_audible(power: Tensor, silent: Tensor, tables: _Tables) -> Tensor:
    return torch.where((power > 100 * tables.thresholds) & ~silent[..., None], power, 0.0).mean(dim=1)


def _loudness(power: Tensor, tables: _Tables) -> Tensor:
    least = tables.thresholds
    loud = (2 * least) ** tables.exponents * ((0.5 + 0.5 * power / least) ** tables.exponents - 1)
    return LOUDNESS_SCALE * torch.where(power > least, loud, 0.0)


def _norm(values: Tensor, exponent: int, tables: _Tables) -> Tensor:
    widths = tables.widths[1:]
    total = widths.sum()
    weighed = (values[..., 1:].abs() * widths) ** exponent
    return total * ((weighed.sum(dim=-1) + TINY) / total) ** (1 / exponent)


def _over_time(frames: Tensor) -> Tensor:
    split = frames.unfold(1, min(SPLIT_FRAMES, frames.shape[1]), SPLIT_HOP)
    worst = ((split**6).mean(dim=-1) + TINY) ** (1 / 6)
    return worst.square().mean(dim=1).sqrt()
