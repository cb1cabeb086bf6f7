"""Scores over a property of the input, as a drawing in SVG that goes with light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from percepnet.evaluation.render.drawing import BOTTOM, HEIGHT, LEFT, TOP, WIDTH, Drawing, grid_step
from percepnet.evaluation.render.labels import LABEL_HEIGHT, LABEL_WIDTH, spread

LABEL_SPACE_MAX = 230  # at the right, for the names of the systems


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
    right = WIDTH - 2 * round(min(LABEL_SPACE_MAX, 12 + LABEL_WIDTH * max(map(len, lines))) / 2)

    def x_of(value: float) -> float:
        return LEFT + (value - values[0]) / ((values[-1] - values[0]) or 1) * (right - LEFT)

    def y_of(score: float) -> float:
        return HEIGHT - BOTTOM - (score - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    drawing = Drawing(title)
    for value in values:
        x = x_of(value)
        drawing.line(x, TOP, x, HEIGHT - BOTTOM, "grid")
        drawing.text(x, HEIGHT - BOTTOM + 16, f"{value:g}", "tick", "middle")
    for i in range(round((top - bottom) / step) + 1):
        y = y_of(bottom + i * step)
        drawing.line(LEFT, y, right, y, "grid")
        drawing.text(LEFT - 6, y + 4, f"{bottom + i * step:.3g}", "tick", "end")
    drawing.text((LEFT + right) / 2, HEIGHT - 8, unit, "tick", "middle")
    ends = {name: next((s for s in reversed(line) if math.isfinite(s)), math.nan) for name, line in lines.items()}
    drawn = sorted((name for name in lines if math.isfinite(ends[name])), key=lambda name: -ends[name])
    places = spread([y_of(ends[name]) + 4 for name in drawn], LABEL_HEIGHT, HEIGHT - BOTTOM + 4)
    for name, label_y in zip(drawn, places, strict=True):
        points = [(x_of(v), y_of(s)) for v, s in zip(values, lines[name], strict=False) if math.isfinite(s)]
        own = " own" if name.startswith("percepnet") else ""
        drawing.polyline(points, f"curve{own}")
        for x, y in points:
            drawing.circle(x, y, 3, f"point{own}")
        drawing.text(points[-1][0] + 8, label_y, name, f"label{own}")
    return drawing.svg(f"{title} over {unit}: {', '.join(lines)}; the numbers are in the tables")
