"""The commands `percepnet oracle` and `percepnet evaluate`."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from percepnet.errors import extra_packages


class PitchSource(str, Enum):
    """In which signal the oracle looks for the pitch."""

    clean = "clean"
    noisy = "noisy"


def oracle(
    clean: Annotated[Path, typer.Argument(metavar="CLEAN", help="The clean speech.")],
    noisy: Annotated[Path, typer.Argument(metavar="NOISY", help="The same with noise, of equal length and rate.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the audio and the figure.")],
    pitch: Annotated[PitchSource, typer.Option(help="The signal in which the pitch is found.")] = PitchSource.clean,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON, and nothing else.")] = False,
) -> None:
    """Enhance a recording with perfect decisions, step by step: what the representation can do at best."""
    with extra_packages("eval"):
        from percepnet.evaluation.oracle_report import run_oracle

    run_oracle(clean, noisy, output, pitch=pitch.value, as_json=as_json)


def evaluate(
    pairs: Annotated[Path, typer.Option(metavar="DIR", help="A folder with noisy/ and clean/ of equal names.")],
    systems: Annotated[str, typer.Option(metavar="NAMES", help="Separated by commas.")] = "noisy,percepnet,rnnoise",
    model: Annotated[str | None, typer.Option(metavar="NAME_OR_PATH", help="Default: the one in the package.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="REPORT", help="Markdown report.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all scores as JSON, and nothing else.")] = False,
) -> None:
    """Score enhanced speech against the clean speech: PESQ, STOI, SI-SDR, DNSMOS."""
    with extra_packages("eval"):
        from percepnet.evaluation.compare import run_evaluation

    run_evaluation(pairs, [name for name in systems.split(",") if name], model=model, output=output, as_json=as_json)
