"""Folders that one run at a time writes to."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from percepnet.errors import PercepNetError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A folder that nobody else has meanwhile.

    Parameters
    ----------
    folder : Path
        An existing one. On Windows, and on file systems without locks, runs are not kept apart.

    Raises
    ------
    PercepNetError
        If another process has it.
    """
    if os.name == "nt":  # which opens no folders
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def lock(file: IO[bytes] | int, folder: Path) -> None:
    """Lock an open file until it is closed.

    Raises
    ------
    PercepNetError
        If another process has locked it: `folder` is what the message names.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PercepNetError(f"{folder}: another run writes there: wait for it, or give another -o") from error
    except OSError:  # a file system without locks
        return
