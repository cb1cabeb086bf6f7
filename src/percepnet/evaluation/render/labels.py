"""Where the names of points go in a chart, so that none lies on another, on a point, or on a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LABEL_HEIGHT = 15
LABEL_WIDTH = 7.2  # of a letter, about
GAP = 10.0  # between a point and its name
STEPS = (0, -1, 1, -2, 2, -3, 3, -4, 4, -5, 5)  # lines up and down, nearest first


class Box(NamedTuple):
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def shared(self, other: Box) -> float:
        """Area that two have in common."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return width * height if width > 0 and height > 0 else 0.0


def place_labels(
    points: Sequence[tuple[float, float]], widths: Sequence[float], height: float, taken: Sequence[Box], inside: Box
) -> list[Box]:
    """Boxes for names, each as near to its point as may be.

    Parameters
    ----------
    points : sequence of (x, y)
        In the order in which they choose.
    widths : sequence of float
        Of their names.
    height : float
        Of a line of text.
    taken : sequence of Box
        What names should not cover: points, intervals, other text.
    inside : Box
        Where names may be.

    Returns
    -------
    list of Box
        At the right or at the left of their points; lines higher or lower where there is no room. Where there is none
        anywhere, the box that covers least.
    """
    placed: list[Box] = []
    for (x, y), width in zip(points, widths, strict=True):
        candidates = []
        for step in STEPS:
            top = y - height / 2 + step * height
            candidates += [Box(x + GAP, top, x + GAP + width, top + height)]
            candidates += [Box(x - GAP - width, top, x - GAP, top + height)]
        area = width * height

        def covered(box: Box, area: float = area) -> float:
            return sum(box.shared(other) for other in (*taken, *placed)) + 2 * (area - box.shared(inside))

        placed.append(min(candidates, key=lambda box: round(covered(box), 3)))  # the first of equals: the nearest
    return placed


def spread(heights: Sequence[float], distance: float, lowest: float) -> list[float]:
    """Heights of lines of text that are no nearer to each other than a distance, and end above the lowest place.

    Parameters
    ----------
    heights : sequence of float
        Where they would be, from the top down; y grows downwards.
    distance, lowest : float
    """
    found: list[float] = []
    for height in heights:
        found.append(max(height, found[-1] + distance) if found else height)
    for i in reversed(range(len(found))):
        found[i] = min(found[i], lowest - distance * (len(found) - 1 - i))
    return found
