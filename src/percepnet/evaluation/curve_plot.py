"""Scores over a property of the input, as a drawing in SVG that goes with light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from percepnet.evaluation.cost_plot import BOTTOM, HEIGHT, LEFT, TOP, WIDTH, grid_step

LABEL_SPACE = 92  # at the right, for the names of the systems
LABEL_HEIGHT = 15


def curve_plot(values: Sequence[float], lines: Mapping[str, Sequence[float]], title: str, unit: str) -> str:
    """A line for each system.

    Parameters
    ----------
    values : sequence of float
        Of the property, in order.
    lines : mapping
        Scores of each system, one a value; nan leaves a gap.
    title : str
        The measure.
    unit : str
        Of the values.

    Returns
    -------
    str
        An ``svg`` element; empty where there is nothing to draw.
    """
    scores = [score for line in lines.values() for score in line if math.isfinite(score)]
    if not scores:
        return ""
    step = grid_step(max(scores) - min(scores))
    bottom, top = step * math.floor(min(scores) / step - 0.2), step * math.ceil(max(scores) / step + 0.2)
    right = WIDTH - LABEL_SPACE

    def x_of(value: float) -> float:
        return LEFT + (value - values[0]) / ((values[-1] - values[0]) or 1) * (right - LEFT)

    def y_of(score: float) -> float:
        return HEIGHT - BOTTOM - (score - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<text class="title" x="{LEFT}" y="16">{escape(title)}</text>']
    for value in values:
        x = x_of(value)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:g}</text>')
    for i in range(round((top - bottom) / step) + 1):
        y = y_of(bottom + i * step)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{bottom + i * step:.3g}</text>'
        )
    middle = (LEFT + right) / 2
    parts.append(f'<text class="tick" x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(unit)}</text>')
    label_y = -math.inf
    ends = {name: next((s for s in reversed(line) if math.isfinite(s)), math.nan) for name, line in lines.items()}
    for name in sorted(lines, key=lambda n: -ends[n] if math.isfinite(ends[n]) else math.inf):
        points = [(x_of(v), y_of(s)) for v, s in zip(values, lines[name], strict=False) if math.isfinite(s)]
        if not points:
            continue
        own = " own" if name.startswith("percepnet") else ""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="curve{own}" points="{path}"/>')
        parts += [f'<circle class="point{own}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
        label_y = max(points[-1][1] + 4, label_y + LABEL_HEIGHT)
        parts.append(f'<text class="label{own}" x="{points[-1][0] + 8:.1f}" y="{label_y:.1f}">{escape(name)}</text>')
    label = escape(f"{title} over {unit}: {', '.join(lines)}; the numbers are in the tables")
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
