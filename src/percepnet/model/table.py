"""Networks as data: an ordered table of layers, which NumPy, the C core and the training interpret alike.

A layer names the layers that it gets its input from, which come before it; `features` is the network's input. Two or
three layers are heads: gains and strengths have one unit a band, the speech probability has one, all from 0 to 1.
Layers that begin at `bins` instead are a network of their own, which every bin up to 8 kHz goes through with the same
weights. Its head is the shape of the noise: one unit, by which the rule of `reference/noise_shape.py` is corrected.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, get_args

from percepnet.errors import ModelError
from percepnet.params import BIN_FEATURES, SHAPED_BINS, SignalParams
from percepnet.reference.layers import FEATURES, KINDS, PER_BIN, Activation, Kind, Shape, Tensor

BANDS: Literal["bands"] = "bands"
UNITS_MAX = 4096  # eight times the widest published layer: a larger number in a file is damage, not a design
LAYERS_MAX = 128
TAPS_MAX = 64
DILATION_MAX = 256
MEMORY_MAX = 1_000_000  # hours
# Of all layers together, so that a file of some kilobytes cannot ask each stream for gigabytes.
ALL_UNITS_MAX = LAYERS_MAX * UNITS_MAX
ALL_PAST_MAX = 2**24
NAME = re.compile(r"[a-z][a-z0-9_]{0,46}")  # 47 characters, and safe in the names of tensors
HEADS = ("gains", "strengths", "speech", "shape")
OPTIONAL_HEADS = ("speech", "shape")
HEADS_OF_BINS = ("shape",)

Precision = Literal["float32", "int8"]


@dataclass(frozen=True)
class Layer:
    """A row of the table.

    Parameters
    ----------
    name : str
        Lower-case letters, digits and underscores; its weights are stored as `name.weight` and so on.
    kind : str
        A key of `percepnet.reference.layers.KINDS`.
    inputs : tuple of str
        Names of layers before this one, or "features", or "bins".
    units : int, "bands" or None
        Size of the output, 1 to 4096; "bands" is as many as the signal path has bands. None for kinds whose size
        follows from their inputs.
    activation : str
        "linear", "tanh", "sigmoid" or "relu", of dense layers and convolutions.
    precision : str
        "float32"; or "int8": matrices are stored and multiplied in 8 bits, and the layer's input is limited to [-1, 1].
    taps, dilation : int
        Frames that a convolution sees, and how far apart they lie.
    depthwise : bool
        Whether each unit of a convolution sees only its own input.
    memory : int
        Frames for which a GRU remembers at most: a time constant, 2 to 1,000,000; 0 for any time.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    units: int | Literal["bands"] | None = None
    activation: Activation = "linear"
    precision: Precision = "float32"
    taps: int = 1
    dilation: int = 1
    depthwise: bool = False
    memory: int = 0


class Node(NamedTuple):
    """A layer whose sizes are settled."""

    layer: Layer
    kind: type[Kind]
    shape: Shape

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Weights by their names in the file."""
        return {f"{self.layer.name}.{suffix}": tensor for suffix, tensor in self.kind.tensors(self.shape).items()}

    def is_int8(self, tensor: Tensor) -> bool:
        """Whether one of its weights is stored in 8 bits."""
        return self.layer.precision == "int8" and tensor.may_be_int8


@dataclass(frozen=True)
class Architecture:
    """A network without its weights.

    Parameters
    ----------
    layers : tuple of Layer
        In the order of calculation.
    heads : mapping of str to str
        Which layers are "gains", "strengths" and, if there are such, "speech" and "shape".

    Raises
    ------
    ModelError
        If a field is out of range, or if layers and heads do not fit together. The message names the field.
    """

    layers: tuple[Layer, ...]
    heads: Mapping[str, str] = field(default_factory=lambda: {"gains": "gain", "strengths": "strength"})

    def __post_init__(self) -> None:
        if not 1 <= len(self.layers) <= LAYERS_MAX:
            raise ModelError(f"layers: expected 1 to {LAYERS_MAX}, found {len(self.layers)}")
        known = {FEATURES, PER_BIN}
        for number, layer in enumerate(self.layers):
            _check_layer(number, layer, known)
            known.add(layer.name)
        for head in HEADS:
            if head not in self.heads and head not in OPTIONAL_HEADS:
                raise ModelError(f"heads.{head}: expected the name of a layer, found no such field")
        for head, name in self.heads.items():
            if head not in HEADS:
                raise ModelError(f"heads.{head}: expected {', '.join(HEADS)}, found another head")
            if name not in known - {FEATURES, PER_BIN}:
                raise ModelError(f"heads.{head}: expected the name of a layer, found {name!r}")
        self._check_sources()

    def _check_sources(self) -> None:
        sources = self.sources
        for layer in self.layers:
            where = f"layers.{layer.name}"
            if len({sources[name] for name in layer.inputs}) > 1:
                raise ModelError(f"{where}.inputs: expected '{FEATURES}' or '{PER_BIN}', found both")
            if sources[layer.name] == PER_BIN and not KINDS[layer.kind].is_for_bins:
                raise ModelError(f"{where}.kind: expected one for bins, found {layer.kind!r}")
            if sources[layer.name] == PER_BIN and layer.precision != "float32":
                raise ModelError(f"{where}.precision: expected 'float32' for bins, found {layer.precision!r}")
        for head, name in self.heads.items():
            source = PER_BIN if head in HEADS_OF_BINS else FEATURES
            if sources[name] != source:
                raise ModelError(f"heads.{head}: expected a layer behind '{source}', found {name!r}")
        if self.has_bins and not set(HEADS_OF_BINS) & set(self.heads):
            raise ModelError("heads.shape: expected the name of a layer, as some hear bins, found no such field")

    @property
    def sources(self) -> dict[str, str]:
        """What is behind each layer: "features", once a frame, or "bins", once a bin."""
        found = {FEATURES: FEATURES, PER_BIN: PER_BIN}
        for layer in self.layers:
            found[layer.name] = found[layer.inputs[0]]
        return found

    @property
    def has_bins(self) -> bool:
        """Whether there is a network for bins."""
        return PER_BIN in (name for layer in self.layers for name in layer.inputs)

    def nodes(self, params: SignalParams, source: str = FEATURES) -> tuple[Node, ...]:
        """The layers behind "features", or behind "bins", with their sizes for a signal path.

        Raises
        ------
        ModelError
            If sizes do not fit together.
        """
        sources = self.sources
        return tuple(node for node in self.all_nodes(params) if sources[node.layer.name] == source)

    def all_nodes(self, params: SignalParams) -> tuple[Node, ...]:
        """All layers with their sizes for a signal path.

        Raises
        ------
        ModelError
            If sizes do not fit together.
        """
        units = {FEATURES: params.features, PER_BIN: BIN_FEATURES}
        sources = self.sources
        nodes: list[Node] = []
        all_units = all_past = 0
        for layer in self.layers:
            kind = KINDS[layer.kind]
            inputs = tuple(units[name] for name in layer.inputs)
            size = kind.units(inputs) if layer.units is None else params.bands if layer.units == BANDS else layer.units
            where = f"layers.{layer.name}"
            if size == 0:
                raise ModelError(f"{where}.inputs: expected inputs of one size, found {list(inputs)}")
            count = SHAPED_BINS if sources[layer.name] == PER_BIN else 1
            all_units += count * size
            if all_units > ALL_UNITS_MAX:
                raise ModelError(f"{where}.units: expected at most {ALL_UNITS_MAX} in all layers, found {all_units}")
            if layer.depthwise and size != inputs[0]:
                raise ModelError(f"{where}.units: expected {inputs[0]}, as it is depthwise, found {size}")
            all_past += count * (layer.taps - 1) * layer.dilation * inputs[0]
            if all_past > ALL_PAST_MAX:
                raise ModelError(
                    f"{where}.taps: expected at most {ALL_PAST_MAX} numbers in the memory of all convolutions, "
                    f"found {all_past}"
                )
            shape = Shape(inputs, size, layer.activation, layer.taps, layer.dilation, layer.depthwise, layer.memory)
            nodes.append(Node(layer, kind, shape))
            units[layer.name] = size
        by_name = {node.layer.name: node for node in nodes}
        for head, name in self.heads.items():
            expected = params.bands if head in ("gains", "strengths") else 1
            node = by_name[name]
            if node.shape.units != expected:
                raise ModelError(f"heads.{head}: expected {expected} units, found {node.shape.units}")
            activation = "linear" if head in HEADS_OF_BINS else "sigmoid"
            if node.layer.activation != activation:
                raise ModelError(
                    f"heads.{head}: expected a layer of activation {activation!r}, found {node.layer.activation!r}"
                )
        return tuple(nodes)

    def shapes(self, params: SignalParams) -> dict[str, tuple[int, ...]]:
        """Shape of every weight by name, in the order of calculation.

        Matrices are (outputs, inputs); convolutions (outputs, inputs, taps), oldest frame first; the rows of a GRU are
        its reset, update and new gates in turn, in the form of `torch.nn.GRU`.
        """
        return {name: tensor.shape for node in self.all_nodes(params) for name, tensor in node.tensors.items()}

    def int8_names(self, params: SignalParams) -> frozenset[str]:
        """Names of the weights that are stored in 8 bits."""
        nodes = self.all_nodes(params)
        return frozenset(name for node in nodes for name, tensor in node.tensors.items() if node.is_int8(tensor))

    def with_bins_of(self, other: "Architecture") -> "Architecture":
        """The same network with the layers for bins of another, in the place of its own."""
        own, others = self.sources, other.sources
        layers = [layer for layer in self.layers if own[layer.name] != PER_BIN]
        layers += [layer for layer in other.layers if others[layer.name] == PER_BIN]
        heads = {head: name for head, name in self.heads.items() if head not in HEADS_OF_BINS}
        heads |= {head: name for head, name in other.heads.items() if head in HEADS_OF_BINS}
        return Architecture(tuple(layers), heads)

    def remembering(self, memory: int | Mapping[str, int]) -> "Architecture":
        """The same network whose GRUs remember for so many frames at most: all of them, or each by its layer's name."""
        layers = [
            replace(layer, memory=memory if isinstance(memory, int) else memory.get(layer.name, 0))
            if KINDS[layer.kind].has_memory
            else layer
            for layer in self.layers
        ]
        return Architecture(tuple(layers), self.heads)

    @property
    def memories(self) -> dict[str, int]:
        """For how many frames each layer that forgets remembers."""
        return {layer.name: layer.memory for layer in self.layers if layer.memory}

    def in_8_bits(self, names: Iterable[str]) -> "Architecture":
        """The same network with these layers in 8 bits as well. Their inputs have to lie in [-1, 1].

        Raises
        ------
        ModelError
            If there is no such layer, or its kind has none.
        """
        wanted = set(names)
        layers = [replace(layer, precision="int8") if layer.name in wanted else layer for layer in self.layers]
        unknown = wanted - {layer.name for layer in self.layers}
        if unknown:
            raise ModelError(f"no layer {min(unknown)!r}: there are {', '.join(layer.name for layer in self.layers)}")
        return Architecture(tuple(layers), self.heads)

    def in_single_precision(self) -> "Architecture":
        """The same network with all layers in float32."""
        return Architecture(tuple(replace(layer, precision="float32") for layer in self.layers), self.heads)


def _check_layer(number: int, layer: Layer, known: set[str]) -> None:
    if not NAME.fullmatch(layer.name):
        raise ModelError(
            f"layers.{number}.name: expected up to 47 lower-case letters, digits and underscores, found {layer.name!r}"
        )
    where = f"layers.{layer.name}"
    if layer.name in known:
        raise ModelError(f"{where}.name: expected another one, found it twice")
    kind = KINDS.get(layer.kind)
    if kind is None:
        raise ModelError(f"{where}.kind: expected one of {', '.join(KINDS)}, found {layer.kind!r}")
    if not kind.inputs_min <= len(layer.inputs) <= kind.inputs_max:
        count = (
            str(kind.inputs_min) if kind.inputs_min == kind.inputs_max else f"{kind.inputs_min} to {kind.inputs_max}"
        )
        raise ModelError(f"{where}.inputs: expected {count}, found {len(layer.inputs)}")
    for name in layer.inputs:
        if name not in known:
            raise ModelError(f"{where}.inputs: expected earlier layers, 'features' or 'bins', found {name!r}")
    _check_sizes(where, layer, kind)


def _check_sizes(where: str, layer: Layer, kind: type[Kind]) -> None:
    if kind.has_units:
        in_range = type(layer.units) is int and 1 <= layer.units <= UNITS_MAX
        if not in_range and layer.units != BANDS:
            raise ModelError(
                f"{where}.units: expected an integer from 1 to {UNITS_MAX} or 'bands', found {layer.units!r}"
            )
    elif layer.units is not None:
        raise ModelError(f"{where}.units: expected none for {layer.kind}, found {layer.units!r}")
    if layer.activation not in (get_args(Activation) if kind.has_activation else ("linear",)):
        raise ModelError(f"{where}.activation: expected one that {layer.kind} has, found {layer.activation!r}")
    if layer.precision not in (get_args(Precision) if kind.has_precision else ("float32",)):
        raise ModelError(f"{where}.precision: expected one that {layer.kind} has, found {layer.precision!r}")
    for name, value, most in (("taps", layer.taps, TAPS_MAX), ("dilation", layer.dilation, DILATION_MAX)):
        if type(value) is not int or not 1 <= value <= (most if kind.has_taps else 1):
            raise ModelError(
                f"{where}.{name}: expected an integer from 1 to {most if kind.has_taps else 1}, found {value!r}"
            )
    if type(layer.depthwise) is not bool or (layer.depthwise and not kind.has_taps):
        raise ModelError(f"{where}.depthwise: expected one that {layer.kind} has, found {layer.depthwise!r}")
    if type(layer.memory) is not int or (layer.memory and not (kind.has_memory and 2 <= layer.memory <= MEMORY_MAX)):
        raise ModelError(f"{where}.memory: expected 0, or 2 to {MEMORY_MAX} of a GRU, found {layer.memory!r}")
    if layer.depthwise and layer.precision == "int8":
        raise ModelError(f"{where}.precision: expected 'float32' of a depthwise convolution, found 'int8'")
