"""The signal path with gains of one and strengths of zero: theory says that it is a pure delay of (M + 1) hops.

Put in the place of the real one, it turns what the rim does with rates, chunks, channels and files into exact numbers.
"""

import os
import time
from typing import Any

import numpy as np
import pytest

import percepnet.cli
import percepnet.cli.enhance
import percepnet.stream
from percepnet.arrays import Samples
from percepnet.engine import NUMPY, VARIABLE, NumpyStream, Stream
from percepnet.errors import ModelError
from percepnet.model import PRESETS, Model
from percepnet.params import HOP_SAMPLES, SignalParams


class IdentityModel:
    params = SignalParams()


class IdentityFrameEnhancer:
    speech_probability = None

    def __init__(self, model: IdentityModel, channels: int = 1, **settings: Any) -> None:
        self.channels = channels
        self.settings = settings
        self.attenuation_limit_db = settings["attenuation_limit_db"]
        self.hops = model.params.latency_samples // HOP_SAMPLES
        self.pause_s = float(os.environ.get("IDENTITY_PAUSE_S", "0"))
        self.reset()

    def reset(self) -> None:
        self.line = [np.zeros((self.channels, HOP_SAMPLES), dtype=np.float32)] * self.hops

    def end(self) -> None:
        """There is nothing that it makes of a future."""

    def process(self, hops: Samples) -> Samples:
        assert hops.shape[0] == self.channels
        assert hops.dtype == np.float32
        count, rest = divmod(hops.shape[1], HOP_SAMPLES)
        assert not rest
        time.sleep(self.pause_s * count)
        self.line += np.split(hops.copy(), count, axis=1)
        ready, self.line = self.line[:count], self.line[count:]
        return np.concatenate(ready, axis=1)


def open_identity_stream(*arguments: Any, wanted: str, **settings: Any) -> Stream:
    return NumpyStream(*arguments, frame_enhancer=IdentityFrameEnhancer, **settings)  # type: ignore[arg-type]


def load_identity(name_or_path: object = None) -> IdentityModel:
    if name_or_path is not None:
        raise ModelError(f"{name_or_path}: not a model file")
    return IdentityModel()


def random_model() -> Model:
    """The real network at its smallest, with weights that are drawn once for all; for the parts that identity hides."""
    params, architecture = SignalParams(), PRESETS["tiny"]
    rng = np.random.default_rng(0)
    shapes = architecture.shapes(params).items()
    return Model(
        params, architecture, {name: rng.uniform(-0.3, 0.3, shape).astype(np.float32) for name, shape in shapes}
    )


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, NUMPY)
    monkeypatch.setattr(percepnet.stream, "open_stream", open_identity_stream)
    monkeypatch.setattr(percepnet.stream, "Model", IdentityModel)
    monkeypatch.setattr(percepnet.stream, "shared_model", load_identity)
    monkeypatch.setattr(percepnet.cli.enhance, "load_model", load_identity)


if __name__ == "__main__":  # the command line over the identity system, for tests that need a process
    with pytest.MonkeyPatch.context() as monkeypatch:
        install(monkeypatch)
        percepnet.cli.main()
