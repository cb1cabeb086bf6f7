"""Ceilings of every step of the article on a set of mixtures, as a page of documentation.

python -m percepnet.evaluation.oracle_table --pairs heldout -o docs/oracle.md
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from percepnet.errors import PercepNetError, complain
from percepnet.evaluation.mixtures import read_mixtures
from percepnet.evaluation.numbers import finite_mean, format_score, made_with
from percepnet.evaluation.oracle_plot import STEPS
from percepnet.evaluation.oracle_report import METRICS, step_signals
from percepnet.evaluation.parallel import Done, on_each
from percepnet.evaluation.recordings import Pair, find_pairs, read_at_48k
from percepnet.evaluation.render.environment import render
from percepnet.metrics.score import TITLES, Scores, score
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.reference.oracle import Pitch, oracle_steps

MODULE = "percepnet.evaluation.oracle_table"
PITCHES: tuple[Pitch, ...] = ("clean", "noisy")
WITH_PITCH = ("comb", "postfilter")


def score_oracle(pair: Pair) -> dict[str, Scores]:
    """Scores of every step on a pair, by title: the steps after the bands once for each source of the pitch."""
    clean, noisy = read_at_48k(pair)
    scores = {}
    for pitch in PITCHES:
        for step, signal in step_signals(noisy, oracle_steps(clean, noisy, pitch=pitch)).items():
            title = STEPS[step] + (f", pitch of the {pitch} speech" if step in WITH_PITCH else "")
            if title not in scores:
                scores[title] = score(clean, signal, SAMPLE_RATE_HZ, METRICS)
    return scores


def oracle_table(folder: Path, *, processes: int = 2) -> str:
    """The page, in Markdown.

    Parameters
    ----------
    folder : path
        As for `compare.compare`.
    processes : int
        How many recordings are worked on at a time.

    Raises
    ------
    PercepNetError
        If a pair cannot be scored, or there is none.
    """
    mixtures = read_mixtures(folder)
    done = list(on_each(score_oracle, find_pairs(folder, mixtures.snrs_db), processes))
    failed = next((d for d in done if d.error), None)
    if failed:
        raise PercepNetError(f"{failed.item.name}: {failed.error}")
    done.sort(key=lambda d: d.item.name)
    snrs_db = sorted({d.item.snr_db for d in done if d.item.snr_db is not None})
    groups = {f"{snr_db:g} dB": [d for d in done if d.item.snr_db == snr_db] for snr_db in snrs_db} | {"all": done}
    titles = list(done[0].result or {})
    sections = []
    for measure in ("pesq_wb", "stoi", "si_sdr_db"):
        rows = [
            [title, *(format_score(measure, _mean(group, title, measure)) for group in groups.values())]
            for title in titles
        ]
        sections.append({"title": TITLES[measure], "header": ["step", *groups], "rows": rows})
    used = ", ".join(f"{name} {number}" for name, number in made_with(("percepnet", "pesq", "pystoi")).items())
    return render("oracle.md", count=len(done), made_of=mixtures.made_of, sections=sections, versions=used)


def _mean(group: Sequence[Done[Pair, dict[str, Scores]]], title: str, measure: str) -> float:
    return finite_mean([d.result[title][measure] for d in group if d.result])


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description="Ceilings of every step, as Markdown.")
    parser.add_argument("--pairs", type=Path, required=True, help="folder with clean/ and noisy/")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    parser.add_argument("--processes", type=int, default=2, help="recordings at a time (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        page = oracle_table(options.pairs, processes=options.processes)
        commands = [read_mixtures(options.pairs).command, shlex.join(["python", "-m", MODULE, *arguments])]
        page += "".join(f"\n    {command}" for command in commands if command)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(f"{page}\n", encoding="utf-8")
    except (PercepNetError, OSError) as error:
        complain(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
