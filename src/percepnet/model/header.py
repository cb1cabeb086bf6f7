"""What a model file says of its model: JSON to and from the signal path, the table of layers and the card.

Readers look at `format_version` first, ignore keys that they do not know, and refuse a file that `requires` something
that they do not know.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

from percepnet.errors import ModelError
from percepnet.model.container import INTEGER_MAX
from percepnet.model.presets import article_network
from percepnet.model.strict_json import JsonObject, parse, plain, shown
from percepnet.model.table import HEADS, LAYERS_MAX, UNITS_MAX, Architecture, Layer, checked_name
from percepnet.params import BINS, FEATURE_SIZES, HIGHPASS_MAX_HZ, LOOKAHEAD_FRAMES_MAX, SignalParams
from percepnet.reference.layers import KINDS

FORMAT = "percepnet"
FORMAT_VERSION = 2
FAMILY = "percepnet"
INPUTS = ("near",)
KNOWN_REQUIREMENTS: frozenset[str] = frozenset()
FORMAT_1_SIZES = ("dense", "conv1", "conv2", "gru", "strength_gru")


@dataclass(frozen=True)
class Header:
    """What a file says beside its tensors.

    Parameters
    ----------
    version : int
        Of its format.
    params : SignalParams
    architecture : Architecture
    info : dict of str to str
    """

    version: int
    params: SignalParams
    architecture: Architecture
    info: dict[str, str]


def write_header(params: SignalParams, architecture: Architecture, info: Mapping[str, str]) -> str:
    """The JSON of a file of format 2, the same for equal models."""
    header = {
        "format_version": FORMAT_VERSION,
        "family": FAMILY,
        "inputs": list(INPUTS),
        "signal": {
            "lookahead_frames": params.lookahead_frames,
            "band_edges": list(params.band_edges),
            "highpass_hz": params.highpass_hz,
        },
        "features": list(params.feature_blocks),
        **architecture_to_json(architecture),
        "info": dict(info),
    }
    return json.dumps(header, ensure_ascii=False, sort_keys=True)


def architecture_to_json(architecture: Architecture) -> dict[str, Any]:
    """Layers and heads as JSON values."""
    return {"layers": [_layer_to_json(layer) for layer in architecture.layers], "heads": dict(architecture.heads)}


def architecture_from_json(value: Mapping[str, Any]) -> Architecture:
    """The inverse of `architecture_to_json`; keys that are unknown are ignored.

    Raises
    ------
    ModelError
        If a field is missing, of another type, or does not fit.
    """
    layers = _field(value, "layers", list, "a list of layers")
    if len(layers) > LAYERS_MAX:
        raise ModelError(f"layers: expected 1 to {LAYERS_MAX}, found {len(layers)}")
    table = tuple(_layer_from_json(number, layer) for number, layer in enumerate(layers))
    heads = _field(value, "heads", dict, "an object")
    for head, name in _members(heads):
        if not isinstance(name, str):
            raise ModelError(f"heads.{plain(head)}: expected the name of a layer, found {shown(name)}")
    return Architecture(table, {head: name for head, name in heads.items() if head in HEADS})


def read_header(description: str | None) -> Header:
    """The header of a file, from what its metadata say under the name "percepnet".

    Raises
    ------
    ModelError
        If there is none, if it is of a newer format, or if a field is missing or does not fit. The message names the
        field, what was expected and what was found.
    """
    if description is None:
        raise ModelError(f"metadata: expected an entry {FORMAT!r}, found none: not a percepnet model")
    try:
        value = parse(description)
    except ValueError:
        raise ModelError(f"metadata: expected JSON, found {shown(description)}: not a percepnet model") from None
    if not isinstance(value, JsonObject):
        raise ModelError(f"metadata: expected a JSON object, found {shown(value)}: not a percepnet model")
    version = value.get("format_version")
    if type(version) is int and FORMAT_VERSION < version <= INTEGER_MAX:
        raise ModelError(
            f"format_version: expected up to {FORMAT_VERSION}, found {version}: "
            "the file is of a newer format, use a newer percepnet"
        )
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise ModelError(
            f"format_version: expected 1 to {FORMAT_VERSION}, found {shown(version)}: not a percepnet model"
        )
    return _read_1(value) if version == 1 else _read_2(value)


def check_info(info: Mapping[str, str]) -> None:
    """Refuse what is no free text by name.

    Raises
    ------
    ModelError
        With the name of the entry.
    """
    for name, text in _members(info):
        if not _is_text(name) or not _is_text(text):
            raise ModelError(f"info.{plain(str(name))}: expected text, found {shown(text)}")


def _read_2(value: JsonObject) -> Header:
    for name in _field(value, "requires", list, "a list of names", default=[]):
        if not isinstance(name, str) or name not in KNOWN_REQUIREMENTS:
            raise ModelError(f"requires: expected nothing unknown, found {shown(name)}: use a newer percepnet")
    family = value.get("family")
    if family != FAMILY:
        raise ModelError(f"family: expected {FAMILY!r}, found {shown(family)}: use a matching percepnet")
    inputs = value.get("inputs")
    if inputs != list(INPUTS):
        raise ModelError(f"inputs: expected {list(INPUTS)}, found {shown(inputs)}: use a newer percepnet")
    signal = _field(value, "signal", dict, "an object")
    lookahead, edges = _lookahead_and_edges("signal", signal)
    highpass_hz = signal.get("highpass_hz", 0.0)
    if type(highpass_hz) not in (int, float) or not (highpass_hz == 0 or 1 <= highpass_hz <= HIGHPASS_MAX_HZ):
        raise ModelError(f"signal.highpass_hz: expected 0, or 1 to {HIGHPASS_MAX_HZ:g}, found {shown(highpass_hz)}")
    params = SignalParams(lookahead, edges, float(highpass_hz), _feature_blocks(value))
    architecture = architecture_from_json(value)
    architecture.nodes(params)  # whether sizes fit together
    return Header(2, params, architecture, _info(value))


def _read_1(value: JsonObject) -> Header:
    _check_keys("metadata", value, {"format_version", "params", "architecture", "info"})
    _check_keys("params", value["params"], {"lookahead_frames", "band_edges"})
    sizes = value["architecture"]
    _check_keys("architecture", sizes, set(FORMAT_1_SIZES))
    params = SignalParams(*_lookahead_and_edges("params", value["params"]))
    for name in FORMAT_1_SIZES:
        if type(sizes[name]) is not int or not 1 <= sizes[name] <= UNITS_MAX:
            raise ModelError(
                f"architecture.{name}: expected an integer from 1 to {UNITS_MAX}, found {shown(sizes[name])}"
            )
    return Header(1, params, article_network(**sizes), _info(value))


def _lookahead_and_edges(where: str, value: Mapping[str, Any]) -> tuple[int, tuple[int, ...]]:
    lookahead, edges = value.get("lookahead_frames"), value.get("band_edges")
    if not isinstance(edges, list) or not all(type(edge) is int for edge in edges):
        raise ModelError(f"{where}.band_edges: expected a list of integers, found {shown(edges)}")
    if len(edges) < 2 or edges[0] != 0 or edges[-1] >= BINS or any(low >= high for low, high in pairwise(edges)):
        raise ModelError(
            f"{where}.band_edges: expected numbers that increase from 0 to at most {BINS - 1}, found {shown(edges)}"
        )
    if type(lookahead) is not int or not 0 <= lookahead <= LOOKAHEAD_FRAMES_MAX:
        raise ModelError(
            f"{where}.lookahead_frames: expected an integer from 0 to {LOOKAHEAD_FRAMES_MAX}, found {shown(lookahead)}"
        )
    return lookahead, tuple(edges)


def _feature_blocks(value: JsonObject) -> tuple[str, ...]:
    blocks: list[str] = []
    for block in _field(value, "features", list, "a list of names"):
        if not isinstance(block, str) or block not in FEATURE_SIZES or block in blocks:
            raise ModelError(f"features: expected known blocks, each once, found {shown(block)}")
        blocks.append(block)
    if not blocks:
        raise ModelError("features: expected at least one block, found []")
    return tuple(blocks)


def _layer_to_json(layer: Layer) -> dict[str, Any]:
    kind = KINDS[layer.kind]
    said = {
        "units": kind.has_units,
        "activation": kind.has_activation,
        "precision": kind.has_precision,
        "taps": kind.has_taps,
        "dilation": kind.has_taps,
        "depthwise": kind.has_taps,
    }
    values = asdict(layer) | {"inputs": list(layer.inputs)}
    return {name: value for name, value in values.items() if said.get(name, True)}


def _layer_from_json(number: int, value: Any) -> Layer:
    if not isinstance(value, dict):
        raise ModelError(f"layers.{number}: expected an object, found {shown(value)}")
    known = {entry.name for entry in fields(Layer)}
    given = {name: entry for name, entry in value.items() if name in known}
    name = checked_name(number, given.get("name"))
    if not isinstance(given.get("kind"), str):
        raise ModelError(f"layers.{name}.kind: expected text, found {shown(given.get('kind'))}")
    inputs = given.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(name, str) for name in inputs):
        raise ModelError(f"layers.{name}.inputs: expected a list of names, found {shown(inputs)}")
    return Layer(**given | {"inputs": tuple(inputs)})


def _info(value: JsonObject) -> dict[str, str]:
    info = _field(value, "info", dict, "a JSON object")
    check_info(info)
    return dict(info)


def _is_text(value: Any) -> bool:
    """Whether it can be written to a file: half characters cannot."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _members(value: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """All of them, also those whose name comes again later."""
    return value.pairs if isinstance(value, JsonObject) else value.items()


def _field(value: Mapping[str, Any], name: str, kind: type, words: str, default: Any = None) -> Any:
    found = value.get(name, default)
    if not isinstance(found, kind):
        raise ModelError(f"{name}: expected {words}, found {shown(found)}")
    return found


def _check_keys(name: str, value: Any, expected: set[str]) -> None:
    if not isinstance(value, dict):
        raise ModelError(f"{name}: expected a JSON object, found {shown(value)}")
    if set(value) != expected:
        raise ModelError(f"{name}: expected the fields {sorted(expected)}, found {shown(sorted(value))}")
