"""Quality against computing time, as a drawing in SVG that goes with light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from percepnet.evaluation.render.drawing import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Drawing, grid_step
from percepnet.evaluation.render.labels import LABEL_HEIGHT, LABEL_WIDTH, Box, place_labels

BASELINE = 3.5  # of a line of text, above its bottom


class Point(NamedTuple):
    """One system: seconds of one processor for a second of sound, and a mean score with its interval."""

    name: str
    real_time_factor: float
    value: float
    low: float
    high: float


def cost_plot(points: Sequence[Point], title: str, baseline: float, baseline_name: str = "noisy") -> str:
    """A scatter plot, time on a logarithmic axis.

    Parameters
    ----------
    points : sequence of Point
        Those without a finite value or a time above zero are left out.
    title : str
        The measure.
    baseline : float
        Score of the recordings themselves, a dashed line; nan for none.
    baseline_name : str
        What the line stands for.

    Returns
    -------
    str
        An ``svg`` element; empty where there is nothing to draw.
    """
    points = [p for p in points if p.real_time_factor > 0 and math.isfinite(p.value)]
    if not points:
        return ""
    exponents = [math.log10(100 * p.real_time_factor) for p in points]
    first, last = math.floor(min(exponents) - 0.1), math.ceil(max(exponents) + 0.1)
    values = [v for p in points for v in (p.value, p.low, p.high) if math.isfinite(v)]
    values += [baseline] if math.isfinite(baseline) else []
    step = grid_step(max(values) - min(values))
    bottom, top = step * math.floor(min(values) / step - 0.2), step * math.ceil(max(values) / step + 0.2)

    def x_of(exponent: float) -> float:
        return LEFT + (exponent - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y_of(value: float) -> float:
        return HEIGHT - BOTTOM - (value - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    drawing = Drawing(title)
    for exponent in range(first, last + 1):
        x = x_of(exponent)
        drawing.line(x, TOP, x, HEIGHT - BOTTOM, "grid")
        drawing.text(x, HEIGHT - BOTTOM + 16, f"{10.0**exponent:g} %", "tick", "middle")
    for i in range(round((top - bottom) / step) + 1):
        value = bottom + i * step
        y = y_of(value)
        drawing.line(LEFT, y, WIDTH - RIGHT, y, "grid")
        drawing.text(LEFT - 6, y + 4, f"{value:.3g}", "tick", "end")
    drawing.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "share of one core", "tick", "middle")
    if math.isfinite(baseline):
        y = y_of(baseline)
        drawing.line(LEFT, y, WIDTH - RIGHT, y, "baseline")
        drawing.text(LEFT + 4, y - 5, baseline_name, "tick")
    taken = []
    if math.isfinite(baseline):
        y = y_of(baseline)
        taken = [Box(LEFT, y - 16, LEFT + 4 + LABEL_WIDTH * len(baseline_name), y + 1)]
    ordered = sorted(zip(points, exponents, strict=True), key=lambda pair: -pair[0].value)
    places = [(x_of(place), y_of(point.value)) for point, place in ordered]
    for (x, y), (point, _) in zip(places, ordered, strict=True):
        taken.append(Box(x - 6, y - 6, x + 6, y + 6))
        if math.isfinite(point.low) and math.isfinite(point.high):
            taken.append(Box(x - 1, y_of(point.high), x + 1, y_of(point.low)))
    widths = [LABEL_WIDTH * len(point.name) for point, _ in ordered]
    labels = place_labels(places, widths, LABEL_HEIGHT, taken, Box(LEFT, TOP, WIDTH, HEIGHT - BOTTOM))
    for (point, _), (x, y), label in zip(ordered, places, labels, strict=True):
        own = " own" if point.name.startswith("percepnet") else ""
        if math.isfinite(point.low) and math.isfinite(point.high):
            drawing.line(x, y_of(point.low), x, y_of(point.high), f"interval{own}")
        drawing.circle(x, y, 5, f"point{own}")
        at_left = label.right < x
        text_x, text_y = (label.right if at_left else label.left), label.bottom - BASELINE
        if abs(text_y - y) > LABEL_HEIGHT:  # too far off to be told whose it is
            drawing.line(x, y, text_x, text_y - BASELINE, f"leader{own}")
        drawing.text(text_x, text_y, point.name, f"label{own}", "end" if at_left else "")
    described = "; ".join(f"{p.name}: {p.value:.2f} at {100 * p.real_time_factor:.2g} % of a core" for p in points)
    return drawing.svg(f"{title} against computing time. {described}")
