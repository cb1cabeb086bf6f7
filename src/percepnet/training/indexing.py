"""Folders of recordings measured, and written into a manifest.

Files are measured in processes of their own, in the order of their paths, and everything that depends on other files
(splits, duplicates) is decided here, so that the manifest is the same whatever the number of processes, and whether it
was made at once or in several goes.
"""

import hashlib
import json
import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from percepnet.acoustics.bandwidth import bandwidth_hz
from percepnet.acoustics.levels import active_level_db
from percepnet.acoustics.rooms import ROOM_MAX_S, reverberation_time_s
from percepnet.arrays import Array
from percepnet.atomic import replacing
from percepnet.audio import open_audio
from percepnet.audio.formats import has_media
from percepnet.audio.search import find_audio
from percepnet.errors import AudioError, PercepNetError, installing
from percepnet.manifest import Row, Split, load_rows
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.training import measures
from percepnet.training.corpus import SUFFIXES
from percepnet.training.manifest import FLAGS, KINDS, NARROWBAND_HZ, assign_splits, group_of, original, room_name

UNREADABLE_SUFFIXES = frozenset((".m4a", ".aac", ".wma", ".webm", ".amr", ".ape", ".wv"))  # audio all the same
NO_HEADER_SUFFIXES = frozenset((".raw",))  # of unknown rate and format
SILENT_DB = -70.0  # active level; 16 bits leave 30 dB below it
CLIPPED_SHARE = 1e-3
NOISY_DB = -30.0
MOSTLY_SILENT_SHARE = 0.5
SHORT_S = 0.5
SHORT_ROOM_S = 0.05
SAVE_S = 30.0  # between writes of an unfinished manifest


@dataclass(frozen=True)
class Labels:
    """What is known of recordings beside their sound.

    Parameters
    ----------
    kind : {"speech", "noise", "room"}
    source : str or None
        The collection that they are from; None is the name of the folder.
    licence : str or None
    speaker_from, category_from : str or None
        Where a speaker's and a category's name is found in a file's path below the folder: "folder" is the first
        subfolder (or the folder itself for what is directly in it), "file" the name without an index at its end.
        Anything else is a regular expression, of which the first group counts, or all of it.

    Raises
    ------
    PercepNetError
        If the kind is unknown, a regular expression is malformed, or speakers or categories are asked of another kind.
    """

    kind: str
    source: str | None = None
    licence: str | None = None
    speaker_from: str | None = None
    category_from: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise PercepNetError(f"--kind {self.kind}: there are {', '.join(KINDS)}")
        if self.speaker_from is not None and self.kind != "speech":
            raise PercepNetError(f"--speaker-from is for speech, not for --kind {self.kind}")
        if self.category_from is not None and self.kind != "noise":
            raise PercepNetError(f"--category-from is for noise, not for --kind {self.kind}")
        if self.category_from not in (None, "folder", "file"):
            raise PercepNetError(f"--category-from {self.category_from}: there are folder, file")
        try:
            re.compile(self.speaker_from or "")
        except re.error as error:
            raise PercepNetError(f"--speaker-from {self.speaker_from}: no regular expression ({error})") from None

    def of(self, path: Path, folder: Path) -> Row:
        """The labels of a file in a folder that was given."""
        inside = path.relative_to(folder)
        name = folder.resolve().name or "recordings"
        row: Row = {"kind": self.kind, "source": self.source or name}
        if self.kind == "speech":
            row["speaker"] = _found(self.speaker_from, inside, name)
        elif self.kind == "noise":
            row["category"] = _found(self.category_from or "folder", inside, name)
            row["recording"] = "/".join((row["source"], *inside.parts[:-1], original(path.stem)))
        else:
            row["room"] = "/".join((row["source"], *inside.parts[:-1], room_name(path.stem)))
        row["licence"] = self.licence
        return {field: value for field, value in row.items() if value}


@dataclass
class Outcome:
    """What adding folders to a manifest did, and what it left out."""

    manifest: str
    added: int = 0
    measured_again: int = 0
    unchanged: int = 0
    dropped: list[dict[str, str]] = field(default_factory=list)
    duplicates: list[dict[str, str]] = field(default_factory=list)
    unusable: list[dict[str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def add_folders(
    manifest: Path,
    folders: Sequence[Path],
    labels: Labels,
    *,
    exclude: Sequence[str] = (),
    drop: Sequence[str] = (),
    valid_share: float = 0.05,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Outcome:
    """Measure the recordings of folders, and add them to a manifest.

    What is in the manifest with the same path, size and time of change is not measured again. Interrupted, it leaves a
    manifest of what was measured, to which the same call adds the rest.

    Parameters
    ----------
    manifest : Path
        Made if it does not exist.
    folders : sequence of Path
    labels : Labels
    exclude : sequence of str
        Files with this in their path below the folder are left out.
    drop : sequence of str
        Flags; what has one of them is left out.
    valid_share : float
        Share of the speakers, recordings or rooms that are held out.
    jobs : int
        Processes; 0 measures in this one.
    progress : callable, optional
        Gets the number of files that are done, and of all.

    Returns
    -------
    Outcome

    Raises
    ------
    PercepNetError
        If a folder is missing or has no audio, a flag is unknown, the manifest is of another kind, malformed or cannot
        be written.
    """
    if unknown := sorted(set(drop) - set(FLAGS)):
        raise PercepNetError(f"--drop {unknown[0]}: there is no such flag; there are {', '.join(FLAGS)}")
    if manifest.suffix != ".jsonl":
        raise PercepNetError(f"{manifest}: the name of a manifest ends in .jsonl")
    rows = _rows(manifest) if manifest.exists() else {}
    for row in rows.values():
        if row.get("kind") not in (None, labels.kind):
            raise PercepNetError(f"{manifest}: is a manifest of {row['kind']}; {labels.kind} needs one of its own")
    outcome = Outcome(str(manifest))
    outcome.missing = [path for path in rows if not (manifest.parent / path).is_file()]
    new: dict[str, tuple[Path, Row]] = {}
    for folder in folders:
        for path in _files_in(folder, exclude, outcome):
            base = folder if folder.is_dir() else folder.parent
            new.setdefault(_written_path(path, manifest), (path, labels.of(path, base)))
    unchanged = [name for name, (path, _) in new.items() if _is_unchanged(rows.get(name), path)]
    outcome.unchanged = len(unchanged)
    for name in unchanged:
        del new[name]
    # what is measured again keeps its split
    known: dict[str, Split] = {group_of(row): row["split"] for row in rows.values() if row.get("split")}
    splits = assign_splits((group_of(labels) for _, labels in new.values()), known, valid_share)
    hashes = {row["sha256"]: name for name, row in rows.items() if row.get("sha256") and name not in new}
    _write(manifest, rows.values())  # now rather than after hours, if it cannot be done
    tasks = [(str(path), labels.kind) for path, _ in new.values()]
    saved_at = time.monotonic()
    try:
        with _measurements(tasks, jobs) as results:
            for done, ((name, (path, row)), measured) in enumerate(zip(new.items(), results, strict=True), 1):
                full = {"path": name, **row, "split": splits[group_of(row)], **measured}
                _take(full, path, rows, hashes, drop, outcome)
                progress(done, len(new))
                if time.monotonic() - saved_at > SAVE_S:
                    _write(manifest, rows.values())
                    saved_at = time.monotonic()
    except BrokenProcessPool:
        raise PercepNetError(
            f"a process that measures recordings ended: out of memory? The same command with fewer --jobs goes on "
            f"after the {outcome.added} that are in {manifest}"
        ) from None
    finally:
        _write(manifest, rows.values())
    return outcome


def measure(path: str, kind: str) -> Row:
    """The measured fields of a recording.

    Parameters
    ----------
    path : str
    kind : {"speech", "noise", "room"}

    Returns
    -------
    dict
        With `unusable`, which says why, and nothing else for what cannot be used.
    """
    try:
        status = os.stat(path)
        audio, sample_rate_hz, channels = _first_channel(Path(path))
    except AudioError as error:
        return {"unusable": str(error)}
    except MemoryError:
        return {"unusable": f"{path}: too long for the memory of this machine: cut it into parts"}
    except Exception as error:  # one file never ends a batch, whatever a decoder makes of it
        said = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        return {"unusable": f"{path}: cannot be read ({said})"}
    powers = measures.frame_powers(audio, sample_rate_hz)
    level_db = active_level_db(powers)
    if level_db < SILENT_DB and kind != "room":
        return {"unusable": f"{path}: silent (no louder than {max(level_db, -999):.0f} dB below full scale)"}
    if not np.any(audio):
        return {"unusable": f"{path}: silent"}
    row: Row = {
        "seconds": round(len(audio) / sample_rate_hz, 3),
        "sample_rate": sample_rate_hz,
        "channels": channels,
        "bandwidth_hz": round(bandwidth_hz(audio, sample_rate_hz)),
    }
    flags = {
        "narrowband": row["bandwidth_hz"] < NARROWBAND_HZ,
        "short": row["seconds"] < (SHORT_ROOM_S if kind == "room" else SHORT_S),
    }
    if kind == "room":
        at_48_khz = audio if sample_rate_hz == SAMPLE_RATE_HZ else soxr.resample(audio, sample_rate_hz, SAMPLE_RATE_HZ)
        row["rt60_s"] = round(reverberation_time_s(at_48_khz), 3)
        row["drr_db"] = round(measures.direct_to_reverberant_db(audio, sample_rate_hz), 1)
        flags["reverberant"] = row["rt60_s"] > ROOM_MAX_S
    else:
        row["active_level_db"] = round(level_db, 1)
        row["clipped"] = round(measures.clipped_share(audio), 6)
        flags["clipped"] = row["clipped"] > CLIPPED_SHARE
    if kind == "speech":
        row["noise_floor_db"] = round(measures.noise_floor_db(powers), 1)
        flags["noisy"] = row["noise_floor_db"] > NOISY_DB
    elif kind == "noise":
        row["silence"] = round(measures.silence_share(powers), 3)
        flags["mostly_silent"] = row["silence"] > MOSTLY_SILENT_SHARE
    row["flags"] = [flag for flag in FLAGS if flags.get(flag)]
    row["sha256"] = content_hash(audio, sample_rate_hz)
    return {**row, "size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def content_hash(audio: Array, sample_rate_hz: int) -> str:
    """What tells one sound from another: SHA-256 of the samples in 16 bits, which is what training takes.

    Of the samples rather than of the file, so that a copy as FLAC, or with another title in its header, is found out.

    Parameters
    ----------
    audio : np.ndarray [shape=(n,)]
    sample_rate_hz : int
    """
    samples = np.clip(np.rint(audio * np.float32(32768)), -32768, 32767).astype("<i2")
    return hashlib.sha256(f"{sample_rate_hz} ".encode() + samples.tobytes()).hexdigest()


def _first_channel(path: Path) -> tuple[Array, int, int]:
    # as in training: a sum of several would be comb-filtered by the distance of their microphones
    with open_audio(path) as reader:
        blocks = [block[0] for block in reader.blocks()]
        return np.concatenate(blocks), reader.info.sample_rate_hz, reader.info.channels


def _take(
    row: Row, path: Path, rows: dict[str, Row], hashes: dict[str, str], drop: Sequence[str], outcome: Outcome
) -> None:
    """Put what was measured where it belongs: into the manifest, or among what is left out, and why."""
    name = row["path"]
    before = rows.pop(name, None) if "unusable" in row else rows.get(name)
    if "unusable" in row:
        outcome.unusable.append({"path": str(path), "reason": row["unusable"]})
    elif row["sha256"] in hashes:
        rows.pop(name, None)
        outcome.duplicates.append({"path": str(path), "reason": f"{path}: duplicate of {hashes[row['sha256']]}"})
    elif dropped := [flag for flag in row["flags"] if flag in drop]:
        rows.pop(name, None)
        outcome.dropped.append({"path": str(path), "reason": f"{path}: {', '.join(dropped)}"})
    else:
        rows[name] = row
        hashes[row["sha256"]] = name
        outcome.added += before is None
        outcome.measured_again += before is not None


def _files_in(folder: Path, exclude: Sequence[str], outcome: Outcome) -> Iterator[Path]:
    """The recordings of a folder, sorted; what is audio by its name, and cannot be read, goes among the unusable."""
    if folder.is_file():
        yield folder
        return
    if not folder.is_dir():
        raise PercepNetError(f"{folder}: no such file or folder")
    found = 0
    for path in find_audio(folder, suffixes=(SUFFIXES | UNREADABLE_SUFFIXES) - NO_HEADER_SUFFIXES).audio:
        suffix = path.suffix.lower()
        if any(text in path.relative_to(folder).as_posix() for text in exclude):
            continue
        found += 1
        if suffix in UNREADABLE_SUFFIXES and not has_media():
            reason = f"{path}: {suffix} files need FFmpeg's libraries: {installing('media')}"
            outcome.unusable.append({"path": str(path), "reason": reason})
        else:
            yield path
    if not found:
        raise PercepNetError(f"{folder}: no audio found{' after --exclude' if exclude else ''} in this folder")


def _rows(manifest: Path) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for row in load_rows(manifest):
        if row["path"] in rows:
            raise PercepNetError(f"{manifest}: two lines are of {row['path']}: remove the one that does not hold")
        rows[row["path"]] = row
    return rows


def _found(place: str | None, inside: Path, folder_name: str) -> str | None:
    if place is None:
        return None
    if place == "folder":
        return inside.parts[0] if len(inside.parts) > 1 else folder_name
    if place == "file":
        return original(inside.stem)
    match = re.search(place, inside.as_posix())
    if match is None:
        return None
    return match[1] if match.re.groups else match[0]


def _written_path(path: Path, manifest: Path) -> str:
    """Relative to the manifest, as long as there is a way from one to the other."""
    # the manifest's folder may be reached through links, which `..` does not lead back through
    base = os.path.realpath(manifest.parent)
    try:
        return Path(os.path.relpath(os.path.abspath(path), base)).as_posix()
    except ValueError:  # another drive
        return Path(os.path.abspath(path)).as_posix()


def _is_unchanged(row: Row | None, path: Path) -> bool:
    if row is None:
        return False
    if "size_bytes" not in row or "mtime_ns" not in row:  # written by hand: what it says is kept
        return True
    status = path.stat()
    return bool((status.st_size, status.st_mtime_ns) == (row["size_bytes"], row["mtime_ns"]))


def _write(manifest: Path, rows: Any) -> None:
    # names that are not valid Unicode survive as escapes only
    text = "".join(json.dumps(row) + "\n" for row in rows)
    with replacing(manifest) as temporary:
        temporary.write_text(text, encoding="ascii")


@contextmanager
def _measurements(tasks: Sequence[tuple[str, str]], jobs: int) -> Iterator[Iterator[Row]]:
    """The results of `measure`, in the order of the tasks."""
    jobs = min(jobs, len(tasks))
    if jobs == 0:
        yield (measure(*task) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_in_background)
    try:
        yield pool.map(measure, *zip(*tasks, strict=True))
    finally:
        pool.shutdown(cancel_futures=True)


def _in_background() -> None:
    # Ctrl-C goes to every process of the terminal: the one that writes the manifest handles it, and ends this one
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # mpg123 prints notes on damaged files, past Python; the list at the end says it all in one line each
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
