"""The command `percepnet heldout`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from percepnet.errors import PercepNetError, extra_packages

SETTINGS = ("pairs", "snrs_db", "seconds", "min_activity", "reverberant_share", "seed")


def heldout(
    context: typer.Context,
    corpus: Annotated[Path, typer.Option(metavar="DIR", help="A folder with speech.jsonl and noise.jsonl.")],
    output: Annotated[Path, typer.Option("--output", "--out", "-o", metavar="SET", help="The folder to make.")],
    pairs: Annotated[int, typer.Option(metavar="N", help="Passages of speech and noises to draw.")] = 40,
    snrs_db: Annotated[
        str, typer.Option(metavar="DB,DB...", help="Signal-to-noise ratios; begin with =-5 for a negative one.")
    ] = "0,5,10,15",
    crossed: Annotated[bool, typer.Option("--crossed", help="Mix every pair at all the ratios.")] = False,
    seconds: Annotated[float, typer.Option(metavar="S", help="Length of each mixture.")] = 8.0,
    min_activity: Annotated[
        float, typer.Option(metavar="SHARE", help="Leave out noises that are active for a smaller share.")
    ] = 0.0,
    also_speakers: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Further speakers that training left out.")
    ] = None,
    reverberant_share: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the pairs that are put into a measured room.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of every draw.")] = 0,
) -> None:
    """Mix speech and noise that training never saw, at known signal-to-noise ratios, for `percepnet evaluate`."""
    with extra_packages("train,eval"):
        from percepnet.evaluation.heldout import make_heldout
        from percepnet.evaluation.mixtures import read_mixtures

    # without the folders of this machine
    words = ["percepnet", "heldout", "--corpus", corpus.resolve().name, "-o", output.resolve().name]
    words += [f"--{name.replace('_', '-')}={context.params[name]}" for name in SETTINGS if _is_given(context, name)]
    words += ["--crossed"] * crossed + [f"--also-speakers={pattern}" for pattern in also_speakers or ()]
    mixtures = make_heldout(
        corpus,
        output,
        pairs=pairs,
        snrs_db=_ratios_db(snrs_db),
        crossed=crossed,
        seconds=seconds,
        min_activity=min_activity,
        also_speakers=also_speakers or (),
        reverberant_share=reverberant_share,
        seed=seed,
        command=shlex.join(words),
    )
    print(f"{len(mixtures)} mixtures: {read_mixtures(output).made_of}")


def _is_given(context: typer.Context, name: str) -> bool:
    return getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"


def _ratios_db(text: str) -> list[float]:
    try:
        return [float(ratio) for ratio in text.split(",")]
    except ValueError:
        raise PercepNetError(f"--snrs-db is {text!r}: expected numbers with commas between, such as 0,5,10") from None
