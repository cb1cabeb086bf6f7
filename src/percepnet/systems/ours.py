"""percepnet among the systems that are compared: the recording itself, the models with their settings, the oracle."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

import percepnet
from percepnet.arrays import Samples
from percepnet.engine import engine
from percepnet.model import Model, load_model
from percepnet.model.file import model_path
from percepnet.params import PERCEPNET_FEATURES, SAMPLE_RATE_HZ
from percepnet.reference.oracle import oracle_steps
from percepnet.stream import BEST, QUALITIES, Enhancer, enhance
from percepnet.systems.digest import digest
from percepnet.systems.system import OWN_SYSTEM, Frame, Oracle, Process, System

SMALL = "small"


def _unchanged(_model: str | None) -> Process:
    return lambda noisy: noisy


def _enhancer(model: str | None, **settings: Any) -> Process:
    loaded = load_model(model)

    def process(noisy: Samples) -> Samples:
        return cast(Samples, Enhancer(SAMPLE_RATE_HZ, 1, model=loaded, **settings).process(noisy))

    return process


def _best(_model: str | None) -> Process:
    return lambda noisy: cast(Samples, enhance(noisy, SAMPLE_RATE_HZ, quality=BEST))


def _live_enhancer(model: str | None, **settings: Any) -> Frame:
    return Enhancer(SAMPLE_RATE_HZ, model=load_model(model), **settings).process


def _oracle(model: str | None) -> Oracle:
    params = load_model(model).params
    return Oracle(lambda clean, noisy: np.asarray(oracle_steps(clean, noisy, params, "noisy").comb, np.float32))


def _version(model: str | None, **settings: bool) -> str:
    """Settings, engine, weights, and the code that runs them."""
    folder = Path(percepnet.__file__).parent
    code = [*folder.glob("*.py"), *folder.glob("_core*"), *folder.glob("reference/*.py"), *folder.glob("model/*.py")]
    return digest(f"{engine()} {sorted(settings.items())}", [*sorted(code), model_path(model)])


def _version_of_best(_model: str | None) -> str:
    """Both networks, and the code that runs them."""
    folder = Path(percepnet.__file__).parent
    code = [*folder.glob("offline/*.py"), *folder.glob("model/weights/offline/*.safetensors")]
    return digest(_version(QUALITIES[BEST]), sorted(code))


def _version_of_oracle(model: str | None) -> str:
    """The signal path in NumPy, which is all that decides and runs where the decisions are perfect."""
    folder = Path(percepnet.__file__).parent / "reference"
    # what a network is given has no part in it
    params = replace(load_model(model).params, feature_blocks=PERCEPNET_FEATURES)
    return digest(repr(params), sorted(folder.glob("*.py")))


def _with(title: str, name: str | None = None, **settings: bool) -> System:
    """percepnet with a model, or with the one that is asked for, and other settings than the usual."""

    def of(work: Callable[..., Any]) -> Callable[[str | None], Any]:
        return lambda model: work(name or model, **settings)

    named = name is not None or bool(settings)
    return System(title, of(_enhancer), live=of(_live_enhancer), version=of(_version), only_when_named=named)


def model_of(name: str, model: str | None) -> Model | None:
    """The model that a system of ours runs where percepnet's is `model`; None for other systems."""
    return load_model(SMALL if name == SMALL else model) if name in (OWN_SYSTEM, SMALL) else None


def our_systems() -> dict[str, System]:
    """The recording itself, and percepnet, by name."""
    return {
        "noisy": System("the recording itself", _unchanged, version=lambda _model: "1"),
        "percepnet": _with("percepnet"),
        "percepnet-without-comb-filter": _with("percepnet without the comb filter", comb_filter=False),
        "percepnet-with-post-filter": _with("percepnet with the post-filter", post_filter=True),
        SMALL: _with("percepnet's small model", SMALL),
        BEST: System("percepnet, from both ends", _best, version=_version_of_best, only_when_named=True),
        "oracle": System("perfect decisions", _oracle, version=_version_of_oracle, only_when_named=True),
    }
