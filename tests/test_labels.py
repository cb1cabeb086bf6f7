from itertools import combinations

import numpy as np

from percepnet.evaluation.render.labels import Box, place_labels, spread

CHART = Box(0, 0, 560, 340)


def test_a_lone_name_stands_at_the_right_of_its_point():
    (box,) = place_labels([(100, 50)], [70], 14, [], CHART)
    assert box == (110, 43, 180, 57)


def test_at_the_edge_it_stands_at_the_left():
    (box,) = place_labels([(540, 50)], [70], 14, [], CHART)
    assert box.right == 530


def test_names_cover_neither_each_other_nor_points():
    rng = np.random.default_rng(0)
    for _ in range(20):
        points = [(float(x), float(y)) for x, y in zip(rng.uniform(60, 500, 7), rng.uniform(100, 240, 7), strict=True)]
        dots = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in points]
        boxes = place_labels(points, [80] * 7, 14, dots, CHART)
        assert not any(a.shared(b) for a, b in combinations(boxes, 2))
        assert not any(box.shared(dot) for box in boxes for dot in dots)
        assert all(box.shared(CHART) > 80 * 14 - 1e-6 for box in boxes)


def test_points_at_one_place_have_names_below_and_above_each_other():
    boxes = place_labels([(100, 100)] * 5, [60] * 5, 14, [], CHART)
    assert not any(a.shared(b) > 1e-6 for a, b in combinations(boxes, 2))


def test_without_any_room_the_least_is_covered():
    (box,) = place_labels([(100, 100)], [60], 14, [Box(0, 0, 560, 100)], CHART)
    assert box.top >= 100


def test_lines_are_spread_downwards_and_up_again_at_the_bottom():
    assert spread([10, 12, 100], 15, 340) == [10, 25, 100]
    assert spread([300, 330, 335, 339], 15, 340) == [295, 310, 325, 340]
    assert spread([], 15, 340) == []
