"""Model files for tests: whole ones, and all the ways in which one can be wrong, with the field that is named."""

import json
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save

from percepnet.model import Architecture, Layer, Model, article_network
from percepnet.params import FEATURE_SIZES, SignalParams

SMALLEST = article_network(dense=2, conv1=2, conv2=2, gru=2, strength_gru=2)
PARAMS = SignalParams(1, (0, 3, 9, 40, 200), 60.5, tuple(FEATURE_SIZES))
EVERYTHING = Architecture(  # every kind of layer, and whatever a layer can say
    (
        Layer("in", "dense", ("features",), 6, "tanh"),
        Layer("wide", "convolution", ("in",), 8, "relu", "int8", 3, 2),
        Layer("deep", "convolution", ("wide",), 8, "linear", "float32", 4, 3, True),
        Layer("norm", "normalisation", ("deep",)),
        Layer("memory", "gru", ("norm",), 5, precision="int8"),
        Layer("scan", "gated_recurrence", ("norm",), 8, precision="int8"),
        Layer("residual", "sum", ("wide", "scan", "norm")),
        Layer("all", "concatenation", ("residual", "memory", "features")),
        Layer("gain", "dense", ("all",), "bands", "sigmoid"),
        Layer("strength", "dense", ("memory",), 5, "sigmoid"),
        Layer("voice", "dense", ("memory",), 1, "sigmoid", "int8"),
        Layer("of_bin", "gated_recurrence", ("bins",), 4),
        Layer("lowered", "dense", ("of_bin",), 1),
    ),
    {"gains": "gain", "strengths": "strength", "speech": "voice", "shape": "lowered"},
)
INFO = {"corpus": "white noise, CC0", "hours": "1.5", "by": "Zoë 🎤"}

Tensors = dict[str, tuple[str, list[int], bytes]]


def filled(architecture: Architecture = EVERYTHING, params: SignalParams = PARAMS, seed: int = 0) -> Model:
    """Random weights."""
    rng = np.random.default_rng(seed)
    shapes = architecture.shapes(params).items()
    return Model(params, architecture, {n: rng.uniform(-0.5, 0.5, s).astype(np.float32) for n, s in shapes}, INFO)


def unpacked(data: bytes) -> tuple[dict[str, Any], Tensors]:
    """What a file says of its model, and its tensors: type, shape and bytes."""
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:end])
    description = json.loads(header.pop("__metadata__")["percepnet"])
    tensors = {
        name: (entry["dtype"], entry["shape"], data[end:][slice(*entry["data_offsets"])])
        for name, entry in header.items()
    }
    return description, tensors


def packed(description: Any, tensors: Tensors) -> bytes:
    """The inverse, which takes anything; text is written as it stands."""
    text = description if isinstance(description, str) else json.dumps(description)
    header: dict[str, Any] = {"__metadata__": {"percepnet": text}}
    body = b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    return framed(json.dumps(header).encode(), body)


def framed(header: bytes, body: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + body


def format_1(model: Model, exact: bool = False, **changes: Any) -> bytes:
    """A network of the article as the first version of the format stored it, with other values for some fields."""
    sizes = {layer.name: layer.units for layer in model.architecture.layers}
    description = {
        "format_version": 1,
        "params": {
            "lookahead_frames": model.params.lookahead_frames,
            "band_edges": list(model.params.band_edges),
        },
        "architecture": {
            "dense": sizes["dense"],
            "conv1": sizes["conv1"],
            "conv2": sizes["conv2"],
            "gru": sizes["gru1"],
            "strength_gru": sizes["strength_gru"],
        },
        "info": model.info,
    }
    tensors = {
        name: np.frombuffer(data, {"F32": np.float32, "I8": np.int8}[dtype]).reshape(shape)
        for name, (dtype, shape, data) in unpacked(model.to_bytes(exact))[1].items()
    }
    return save(tensors, {"percepnet": json.dumps(description | changes)})


class Wrong(NamedTuple):
    """A way in which a file is wrong."""

    what: str
    field: str  # that is named first
    change: Callable[[dict[str, Any], Tensors], None]


def _layer(name: str, /, **values: Any) -> Callable[[dict[str, Any], Tensors], None]:
    def change(description: dict[str, Any], tensors: Tensors) -> None:
        next(layer for layer in description["layers"] if layer["name"] == name).update(values)

    return change


def _without(name: str, key: str) -> Callable[[dict[str, Any], Tensors], None]:
    def change(description: dict[str, Any], tensors: Tensors) -> None:
        del next(layer for layer in description["layers"] if layer["name"] == name)[key]

    return change


def _key(*path: str, to: Any = None, gone: bool = False) -> Callable[[dict[str, Any], Tensors], None]:
    def change(description: dict[str, Any], tensors: Tensors) -> None:
        value = description
        for part in path[:-1]:
            value = value[part]
        if gone:
            del value[path[-1]]
        else:
            value[path[-1]] = to

    return change


def _tensor(name: str, dtype: str | None = None, shape: Any = None, data: bytes | None = None) -> Any:
    def change(description: dict[str, Any], tensors: Tensors) -> None:
        before = tensors.get(name, ("F32", [1], bytes(4)))
        tensors[name] = (dtype or before[0], before[1] if shape is None else shape, before[2] if data is None else data)

    return change


def _drop(name: str) -> Callable[[dict[str, Any], Tensors], None]:
    return lambda description, tensors: tensors.pop(name) and None


def _more(count: int) -> Callable[[dict[str, Any], Tensors], None]:
    def change(description: dict[str, Any], tensors: Tensors) -> None:
        for number in range(count):
            description["layers"].append({"name": f"more{number}", "kind": "normalisation", "inputs": ["norm"]})

    return change


def _chain(kind: str, count: int, **values: Any) -> Callable[[dict[str, Any], Tensors], None]:
    """Layers that each take the one before many times, so that sizes explode."""

    def change(description: dict[str, Any], tensors: Tensors) -> None:
        last = "all"
        for number in range(count):
            many = 32 if kind == "concatenation" else 1
            layer = {"name": f"chain{number}", "kind": kind, "inputs": [last] * many} | values
            description["layers"].append(layer)
            last = layer["name"]

    return change


ODD_COUNTS = (0, -1, 1.5, 1.0, "5", None, True, [], 2**31, 2**63, 10**30)

WRONG: tuple[Wrong, ...] = (
    # what the file is
    *(Wrong(f"version {v!r}", "format_version", _key("format_version", to=v)) for v in (*ODD_COUNTS, 3, 99)),
    Wrong("no version", "format_version", _key("format_version", gone=True)),
    Wrong("a requirement", "requires", _key("requires", to=["echo"])),
    Wrong("requirements that are no list", "requires", _key("requires", to={"echo": 1})),
    Wrong("a requirement that is no name", "requires", _key("requires", to=[[3]])),
    Wrong("no requirements but null", "requires", _key("requires", to=None)),
    Wrong("another family", "family", _key("family", to="rnnoise")),
    Wrong("a long family", "family", _key("family", to="é\n" * 999)),
    Wrong("no family", "family", _key("family", gone=True)),
    Wrong("other inputs", "inputs", _key("inputs", to=["near", "far"])),
    Wrong("no inputs", "inputs", _key("inputs", to=[])),
    Wrong("inputs that are no list", "inputs", _key("inputs", to="near")),
    Wrong("inputs by name", "inputs", _key("inputs", to={"0": "near"})),
    # the signal path
    Wrong("no signal", "signal", _key("signal", gone=True)),
    Wrong("a signal that is no object", "signal", _key("signal", to=[])),
    *(
        Wrong(f"lookahead {v!r}", "signal.lookahead_frames", _key("signal", "lookahead_frames", to=v))
        for v in (-1, 4, 1.0, "1", None, True, 2**40)
    ),
    Wrong("no lookahead", "signal.lookahead_frames", _key("signal", "lookahead_frames", gone=True)),
    *(
        Wrong(f"edges {v!r}", "signal.band_edges", _key("signal", "band_edges", to=v))
        for v in (
            [],
            [0],
            [1, 2],
            [0, 0],
            [0, 5, 4],
            [0, 481],
            [0, 2**31],
            [0, -(2**63), 9],
            [0, 1.0],
            [0, "4"],
            [0, [4]],
            "04",
            None,
            {"a": 0, "b": 4},
            list(range(482)),
        )
    ),
    *(
        Wrong(f"high-pass {v!r}", "signal.highpass_hz", _key("signal", "highpass_hz", to=v))
        for v in (-1, 0.5, 100.5, "30", None, True, [30], 1e308)
    ),
    *(
        Wrong(f"features {v!r}", "features", _key("features", to=v))
        for v in ([], ["pitch", "pitch"], ["loudness"], [3], [["pitch"]], "pitch", None, {"a": "pitch"}, ["pitch\0"])
    ),
    # the table
    Wrong("no layers", "layers", _key("layers", gone=True)),
    Wrong("an empty table", "layers", _key("layers", to=[])),
    Wrong("layers by name", "layers", lambda d, t: d.update(layers={x["name"]: x for x in d["layers"]})),
    Wrong("too many layers", "layers", _more(118)),
    Wrong("a layer that is none", "layers.2", lambda d, t: d["layers"].insert(2, "dense")),
    *(
        Wrong(f"the name {v!r}", "layers.3.name", _layer("norm", name=v))
        for v in ("", "Norm", "9", "no.rm", "a" * 48, 3, None, "é")
    ),
    Wrong("a name with a zero", "layers.3.name", _layer("norm", name="norm\0x")),
    Wrong("a name with a line", "layers.3.name", _layer("norm", name="norm\n")),
    Wrong("no name", "layers.3.name", _without("norm", "name")),
    Wrong("a name twice", "layers.wide.name", _layer("deep", name="wide")),
    Wrong("a layer of the name features", "layers.features.name", _layer("deep", name="features")),
    *(Wrong(f"the kind {v!r}", "layers.norm.kind", _layer("norm", kind=v)) for v in ("lstm", "", 3, None, "gru\0", [])),
    Wrong("no kind", "layers.norm.kind", _without("norm", "kind")),
    *(
        Wrong(f"the inputs {v!r}", "layers.norm.inputs", _layer("norm", inputs=v))
        for v in (
            [],
            ["deep", "deep"],
            "deep",
            None,
            {"a": "deep"},
            [3],
            ["nothing"],
            ["norm"],
            ["gain"],
            ["deep\0"],
            [["deep"]],
        )
    ),
    Wrong("no inputs of a layer", "layers.norm.inputs", _without("norm", "inputs")),
    Wrong("one input of a sum", "layers.residual.inputs", _layer("residual", inputs=["wide"])),
    Wrong("33 inputs", "layers.residual.inputs", _layer("residual", inputs=["wide"] * 33)),
    Wrong("inputs of two sizes", "layers.residual.inputs", _layer("residual", inputs=["wide", "memory"])),
    *(
        Wrong(f"{v!r} units", "layers.scan.units", _layer("scan", units=v))
        for v in (*ODD_COUNTS, 4097, "band", "bands\0")
    ),
    Wrong("no units", "layers.scan.units", _without("scan", "units")),
    Wrong("units of a sum", "layers.residual.units", _layer("residual", units=8)),
    Wrong("bands of a sum", "layers.residual.units", _layer("residual", units="bands")),
    *(
        Wrong(f"the activation {v!r}", "layers.in.activation", _layer("in", activation=v))
        for v in ("softmax", "", None, 1, ["tanh"], "tanh\0")
    ),
    Wrong("an activation of a GRU", "layers.memory.activation", _layer("memory", activation="tanh")),
    *(
        Wrong(f"the precision {v!r}", "layers.in.precision", _layer("in", precision=v))
        for v in ("float16", "", None, 8, ["int8"])
    ),
    Wrong("8 bits of a sum", "layers.residual.precision", _layer("residual", precision="int8")),
    Wrong("8 bits, depthwise", "layers.deep.precision", _layer("deep", precision="int8")),
    *(Wrong(f"{v!r} taps", "layers.wide.taps", _layer("wide", taps=v)) for v in (*ODD_COUNTS, 65)),
    Wrong("taps of a dense layer", "layers.in.taps", _layer("in", taps=2)),
    *(Wrong(f"dilation {v!r}", "layers.wide.dilation", _layer("wide", dilation=v)) for v in (*ODD_COUNTS, 257)),
    Wrong("dilation of a GRU", "layers.memory.dilation", _layer("memory", dilation=2)),
    *(Wrong(f"depthwise {v!r}", "layers.deep.depthwise", _layer("deep", depthwise=v)) for v in (1, None, "true", [])),
    Wrong("a depthwise GRU", "layers.memory.depthwise", _layer("memory", depthwise=True)),
    Wrong("depthwise to another size", "layers.deep.units", _layer("deep", units=9)),
    Wrong("exploding sizes", "layers.chain2.units", _chain("concatenation", 9)),
    Wrong(
        "an exploding memory",
        "layers.chain6.taps",
        _chain("convolution", 9, units=4096, taps=4, dilation=256),
    ),
    # the heads
    Wrong("no heads", "heads", _key("heads", gone=True)),
    Wrong("heads that are no object", "heads", _key("heads", to=["gain"])),
    Wrong("no gains", "heads.gains", _key("heads", "gains", gone=True)),
    Wrong("no strengths", "heads.strengths", _key("heads", "strengths", gone=True)),
    *(
        Wrong(f"gains {v!r}", "heads.gains", _key("heads", "gains", to=v))
        for v in ("nothing", "features", "memory", "in", 3, None, ["gain"], "gain\0")
    ),
    Wrong("gains of another activation", "heads.gains", _layer("gain", activation="tanh")),
    Wrong("strengths of another size", "heads.strengths", _layer("strength", units=4)),
    Wrong("a speech head of more than one", "heads.speech", _key("heads", "speech", to="gain")),
    Wrong("a speech head that is null", "heads.speech", _key("heads", "speech", to=None)),
    # the network for bins
    Wrong("a layer of the name bins", "layers.bins.name", _layer("deep", name="bins")),
    Wrong("inputs of two sources", "layers.all.inputs", _layer("all", inputs=["residual", "memory", "of_bin"])),
    Wrong("inputs that are two sources", "layers.all.inputs", _layer("all", inputs=["features", "bins"])),
    Wrong("bins without a head", "heads.shape", _key("heads", "shape", gone=True)),
    Wrong("a shape of features", "heads.shape", _key("heads", "shape", to="voice")),
    Wrong("a shape of more than one", "heads.shape", _key("heads", "shape", to="of_bin")),
    Wrong("a shape of another activation", "heads.shape", _layer("lowered", activation="tanh")),
    Wrong("gains of bins", "heads.gains", _key("heads", "gains", to="lowered")),
    Wrong("an exploding size of bins", "layers.of_bin.units", _layer("of_bin", units=4000)),
    Wrong("a kind that bins have not", "layers.of_bin.kind", _layer("of_bin", kind="gru")),
    Wrong("8 bits for bins", "layers.of_bin.precision", _layer("of_bin", precision="int8")),
    Wrong("an unknown head that is no name", "heads.tempo", _key("heads", "tempo", to=3)),
    # the card
    Wrong("no info", "info", _key("info", gone=True)),
    Wrong("info that is no object", "info", _key("info", to=["x"])),
    Wrong("info that is no text", "info.hours", _key("info", "hours", to=3)),
    # the tensors
    Wrong("no such tensor", "memory.bias_hh", _drop("memory.bias_hh")),
    Wrong("no tensors", "in.weight", lambda d, t: t.clear()),
    Wrong("no scale", "memory.weight_ih.scale", _drop("memory.weight_ih.scale")),
    Wrong("an unknown tensor", "gru9", _tensor("gru9")),
    Wrong("an unknown weight", "memory.weight", _tensor("memory.weight")),
    Wrong("a scale of what is no matrix", "memory.bias_ih.scale", _tensor("memory.bias_ih.scale")),
    Wrong("a scale in single precision", "in.weight.scale", _tensor("in.weight.scale")),
    Wrong("a tensor of no layer's", "sum.weight", _tensor("sum.weight")),
    Wrong("another shape", "in.bias", _tensor("in.bias", shape=[5], data=bytes(20))),
    Wrong("an axis more", "in.bias", _tensor("in.bias", shape=[6, 1])),
    Wrong("many axes", "in.bias", _tensor("in.bias", shape=[6] + [1] * 60)),
    Wrong("no axis", "in.bias", _tensor("in.bias", shape=[], data=bytes(4))),
    Wrong("nothing in it", "in.bias", _tensor("in.bias", shape=[0], data=b"")),
    Wrong("axes the other way round", "scan.weight", _tensor("scan.weight", shape=[8, 16])),
    Wrong("another type", "in.bias", _tensor("in.bias", dtype="F64", data=bytes(48))),
    Wrong("an unknown type", "in.bias", _tensor("in.bias", dtype="Q\n4")),
    Wrong("8 bits where none are", "in.bias", _tensor("in.bias", dtype="I8", data=bytes(6))),
    Wrong("single precision where none is", "voice.weight", _tensor("voice.weight", dtype="F32", data=bytes(20))),
    Wrong("a scale in 8 bits", "voice.weight.scale", _tensor("voice.weight.scale", dtype="I8", data=bytes(1))),
    Wrong("a scale of another shape", "voice.weight.scale", _tensor("voice.weight.scale", shape=[2], data=bytes(8))),
    *(
        Wrong(f"a bias of {v}", "in.bias", _tensor("in.bias", data=np.full(6, v, np.float32).tobytes()))
        for v in (np.nan, np.inf, -np.inf, 1.1e6, -1.1e6)
    ),
    *(
        Wrong(f"a scale of {v}", "voice.weight.scale", _tensor("voice.weight.scale", data=np.float32([v]).tobytes()))
        for v in (np.nan, np.inf, -1e-9, 1.1)
    ),
    Wrong("an integer of -128", "voice.weight", _tensor("voice.weight", data=bytes([1, 2, 3, 4, 128]))),
    # the container
    Wrong("a shape of numbers that are none", "header", _tensor("in.bias", shape=[6.0])),
    Wrong("a shape below nothing", "header", _tensor("in.bias", shape=[-6])),
    Wrong("a huge shape", "header", _tensor("in.bias", shape=[2**62, 2**62])),
    Wrong("a shape that is none", "header", _tensor("in.bias", shape="6")),
    Wrong("shorter than its shape", "header", _tensor("in.bias", data=bytes(23))),
    Wrong("longer than its shape", "header", _tensor("in.bias", data=bytes(25))),
)

SOUND: tuple[Wrong, ...] = (  # and what is no reason to refuse a file
    Wrong("nothing", "", lambda d, t: None),
    Wrong("unknown keys", "", lambda d, t: d.update(future={"deep": [[1e99, None]]}, signal=d["signal"] | {"x": 1})),
    Wrong("unknown keys of a layer", "", _layer("norm", future=[3])),
    Wrong("unknown heads", "", _key("heads", "tempo", to="none yet")),
    Wrong("no requirements", "", _key("requires", to=[])),
    Wrong("no word of the network for bins", "", _key("requires", gone=True)),
    Wrong("no high-pass", "", _key("signal", "highpass_hz", gone=True)),
    Wrong("a whole high-pass", "", _key("signal", "highpass_hz", to=100)),
    Wrong("high-pass 0", "", _key("signal", "highpass_hz", to=-0.0)),
    Wrong("no speech", "", lambda d, t: d["heads"].pop("speech") and None),
    Wrong("no activation", "", _without("deep", "activation")),
    Wrong("null units", "", _layer("residual", units=None)),
    Wrong("no card", "", _key("info", to={})),
    Wrong("a key of no letters", "", _key("info", "", to="\0")),
    Wrong("a long card", "", _key("info", "text", to="é🎤\n" * 5000)),
    Wrong("tensors in another order", "", lambda d, t: t.update({n: t.pop(n) for n in sorted(t, reverse=True)})),
    Wrong("the largest weights", "", _tensor("in.bias", data=np.float32([1e6, -1e6, 0, -0.0, 1e-45, 1]).tobytes())),
    Wrong("a scale of 1", "", _tensor("voice.weight.scale", data=np.float32([1]).tobytes())),
)


def changed(case: Wrong, whole: bytes) -> bytes:
    description, tensors = unpacked(whole)
    case.change(description, tensors)
    return packed(description, tensors)
