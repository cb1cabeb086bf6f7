"""The curves of `percepnet evaluate --robustness`, as Markdown and as a page."""

from collections.abc import Mapping
from typing import Any

from percepnet.evaluation.numbers import format_score
from percepnet.evaluation.render.curve_plot import curve_plot
from percepnet.evaluation.render.environment import render
from percepnet.evaluation.render.report import Table
from percepnet.evaluation.robustness import MEASURES, SHOWN, Curves
from percepnet.evaluation.scenes import CURVES
from percepnet.systems.system import OWN_SYSTEM

Means = Mapping[str, Mapping[str, list[float]]]


def to_markdown(curves: Curves, command: str = "") -> str:
    """A table for each curve; `command` is what was typed."""
    views = []
    for name, means in curves.means.items():
        curve = CURVES[name]
        header = ["metric", "system", *(f"{value:g} {curve.unit}" for value in curve.values)]
        rows = [
            [MEASURES[m], system, *(format_score(m, v) for v in of_system.get(m, []))]
            for m in _shown(means)
            for system, of_system in means.items()
        ]
        views.append({"title": curve.title, "header": header, "rows": rows})
    return render(
        "robustness.md",
        recordings=curves.recordings,
        pairs=curves.pairs,
        curves=views,
        missing=_missing(curves),
        command=command or curves.command(),
    )


def to_html(curves: Curves, command: str = "") -> str:
    """A page with plots and tables; `command` is what was typed."""
    return render(
        "robustness.html",
        title=f"Robustness on {curves.pairs}",
        about=f"Means of {curves.recordings} recordings",
        own=OWN_SYSTEM,
        curves=[_view(name, means) for name, means in curves.means.items()],
        missing=_missing(curves),
        command=command or curves.command(),
    )


def _view(name: str, means: Means) -> dict[str, Any]:
    curve = CURVES[name]
    plots, tables = [], []
    for m in _shown(means):
        lines = {system: of_system[m] for system, of_system in means.items() if m in of_system}
        plots.append(curve_plot(curve.values, lines, MEASURES[m], curve.unit))
        rows: list[tuple[str, list[Any]]] = [
            (system, [format_score(m, v) for v in values]) for system, values in lines.items()
        ]
        tables.append(Table(MEASURES[m], ["system", *(f"{v:g} {curve.unit}" for v in curve.values)], rows))
    return {"name": name, "title": curve.title, "plots": plots, "tables": tables}


def _shown(means: Means) -> list[str]:
    return [m for m in SHOWN if any(m in of_system for of_system in means.values())]


def _missing(curves: Curves) -> dict[str, dict[str, str]]:
    return {"Not scored": curves.failures, "Left out": curves.skipped}
