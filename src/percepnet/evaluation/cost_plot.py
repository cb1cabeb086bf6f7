"""Quality against computing time, as a drawing in SVG that goes with light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 52, 20, 26, 46
LABEL_HEIGHT = 15
LABEL_WIDTH = 7.2  # of a letter, about


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

    parts = [f'<text class="title" x="{LEFT}" y="16">{escape(title)}</text>']
    for exponent in range(first, last + 1):
        x = x_of(exponent)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        label = f"{10.0**exponent:g} %"
        parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{label}</text>')
    for i in range(round((top - bottom) / step) + 1):
        value = bottom + i * step
        y = y_of(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="tick" x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">share of one core</text>')
    if math.isfinite(baseline):
        y = y_of(baseline)
        parts.append(f'<line class="baseline" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT + 4}" y="{y - 5:.1f}">{escape(baseline_name)}</text>')
    labels: list[tuple[float, float, float]] = []
    for point, place in sorted(zip(points, exponents, strict=True), key=lambda pair: -pair[0].value):
        x, y = x_of(place), y_of(point.value)
        own = " own" if point.name.startswith("percepnet") else ""
        if math.isfinite(point.low) and math.isfinite(point.high):
            low, high = y_of(point.low), y_of(point.high)
            parts.append(f'<line class="interval{own}" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
        parts.append(f'<circle class="point{own}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
        width = LABEL_WIDTH * len(point.name)
        at_left = x + 10 + width > WIDTH
        start, label_y = (x - 10 - width if at_left else x + 10), y + 4
        for other_start, other_end, other_y in labels:  # sorted downwards: a label gives way downwards
            if start < other_end and other_start < start + width and abs(label_y - other_y) < LABEL_HEIGHT:
                label_y = other_y + LABEL_HEIGHT
        labels.append((start, start + width, label_y))
        anchor = ' text-anchor="end"' if at_left else ""
        label_x = x - 10 if at_left else x + 10
        parts.append(
            f'<text class="label{own}" x="{label_x:.1f}" y="{label_y:.1f}"{anchor}>{escape(point.name)}</text>'
        )
    described = "; ".join(f"{p.name}: {p.value:.2f} at {100 * p.real_time_factor:.2g} % of a core" for p in points)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)} against computing time. '
        f'{escape(described)}">{"".join(parts)}</svg>'
    )


def grid_step(span: float) -> float:
    """A round distance of grid lines: about five in a span."""
    raw = max(span, 1e-6) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= raw)
