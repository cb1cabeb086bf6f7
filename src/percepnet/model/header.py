"""What a model file says of its model: JSON to and from the signal path, the table of layers and the card.

Readers look at `format_version` first, ignore keys that they do not know, and refuse a file that `requires` something
that they do not know.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from percepnet.errors import ModelError
from percepnet.model.container import members, parse_json
from percepnet.model.presets import article_network
from percepnet.model.table import HEADS, UNITS_MAX, Architecture, Layer
from percepnet.params import FEATURE_SIZES, SignalParams
from percepnet.reference.layers import KINDS, PER_BIN

FORMAT = "percepnet"
FORMAT_VERSION = 2
FAMILY = "percepnet"
INPUTS = ("near",)
NAME_SHOWN = 47  # characters, of a name that may not have more
KNOWN_REQUIREMENTS = frozenset({PER_BIN})  # a network for bins, which older readers have no place for


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
        **({"requires": [PER_BIN]} if architecture.has_bins else {}),
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
    heads = _field(value, "heads", dict, "an object")
    for head, name in members(heads):
        if not isinstance(name, str):
            raise ModelError(f"heads.{head}: expected the name of a layer, found {_shown(name)}")
    known = {head: name for head, name in heads.items() if head in HEADS}
    return Architecture(tuple(_layer_from_json(number, layer) for number, layer in enumerate(layers)), known)


def read_header(metadata: Mapping[str, Any]) -> Header:
    """The header of a file, from the metadata of a safetensors file, which can hold anything.

    Raises
    ------
    ModelError
        If it is none, of a newer format, or if a field is missing or does not fit. The message names the field, what
        was expected and what was found.
    """
    text = metadata.get(FORMAT)
    if not isinstance(text, str):
        raise ModelError(f"metadata: expected an entry {FORMAT!r}, found {sorted(metadata)}: not a percepnet model")
    try:
        value = parse_json(text.encode())
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ModelError(f"metadata: expected a JSON object, found {_shown(text)}: not a percepnet model")
    version = value.get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        raise ModelError(
            f"format_version: expected up to {FORMAT_VERSION}, found {version}: "
            "the file is of a newer format, use a newer percepnet"
        )
    if version == FORMAT_VERSION and type(version) is int:
        return _read_2(value)
    if version == 1 and type(version) is int:
        return _read_1(value)
    raise ModelError(f"format_version: expected 1 to {FORMAT_VERSION}, found {_shown(version)}: not a percepnet model")


def _read_2(value: dict[str, Any]) -> Header:
    for name in _field(value, "requires", list, "a list of names", default=[]):
        if not isinstance(name, str) or name not in KNOWN_REQUIREMENTS:
            raise ModelError(f"requires: expected nothing unknown, found {_shown(name)}: use a newer percepnet")
    family = _field(value, "family", str, "text")
    if family != FAMILY:
        raise ModelError(f"family: expected {FAMILY!r}, found {family[:40]!r}: use a matching percepnet")
    inputs = _field(value, "inputs", list, "a list of names")
    if inputs != list(INPUTS):
        raise ModelError(f"inputs: expected {list(INPUTS)}, found {_shown(inputs)}: use a newer percepnet")
    signal = _field(value, "signal", dict, "an object")
    blocks = _field(value, "features", list, "a list of names")
    for block in blocks:
        if not isinstance(block, str) or block not in FEATURE_SIZES:
            raise ModelError(f"features: expected {', '.join(FEATURE_SIZES)}, found {_shown(block)}")
    highpass_hz = signal.get("highpass_hz", 0.0)
    if type(highpass_hz) not in (int, float):
        raise ModelError(f"signal.highpass_hz: expected a number, found {_shown(highpass_hz)}")
    params = _signal_params("signal", signal, float(highpass_hz))
    params = replace(params, feature_blocks=tuple(blocks))
    return Header(2, params, architecture_from_json(value), _info(value))


def _read_1(value: dict[str, Any]) -> Header:
    _check_keys("metadata", value, {"format_version", "params", "architecture", "info"})
    _check_keys("params", value["params"], {"lookahead_frames", "band_edges"})
    sizes = value["architecture"]
    _check_keys("architecture", sizes, {"dense", "conv1", "conv2", "gru", "strength_gru"})
    for name, units in sizes.items():
        if type(units) is not int or not 1 <= units <= UNITS_MAX:
            raise ModelError(f"architecture.{name}: expected an integer from 1 to {UNITS_MAX}, found {_shown(units)}")
    params = _signal_params("params", value["params"])
    return Header(1, params, article_network(**sizes), _info(value))


def _signal_params(where: str, value: dict[str, Any], highpass_hz: float = 0.0) -> SignalParams:
    lookahead, edges = value.get("lookahead_frames"), value.get("band_edges")
    if not isinstance(edges, list) or not all(type(edge) is int for edge in edges):
        raise ModelError(f"{where}.band_edges: expected a list of integers, found {_shown(edges)}")
    if type(lookahead) is not int:
        raise ModelError(f"{where}.lookahead_frames: expected an integer, found {_shown(lookahead)}")
    try:
        return SignalParams(lookahead, tuple(edges), highpass_hz)
    except ModelError as error:
        raise ModelError(f"{where}.{error}") from None


def _layer_to_json(layer: Layer) -> dict[str, Any]:
    kind = KINDS[layer.kind]
    said = {
        "units": kind.has_units,
        "activation": kind.has_activation,
        "precision": kind.has_precision,
        "taps": kind.has_taps,
        "dilation": kind.has_taps,
        "depthwise": kind.has_taps,
        "memory": layer.memory > 0,
    }
    values = asdict(layer) | {"inputs": list(layer.inputs)}
    return {name: value for name, value in values.items() if said.get(name, True)}


def _layer_from_json(number: int, value: Any) -> Layer:
    if not isinstance(value, dict):
        raise ModelError(f"layers.{number}: expected an object, found {_shown(value)}")
    known = {entry.name for entry in fields(Layer)}
    given = {name: entry for name, entry in value.items() if name in known}
    name, inputs = given.get("name"), given.get("inputs")
    if not isinstance(name, str):
        raise ModelError(f"layers.{number}.name: expected text, found {_shown(name)}")
    if not isinstance(given.get("kind"), str):
        raise ModelError(f"layers.{name[:NAME_SHOWN]}.kind: expected text, found {_shown(given.get('kind'))}")
    if not isinstance(inputs, list) or not all(isinstance(entry, str) for entry in inputs):
        raise ModelError(f"layers.{name[:NAME_SHOWN]}.inputs: expected a list of names, found {_shown(inputs)}")
    return Layer(**given | {"inputs": tuple(inputs)})


def _info(value: dict[str, Any]) -> dict[str, str]:
    info = value.get("info")
    if not isinstance(info, dict):
        raise ModelError(f"info: expected a JSON object, found {_shown(info)}")
    check_info(info)
    return dict(info)


def check_info(info: Mapping[str, str]) -> None:
    """Refuse what is no free text by name.

    Raises
    ------
    ModelError
        With the name of the entry.
    """
    for name, text in members(info):
        if not _is_text(name) or not _is_text(text):
            raise ModelError(f"info.{str(name)[:NAME_SHOWN]}: expected text, found {_shown(text)}")


def _is_text(value: Any) -> bool:
    """Whether it can be written to a file: half characters cannot."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _field(value: Mapping[str, Any], name: str, kind: type, words: str, default: Any = None) -> Any:
    found = value.get(name, default)
    if not isinstance(found, kind):
        raise ModelError(f"{name}: expected {words}, found {_shown(found)}")
    return found


def _check_keys(name: str, value: Any, expected: set[str]) -> None:
    if not isinstance(value, dict):
        raise ModelError(f"{name}: expected a JSON object, found {_shown(value)}")
    if set(value) != expected:
        raise ModelError(f"{name}: expected the fields {sorted(expected)}, found {_shown(sorted(value))}")


def _shown(value: Any) -> str:
    return ascii(value)[:60]
