"""Model files in and out: weights with the network and the signal path they were trained for, checked by name.

A model file is a safetensors file. Its metadata have one entry, `percepnet`, which `percepnet.model.header` reads and
writes. Its tensors have the names of :meth:`Architecture.shapes`. A matrix is float32, or int8 with one float32 scale for
each of its rows in a second tensor, `NAME.scale`; from the file to the core's kernels those integers stay as they are.
"""

import os
import struct
import threading
import weakref
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from percepnet.errors import ModelError
from percepnet.model.header import FORMAT, Header, read_header, write_header
from percepnet.model.quantisation import dequantise, quantise
from percepnet.model.table import Architecture, Node
from percepnet.params import SignalParams

Array = npt.NDArray[np.float32]
Tensors = dict[str, npt.NDArray[Any]]

DEFAULT_MODEL = "default"
ALIASES = {"percepnet": DEFAULT_MODEL}  # the article's network, which is the default one at present
SUFFIX = ".safetensors"
WEIGHT_MAX = 1e6  # of those in single precision: beyond, products could overflow, and no training ends there


class Model:
    """A trained network: what it was built for, its weights, and where it comes from.

    Parameters
    ----------
    params : SignalParams
        The signal path that it was trained for.
    architecture : Architecture
    weights : mapping of str to np.ndarray [shape as Architecture.shapes, dtype=float32]
    info : mapping of str to str
        Free text about the model: version, hours of training, corpora and their licences.

    Raises
    ------
    ModelError
        If a weight is missing, unknown, of another shape or type, or not finite.
    """

    def __init__(
        self,
        params: SignalParams,
        architecture: Architecture,
        weights: Mapping[str, Array],
        info: Mapping[str, str] | None = None,
    ) -> None:
        shapes = architecture.shapes(params)
        _check_names(set(weights), set(shapes))
        for name, shape in shapes.items():
            weight = weights[name]
            _check_shape(name, shape, weight.shape)
            if weight.dtype != np.float32:
                raise ModelError(f"{name}: expected float32, found {weight.dtype}")
            if not np.isfinite(weight).all():
                raise ModelError(f"{name}: expected finite numbers, found NaN or infinity")
        self._set(params, architecture, dict(info or {}))
        self._weights: Mapping[str, Array] | None = weights

    def _set(self, params: SignalParams, architecture: Architecture, info: dict[str, str]) -> None:
        self.params = params
        self.architecture = architecture
        self.info = info
        self._file: bytes | None = None
        self._lock = threading.Lock()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Model":
        """A model from the bytes of its file, checked in everything.

        Raises
        ------
        ModelError
            If it is truncated, damaged, of a newer format or inconsistent. The message names the field, what was
            expected and what was found.
        """
        header, tensors = _read(data)
        model = cls.__new__(cls)
        model._set(header.params, header.architecture, header.info)
        _check_tensors(tensors, header)
        model._file = data
        model._weights = None
        return model

    @property
    def weights(self) -> Mapping[str, Array]:
        """Every weight in single precision, by name; those of a file are read-only, and decoded when first asked for."""
        with self._lock:
            if self._weights is None:
                assert self._file is not None
                _, tensors = _read(self._file)
                self._weights = {name: _decoded(name, tensors) for name in self.architecture.shapes(self.params)}
            return self._weights

    @property
    def weight_count(self) -> int:
        """Number of weights and biases."""
        return sum(int(np.prod(shape)) for shape in self.architecture.shapes(self.params).values())

    def to_bytes(self, exact: bool = False) -> bytes:
        """The model as a file.

        Parameters
        ----------
        exact : bool
            True writes everything in single precision; False rounds the matrices of layers of precision "int8", once:
            what was read from a file is given back as it was.

        Returns
        -------
        bytes
        """
        if self._file is not None and not exact:
            return self._file
        architecture = self.architecture.in_single_precision() if exact else self.architecture
        int8_names = architecture.int8_names(self.params)
        tensors: Tensors = {}
        for name, weight in self.weights.items():
            if name in int8_names:
                tensors[name], tensors[f"{name}.scale"] = quantise(weight)
            else:
                tensors[name] = weight
        # one entry, because safetensors writes several in random order, and equal models should be equal files
        return save(_contiguous(tensors), {FORMAT: write_header(self.params, architecture, self.info)})


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model file, its large matrices in 8 bits.

    The file appears whole or not at all: it is written beside `path` and then renamed.

    Raises
    ------
    ModelError
        If the file cannot be written.
    """
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.write_bytes(model.to_bytes())
        beside.replace(target)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ModelError(f"cannot write {target}: {error.strerror or error}") from error


def load_model(name_or_path: str | os.PathLike[str] | None = None) -> Model:
    """Read a model file and check everything in it.

    Parameters
    ----------
    name_or_path : str, path or None
        A file; or the name of a model that comes with the package; None is the default one.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        If there is no such file, or if it is truncated, of a newer format or inconsistent. The message names the
        field, what was expected and what was found.

    Examples
    --------
    >>> import percepnet
    >>> model = percepnet.load_model("small")
    >>> enhancer = percepnet.Enhancer(16000, model=model)
    """
    path = _path_of(name_or_path)
    try:
        return Model.from_bytes(path.read_bytes())
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error


_packaged_models: dict[str, Model] = {}
_file_models: "weakref.WeakValueDictionary[tuple[str, int, int], Model]" = weakref.WeakValueDictionary()
_shared_lock = threading.Lock()


def shared_model(name_or_path: str | os.PathLike[str] | None = None) -> Model:
    """As `load_model`, but the same object for the same model.

    One that comes with the package is read once in a process, and one of a file as long as somebody uses it and the
    file stays what it was.
    """
    path = _path_of(name_or_path)
    with _shared_lock:
        if path.parent == _models_folder():
            if path.stem not in _packaged_models:
                _packaged_models[path.stem] = load_model(path)
            return _packaged_models[path.stem]
        status = path.stat()
        key = (str(path.resolve()), status.st_size, status.st_mtime_ns)
        model = _file_models.get(key)
        if model is None:
            model = _file_models[key] = load_model(path)
        return model


def model_names() -> list[str]:
    """Names of the models that come with the package."""
    files = {path.stem for path in _models_folder().glob(f"*{SUFFIX}")}
    return sorted(files | {name for name, file in ALIASES.items() if file in files})


def _models_folder() -> Path:
    return Path(str(resources.files("percepnet") / "model" / "weights"))


def _path_of(name_or_path: str | os.PathLike[str] | None) -> Path:
    if name_or_path is None:
        name_or_path = DEFAULT_MODEL
    path = Path(name_or_path)
    if isinstance(name_or_path, str) and not path.suffix and path.name == name_or_path and not path.exists():
        path = _packaged(name_or_path)
    if not path.is_file():
        raise ModelError(f"{path}: no such model file; give a {SUFFIX} file or one of: {', '.join(model_names())}")
    return path


def _packaged(name: str) -> Path:
    path = _models_folder() / f"{ALIASES.get(name, name)}{SUFFIX}"
    if not path.is_file():
        known = ", ".join(model_names()) or "none in this installation"
        raise ModelError(f"no model of the name {name!r}; models that come with percepnet: {known}")
    return path


def _contiguous(tensors: Tensors) -> Tensors:
    # safetensors writes the buffer as it lies: a transposed view would be stored scrambled
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def _read(data: bytes) -> tuple[Header, Tensors]:
    if len(data) < 9 or data[8:9] != b"{":
        raise ModelError(
            f"expected a safetensors file, found {len(data)} bytes of something else: not a percepnet model"
        )
    (length,) = struct.unpack("<Q", data[:8])
    if length + 8 > len(data):
        raise ModelError(
            f"header: expected {length + 8} bytes, found {len(data)}: the file is truncated; copy it again"
        )
    try:
        tensors = load(data)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"not a whole safetensors file ({error}); copy or download it again") from error
    return read_header(_metadata(data[8 : 8 + length])), tensors


def _metadata(header: bytes) -> dict[str, str]:
    import json

    found = json.loads(header).get("__metadata__")  # safetensors has read it before: it is sound
    return dict(found or {})


def _check_tensors(tensors: Tensors, header: Header) -> None:
    nodes = header.architecture.nodes(header.params)
    tensor_of = {name: (node, tensor) for node in nodes for name, tensor in node.tensors.items()}
    scales = {f"{name}.scale" for name, (node, tensor) in tensor_of.items() if node.is_int8(tensor)}
    _check_names(set(tensors) - scales, set(tensor_of))
    for name, (node, tensor) in tensor_of.items():
        _check_shape(name, tensor.shape, tensors[name].shape)
        if node.is_int8(tensor):
            _check_matrix(name, node, tensors, header.version)
        else:
            _check_floats(name, tensors[name])


def _check_matrix(name: str, node: Node, tensors: Tensors, version: int) -> None:
    weight, scale = tensors[name], tensors.get(f"{name}.scale")
    if weight.dtype == np.float32 and version == 1:  # files of format 1 could hold their matrices so
        if scale is not None:
            raise ModelError(f"{name}: expected type I8 because {name}.scale is there, found F32")
        _check_floats(name, weight)
        return
    if weight.dtype != np.int8:
        allowed = "I8 or F32" if version == 1 else "I8"
        raise ModelError(f"{name}: expected type {allowed}, found {_type_name(weight)}")
    if scale is None:
        raise ModelError(f"{name}.scale: expected shape ({len(weight)},), found no such field")
    _check_shape(f"{name}.scale", weight.shape[:1], scale.shape)
    if scale.dtype != np.float32:
        raise ModelError(f"{name}.scale: expected type F32, found {_type_name(scale)}")
    # Training holds these weights to 1/2; a bound of 127 keeps a damaged exponent from overflowing the product
    if not np.isfinite(scale).all() or (scale < 0).any() or (scale > 1).any():
        raise ModelError(f"{name}.scale: expected numbers from 0 to 1, found others: the file is damaged")


def _check_floats(name: str, weight: npt.NDArray[Any]) -> None:
    if weight.dtype != np.float32:
        raise ModelError(f"{name}: expected type F32, found {_type_name(weight)}")
    if not np.isfinite(weight).all():
        raise ModelError(f"{name}: expected finite numbers, found NaN or infinity")
    if (np.abs(weight) > WEIGHT_MAX).any():
        raise ModelError(f"{name}: expected numbers up to {WEIGHT_MAX:g}, found others: the file is damaged")


def _type_name(tensor: npt.NDArray[Any]) -> str:
    """As safetensors says it."""
    return f"{tensor.dtype.kind.upper()}{8 * tensor.dtype.itemsize}"


def _decoded(name: str, tensors: Tensors) -> Array:
    weight = tensors[name]
    decoded = dequantise(weight, tensors[f"{name}.scale"]) if weight.dtype == np.int8 else weight.copy()
    decoded.setflags(write=False)
    return decoded


def _check_names(found: set[str], expected: set[str]) -> None:
    if missing := sorted(expected - found):
        raise ModelError(f"{missing[0]}: expected this field, found none ({len(missing)} missing in all)")
    if unknown := sorted(found - expected):
        raise ModelError(f"{unknown[0]}: found this field, expected none of that name ({len(unknown)} unknown in all)")


def _check_shape(name: str, expected: tuple[int, ...], found: tuple[int, ...]) -> None:
    if expected != found:
        raise ModelError(f"{name}: expected shape {expected}, found {found}")
