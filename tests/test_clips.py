import numpy as np
import pytest

from percepnet.evaluation.clips import choose_clips
from percepnet.evaluation.comparison import Comparison, Row


def comparison(gains):
    rows = []
    for i, gain in enumerate(gains):
        rows.append(Row(str(i), "noisy", None, {"pesq_wb": 2.0}))
        rows.append(Row(str(i), "percepnet", None, {"pesq_wb": 2.0 + gain}))
        rows.append(Row(str(i), "peer", None, {"pesq_wb": 1.0}))
    return Comparison("pairs", rows)


def test_the_worst_come_first_and_then_the_best():
    system, measure, chosen = choose_clips(comparison([0.3, -0.1, 0.5, 0.0, 0.4, 0.1]), 4)
    assert (system, measure) == ("percepnet", "pesq_wb")
    assert [(name, rank) for name, rank, _ in chosen] == [("1", "worst"), ("3", "worst"), ("2", "best"), ("4", "best")]
    assert chosen[0][2] == pytest.approx(-0.1)


def test_few_recordings_are_all_there_in_that_order():
    _, _, chosen = choose_clips(comparison([0.3, -0.1, np.nan]), 8)
    assert [(name, rank) for name, rank, _ in chosen] == [("1", ""), ("0", ""), ("2", "")]


def test_what_has_no_score_is_neither_worst_nor_best():
    _, _, chosen = choose_clips(comparison([np.nan, 0.1, 0.2, np.nan]), 3)
    assert [name for name, _, _ in chosen] == ["1", "2"]
    assert choose_clips(comparison([0.1]), 0)[2] == []
