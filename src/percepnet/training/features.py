"""Mixtures turned into what the network is trained on, by processes of their own, in files that the trainer draws from.

A shard is one file with an array [shape=(sequences, frames, columns of RowLayout)] of float16. A gain of -1 says that
the targets of this band are unknown. The newest shards make up a ring: the trainer draws from all of them while the
oldest is replaced, so that it need not wait for the features, and sees everything a few times, in another order and in
other company.
"""

import multiprocessing
import os
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from ctypes import c_longlong
from dataclasses import dataclass, field, replace
from functools import lru_cache
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from percepnet import engine
from percepnet.acoustics.bandwidth import known_bands
from percepnet.acoustics.echoes import EchoConfig, EchoMixer, far_mixing
from percepnet.acoustics.levels import active_rms, amplitude, frame_powers, speech_frames
from percepnet.acoustics.mixing import Mixer, MixingConfig, Mixture
from percepnet.arrays import Array
from percepnet.atomic import remove_parts, replacing
from percepnet.errors import PercepNetError
from percepnet.manifest import Split
from percepnet.params import HOP_SAMPLES, SignalParams
from percepnet.reference.echo_residual import is_residual
from percepnet.reference.oracle import training_example
from percepnet.training.corpus import Clip, of_split
from percepnet.training.echo_rows import echo_sequence
from percepnet.training.rows import UNKNOWN, RowLayout
from percepnet.training.sampling import ClipPool
from percepnet.training.store import AudioStore
from percepnet.training.teaching import TeacherConfig

if TYPE_CHECKING:  # the processes that make features do without it
    from torch import Tensor

    from percepnet.training.teacher import Teachers

Shard = npt.NDArray[np.float16]

SEQUENCE_SECONDS = 10.0
SHARD_SEQUENCES = 32
VALID_SEQUENCES = 48
RING_SHARDS = 400  # 36 hours of audio in 3.5 GB, for 34 bands
ATTEMPTS = 3
AHEAD_SHARDS = 32  # that paced processes make before they are wanted
PAUSE_S = 0.1
NICENESS = 5  # features yield to the training, which in turn waits for none of them
VALID_NAME = "valid.npy"
PAUSE_DB = 45.0  # below active speech; room tone begins at 50
PAUSE_HOPS = 4


@dataclass(frozen=True)
class Recordings:
    """The recordings of a run, of both splits, and how to mix them.

    Parameters
    ----------
    speech, noise, rooms : sequence of Clip
    folder : Path
        Where decoded audio is kept.
    speech_weights : mapping of str to float
        Factor on the probability of a source of speech.
    mixing : MixingConfig
    echo : EchoConfig
        How echo is made, for networks that suppress it.
    """

    speech: Sequence[Clip]
    noise: Sequence[Clip]
    rooms: Sequence[Clip]
    folder: Path
    speech_weights: Mapping[str, float] = field(default_factory=dict)
    mixing: MixingConfig = field(default_factory=MixingConfig)
    echo: EchoConfig = field(default_factory=EchoConfig)

    def echo_mixer(self, split: Split) -> EchoMixer | None:
        """Makes the scenes with echo of one split; None if there is no speech in it."""
        near, far = self.mixer(split), replace(self, mixing=far_mixing(self.mixing, self.echo)).mixer(split)
        return EchoMixer(near, far, self.echo) if near and far else None

    def mixer_for(self, params: SignalParams, split: Split) -> Mixer | EchoMixer | None:
        """Makes what a network of such features is trained on."""
        return self.echo_mixer(split) if is_residual(params) else self.mixer(split)

    def mixer(self, split: Split) -> Mixer | None:
        """Makes the mixtures of one split; None if there is no speech in it."""
        speech, noise, rooms = (of_split(clips, split) for clips in (self.speech, self.noise, self.rooms))
        if not speech:
            return None
        sources = {clip.source for clip in speech}
        weights = {name: factor for name, factor in self.speech_weights.items() if name in sources}
        return Mixer(
            ClipPool(AudioStore(speech, self.folder), "source", weights),
            ClipPool(AudioStore(noise, self.folder), "category") if noise else None,
            AudioStore(rooms, self.folder) if rooms else (),
            self.mixing,
        )


def known(mixture: Mixture, params: SignalParams) -> npt.NDArray[np.bool_]:
    """Where the targets of a mixture are known: within the bandwidth of its speech, and everywhere in pauses.

    Returns
    -------
    np.ndarray [shape=(frames, bands)]
        Row t belongs to frame t - M, as in `training_example`.
    """
    powers = frame_powers(mixture.clean, HOP_SAMPLES)[: len(mixture.clean) // HOP_SAMPLES]
    speech = powers > pause_power(mixture.clean)
    # a frame is the hops t - 1 and t; hops beside those may hold the ends of words
    speech = np.convolve(speech, np.ones(PAUSE_HOPS), "full")[1 : len(speech) + 1] > 0
    speech = np.concatenate([np.ones(params.lookahead_frames, bool), speech])[: len(speech)]
    spoken, unspoken = (known_bands(params, hz) for hz in (mixture.bandwidth_hz, mixture.cutoff_hz))
    return np.where(speech[:, None], spoken, unspoken)


def is_speech(clean: Array, params: SignalParams) -> npt.NDArray[np.bool_]:
    """Which frames are speech (`percepnet.acoustics.levels.speech_frames`).

    Returns
    -------
    np.ndarray [shape=(frames,)]
        Row t belongs to frame t - M, as in `training_example`.
    """
    speech = speech_frames(clean)
    return np.concatenate([np.zeros(params.lookahead_frames, bool), speech])[: len(speech)]


def pause_power(clean: Array) -> float:
    """Mean square of samples below which speech is taken to pause."""
    return float(active_rms(clean) ** 2 * 10 ** (-PAUSE_DB / 10))


def sequence(mixer: Mixer, params: SignalParams, seed: Sequence[int], seconds: float) -> Array:
    """Features and targets of the mixture of a seed.

    Returns
    -------
    np.ndarray [shape=(frames, columns of RowLayout)]

    Raises
    ------
    PercepNetError
        If there are numbers that are not finite, for three mixtures in turn.
    """
    analysed = RowLayout(params).analysed
    for attempt in range(ATTEMPTS):
        mixture = mixer.mixture([*seed, attempt], seconds)
        features, gains, strengths = training_example(
            mixture.clean, mixture.noisy, analysed, steady=True, analysis=engine.analysis
        )
        gains = np.maximum(gains, np.float32(amplitude(-mixture.limit_db)))
        gains[~known(mixture, params)] = UNKNOWN
        speech = is_speech(mixture.clean, params).astype(np.float32)[:, None]
        rows = np.concatenate([features, gains, strengths, speech], axis=1)
        if np.isfinite(rows).all():
            return rows
        warnings.warn(f"the mixture of seed {[*seed, attempt]} has features that are not finite", stacklevel=2)
    raise PercepNetError(f"mixtures of seed {list(seed)} have features that are not finite: check the recordings")


def make_shard(
    mixer: Mixer | EchoMixer,
    params: SignalParams,
    seed: Sequence[int],
    sequences: int,
    seconds: float,
    teacher: TeacherConfig | None = None,
) -> Shard:
    """A shard; the same for the same seed. With teachers it has their gains behind its other columns.

    Returns
    -------
    np.ndarray [shape=(sequences, frames, columns of RowLayout)]
    """
    seeds = [[*seed, number] for number in range(sequences)]
    if isinstance(mixer, EchoMixer):
        rows = [echo_sequence(mixer, params, one, seconds).astype(np.float16) for one in seeds]
    else:
        rows = [sequence(mixer, params, one, seconds).astype(np.float16) for one in seeds]
    shard = np.stack(rows)
    return shard if teacher is None or not teacher.present else teachers_of(teacher, params).taught(shard)


@lru_cache(maxsize=1)
def teachers_of(teacher: TeacherConfig, params: SignalParams) -> "Teachers":
    """The networks that teach: PyTorch, which the processes that make features otherwise do without."""
    from percepnet.training.teacher import Teachers

    return Teachers(teacher, params)


def write_shard(path: Path, shard: Shard) -> None:
    """Write a shard; the file appears whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, shard)


class Shards:
    """The shards of a folder, to draw sequences from.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, Any] = {}
        self.refresh()

    def __len__(self) -> int:
        return len(self._open)

    def refresh(self) -> None:
        """Take note of shards that came and went."""
        names = {path.name for path in self._folder.glob("shard-*.npy")}
        for name in self._open.keys() - names:
            del self._open[name]
        for name in names - self._open.keys():
            with suppress(FileNotFoundError):  # replaced a moment ago
                self._open[name] = self._read(self._folder / name)

    def hold(self, indices: range) -> bool:
        """Draw from these shards alone from now on; False as long as one is missing.

        Parameters
        ----------
        indices : range
        """
        names = {shard_name(index) for index in indices}
        for name in self._open.keys() - names:
            del self._open[name]
        for name in names - self._open.keys():
            if (self._folder / name).exists():
                self._open[name] = self._read(self._folder / name)
        return len(self._open) == len(names)

    def drop(self, before: float) -> None:
        """Delete the shards of lower numbers."""
        for path in self._folder.glob("shard-*.npy"):
            if _index(path) < before:
                path.unlink(missing_ok=True)

    def draw(self, rng: np.random.Generator, batch: int) -> "Array | Tensor":
        """Sequences of random shards.

        Returns
        -------
        np.ndarray or Tensor [shape=(batch, frames, columns of RowLayout)]
        """
        return np.stack([shard[row] for shard, row in self._picked(rng, batch)]).astype(np.float32)

    def _picked(self, rng: np.random.Generator, batch: int) -> Iterator[tuple[Any, int]]:
        """Random shards, and which of its sequences of each."""
        names = sorted(self._open)
        for _ in range(batch):
            shard = self._open[names[int(rng.integers(len(names)))]]
            yield shard, int(rng.integers(len(shard)))

    def _read(self, path: Path) -> Any:
        return np.load(path, mmap_mode="r")


class Producers:
    """Processes that keep a folder's ring of shards fresh.

    Parameters
    ----------
    recordings : Recordings
    params : SignalParams
    folder : Path
        The run's; shards go to its `shards`, the held-out one beside it.
    seed : int
        Shard k of a seed (and a rank) is the same whatever the number of processes.
    workers : int
    ring : int
        Shards to keep.
    sequences, seconds
        Size of a shard.
    rank : int
        Of the trainer that they work for: each has other mixtures, in a folder of its own.
    window : range, optional
        The shards that are wanted first. Then no more are made than `want` asks for and a few ahead, and it is for the
        trainer to delete those that it needs no longer.
    teacher : TeacherConfig, optional
        Whose gains the shards hold as well.
    """

    def __init__(
        self,
        recordings: Recordings,
        params: SignalParams,
        folder: Path,
        *,
        seed: int,
        workers: int = 1,
        ring: int = RING_SHARDS,
        sequences: int = SHARD_SEQUENCES,
        seconds: float = SEQUENCE_SECONDS,
        rank: int = 0,
        window: range | None = None,
        teacher: TeacherConfig | None = None,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        # numbers without a lock: a process that a signal ended would never give it back
        self._stop = context.RawValue(c_longlong, 0)
        self._errors: SimpleQueue[str] = context.SimpleQueue()
        self._folders = (folder, shards_folder(folder, rank))
        self._folders[1].mkdir(parents=True, exist_ok=True)
        size = (sequences, seconds)
        self._end = context.RawValue(c_longlong, window.stop) if window else None
        start = window.start if window else None
        self._processes = [
            context.Process(
                target=_produce,
                args=(recordings, params, folder, seed, rank, worker, workers, ring, size, start, self._end, teacher),
                kwargs={"stop": self._stop, "errors": self._errors},
                daemon=True,
            )
            for worker in range(workers)
        ]

    def start(self) -> None:
        """Start the processes, each with one thread for its arithmetic."""
        before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        os.environ.update(dict.fromkeys(before, "1"))
        try:
            for process in self._processes:
                process.start()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def want(self, window: range) -> None:
        """Say which shards are drawn from now, where the processes are paced."""
        if self._end is not None:
            self._end.value = window.stop

    def check(self) -> None:
        """Raise what went wrong in a process.

        Raises
        ------
        PercepNetError
        """
        if not self._errors.empty():
            raise PercepNetError(f"making features failed: {self._errors.get()}")
        for process in self._processes:
            if process.exitcode not in (None, 0):
                raise PercepNetError(
                    f"a process that makes features ended with code {process.exitcode}: out of memory?"
                )

    def stop(self) -> None:
        """End the processes; a shard that is being made is lost, and made again on resuming."""
        self._stop.value = 1
        for process in self._processes:
            if process.is_alive():
                process.terminate()
            process.join()
        for folder in self._folders:
            remove_parts(folder)  # of processes that were ended in the middle of a file


def shard_name(index: int) -> str:
    """File name of shard number `index` of a run."""
    return f"shard-{index:08d}.npy"


def shards_folder(run: Path, rank: int = 0) -> Path:
    """Where the shards of a rank are."""
    return run / "shards" / f"rank{rank}" if rank else run / "shards"


def _index(path: Path) -> int:
    return int(path.stem.removeprefix("shard-"))


def _produce(
    recordings: Recordings,
    params: SignalParams,
    folder: Path,
    seed: int,
    rank: int,
    worker: int,
    workers: int,
    ring: int,
    size: tuple[int, float],
    start: int | None,
    end: c_longlong | None,
    teacher: TeacherConfig | None,
    *,
    stop: c_longlong,
    errors: "SimpleQueue[str]",
) -> None:
    _run_in_background()
    try:
        mixer = recordings.mixer_for(params, "train")
        if mixer is None:
            raise PercepNetError("no speech of the split 'train'")
        shards = shards_folder(folder, rank)
        # 1 to 3 are those of the held-out sequences, of the draws, and of the validation audio
        stream = [seed, 4, rank] if rank else [seed, 0]
        existing = [_index(path) for path in shards.glob("shard-*.npy")]
        # shard k belongs to worker k % workers, in this run and in the one that it resumes
        rounds = (max(existing) + 1) // workers if existing else 0
        index = rounds * workers + worker if start is None else start + (worker - start) % workers
        trainer = multiprocessing.parent_process()
        while not stop.value and trainer is not None and trainer.is_alive():
            if end is not None and index >= end.value + AHEAD_SHARDS:
                time.sleep(PAUSE_S)
                continue
            if not (shards / shard_name(index)).exists():
                write_shard(shards / shard_name(index), make_shard(mixer, params, [*stream, index], *size, teacher))
            for old in shards.glob("shard-*.npy") if end is None else ():
                if _index(old) <= index - ring:
                    old.unlink(missing_ok=True)
            if (
                rank == worker == 0
                and not (folder / VALID_NAME).exists()
                and (held_out := recordings.mixer_for(params, "valid"))
            ):
                sequences = min(VALID_SEQUENCES, 2 * size[0])
                write_shard(folder / VALID_NAME, make_shard(held_out, params, [seed, 1], sequences, size[1]))
            index += workers
    except Exception as error:
        traceback.print_exc()
        errors.put(str(error) or type(error).__name__)


def _run_in_background() -> None:
    import signal

    # Ctrl-C goes to every process of the terminal: the trainer handles it, and ends this one
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
