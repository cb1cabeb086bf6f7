"""Segments that are made once and heard again and again, where making them takes as long as learning from them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from percepnet.errors import PercepNetError
from percepnet.training.device.config import SourceConfig
from percepnet.training.device.source import DeviceSource, Segment
from percepnet.training.features import Recordings
from percepnet.training.signal.examples import Examples

LEVEL = 20.0  # of spectra, root of the energy of a frame: far from what 16 bits lose
QUIETEST = 0.01  # of the energy of noisy speech: spectra without speech are scaled by the noise


class KeptSource(DeviceSource):
    """As `DeviceSource`, but after `source.kept` segments those are drawn again.

    Parameters
    ----------
    recordings, params, source, device, lanes, seed, split, keep_spectra
        As of `DeviceSource`.

    Raises
    ------
    PercepNetError
        If sequences go on for several segments.
    """

    def __init__(self, recordings: Recordings, params: Any, source: SourceConfig, device: Any, **others: Any) -> None:
        if source.long_share:
            raise PercepNetError(
                "[source] kept: segments that are heard again have no segment before them: set long_share = 0"
            )
        super().__init__(recordings, params, source, device, **others)
        self._count, self._seed = source.kept, others["seed"]
        self._kept: list[Examples] = []

    def segment(self, number: int) -> Segment:
        """As of `DeviceSource`: one that is new, as long as there are fewer than will be kept."""
        if len(self._kept) < self._count:
            self._kept.append(_small(super().segment(number).examples))
            return _whole(self._kept[-1])
        drawn = np.random.default_rng([self._seed, 7, number]).integers(self._count)
        return _whole(self._kept[drawn])


def _small(examples: Examples) -> Examples:
    """In half precision; spectra at one level, as no loss asks for it."""
    rows, noisy, comb, clean = examples
    if not noisy.numel():
        return Examples(rows.half(), noisy, comb, clean)
    energies = [spectrum.abs().square().sum(dim=-1).mean(dim=1) for spectrum in (clean, noisy)]
    factor = LEVEL / torch.maximum(energies[0], QUIETEST * energies[1]).sqrt().clamp(min=1e-6)
    small = [torch.view_as_real(factor[:, None, None] * spectrum).half() for spectrum in (noisy, comb, clean)]
    return Examples(rows.half(), *small)


def _whole(examples: Examples) -> Segment:
    rows = examples.rows.float()
    spectra = [_complex(spectrum) if spectrum.numel() else spectrum for spectrum in examples[1:]]
    return Segment(Examples(rows, *spectra), torch.ones(len(rows), dtype=torch.bool, device=rows.device))


def _complex(parts: Tensor) -> Tensor:
    return torch.view_as_complex(parts.float())
