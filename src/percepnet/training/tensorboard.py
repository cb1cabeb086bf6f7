"""A run in TensorBoard: losses, speed and scores as curves, and the mixtures of `listening` as sound and pictures.

It needs the package `tensorboard`, which is not part of percepnet[train]: 50 MB that no training needs.
"""

import importlib
from pathlib import Path

import soundfile
import torch

from percepnet.errors import PercepNetError
from percepnet.params import SAMPLE_RATE_HZ

FOLDER = "tensorboard"
UNCHANGING = ("clean", "noisy")  # the same at every validation: written once


class Board:
    """Event files in the folder `tensorboard` of a run.

    Parameters
    ----------
    run : Path
    updates : int
        Where the run begins or resumes; what an earlier sitting wrote of later updates is hidden.

    Raises
    ------
    PercepNetError
        If the package is missing.
    """

    def __init__(self, run: Path, updates: int) -> None:
        try:
            writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter
        except ImportError as error:
            raise PercepNetError(f"--tensorboard needs a package ({error}): pip install tensorboard") from error
        self._writer = writer(str(run / FOLDER), purge_step=updates)
        self._known: set[str] = set()

    def scalars(self, group: str, values: dict[str, float], updates: int) -> None:
        """Points of some curves."""
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, updates)
        self._writer.flush()

    def sounds(self, folder: Path, updates: int) -> None:
        """The sounds and pictures of a folder that `percepnet.training.validation_audio` wrote."""
        for path in sorted(folder.glob("*_*.flac")):
            number, what = path.stem.split("_")
            if path.name not in self._known:
                audio, _ = soundfile.read(str(path), dtype="float32")
                self._writer.add_audio(
                    f"listening {number}/{what}", torch.from_numpy(audio)[None], updates, SAMPLE_RATE_HZ
                )
            if what in UNCHANGING:
                self._known.add(path.name)
        for path in sorted(folder.glob("*_gains.png")):
            from matplotlib.image import imread  # which drew it

            picture = torch.from_numpy(imread(path)[..., :3].copy())
            self._writer.add_image(f"gains/{path.stem.split('_')[0]}", picture, updates, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
