"""The kinds of layers that networks are made of: what weights they have, what they remember, what they calculate.

A network is a table of layers (`percepnet.model.table`). This file says what each kind in it means, one class a kind, a
frame at a time. Those that are for bins may have further axes in front. The C core has a file of the same name for each
(`core/src/network/layers`), and training has a function for each; both are tested against this.
"""

from typing import ClassVar, Literal, NamedTuple

import numpy as np

from percepnet.arrays import Array

Activation = Literal["linear", "tanh", "sigmoid", "relu"]

FEATURES = "features"  # the input of a network, as layers name it
PER_BIN = "bins"  # that of the network for bins, which all of them go through
GRU_GATES = 3  # reset, update, new
NOTHING: Array = np.zeros(0, np.float32)  # the state of a layer that remembers nothing
NORMALISATION_FLOOR = np.float32(1e-5)  # added to a variance, as torch.nn.LayerNorm does


class Shape(NamedTuple):
    """Size of a layer: what it gets, what it gives, and how."""

    inputs: tuple[int, ...]  # units of each
    units: int
    activation: Activation = "linear"
    taps: int = 1
    dilation: int = 1
    depthwise: bool = False
    memory: int = 0


class Tensor(NamedTuple):
    """A weight of a layer, stored as NAME.suffix."""

    shape: tuple[int, ...]
    may_be_int8: bool = False  # a matrix, whose first axis are the rows


class Kind:
    """A kind of layer. What a layer may say beside its name and inputs, and how many inputs it takes, at most."""

    name: ClassVar[str]
    inputs_min: ClassVar[int] = 1
    inputs_max: ClassVar[int] = 1
    has_units: ClassVar[bool] = True  # otherwise they follow from the inputs
    has_activation: ClassVar[bool] = False
    has_taps: ClassVar[bool] = False
    has_memory: ClassVar[bool] = False
    has_precision: ClassVar[bool] = True
    is_for_bins: ClassVar[bool] = False  # whether a network for bins may have it

    @classmethod
    def units(cls, inputs: tuple[int, ...]) -> int:
        """Units of a layer that does not say so itself; 0 if its inputs do not fit together."""
        return inputs[0]

    @classmethod
    def tensors(cls, shape: Shape) -> dict[str, Tensor]:
        """Weights by suffix."""
        return {}

    @classmethod
    def prepared(cls, shape: Shape, weights: dict[str, Array]) -> dict[str, Array]:
        """The weights as `step` wants them, once for all frames."""
        return weights

    @classmethod
    def state(cls, shape: Shape) -> tuple[int, ...]:
        """Shape of what is remembered from frame to frame, zeros before the first; () for nothing."""
        return ()

    @classmethod
    def step(cls, shape: Shape, weights: dict[str, Array], inputs: list[Array], state: Array) -> Array:
        """One frame.

        Parameters
        ----------
        shape : Shape
        weights : dict of str to np.ndarray
            What `prepared` returned, by suffix.
        inputs : list of np.ndarray [shape=(..., units of each)]
        state : np.ndarray
            Updated in place.

        Returns
        -------
        np.ndarray [shape=(..., units)]
        """
        raise NotImplementedError


class Dense(Kind):
    """y = f(W x + b)."""

    name = "dense"
    has_activation = True
    is_for_bins = True

    @classmethod
    def tensors(cls, shape: Shape) -> dict[str, Tensor]:
        return {"weight": Tensor((shape.units, shape.inputs[0]), True), "bias": Tensor((shape.units,))}

    @classmethod
    def step(cls, shape: Shape, weights: dict[str, Array], inputs: list[Array], state: Array) -> Array:
        return activate(shape.activation, product(weights["weight"], inputs[0]) + weights["bias"])


class Convolution(Kind):
    """y_t = f(b + sum over taps k of W_k x_(t - (taps - 1 - k) dilation)): it looks only back in time.

    Depthwise, each unit sees only its own input.
    """

    name = "convolution"
    has_activation = True
    has_taps = True

    @classmethod
    def tensors(cls, shape: Shape) -> dict[str, Tensor]:
        seen = 1 if shape.depthwise else shape.inputs[0]
        weight = Tensor((shape.units, seen, shape.taps), not shape.depthwise)
        return {"weight": weight, "bias": Tensor((shape.units,))}

    @classmethod
    def prepared(cls, shape: Shape, weights: dict[str, Array]) -> dict[str, Array]:
        kernel = weights["weight"]
        return weights | {"weight": kernel[:, 0] if shape.depthwise else convolution_matrix(kernel)}

    @classmethod
    def state(cls, shape: Shape) -> tuple[int, ...]:
        return ((shape.taps - 1) * shape.dilation, shape.inputs[0])  # oldest first

    @classmethod
    def step(cls, shape: Shape, weights: dict[str, Array], inputs: list[Array], state: Array) -> Array:
        frames = np.concatenate([state, inputs[0][None]])
        seen = frames[:: shape.dilation]
        if shape.depthwise:
            y = np.einsum("uk,ku->u", weights["weight"], seen) + weights["bias"]
        else:
            y = weights["weight"] @ seen.ravel() + weights["bias"]
        state[:] = frames[1:]
        return activate(shape.activation, y)


def kept(memory: int) -> np.float32:
    """What a frame leaves of a state that lasts for so many."""
    return np.float32(1 - 1 / memory)


class Gru(Kind):
    """h <- (1 - z) n + z h, n = tanh(W x + b + r (U h + c)); r reset, z update, n new: as torch.nn.GRU.

    With a memory of so many frames h is then multiplied by 1 - 1 / memory: what a unit has kept for longer than any
    sequence of a training leads it where it has never been, as minutes of noise do.
    """

    name = "gru"
    has_memory = True

    @classmethod
    def tensors(cls, shape: Shape) -> dict[str, Tensor]:
        rows = GRU_GATES * shape.units
        return {
            "weight_ih": Tensor((rows, shape.inputs[0]), True),
            "weight_hh": Tensor((rows, shape.units), True),
            "bias_ih": Tensor((rows,)),
            "bias_hh": Tensor((rows,)),
        }

    @classmethod
    def state(cls, shape: Shape) -> tuple[int, ...]:
        return (shape.units,)

    @classmethod
    def step(cls, shape: Shape, weights: dict[str, Array], inputs: list[Array], state: Array) -> Array:
        units = shape.units
        from_input = weights["weight_ih"] @ inputs[0] + weights["bias_ih"]
        from_state = weights["weight_hh"] @ state + weights["bias_hh"]
        gates = sigmoid(from_input[: 2 * units] + from_state[: 2 * units])
        reset, update = gates[:units], gates[units:]
        new = np.tanh(from_input[2 * units :] + reset * from_state[2 * units :])
        state[:] = (1 - update) * new + update * state
        if shape.memory:
            state *= kept(shape.memory)
        return state.copy()


class GatedRecurrence(Kind):
    """h <- (1 - z) h + z n, with z = sigmoid and n = tanh of matrices times the layer's input alone.

    Since no gate waits for the state, training calculates all frames at once by a parallel scan (Martin and Cundy 2018,
    arXiv 1709.04057; minGRU, arXiv 2410.01201). The rows of the matrix are update and new gates in turn.
    """

    name = "gated_recurrence"
    is_for_bins = True

    @classmethod
    def tensors(cls, shape: Shape) -> dict[str, Tensor]:
        return {"weight": Tensor((2 * shape.units, shape.inputs[0]), True), "bias": Tensor((2 * shape.units,))}

    @classmethod
    def state(cls, shape: Shape) -> tuple[int, ...]:
        return (shape.units,)

    @classmethod
    def step(cls, shape: Shape, weights: dict[str, Array], inputs: list[Array], state: Array) -> Array:
        gates = product(weights["weight"], inputs[0]) + weights["bias"]
        update, new = sigmoid(gates[..., : shape.units]), np.tanh(gates[..., shape.units :])
        state[:] = (1 - update) * state + update * new
        return state.copy()


class Normalisation(Kind):
    """y = (x - mean) / sqrt(variance + 1e-5) * weight + bias, over the channels of a frame: as torch.nn.LayerNorm."""

    name = "normalisation"
    has_units = False
    has_precision = False

    @classmethod
    def tensors(cls, shape: Shape) -> dict[str, Tensor]:
        return {"weight": Tensor((shape.units,)), "bias": Tensor((shape.units,))}

    @classmethod
    def step(cls, shape: Shape, weights: dict[str, Array], inputs: list[Array], state: Array) -> Array:
        centred = inputs[0] - inputs[0].mean()
        deviation = np.sqrt(np.mean(centred * centred) + NORMALISATION_FLOOR)
        y: Array = centred / deviation * weights["weight"] + weights["bias"]
        return y


class Sum(Kind):
    """y = the sum of all inputs: what makes a layer before it residual."""

    name = "sum"
    inputs_min, inputs_max = 2, 32
    has_units = False
    has_precision = False

    @classmethod
    def units(cls, inputs: tuple[int, ...]) -> int:
        return inputs[0] if len(set(inputs)) == 1 else 0

    @classmethod
    def step(cls, shape: Shape, weights: dict[str, Array], inputs: list[Array], state: Array) -> Array:
        y = inputs[0].copy()
        for x in inputs[1:]:
            y += x
        return y


class Concatenation(Kind):
    """y = all inputs, one behind the other."""

    name = "concatenation"
    is_for_bins = True
    inputs_min, inputs_max = 2, 32
    has_units = False
    has_precision = False

    @classmethod
    def units(cls, inputs: tuple[int, ...]) -> int:
        return sum(inputs)

    @classmethod
    def step(cls, shape: Shape, weights: dict[str, Array], inputs: list[Array], state: Array) -> Array:
        return np.concatenate(inputs, axis=-1)


KINDS: dict[str, type[Kind]] = {
    kind.name: kind for kind in (Dense, Convolution, Gru, GatedRecurrence, Normalisation, Sum, Concatenation)
}


def product(weight: Array, x: Array) -> Array:
    """W x, of a vector or of as many as x has in front of its last axis."""
    return weight @ x if x.ndim == 1 else x @ weight.T


def activate(activation: Activation, x: Array) -> Array:
    """Apply an activation by name."""
    if activation == "tanh":
        y: Array = np.tanh(x)
    elif activation == "sigmoid":
        y = sigmoid(x)
    elif activation == "relu":
        y = np.maximum(x, np.float32(0))
    else:
        y = x
    return y


def sigmoid(x: Array) -> Array:
    """The logistic function, by tanh, which cannot overflow."""
    y: Array = np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5)
    return y


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
