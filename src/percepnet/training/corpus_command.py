"""`percepnet corpus add` and `percepnet corpus show`: folders of recordings in, a manifest and what is in it out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import rich.progress
import typer
from rich.console import Console

from percepnet.errors import PercepNetError, complain, extra_packages
from percepnet.processors import processors

EXIT_SOME_FAILED = 1

corpus = typer.Typer(
    help="Index recordings to train on, and see what there is.", no_args_is_help=True, add_completion=False
)


@corpus.command()
def add(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders of recordings (with subfolders), or files.")
    ],
    kind: Annotated[str, typer.Option(metavar="KIND", help="What they are: speech, noise or room.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="MANIFEST", help="A .jsonl file; added to if it exists.")
    ],
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="The collection they are from. Default: the folder's name.")
    ] = None,
    licence: Annotated[str | None, typer.Option(metavar="TEXT", help="Carried into the model's card.")] = None,
    speaker_from: Annotated[
        str | None,
        typer.Option(metavar="folder|file|REGEX", help="Where the speaker's name is: first subfolder, file name, …"),
    ] = None,
    category_from: Annotated[
        str | None, typer.Option(metavar="folder|file", help="Where the noise's category is. Default: folder.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Leave out recordings with this in their path.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="FLAG", help="Leave out recordings with this flag, such as clipped.")
    ] = None,
    valid_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of speakers, noise recordings or rooms to hold out.")
    ] = 0.05,
    jobs: Annotated[
        int | None, typer.Option(min=0, help="Processes that measure; 0: this one. Default: one for each CPU.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
) -> None:
    """Measure recordings and add them to a manifest. What is in it unchanged is skipped; Ctrl-C loses nothing."""
    with extra_packages("train"):
        from percepnet.manifest import load_rows
        from percepnet.training.indexing import Labels, add_folders
        from percepnet.training.manifest import gaps, leaks

    labels = Labels(kind, source, licence, speaker_from, category_from)
    with _progress() as bar:
        task = bar.add_task(output.name, total=None)
        outcome = add_folders(
            output,
            folders,
            labels,
            exclude=exclude or (),
            drop=drop or (),
            valid_share=valid_share,
            jobs=processors() if jobs is None else jobs,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    rows = load_rows(output)
    warnings = [f"{output}: {line}" for line in leaks(rows) + gaps(rows)]
    if outcome.missing:
        warnings.append(
            f"{output}: {len(outcome.missing)} recordings of it are gone, such as {outcome.missing[0]}: "
            "put them back, or take their lines out"
        )
    if as_json:
        print(json.dumps({**asdict(outcome), "warnings": warnings}, indent=2))
    else:
        left_out = f", {len(outcome.dropped)} left out by --drop" if drop else ""
        again = f", {outcome.measured_again} measured again" if outcome.measured_again else ""
        hours = sum(row.get("seconds") or 0 for row in rows) / 3600
        print(f"{output}: {outcome.added} added, {outcome.unchanged} unchanged{again}{left_out}; {hours:.2f} h in all")
    for left in outcome.duplicates + outcome.unusable:
        complain(left["reason"])
    _warn(warnings)
    # of a duplicate nothing is missing
    if outcome.unusable:
        complain(f"{len(outcome.unusable)} files cannot be used; the others are in {output}")
        raise typer.Exit(EXIT_SOME_FAILED)


@corpus.command()
def show(
    manifests: Annotated[list[Path], typer.Argument(metavar="MANIFEST...", help="Manifests that are used together.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and nothing else.")] = False,
) -> None:
    """Sum manifests up, and warn of what is on both sides of a split."""
    with extra_packages("train"):
        from percepnet.manifest import load_rows
        from percepnet.training.manifest import gaps, leaks, summary

    rows = [row for path in manifests for row in load_rows(path)]
    if not rows:
        raise PercepNetError(f"{manifests[0]}: no recordings in it")
    found, warnings = summary(rows), leaks(rows) + gaps(rows)
    if as_json:
        print(json.dumps({"kinds": found, "warnings": warnings}, indent=2))
    else:
        print("\n\n".join(_table(kind, entry) for kind, entry in found.items()))
    _warn(warnings)


def _table(kind: str, entry: Mapping[str, Any]) -> str:
    speakers = f", {entry['speakers']} speakers" if entry["speakers"] else ""
    lines = [f"{kind}: {entry['hours']:.2f} h, {entry['files']} files{speakers}"]
    for field in ("split", "source", "category", "bandwidth", "licence", "flags"):
        names = entry[field]
        if field == "category" and set(names) == {"unknown"}:
            continue
        width = max(map(len, names), default=0)
        for number, (name, counted) in enumerate(names.items()):
            title = "" if number else field
            lines.append(f"  {title:<10} {name:<{width}} {counted['hours']:9.2f} h {counted['files']:7d} files")
    if rt60 := entry.get("rt60_s"):
        lines.append(f"  {'rt60':<10} {rt60['shortest']} to {rt60['longest']} s, median {rt60['median']} s")
    return "\n".join(lines)


def _progress() -> rich.progress.Progress:
    console = Console(stderr=True)
    columns = (
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    return rich.progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _warn(warnings: Sequence[str]) -> None:
    for line in warnings:
        complain(f"warning: {line}")
