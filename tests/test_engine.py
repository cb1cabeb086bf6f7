import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

import percepnet
from blas_threads import blas_threads, two_threads
from models import random_model
from percepnet import engine as engine_module
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


def test_numpy_stands_in_for_a_missing_core_and_says_so_once(monkeypatch, no_core):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(engine_module, "_warned", threading.Event())
    with pytest.warns(RuntimeWarning, match=r"runs on NumPy.*not built; set PERCEPNET_ENGINE=numpy if") as caught:
        assert percepnet.Enhancer(model=random_model()).engine == NUMPY
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert engine() == NUMPY
        assert percepnet.Enhancer(model=random_model()).engine == NUMPY


def test_numpy_that_was_asked_for_needs_no_warning(monkeypatch, no_core):
    monkeypatch.setattr(engine_module, "_warned", threading.Event())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert engine(NUMPY) == NUMPY
        monkeypatch.setenv(VARIABLE, NUMPY)
        assert engine() == NUMPY


def test_parameter_comes_before_the_variable(monkeypatch, no_core):
    monkeypatch.setenv(VARIABLE, CORE)
    assert engine(NUMPY) == NUMPY
    monkeypatch.setenv(VARIABLE, NUMPY)
    with pytest.raises(PercepNetError, match=r"engine is core, but .* not built"):
        engine(CORE)


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


def test_numpy_keeps_blas_to_one_thread_while_it_calculates():
    seen = []

    class Watched(engine_module.NumpyStream):
        def _run(self, x, far):
            seen.append(blas_threads())
            return super()._run(x, far)

    stream = Watched(random_model())
    with two_threads():
        stream.process(np.zeros((1, 960), np.float32))
        stream.flush()
        assert seen == [{1}, {1}]
        assert blas_threads() == {2}


def test_package_says_that_it_is_typed():
    assert (Path(percepnet.__file__).parent / "py.typed").is_file()
