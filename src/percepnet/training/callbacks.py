"""What happens between the batches of a run: validation, reports, checkpoints, each when its time has come."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from percepnet.training.curves import VALIDATION_NAME, save_curves
from percepnet.training.device.source import DeviceSource
from percepnet.training.features import VALID_NAME, Shards
from percepnet.training.info import LOSSES
from percepnet.training.network import to_model
from percepnet.training.progress import Progress
from percepnet.training.tensorboard import Board
from percepnet.training.trainer import Trainer
from percepnet.training.validation_audio import ValidationAudio

LOG_NAME = "training.log"
EARLY_UPDATES = 20  # reported one by one, to show that it has begun
REPORT_MINUTES = 1.0


@dataclass
class Batch:
    """A batch that the trainer has just trained on.

    Parameters
    ----------
    trainer : Trainer
    shards : Shards or DeviceSource
    gain_loss, strength_loss : float
        Means over all processes.
    last : bool
        Whether the run ends with it.
    validation : dict of str to float, optional
        What the validation after it found, for the callbacks that follow.
    """

    trainer: Trainer
    shards: Shards | DeviceSource
    gain_loss: float
    strength_loss: float
    last: bool
    validation: dict[str, float] | None = None


class Callback(Protocol):
    """Called after every batch, in the order of the run's list."""

    def __call__(self, batch: Batch) -> None: ...


class Timer:
    """Tells when something is due again."""

    def __init__(self) -> None:
        self.restart()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._since

    def due(self, minutes: float) -> bool:
        return self.elapsed_s >= 60 * minutes

    def restart(self) -> None:
        self._since = time.monotonic()


class Validation:
    """Losses on held-out sequences, and the sound of a few mixtures; at the end in any case.

    Parameters
    ----------
    audio : ValidationAudio or None
        None in all processes but the first, where nothing is validated.
    board : Board or None
    """

    def __init__(self, audio: ValidationAudio | None, board: Board | None) -> None:
        self._audio, self._board = audio, board
        self._timer = Timer()

    def __call__(self, batch: Batch) -> None:
        trainer = batch.trainer
        held_out = Path(trainer.config.out) / VALID_NAME
        if self._audio is None or not (batch.last or self._timer.due(trainer.config.validate_minutes)):
            return
        if not held_out.exists():  # not made yet
            return
        batch.validation = trainer.validate(np.load(held_out))
        batch.validation |= self._audio.enhance(to_model(trainer.average))
        if self._board is not None:
            self._board.sounds(self._audio.folder, trainer.updates)
        self._timer.restart()


class Reports:
    """A line about once a minute, for the first updates, and after every validation.

    Parameters
    ----------
    trainer : Trainer
    report : callable
        Gets the Progress, in the first process only.
    board : Board or None
    """

    def __init__(self, trainer: Trainer, report: Callable[[Progress], None], board: Board | None) -> None:
        self._report, self._board = report, board
        self._timer = Timer()
        self._audio_seen_s = trainer.audio_seen_s
        self._losses: list[tuple[float, float]] = []

    def __call__(self, batch: Batch) -> None:
        trainer = batch.trainer
        self._losses.append((batch.gain_loss, batch.strength_loss))
        early = trainer.updates <= EARLY_UPDATES
        if not (self._timer.due(REPORT_MINUTES) or batch.validation or batch.last or early):
            return
        gain_loss, strength_loss = np.mean(self._losses, axis=0)
        progress = Progress(
            trainer.updates,
            trainer.trained_s / 60,
            trainer.audio_seen_s / 3600,
            float(gain_loss),
            float(strength_loss),
            (trainer.audio_seen_s - self._audio_seen_s) / self._timer.elapsed_s,
            batch.validation,
        )
        if trainer.group.main:
            _log(Path(trainer.config.out), progress)
            self._report(progress)
        if self._board is not None:
            _show(self._board, progress, trainer.learning_rate)
        self._audio_seen_s, self._losses = trainer.audio_seen_s, []
        self._timer.restart()


class Checkpoints:
    """The run's checkpoint, every few minutes."""

    def __init__(self) -> None:
        self._timer = Timer()

    def __call__(self, batch: Batch) -> None:
        trainer = batch.trainer
        if not self._timer.due(trainer.config.checkpoint_minutes):
            return
        trainer.save()
        if trainer.window is not None and isinstance(batch.shards, Shards):
            batch.shards.drop(trainer.window.start)  # until now a resumed run would have needed them again
        self._timer.restart()


def _log(run: Path, progress: Progress) -> None:
    with (run / LOG_NAME).open("a") as file:
        print(progress.line(), file=file)
    if progress.validation:
        with (run / VALIDATION_NAME).open("a") as file:
            row = asdict(progress)
            del row["validation"]
            print(json.dumps(row | progress.validation), file=file)
        save_curves(run)


def _show(board: Board, progress: Progress, learning_rate: float) -> None:
    losses = {"gain": progress.gain_loss, "strength": progress.strength_loss}
    board.scalars("loss", losses, progress.updates)
    state = {"learning_rate": learning_rate, "seconds_per_second": progress.speed, "hours_seen": progress.hours_seen}
    board.scalars("training", state, progress.updates)
    for name, value in (progress.validation or {}).items():
        board.scalars("held out" if name in LOSSES else "scores", {name: value}, progress.updates)
