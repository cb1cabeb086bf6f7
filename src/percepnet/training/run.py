"""A run: a training in a folder, which can be stopped and continued at any time.

The folder holds `settings.json` (what it was started with), `checkpoint.pt` (where it is), `model.safetensors` (the
averaged weights of that moment, ready to use), `training.log`, `validation.jsonl` and its picture `curves.png`, sounds
to listen to in `listening/`, the features in `shards/` or `mixtures/` and the decoded audio in `audio/`. Under
`torchrun` several processes train together (`percepnet.training.distributed`).
"""

import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from percepnet.atomic import replacing
from percepnet.errors import PercepNetError
from percepnet.locks import locked
from percepnet.params import FRAMES_PER_SECOND
from percepnet.reference.echo_residual import is_residual
from percepnet.training.callbacks import Batch, Callback, Checkpoints, Reports, Validation
from percepnet.training.config import SETTINGS_NAME, Config, settled
from percepnet.training.corpus import Clip, find_clips
from percepnet.training.device.kept import KeptSource
from percepnet.training.device.source import DeviceSource, decode_all, held_out_rows
from percepnet.training.distributed import ProcessGroup, process_group
from percepnet.training.features import (
    VALID_NAME,
    VALID_SEQUENCES,
    Producers,
    Recordings,
    Shards,
    shards_folder,
    write_shard,
)
from percepnet.training.gpu_shards import GpuShards, fits
from percepnet.training.info import corpus_info, init_info
from percepnet.training.progress import Progress
from percepnet.training.rows import RowLayout
from percepnet.training.stop_request import stop_requests
from percepnet.training.tensorboard import Board
from percepnet.training.trainer import FIRST_SHARDS, MODEL_NAME, Trainer
from percepnet.training.validation_audio import ValidationAudio

MIXTURES = "mixtures"
WAIT_S = 0.1
RANK_SEEDS = 1_000_003  # apart, so that each process makes other mixtures


def run_training(
    config: Config,
    report: Callable[[Progress], None] | None = None,
    *,
    validate: bool = True,
    deadline: float | None = None,
) -> Path:
    """Train until a limit is reached or somebody interrupts (Ctrl-C or SIGTERM), and leave a run that can be resumed.

    Every process that torchrun starts calls this with the same settings.

    Parameters
    ----------
    config : Config
    report : callable, optional
        Gets a Progress about once a minute and at every validation; in the first process only.
    validate : bool
        Whether anything is held out, to validate with and to listen to.
    deadline : float, optional
        The limit, instead of hours and updates: a moment of `time.monotonic`, whenever the training itself begins.

    Returns
    -------
    Path
        The model that was written.

    Raises
    ------
    PercepNetError
        If no speech is found or a recording is unreadable, if the folder holds another run, or one that still goes on,
        or if there is nothing to resume.
    """
    config = settled(config)
    with process_group() as group:
        return _run(config, group, report or (lambda progress: None), validate, deadline)


def prepare(config: Config) -> None:
    """Decode and make, by all processors, what a run on a device needs before it can begin; it then finds it there.

    Raises
    ------
    PercepNetError
        If a recording is unreadable.
    """
    decode_all(recordings_of(config), config.source, config.seed)


def recordings_of(config: Config) -> Recordings:
    """What a run mixes, and how; decoded audio is kept in the run's folder.

    Raises
    ------
    PercepNetError
        If a manifest or a recording is unreadable.
    """
    return _recordings(config, _clips(config))


def _clips(config: Config) -> dict[str, list[Clip]]:
    kinds = {"speech": "speech", "noise": "noise", "rooms": "room"}
    return {name: find_clips(getattr(config, name), config.exclude, kind) for name, kind in kinds.items()}


def _recordings(config: Config, clips: dict[str, list[Clip]]) -> Recordings:
    folder = Path(config.out) / "audio"
    return Recordings(
        clips["speech"], clips["noise"], clips["rooms"], folder, config.speech_weights, config.mixing, config.echo
    )


def _run(
    config: Config, group: ProcessGroup, report: Callable[[Progress], None], validate: bool, deadline: float | None
) -> Path:
    run = Path(config.out)
    clips = _clips(config)
    _refuse_empty(config, clips["speech"])
    recordings = _recordings(config, clips)
    unused = set(config.speech_weights) - {clip.source for clip in clips["speech"]}
    if unused:
        known = ", ".join(sorted({clip.source for clip in clips["speech"]}))
        raise PercepNetError(f"no source of speech {min(unused)!r} to weight; there are: {known}")
    trainer = Trainer(config, corpus_info(clips) | init_info(config.init), group)
    if config.source.device and is_residual(trainer.network.params):
        raise PercepNetError("[source] device: scenes with echo are made by processes; leave it away")
    if group.sum([trainer.updates])[0] != group.size * trainer.updates:
        raise PercepNetError(f"{run}: not the same folder for all processes; put it on a disk that all machines share")
    run.mkdir(parents=True, exist_ok=True)
    with locked(run) if group.main else nullcontext(), stop_requests() as stop_requested:
        board = Board(run, trainer.updates) if config.tensorboard and group.main else None
        if group.main:
            with replacing(run / SETTINGS_NAME) as temporary:
                temporary.write_text(json.dumps(asdict(config), indent=1))
        if config.reproducible and not config.resume and config.workers:
            Shards(shards_folder(run, group.rank)).drop(math.inf)  # of a start that came to nothing
        producers = Producers(
            recordings,
            trainer.network.params,
            run,
            seed=config.seed,
            workers=0 if config.source.device else config.workers,
            ring=config.ring,
            sequences=config.shard_sequences,
            seconds=config.sequence_seconds,
            rank=group.rank,
            window=trainer.window,
            teacher=config.teacher,
        )
        if trainer.progress >= 1:
            onwards = f"--init {run / MODEL_NAME} goes on in a new run"
            print(f"{run}: its limit was reached before, so nothing is left to train: {onwards}", file=sys.stderr)
        producers.start()
        try:
            listens = group.main and validate
            # of what is left of an echo there is nothing to hear but the rest of a whole call
            is_heard = listens and not is_residual(trainer.network.params)
            audio = ValidationAudio(recordings, trainer.network.params, run, config.seed) if is_heard else None
            supply = _supply(trainer, recordings, listens)
            if deadline is not None:
                trainer.limit(deadline - time.monotonic())
            callbacks = (Validation(audio, board), Reports(trainer, report, board), Checkpoints())
            _fit(trainer, supply, producers, callbacks, stop_requested)
            if trainer.progress >= 1 and isinstance(supply, KeptSource):
                supply.forget()  # gigabytes that nobody asks for again
                with suppress(OSError):  # others of the group have theirs there
                    (run / MIXTURES).rmdir()
        finally:
            producers.stop()
            if board is not None:
                board.close()
    return run / MODEL_NAME


def _refuse_empty(config: Config, speech: list[Clip]) -> None:
    if not any(clip.split == "train" for clip in speech):
        raise PercepNetError(f"{', '.join(config.speech)}: no speech of the split 'train'")


def _fit(
    trainer: Trainer,
    supply: Shards | DeviceSource,
    producers: Producers,
    callbacks: Sequence[Callback],
    stop_requested: Callable[[], bool],
) -> None:
    group = trainer.group
    while trainer.progress < 1 and _supplied(trainer, supply, producers, stop_requested):
        started = time.monotonic()
        gain, strength = trainer.train(supply)
        # the first process's time, since others may have waited for it to validate
        took_s = time.monotonic() - started if group.main else 0.0
        took_s, gain, strength, requests = group.sum(
            [took_s, gain / group.size, strength / group.size, float(stop_requested())]
        )
        trainer.trained_s += took_s
        if not (math.isfinite(gain) and math.isfinite(strength)):
            raise PercepNetError(
                f"the loss is no longer finite at update {trainer.updates}; the last checkpoint is good"
            )
        batch = Batch(trainer, supply, gain, strength, last=trainer.progress >= 1 or requests > 0)
        if batch.last:
            trainer.save()  # at once, whatever happens to the validation
        for callback in callbacks:
            callback(batch)
    if trainer.updates:
        trainer.save()


def _supply(trainer: Trainer, recordings: Recordings, holds_out: bool) -> Shards | DeviceSource:
    """What the run trains on: shards that processes make, or segments made on the device."""
    config, group, params = trainer.config, trainer.group, trainer.network.params
    if not config.source.device:
        return _shards(trainer, shards_folder(Path(config.out), group.rank))
    held_out = Path(config.out) / VALID_NAME
    if holds_out and not held_out.exists():
        rows = held_out_rows(
            recordings, params, config.source, trainer.device, config.seed, min(VALID_SEQUENCES, 2 * config.batch)
        )
        if rows is not None:
            write_shard(held_out, rows)
    made_by = partial(KeptSource, folder=_kept(trainer)) if config.source.kept else DeviceSource
    return made_by(
        recordings,
        params,
        config.source,
        trainer.device,
        lanes=config.batch,
        seed=config.seed + RANK_SEEDS * group.rank,
        keep_spectra=config.signal.present,
    )


def _kept(trainer: Trainer) -> Path:
    """Where segments are kept; those of a start that came to nothing are not."""
    folder = Path(trainer.config.out) / MIXTURES / f"rank{trainer.group.rank}"
    if not trainer.updates:
        shutil.rmtree(folder, ignore_errors=True)
    return folder


def _shards(trainer: Trainer, folder: Path) -> Shards:
    """The run's, in the memory of the GPU where there is one with room for them."""
    config, params = trainer.config, trainer.network.params
    frames = config.ring * config.shard_sequences * config.sequence_seconds * FRAMES_PER_SECOND
    layout = RowLayout(params)
    columns = layout.taught.stop if config.teacher.present else layout.count
    size_bytes = frames * columns * np.dtype(np.float16).itemsize
    return GpuShards(folder, trainer.device) if fits(trainer.device, size_bytes) else Shards(folder)


def _supplied(
    trainer: Trainer, shards: Shards | DeviceSource, producers: Producers, stop_requested: Callable[[], bool]
) -> bool:
    """Wait until every process has features to draw from; False where somebody asked to stop."""
    if isinstance(shards, DeviceSource):
        return not trainer.group.sum([stop_requested()])[0]
    config, window = trainer.config, trainer.window
    if window is not None:
        producers.want(window)
    while True:
        if window is not None:
            enough = shards.hold(window)
        else:
            shards.refresh()
            enough = len(shards) >= (min(FIRST_SHARDS, config.ring) if config.workers else 1)
        failure = None
        try:
            producers.check()
            if not enough and config.workers == 0:
                folder = shards_folder(Path(config.out), trainer.group.rank)
                raise PercepNetError(f"{folder}: no features to train on; use at least one worker")
        except PercepNetError as error:
            failure = error
        # asked last: what ends the training may have ended the makers of features before
        failed, missing, requests = trainer.group.sum([failure is not None, not enough, stop_requested()])
        if requests:
            return False
        if failed:
            if trainer.updates:
                trainer.save()  # a recording that cannot be read costs none of what was learned
            raise failure or PercepNetError("another process of this training failed, and says why")
        if not missing:
            return True
        time.sleep(WAIT_S)
