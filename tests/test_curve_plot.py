import math
from xml.etree import ElementTree

from percepnet.evaluation.render.curve_plot import curve_plot


def test_lines_go_through_their_scores():
    svg = ElementTree.fromstring(
        curve_plot((0, 5, 10), {"noisy": [1, 2, 3], "percepnet": [2, math.nan, 3]}, "A & B", "dB")
    )
    lines = [line.get("points").split() for line in svg.findall("polyline")]
    assert sorted(map(len, lines)) == [2, 3]
    x, y = zip(*((float(v) for v in point.split(",")) for point in max(lines, key=len)), strict=True)
    assert x[1] - x[0] == x[2] - x[1] > 0
    assert y[0] > y[1] > y[2]


def test_nothing_to_draw_gives_nothing():
    assert curve_plot((0, 1), {"noisy": [math.nan, math.nan]}, "A", "dB") == ""
