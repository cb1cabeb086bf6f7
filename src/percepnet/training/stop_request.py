"""Stop requests: Ctrl-C and SIGTERM, which a training grants after the batch it is at."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Whether somebody asked to stop, by Ctrl-C or SIGTERM; who asks twice gets a KeyboardInterrupt at once."""
    requests: list[int] = []

    def request(number: int, frame: FrameType | None) -> None:
        if requests:
            raise KeyboardInterrupt
        requests.append(number)

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(requests)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
