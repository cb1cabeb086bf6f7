"""Means of the weights of several trainings of one network (Wortsman et al. 2022, "Model soups", arXiv 2203.05482)."""

from collections.abc import Mapping, Sequence

import numpy as np

from percepnet.arrays import Array
from percepnet.errors import PercepNetError
from percepnet.model import Model


def averaged(models: Sequence[Model], shares: Mapping[str, float] | None = None) -> dict[str, Array]:
    """The mean of the weights of networks of the same architecture.

    Parameters
    ----------
    models : sequence of Model
        In the order of the training.
    shares : mapping of str to float, optional
        Of two networks: layers, and how much of each is the second's, 0 to 1; layers that are not named are the
        second's. Without it, all networks count the same.

    Returns
    -------
    dict of str to np.ndarray
        Of the names and shapes of the last network's weights.

    Raises
    ------
    PercepNetError
        For shares of other than two networks, of layers that there are not, or out of range.
    """
    last = models[-1]
    if not shares:
        return {
            name: np.asarray(np.mean([model.weights[name] for model in models], axis=0), np.float32)
            for name in last.weights
        }
    if len(models) != 2:
        raise PercepNetError(f"shares of layers are of two networks, not of {len(models)}")
    layers = {name.partition(".")[0] for name in last.weights}
    for layer, share in shares.items():
        if layer not in layers:
            raise PercepNetError(f"share of {layer}: there is no such layer; there are {', '.join(sorted(layers))}")
        if not 0 <= share <= 1:
            raise PercepNetError(f"share of {layer}: {share:g} is not from 0 to 1")
    before = models[0].weights
    mixed = {}
    for name, weight in last.weights.items():
        part = np.float32(shares.get(name.partition(".")[0], 1.0))
        mixed[name] = np.asarray(weight if part == 1 else before[name] + part * (weight - before[name]), np.float32)
    return mixed
