import math
from itertools import pairwise
from xml.etree import ElementTree

from percepnet.evaluation.render.cost_plot import Point, cost_plot

POINTS = [
    Point("percepnet", 0.03, 2.0, 1.9, 2.1),
    Point("peer <1>", 0.001, 1.8, math.nan, math.nan),
    Point("free", 0.0, 1.9, 1.8, 2.0),
    Point("unknown", 0.1, math.nan, math.nan, math.nan),
]


def test_points_are_where_they_belong():
    svg = ElementTree.fromstring(cost_plot(POINTS, "PESQ & more", 1.5))
    circles = svg.findall("circle")
    assert len(circles) == 2  # no time, or no score: no place
    best, other = ((float(c.get("cx")), float(c.get("cy"))) for c in circles)
    assert best[0] > other[0]
    assert best[1] < other[1]
    texts = [text.text for text in svg.findall("text")]
    assert {"percepnet", "peer <1>", "noisy", "PESQ & more", "0.1 %", "10 %"} <= set(texts)
    assert "peer <1>: 1.80 at 0.1 % of a core" in svg.get("aria-label")


def test_labels_do_not_lie_on_each_other():
    points = [Point(f"system {i}", 0.01, 2 + i / 1000, math.nan, math.nan) for i in range(5)]
    svg = ElementTree.fromstring(cost_plot(points, "PESQ", math.nan))
    heights = sorted(float(t.get("y")) for t in svg.findall("text") if t.get("class", "").startswith("label"))
    assert min(b - a for a, b in pairwise(heights)) >= 14


def test_nothing_to_draw_gives_nothing():
    assert cost_plot(POINTS[2:], "PESQ", 1.0) == ""
