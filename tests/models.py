"""Small models with known behaviour, for tests."""

import numpy as np

from percepnet.model import PRESETS, Architecture, Model
from percepnet.params import SignalParams


def random_model(seed: int = 0, params: SignalParams | None = None, preset: str | Architecture = "tiny") -> Model:
    """Untrained weights, of a preset by name or of any network."""
    params = params or SignalParams()
    rng = np.random.default_rng(seed)
    architecture = PRESETS[preset] if isinstance(preset, str) else preset
    shapes = architecture.shapes(params)
    return Model(params, architecture, {n: rng.uniform(-0.5, 0.5, s).astype(np.float32) for n, s in shapes.items()})


def constant_model(gain: float, strength: float, params: SignalParams | None = None) -> Model:
    """The same gain and strength in every band of every frame."""
    params = params or SignalParams()

    def logit(p: float) -> float:
        return float(np.clip(np.log(max(p, 1e-30)) - np.log1p(-min(p, 1 - 1e-16)), -60, 60))

    weights = {name: np.zeros(shape, np.float32) for name, shape in PRESETS["tiny"].shapes(params).items()}
    weights["gain.bias"][:] = logit(gain)
    weights["strength.bias"][:] = logit(strength)
    return Model(params, PRESETS["tiny"], weights)
