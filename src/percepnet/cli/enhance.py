"""`percepnet enhance`: files, folders, pipes and archives in, enhanced out."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Annotated, Any

import typer

import percepnet
from percepnet.audio import Wishes
from percepnet.audio.formats import ALL_SUFFIXES, BITS, FORMATS, MEDIA
from percepnet.beamforming import check_beamforming
from percepnet.bulk.ledger import NAME as LEDGER_NAME
from percepnet.bulk.ledger import Ledger
from percepnet.bulk.one import Job, Result, Settings
from percepnet.bulk.plan import Plan, make_folders, make_plan, refuse_losses
from percepnet.bulk.run import Failure, Outcome, run
from percepnet.errors import AudioError, PercepNetError, complain
from percepnet.exits import EXIT_SOME_FAILED
from percepnet.model import load_model
from percepnet.plot import require_matplotlib
from percepnet.processors import processors
from percepnet.stream import check_quality

NAMES_SHOWN = 5
PIPE = "-"


def enhance(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IN...", help="Audio files, films, folders (with subfolders), or - for stdin."),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="A file for one file, a folder otherwise, - for stdout. Default: beside IN, as NAME.enhanced.",
        ),
    ] = None,
    far_end: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What a loudspeaker played meanwhile: its echo is taken out of one IN."),
    ] = None,
    beamform: Annotated[
        bool, typer.Option("--beamform", help="Channels are microphones of an array, 2 to 16: one channel comes out.")
    ] = False,
    model: Annotated[str | None, typer.Option(metavar="NAME_OR_PATH", help="Default: the one in the package.")] = None,
    quality: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="In place of a model: fast, good, or best, which hears everything twice, at four times the cost.",
        ),
    ] = None,
    attenuation_limit: Annotated[
        float | None, typer.Option(metavar="DB", min=0.0, help="Attenuate nothing by more than this.")
    ] = None,
    comb_filter: Annotated[
        bool, typer.Option("--comb-filter/--no-comb-filter", help="Filter noise between the harmonics of the voice.")
    ] = True,
    post_filter: Annotated[
        bool, typer.Option("--post-filter/--no-post-filter", help="Attenuate noisy bands further; costs some clarity.")
    ] = False,
    linked: Annotated[
        bool | None,
        typer.Option(
            "--linked/--unlinked",
            help="One decision for all channels, or each by itself. Default: decided from each recording.",
        ),
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="Of the outputs, such as wav, flac, mp3 or m4a.")
    ] = None,
    bits: Annotated[str | None, typer.Option(metavar="N", help=f"Of samples: {', '.join(BITS)}.")] = None,
    bitrate: Annotated[
        str | None, typer.Option(metavar="RATE", help="Of lossy formats, such as 128k. Default: the input's.")
    ] = None,
    mono: Annotated[bool, typer.Option("--mono", help="Write the mean of all channels.")] = False,
    dither: Annotated[bool, typer.Option("--dither", help="Dither before rounding to integers.")] = False,
    track: Annotated[int | None, typer.Option(metavar="N", min=1, help="Which of several audio tracks.")] = None,
    salvage: Annotated[bool, typer.Option("--salvage", help="Take what is there of damaged files.")] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", metavar="N", min=1, help="Files at a time. Default: all cores.")
    ] = None,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave outputs that exist as they are.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write each file's result as a line of JSON.")
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Also write spectrograms, before and after, as .png.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON, and nothing else.")] = False,
    raw: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="Samples without a header in a pipe: s16le, s32le, f32le …"),
    ] = None,
    rate: Annotated[int | None, typer.Option(metavar="HZ", help="Sample rate of --raw.")] = None,
    channels: Annotated[int, typer.Option(metavar="N", min=1, help="Channels of --raw.")] = 1,
    ray: Annotated[
        bool, typer.Option("--ray", help="On a Ray cluster: IN and OUT are folders, also s3://, gs:// and so on.")
    ] = False,
    ray_address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of the cluster. Default: one found, or one on this machine.")
    ] = None,
) -> None:
    """Enhance recordings: any format, 8 to 192 kHz, any number of channels, any length, any number of files.

    Outputs keep the input's format, tags and bitrate; films keep their picture.
    """
    with _as_json(as_json) as document:
        if quality is not None:
            check_quality(quality, model)
        if beamform:
            _check_beamform(far_end, quality, linked)
        settings = Settings(
            load_model(model) if quality is None else None,
            attenuation_limit_db=attenuation_limit,
            comb_filter=comb_filter,
            post_filter=post_filter,
            link_channels=linked,
            plot=plot,
            salvage=salvage,
            track=track,
            far_end=far_end,
            quality=quality,
            beamform=beamform,
            wishes=Wishes(bits=_bits(bits), bitrate_bps=_bitrate(bitrate), mono=mono or beamform, dither=dither),
        )
        if far_end is not None:
            _check_far_end(far_end, inputs, output, ray=ray)
        if PIPE in inputs or output == PIPE:
            from percepnet.bulk.pipe import enhance_pipe

            if len(inputs) > 1 or overwrite or skip_existing or plot or as_json or report or dry_run or ray:
                raise PercepNetError(f"{PIPE} is a pipe: it goes with one input, and with no option about files")
            enhance_pipe(inputs[0], output, settings, raw=raw, rate=rate, channels=channels, form=form)
            return
        if raw or rate:
            raise PercepNetError("--raw and --rate are for pipes: percepnet enhance - -o - --raw s16le --rate 16000")
        if overwrite and skip_existing:
            raise PercepNetError("--overwrite replaces outputs and --skip-existing leaves them: give one of them")
        suffix = _suffix(form)
        if ray or ray_address:
            from percepnet.bulk.command import enhance_archive

            if len(inputs) > 1 or output is None:
                raise PercepNetError("--ray takes one folder and a folder for -o: percepnet enhance --ray IN -o OUT")
            enhance_archive(
                inputs[0], output, settings, model, address=ray_address, suffix=suffix, report=report, as_json=as_json
            )
            return
        if plot:
            require_matplotlib()
        plan = make_plan([Path(name) for name in inputs], output, suffix=suffix)
        _enhance_plan(
            plan,
            settings,
            settings.described() | {"model": _model_key(model), "version": percepnet.__version__},
            document,
            parallel=jobs or processors(),
            skip_existing=skip_existing,
            overwrite=overwrite,
            dry_run=dry_run,
            report=report,
            as_json=as_json,
        )


def _check_far_end(far_end: Path, inputs: list[str], output: str | None, *, ray: bool) -> None:
    """Refuse what one far end cannot go with."""
    if len(inputs) > 1 or PIPE in (inputs[0], output) or Path(inputs[0]).is_dir() or ray:
        raise PercepNetError(
            "--far-end goes with one recording: percepnet enhance mic.wav --far-end far.wav -o out.wav"
        )
    if not far_end.is_file():
        raise AudioError(f"{far_end}: {'is not a file' if far_end.exists() else 'no such file'}")
    if Path(inputs[0]).exists() and far_end.samefile(inputs[0]):
        raise PercepNetError(f"{far_end}: is the recording itself: give what the loudspeaker played")
    if output is not None and Path(output).exists() and far_end.samefile(output):
        raise PercepNetError(f"{output}: is the far end: give another output")


def _check_beamform(far_end: Path | None, quality: str | None, linked: bool | None) -> None:
    """Refuse what beamforming cannot go with."""
    if far_end is not None:
        raise PercepNetError("--beamform does not go with --far-end: take the echo out of each microphone first")
    if linked is not None:
        raise PercepNetError("--beamform makes one channel of all: leave out --linked and --unlinked")
    check_beamforming(quality)


@contextmanager
def _as_json(wanted: bool) -> Iterator[dict[str, Any]]:
    """A document that is printed at the end, whatever the end is."""
    document: dict[str, Any] = {"results": [], "failures": []}
    try:
        yield document
    except PercepNetError as error:
        if wanted and not document["failures"]:
            document["failures"].append({"input": None, "error": str(error)})
        raise
    finally:
        if wanted:
            print(json.dumps(document, indent=2))


def _enhance_plan(
    plan: Plan,
    settings: Settings,
    described: dict[str, Any],
    document: dict[str, Any],
    *,
    parallel: int,
    skip_existing: bool,
    overwrite: bool,
    dry_run: bool,
    report: Path | None,
    as_json: bool,
) -> None:
    plot = settings.plot
    batch = len(plan.jobs) > 1 or plan.folder is not None
    refuse_losses(plan.jobs, overwrite=True, plot=plot)
    with ExitStack() as stack:
        ledger = None
        if plan.folder is not None and len(plan.jobs) > 1 and not (dry_run and not plan.folder.is_dir()):
            if not dry_run:
                _refuse_existing(plan, plot=plot, allowed=overwrite or skip_existing, folder=plan.folder)
                make_folders([Job(plan.folder, plan.folder / "x")])
            ledger = stack.enter_context(Ledger(plan.folder, described))
        done = [job for job in plan.jobs if ledger and ledger.is_done(job, overwrite=overwrite)]
        known = {job.target for job in done}
        there = [job for job in plan.jobs if skip_existing and job.target not in known and job.target.exists()]
        known |= {job.target for job in there}
        left = [job for job in plan.jobs if job.target not in known]
        ours = {job.target for job in left if ledger and ledger.is_ours(job)}
        refuse_losses(left, overwrite=overwrite, plot=plot, ours=ours)
        document |= {"done_before": len(done), "skipped": [str(job.target) for job in there]}
        document["not_taken"] = [str(path) for path in plan.not_taken]
        if not as_json:
            _say_what_is_left_out(plan, done, there)
        if dry_run:
            _say_plan(left, document, as_json=as_json)
            return
        if batch:
            make_folders(left)
        lines = stack.enter_context(_report(report)) if report else None

        def tell(outcome: Outcome) -> None:
            if isinstance(outcome, Failure):
                document["failures"].append(asdict(outcome))
                if batch:
                    complain(outcome.error)
            else:
                document["results"].append(asdict(outcome))
                if not as_json:
                    _say(outcome)
            if lines:
                lines.write(json.dumps(asdict(outcome)) + "\n")
                lines.flush()

        run(left, settings, tell, parallel=parallel, ledger=ledger, quiet=as_json)
    failures = document["failures"]
    if failures and not batch:
        raise AudioError(failures[0]["error"])
    if failures:
        complain(f"{len(failures)} of {len(plan.jobs)} files could not be enhanced")
        raise typer.Exit(EXIT_SOME_FAILED)


def _refuse_existing(plan: Plan, *, plot: bool, allowed: bool, folder: Path) -> None:
    """Refuse to write among other results, before a ledger is begun among them."""
    if not allowed and not (folder / LEDGER_NAME).exists():
        refuse_losses(plan.jobs, overwrite=False, plot=plot)


def _say(result: Result) -> None:
    print(result.line(), flush=True)
    for note in result.notes:
        complain(f"{result.input}: {note}")


def _say_what_is_left_out(plan: Plan, done: list[Job], there: list[Job]) -> None:
    for note in plan.notes:
        complain(note)
    if plan.not_taken:
        complain(f"{_files(len(plan.not_taken))} not taken, as no audio: {_names([str(p) for p in plan.not_taken])}")
    if done:
        complain(f"{len(done)} of {_files(len(plan.jobs))} done before, with the same settings")
    if there:
        complain(f"{_files(len(there))} skipped, as they exist: {_names([str(job.target) for job in there])}")


def _say_plan(left: list[Job], document: dict[str, Any], *, as_json: bool) -> None:
    document["would_enhance"] = [{"input": str(job.source), "output": str(job.target)} for job in left]
    if not as_json:
        for job in left:
            print(f"{job.source} -> {job.target}")
        print(f"{_files(len(left))} to enhance")


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _names(names: list[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


@contextmanager
def _report(path: Path) -> Iterator[IO[str]]:
    """Lines of JSON, behind those of earlier runs; another file is not added to."""
    try:
        is_ours = path.suffix.lower() not in ALL_SUFFIXES
        if path.is_file():
            with path.open("rb") as file:
                is_ours = is_ours and file.read(1) in (b"", b"{")
        if not is_ours:
            raise PercepNetError(f"{path}: is no report of enhance: give another --report, for example report.jsonl")
        with path.open("a", encoding="utf-8") as lines:
            yield lines
    except OSError as error:
        raise AudioError(f"{path}: cannot be written ({error.strerror})") from error


def _suffix(form: str | None) -> str | None:
    if form is None:
        return None
    suffix = f".{form.lower().removeprefix('.')}"
    if suffix not in (*FORMATS, *MEDIA):
        known = ", ".join(name[1:] for name in ALL_SUFFIXES if name in (*FORMATS, *MEDIA))
        raise PercepNetError(f"--format {form}: give one of {known}")
    return suffix


def _bits(bits: str | None) -> str | None:
    if bits is not None and bits not in BITS:
        raise PercepNetError(f"--bits {bits}: give one of {', '.join(BITS)}")
    return bits


def _bitrate(text: str | None) -> int | None:
    if text is None:
        return None
    number, factor = (text[:-1], 1000) if text[-1:] in "kK" else (text, 1)
    try:
        value = round(float(number) * factor)
    except ValueError:
        value = 0
    if not 4000 <= value <= 2_000_000:
        raise PercepNetError(f"--bitrate {text}: give bits a second, such as 128k or 64000")
    return value


def _model_key(model: str | None) -> str:
    """What tells two models apart: a name, or what is in a file."""
    import hashlib

    if model is not None and Path(model).is_file():
        return hashlib.sha256(Path(model).read_bytes()).hexdigest()
    return model or "default"
