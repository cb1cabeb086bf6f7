"""Manifests: files of JSON lines, one a recording, of speech, noise or rooms.

    {"path": "speech/a.opus", "split": "train", "source": "libri", "bandwidth_hz": 8000, "licence": "PD"}

Only `path` is needed to train; it is relative to the manifest. Noises may have a `category`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from percepnet.errors import PercepNetError
from percepnet.typed import convert

Row = dict[str, Any]  # a line as it is, with fields of any other name
Split = Literal["train", "valid"]
Positive = Annotated[float, msgspec.Meta(ge=0, le=1e30)]  # finite


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a manifest: one recording. Fields of other names are left alone.

    Attributes
    ----------
    path : str
        Relative to the manifest.
    """

    path: Annotated[str, msgspec.Meta(min_length=1)]
    kind: Literal["speech", "noise", "room"] | None = None
    split: Split | None = None
    source: str | None = None
    speaker: str | None = None
    category: str | None = None
    recording: str | None = None
    room: str | None = None
    licence: str | None = None
    license: str | None = None
    sha256: str | None = None
    flags: list[str] = []
    seconds: Positive | None = None
    sample_rate: Positive | None = None
    channels: Positive | None = None
    bandwidth_hz: Positive | None = None
    clipped: Positive | None = None
    rt60_s: Positive | None = None
    size_bytes: Positive | None = None
    mtime_ns: Positive | None = None


def read_manifest(path: Path) -> list[tuple[Path, Entry]]:
    """The recordings of a manifest: where each is, and its line.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of (Path, Entry)

    Raises
    ------
    PercepNetError
        If it cannot be read, or a line is not JSON with a path, or has a value that it cannot have: which line and
        field, and what was expected.
    """
    return [(path.parent / entry.path, entry) for _, entry in _lines(path)]


def load_rows(path: Path) -> list[Row]:
    """The lines of a manifest as they are, also with fields of other names; checked as by `read_manifest`.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of dict

    Raises
    ------
    PercepNetError
    """
    return [row for row, _ in _lines(path)]


def _lines(path: Path) -> Iterator[tuple[Row, Entry]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PercepNetError(f"cannot read the manifest {path}: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or "path" not in row:
            raise PercepNetError(f'{path}, line {number}: expected JSON with a "path", found {line[:60]!r}')
        yield row, convert(row, Entry, f"{path}, line {number}")
