"""A model's table of layers as an ONNX graph of one frame, with what it remembers as inputs and outputs.

Each kind of layer of `percepnet.reference.layers` has one function here. Operators are those of opset 18 that phones
and accelerators have: no loops, no sequences, all shapes constant.
"""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from percepnet.model import FEATURES, INT8_MAX, Model, Node, dequantise
from percepnet.model.container import Stored, read_container
from percepnet.model.header import write_header
from percepnet.params import BIN_FEATURES, SHAPED_BINS
from percepnet.reference.layers import NORMALISATION_FLOOR, PER_BIN, convolution_matrix, kept

OPSET = 18
IR_VERSION = 9  # what runtimes of 2023 and later read
ZERO_POINT = 128  # uint8: with signed activations the product falls back to slow code in onnxruntime
STATE, NEXT = "_state", "_state_next"  # after the name of a layer
METADATA = "percepnet"  # the model file's own header, as JSON

Array = npt.NDArray[Any]


def network_graph(model: Model, int8: bool, source: str = FEATURES) -> onnx.ModelProto:
    """One frame of a network.

    Parameters
    ----------
    model : Model
    source : str
        "features"; or "bins" for its network for bins: 160 rows instead of one, `bins` [160, 48] instead of
        `features`, and the output `shape` [160, 1].
    int8 : bool
        True multiplies the matrices of layers of precision "int8" as the C core does: 8-bit weights, and activations
        rounded to 1/127, as uint8 with zero point 128. False multiplies in float32, with the same weights.

    Returns
    -------
    onnx.ModelProto
        Inputs: `features` [1, features] and for each layer that remembers something `LAYER_state`, zeros before the
        first frame. Outputs: `gains` and `strengths` [1, bands], `speech` [1, 1] if the model has it, and for each
        state `LAYER_state_next`, the same input of the next frame.
    """
    return _Builder(model, int8, source).build()


class _Builder:
    def __init__(self, model: Model, int8: bool, source: str) -> None:
        self._model = model
        self._source = source
        self._rows = SHAPED_BINS if source == PER_BIN else 1
        self._int8 = int8
        self._tensors: dict[str, Stored] = read_container(model.to_bytes())[1]
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._limited: dict[str, str] = {}
        self._rounded: dict[str, str] = {}

    def build(self) -> onnx.ModelProto:
        params, architecture = self._model.params, self._model.architecture
        width = BIN_FEATURES if self._source == PER_BIN else params.features
        self._inputs.append(_value(self._source, (self._rows, width)))
        for node in architecture.nodes(params, self._source):
            made = getattr(self, f"_{node.layer.kind}", None)
            if made is None:  # a kind that came later than this file
                raise NotImplementedError(f"no ONNX for layers of the kind {node.layer.kind}")
            made(node)
        for head, layer in architecture.heads.items():
            if architecture.sources[layer] == self._source:
                self._op("Identity", [_y(layer)], head)
                units = params.bands if head in ("gains", "strengths") else 1
                self._outputs.append(_value(head, (self._rows, units)))
        graph = helper.make_graph(self._nodes, "percepnet", self._inputs, self._outputs, list(self._constants.values()))
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        header = write_header(params, architecture, self._model.info)
        helper.set_model_props(made, {METADATA: json.dumps(json.loads(header), sort_keys=True)})
        onnx.checker.check_model(made, full_check=True)
        return made

    # Steps that layers share.

    def _op(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def _constant(self, name: str, value: Any) -> str:
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def _number(self, value: float) -> str:
        return self._constant(f"number_{value:g}", np.float32(value))

    def _indices(self, *values: int) -> str:
        return self._constant("indices_" + "_".join(map(str, values)), np.array(values, np.int64))

    def _weight(self, name: str) -> tuple[Array, Array | None]:
        """A weight as it is stored, and the scale of each row of one in 8 bits."""
        scale = self._tensors.get(f"{name}.scale")
        return self._tensors[name].array(), None if scale is None else scale.array()

    def _input(self, node: Node) -> str:
        """The only input of a layer, limited as 8 bits limit it."""
        x = _y(node.layer.inputs[0])
        return self._limit(x) if node.layer.precision == "int8" else x

    def _limit(self, x: str) -> str:
        if x not in self._limited:
            self._limited[x] = self._op("Clip", [x, self._number(-1), self._number(1)], f"{x}/limited")
        return self._limited[x]

    def _round(self, x: str) -> str:
        """x in [-1, 1] as uint8; the product first, as a quotient would be rounded otherwise than in the core."""
        if x not in self._rounded:
            scaled = self._op("Mul", [x, self._number(INT8_MAX)], f"{x}/scaled")
            zero = self._constant("zero_point", np.uint8(ZERO_POINT))
            self._rounded[x] = self._op("QuantizeLinear", [scaled, self._number(1), zero], f"{x}/rounded")
        return self._rounded[x]

    def _affine(self, weight: str, bias: str, x: str, output: str) -> str:
        """W x + b of a row."""
        matrix, scale = self._weight(weight)
        matrix = convolution_matrix(matrix) if matrix.ndim == 3 else matrix
        if self._int8 and scale is not None:
            zeros = [self._constant("zero_point", np.uint8(ZERO_POINT)), self._constant("zero", np.int8(0))]
            sums = self._op(
                "MatMulInteger", [self._round(x), self._constant(weight, matrix.T), *zeros], f"{output}/sums"
            )
            sums = self._op("Cast", [sums], f"{output}/float", to=TensorProto.FLOAT)
            step = self._constant(f"{weight}.step", (scale / np.float32(INT8_MAX)).astype(np.float32))
            product = self._op("Mul", [sums, step], f"{output}/product")
        else:
            floats: Array = matrix if scale is None else dequantise(matrix.astype(np.int8), scale)
            product = self._op("MatMul", [x, self._constant(weight, floats.astype(np.float32).T)], f"{output}/product")
        return self._op("Add", [product, self._constant(bias, self._weight(bias)[0])], output)

    def _activated(self, node: Node, x: str) -> str:
        operator = {"tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu"}.get(node.shape.activation, "Identity")
        return self._op(operator, [x], _y(node.layer.name))

    def _state(self, node: Node) -> str:
        """The input for what a layer remembers; whoever asks for it gives the output."""
        name, shape = node.layer.name, (self._rows, *node.kind.state(node.shape))
        self._inputs.append(_value(name + STATE, shape))
        self._outputs.append(_value(name + NEXT, shape))
        return name + STATE

    def _split(self, x: str, names: list[str]) -> list[str]:
        outputs = [f"{x}/{name}" for name in names]
        self._nodes.append(helper.make_node("Split", [x], outputs, name=f"{x}/split", axis=1, num_outputs=len(names)))
        return outputs

    def _between(self, share: str, low: str, high: str, name: str, output: str) -> str:
        """low + share * (high - low)."""
        way = self._op("Sub", [high, low], f"{name}/way")
        return self._op("Add", [low, self._op("Mul", [share, way], f"{name}/part")], output)

    # Kinds of layers.

    def _dense(self, node: Node) -> None:
        name = node.layer.name
        y = self._affine(f"{name}.weight", f"{name}.bias", self._input(node), f"{name}/sum")
        self._activated(node, y)

    def _convolution(self, node: Node) -> None:
        name, shape = node.layer.name, node.shape
        inputs, past = shape.inputs[0], (shape.taps - 1) * shape.dilation
        x = self._input(node)
        if past:
            frame = self._op("Reshape", [x, self._indices(1, 1, inputs)], f"{name}/frame")
            frames = self._op("Concat", [self._state(node), frame], f"{name}/frames", axis=1)
            cut = [frames, self._indices(1), self._indices(past + 1), self._indices(1)]
            self._op("Slice", cut, name + NEXT)
            step = [self._indices(0), self._indices(past + 1), self._indices(1), self._indices(shape.dilation)]
            x = self._op("Slice", [frames, *step], f"{name}/seen")
        if shape.depthwise:
            kernel = self._constant(f"{name}.weight", self._weight(f"{name}.weight")[0][:, 0].T[None])
            x = self._op("Reshape", [x, self._indices(1, shape.taps, inputs)], f"{name}/taps")
            products = self._op("Mul", [x, kernel], f"{name}/products")
            y = self._op("ReduceSum", [products, self._indices(1)], f"{name}/product", keepdims=0)
            y = self._op("Add", [y, self._constant(f"{name}.bias", self._weight(f"{name}.bias")[0])], f"{name}/sum")
        else:
            x = self._op("Reshape", [x, self._indices(1, shape.taps * inputs)], f"{name}/row")
            y = self._affine(f"{name}.weight", f"{name}.bias", x, f"{name}/sum")
        self._activated(node, y)

    def _gru(self, node: Node) -> None:
        name, x, before = node.layer.name, self._input(node), self._state(node)
        from_input = self._affine(f"{name}.weight_ih", f"{name}.bias_ih", x, f"{name}/from_input")
        from_state = self._affine(f"{name}.weight_hh", f"{name}.bias_hh", before, f"{name}/from_state")
        gates = ["reset", "update", "new"]
        (reset, update, new), by_state = self._split(from_input, gates), self._split(from_state, gates)
        reset = self._op("Sigmoid", [self._op("Add", [reset, by_state[0]], f"{name}/reset_sum")], f"{name}/reset")
        update = self._op("Sigmoid", [self._op("Add", [update, by_state[1]], f"{name}/update_sum")], f"{name}/update")
        recalled = self._op("Mul", [reset, by_state[2]], f"{name}/recalled")
        new = self._op("Tanh", [self._op("Add", [new, recalled], f"{name}/new_sum")], f"{name}/new")
        if node.shape.memory:
            y = self._between(update, new, before, name, f"{name}/whole")
            self._op("Mul", [y, self._constant(f"{name}/kept", kept(node.shape.memory))], _y(name))
        else:
            self._between(update, new, before, name, _y(name))
        self._op("Identity", [_y(name)], name + NEXT)

    def _gated_recurrence(self, node: Node) -> None:
        name, before = node.layer.name, self._state(node)
        gates = self._affine(f"{name}.weight", f"{name}.bias", self._input(node), f"{name}/gates")
        update, new = self._split(gates, ["update", "new"])
        update, new = self._op("Sigmoid", [update], f"{name}/update"), self._op("Tanh", [new], f"{name}/new")
        self._op("Identity", [self._between(update, before, new, name, _y(name))], name + NEXT)

    def _normalisation(self, node: Node) -> None:
        name = node.layer.name
        weights = [self._constant(f"{name}.{part}", self._weight(f"{name}.{part}")[0]) for part in ("weight", "bias")]
        inputs = [_y(node.layer.inputs[0]), *weights]
        self._op("LayerNormalization", inputs, _y(name), axis=-1, epsilon=float(NORMALISATION_FLOOR))

    def _sum(self, node: Node) -> None:
        self._op("Sum", [_y(x) for x in node.layer.inputs], _y(node.layer.name))

    def _concatenation(self, node: Node) -> None:
        self._op("Concat", [_y(x) for x in node.layer.inputs], _y(node.layer.name), axis=1)


def _y(layer: str) -> str:
    """Name of a layer's output; names inside have a stroke, which those of inputs, outputs and layers never have."""
    return layer if layer in (FEATURES, PER_BIN) else f"{layer}/y"


def _value(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
