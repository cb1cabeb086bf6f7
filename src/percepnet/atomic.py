"""Files that appear under their name only when they are complete, and what a killed process left of others."""

import errno
import os
import re
import secrets
import socket
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from percepnet.errors import AudioError, PercepNetError

_HOST = f"{zlib.crc32(socket.gethostname().encode(errors='replace')):08x}"
_PART = re.compile(r"\.percepnet-([0-9a-f]{8})-(\d+)-[0-9a-f]+\.part")


def part_name() -> str:
    """Name of a temporary file: hidden, of this machine and process, and never used twice."""
    return f".percepnet-{_HOST}-{os.getpid()}-{secrets.token_hex(6)}.part"


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its place if all goes well, and is removed if anything does not.

    Raises
    ------
    AudioError
        If the folder cannot be written to, or the disk is full.
    """
    target = Path(os.path.realpath(path))  # through a symbolic link the file is replaced, not the link
    temporary = target.parent / part_name()
    try:
        temporary.touch(exist_ok=False)
        try:
            yield temporary
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise AudioError(f"{path}: cannot be written ({why(error)})") from error


def refuse_existing(paths: Iterable[Path], *, overwrite: bool, instead: str = "-o") -> None:
    """Refuse to write over files, unless that is asked for.

    Raises
    ------
    PercepNetError
        Which of them exists, and what to give in its place: `instead`.
    """
    there = next((path for path in paths if path.exists()), None)
    if there is not None and not overwrite:
        raise PercepNetError(f"{there}: exists: give another {instead}, or --overwrite to replace it")


def why(error: OSError) -> str:
    """What the system said, in words that help."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    return error.strerror or str(error)


def remove_parts(folder: Path) -> int:
    """Remove what processes of this machine that are gone left in a folder; of others it is not known.

    Returns
    -------
    int
        How many files.
    """
    removed = 0
    try:
        names = os.listdir(folder)
    except OSError:
        return 0
    for name in names:
        part = _PART.fullmatch(name)
        if part and part[1] == _HOST and not _is_alive(int(part[2])):
            (folder / name).unlink(missing_ok=True)
            removed += 1
    return removed


def _is_alive(process: int) -> bool:
    if process == os.getpid():
        return True
    if os.name == "nt":
        return True  # asking would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
