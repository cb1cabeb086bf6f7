"""A corpus packed into few files of limited size, to take to a machine that nothing can be fetched from.

A pack is a zip archive with manifests and recordings. What is Opus or Vorbis of a low rate already is taken as it is,
since a second encoder costs quality; everything else is encoded as Opus. Rooms stay lossless, up to the length that
training hears of them.
"""

import io
import json
import math
import os
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from percepnet.acoustics.rooms import ROOM_MAX_S
from percepnet.errors import PercepNetError
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.processors import processors
from percepnet.training.corpus import Clip, find_clips
from percepnet.training.store import at_48_khz, read_mono

KINDS = ("rooms", "noise", "speech")  # the first are taken whole before speech fills what is left
FIELDS = {"rooms": "room", "noise": "noise", "speech": "speech"}  # as manifests name them
SUFFIX = ".pack.zip"
KILOBITS = {"speech": 24.0, "noise": 32.0}  # a second
AS_IT_IS = 1.5  # times that rate, up to which a recording is not encoded again
OPUS_RATES = (6_000, 256_000)  # of libsndfile's scale of compression levels, bits a second
ENCODED = ("OPUS", "VORBIS")
OVERHEAD = 1000  # bytes of a recording's headers and of its line in the manifest
ROOM_SECONDS = ROOM_MAX_S + 0.1  # the direct sound may come a little after the beginning


@dataclass(frozen=True)
class Packed:
    """What was packed.

    Parameters
    ----------
    paths : tuple of Path
    hours : dict of str to float
        By kind.
    left_out : int
        Recordings for which there was no more room.
    """

    paths: tuple[Path, ...]
    hours: dict[str, float]
    left_out: int


def pack(
    places: Mapping[str, Sequence[str]],
    out: Path,
    *,
    megabytes: float,
    parts: int | None = None,
    kilobits: Mapping[str, float] | None = None,
    processes: int | None = None,
) -> Packed:
    """Pack manifests, folders or files.

    Parameters
    ----------
    places : mapping of str to sequence of str
        By "speech", "noise" and "rooms".
    out : Path
        A folder, for `000.pack.zip` and so on.
    megabytes : float
        Size of a pack at most, in units of 2^20 bytes.
    parts : int, optional
        Packs at most; speech that does not fit is left out, the second recording of a speaker before the first.
    kilobits : mapping of str to float, optional
        Rates of what is encoded, by "speech" and "noise".
    processes : int, optional
        Default: as many as there are processors.

    Returns
    -------
    Packed

    Raises
    ------
    PercepNetError
        If there is no speech, or a recording alone is larger than a pack.
    """
    rates = {**KILOBITS, **(kilobits or {})}
    clips = [
        (kind, clip)
        for kind in KINDS
        if places.get(kind)
        for clip in _speakers_in_turn(find_clips(places[kind], (), FIELDS[kind]))
    ]
    if not any(kind == "speech" for kind, _ in clips):
        raise PercepNetError("no speech to pack")
    out.mkdir(parents=True, exist_ok=True)
    jobs = [(clip, kind, rates.get(kind, 0.0)) for kind, clip in clips]
    with _Writer(out, int(megabytes * 2**20), parts) as writer, _mapping(processes or processors()) as mapping:
        for (kind, clip), data in zip(clips, mapping(_encoded, jobs), strict=True):
            writer.add(kind, clip, data)
    return Packed(tuple(writer.paths), writer.hours, writer.left_out)


@contextmanager
def _mapping(processes: int) -> Iterator[Callable[..., Iterable[bytes]]]:
    if processes == 1:
        yield map
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield partial(pool.map, chunksize=4)


class _Writer:
    """Fills packs, which appear when all are complete; those of before then go."""

    def __init__(self, out: Path, limit: int, parts: int | None) -> None:
        self.paths: list[Path] = []
        self.hours = dict.fromkeys(KINDS, 0.0)
        self.left_out = 0
        self._out, self._limit, self._parts = out, limit, parts
        self._size, self._count, self._full = limit, 0, False
        self._archive: zipfile.ZipFile | None = None
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def add(self, kind: str, clip: Clip, data: bytes) -> None:
        needs = len(data) + OVERHEAD
        if needs > self._limit:
            raise PercepNetError(f"{clip.path}: {needs} bytes, more than a pack of {self._limit}")
        if not self._full and self._size + needs > self._limit:
            self._close()
            self._full = self._parts is not None and len(self.paths) == self._parts
        if self._full:
            self.left_out += 1
            return
        if self._archive is None:
            self.paths.append(self._out / f"{len(self.paths):03d}{SUFFIX}")
            self._archive, self._size = zipfile.ZipFile(_unfinished(self.paths[-1]), "w"), 0
        name = f"{kind}/{self._count:06d}{'.flac' if kind == 'rooms' else '.opus'}"
        self._archive.writestr(name, data)
        self._rows.setdefault(kind, []).append(_row(name, kind, clip))
        self.hours[kind] += clip.seconds / 3600
        self._size += needs
        self._count += 1

    def _close(self) -> None:
        if self._archive is None:
            return
        with self._archive as archive:
            for kind, found in self._rows.items():
                text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
                archive.writestr(f"{kind}.jsonl", text, zipfile.ZIP_DEFLATED)
        self._archive, self._rows = None, {}

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._close()
        if kind is None:
            for stale in set(self._out.glob(f"*{SUFFIX}")) - set(self.paths):
                stale.unlink()
        for path in self.paths:
            unfinished = _unfinished(path)
            unfinished.replace(path) if kind is None else unfinished.unlink()


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def unpack(packs: Sequence[Path], folder: Path) -> dict[str, tuple[str, ...]]:
    """Take packs apart; what was unpacked before stays.

    Parameters
    ----------
    packs : sequence of Path
        Files, or folders of them.
    folder : Path

    Returns
    -------
    dict of str to tuple of str
        The manifests of all packs in the folder, by "speech", "noise" and "rooms", as `Config` takes them.

    Raises
    ------
    PercepNetError
        If a pack is missing or damaged, or none was given.
    """
    files = [file for place in packs for file in (sorted(place.glob(f"*{SUFFIX}")) if place.is_dir() else [place])]
    for file in files:
        target = folder / file.name.removesuffix(SUFFIX)
        done = target / ".done"
        if done.exists() and done.read_text() == str(file.stat().st_size):
            continue
        try:
            with zipfile.ZipFile(file) as archive:
                archive.extractall(target)
        except (OSError, zipfile.BadZipFile) as error:
            raise PercepNetError(f"{file}: not a pack, or a damaged one ({error})") from error
        done.write_text(str(file.stat().st_size))
    found = {kind: tuple(sorted(map(str, folder.glob(f"*/{kind}.jsonl")))) for kind in KINDS}
    if not found["speech"]:
        raise PercepNetError(f"{folder}: no speech; give the packs that `pack` wrote")
    return found


def _speakers_in_turn(clips: Iterable[Clip]) -> list[Clip]:
    """Recordings in an order such that the first of every speaker come first, then the second, and so on."""
    turns: defaultdict[tuple[str, str], int] = defaultdict(int)
    ordered = []
    for index, clip in enumerate(clips):
        whose = (clip.source, clip.speaker or clip.category)
        ordered.append((turns[whose], index, clip))
        turns[whose] += 1
    return [clip for _, _, clip in sorted(ordered, key=lambda item: item[:2])]


def _encoded(job: tuple[Clip, str, float]) -> bytes:
    clip, kind, kilobits = job
    if kind != "rooms":
        rate = 8 * clip.path.stat().st_size / max(clip.seconds, 1e-3) / 1000
        if soundfile.info(str(clip.path)).subtype in ENCODED and rate <= AS_IT_IS * kilobits:
            return clip.path.read_bytes()
    mono, rate_hz = read_mono(clip)
    target = io.BytesIO()
    if kind == "rooms":
        begin = max(0, int(np.argmax(np.abs(mono))) - rate_hz // 100)
        cut = mono[begin : begin + round(ROOM_SECONDS * rate_hz)]
        soundfile.write(target, cut / max(1.0, float(np.abs(cut).max())), rate_hz, format="FLAC", subtype="PCM_16")
    else:
        mono = at_48_khz(mono, rate_hz)
        low, high = OPUS_RATES
        level = float(np.clip(1 - (1000 * kilobits - low) / (high - low), 0, 1))
        soundfile.write(
            target, np.clip(mono, -1, 1), SAMPLE_RATE_HZ, format="OGG", subtype="OPUS", compression_level=level
        )
    return target.getvalue()


def _row(name: str, kind: str, clip: Clip) -> dict[str, Any]:
    row = {
        "path": name,
        "kind": FIELDS[kind],
        "source": clip.source,
        "category": clip.category,
        "speaker": clip.speaker,
        "licence": clip.licence,
        "split": clip.split,
        # of a file of 48 kHz, what it was before is no longer known
        "bandwidth_hz": clip.bandwidth_hz if math.isfinite(clip.bandwidth_hz) else SAMPLE_RATE_HZ / 2,
    }
    return {key: value for key, value in row.items() if value}
