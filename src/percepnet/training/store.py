"""Recordings decoded once, in files that all processes of a run share."""

import hashlib
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from percepnet.arrays import Array
from percepnet.errors import AudioError
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.processors import processors
from percepnet.training.corpus import Clip


class AudioStore:
    """Recordings as 48 kHz samples, decoded when first used, in a file that all processes of a run share.

    Parameters
    ----------
    clips : sequence of Clip
    folder : path
        Where the decoded audio is kept: 350 MB an hour of recordings that were used.
    """

    def __init__(self, clips: Sequence[Clip], folder: str | os.PathLike[str]) -> None:
        self.clips = list(clips)
        self._starts = np.concatenate([[0], np.cumsum([clip.samples for clip in self.clips])]).astype(np.int64)
        names = "\n".join(f"{clip.path.resolve()} {clip.samples}" for clip in self.clips)
        digest = hashlib.sha256(names.encode()).hexdigest()[:16]
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._audio = _shared_array(Path(folder) / f"{digest}.audio", np.int16, int(self._starts[-1]))
        self._decoded = _shared_array(Path(folder) / f"{digest}.decoded", np.uint8, len(self.clips))

    def __iter__(self) -> Iterator[Array]:
        """Whole recordings [shape=(n,)], one after the other."""
        return map(self.read, range(len(self.clips)))

    def decoded(self, processes: int | None = None) -> npt.NDArray[np.int16]:
        """All recordings one after another.

        Parameters
        ----------
        processes : int, optional
            That decode them; default: as many as there are processors.

        Returns
        -------
        np.ndarray [shape=(n,)]
            The shared file itself.

        Raises
        ------
        AudioError
            If a recording is unreadable.
        """
        missing = np.flatnonzero(np.asarray(self._decoded) == 0)
        processes = min(processes or processors(), max(1, len(missing) // 16))
        if processes == 1:
            _DecodeInto(self.clips, self._folder)(missing)
        else:
            with multiprocessing.get_context("spawn").Pool(processes) as pool:
                pool.map(_DecodeInto(self.clips, self._folder), np.array_split(missing, 4 * processes))
        return self._audio

    def read(self, index: int, start: int = 0, samples: int | None = None) -> Array:
        """A part of one recording.

        Parameters
        ----------
        index : int
            Of the recording, in `clips`.
        start, samples : int
            In samples at 48 kHz; up to the end by default.

        Returns
        -------
        np.ndarray [shape=(n,)]
        """
        begin, end = int(self._starts[index]), int(self._starts[index + 1])
        if not self._decoded[index]:
            # Two processes may both do this: they write the same samples
            self._audio[begin:end] = _decode(self.clips[index])
            self._decoded[index] = 1
        stop = end if samples is None else min(end, begin + start + samples)
        return self._audio[begin + start : stop].astype(np.float32) / np.float32(32768)


@dataclass(frozen=True)
class _DecodeInto:
    """What a process decodes for another."""

    clips: Sequence[Clip]
    folder: Path

    def __call__(self, indices: npt.NDArray[np.int64]) -> None:
        store = AudioStore(self.clips, self.folder)
        for index in indices:
            store.read(int(index), 0, 0)


def read_mono(clip: Clip) -> tuple[Array, int]:
    """A recording as it is in its file: one channel of it [shape=(n,)], and the sample rate.

    Raises
    ------
    AudioError
        If it is unreadable.
    """
    try:
        audio, rate_hz = soundfile.read(str(clip.path), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"{clip.path}: unreadable; repair it, or leave it out with --exclude ({error})") from error
    # one channel: a sum of several would be comb-filtered by the distance of their microphones
    return audio[:, 0], rate_hz


def at_48_khz(mono: Array, rate_hz: int) -> Array:
    """A recording as the training hears it."""
    return mono if rate_hz == SAMPLE_RATE_HZ else soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)


def _decode(clip: Clip) -> npt.NDArray[np.int16]:
    mono = at_48_khz(*read_mono(clip))
    whole = np.zeros(clip.samples, np.float32)
    used = min(len(mono), clip.samples)
    whole[:used] = np.nan_to_num(mono[:used])
    return np.clip(np.rint(whole * 32768), -32768, 32767).astype(np.int16)


def _shared_array(path: Path, dtype: type[Any], length: int) -> npt.NDArray[Any]:
    size = length * np.dtype(dtype).itemsize
    with path.open("ab") as file:
        if file.tell() < size:
            file.truncate(size)  # a hole: disk is used only for what is decoded
    return np.memmap(path, dtype, "r+", shape=(length,))
