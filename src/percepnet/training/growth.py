"""A trained network made wider without forgetting anything: the start of a larger network that is not from nothing.

As in Net2Net (Chen, Goodfellow and Shlens, ICLR 2016) the wider network gives at first exactly what the narrower one
gives. Its new units start at random and are heard by none of the old ones and by no output until training says so.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from percepnet.errors import ModelError
from percepnet.model import GRUS, Architecture, Model
from percepnet.training.network import TrainingNetwork, to_model

GATES = 3


def grown(model: Model, architecture: Architecture, seed: int = 0) -> Model:
    """A model of another architecture, at least as wide in every layer, that gives the same gains and strengths.

    Parameters
    ----------
    model : Model
    architecture : Architecture
    seed : int
        Of the new units' weights.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        If a layer would become narrower.
    """
    sizes = asdict(architecture)
    for name, units in asdict(model.architecture).items():
        if sizes[name] < units:
            raise ModelError(f"a network of {units} units in {name} cannot grow to {sizes[name]}: it can only widen")
    torch.manual_seed(seed)
    weights = to_model(TrainingNetwork(model.params, architecture)).weights
    old, new = _layout(model.architecture), _layout(architecture)
    for name, weight in model.weights.items():
        layer, kind = name.split(".")
        inputs = "hidden" if kind.endswith("hh") else "inputs"
        rows = _places(old[layer]["units"], new[layer]["units"], len(weight))
        if kind.startswith("bias"):
            weights[name][rows] = weight
        else:
            columns = _places(old[layer][inputs], new[layer][inputs], weight.shape[1])
            weights[name][rows] = 0
            weights[name][np.ix_(rows, columns)] = weight
    return Model(model.params, architecture, weights, dict(model.info))


def _layout(sizes: Architecture) -> dict[str, dict[str, list[int]]]:
    """Of each layer, the sizes of what its rows and columns consist of; none where they stay as they are."""
    skips = [sizes.conv2] + 4 * [sizes.gru]
    layout: dict[str, dict[str, Any]] = {
        "dense": {"units": [sizes.dense], "inputs": []},
        "conv1": {"units": [sizes.conv1], "inputs": [sizes.dense]},
        "conv2": {"units": [sizes.conv2], "inputs": [sizes.conv1]},
        "gain": {"units": [], "inputs": skips},
        "strength": {"units": [], "inputs": [sizes.strength_gru]},
    }
    inputs = ([sizes.conv2], [sizes.gru], [sizes.gru], [sizes.gru], [sizes.gru, sizes.conv2])
    for name, parts in zip(GRUS, inputs, strict=True):
        units = sizes.strength_gru if name == "strength_gru" else sizes.gru
        layout[name] = {"units": GATES * [units], "inputs": parts, "hidden": [units]}
    return layout


def _places(old: list[int], new: list[int], count: int) -> npt.NDArray[np.intp]:
    """Where the old units are among the new ones, part by part."""
    if not old:
        return np.arange(count)
    starts = np.concatenate([[0], np.cumsum(new)[:-1]])
    return np.concatenate([start + np.arange(units) for start, units in zip(starts, old, strict=True)])
