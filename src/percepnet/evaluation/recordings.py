"""Recordings for evaluation: mono, alone or as clean and noisy pairs of one name, and work done on each pair."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import soxr

from percepnet.arrays import Samples
from percepnet.audio import FORMATS, open_audio
from percepnet.errors import AudioError, PercepNetError
from percepnet.params import SAMPLE_RATE_HZ

Result = TypeVar("Result")
Item = TypeVar("Item")  # a Pair or a Recording


@dataclass(frozen=True)
class Pair:
    """A noisy recording and the clean speech in it, two files of one name.

    Attributes
    ----------
    snr_db : float or None
        Signal-to-noise ratio, where it is known.
    """

    name: str
    clean: Path
    noisy: Path
    snr_db: float | None = None


@dataclass(frozen=True)
class Recording:
    """A noisy recording, with the clean speech in it where there is one.

    Attributes
    ----------
    noise, room : str
        Kind of noise, and the room that the speech is in, where they are known.
    """

    name: str
    noisy: Path
    clean: Path | None = None
    snr_db: float | None = None
    noise: str = ""
    room: str = ""


def read_mono(path: Path) -> tuple[Samples, int]:
    """A whole mono recording, `samples, sample_rate_hz`.

    Returns
    -------
    np.ndarray [shape=(n,)]
    int

    Raises
    ------
    AudioError
        If the file cannot be read, is empty or has several channels.
    """
    with open_audio(path) as reader:
        if reader.info.channels != 1:
            raise AudioError(f"{path}: has {reader.info.channels} channels; evaluation compares mono recordings")
        return np.concatenate(list(reader.blocks()), axis=1)[0], reader.info.sample_rate_hz


def read_aligned(clean: Path, noisy: Path) -> tuple[Samples, Samples, int]:
    """Two mono recordings of one length and rate, `clean, noisy, sample_rate_hz`.

    Raises
    ------
    AudioError
        If one cannot be read, or their rates or lengths differ.
    """
    (x, x_rate_hz), (y, y_rate_hz) = read_mono(clean), read_mono(noisy)
    if x_rate_hz != y_rate_hz:
        raise AudioError(f"{clean} has {x_rate_hz} Hz and {noisy} has {y_rate_hz} Hz: give both one rate")
    if len(x) != len(y):
        raise AudioError(f"{clean} has {len(x)} samples and {noisy} has {len(y)}: cut both to one start and length")
    return x, y, x_rate_hz


def resampled(x: Samples, source_hz: int, target_hz: int) -> Samples:
    """A whole signal [shape=(n,)] at another rate."""
    return np.asarray(soxr.resample(x, source_hz, target_hz, quality="VHQ"), dtype=np.float32)


def read_at_48k(pair: Pair) -> tuple[Samples, Samples]:
    """Both signals of a pair at 48 kHz, `clean, noisy`; the errors are those of `read_aligned`."""
    clean, noisy, rate_hz = read_aligned(pair.clean, pair.noisy)
    return resampled(clean, rate_hz, SAMPLE_RATE_HZ), resampled(noisy, rate_hz, SAMPLE_RATE_HZ)


def find_pairs(folder: Path, snrs_db: dict[str, float] | None = None) -> list[Pair]:
    """The recordings that `folder/clean` and `folder/noisy` both have, by name.

    Parameters
    ----------
    folder : path
    snrs_db : dict, optional
        Signal-to-noise ratios by name.

    Raises
    ------
    PercepNetError
        If a folder is missing or there is no pair.
    """
    files = {}
    for kind in ("clean", "noisy"):
        if not (folder / kind).is_dir():
            raise PercepNetError(f"{folder / kind}: no such folder; pairs are clean/NAME.wav and noisy/NAME.wav")
        files[kind] = _audio_in(folder / kind)
    names = [name for name in files["noisy"] if name in files["clean"]]
    if not names:
        raise PercepNetError(f"{folder}: no recording in noisy/ has one of the same name in clean/")
    return [Pair(name, files["clean"][name], files["noisy"][name], (snrs_db or {}).get(name)) for name in names]


def find_recordings(folder: Path, *, with_clean: bool = True) -> list[Recording]:
    """The recordings to evaluate.

    Parameters
    ----------
    folder : path
        With clean speech: has ``noisy`` and ``clean``; a recording without a clean one of its name comes without.
        Otherwise: a folder of recordings, with its subfolders.
    with_clean : bool

    Raises
    ------
    PercepNetError
        If a folder is missing or there is no recording.
    """
    if with_clean:
        pairs = {pair.name: pair for pair in find_pairs(folder)}
        files = _audio_in(folder / "noisy")
        return [Recording(name, file, pairs[name].clean if name in pairs else None) for name, file in files.items()]
    if not folder.is_dir():
        raise PercepNetError(f"{folder}: no such folder")
    found = [f for f in sorted(folder.rglob("*")) if f.suffix.lower() in FORMATS and f.is_file()]
    stems = [f.relative_to(folder).with_suffix("").as_posix() for f in found]
    names = [s if stems.count(s) == 1 else f.relative_to(folder).as_posix() for s, f in zip(stems, found, strict=True)]
    if not found:
        raise PercepNetError(f"{folder}: no recording in this folder ({', '.join(FORMATS)})")
    return [Recording(name, file) for name, file in zip(names, found, strict=True)]


def read_recording(recording: Recording) -> tuple[Samples | None, Samples]:
    """Both signals at 48 kHz, `clean or None, noisy`.

    Raises
    ------
    AudioError
        If one cannot be read, their rates or lengths differ, or the noisy one is silent.
    """
    clean: Samples | None = None
    if recording.clean is None:
        noisy, rate_hz = read_mono(recording.noisy)
    else:
        speech, noisy, rate_hz = read_aligned(recording.clean, recording.noisy)
        clean = resampled(speech, rate_hz, SAMPLE_RATE_HZ)
    if not np.any(noisy):
        raise AudioError(f"{recording.noisy}: is silent")
    return clean, resampled(noisy, rate_hz, SAMPLE_RATE_HZ)


def _audio_in(folder: Path) -> dict[str, Path]:
    return {f.stem: f for f in sorted(folder.iterdir()) if f.suffix.lower() in FORMATS}


@dataclass(frozen=True)
class Done(Generic[Item, Result]):
    """What came of the work on a pair: a result, or what was wrong."""

    pair: Item
    result: Result | None
    error: str = ""


def on_each_pair(work: Callable[[Item], Result], pairs: Sequence[Item], processes: int) -> Iterator[Done[Item, Result]]:
    """Do `work` on every pair, in any order; a pair that raises PercepNetError does not stop the others.

    Parameters
    ----------
    work : callable
        Of a module, if there is more than one process.
    pairs : sequence of Pair or Recording
    processes : int
        How many at a time.
    """
    attempt = partial(_attempt, work)
    processes = min(processes, len(pairs), os.cpu_count() or 1)
    if processes <= 1:
        yield from map(attempt, pairs)
        return
    # Forking a process whose libraries have started threads can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_the_first)
    others = set(multiprocessing.active_children())
    try:
        with _children_deaf_to_interrupts():
            futures = {pool.submit(attempt, pair): pair for pair in pairs}
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:  # a library crashed, and took down what was done beside it
                yield Done(futures[future], None, "the process that worked on it ended early: try again")
    except BaseException:  # nobody waits for what is under way
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:  # after an interruption what has not begun must not begin
        pool.shutdown(cancel_futures=True)


@contextmanager
def _children_deaf_to_interrupts() -> Iterator[None]:
    """Processes that start in here ignore Ctrl-C until they say otherwise: their imports would show a traceback."""
    if threading.current_thread() is not threading.main_thread():  # where Python lets nobody set a handler
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _end_with_the_first() -> None:
    """Ctrl-C reaches all processes of a terminal: those that work end without a word, and the first one reports it.

    Where the first one was ended by something that it cannot handle, they end too.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if (first := multiprocessing.parent_process()) is not None:

        def end() -> None:
            first.join()
            os._exit(1)

        threading.Thread(target=end, daemon=True).start()


def _attempt(work: Callable[[Item], Result], pair: Item) -> Done[Item, Result]:
    try:
        return Done(pair, work(pair))
    except PercepNetError as error:
        return Done(pair, None, str(error))
