"""A network, one frame at a time: features in, band gains and comb filter strengths out.

The network is a table of layers (`percepnet.model.table`), and what each layer does stands in `reference/layers.py`.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np

from percepnet.arrays import Array
from percepnet.params import SHAPED_BINS, SignalParams
from percepnet.reference.layers import FEATURES, NOTHING, PER_BIN, Kind, Shape

# What a network remembers between frames, by layer.
NetworkState = dict[str, Array]


class TableRow(Protocol):
    """What a network needs of a row of its table: `percepnet.model.Layer` has it."""

    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> tuple[str, ...]: ...
    @property
    def precision(self) -> str: ...


class Table(Protocol):
    """What a network needs of its table: `percepnet.model.Architecture` has it."""

    @property
    def heads(self) -> Mapping[str, str]: ...
    @property
    def has_bins(self) -> bool: ...
    def nodes(self, params: SignalParams, source: str) -> Iterable[tuple[TableRow, type[Kind], Shape]]: ...


class NetworkModel(Protocol):
    """Anything with a table of layers and their weights: `percepnet.model.Model`, which is built upon these kinds."""

    @property
    def params(self) -> SignalParams: ...
    @property
    def architecture(self) -> Table: ...
    @property
    def weights(self) -> Mapping[str, Array]: ...


class Network:
    """The network of a model, in NumPy.

    Parameters
    ----------
    model : NetworkModel
    source : str
        "features"; or "bins" for its network for bins.

    Examples
    --------
    >>> from percepnet.model import PRESETS, Model
    >>> from percepnet.params import SignalParams
    >>> shapes = PRESETS["tiny"].shapes(SignalParams())
    >>> zeros = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    >>> network = Network(Model(SignalParams(), PRESETS["tiny"], zeros))
    >>> gains, strengths = network.step(np.zeros(70, np.float32), network.initial_state())
    >>> float(gains[0]), strengths.shape
    (0.5, (34,))
    """

    def __init__(self, model: NetworkModel, source: str = FEATURES) -> None:
        self.params = model.params
        self.architecture = model.architecture
        self._source = source
        self._nodes = list(model.architecture.nodes(model.params, source))
        self._weights = {}
        for layer, kind, shape in self._nodes:
            weights = {suffix: model.weights[f"{layer.name}.{suffix}"] for suffix in kind.tensors(shape)}
            self._weights[layer.name] = kind.prepared(shape, weights)

    def initial_state(self, count: tuple[int, ...] = ()) -> NetworkState:
        """The state before the first frame, all zeros; of so many bins."""
        shapes = {layer.name: kind.state(shape) for layer, kind, shape in self._nodes}
        return {name: np.zeros((*count, *shape), np.float32) for name, shape in shapes.items() if shape}

    def outputs(self, features: Array, state: NetworkState) -> dict[str, Array]:
        """One frame through all layers.

        Parameters
        ----------
        features : np.ndarray [shape=(..., features)]
        state : NetworkState
            Updated in place.

        Returns
        -------
        dict of str to np.ndarray [shape=(..., units)]
            By layer.
        """
        found: dict[str, Array] = {self._source: features}
        for layer, kind, shape in self._nodes:
            inputs = [found[name] for name in layer.inputs]
            if layer.precision == "int8":
                inputs = [np.clip(x, -1, 1) for x in inputs]
            found[layer.name] = kind.step(shape, self._weights[layer.name], inputs, state.get(layer.name, NOTHING))
        return found

    def step(self, features: Array, state: NetworkState) -> tuple[Array, Array]:
        """One frame.

        Parameters
        ----------
        features : np.ndarray [shape=(features,)]
        state : NetworkState
            Updated in place.

        Returns
        -------
        gains : np.ndarray [shape=(bands,)]
            From 0 to 1.
        strengths : np.ndarray [shape=(bands,)]
            From 0 (band as it is) to 1 (band from the comb filter).
        """
        found = self.outputs(features, state)
        heads = self.architecture.heads
        return found[heads["gains"]], found[heads["strengths"]]

    def run(self, features: Array) -> tuple[Array, Array]:
        """All frames of a recording, from the initial state.

        Parameters
        ----------
        features : np.ndarray [shape=(frames, features)]

        Returns
        -------
        gains, strengths : np.ndarray [shape=(frames, bands)]
        """
        state = self.initial_state()
        gains = np.empty((len(features), self.params.bands), np.float32)
        strengths = np.empty_like(gains)
        for t, frame in enumerate(features):
            gains[t], strengths[t] = self.step(frame, state)
        return gains, strengths


class BinNetwork:
    """The network for bins of a model that has one.

    Parameters
    ----------
    model : NetworkModel
    """

    def __init__(self, model: NetworkModel) -> None:
        self._network = Network(model, PER_BIN)
        self._head = model.architecture.heads["shape"]
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._state = self._network.initial_state((SHAPED_BINS,))

    def step(self, ratios: Array) -> Array:
        """One frame.

        Parameters
        ----------
        ratios : np.ndarray [shape=(160, 48)]
            Of `percepnet.reference.bin_ratios`.

        Returns
        -------
        np.ndarray [shape=(160,)]
            By how much of itself the factor of each bin is to change.
        """
        return self._network.outputs(ratios, self._state)[self._head][:, 0]


def bin_network(model: NetworkModel) -> BinNetwork | None:
    """The network for bins of a model, if it has one."""
    return BinNetwork(model) if model.architecture.has_bins else None
