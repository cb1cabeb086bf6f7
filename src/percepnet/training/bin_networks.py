"""Networks for bins, which models are given: a new one, or that of another model."""

import torch

from percepnet.errors import ModelError
from percepnet.model import Model
from percepnet.model.presets import with_bins
from percepnet.reference.layers import PER_BIN
from percepnet.training.network import TrainingNetwork, to_model


def with_new_bins(model: Model, seed: int = 0) -> Model:
    """A model that has no network for bins, with a new one beside it, which changes nothing yet.

    Parameters
    ----------
    model : Model
    seed : int
        Of its weights.

    Returns
    -------
    Model
    """
    torch.manual_seed(seed)
    architecture = with_bins(model.architecture)
    new = to_model(TrainingNetwork(model.params, architecture)).weights
    return Model(model.params, architecture, {**new, **model.weights}, dict(model.info))


def with_bins_of(model: Model, other: Model) -> Model:
    """A model with the network for bins of another, in the place of its own.

    Parameters
    ----------
    model, other : Model

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        If the other one has none, or one whose layers are called as those of the model.
    """
    if not other.architecture.has_bins:
        raise ModelError("bins: the other model has no network for bins; give one that has")
    architecture = model.architecture.with_bins_of(other.architecture)
    for_bins = {name for node in architecture.nodes(model.params, PER_BIN) for name in node.tensors}
    names = architecture.shapes(model.params)
    weights = {name: (other if name in for_bins else model).weights[name] for name in names}
    return Model(model.params, architecture, weights, dict(model.info))
