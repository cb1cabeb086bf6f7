"""The container of model files, safetensors: a header of JSON that says where each tensor is, and their bytes.

By the rules of core/src/safetensors.c. Nothing is copied: a tensor is a view of the file.
"""

import struct
from itertools import pairwise
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import numpy.typing as npt

from percepnet.errors import ModelError
from percepnet.model.strict_json import JsonObject, parse, plain, shown

METADATA = "__metadata__"
HEADER_MAX = 100_000_000  # as safetensors itself
INTEGER_MAX = 2**53
DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "I8": np.dtype("i1")}  # those of model files


class StoredTensor(NamedTuple):
    """Where a tensor is, and what the file says that it is."""

    type_name: str
    shape: tuple[int, ...]
    data: memoryview

    def array(self) -> npt.NDArray[Any]:
        """It as an array that cannot be written to. Only of the types in `DTYPES`."""
        return np.frombuffer(self.data, DTYPES[self.type_name]).reshape(self.shape)


def read_container(data: bytes) -> tuple[str | None, dict[str, StoredTensor]]:
    """What is in a file.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    description : str or None
        What the file says of the model; None if it does not.
    tensors : dict of str to StoredTensor
        In the order of the header.

    Raises
    ------
    ModelError
        If it is no such file, or not a whole one.
    """
    header, start = _header(data)
    body = memoryview(data)[start:]
    tensors: dict[str, StoredTensor] = {}
    spans = []
    for name, entry in header.pairs:
        if name == METADATA:
            continue
        if name in tensors:
            raise _damaged(f"the tensor {plain(name)} twice")
        tensors[name], span = _tensor(name, entry, body)
        spans.append(span)
    spans.sort()
    if any(end != begin for (_, end), (begin, _) in pairwise([(0, 0), *spans, (len(body), 0)])):
        raise _damaged("tensors that overlap or leave a gap")
    metadata = header.get(METADATA)
    description = metadata.get("percepnet") if isinstance(metadata, dict) else None
    return description if isinstance(description, str) else None, tensors


def _header(data: bytes) -> tuple[JsonObject, int]:
    if len(data) < 9 or data[8:9] != b"{":
        raise ModelError(
            f"file: expected a safetensors file, found {len(data)} bytes of something else: not a percepnet model"
        )
    (length,) = struct.unpack("<Q", data[:8])
    if length > len(data) - 8:
        raise ModelError(
            f"header: expected {length} bytes, found {len(data) - 8}: the file is truncated; copy it again"
        )
    if length > HEADER_MAX:
        raise ModelError(f"header: expected at most {HEADER_MAX} bytes, found {length}: not a percepnet model")
    try:
        header = parse(data[8 : 8 + length])
    except ValueError:
        raise _damaged("what is no JSON") from None
    assert isinstance(header, JsonObject)  # it begins with a brace
    return header, 8 + length


def _tensor(name: str, entry: Any, body: memoryview) -> tuple[StoredTensor, tuple[int, int]]:
    value = entry if isinstance(entry, dict) else {}
    type_name, shape, offsets = value.get("dtype"), value.get("shape"), value.get("data_offsets")
    if not isinstance(type_name, str) or not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise _damaged(f"an entry of {plain(name)} that is none")
    begin, end = offsets
    if end < begin or end > len(body):
        raise _damaged(f"{plain(name)} outside the file")
    size = DTYPES[type_name].itemsize if type_name in DTYPES else 0
    for length in shape:
        size *= length
    if type_name in DTYPES and size != end - begin:
        raise _damaged(f"{plain(name)} longer or shorter than its shape")
    return StoredTensor(shown(type_name)[1:-1], tuple(shape), body[begin:end]), (begin, end)


def _are_sizes(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(size) is int and 0 <= size <= INTEGER_MAX for size in value)


def _damaged(found: str) -> ModelError:
    return ModelError(f"header: expected a whole safetensors file, found {found}; copy or download it again")
