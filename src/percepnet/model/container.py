"""The container of model files: safetensors, read from memory by the same rules as in `core/src/file/safetensors.c`.

The package `safetensors` writes our files. It does not read them, because what it takes depends on its version: this
reader and the core's take and refuse the same files, whatever is wrong with them.
"""

import json
import struct
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from percepnet.errors import ModelError

HEADER_MAX = 100_000_000  # bytes, as safetensors itself
DEPTH_MAX = 64  # of JSON
NUMBER_MAX = 64  # characters of a number in JSON
BYTES = {"F32": 4, "I8": 1}
_TYPES = {"F32": "<f4", "I8": "i1"}


class Stored(NamedTuple):
    """A tensor where it lies in a file."""

    type: str  # as safetensors says it
    shape: tuple[int, ...]
    data: memoryview

    def array(self) -> npt.NDArray[Any]:
        """Its numbers, read-only and perhaps at an odd address. Only for the types in `BYTES`."""
        return np.frombuffer(self.data, _TYPES[self.type]).reshape(self.shape)


class _Object(dict[str, Any]):
    """An object of JSON. As everywhere, the last one of several members of a name counts."""

    repeats: bool
    pairs: list[tuple[str, Any]]


def parse_json(text: bytes) -> Any:
    """A whole text of JSON, without what is none in other languages.

    Raises
    ------
    ValueError
        If it is not well-formed JSON in UTF-8, if a number has more than 64 characters or a string half a character, or
        if it is nested deeper than 64.
    """
    try:
        value = json.loads(
            text.decode(), object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant
        )
    except RecursionError:
        raise ValueError("nested too deep") from None
    inside = [(value, 0)]
    while inside:
        value_there, depth = inside.pop()
        if depth > DEPTH_MAX:
            raise ValueError("nested too deep")
        if isinstance(value_there, str):
            value_there.encode()  # refuses surrogates
        elif isinstance(value_there, dict):
            inside += ((entry, depth + 1) for member in value_there.items() for entry in member)
        elif isinstance(value_there, list):
            inside += ((entry, depth + 1) for entry in value_there)
    return value


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    found = _Object(pairs)
    found.repeats = len(found) < len(pairs)
    found.pairs = pairs
    return found


def members(value: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """All members of an object, also those whose name comes again later: the core looks at them too."""
    return value.pairs if isinstance(value, _Object) else value.items()


def _integer(text: str) -> int:
    return int(_short(text))


def _real(text: str) -> float:
    return float(_short(text))


def _short(text: str) -> str:
    if len(text) > NUMBER_MAX:
        raise ValueError("a number is too long")
    return text


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def read_container(data: bytes) -> tuple[dict[str, Any], dict[str, Stored]]:
    """Metadata and tensors of a file.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    metadata : dict of str to Any
        Not checked.
    tensors : dict of str to Stored
        Inside the file, each as long as its shape says.

    Raises
    ------
    ModelError
        If it is not a whole safetensors file.
    """
    header, body = _split(data)
    metadata = header.pop("__metadata__", {})
    tensors = {name: _stored(entry, body) for name, entry in header.items()}
    spans = sorted(tuple(entry["data_offsets"]) for entry in header.values())
    if any(end != begin for (_, end), (begin, _) in pairwise([(0, 0), *spans, (len(body), 0)])):
        raise _damaged("tensors overlap or leave a gap")
    return (metadata if isinstance(metadata, dict) else {}), tensors


def _split(data: bytes) -> tuple[dict[str, Any], memoryview]:
    if len(data) < 9 or data[8:9] != b"{":
        raise ModelError(
            f"expected a safetensors file, found {len(data)} bytes of something else: not a percepnet model"
        )
    (length,) = struct.unpack("<Q", data[:8])
    if length + 8 > len(data):
        raise ModelError(
            f"header: expected {length} bytes, found {len(data) - 8}: the file is truncated; copy it again"
        )
    if length > HEADER_MAX:
        raise _damaged("header too large")
    try:
        header = parse_json(data[8 : 8 + length])
    except ValueError:
        raise _damaged("header is not JSON") from None
    if not isinstance(header, _Object):
        raise _damaged("header is not JSON")
    if header.repeats:
        raise _damaged("a name is there twice")
    return header, memoryview(data)[8 + length :]


def _stored(entry: Any, body: memoryview) -> Stored:
    given = entry if isinstance(entry, dict) else {}
    kind, shape, offsets = given.get("dtype"), _counts(given.get("shape")), _counts(given.get("data_offsets"))
    if shape is None or offsets is None or len(offsets) != 2:
        raise _damaged("the entry of a tensor is damaged")
    begin, end = offsets
    if not begin <= end <= len(body):
        raise _damaged("a tensor lies outside the file")
    kind = kind if isinstance(kind, str) else "?"
    count = 1
    for length in shape:
        count *= length
    if kind in BYTES and end - begin != count * BYTES[kind]:
        raise _damaged("a tensor is longer or shorter than its shape")
    return Stored(kind, shape, body[begin:end])


def _counts(value: Any) -> tuple[int, ...] | None:
    sound = isinstance(value, list) and all(type(entry) is int and entry >= 0 for entry in value)
    return tuple(value) if sound else None


def _damaged(why: str) -> ModelError:
    return ModelError(f"not a whole safetensors file ({why}); copy or download it again")
