"""`percepnet train` and `percepnet export`: options in, a run or a model out."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from percepnet.atomic import refuse_existing, replacing
from percepnet.errors import PercepNetError, extra_packages
from percepnet.model import PRESETS, load_model
from percepnet.params import BAND_EDGES, LOOKAHEAD_FRAMES, LOOKAHEAD_FRAMES_MAX

Places = Annotated[list[str] | None, typer.Option(metavar="PLACE", help="A .jsonl manifest, a folder or a file.")]


def train(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="RUN", help="The run's folder.")],
    recipe: Annotated[
        Path | None, typer.Option("--config", metavar="TOML", help="Settings; options given here go before them.")
    ] = None,
    speech: Places = None,
    noise: Places = None,
    rooms: Places = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Leave out recordings with this in their path.")
    ] = None,
    weight: Annotated[
        list[str] | None, typer.Option(metavar="SOURCE=FACTOR", help="Draw a source of speech more or less often.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help=f"Size of the network: {', '.join(PRESETS)}. Default: small, or that of --init."),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Start from a model, by name or path; it grows to a wider --preset."),
    ] = None,
    bands: Annotated[
        int | None,
        typer.Option(help=f"Bands: {', '.join(map(str, BAND_EDGES))}. Default: 34, or those of --init."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run, with its own settings.")] = False,
    lookahead: Annotated[
        int, typer.Option(min=0, max=LOOKAHEAD_FRAMES_MAX, help="Frames of 10 ms to look ahead.")
    ] = LOOKAHEAD_FRAMES,
    seed: int = 0,
    batch: Annotated[int, typer.Option(min=1, help="Sequences side by side.")] = 32,
    hours: Annotated[float, typer.Option(min=0, help="Stop after so much training in all; 0: no limit.")] = 0,
    minutes: Annotated[float, typer.Option(min=0, help="Added to the hours.")] = 0,
    updates: Annotated[int, typer.Option(min=0, help="Stop after so many updates; 0: no limit.")] = 0,
    reproducible: Annotated[
        bool,
        typer.Option("--reproducible", help="Wait for features, so that the loss curve depends on the seed alone."),
    ] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write events for TensorBoard.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make features.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Of the training itself.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print progress as lines of JSON, and nothing else.")] = False,
) -> None:
    """Train a network on your own recordings. Ctrl-C stops after a moment; --resume continues."""
    with extra_packages("train"):
        import torch  # noqa: F401  # first: scipy, where it is imported before, stumbles over a torch that is missing

        from percepnet.training.config import Config
        from percepnet.training.distributed import writes
        from percepnet.training.progress import Progress
        from percepnet.training.recipe import read_recipe
        from percepnet.training.run import run_training

    def show(progress: Progress) -> None:
        print(json.dumps(asdict(progress)) if as_json else progress.line(), flush=True)

    options = {
        "speech": tuple(speech or ()),
        "noise": tuple(noise or ()),
        "rooms": tuple(rooms or ()),
        "exclude": tuple(exclude or ()),
        "speech_weights": _numbers(weight or [], "--weight"),
        "preset": preset,
        "init": init,
        "bands": bands,
        "lookahead_frames": lookahead,
        "seed": seed,
        "batch": batch,
        "hours": hours + minutes / 60 or None,
        "updates": updates or None,
        "reproducible": reproducible,
        "tensorboard": tensorboard,
        "workers": workers,
        "threads": threads,
    }
    settings = options | read_recipe(recipe) | _given(context, options) if recipe else options
    model = run_training(Config(out=str(out), resume=resume, **settings), show)
    if writes():
        print(json.dumps({"model": str(model)}) if as_json else f"wrote {model}")


def _given(context: typer.Context, options: dict[str, Any]) -> dict[str, Any]:
    """Those of the options that stand on the command line."""
    names = {"speech_weights": ("weight",), "lookahead_frames": ("lookahead",), "hours": ("hours", "minutes")}
    return {
        field: value
        for field, value in options.items()
        if any(
            getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
            for name in names.get(field, (field,))
        )
    }


def export(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="A run's folder, a checkpoint, or a model; of several, their mean."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="MODEL", help="The model file to write.")
    ] = None,
    onnx: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the network of a model as ONNX graphs, for phones and accelerators."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    info: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TEXT", help="An entry for the model's card, such as licence.")
    ] = None,
    keep: Annotated[
        str,
        typer.Option(
            metavar="RESET,UPDATE,NEW[,CONVOLUTION]",
            help="Shares of the blocks of GRUs' gates and convolutions that stay, as 0.3,0.3,0.6; the smallest go.",
        ),
    ] = "1,1,1",
    digits: Annotated[
        int,
        typer.Option(min=1, max=23, help="Binary digits of what is not in 8 bits: fewer make a file that compresses."),
    ] = 23,
    memory: Annotated[
        int | None,
        typer.Option(
            metavar="FRAMES",
            min=0,
            help="Frames of 10 ms that GRUs remember at most, so that noise leaves nothing behind; 0: any time.",
        ),
    ] = None,
    in_8_bits: Annotated[
        str,
        typer.Option(
            "--in-8-bits", metavar="LAYER,...", help="Layers whose matrices are in 8 bits as well, as gain,strength."
        ),
    ] = "",
    gain_shift: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BANDS=LOGITS", help="Make the gains of bands higher or lower, as 18-33=-0.8; may be repeated."
        ),
    ] = None,
    share: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LAYER=SHARE",
            help="Of two models: how much of a layer is the second's, as gru1=0.5, else all; may be repeated.",
        ),
    ] = None,
    bins: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Take the network for bins of another run or model, by name or file."),
    ] = None,
    bin_level: Annotated[
        float,
        typer.Option(metavar="DB", help="Let a network for bins leave more, as 1.5: its training hears no level."),
    ] = 0.0,
    card: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the card as Markdown: what it was trained on, and how."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON, and nothing else.")] = False,
) -> None:
    """Write a training's averaged weights as a model file of 8-bit weights, or a model as ONNX graphs."""
    if onnx is not None:
        if output is not None or len(runs) > 1:
            raise PercepNetError("--onnx takes one model, by name or file, and no -o: export a run with -o first")
        _export_onnx(str(runs[0]), onnx, overwrite, as_json)
        return
    if output is None:
        raise PercepNetError("say what to write: -o MODEL, or --onnx DIR")
    refuse_existing([path for path in (output, card) if path is not None], overwrite=overwrite, instead="name")
    with extra_packages("train"):
        from percepnet.training.card import model_card
        from percepnet.training.export import export_model

    cards = dict(_pair(entry, "--info") for entry in info or [])
    layers = [name for name in in_8_bits.split(",") if name]
    shares = _numbers(share or [], "--share")
    shifts = _gain_shifts(gain_shift or [])
    model = export_model(runs, output, cards, _shares(keep), digits, memory, layers, shifts, shares, bins, bin_level)
    if card is not None:
        with replacing(card) as temporary:
            temporary.write_text(model_card(model, output.stem), encoding="utf-8")
    if as_json:
        print(json.dumps({"output": str(output), "weights": model.weight_count, "info": model.info}))
    else:
        print(f"wrote {output}: {model.weight_count / 1e6:.2f} million weights")


def _export_onnx(name_or_path: str, folder: Path, overwrite: bool, as_json: bool) -> None:
    with extra_packages("onnx"):
        from percepnet.onnx_export import export_onnx
    files = export_onnx(load_model(name_or_path), folder, overwrite)
    if as_json:
        print(json.dumps({"files": [str(path) for path in files]}))
    for path in () if as_json else files:
        print(f"wrote {path}: {path.stat().st_size / 1e6:.2f} MB")


def _numbers(entries: list[str], option: str) -> dict[str, float]:
    numbers = {}
    for entry in entries:
        name, number = _pair(entry, option)
        try:
            numbers[name] = float(number)
        except ValueError:
            raise PercepNetError(f"{option} {entry}: {number!r} is not a number") from None
    return numbers


def _shares(keep: str) -> tuple[float, ...]:
    try:
        reset, update, new, *convolution = map(float, keep.split(","))
    except ValueError:
        raise PercepNetError(
            f"--keep {keep}: expected three shares, or a fourth for convolutions, such as 0.3,0.3,0.6"
        ) from None
    if len(convolution) > 1:
        raise PercepNetError(f"--keep {keep}: expected three shares, or a fourth for convolutions, such as 0.3,0.3,0.6")
    return reset, update, new, *convolution


def _gain_shifts(entries: list[str]) -> dict[range, float]:
    from percepnet.training.calibration import band_range

    shifts = {}
    for entry in entries:
        bands, shift = _pair(entry, "--gain-shift")
        try:
            shifts[band_range(bands)] = float(shift)
        except ValueError:
            raise PercepNetError(
                f"--gain-shift {entry}: expected bands, counted from 0, and logits, such as 18-33=-0.8"
            ) from None
    return shifts


def _pair(entry: str, option: str) -> tuple[str, str]:
    name, equals, value = entry.partition("=")
    if not name or not equals:
        raise PercepNetError(f"{option} {entry}: expected NAME=VALUE")
    return name, value
