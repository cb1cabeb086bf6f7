"""What only one thread may use at a time, and another that tries is told."""

import threading

from percepnet.errors import PercepNetError


class alone:
    """Hold the lock of something that only one thread may use at a time.

    A class, as it is entered with every frame: a generator takes three times as long.

    Parameters
    ----------
    lock : threading.Lock
    what : str
        What it is the lock of, for the message.

    Raises
    ------
    PercepNetError
        If another thread holds it.
    """

    __slots__ = ("_lock", "_what")

    def __init__(self, lock: threading.Lock, what: str) -> None:
        self._lock = lock
        self._what = what

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise PercepNetError(f"{self._what} is at work in another thread: give each thread its own")

    def __exit__(self, *error: object) -> None:
        self._lock.release()
