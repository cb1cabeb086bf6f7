"""Recordings to train on: found in folders or manifests, decoded once, and shared by all processes.

A manifest is a file of JSON lines, one a recording:

    {"path": "speech/a.opus", "split": "train", "source": "libri", "bandwidth_hz": 8000, "licence": "PD"}

Only `path` is needed; it is relative to the manifest. Noises may have a `category`. What is in a plain folder has no
such fields: it is split by a hash of its path.
"""

import hashlib
import json
import math
import multiprocessing
import os
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from percepnet.errors import AudioError, PercepNetError
from percepnet.params import SAMPLE_RATE_HZ

Array = npt.NDArray[np.float32]
Split = Literal["train", "valid"]

SUFFIXES = frozenset(f".{name.lower()}" for name in soundfile.available_formats()) | {
    ".opus", ".oga", ".aif", ".wave", ".mp3",
}  # fmt: skip
VALID_SHARE = 20  # one file in 20 of a plain folder is held out
FRAMES_UNKNOWN = 2**62  # what libsndfile answers for a stream whose header has no length
OPTIONS = {"speech": "--speech", "noise": "--noise", "room": "--rooms"}  # where each kind of manifest belongs


@dataclass(frozen=True)
class Clip:
    """One recording.

    Parameters
    ----------
    path : Path
    samples : int
        Length at 48 kHz.
    source, category, licence : str
        Where it is from, what it is, and how it may be used; empty if unknown.
    bandwidth_hz : float
        Where its spectrum ends; at most half its own sample rate.
    split : {"train", "valid"}
    speaker : str
        Who speaks; empty if unknown.
    """

    path: Path
    samples: int
    source: str
    category: str
    licence: str
    bandwidth_hz: float
    split: Split
    speaker: str = ""

    @property
    def seconds(self) -> float:
        return self.samples / SAMPLE_RATE_HZ


def find_clips(
    places: Sequence[str | os.PathLike[str]], exclude: Sequence[str] = (), kind: str | None = None
) -> list[Clip]:
    """All recordings of manifests (`.jsonl`), folders (with subfolders) and single files.

    Parameters
    ----------
    places : sequence of str or path
    exclude : sequence of str
        A recording is left out if one of these is part of its path.
    kind : {"speech", "noise", "room"}, optional
        What is looked for. Manifests may say what they hold; the others are taken at the caller's word.

    Returns
    -------
    list of Clip

    Raises
    ------
    PercepNetError
        If a place does not exist, a manifest is malformed or of another kind, or nothing is found.
    AudioError
        If a recording is missing, unreadable or empty.
    """
    clips: list[Clip] = []
    for place in map(Path, places):
        found = read_manifest(place) if place.suffix == ".jsonl" else _of_folder(place)
        kept = [(path, row) for path, row in found if not any(part in str(path) for part in exclude)]
        if not kept:
            excluded = " after --exclude" if found else ""
            raise PercepNetError(f"{place}: no audio found{excluded}; give a folder of recordings or a .jsonl manifest")
        _refuse_other_kind(place, kept, kind)
        clips.extend(_clip(path, row) for path, row in kept)
    return clips


def read_manifest(path: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The recordings of a manifest: where each is, and its line.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of (Path, dict)

    Raises
    ------
    PercepNetError
        If it cannot be read, or a line is not JSON with a path.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PercepNetError(f"cannot read the manifest {path}: {error}") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            rows.append((path.parent / row["path"], row))
        except (ValueError, KeyError, TypeError):
            raise PercepNetError(f'{path}, line {number}: expected JSON with a "path", found {line[:60]!r}') from None
    return rows


def of_split(clips: Iterable[Clip], split: Split) -> list[Clip]:
    """The recordings of one split."""
    return [clip for clip in clips if clip.split == split]


def summary(clips: Sequence[Clip]) -> dict[str, str]:
    """Hours and licences by source, as text, for the model's card.

    Examples
    --------
    >>> clip = Clip(Path("a.wav"), 48000 * 3600, "libri", "", "PD", 24000, "train")
    >>> summary([clip])
    {'libri': '1.0 h, PD'}
    """
    samples: Counter[str] = Counter()
    licences: defaultdict[str, set[str]] = defaultdict(set)
    for clip in clips:
        samples[clip.source] += clip.samples
        licences[clip.source].add(clip.licence or "licence not stated")
    return {
        source: f"{count / SAMPLE_RATE_HZ / 3600:.1f} h, {'; '.join(sorted(licences[source]))}"
        for source, count in sorted(samples.items())
    }


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
        processes = min(processes or os.cpu_count() or 1, max(1, len(missing) // 8))
        if processes == 1:
            for index in missing:
                self.read(int(index), 0, 0)
        else:
            with multiprocessing.get_context("spawn").Pool(processes) as pool:
                pool.map(_DecodeInto(self.clips, self._folder), np.array_split(missing, 8 * processes))
        return self._audio


@dataclass(frozen=True)
class _DecodeInto:
    """What a process decodes for another."""

    clips: Sequence[Clip]
    folder: Path

    def __call__(self, indices: npt.NDArray[np.int64]) -> None:
        store = AudioStore(self.clips, self.folder)
        for index in indices:
            store.read(int(index), 0, 0)


class ClipPool:
    """Recordings to draw from: first a group (a source or a category), then a recording of it.

    Parameters
    ----------
    store : AudioStore
    by : {"source", "category"}
        What the groups are. A group is drawn with the square root of its hours, so that large ones do not drown small
        ones; a recording of the group with its length.
    weights : mapping of str to float, optional
        Factor on the probability of a group.

    Raises
    ------
    PercepNetError
        If a weight names no group or is negative, or if none is left.
    """

    def __init__(
        self, store: AudioStore, by: Literal["source", "category"], weights: Mapping[str, float] | None = None
    ) -> None:
        self.store = store
        members: defaultdict[str, list[int]] = defaultdict(list)
        for index, clip in enumerate(store.clips):
            members[getattr(clip, by)].append(index)
        weights = dict(weights or {})
        if unknown := sorted(set(weights) - set(members)):
            raise PercepNetError(f"no {by} {unknown[0]!r} to weight; there are: {', '.join(sorted(members))}")
        self._groups = [np.array(indices) for indices in members.values()]
        lengths = [np.array([store.clips[i].samples for i in indices], np.float64) for indices in members.values()]
        self._within = [length / length.sum() for length in lengths]
        factors = np.array([weights.get(name, 1.0) for name in members])
        shares = np.sqrt([length.sum() for length in lengths]) * factors
        if (factors < 0).any() or not shares.sum() > 0:
            raise PercepNetError(f"weights of a {by} must be positive; found {weights}")
        self._shares = shares / shares.sum()

    def draw(self, rng: np.random.Generator, samples: int) -> tuple[Array, float]:
        """A stretch of one group: of one recording from a random place on, and of others where that ends.

        Returns
        -------
        audio : np.ndarray [shape=(samples,)]
        bandwidth_hz : float
            The lowest of the recordings used.
        """
        group = int(rng.choice(len(self._groups), p=self._shares))
        pieces: list[Array] = []
        missing, bandwidth_hz = samples, math.inf
        while missing > 0:
            index = int(rng.choice(self._groups[group], p=self._within[group]))
            clip = self.store.clips[index]
            start = int(rng.integers(max(1, clip.samples - missing + 1)))
            pieces.append(self.store.read(index, start, missing))
            missing -= len(pieces[-1])
            bandwidth_hz = min(bandwidth_hz, clip.bandwidth_hz)
        return np.concatenate(pieces), bandwidth_hz


def _of_folder(place: Path) -> list[tuple[Path, dict[str, Any]]]:
    if place.is_file():
        return [(place, {"path": place.name})]
    if not place.is_dir():
        raise PercepNetError(f"{place}: no such file or folder")
    found = sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    rows = []
    for path in found:
        inside = path.relative_to(place)
        # the first subfolder tells recordings apart as far as anything does
        group = inside.parts[0] if len(inside.parts) > 1 else place.name
        rows.append((path, {"path": inside.as_posix(), "source": group, "category": group}))
    return rows


def _refuse_other_kind(place: Path, rows: Sequence[tuple[Path, Mapping[str, Any]]], kind: str | None) -> None:
    for path, row in rows:
        found = row.get("kind")
        if kind is not None and found != kind and found in OPTIONS:
            raise PercepNetError(
                f"{place}: {path.name} in it is of the kind {found!r}, not {kind!r}; "
                f"give this manifest as {OPTIONS[found]}, not as {OPTIONS[kind]}"
            )


def _clip(path: Path, row: Mapping[str, Any]) -> Clip:
    try:
        info = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError) as error:
        why = "unreadable" if path.is_file() else "no such file"
        raise AudioError(f"{path}: {why}; repair it, or leave it out with --exclude ({error})") from error
    if info.frames == 0:
        raise AudioError(f"{path}: empty; leave it out with --exclude")
    if info.frames >= FRAMES_UNKNOWN:
        raise AudioError(f"{path}: its header has no length; convert it to FLAC or WAV")
    held_out = zlib.crc32(str(row["path"]).encode()) % VALID_SHARE == 0
    if row.get("split") in ("train", "valid"):
        held_out = row["split"] == "valid"
    source = str(row.get("source") or path.parent.name)
    try:
        bandwidth_hz = float(row.get("bandwidth_hz") or math.inf)
    except (TypeError, ValueError):
        raise PercepNetError(f"{path}: its bandwidth_hz is {row['bandwidth_hz']!r}, not a number") from None
    return Clip(
        path=path,
        samples=math.ceil(info.frames * SAMPLE_RATE_HZ / info.samplerate),
        source=source,
        category=str(row.get("category") or source),
        licence=str(row.get("licence") or row.get("license") or ""),
        bandwidth_hz=min(bandwidth_hz, info.samplerate / 2),
        split="valid" if held_out else "train",
        speaker=str(row.get("speaker") or ""),
    )


def _decode(clip: Clip) -> npt.NDArray[np.int16]:
    try:
        audio, rate_hz = soundfile.read(str(clip.path), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"{clip.path}: unreadable; repair it, or leave it out with --exclude ({error})") from error
    # one channel: a sum of several would be comb-filtered by the distance of their microphones
    mono = audio[:, 0]
    if rate_hz != SAMPLE_RATE_HZ:
        mono = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)
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
