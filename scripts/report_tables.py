"""Measures what ships on the report sets, and rewrites the tables of docs/quality.md, docs/best.md and of the cards.

    python scripts/report_tables.py sets --vbd VBD --baselines gtcrn.toml -o report
    python scripts/report_tables.py -o report --write      # from what was measured before, nothing anew

`sets` is of `scripts/report_sets.py`, VBD the folder of the 22 pairs, and `gtcrn.toml` names GTCRN. Scores are kept in
`report`: a run that is interrupted goes on from there. What the prose around the tables says is written by hand: the
differences that it needs are printed.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
from percepnet.evaluation.cache import file_digest  # noqa: E402
from percepnet.evaluation.comparison import Comparison, Group, Row  # noqa: E402
from percepnet.evaluation.numbers import format_score, markdown_table  # noqa: E402
from percepnet.metrics import score  # noqa: E402
from pictures import SCORES, summary  # noqa: E402
from shipped import WEIGHTS, model_hashes  # noqa: E402

DOCS = ROOT / "docs"
PEERS = ("rnnoise", "gtcrn", "deepfilternet3")
TITLES = {measure: score.TITLES[measure] for measure in ("pesq_wb", "stoi", "si_sdr_db", "dnsmos_ovrl")}
ALL = "pesq,stoi,si_sdr,dnsmos"
EVALUATIONS = {  # name of a report -> set, model, systems, metrics
    "cross": ("cross-test", None, ("noisy", "percepnet", "small", *PEERS), ALL),
    "whole": ("cross-test", "percepnet", ("noisy", "percepnet"), ALL),
    "best": ("cross-test", None, ("noisy", "best"), ALL),
    "vbd": ("vbd", None, ("noisy", "percepnet", "small", *PEERS, "best"), ALL),
    "clean": ("clean-test", None, ("noisy", "percepnet", "small", *PEERS, "best"), "pesq,stoi,si_sdr"),
}
IN_ROOMS = Group(room="measured")
DECISIONS = ("noisy", "percepnet", "small")
WHOLE = "the whole network"  # `--model percepnet`, which is `percepnet` in its own report
LABELS = {  # of docs/best.md
    "noisy": "noisy",
    "best": "`best`",
    WHOLE: "`--model percepnet`",
    "percepnet": "`default`",
    "deepfilternet3": "DeepFilterNet 3",
    "gtcrn": "GTCRN",
    "rnnoise": "RNNoise 0.2",
}
CARD_LABELS = {
    "unprocessed": "noisy",
    "default": "percepnet",
    "small": "small",
    "percepnet": WHOLE,
    "percepnet alone": WHOLE,
    "quality best: this network and percepnet": "best",
    "RNNoise 0.2": "rnnoise",
    "GTCRN": "gtcrn",
    "DeepFilterNet 3": "deepfilternet3",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="?", type=Path, help="folder of report_sets.py")
    parser.add_argument("--vbd", type=Path, help="folder with noisy/ and clean/ of VoiceBank+DEMAND")
    parser.add_argument("--baselines", type=Path, help="TOML file that names GTCRN")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for reports and scores")
    parser.add_argument("--write", action="store_true", help="only write what was measured before")
    options = parser.parse_args()
    report: Path = options.output
    if not options.write:
        if missing := [name for name in ("sets", "vbd", "baselines") if getattr(options, name) is None]:
            parser.error(f"to measure, say where {', '.join(missing)} are; --write writes what was measured before")
        measure(options.sets, options.vbd, options.baselines, report)
    cross = read_comparison(report, "cross", "whole", "best")
    SCORES.write_text(json.dumps(summary([report / "cross.json"]), indent=1) + "\n", encoding="utf-8")
    write_quality(report, DOCS / "quality.md")
    write_best(cross, DOCS / "best.md")
    for card in sorted(WEIGHTS.rglob("*.md")):
        write_card(card, card.with_suffix(".safetensors"), cross)
    print("\n".join(differences(cross)))
    return 0


def measure(sets: Path, vbd: Path, baselines: Path, report: Path) -> None:
    """Run all evaluations, each into NAME.json, and that of the cross-corpus set into Markdown too."""
    report.mkdir(parents=True, exist_ok=True)
    for name, (folder, model, systems, metrics) in EVALUATIONS.items():
        pairs = vbd if folder == "vbd" else sets / folder
        arguments = ["evaluate", "--pairs", pairs, "--baselines", baselines, "--systems", ",".join(systems)]
        arguments += ["--metrics", metrics, "--cache", report / "scores", *(["--model", model] if model else [])]
        run([*arguments, "--json"], report / f"{name}.json")
        if name == "cross":
            run([*arguments, "-o", report / "cross.md"])
    arguments = ["decisions", "--pairs", sets / "cross-test", "--systems", ",".join(DECISIONS)]
    run(arguments, report / "decisions.md")


def run(arguments: Iterable[Any], output: Path | None = None) -> None:
    """Run a command of the project; what it prints becomes a file, once all of it is there."""
    command = [sys.executable, "-m", "percepnet", *map(str, arguments)]
    print(" ".join(["percepnet", *command[3:]]), file=sys.stderr)
    done = subprocess.run(command, stdout=subprocess.PIPE if output else None, check=False, text=True)
    if done.returncode:
        raise SystemExit(f"percepnet {command[3]} failed with code {done.returncode}")
    if output:
        output.write_text(done.stdout, encoding="utf-8")


def read_comparison(report: Path, *names: str) -> Comparison:
    """Scores of some reports of the same recordings; the model of "whole" is called so, beside `default`."""
    rows = {}
    for name in names:
        path = report / f"{name}.json"
        if not path.exists():
            raise SystemExit(f"{path} is missing: measure first, without --write")
        for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
            system = WHOLE if name == "whole" and row["system"] == "percepnet" else row["system"]
            scores = {measure: np.nan if value is None else value for measure, value in row["scores"].items()}
            rows[row["name"], system] = Row(**row | {"system": system, "scores": scores})
    return Comparison("", list(rows.values()))


def write_quality(report: Path, page: Path) -> None:
    """The tables of docs/quality.md, and the mark of which models they are."""
    text = page.read_text(encoding="utf-8")
    hashes = ", ".join(f"{model} {found[:16]}" for model, found in model_hashes().items())
    text = re.sub(r"<!-- measured with .*? -->", f"<!-- measured with {hashes} -->", text, count=1)
    written = (report / "cross.md").read_text(encoding="utf-8")
    written = written[re.search(r"^\d+ recordings of ", written, re.MULTILINE).start() :]  # type: ignore[union-attr]
    written = re.sub(r"(--pairs) \S*?(cross-test)", r"\1 sets/\2", written)
    written = re.sub(r"(--baselines|-o) \S*/", r"\1 ", re.sub(r" --cache \S+", "", written))  # of this machine
    text = replaced(text, r"^\d+ recordings of ", r"^## VoiceBank\+DEMAND", written.rstrip() + "\n\n")
    for heading, name, measures in (
        ("## VoiceBank+DEMAND", "vbd", tuple(TITLES)),
        ("## Speech that is nearly clean", "clean", tuple(TITLES)[:3]),
    ):
        text = with_table(text, heading, gains_table(read_comparison(report, name), measures))
    text = with_table(text, "## Decisions", (report / "decisions.md").read_text(encoding="utf-8").split("\n"))
    page.write_text(text, encoding="utf-8")


def gains_table(comparison: Comparison, measures: Sequence[str]) -> list[str]:
    """Means, with the difference to the noisy recordings and its interval."""
    rows = []
    for system in comparison.systems:
        cells = [system]
        for measure in measures:
            found = comparison.difference(system, measure)
            numbers = [format_score(measure, value, sign=True) for value in (found.difference, found.low, found.high)]
            gained = "" if system == "noisy" else " ({}, {} to {})".format(*numbers)
            cells.append(format_score(measure, found.mean) + gained)
        rows.append(cells)
    return markdown_table(["system", *(TITLES[measure] for measure in measures)], rows)


def write_best(cross: Comparison, page: Path) -> None:
    """The two tables of docs/best.md: means, and `best` less the others."""
    means = [[LABELS[system], *(cell(cross, system, measure) for measure in TITLES)] for system in LABELS]
    less = []
    rooms = within(cross, IN_ROOMS)
    for peer in ("percepnet", *reversed(PEERS)):
        less.append([LABELS[peer], *(interval(cross, "best", peer, measure) for measure in TITLES)])
        if peer == "deepfilternet3":
            label = f"{LABELS[peer]}, the {len(rooms.names)} in rooms"
            less.append([label, *(interval(rooms, "best", peer, measure) for measure in TITLES)])
    text = page.read_text(encoding="utf-8")
    text = with_table(text, "## How good it is", narrow(["", *TITLES.values()], means))
    text = with_table(text, "`best` less another", narrow(["`best` minus", *TITLES.values()], less))
    page.write_text(text, encoding="utf-8")


def write_card(card: Path, weights: Path, cross: Comparison) -> None:
    """The rows of scores of a card, and the hash of the weights that it is of."""
    lines = card.read_text(encoding="utf-8").split("\n")
    header = f"| | {' | '.join(TITLES.values())} |"
    if header not in lines:  # of another kind of network, with other scores
        return
    sha = file_digest(weights)
    for index, line in enumerate(lines):
        cells = line.strip("| ").split(" | ")
        system = CARD_LABELS.get(re.sub(r"[`*]", "", cells[0]).strip())
        if system and index > lines.index(header) and len(cells) == 1 + len(TITLES):
            lines[index] = f"| {' | '.join([cells[0], *(gained(cross, system, measure) for measure in TITLES)])} |"
        lines[index] = re.sub(r"(\| file \| SHA-256 `)[0-9a-f]{64}", rf"\g<1>{sha}", lines[index])
    card.write_text("\n".join(lines), encoding="utf-8")


def differences(cross: Comparison) -> list[str]:
    """Each of ours less each of the peers, and less each other, over all recordings and over those in rooms."""
    measures = [*TITLES, "dnsmos_p808"]
    rows = []
    for place, part in {"": cross, ", in rooms": within(cross, IN_ROOMS)}.items():
        for ours in ("percepnet", "small", WHOLE, "best"):
            for other in (*PEERS, *(own for own in ("noisy", "percepnet", "small", WHOLE) if own != ours)):
                rows.append([f"{ours} - {other}{place}", *(interval(part, ours, other, name) for name in measures)])
    return narrow(["", *measures], rows)


def within(comparison: Comparison, group: Group) -> Comparison:
    return Comparison("", [row for row in comparison.rows if group.holds(row)])


def cell(comparison: Comparison, system: str, measure: str) -> str:
    return without_zero(format_score(measure, comparison.difference(system, measure).mean))


def gained(comparison: Comparison, system: str, measure: str) -> str:
    """As a card has it: the mean, and the difference to the noisy recordings."""
    found = comparison.difference(system, measure)
    mean = format_score(measure, found.mean)
    return mean if system == "noisy" else f"{mean} ({format_score(measure, found.difference, sign=True)})"


def interval(comparison: Comparison, system: str, other: str, measure: str) -> str:
    found = comparison.difference(system, measure, other)
    ends = (without_zero(format_score(measure, value)) for value in (found.low, found.high))
    return without_zero(format_score(measure, found.difference, sign=True)) + " ({} to {})".format(*ends)


def without_zero(number: str) -> str:
    """.5 for 0.5."""
    return re.sub(r"^([+-]?)0\.", r"\1.", number)


def narrow(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table as people write it by hand."""
    lines = [f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in (header, *rows)]
    return [lines[0], f"|{'---|' * len(header)}", *lines[1:]]


def with_table(text: str, heading: str, lines: Sequence[str]) -> str:
    """The first table behind a line that begins so, replaced."""
    start = re.search(rf"^{re.escape(heading)}", text, re.MULTILINE)
    table = start and re.compile(r"^\|.*\n(?:\|.*\n)+", re.MULTILINE).search(text, start.end())
    if not table:
        raise SystemExit(f"there is no table behind {heading!r}")
    return text[: table.start()] + "\n".join(lines).strip() + "\n" + text[table.end() :]


def replaced(text: str, begin: str, end: str, by: str) -> str:
    """What lies from the first line that begins so to the next that begins otherwise, replaced."""
    first = re.search(begin, text, re.MULTILINE)
    last = first and re.compile(end, re.MULTILINE).search(text, first.end())
    if not first or not last:
        raise SystemExit(f"there is nothing between {begin!r} and {end!r}")
    return text[: first.start()] + by + text[last.start() :]


if __name__ == "__main__":
    sys.exit(main())
