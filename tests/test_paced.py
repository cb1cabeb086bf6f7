import numpy as np
import pytest

pytest.importorskip("soxr", reason="the package soxr is not installed")

from percepnet.bench.measure import System
from percepnet.bench.peers import PeerMissing
from percepnet.evaluation import paced
from percepnet.evaluation.compare import Comparison, Row
from percepnet.evaluation.peers import PEERS


def test_only_systems_that_are_known_and_there_are_measured(monkeypatch):
    heard = []

    def missing(_model):
        raise PeerMissing("not measured")

    monkeypatch.setattr(paced, "LIVE", {"a": lambda _: System("another name", heard.append), "gone": missing})
    factors = paced.paced_factors(["a", "gone", "noisy"], seconds=0.05)
    assert set(factors) == {"a"}
    assert 0 <= factors["a"] < 1
    assert {hop.shape for hop in heard} == {(480,)}
    assert {hop.dtype for hop in heard} == {np.dtype(np.float32)}


def test_what_is_measured_live_can_be_compared_too():
    assert set(paced.LIVE) <= set(PEERS)
    assert set(paced.paced_factors(["percepnet", "percepnet-with-post-filter"], seconds=0.02)) == {
        "percepnet",
        "percepnet-with-post-filter",
    }


def test_the_report_has_a_column_only_where_it_was_measured():
    rows = [Row("0", name, None, {"stoi": 0.5}, costs={"rtf": 0.003}) for name in ("noisy", "fast", "slow")]
    without = Comparison("pairs", rows)
    assert "paced" not in without.to_markdown() + without.to_json() + without.evaluation_command()
    measured = Comparison("pairs", rows, paced={"fast": 0.0125})
    lines = measured.to_markdown().splitlines()
    assert "| system | real-time factor, ‰ | real-time factor, paced, ‰ | delay (ms) |" in lines
    assert "| fast | 3.0 | 12.5 | – |" in lines
    assert "| slow | 3.0 | – | – |" in lines
    assert "| noisy | – | – | – |" in lines
    assert measured.evaluation_command().endswith("--paced")
