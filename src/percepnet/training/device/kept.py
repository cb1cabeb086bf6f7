"""Segments that are made once and heard again and again, where making them takes as long as learning from them.

They lie on disk: twelve hours of mixtures are 25 GB, and a run that is continued finds those that it had made.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from percepnet.atomic import replacing
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
    folder : Path
        Where segments are kept. Those that are there already count as made.

    Raises
    ------
    PercepNetError
        If sequences go on for several segments, or the disk has no room for all that will be kept.
    """

    def __init__(
        self, recordings: Recordings, params: Any, source: SourceConfig, device: Any, *, folder: Path, **others: Any
    ) -> None:
        if source.long_share:
            raise PercepNetError(
                "[source] kept: segments that are heard again have no segment before them: set long_share = 0"
            )
        super().__init__(recordings, params, source, device, **others)
        self._count, self._seed = source.kept, others["seed"]
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._made = 0
        while self._made < self._count and self._path(self._made).exists():
            self._made += 1

    def segment(self, number: int) -> Segment:
        """As of `DeviceSource`: one that is new, as long as there are fewer than will be kept."""
        if self._made < self._count:
            small = _small(super().segment(number).examples)
            self._keep(small)
            return _whole(small, self._mixer.device)
        drawn = int(np.random.default_rng([self._seed, 7, number]).integers(self._count))
        return _whole(Examples(*torch.load(self._path(drawn), weights_only=True)), self._mixer.device)

    def forget(self) -> None:
        """Remove what was kept."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._made = 0

    def _path(self, index: int) -> Path:
        return self._folder / f"{index:05}.pt"

    def _keep(self, examples: Examples) -> None:
        size_bytes = sum(part.nbytes for part in examples)
        missing = (self._count - self._made) * size_bytes
        free = shutil.disk_usage(self._folder).free
        if missing > free:
            raise PercepNetError(
                f"{self._folder}: {self._count} segments to be kept need {missing / 1e9:.1f} GB more, and the disk has "
                f"{free / 1e9:.1f} GB left: lower [source] kept, or choose another folder with --out"
            )
        with replacing(self._path(self._made)) as temporary:
            torch.save(tuple(part.cpu() for part in examples), temporary)
        self._made += 1


def _small(examples: Examples) -> Examples:
    """In half precision; spectra at one level, as no loss asks for it."""
    rows, noisy, comb, clean = examples
    if not noisy.numel():
        return Examples(rows.half(), noisy, comb, clean)
    energies = [spectrum.abs().square().sum(dim=-1).mean(dim=1) for spectrum in (clean, noisy)]
    factor = LEVEL / torch.maximum(energies[0], QUIETEST * energies[1]).sqrt().clamp(min=1e-6)
    small = [torch.view_as_real(factor[:, None, None] * spectrum).half() for spectrum in (noisy, comb, clean)]
    return Examples(rows.half(), *small)


def _whole(examples: Examples, device: Any) -> Segment:
    rows = examples.rows.to(device).float()
    spectra = [_complex(spectrum.to(device)) if spectrum.numel() else spectrum for spectrum in examples[1:]]
    return Segment(Examples(rows, *spectra), torch.ones(len(rows), dtype=torch.bool, device=rows.device))


def _complex(parts: Tensor) -> Tensor:
    return torch.view_as_complex(parts.float())
