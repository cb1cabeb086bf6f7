"""Many files side by side: one that fails ends nothing, and a stop of any kind leaves no half of one."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path

from percepnet.atomic import remove_parts
from percepnet.bulk.ledger import Ledger
from percepnet.bulk.one import Job, Result, Settings, enhance_file
from percepnet.bulk.progress import Overview
from percepnet.errors import PercepNetError


@dataclass(frozen=True)
class Failure:
    """A recording that could not be enhanced, and why, in one line."""

    input: str
    error: str


Outcome = Result | Failure
WAIT_S = 0.5  # signals are noticed in between


class _Stopped(Exception):
    """The run is being stopped; the file at hand is given up."""


def run(
    jobs: Sequence[Job],
    settings: Settings,
    tell: Callable[[Outcome], None],
    *,
    parallel: int = 1,
    ledger: Ledger | None = None,
    quiet: bool = False,
) -> None:
    """Enhance files, each by itself.

    Parameters
    ----------
    jobs : sequence of Job
    settings : Settings
        Its model is shared by all.
    tell : function
        Is given every outcome, one at a time.
    parallel : int
        Files at a time. Threads suffice: the core lets others run while it calculates. Where there are fewer files,
        each may take a second one.
    ledger : Ledger, optional
        Is told every step.
    quiet : bool
        Show no progress.
    """
    for folder in {job.target.parent for job in jobs}:
        remove_parts(folder)
    settings = replace(settings, second_thread=parallel > len(jobs))
    stop = threading.Event()
    steps = threading.Lock()

    with libraries_silenced(), Overview({job.source: _size(job.source) for job in jobs}, quiet=quiet) as overview:

        def one(job: Job) -> Outcome:
            def advance(share: float) -> None:
                if stop.is_set():
                    raise _Stopped
                overview.advance(job.source, share)

            if stop.is_set():
                raise _Stopped
            try:
                if ledger:
                    with steps:
                        ledger.begin(job)
                outcome: Outcome = enhance_file(job, settings, advance)
            except PercepNetError as error:
                outcome = Failure(str(job.source), str(error))
            except (_Stopped, KeyboardInterrupt):
                raise
            except Exception as error:  # whatever is wrong with one file, the others are done
                if len(jobs) == 1:
                    raise
                outcome = Failure(str(job.source), f"{job.source}: {type(error).__name__}: {error}")
            return outcome

        def done(job: Job, outcome: Outcome) -> None:
            failed = isinstance(outcome, Failure)
            if ledger and isinstance(outcome, Failure):
                with steps:
                    ledger.failed(job, outcome.error)
            elif ledger and isinstance(outcome, Result):
                with steps:
                    ledger.done(job, outcome.samples)
            overview.finished(job.source, failed=failed)
            tell(outcome)

        if parallel <= 1 or len(jobs) <= 1:
            for job in jobs:
                done(job, one(job))
            return
        _side_by_side(jobs, one, done, parallel, stop)


def _side_by_side(
    jobs: Sequence[Job],
    one: Callable[[Job], Outcome],
    done: Callable[[Job, Outcome], None],
    parallel: int,
    stop: threading.Event,
) -> None:
    left = iter(jobs)
    running: dict[Future[Outcome], Job] = {}
    with ThreadPoolExecutor(parallel) as pool:
        try:
            while True:
                while len(running) < parallel + 2 and (job := next(left, None)) is not None:
                    running[pool.submit(one, job)] = job
                if not running:
                    return
                for future in wait(running, WAIT_S, FIRST_COMPLETED).done:
                    done(running.pop(future), future.result())
        except BaseException:
            stop.set()
            for future in running:
                future.cancel()
            raise


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@contextmanager
def libraries_silenced() -> Iterator[None]:
    """mpg123 prints notes on damaged files to the process's stderr, past Python; ours says it all in one line."""
    with os.fdopen(os.dup(2), "w", errors="backslashreplace") as ours, open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            with redirect_stderr(ours):
                yield
        finally:
            os.dup2(ours.fileno(), 2)
