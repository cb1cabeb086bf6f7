"""The network, one frame at a time: features in, band gains and comb filter strengths out.

    features -> dense -> conv1 -> conv2 -> gru1 -> gru2 -> gru3 -> gain_gru -> gains
                                   |        |       |      |         |           ^
                                   +--------+-------+------+---------+--- skips -+
                                   +--- and gru3 -> strength_gru -> strengths

Both convolutions look only back in time; the look-ahead is in the features.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from percepnet.model import CONV1_TAPS, CONV2_TAPS, Model

Array = npt.NDArray[np.float32]


@dataclass
class NetworkState:
    """What the network remembers between frames: the inputs of its convolutions, and its recurrent units."""

    conv1: Array  # (4, dense), oldest first
    conv2: Array  # (2, conv1)
    gru1: Array
    gru2: Array
    gru3: Array
    gain_gru: Array
    strength_gru: Array


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
        self._weights = dict(model.weights)
        for name in ("conv1.weight", "conv2.weight"):
            self._weights[name] = convolution_matrix(model.weights[name])

    def initial_state(self) -> NetworkState:
        """The state before the first frame: all zeros."""
        sizes = self.architecture
        return NetworkState(
            conv1=np.zeros((CONV1_TAPS - 1, sizes.dense), np.float32),
            conv2=np.zeros((CONV2_TAPS - 1, sizes.conv1), np.float32),
            gru1=np.zeros(sizes.gru, np.float32),
            gru2=np.zeros(sizes.gru, np.float32),
            gru3=np.zeros(sizes.gru, np.float32),
            gain_gru=np.zeros(sizes.gru, np.float32),
            strength_gru=np.zeros(sizes.strength_gru, np.float32),
        )

    def step(self, features: Array, state: NetworkState) -> tuple[Array, Array]:
        """One frame.

        Parameters
        ----------
        features : np.ndarray [shape=(2 * bands + 2,)]
        state : NetworkState
            Updated in place.

        Returns
        -------
        gains : np.ndarray [shape=(bands,)]
            From 0 to 1.
        strengths : np.ndarray [shape=(bands,)]
            From 0 (band as it is) to 1 (band from the comb filter).
        """
        dense = np.tanh(self._affine("dense", features))
        conv1 = np.tanh(self._convolution("conv1", dense, state.conv1))
        conv2 = np.tanh(self._convolution("conv2", conv1, state.conv2))
        self._gru("gru1", conv2, state.gru1)
        self._gru("gru2", state.gru1, state.gru2)
        self._gru("gru3", state.gru2, state.gru3)
        self._gru("gain_gru", state.gru3, state.gain_gru)
        self._gru("strength_gru", np.concatenate([state.gru3, conv2]), state.strength_gru)
        skips = np.concatenate([conv2, state.gru1, state.gru2, state.gru3, state.gain_gru])
        return _sigmoid(self._affine("gain", skips)), _sigmoid(self._affine("strength", state.strength_gru))

    def run(self, features: Array) -> tuple[Array, Array]:
        """All frames of a recording, from the initial state.

        Parameters
        ----------
        features : np.ndarray [shape=(frames, 2 * bands + 2)]

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

    def _affine(self, layer: str, x: Array) -> Array:
        y: Array = self._weights[f"{layer}.weight"] @ x + self._weights[f"{layer}.bias"]
        return y

    def _convolution(self, layer: str, x: Array, past: Array) -> Array:
        y = self._affine(layer, np.concatenate([past.ravel(), x]))
        past[:-1] = past[1:]
        past[-1] = x
        return y

    def _gru(self, layer: str, x: Array, state: Array) -> None:
        """h <- (1 - z) n + z h, n = tanh(W x + b + r (U h + c)); r reset, z update, n new: as torch.nn.GRU."""
        units = len(state)
        from_input = self._weights[f"{layer}.weight_ih"] @ x + self._weights[f"{layer}.bias_ih"]
        from_state = self._weights[f"{layer}.weight_hh"] @ state + self._weights[f"{layer}.bias_hh"]
        gates = _sigmoid(from_input[: 2 * units] + from_state[: 2 * units])
        reset, update = gates[:units], gates[units:]
        new = np.tanh(from_input[2 * units :] + reset * from_state[2 * units :])
        state[:] = (1 - update) * new + update * state


def convolution_matrix(kernel: Array) -> Array:
    """The matrix that makes a convolution one product with the last frames, joined, oldest first.

    Parameters
    ----------
    kernel : np.ndarray [shape=(outputs, inputs, taps)]

    Returns
    -------
    np.ndarray [shape=(outputs, taps * inputs)]
    """
    return np.ascontiguousarray(kernel.transpose(0, 2, 1).reshape(len(kernel), -1))


def _sigmoid(x: Array) -> Array:
    # by tanh, which cannot overflow
    y: Array = np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5)
    return y
