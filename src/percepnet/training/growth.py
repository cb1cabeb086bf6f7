"""A trained network made into another without forgetting: the start of a larger network that is not from nothing.

As in Net2Net (Chen, Goodfellow and Shlens, ICLR 2016) the wider network gives at first exactly what the narrower one
gives. Its new units start at random and are heard by none of the old ones and by no output until training says so. For
other bands, what the network hears and says is interpolated.
"""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from percepnet.errors import ModelError
from percepnet.model import GRUS, Architecture, Model
from percepnet.reference.bands import bands_of
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


def rebanded(model: Model, band_edges: tuple[int, ...]) -> Model:
    """A model for other bands, that gives nearly the same gains and strengths at every frequency.

    The weights of its inputs are spread over the bands that lie where those of the model did, and what it says of a
    band is interpolated from the bands around it.

    Parameters
    ----------
    model : Model
    band_edges : tuple of int
        Centres of the new bands, in bins of 50 Hz.

    Returns
    -------
    Model
    """
    params = replace(model.params, band_edges=band_edges)
    old, new = bands_of(model.params.band_edges).weights, bands_of(band_edges).weights
    spread = old @ new.T
    spread /= spread.sum(axis=1, keepdims=True)
    between = old[:, list(band_edges)].T
    inputs = np.zeros((model.params.features, params.features), np.float32)
    for part in range(2):  # energies and coherences
        rows, columns = (slice(part * count, (part + 1) * count) for count in spread.shape)
        inputs[rows, columns] = spread
    inputs[-2:, -2:] = np.eye(2)  # pitch and correlation
    weights = dict(model.weights)
    weights["dense.weight"] = weights["dense.weight"] @ inputs
    for name in ("gain", "strength"):
        for kind in ("weight", "bias"):
            weights[f"{name}.{kind}"] = between @ weights[f"{name}.{kind}"]
    return Model(params, model.architecture, weights, dict(model.info))


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
