"""Recordings to train on, found in folders or manifests. What is in a plain folder is split by a hash of its path."""

import math
import os
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from percepnet.audio.search import find_audio
from percepnet.errors import AudioError, PercepNetError
from percepnet.manifest import Entry, Split, read_manifest
from percepnet.params import SAMPLE_RATE_HZ

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


def _of_folder(place: Path) -> list[tuple[Path, Entry]]:
    if place.is_file():
        return [(place, Entry(path=place.name))]
    if not place.is_dir():
        raise PercepNetError(f"{place}: no such file or folder")
    rows = []
    for path in find_audio(place, suffixes=SUFFIXES).audio:
        inside = path.relative_to(place)
        # the first subfolder tells recordings apart as far as anything does
        group = inside.parts[0] if len(inside.parts) > 1 else place.name
        rows.append((path, Entry(path=inside.as_posix(), source=group, category=group)))
    return rows


def _refuse_other_kind(place: Path, rows: Sequence[tuple[Path, Entry]], kind: str | None) -> None:
    for path, row in rows:
        found = row.kind
        if kind is not None and found != kind and found is not None:
            raise PercepNetError(
                f"{place}: {path.name} in it is of the kind {found!r}, not {kind!r}; "
                f"give this manifest as {OPTIONS[found]}, not as {OPTIONS[kind]}"
            )


def _clip(path: Path, row: Entry) -> Clip:
    try:
        info = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError) as error:
        why = "unreadable" if path.is_file() else "no such file"
        raise AudioError(f"{path}: {why}; repair it, or leave it out with --exclude ({error})") from error
    if info.frames == 0:
        raise AudioError(f"{path}: empty; leave it out with --exclude")
    if info.frames >= FRAMES_UNKNOWN:
        raise AudioError(f"{path}: its header has no length; convert it to FLAC or WAV")
    held_out = row.split == "valid" if row.split else zlib.crc32(row.path.encode()) % VALID_SHARE == 0
    source = row.source or path.parent.name
    return Clip(
        path=path,
        samples=math.ceil(info.frames * SAMPLE_RATE_HZ / info.samplerate),
        source=source,
        category=row.category or source,
        licence=row.licence or row.license or "",
        bandwidth_hz=min(row.bandwidth_hz or math.inf, info.samplerate / 2),
        split="valid" if held_out else "train",
        speaker=row.speaker or "",
    )
