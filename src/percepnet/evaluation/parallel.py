"""Work done on each of many items, in processes of its own, which end when somebody interrupts."""

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from percepnet.errors import PercepNetError
from percepnet.processors import processors

Result = TypeVar("Result")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Done(Generic[Item, Result]):
    """What came of the work on an item: a result, or what was wrong."""

    item: Item
    result: Result | None
    error: str = ""


def on_each(work: Callable[[Item], Result], items: Sequence[Item], processes: int) -> Iterator[Done[Item, Result]]:
    """Do `work` on every item, in any order; one that raises PercepNetError does not stop the others.

    Parameters
    ----------
    work : callable
        Sent once to each process, where it is there for all items: what it starts for one serves the next.
    items : sequence
    processes : int
        How many at a time.
    """
    processes = min(processes, len(items), processors())
    if processes <= 1:
        yield from map(partial(_attempt, work), items)
        return
    # Forking a process whose libraries have started threads can hang.
    context = multiprocessing.get_context("spawn")
    # Of theirs, not of each: whoever is ended removes nothing.
    temporary = tempfile.TemporaryDirectory(prefix="percepnet-", ignore_cleanup_errors=True)
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(work, temporary.name))
    others = set(multiprocessing.active_children())
    try:
        with _children_deaf_to_interrupts():
            futures = {pool.submit(_attempt_here, item): item for item in items}
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:  # a library crashed, and took down what was done beside it
                yield Done(futures[future], None, "the process that worked on it ended early: try again")
    except BaseException:  # nobody waits for what is under way
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:  # after an interruption what has not begun must not begin
        pool.shutdown(cancel_futures=True)
        temporary.cleanup()


@contextmanager
def _children_deaf_to_interrupts() -> Iterator[None]:
    """Processes that start in here ignore Ctrl-C until they say otherwise: their imports would show a traceback."""
    if threading.current_thread() is not threading.main_thread():  # where Python lets nobody set a handler
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


_work_here: list[Callable[[Any], Any]] = []  # what this process was started for


def _begin(work: Callable[[Any], Any], temporary: str) -> None:
    tempfile.tempdir = temporary
    _end_with_the_first(temporary)
    _work_here[:] = [work]


def _attempt_here(item: Any) -> Done[Any, Any]:
    return _attempt(_work_here[0], item)


def _end_with_the_first(temporary: str) -> None:
    """Ctrl-C reaches all processes of a terminal: those that work end without a word, and the first one reports it.

    Where the first one was ended by something that it cannot handle, they end too, and remove what it cannot.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if (first := multiprocessing.parent_process()) is not None:

        def end() -> None:
            first.join()
            shutil.rmtree(temporary, ignore_errors=True)
            os._exit(1)

        threading.Thread(target=end, daemon=True).start()


def _attempt(work: Callable[[Item], Result], item: Item) -> Done[Item, Result]:
    try:
        return Done(item, work(item))
    except PercepNetError as error:
        return Done(item, None, str(error))
