"""The report of `percepnet evaluate`: Markdown, and one HTML page with all that it needs inside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from percepnet.evaluation.clips import SECONDS_MAX, Clip
from percepnet.evaluation.comparison import Comparison, Group
from percepnet.evaluation.numbers import finite_mean, format_score, made_with
from percepnet.evaluation.render.cost_plot import Point, cost_plot
from percepnet.evaluation.render.environment import render
from percepnet.metrics.score import TITLES
from percepnet.systems.system import OWN_SYSTEM, REFERENCE_SYSTEM

MAIN_METRICS = (
    "pesq_wb",
    "pesq_nb",
    "stoi",
    "estoi",
    "si_sdr_db",
    "dnsmos_sig",
    "dnsmos_bak",
    "dnsmos_ovrl",
)  # the others have a table of their own
PLOTTED = ("pesq_wb", "dnsmos_ovrl", "si_sdr_db", "srmr")
BROKEN_DOWN = ("pesq_wb", "stoi", "si_sdr_db", "dnsmos_ovrl", "srmr")
OF_A_TRACK = ("pesq_wb", "stoi", "dnsmos_ovrl", "si_sdr_db")
LINES_OF_A_TRACK = 3
FREE_OF_REFERENCE = ("dnsmos", "srmr")  # beginnings of names
COLOURED_FROM = 6  # recordings: of fewer, one accident makes an interval
INTERVALS_FROM = 20  # recordings: of fewer, intervals are folded away
MEANINGS = {
    "PESQ-WB, -NB": "quality against the clean speech, wide and narrow band: 1 is bad, 4.6 is the clean speech itself",
    "STOI, ESTOI": "intelligibility against the clean speech, 0 to 1",
    "SI-SDR": "power of the speech over that of all that was added to or taken from it",
    "CSIG, CBAK, COVL": "mean opinion scores of speech, background and whole, 1 to 5, predicted from the clean speech",
    "DNSMOS": "mean opinion scores of speech, background and whole, 1 to 5, predicted without the clean speech",
    "SRMR": "slow over fast modulation: the higher, the less reverberation",
    "real-time factor": "time of one processor for a second of sound, one file after the other; paced: one frame "
    "of 10 ms every 10 ms, as in a call, over 2 s",
    "delay": "by which the system is late, found by correlation, and taken off before anything is compared",
}


class Table(NamedTuple):
    """A table of systems; a cell is text, or a Cell."""

    caption: str
    header: list[str]
    rows: list[tuple[str, list[Any]]]


class Cell(NamedTuple):
    """A mean, and its difference to the noisy recordings with the interval of that, as text.

    Attributes
    ----------
    sure : str
        "good" or "bad" where the interval leaves zero out.
    """

    mean: str
    difference: str = ""
    low: str = ""
    high: str = ""
    sure: str = ""


def to_markdown(comparison: Comparison, command: str = "") -> str:
    """Means with their difference to the noisy recordings, means by signal-to-noise ratio, noise and room, gaps.

    Parameters
    ----------
    comparison : Comparison
    command : str
        What was typed to make it; empty where it was made by a program.
    """
    systems = comparison.systems
    main = [measure for measure in comparison.measures if measure in MAIN_METRICS]
    others = [measure for measure in comparison.measures if measure not in MAIN_METRICS]
    titles = [f"{title}, ‰" if name.endswith("rtf") else title for name, title in comparison.costs.items()]
    tables = [
        {
            "header": ["system", *_titles(main)],
            "rows": [[s, *(_text(comparison, s, m) for m in main)] for s in systems],
        },
        {
            "header": ["system", *_titles(others), *titles],
            "rows": [
                [
                    s,
                    *(_text(comparison, s, m) for m in others),
                    *(_cost(comparison, s, name, per_mille=True) for name in comparison.costs),
                ]
                for s in systems
            ],
        },
    ]
    sections = [_against(comparison, main)]
    for title, by, groups in (
        ("By signal-to-noise ratio", "SNR", _by_snr(comparison)),
        ("By room", "room", comparison.rooms),
        ("By noise", "noise", _by_noise(comparison)),
    ):
        rows = [
            [name, s, *(format_score(m, finite_mean(comparison.values(s, m, group))) for m in main)]
            for name, group in groups.items()
            for s in systems
        ]
        sections.append({"title": title, "header": [by, "system", *_titles(main)], "rows": rows})
    return render(
        "report.md",
        count=len(comparison.names),
        pairs=comparison.pairs,
        made_of=comparison.made_of,
        tables=tables if main else tables[1:],
        sections=[section for section in sections if section["rows"]],
        missing=_missing(comparison),
        versions=_versions(),
        commands=_commands(comparison, command),
    )


def to_html(comparison: Comparison, clips: Sequence[Clip] = (), command: str = "") -> str:
    """The page, with recordings to listen to.

    Parameters
    ----------
    comparison : Comparison
    clips : sequence of Clip
    command : str
        As for `to_markdown`.

    Raises
    ------
    PercepNetError
        Without matplotlib.
    """
    count = len(comparison.names)
    return render(
        "report.html",
        title=f"Evaluation of {comparison.pairs}",
        about=f"{count} recording{'s' * (count != 1)}, {len(comparison.systems)} systems",
        made_of=comparison.made_of,
        own=OWN_SYSTEM,
        coloured=count >= COLOURED_FROM,
        folded=count < INTERVALS_FROM,
        intervals_from=INTERVALS_FROM,
        tables=_results(comparison),
        plots=_plots(comparison),
        by_snr=_broken_down(comparison, _by_snr(comparison), "signal-to-noise ratio"),
        by_room=_broken_down(comparison, comparison.rooms, "room"),
        by_noise=_broken_down(comparison, _by_noise(comparison), "noise"),
        clips=[clip_view(clip) for clip in clips],
        missing=_missing(comparison),
        commands=_commands(comparison, command),
        versions=_versions(),
        meanings=MEANINGS,
    )


def clip_view(clip: Clip) -> dict[str, Any]:
    """A recording as the templates want it: its facts and the scores of its tracks as text."""
    facts = [f"{clip.snr_db:g} dB"] if clip.snr_db is not None else []
    facts += [clip.noise] if clip.noise else []
    if math.isfinite(clip.gain):
        facts.append(f"{TITLES[clip.measure]} {format_score(clip.measure, clip.gain, sign=True)} over noisy")
    if clip.duration_s >= SECONDS_MAX:
        facts.append(f"the first {SECONDS_MAX:g} s")
    tracks = []
    for track in clip.tracks:
        shown = [name for name in OF_A_TRACK if math.isfinite(track.scores.get(name, math.nan))]
        lines = [f"{TITLES[name]} {format_score(name, track.scores[name])}" for name in shown[:LINES_OF_A_TRACK]]
        tracks.append(track._asdict() | {"lines": lines})
    return {"name": clip.name, "rank": clip.rank, "duration_s": clip.duration_s, "facts": facts, "tracks": tracks}


def _titles(measures: Sequence[str]) -> list[str]:
    return [TITLES[measure] for measure in measures]


def _versions() -> str:
    return ", ".join(f"{name} {number}" for name, number in made_with().items())


def _commands(comparison: Comparison, typed: str) -> list[str]:
    return [command for command in (comparison.command, typed or comparison.evaluation_command()) if command]


def _missing(comparison: Comparison) -> dict[str, dict[str, str]]:
    return {"Not scored": comparison.failures, "Left out": comparison.skipped, "Notes": comparison.notes}


def _cell(comparison: Comparison, system: str, measure: str, to: str = REFERENCE_SYSTEM) -> Cell:
    result = comparison.difference(system, measure, to)
    mean = format_score(measure, result.mean)
    if system == REFERENCE_SYSTEM or not math.isfinite(result.mean):
        return Cell(mean)
    difference, low, high = (format_score(measure, x, sign=True) for x in (result.difference, result.low, result.high))
    sure = ""
    if len(comparison.names) >= COLOURED_FROM:
        sure = "good" if result.low > 0 else "bad" if result.high < 0 else ""
    return Cell(mean, difference, low, high, sure)


def _text(comparison: Comparison, system: str, measure: str) -> str:
    """Mean and difference as text."""
    cell = _cell(comparison, system, measure)
    return f"{cell.mean} ({_difference(cell)})" if cell.difference else cell.mean


def _difference(cell: Cell) -> str:
    return f"{cell.difference}, {cell.low} to {cell.high}" if cell.difference else cell.mean


def _cost(comparison: Comparison, system: str, name: str, *, per_mille: bool = False) -> str:
    """A cost as text; a dash for the recording itself, and where it is not known."""
    value = comparison.cost(system, name)
    if system == REFERENCE_SYSTEM or not np.isfinite(value):
        return "–"
    if name == "delay_ms":
        return f"{value:.1f}"
    return f"{1000 * value:.1f}" if per_mille else f"{value:.2g}"


def _against(comparison: Comparison, measures: Sequence[str]) -> dict[str, Any]:
    """How percepnet differs from each other system; no rows without either."""
    others = [system for system in comparison.systems if not system.startswith((OWN_SYSTEM, REFERENCE_SYSTEM))]
    rows = [[other, *(_difference(_cell(comparison, OWN_SYSTEM, m, other)) for m in measures)] for other in others]
    there = OWN_SYSTEM in comparison.systems
    header = [f"{OWN_SYSTEM} minus", *_titles(measures)]
    return {"title": "Against the others", "header": header, "rows": rows if there else []}


def _results(comparison: Comparison) -> list[Table]:
    tables = []
    for caption, free in (("Against the clean speech", False), ("Without it, and what the systems cost", True)):
        measures = [m for m in comparison.measures if m.startswith(FREE_OF_REFERENCE) == free]
        costs = list(comparison.costs) if free else []
        rows: list[tuple[str, list[Any]]] = [
            (s, [*(_cell(comparison, s, m) for m in measures), *(_cost(comparison, s, name) for name in costs)])
            for s in comparison.systems
        ]
        header = ["system", *_titles(measures), *(comparison.costs[name] for name in costs)]
        tables += [Table(caption, header, rows)] if len(header) > 1 else []
    return tables


def _plots(comparison: Comparison) -> list[str]:
    drawn = []
    for measure in [name for name in PLOTTED if name in comparison.measures][:2]:
        points = []
        for system in comparison.systems:
            if system == REFERENCE_SYSTEM:
                continue
            result = comparison.difference(system, measure)
            baseline = result.mean - result.difference
            factor = comparison.cost(system, "rtf")
            points.append(Point(system, factor, result.mean, baseline + result.low, baseline + result.high))
        noisy = finite_mean(comparison.values(REFERENCE_SYSTEM, measure))
        if svg := cost_plot(points, TITLES[measure], noisy):
            drawn.append(svg)
    return drawn


def _by_snr(comparison: Comparison) -> dict[str, Group]:
    return {f"{snr_db:g} dB": Group(snr_db) for snr_db in comparison.snrs_db}


def _by_noise(comparison: Comparison) -> dict[str, Group]:
    return {noise: Group(noise=noise) for noise in comparison.noises} if len(comparison.noises) > 1 else {}


def _broken_down(comparison: Comparison, groups: Mapping[str, Group], by: str) -> list[tuple[str, Table]]:
    """A table of each metric, systems by groups."""
    tables = []
    for measure in [name for name in BROKEN_DOWN if name in comparison.measures and groups]:
        rows: list[tuple[str, list[Any]]] = []
        for system in comparison.systems:
            values = [finite_mean(comparison.values(system, measure, group)) for group in groups.values()]
            rows.append((system, [format_score(measure, value) for value in values]))
        title = TITLES[measure]
        tables.append((title, Table(f"{title} by {by}, means", ["system", *groups], rows)))
    return tables
