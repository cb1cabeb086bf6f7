"""Archives on Ray: any number of files, local or in object stores, each output made once, whoever dies meanwhile.

Tasks of a few files each are kept in flight, never more than the cluster can hold, so that memory is flat however many
files there are. What is done is known from the target itself: an output is put there whole, by a rename or a single
put, and a task looks for it first. So lost workers, and drivers, are made up for by asking again. The ledger beside the
outputs says what each run did, found done, and could not do.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from percepnet.atomic import part_name
from percepnet.audio.formats import ALL_SUFFIXES, default_suffix
from percepnet.bulk.one import Job, Settings, enhance_file
from percepnet.bulk.run import libraries_silenced
from percepnet.errors import PercepNetError, extra_packages

LEDGER = ".percepnet-ledger"
FILES_A_TASK, BYTES_A_TASK = 8, 64 << 20
IN_FLIGHT_A_CORE = 2
SEGMENT_FILES, SEGMENT_S = 500, 5.0  # outcomes in a file of the ledger, and its age: object stores cannot append
RETRIES = 20  # of a task whose worker or node is lost


@dataclass
class Summary:
    """What a run over an archive came to."""

    done: int = 0
    there: int = 0
    failed: int = 0
    not_taken: int = 0
    audio_s: float = 0.0
    seconds: float = 0.0
    failures: list[dict[str, str]] = field(default_factory=list)  # the first of them; all are in the ledger


FAILURES_KEPT = 1000


def enhance_archive(
    source: str,
    target: str,
    settings: Settings,
    *,
    model: str | None = None,
    address: str | None = None,
    suffix: str | None = None,
    tell: Callable[[Summary, dict[str, Any]], None] | None = None,
) -> Summary:
    """Enhance all recordings below a folder or a prefix, on a Ray cluster.

    Parameters
    ----------
    source, target : str
        Paths that all nodes see, or addresses that fsspec knows (``s3://bucket/prefix``). Credentials are those of its
        packages.
    settings : Settings
        Without a model.
    model : str, optional
        A name, or the path of a model file, whose bytes go to the workers.
    address : str, optional
        Of the cluster; None is one that runs on this machine, or else one that is started for this run.
    suffix : str, optional
        Of the outputs.
    tell : function, optional
        Is given the sums so far and every outcome.

    Returns
    -------
    Summary

    Raises
    ------
    PercepNetError
        Without Ray or fsspec, without a cluster at the address, or without any audio.
    """
    with extra_packages("ray"):
        import fsspec
        import ray
    own = not ray.is_initialized()
    if own:
        _connect(ray, address)
    started = time.monotonic()
    summary = Summary()
    try:
        origin, root = _filesystem(fsspec, source)
        home, folder = _filesystem(fsspec, target)
        if not origin.exists(root):
            raise PercepNetError(f"{source}: no such folder")
        if str(root).rstrip("/") == str(folder).rstrip("/") and type(origin) is type(home):
            raise PercepNetError(f"{target}: is the input too, which would be lost: give another -o")
        ledger = _Segments(home, folder)
        context = ray.put(_Context(source, target, settings, _model_bytes(model), suffix))
        task = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(_enhance_some)
        limit = max(2, IN_FLIGHT_A_CORE * _cores(ray))
        running: list[Any] = []
        for paths in _tasks(origin, root, folder if type(origin) is type(home) else None, summary):
            running.append(task.remote(context, paths))
            while len(running) >= limit:
                running = _collect(ray, running, summary, ledger, tell)
                limit = max(2, IN_FLIGHT_A_CORE * _cores(ray))
        while running:
            running = _collect(ray, running, summary, ledger, tell)
        ledger.close()
        if summary.done + summary.there + summary.failed == 0:
            raise PercepNetError(f"{source}: no audio file in this folder ({', '.join(ALL_SUFFIXES)})")
    finally:
        if own:
            ray.shutdown()
    summary.seconds = time.monotonic() - started
    return summary


@dataclass(frozen=True)
class _Context:
    source: str
    target: str
    settings: Settings
    model: str | bytes | None
    suffix: str | None


def _connect(ray: Any, address: str | None) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "include_dashboard": False, "logging_level": "error"}
    try:
        if address is not None:
            ray.init(address, **{name: value for name, value in options.items() if name != "include_dashboard"})
            return
        try:
            ray.init("auto", log_to_driver=False, logging_level="error")
        except ConnectionError:
            ray.init(**options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise PercepNetError(f"Ray: no cluster at {address or 'this machine'} ({error})") from error


def _cores(ray: Any) -> int:
    """Of the cluster as it is now: nodes come and go."""
    return int(ray.cluster_resources().get("CPU", 1))


def _filesystem(fsspec: Any, place: str) -> tuple[Any, str]:
    try:
        filesystem, path = fsspec.core.url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise PercepNetError(f"{place}: cannot be reached: {error}") from error
    return filesystem, path


def _model_bytes(model: str | None) -> str | bytes | None:
    if model is not None and Path(model).is_file():
        return Path(model).read_bytes()
    return model


def _tasks(origin: Any, root: str, folder: str | None, summary: Summary) -> Iterator[list[str]]:
    """Paths below the source, a few at a time, as they are listed."""
    some: list[str] = []
    size = 0
    for place, _, files in origin.walk(root, detail=True):
        relative_place = os.path.relpath(place, root)
        hidden = any(part.startswith(".") and part != "." for part in relative_place.split("/"))
        inside = folder is not None and (place == folder or place.startswith(folder.rstrip("/") + "/"))
        if hidden or inside:
            continue
        for name in sorted(files):
            if name.startswith("."):
                continue
            if Path(name).suffix.lower() not in ALL_SUFFIXES:
                summary.not_taken += 1
                continue
            some.append(name if relative_place == "." else f"{relative_place}/{name}")
            size += files[name].get("size") or 0
            if len(some) >= FILES_A_TASK or size >= BYTES_A_TASK:
                yield some
                some, size = [], 0
    if some:
        yield some


def _collect(
    ray: Any,
    running: list[Any],
    summary: Summary,
    ledger: "_Segments",
    tell: Callable[[Summary, dict[str, Any]], None] | None,
) -> list[Any]:
    ready, left = ray.wait(running, num_returns=1, timeout=10)
    for future in ready:
        for outcome in ray.get(future):
            if outcome["event"] == "there":
                summary.there += 1
            elif outcome["event"] == "failed":
                summary.failed += 1
                if len(summary.failures) < FAILURES_KEPT:
                    summary.failures.append({"input": outcome["input"], "error": outcome["error"]})
            else:
                summary.done += 1
                summary.audio_s += outcome["duration_s"]
            ledger.add(outcome)
            if tell:
                tell(summary, outcome)
    return list(left)


class _Segments:
    """The ledger: files of some outcomes each, as object stores cannot append."""

    def __init__(self, filesystem: Any, folder: str) -> None:
        self._filesystem = filesystem
        self._folder = f"{folder.rstrip('/')}/{LEDGER}"
        self._run = time.strftime("%Y%m%d-%H%M%S") + f"-{os.getpid()}"
        self._number = 0
        self._lines: list[str] = []
        self._written = time.monotonic()
        filesystem.makedirs(self._folder, exist_ok=True)

    def add(self, outcome: dict[str, Any]) -> None:
        self._lines.append(json.dumps(outcome))
        if len(self._lines) >= SEGMENT_FILES or time.monotonic() - self._written >= SEGMENT_S:
            self.close()

    def close(self) -> None:
        if self._lines:
            path = f"{self._folder}/{self._run}-{self._number:06d}.jsonl"
            self._filesystem.pipe_file(path, ("\n".join(self._lines) + "\n").encode())
            self._number += 1
            self._lines = []
        self._written = time.monotonic()


_loaded: dict[bytes | str | None, Any] = {}


def _enhance_some(context: _Context, paths: list[str]) -> list[dict[str, Any]]:
    """A task: some files, each by itself. Runs on a worker."""
    import fsspec

    settings = context.settings
    if settings.quality is None:
        if context.model not in _loaded:
            _loaded[context.model] = _load(context.model)
        settings = replace(settings, model=_loaded[context.model])
    origin, root = fsspec.core.url_to_fs(context.source)
    home, folder = fsspec.core.url_to_fs(context.target)
    with libraries_silenced():
        return [_enhance_one(origin, root, home, folder, path, settings, context.suffix) for path in paths]


def _load(model: str | bytes | None) -> Any:
    from percepnet.model import load_model

    if not isinstance(model, bytes):
        return load_model(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(model)
        return load_model(str(path))


def _enhance_one(
    origin: Any, root: str, home: Any, folder: str, path: str, settings: Settings, suffix: str | None
) -> dict[str, Any]:
    source = f"{root.rstrip('/')}/{path}"
    wanted = suffix or default_suffix(Path(path))
    name = path if Path(path).suffix == wanted else path + wanted
    target = f"{folder.rstrip('/')}/{name}"
    outcome: dict[str, Any] = {"event": "there", "input": path, "output": name}
    try:
        if home.exists(target):
            return outcome
        with tempfile.TemporaryDirectory(prefix="percepnet-") as temporary:
            local = Path(temporary) / f"in{Path(path).suffix}"
            if _is_local(origin):
                local = Path(source)
            else:
                origin.get_file(source, str(local))
            made = Path(temporary) / f"out{wanted}"
            result = enhance_file(Job(local, made), settings)
            _put(home, made, target)
        return asdict(result) | outcome | {"event": "done"}
    except Exception as error:  # of whatever kind: the archive goes on
        text = str(error) if isinstance(error, PercepNetError) else f"{type(error).__name__}: {error}"
        return outcome | {"event": "failed", "error": " ".join(text.replace(str(source), path).split())}


def _is_local(filesystem: Any) -> bool:
    protocols = filesystem.protocol if isinstance(filesystem.protocol, tuple) else (filesystem.protocol,)
    return "file" in protocols or "local" in protocols


def _put(home: Any, made: Path, target: str) -> None:
    """Put an output where it belongs, whole or not at all."""
    if _is_local(home):
        goal = Path(target)
        goal.parent.mkdir(parents=True, exist_ok=True)
        beside = goal.parent / part_name()
        try:
            shutil.copyfile(made, beside)
            os.replace(beside, goal)
        finally:
            beside.unlink(missing_ok=True)
    else:
        home.put_file(str(made), target)  # a single put, or a multi-part one that appears when it is complete
