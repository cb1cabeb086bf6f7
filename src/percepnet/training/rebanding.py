"""A trained network made into one for other bands: its inputs and outputs are interpolated."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from percepnet.arrays import Array
from percepnet.errors import ModelError
from percepnet.model import Model
from percepnet.model.table import BANDS, Node
from percepnet.params import FEATURE_SIZES, SignalParams
from percepnet.reference.bands import bands_of
from percepnet.reference.layers import FEATURES

# Of layers whose units change, how the weights of the old ones are shared among the new [shape=(old, new)].
Shares = Mapping[str, Array]


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

    Raises
    ------
    ModelError
        If a layer treats bands one by one: normalisations, depthwise convolutions and recurrences of bands cannot be
        interpolated.
    """
    params = replace(model.params, band_edges=band_edges)
    old, new = bands_of(model.params.band_edges).weights, bands_of(band_edges).weights
    spread = old @ new.T
    spread /= spread.sum(axis=1, keepdims=True)
    between = old[:, list(band_edges)].T
    shares = {FEATURES: _of_features(model.params, params, spread)}
    weights = dict(model.weights)
    for node in model.architecture.nodes(model.params):
        _refuse_bands_one_by_one(node, shares)
        name = node.layer.name
        says_bands = node.layer.units == BANDS
        if says_bands:
            shares[name] = spread
        elif any(layer in shares for layer in node.layer.inputs) and not node.tensors:
            shares[name] = _joined(node, shares)
        for tensor in node.tensors:
            if node.layer.inputs[0] in shares and weights[tensor].ndim > 1 and not tensor.endswith(".weight_hh"):
                shared = np.moveaxis(weights[tensor], 1, -1) @ shares[node.layer.inputs[0]]
                weights[tensor] = np.ascontiguousarray(np.moveaxis(shared, -1, 1))
            if says_bands:
                rows = weights[tensor].reshape(len(weights[tensor]), -1)
                weights[tensor] = (between @ rows).reshape(-1, *weights[tensor].shape[1:])
    return Model(params, model.architecture, weights, dict(model.info))


def _of_features(old: SignalParams, new: SignalParams, spread: Array) -> Array:
    """Blocks with a number for each band are spread, others are the same."""
    shares = np.zeros((old.features, new.features), np.float32)
    columns = new.feature_slices
    for block, rows in old.feature_slices.items():
        size = FEATURE_SIZES[block]
        shares[rows, columns[block]] = np.eye(size) if size else spread
    return shares


def _joined(node: Node, shares: Shares) -> Array:
    """The shares of a sum or concatenation, some of whose inputs change."""
    parts = [
        shares.get(name, np.eye(units, dtype=np.float32))
        for name, units in zip(node.layer.inputs, node.shape.inputs, strict=True)
    ]
    if node.layer.kind == "sum":
        if any(not np.array_equal(part, parts[0]) for part in parts):
            raise ModelError(f"layers.{node.layer.name}.inputs: expected only bands or none, found both")
        return parts[0]
    whole = np.zeros((sum(len(part) for part in parts), sum(part.shape[1] for part in parts)), np.float32)
    row = column = 0
    for part in parts:
        whole[row : row + len(part), column : column + part.shape[1]] = part
        row, column = row + len(part), column + part.shape[1]
    return whole


def _refuse_bands_one_by_one(node: Node, shares: Shares) -> None:
    layer = node.layer
    mixes = layer.kind in ("dense", "convolution") and not layer.depthwise
    takes_bands = any(name in shares for name in layer.inputs)
    if (layer.units == BANDS and not mixes) or (takes_bands and (layer.depthwise or layer.kind == "normalisation")):
        raise ModelError(f"layers.{layer.name}: expected no {layer.kind} of bands, which other bands would change")
