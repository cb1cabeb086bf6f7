import numpy as np
import pytest

pytest.importorskip("soxr", reason="the package soxr is not installed")

from percepnet.evaluation import paced
from percepnet.evaluation.comparison import Comparison, Row
from percepnet.evaluation.render.report import to_markdown
from percepnet.systems import register as register_module
from percepnet.systems.register import Register
from percepnet.systems.system import System


def test_only_systems_that_are_known_and_there_are_measured(monkeypatch):
    heard = []

    def missing(_model):
        raise ModuleNotFoundError("No module named 'gone'")

    noisy = register_module.SYSTEMS["noisy"]
    systems = {"a": System("A", missing, live=lambda _: heard.append), "gone": System("", missing, live=missing)}
    monkeypatch.setattr(register_module, "SYSTEMS", systems | {"noisy": noisy})
    factors = paced.paced_factors(["a", "gone", "noisy"], Register(), seconds=0.05)
    assert set(factors) == {"a"}
    assert 0 <= factors["a"] < 1
    assert {hop.shape for hop in heard} == {(480,)}
    assert {hop.dtype for hop in heard} == {np.dtype(np.float32)}


def test_what_is_measured_live_can_be_compared_too():
    assert set(paced.paced_factors(["percepnet", "percepnet-with-post-filter"], Register(), seconds=0.02)) == {
        "percepnet",
        "percepnet-with-post-filter",
    }


def test_the_report_has_a_column_only_where_it_was_measured():
    rows = [Row("0", name, None, {"stoi": 0.5}, costs={"rtf": 0.003}) for name in ("noisy", "fast", "slow")]
    without = Comparison("pairs", rows)
    assert "paced" not in to_markdown(without) + without.to_json() + without.evaluation_command()
    measured = Comparison("pairs", rows, paced={"fast": 0.0125})
    lines = to_markdown(measured).splitlines()
    assert "| system | real-time factor, ‰ | real-time factor, paced, ‰ | delay (ms) |" in lines
    assert "| fast | 3.0 | 12.5 | – |" in lines
    assert "| slow | 3.0 | – | – |" in lines
    assert "| noisy | – | – | – |" in lines
    assert measured.evaluation_command().endswith("--paced")
