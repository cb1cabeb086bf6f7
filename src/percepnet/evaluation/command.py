"""The commands `percepnet oracle` and `percepnet evaluate`."""

import shlex
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from percepnet.errors import PercepNetError, complain, extra_packages
from percepnet.exits import EXIT_SOME_FAILED


class PitchSource(str, Enum):
    """In which signal the oracle looks for the pitch."""

    clean = "clean"
    noisy = "noisy"


def oracle(
    clean: Annotated[Path, typer.Argument(metavar="CLEAN", help="The clean speech; for a page also a folder of it.")],
    noisy: Annotated[Path, typer.Argument(metavar="NOISY", help="The same with noise, of equal length and rate.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="Folder for audio and a figure; a page for .html."),
    ],
    pitch: Annotated[PitchSource, typer.Option(help="The signal in which the pitch is found.")] = PitchSource.clean,
    model: Annotated[
        str | None, typer.Option(metavar="NAME_OR_PATH", help="The network in a page. Default: the one in the package.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON, and nothing else.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
) -> None:
    """Enhance a recording with perfect decisions, step by step: what the representation can do at best."""
    with extra_packages("eval"):
        from percepnet.evaluation.oracle_report import run_oracle
        from percepnet.evaluation.story_page import run_story

    if output.suffix.lower() in (".html", ".htm"):
        run_story(clean, noisy, output, model=model, pitch=pitch.value, as_json=as_json, overwrite=overwrite)
        return
    if model is not None:
        raise PercepNetError("--model is the network in a page: give -o story.html, or leave --model out")
    run_oracle(clean, noisy, output, pitch=pitch.value, as_json=as_json, overwrite=overwrite)


def evaluate(
    pairs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder with noisy/ and clean/ of equal names.")
    ] = None,
    noisy: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder of recordings without clean speech, instead.")
    ] = None,
    echo: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A folder of NAME_mic.wav with their far ends NAME_lpb.wav, instead."),
    ] = None,
    systems: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Separated by commas. Default: all that are installed.")
    ] = None,
    baselines: Annotated[
        Path | None,
        typer.Option(
            "--baselines", "--peers", metavar="FILE", help="Further systems: a TOML file of commands and ONNX files."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME_OR_PATH", help="Default: the one in the package.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="REPORT", help="A page to listen to for .html, otherwise Markdown."),
    ] = None,
    clips: Annotated[int, typer.Option(metavar="N", min=0, help="Recordings that can be heard in a page.")] = 8,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keeps scores. Default: .percepnet-evaluation beside REPORT.")
    ] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Curves over SNR, level, bandwidth, clipping, rooms, instead.")
    ] = False,
    curves: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Which of them, separated by commas. Default: all.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="NAMES", help="What to measure, such as pesq,stoi. Default: all.")
    ] = None,
    paced: Annotated[
        bool, typer.Option("--paced", help="Also measure what live use costs, frame by frame, 2 s a system.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all scores as JSON, and nothing else.")] = False,
) -> None:
    """Score systems on noisy recordings, with their clean speech or without: PESQ, STOI, SI-SDR, DNSMOS and more."""
    with extra_packages("eval"):
        from percepnet.evaluation.echo import run_echo
        from percepnet.evaluation.robustness import METRICS as CURVE_METRICS
        from percepnet.evaluation.run import run_evaluation, run_robustness
        from percepnet.metrics.score import METRICS
        from percepnet.systems.register import Register
        from percepnet.systems.system import OWN_SYSTEM, REFERENCE_SYSTEM

    if echo is not None:
        others: dict[str, object] = {
            "--pairs": pairs,
            "--noisy": noisy,
            "--systems": systems,
            "--baselines": baselines,
            "-o": output,
        }
        others |= {"--metrics": metrics, "--robustness": robustness, "--curves": curves, "--paced": paced}
        if given := next((name for name, value in others.items() if value), None):
            raise PercepNetError(f"--echo scores echo control, and does not go with {given}: leave one of them out")
        left_out = run_echo(echo, model=model, as_json=as_json)
        for sentence in left_out:
            complain(sentence)
        if left_out:
            raise typer.Exit(EXIT_SOME_FAILED)
        return
    folder = pairs or noisy
    if folder is None or (pairs and noisy):
        raise PercepNetError("say what to evaluate: --pairs DIR with noisy/ and clean/, --noisy DIR or --echo DIR")
    register = Register(model, baselines)
    names, measured, drawn = (_names(text) for text in (systems, metrics, curves))
    if drawn and not robustness:
        raise PercepNetError("--curves are those of --robustness: add it, or leave --curves out")
    if robustness:
        if noisy:
            raise PercepNetError("--robustness needs clean speech: give --pairs DIR")
        if paced:
            raise PercepNetError("--paced measures no curves: leave it out, or --robustness")
        run_robustness(
            folder,
            names or [REFERENCE_SYSTEM, OWN_SYSTEM, *register.configured],
            curves=drawn or None,
            register=register,
            metrics=measured or CURVE_METRICS,
            output=output,
            cache=cache,
            as_json=as_json,
            command=typed(),
        )
        return
    run_evaluation(
        folder,
        names or None,
        with_clean=pairs is not None,
        register=register,
        metrics=measured or tuple(METRICS),
        output=output,
        cache=cache,
        as_json=as_json,
        clips=clips,
        paced=paced,
        command=typed(),
    )


def typed() -> str:
    """The command line of this process, for a report to repeat; empty where it is another program's."""
    program = Path(sys.argv[0])
    if program.stem != "percepnet" and program.parts[-2:] != ("percepnet", "__main__.py"):
        return ""
    return shlex.join(["percepnet", *sys.argv[1:]])


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
