"""The command line. Each command is thin; what goes wrong becomes a line and an exit code in one place, `_Commands`."""

import json
import os
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import rich.progress
import typer
from rich.console import Console
from typer.core import TyperGroup

import percepnet
from percepnet.arrays import Samples
from percepnet.audio import FORMATS, AudioInfo, create_audio, open_audio
from percepnet.bench.command import bench
from percepnet.errors import AudioError, PercepNetError, complain
from percepnet.evaluation.command import evaluate, oracle
from percepnet.evaluation.heldout_command import heldout
from percepnet.model import Model, load_model
from percepnet.plot import Spectrogram, require_matplotlib, save_before_after
from percepnet.stream import Enhancer, enhance_blocks
from percepnet.training.command import export, train
from percepnet.training.corpus_command import corpus

EXIT_SOME_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PercepNetError as error:
            complain(error)
            raise typer.Exit(EXIT_BAD_INPUT) from error
        except KeyboardInterrupt as interrupt:
            complain("interrupted")
            raise typer.Exit(EXIT_INTERRUPTED) from interrupt


app = typer.Typer(
    cls=_Commands,
    help="Suppress noise and reverberation in speech.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; what `percepnet` starts."""
    warnings.showwarning = _warn
    app(prog_name="percepnet")


def _warn(message: Warning | str, *_where: object, **_line: object) -> None:
    complain(f"warning: {message}")  # without the line of Python, which users did not write


def _print_version(wanted: bool) -> None:
    if wanted:
        print(percepnet.__version__)
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and stop.")
    ] = False,
) -> None:
    pass


@app.command()
def enhance(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Audio files, or folders (with subfolders).")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="OUT", help="A file for one file, a folder otherwise.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME_OR_PATH", help="Default: the one in the package.")] = None,
    attenuation_limit: Annotated[
        float | None, typer.Option(metavar="DB", min=0.0, help="Attenuate nothing by more than this.")
    ] = None,
    comb_filter: Annotated[
        bool, typer.Option("--comb-filter/--no-comb-filter", help="Filter noise between the harmonics of the voice.")
    ] = True,
    post_filter: Annotated[
        bool, typer.Option("--post-filter/--no-post-filter", help="Attenuate noisy bands further; costs some clarity.")
    ] = False,
    unlinked: Annotated[bool, typer.Option("--unlinked", help="Enhance each channel by itself.")] = False,
    plot: Annotated[bool, typer.Option("--plot", help="Also write spectrograms, before and after, as .png.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON, and nothing else.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
) -> None:
    """Enhance audio files: wav, flac, ogg, opus, mp3 and more, 8 to 192 kHz, any number of channels, any length."""
    if output is None:
        raise PercepNetError("say where the result goes: percepnet enhance IN... -o OUT")
    if plot:
        require_matplotlib()
    into_folder = len(inputs) > 1 or inputs[0].is_dir() or Path(output).is_dir() or output.endswith(("/", os.sep))
    jobs = _plan(inputs, Path(output), into_folder=into_folder)
    _refuse_losses(jobs, overwrite=overwrite, plot=plot)
    settings = _Settings(load_model(model), attenuation_limit, comb_filter, post_filter, not unlinked, plot)
    for folder in {job.target.parent for job in jobs} if into_folder else ():
        _make_folder(folder)
    results: list[_Result] = []
    failures: list[dict[str, str]] = []
    for job in jobs:
        try:
            with _libraries_silenced():
                results.append(_enhance_file(job, settings))
        except AudioError as error:
            if len(jobs) == 1:
                raise
            failures.append({"input": str(job.source), "error": str(error)})
        else:
            if not as_json:
                print(results[-1].line(), flush=True)
    if as_json:
        print(json.dumps({"results": [asdict(result) for result in results], "failures": failures}, indent=2))
    for failure in failures:
        complain(failure["error"])
    if failures:
        complain(f"{len(failures)} of {len(jobs)} files could not be enhanced")
        raise typer.Exit(EXIT_SOME_FAILED)


@dataclass(frozen=True)
class _Job:
    source: Path
    target: Path

    @property
    def picture(self) -> Path:
        return self.target.with_suffix(".png")


@dataclass(frozen=True)
class _Settings:
    model: Model
    attenuation_limit_db: float | None
    comb_filter: bool
    post_filter: bool
    link_channels: bool
    plot: bool

    def enhancer(self, info: AudioInfo) -> Enhancer:
        return Enhancer(
            info.sample_rate_hz,
            info.channels,
            model=self.model,
            comb_filter=self.comb_filter,
            post_filter=self.post_filter,
            attenuation_limit_db=self.attenuation_limit_db,
            link_channels=self.link_channels,
        )


@dataclass(frozen=True)
class _Result:
    input: str
    output: str
    plot: str | None
    sample_rate_hz: int
    channels: int
    samples: int
    duration_s: float
    processing_s: float
    real_time_factor: float
    latency_ms: float

    def line(self) -> str:
        return (
            f"{self.output}: {self.duration_s:.2f} s in {self.processing_s:.2f} s, "
            f"real-time factor {self.real_time_factor:.3f}, delay {self.latency_ms:.1f} ms (removed)"
        )


for _command in (train, export, oracle, evaluate, heldout, bench):
    app.command()(_command)
app.add_typer(corpus, name="corpus")


def _plan(inputs: list[Path], output: Path, *, into_folder: bool) -> list[_Job]:
    """Every file, and where its result goes."""
    if into_folder and output.exists() and not output.is_dir():
        raise PercepNetError(f"{output}: is a file; several inputs or a folder need a folder for -o")
    jobs = []
    for source in inputs:
        if source.is_dir():
            found = list(_audio_files(source, output))
            if not found:
                raise PercepNetError(f"{source}: no audio file in this folder ({', '.join(FORMATS)})")
            jobs += [_Job(path, output / path.relative_to(source)) for path in found]
        elif source.is_file():
            jobs.append(_Job(source, output / source.name if into_folder else output))
        else:
            raise PercepNetError(f"{source}: {'is neither a file nor a folder' if source.exists() else 'no such file'}")
    for job in jobs:
        if job.target.suffix.lower() not in (*FORMATS, "", job.source.suffix.lower()):
            raise PercepNetError(f"{job.target}: no format has this suffix: use one of {', '.join(FORMATS)}")
    return jobs


def _refuse_losses(jobs: list[_Job], *, overwrite: bool, plot: bool) -> None:
    """Refuse, before any file is touched, what would destroy one: an input, another result, what is already there."""
    originals = {_identity(job.source) for job in jobs}
    owners: dict[str, Path] = {}
    targets = [(target, job.source) for job in jobs for target in ([job.target, job.picture] if plot else [job.target])]
    for target, source in targets:
        owner = owners.setdefault(os.path.normcase(os.path.realpath(target)), source)
        if owner is not source:
            raise PercepNetError(f"{owner} and {source} would both be written to {target}: give them different names")
        if not target.exists():
            continue
        if _identity(target) in originals:
            raise PercepNetError(f"{target}: is an input too, which would be lost: give another -o")
        if not target.is_file():
            raise PercepNetError(f"{target}: exists and is not a file: give another -o")
        if not overwrite:
            raise PercepNetError(f"{target}: exists: give another -o, or --overwrite to replace it")


def _identity(path: Path) -> tuple[int, int]:
    """What hard links, symbolic links and other spellings of one file have in common."""
    status = path.stat()
    return status.st_dev, status.st_ino


def _audio_files(folder: Path, output: Path) -> Iterator[Path]:
    """The audio files below a folder, sorted; not what an earlier run has put into an output folder inside it."""
    earlier = output.resolve() if output.resolve() != folder.resolve() else None
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        skipped = hidden or (earlier is not None and earlier in path.resolve().parents)
        if path.suffix.lower() in FORMATS and path.is_file() and not skipped:
            yield path


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AudioError(f"{folder}: cannot be created ({error.strerror})") from error


def _progress() -> rich.progress.Progress:
    console = Console(stderr=True)
    columns = (
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(),
        rich.progress.TaskProgressColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    return rich.progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _enhance_file(job: _Job, settings: _Settings) -> _Result:
    with ExitStack() as stack:
        reader = stack.enter_context(open_audio(job.source))
        info = reader.info
        writer = stack.enter_context(create_audio(job.target, info))
        enhancer = settings.enhancer(info)
        pictures = [Spectrogram(info.sample_rate_hz, info.frames) for _ in range(2)] if settings.plot else []
        progress = stack.enter_context(_progress())
        task = progress.add_task(job.source.name, total=info.frames)
        started = time.perf_counter()
        for y in enhance_blocks(enhancer, _watched(reader.blocks(), pictures[:1])):
            writer.write(y)
            for picture in pictures[1:]:
                picture.add(y)
            progress.advance(task, y.shape[1])
        processing_s = time.perf_counter() - started
    if settings.plot:
        for picture in pictures:
            picture.finish()
        save_before_after(job.picture, pictures[0], pictures[1], title=job.source.name)
    return _Result(
        input=str(job.source),
        output=str(job.target),
        plot=str(job.picture) if settings.plot else None,
        sample_rate_hz=info.sample_rate_hz,
        channels=info.channels,
        samples=info.frames,
        duration_s=info.duration_s,
        processing_s=processing_s,
        real_time_factor=processing_s / info.duration_s,
        latency_ms=1000 * enhancer.latency_samples / info.sample_rate_hz,
    )


@contextmanager
def _libraries_silenced() -> Iterator[None]:
    """mpg123 prints notes on damaged files to the process's stderr, past Python; ours says it all in one line."""
    with os.fdopen(os.dup(2), "w") as ours, open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            with redirect_stderr(ours):
                yield
        finally:
            os.dup2(ours.fileno(), 2)


def _watched(blocks: Iterable[Samples], pictures: list[Spectrogram]) -> Iterator[Samples]:
    for x in blocks:
        for picture in pictures:
            picture.add(x)
        yield x
