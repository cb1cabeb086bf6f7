"""What is done, in a file beside the results: a run that was stopped, however, goes on where it was.

One line a step, only ever appended. "begin" is written before an output takes its name, and "done" after; an output
whose "done" is missing is there whole nevertheless, as names are taken at once.
"""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from percepnet.atomic import why
from percepnet.bulk.one import Job
from percepnet.errors import AudioError
from percepnet.locks import lock

NAME = ".percepnet-ledger.jsonl"


@dataclass
class _Entry:
    source: tuple[int, int]  # bytes and time of change of the input
    settings: str
    replaces: tuple[int, int] | None
    output_bytes: int | None = None  # None: begun, and not known to be done
    run: int = 0


class Ledger:
    """Open for one run; a second run into the same folder is refused.

    Parameters
    ----------
    folder : path
        Of the results.
    settings : dict
        What decides the outputs: another one, and an output is made again.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._folder = folder
        self._path = folder / NAME
        self._settings = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]
        self._entries: dict[str, _Entry] = {}
        self._runs = 0
        self._unfinished = False
        try:
            self._file: IO[bytes] = self._path.open("a+b")
            lock(self._file, self._path.parent)
            self._read()
        except OSError as error:
            raise AudioError(f"{self._path}: cannot be written ({why(error)})") from error
        self._runs += 1
        self._continues = self._unfinished
        self._append({"event": "run", "settings": self._settings, "started": time.strftime("%Y-%m-%dT%H:%M:%S%z")})

    def _read(self) -> None:
        self._file.seek(0)
        content = self._file.read()
        if content and not content.endswith(b"\n"):  # the last line was being written
            self._file.write(b"\n")
        for line in content.splitlines():
            try:
                step = json.loads(line)
            except ValueError:
                continue
            if not isinstance(step, dict):
                continue
            event, name = step.get("event"), step.get("output", "")
            if event == "run":
                self._runs += 1
                self._unfinished = True
            elif event == "end":
                self._unfinished = False
            elif event == "begin":
                replaces = step.get("replaces")
                self._entries[name] = _Entry(
                    tuple(step["source"]), step["settings"], tuple(replaces) if replaces else None, run=self._runs
                )
            elif event == "done" and name in self._entries:
                self._entries[name].output_bytes = step["bytes"]
            elif event == "failed":
                self._entries.pop(name, None)

    def is_ours(self, job: Job) -> bool:
        """Whether what is at a job's target was made by a run of this ledger, and not changed since."""
        return self._state(job) is not None

    def is_done(self, job: Job, *, overwrite: bool = False) -> bool:
        """Whether a job's output is there, whole, from the same input with the same settings.

        With `overwrite`, only what a run made that was stopped counts.
        """
        entry = self._state(job)
        if entry is None or entry.settings != self._settings or entry.source != _identity(job.source):
            return False
        if overwrite and not (self._continues and entry.run == self._runs - 1):
            return False
        if entry.output_bytes is None:  # stopped between taking its name and saying so
            self.done(job)
        return True

    def _state(self, job: Job) -> _Entry | None:
        entry = self._entries.get(self._name(job))
        if entry is None:
            return None
        now = _identity(job.target)
        if now is None or now == entry.replaces:
            return None
        if entry.output_bytes is not None and now[0] != entry.output_bytes:
            return None
        return entry

    def begin(self, job: Job) -> None:
        """Before a job's output takes its name."""
        source = _identity(job.source) or (0, 0)
        entry = _Entry(source, self._settings, _identity(job.target), run=self._runs)
        self._entries[self._name(job)] = entry
        step = {"event": "begin", "output": self._name(job), "input": str(job.source), "source": source}
        self._append(step | {"settings": self._settings, "replaces": entry.replaces})

    def done(self, job: Job, samples: int | None = None) -> None:
        """After it has."""
        size = job.target.stat().st_size
        self._entries[self._name(job)].output_bytes = size
        self._append({"event": "done", "output": self._name(job), "bytes": size, "samples": samples})

    def failed(self, job: Job, error: str) -> None:
        """A job that will not be tried again in this run; in the next it is."""
        self._append({"event": "failed", "output": self._name(job), "input": str(job.source), "error": error})

    def skipped(self, jobs: Sequence[Job]) -> None:
        """Outputs of another origin that were there."""
        for job in jobs:
            self._append({"event": "skipped", "output": self._name(job)})

    def _name(self, job: Job) -> str:
        return os.path.relpath(job.target, self._folder)

    def _append(self, step: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(step).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise AudioError(f"{self._path}: cannot be written ({why(error)})") from error

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._append({"event": "end"})
        finally:
            self._file.close()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
