from pathlib import Path

import numpy as np
import pytest
import soundfile

import percepnet
from models import random_model
from percepnet import native
from percepnet.engine import CORE, NUMPY, VARIABLE, engine, open_stream
from percepnet.errors import PercepNetError
from percepnet.reference import stream as reference

CLIPS = Path(__file__).parents[1] / "examples" / "clips" / "noisy"


def core_is_here():
    try:
        native.library()
    except native.CoreMissing:
        return False
    return True


needs_core = pytest.mark.skipif(not core_is_here(), reason="the C core is not built")


@pytest.fixture
def no_core(monkeypatch):
    def refuse():
        raise native.CoreMissing("_core.so: not built")

    monkeypatch.setattr(native, "library", refuse)


def test_numpy_can_be_asked_for(monkeypatch):
    monkeypatch.setenv(VARIABLE, NUMPY)
    assert engine() == NUMPY
    assert isinstance(open_stream(random_model()), reference.Stream)


@needs_core
@pytest.mark.parametrize("value", ["", CORE, None])
def test_core_is_the_default(monkeypatch, value):
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    assert engine() == CORE
    assert isinstance(open_stream(random_model()), native.Stream)


def test_numpy_stands_in_for_a_missing_core(monkeypatch, no_core):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert engine() == NUMPY


def test_missing_core_that_was_asked_for_is_an_error(monkeypatch, no_core):
    monkeypatch.setenv(VARIABLE, CORE)
    with pytest.raises(PercepNetError, match=r"PERCEPNET_ENGINE is core, but .* not built"):
        engine()


def test_unknown_engine_is_refused(monkeypatch):
    monkeypatch.setenv(VARIABLE, "gpu")
    with pytest.raises(PercepNetError, match="'gpu': set it to core or numpy"):
        percepnet.Enhancer(model=random_model())


@needs_core
@pytest.mark.parametrize("name", ["sea_female", "helicopter_male"])
def test_engines_agree_on_real_speech(monkeypatch, name):
    """To what 8 bits allow; `test_core` holds the same arithmetic to 1e-4.

    At 48 kHz: bands without any signal hold rounding errors, and the coherence of those is anybody's.
    """
    x, _ = soundfile.read(CLIPS / f"{name}.flac", frames=2 * 48_000, dtype="float32")
    outputs = {}
    for choice in (CORE, NUMPY):
        monkeypatch.setenv(VARIABLE, choice)
        outputs[choice] = percepnet.enhance(x, 48_000, model=random_model(6))
    error = np.linalg.norm(outputs[CORE] - outputs[NUMPY])
    assert error < 0.02 * np.linalg.norm(outputs[NUMPY])
