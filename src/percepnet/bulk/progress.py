"""How far a run is, on terminals as a bar and in logs as a line every so often, with the time that is left."""

import threading
import time
from pathlib import Path
from types import TracebackType

import rich.progress
from rich.console import Console

from percepnet.errors import complain

LOG_FIRST_S, LOG_EVERY_S = 30.0, 30.0


class Overview:
    """Progress over many files; a file counts as much as it is large.

    Parameters
    ----------
    sizes_bytes : dict
        Of all files that are to be done.
    quiet : bool
        Show nothing.
    """

    def __init__(self, sizes_bytes: dict[Path, int], *, quiet: bool = False) -> None:
        self._sizes = sizes_bytes
        self._total = max(1, sum(sizes_bytes.values()))
        self._shares: dict[Path, float] = {}
        self._bytes = 0.0
        self._files = 0
        self._failed = 0
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._next_log = self._started + LOG_FIRST_S
        console = Console(stderr=True)
        self._logs = not console.is_terminal and not quiet
        columns = (
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.BarColumn(),
            rich.progress.TaskProgressColumn(),
            rich.progress.TimeRemainingColumn(),
        )
        self._bar = (
            rich.progress.Progress(*columns, console=console, transient=True)
            if console.is_terminal and not quiet
            else None
        )
        self._task = self._bar.add_task("", total=self._total) if self._bar else None

    def __enter__(self) -> "Overview":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, source: Path, share: float) -> None:
        """A file is done to a share of it."""
        with self._lock:
            self._bytes += (share - self._shares.get(source, 0.0)) * self._sizes[source]
            self._shares[source] = share
            self._show(source.name)

    def finished(self, source: Path, *, failed: bool) -> None:
        """A file is done."""
        with self._lock:
            self._bytes += (1.0 - self._shares.pop(source, 0.0)) * self._sizes[source]
            self._files += 1
            self._failed += failed
            self._show(source.name)

    def _show(self, name: str) -> None:
        if self._bar and self._task is not None:
            label = name if len(self._sizes) == 1 else f"{self._files} of {len(self._sizes)} files"
            printable = label.encode("utf-8", "backslashreplace").decode()
            self._bar.update(self._task, completed=self._bytes, description=printable)
        elif self._logs and time.monotonic() >= self._next_log:
            self._next_log = time.monotonic() + LOG_EVERY_S
            share = self._bytes / self._total
            left_s = (time.monotonic() - self._started) * (1 - share) / max(share, 1e-9)
            failed = f", {self._failed} failed" if self._failed else ""
            files = f"{self._files} of {len(self._sizes)} files, " if len(self._sizes) > 1 else f"{name}: "
            complain(f"{files}{100 * share:.0f} %{failed}, {duration(left_s)} left")


def duration(seconds: float) -> str:
    """A length of time for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
