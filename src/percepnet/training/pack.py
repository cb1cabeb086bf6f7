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
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from percepnet.acoustics.rooms import ROOM_MAX_S
from percepnet.errors import PercepNetError
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.training.corpus import Clip, find_clips

KINDS = ("rooms", "noise", "speech")  # the first are taken whole before speech fills what is left
FIELDS = {"rooms": "room", "noise": "noise", "speech": "speech"}  # as manifests name them
SUFFIX = ".pack.zip"
KILOBITS = {"speech": 24.0, "noise": 32.0}  # a second
AS_IT_IS = 1.5  # times that rate, up to which a recording is not encoded again
OPUS_RATES = (6_000, 256_000)  # of libsndfile's scale of compression levels, bits a second
ENCODED = ("OPUS", "VORBIS")
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
    limit = int(megabytes * 2**20)
    paths: list[Path] = []
    hours = dict.fromkeys(KINDS, 0.0)
    left_out, full = 0, False
    rows: dict[str, list[dict[str, Any]]] = {}
    archive: zipfile.ZipFile | None = None
    size = limit
    jobs = [(clip, kind, rates.get(kind, 0.0)) for kind, clip in clips]
    with ProcessPoolExecutor(processes or os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for number, ((kind, clip), data) in enumerate(zip(clips, pool.map(_encoded, jobs, chunksize=4), strict=True)):
            needs = len(data) + 1000  # its headers, and its line in the manifest
            if needs > limit:
                raise PercepNetError(f"{clip.path}: {needs / 2**20:.1f} MiB, more than a pack of {megabytes:g} MiB")
            if full:
                left_out += 1
                continue
            if size + needs > limit:
                _close(archive, rows)
                if parts is not None and len(paths) == parts:
                    full, archive = True, None
                    left_out += 1
                    continue
                paths.append(out / f"{len(paths):03d}{SUFFIX}")
                archive, size, rows = zipfile.ZipFile(paths[-1], "w"), 0, {}
            assert archive is not None
            suffix = ".flac" if kind == "rooms" else ".opus"
            name = f"{kind}/{number:06d}{suffix}"
            archive.writestr(name, data)
            rows.setdefault(kind, []).append(_row(name, kind, clip))
            hours[kind] += clip.seconds / 3600
            size += needs
    _close(archive, rows)
    for stale in set(out.glob(f"*{SUFFIX}")) - set(paths):
        stale.unlink()
    return Packed(tuple(paths), hours, left_out)


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
    path = str(clip.path)
    if kind != "rooms":
        rate = 8 * clip.path.stat().st_size / max(clip.seconds, 1e-3) / 1000
        if soundfile.info(path).subtype in ENCODED and rate <= AS_IT_IS * kilobits:
            return clip.path.read_bytes()
    audio, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = audio[:, 0]
    target = io.BytesIO()
    if kind == "rooms":
        begin = max(0, int(np.argmax(np.abs(mono))) - rate_hz // 100)
        cut = mono[begin : begin + round(ROOM_SECONDS * rate_hz)]
        soundfile.write(target, cut / max(1.0, float(np.abs(cut).max())), rate_hz, format="FLAC", subtype="PCM_16")
    else:
        if rate_hz != SAMPLE_RATE_HZ:
            import soxr

            mono = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)
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


def _close(archive: zipfile.ZipFile | None, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    if archive is None:
        return
    with archive:
        for kind, found in rows.items():
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
            archive.writestr(f"{kind}.jsonl", text, zipfile.ZIP_DEFLATED)
