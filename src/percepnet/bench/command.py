"""The command `percepnet bench`: options in, tables, JSON or a picture out."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from percepnet.errors import PercepNetError
from percepnet.model import load_model

SECONDS_MAX = 3600.0
BASELINES = "rnnoise"


def bench(
    model: Annotated[str | None, typer.Option(metavar="NAME_OR_PATH", help="Default: the one in the package.")] = None,
    seconds: Annotated[
        float, typer.Option(metavar="S", help="Of audio, in real time, for each system; 6 take half a minute in all.")
    ] = 6.0,
    baselines: Annotated[
        str,
        typer.Option(
            "--baselines",
            "--peers",
            metavar="NAMES",
            help="Other systems beside it, separated by commas; none for none.",
        ),
    ] = BASELINES,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Also draw the times, as .png.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the tables below the marker of a Markdown file, and draw."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON, and nothing else.")] = False,
) -> None:
    """Measure time, memory and start-up on this machine, beside other systems and the least that is possible."""
    from percepnet.bench.report import check_plot, check_report, save_plot, save_report, to_markdown
    from percepnet.bench.run import measure
    from percepnet.progress import progress
    from percepnet.systems.register import check_live

    if not 0.1 <= seconds <= SECONDS_MAX:
        raise PercepNetError(f"--seconds is {seconds:g}: give 0.1 to {SECONDS_MAX:g}")
    names = [] if baselines == "none" else [name for name in baselines.split(",") if name]
    check_live(names)
    if plot:
        check_plot(plot)
    if report:
        check_report(report)
    loaded = load_model(model)

    with progress("measuring") as advance:
        document = measure(
            loaded,
            model,
            seconds=seconds,
            baselines=names,
            progress=lambda title, share: advance(share, title),
        )
    if as_json:
        print(json.dumps(document, indent=2))
    else:
        print(to_markdown(document), end="")
    if plot:
        save_plot(plot, document)
    if report:
        options = {
            "--model": model,
            "--seconds": f"{seconds:g}",
            "--baselines": baselines if baselines != BASELINES else None,
        }
        given = [word for option, value in options.items() if value is not None for word in (option, value)]
        save_report(report, document, shlex.join(["percepnet", "bench", *given, "--report", str(report)]))
