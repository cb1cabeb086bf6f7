"""Drawings in SVG that go with light and dark pages: lines, points and words, in the order in which they are added."""

import math
from typing import Any

from markupsafe import Markup

from percepnet.evaluation.render.environment import render

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 52, 20, 26, 46


class Drawing:
    """A diagram with its title.

    Parameters
    ----------
    title : str
    """

    def __init__(self, title: str) -> None:
        self._shapes: list[dict[str, Any]] = []
        self.text(LEFT, 16, title, "title")

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self._shapes.append({"shape": "line", "kind": kind, "x1": x1, "y1": y1, "x2": x2, "y2": y2})

    def circle(self, x: float, y: float, radius: float, kind: str) -> None:
        self._shapes.append({"shape": "circle", "kind": kind, "x": x, "y": y, "radius": radius})

    def polyline(self, points: list[tuple[float, float]], kind: str) -> None:
        self._shapes.append({"shape": "polyline", "kind": kind, "points": points})

    def text(self, x: float, y: float, text: str, kind: str, anchor: str = "") -> None:
        """Words that begin, end or have their middle (anchor "", "end", "middle") at a place."""
        self._shapes.append({"shape": "text", "kind": kind, "x": x, "y": y, "text": text, "anchor": anchor})

    def svg(self, description: str) -> Markup:
        """The drawing as an ``svg`` element, for those who do not see it with a description."""
        text = render("drawing.svg", shapes=self._shapes, description=description, width=WIDTH, height=HEIGHT)
        return Markup(text)


def grid_step(span: float) -> float:
    """A round distance of grid lines: about five in a span."""
    raw = max(span, 1e-6) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= raw)
