"""A trained network made wider without forgetting: the start of a larger network that is not from nothing.

As in Net2Net (Chen, Goodfellow and Shlens, ICLR 2016) the wider network gives at first exactly what the narrower one
gives. Its new units start at random, and no old unit and no output depends on them until training makes it so. What it
is given besides counts nothing at first, either. For other bands, inputs and outputs of the network are interpolated
(`percepnet.training.rebanding`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt
import torch

from percepnet.errors import ModelError
from percepnet.model import Model
from percepnet.model.table import Architecture, Layer, Node
from percepnet.params import BIN_FEATURES, SignalParams
from percepnet.reference.layers import FEATURES, PER_BIN
from percepnet.training.network import TrainingNetwork, to_model

# Of each layer, where the units that it had before are among those that it has now.
Places = Mapping[str, npt.NDArray[np.intp]]


def widened(model: Model, architecture: Architecture, seed: int = 0, features: Sequence[str] = ()) -> Model:
    """A model of another architecture, at least as wide in every layer, that gives the same gains and strengths.

    Parameters
    ----------
    model : Model
    architecture : Architecture
        The same layers, of which any may be wider.
    seed : int
        Of the new units' weights.
    features : sequence of str
        Blocks that it is given (`percepnet.params.FEATURE_SIZES`), in any order; those of the model if there are none.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        If a layer would become narrower, or if the architectures differ in more than widths, or if it cannot be said
        which of the new units are the old ones: normalisations depend on all their inputs. If a block would be missing.
    """
    _check_alike(model.architecture, architecture)
    torch.manual_seed(seed)
    params = replace(model.params, feature_blocks=tuple(features) or model.params.feature_blocks)
    weights = to_model(TrainingNetwork(params, architecture)).weights
    places = {FEATURES: _feature_places(model.params, params), PER_BIN: np.arange(BIN_FEATURES)}
    nodes = model.architecture.all_nodes(model.params), architecture.all_nodes(params)
    for old, new in zip(*nodes, strict=True):
        own = places[old.layer.name] = _places(old, new, places)
        for name, tensor in old.tensors.items():
            gates = tensor.shape[0] // old.shape.units  # a GRU's rows are three times its units
            rows = np.concatenate([gate * new.shape.units + own for gate in range(gates)])
            weight = model.weights[name]
            if weight.ndim == 1:
                weights[name][rows] = weight
                continue
            sources = own if name.endswith(".weight_hh") else places[old.layer.inputs[0]]
            columns = np.arange(1) if old.shape.depthwise else sources
            weights[name][rows] = 0
            weights[name][np.ix_(rows, columns)] = weight
    return Model(params, architecture, weights, dict(model.info))


def _feature_places(old: SignalParams, new: SignalParams) -> npt.NDArray[np.intp]:
    """Where the features that a model was given are among those that it is given now."""
    if missing := [block for block in old.feature_blocks if block not in new.feature_blocks]:
        given = ", ".join(old.feature_blocks)
        raise ModelError(f"features: the model is given {given}, and can be given more; {missing[0]} is missing")
    found = np.arange(new.features)
    return np.concatenate([found[new.feature_slices[block]] for block in old.feature_blocks])


def _check_alike(old: Architecture, new: Architecture) -> None:
    names, found = ([layer.name for layer in architecture.layers] for architecture in (old, new))
    if names != found:
        raise ModelError(f"layers: expected those of the model, {', '.join(names)}, found {', '.join(found)}")
    if dict(old.heads) != dict(new.heads):
        raise ModelError(f"heads: expected those of the model, {dict(old.heads)}, found {dict(new.heads)}")
    for before, after in zip(old.layers, new.layers, strict=True):
        for name in (field.name for field in fields(Layer) if field.name != "units"):
            expected, value = getattr(before, name), getattr(after, name)
            if expected != value:
                raise ModelError(
                    f"layers.{before.name}.{name}: expected {expected!r}, as in the model that grows, found {value!r}"
                )


def _places(old: Node, new: Node, places: Places) -> npt.NDArray[np.intp]:
    """Where the old units of a layer are among its new ones, given the same of its inputs."""
    name, before, after = old.layer.name, old.shape.units, new.shape.units
    sources = [places[layer] for layer in old.layer.inputs]
    if after < before:
        raise ModelError(f"a network of {before} units in {name} cannot grow to {after}: it can only widen")
    if old.layer.kind == "normalisation" and after != before:
        raise ModelError(f"layers.{name}: expected {before} units, since what is new would be an input, found {after}")
    if old.layer.kind == "concatenation":
        starts = np.cumsum([0, *new.shape.inputs[:-1]])
        return np.concatenate([start + units for start, units in zip(starts, sources, strict=True)])
    if old.layer.kind in ("sum", "normalisation") or old.shape.depthwise:
        if any(not np.array_equal(units, sources[0]) for units in sources):
            raise ModelError(f"layers.{name}.inputs: expected old units in the same places of each, found others")
        return sources[0]
    return np.arange(before)
