"""The audio files of a folder, and the files that are none."""

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from percepnet.atomic import why
from percepnet.audio.formats import ALL_SUFFIXES

_SUFFIXES = frozenset(ALL_SUFFIXES)


@dataclass
class Found:
    """What a folder holds.

    Attributes
    ----------
    audio : list of path
        Sorted, with those of subfolders.
    others : list of path
        Files that are not taken, as their suffix is not audio's.
    unreadable : list of (path, str)
        Folders that cannot be looked into, and why.
    """

    audio: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)


def find_audio(folder: Path, *, without: Path | None = None, suffixes: Collection[str] = _SUFFIXES) -> Found:
    """Look through a folder and its subfolders; hidden files and folders are left out.

    Parameters
    ----------
    folder : path
    without : path, optional
        A folder inside it to leave out, such as one with an earlier run's results.
    suffixes : collection of str
        In lower case, with the point.
    """
    found = Found()
    left_out = os.path.realpath(without) if without is not None else None

    def unreadable(error: OSError) -> None:
        found.unreadable.append((Path(os.fsdecode(error.filename)), why(error)))

    for place, folders, names in os.walk(folder, onerror=unreadable, followlinks=False):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(place, name)) != left_out
        )
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith("."):
                continue
            if path.suffix.lower() in suffixes and path.is_file():
                found.audio.append(path)
            else:
                found.others.append(path)
    found.audio.sort()
    return found
