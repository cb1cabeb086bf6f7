"""The command `percepnet decisions`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from percepnet.errors import complain, extra_packages
from percepnet.exits import EXIT_SOME_FAILED
from percepnet.systems.system import OWN_SYSTEM

if TYPE_CHECKING:
    from percepnet.evaluation.decisions import SystemDecisions


def decisions(
    pairs: Annotated[Path, typer.Option(metavar="DIR", help="A folder with noisy/ and clean/ of equal names.")],
    systems: Annotated[str, typer.Option(metavar="NAMES", help="Separated by commas.")] = f"noisy,{OWN_SYSTEM}",
    baselines: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Further systems: a TOML file of commands and ONNX files.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME_OR_PATH", help="Default: the one in the package.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge what systems decide in each band, against the best gains, and how well they tell speech from the rest."""
    with extra_packages("eval"):
        from percepnet.evaluation.decisions import judge_decisions
        from percepnet.evaluation.numbers import to_json
        from percepnet.systems.register import Register

    found, failed = judge_decisions(pairs, Register(model, baselines), [name.strip() for name in systems.split(",")])
    for sentence in failed:
        complain(sentence)
    if as_json:
        rows = [{"system": one.system, **one.gains._asdict(), "speech_area": one.speech_area} for one in found]
        print(to_json(rows))
    else:
        _print_table(found)
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _print_table(found: "list[SystemDecisions]") -> None:
    from percepnet.evaluation.numbers import markdown_table

    cells = []
    for one in found:
        area = "–" if one.speech_area is None else f"{one.speech_area:.4f}"
        cells.append((one.system, f"{one.gains.bias_db:+.1f}", f"{one.gains.spread_db:.1f}", area))
    header = ("system", "bias (dB)", "spread (dB)", "area under the curve of speech")
    print("\n".join(markdown_table(header, cells)))
