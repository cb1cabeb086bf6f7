"""A network, one frame at a time: features in, band gains and comb filter strengths out.

The network is a table of layers (`percepnet.model.table`), and what each layer does stands in `reference/layers.py`.
"""

import numpy as np

from percepnet.arrays import Array
from percepnet.model import Model
from percepnet.model.table import FEATURES
from percepnet.reference.layers import NOTHING

# What a network remembers between frames, by layer.
NetworkState = dict[str, Array]


class Network:
    """The network of a model, in NumPy.

    Parameters
    ----------
    model : Model

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

    def __init__(self, model: Model) -> None:
        self.params = model.params
        self.architecture = model.architecture
        self._nodes = model.architecture.nodes(model.params)
        self._weights = {}
        for node in self._nodes:
            weights = {name.partition(".")[2]: model.weights[name] for name in node.tensors}
            self._weights[node.layer.name] = node.kind.prepared(node.shape, weights)

    def initial_state(self) -> NetworkState:
        """The state before the first frame: all zeros."""
        shapes = {node.layer.name: node.kind.state(node.shape) for node in self._nodes}
        return {name: np.zeros(shape, np.float32) for name, shape in shapes.items() if shape}

    def outputs(self, features: Array, state: NetworkState) -> dict[str, Array]:
        """One frame through all layers.

        Parameters
        ----------
        features : np.ndarray [shape=(features,)]
        state : NetworkState
            Updated in place.

        Returns
        -------
        dict of str to np.ndarray [shape=(units,)]
            By layer.
        """
        found: dict[str, Array] = {FEATURES: features}
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
