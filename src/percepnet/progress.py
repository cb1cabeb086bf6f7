"""How far long work is: a bar on a terminal, and elsewhere a line now and then, so that a log shows it goes on."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar("Item")
FIRST_LINE_S = 10.0  # work that is shorter says nothing
LINE_S = 20.0


class Advance(Protocol):
    """Told how much of the whole is done since the last call, and what is being done now."""

    def __call__(self, share: float, title: str = "", /) -> None: ...


@contextmanager
def progress(title: str, console: Console | None = None) -> Iterator[Advance]:
    """Show on standard error how far something is, while the context lasts.

    Parameters
    ----------
    title : str
        What is done; a later one may come with each step.
    console : Console, optional
        Another place to show it.
    """
    console = console or Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True) as bar:
            task = bar.add_task(title, total=1.0)
            yield lambda share, now="": bar.update(task, advance=share, description=now or title)
        return
    started = time.monotonic()
    said_s, done = FIRST_LINE_S - LINE_S, 0.0

    def advance(share: float, now: str = "") -> None:
        nonlocal said_s, done
        done += share
        elapsed_s = time.monotonic() - started
        if elapsed_s - said_s >= LINE_S and done < 1:
            said_s = elapsed_s
            line = f"{now or title}: {100 * done:.0f} % after {elapsed_s:.0f} s"
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    yield advance


def followed(items: Iterable[Item], total: int, title: str, console: Console | None = None) -> Iterator[Item]:
    """The items as they come, and how many of them there have been."""
    with progress(title, console) as advance:
        for item in items:
            yield item
            advance(1 / max(1, total))
