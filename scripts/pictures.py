"""Draws the pictures of the documentation from what ships, and marks each with the models that it was drawn from.

    python scripts/pictures.py                                  # all of them
    python scripts/pictures.py before_after gains               # these
    python scripts/pictures.py --scores report.json quality     # of `percepnet evaluate --json`: new docs/quality.json

`tests/test_pictures.py` fails when a model has changed since: run this again, after `percepnet evaluate` for the scores
and `percepnet bench --report docs/benchmarks.md` for the costs, whose picture is `benchmarks`: it is only marked here.
`listening_page` needs the extra `peers`, and Chromium.
"""

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image, PngImagePlugin

import percepnet
from percepnet.evaluation.oracle_plot import bands_figure, comb_response_figure, decisions_figure, pitch_figure
from percepnet.evaluation.story import network_decisions
from percepnet.plot import Spectrogram, save_before_after
from percepnet.reference.oracle import OracleResult, oracle_steps

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PICTURES = DOCS / "pictures"
SCORES = DOCS / "quality.json"
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]
from chromium import find_chromium, open_page  # noqa: E402
from shipped import MARK, model_hashes  # noqa: E402

CLIPS = ROOT / "examples" / "clips"
CLIP = "sea_female"
RATE_HZ = 48_000
DPI = 110
SYSTEMS = {  # in the order of a legend: name and colour
    "noisy": ("unprocessed", "#8a8f98"),
    "rnnoise": ("RNNoise", "#c98a1b"),
    "gtcrn": ("GTCRN", "#7a5ea8"),
    "deepfilternet3": ("DeepFilterNet 3", "#b3402a"),
    "small": ("percepnet, small", "#6cb0c8"),
    "percepnet": ("percepnet", "#1f6f8b"),
}
MEASURES = {"pesq_wb": "PESQ-WB", "stoi": "STOI", "dnsmos_ovrl": "DNSMOS OVRL"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*DRAWN, []], help="default: all")
    parser.add_argument(
        "--scores", type=Path, action="append", help="of evaluations of the same recordings, for quality.json"
    )
    options = parser.parse_args()
    if options.scores:
        SCORES.write_text(json.dumps(summary(options.scores), indent=1) + "\n", encoding="utf-8")
    for name in options.names or [name for name in DRAWN if name != "benchmarks"]:
        if name == "listening_page" and not find_chromium():
            print(f"{name}: left as it is, for there is no Chromium here", file=sys.stderr)
            continue
        path = DOCS / "benchmarks.png" if name == "benchmarks" else PICTURES / f"{name}.png"
        DRAWN[name](path)
        mark(path, json.loads(SCORES.read_text(encoding="utf-8"))["models"] if name == "quality" else model_hashes())
        print(path.relative_to(ROOT))
    return 0


def mark(path: Path, models: dict[str, str]) -> None:
    """Make a picture small, and write into it which models it was drawn from."""
    information = PngImagePlugin.PngInfo()
    information.add_text(MARK, json.dumps(models))
    with Image.open(path) as picture:
        smaller = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    smaller.save(path, format="PNG", pnginfo=information, optimize=True)


@cache
def clip(kind: str) -> np.ndarray:
    x, rate_hz = soundfile.read(CLIPS / kind / f"{CLIP}.flac", dtype="float32")
    assert rate_hz == RATE_HZ
    return np.asarray(x)


@cache
def oracle() -> OracleResult:
    return oracle_steps(clip("clean"), clip("noisy"), percepnet.load_model().params, "noisy")


def before_after(path: Path) -> None:
    signals = (clip("noisy"), percepnet.enhance(clip("noisy"), RATE_HZ))
    spectrograms = []
    for x in signals:
        spectrograms.append(Spectrogram(RATE_HZ, len(x)))
        spectrograms[-1].add(x[None])
        spectrograms[-1].finish()
    save_before_after(path, *spectrograms, f"{CLIP}.flac")


def bands(path: Path) -> None:
    bands_figure(percepnet.load_model().params).savefig(path, dpi=DPI)


def pitch(path: Path) -> None:
    pitch_figure(oracle().periods_samples, oracle().correlations).savefig(path, dpi=DPI)


def comb_filter(path: Path) -> None:
    params = percepnet.load_model().params
    comb_response_figure(oracle().periods_samples, oracle().correlations, params).savefig(path, dpi=DPI)


def gains(path: Path) -> None:
    model = percepnet.load_model()
    found, strengths = network_decisions(clip("noisy"), model)
    decisions = {"gains from the clean speech": oracle().gains, "gains of the network": found}
    decisions["strengths of the network"] = strengths
    decisions_figure(decisions, model.params).savefig(path, dpi=DPI)


def quality(path: Path) -> None:
    """Scores over the level of the noise, one curve a system."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scores = json.loads(SCORES.read_text(encoding="utf-8"))["by_snr"]
    snrs_db = sorted(scores, key=float)
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (measure, title) in zip(figure.subplots(1, len(MEASURES)), MEASURES.items(), strict=True):
        for system, (label, colour) in SYSTEMS.items():
            values = [scores[snr].get(system, {}).get(measure, np.nan) for snr in snrs_db]
            if np.isfinite(values).any():
                width = 3.0 if system == "percepnet" else 1.8
                style = "--" if system == "noisy" else "-"
                axis.plot(
                    [float(s) for s in snrs_db], values, style, color=colour, lw=width, marker="o", ms=4, label=label
                )
        axis.set_title(title, loc="left")
        axis.set_xlabel("speech over noise (dB)")
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(path, dpi=DPI)


def benchmarks(path: Path) -> None:
    """`percepnet bench --report docs/benchmarks.md` has drawn it."""


def listening_page(path: Path) -> None:
    """The players of `percepnet evaluate --pairs examples/clips -o report.html`, as a browser shows them."""
    from typer.testing import CliRunner

    from percepnet.cli import app

    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "report.html")
        arguments = ["evaluate", "--pairs", str(CLIPS), "--metrics", "pesq,stoi,dnsmos", "-o", str(page)]
        result = CliRunner().invoke(app, arguments)
        if result.exit_code:
            raise SystemExit(f"percepnet {' '.join(arguments)}: {result.output}")
        with open_page(page.as_uri(), Path(folder, "profile"), width=1100, height=880) as shown:
            shown.run("document.querySelector('#listen').scrollIntoView()")
            shown.screenshot(path, whole=False)


DRAWN: dict[str, Callable[[Path], None]] = {
    f.__name__: f for f in (before_after, bands, pitch, comb_filter, gains, quality, benchmarks, listening_page)
}


def summary(reports: list[Path]) -> dict[str, Any]:
    """Means of evaluations of the same recordings, over all and by signal-to-noise ratio, with the models that ship."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for report in reports:
        for row in json.loads(report.read_text(encoding="utf-8"))["rows"]:
            rows[row["name"], row["system"]] = row
    if len(names := {name for name, _ in rows}) * len({system for _, system in rows}) != len(rows):
        raise SystemExit(f"{', '.join(map(str, reports))}: not every system has all {len(names)} recordings")
    means = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))  # type: ignore[var-annotated]
    for row in rows.values():
        for group in ("all", *([f"{row['snr_db']:g}"] if row["snr_db"] is not None else [])):
            for measure, value in row["scores"].items():
                means[group][row["system"]][measure].append(value)
    rounded = {
        group: {
            system: {m: round(float(np.nanmean(v)), 4) for m, v in scores.items()} for system, scores in there.items()
        }
        for group, there in means.items()
    }
    return {"models": model_hashes(), "recordings": len(names), "all": rounded.pop("all"), "by_snr": rounded}


if __name__ == "__main__":
    sys.exit(main())
