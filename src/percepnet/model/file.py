"""Model files in and out: weights with the network and the signal path they were trained for, checked by name.

A model file is a safetensors file. Its metadata have one entry, `percepnet`, which `percepnet.model.header` reads and
writes. Its tensors have the names of :meth:`Architecture.shapes`. A matrix is float32, or int8 with one float32 scale
for each of its rows in a second tensor, `NAME.scale`; from the file to the core's kernels the integers stay the same.
"""

import os
import threading
import weakref
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from percepnet.arrays import Array
from percepnet.atomic import replacing
from percepnet.errors import AudioError, ModelError
from percepnet.model.container import Stored, read_container
from percepnet.model.header import FORMAT, FORMAT_VERSION, Header, check_info, read_header, write_header
from percepnet.model.quantisation import INT8_MAX, dequantise, quantise
from percepnet.model.table import Architecture
from percepnet.params import SignalParams

Tensors = dict[str, npt.NDArray[Any]]

DEFAULT_MODEL = "default"
SUFFIX = ".safetensors"
WEIGHT_MAX = 1e6  # of those in single precision: beyond, products could overflow, and no training ends there
MESSAGE_MAX = 255  # characters of what is wrong with a file, which could have names of any length: as in the core


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
        _check_names(weights, shapes)
        for name, shape in shapes.items():
            weight = weights[name]
            _check_shape(name, shape, weight.shape)
            if weight.dtype != np.float32:
                raise ModelError(f"{name}: expected float32, found {weight.dtype}")
            if not np.isfinite(weight).all():
                raise ModelError(f"{name}: expected finite numbers, found NaN or infinity")
        check_info(info or {})
        self._set(params, architecture, dict(info or {}))
        self._weights: Mapping[str, Array] | None = weights

    def _set(self, params: SignalParams, architecture: Architecture, info: dict[str, str]) -> None:
        self.params = params
        self.architecture = architecture
        self.info = info
        self._file: bytes | None = None
        self._version = FORMAT_VERSION
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
        try:
            metadata, tensors = read_container(data)
            header = read_header(metadata)
            _check_tensors(tensors, header)
        except ModelError as error:
            raise ModelError(_one_line(str(error))) from None
        model = cls.__new__(cls)
        model._set(header.params, header.architecture, header.info)
        model._file = data
        model._version = header.version
        model._weights = None
        return model

    @property
    def weights(self) -> Mapping[str, Array]:
        """Every weight in single precision, by name; of a file they are read-only, and decoded when first asked for."""
        with self._lock:
            if self._weights is None:
                assert self._file is not None
                _, tensors = read_container(self._file)
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
        return self._encoded(exact)

    def to_newest_bytes(self) -> bytes:
        """The same with `exact` False, of the newest format: older files are written anew, their integers untouched."""
        return self.to_bytes() if self._version == FORMAT_VERSION else self._encoded(exact=False)

    def _encoded(self, exact: bool) -> bytes:
        architecture = self.architecture.in_single_precision() if exact else self.architecture
        int8_names = architecture.int8_names(self.params)
        stored = read_container(self._file)[1] if self._file is not None else {}
        tensors: Tensors = {}
        for name, weight in self.weights.items():
            if name not in int8_names:
                tensors[name] = weight
            elif name in stored and stored[name].type == "I8":
                tensors[name], tensors[f"{name}.scale"] = stored[name].array(), stored[f"{name}.scale"].array()
            else:
                tensors[name], tensors[f"{name}.scale"] = quantise(weight)
        # one entry, because safetensors writes several in random order, and equal models should be equal files
        return save(_contiguous(tensors), {FORMAT: write_header(self.params, architecture, self.info)})


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model file of the newest format, its large matrices in 8 bits.

    The file appears whole or not at all.

    Raises
    ------
    ModelError
        If the file cannot be written.
    """
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(model.to_newest_bytes())
    except AudioError as error:
        raise ModelError(str(error)) from error


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
    path = model_path(name_or_path)
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
    path = model_path(name_or_path)
    with _shared_lock:
        if _models_folder() in path.parents:
            name = str(path)
            if name not in _packaged_models:
                _packaged_models[name] = load_model(path)
            return _packaged_models[name]
        status = path.stat()
        key = (str(path.resolve()), status.st_size, status.st_mtime_ns)
        model = _file_models.get(key)
        if model is None:
            model = _file_models[key] = load_model(path)
        return model


def residual_for(model: Model) -> Model | None:
    """The network that comes with the package and suppresses what is left of an echo, behind the decisions of a model.

    None where the two cannot go together, since they look ahead by different times or have other bands: then what is
    left stays.
    """
    residual = shared_model(_models_folder() / "echo" / f"residual{SUFFIX}")
    a, b = residual.params, model.params
    return residual if (a.lookahead_frames, a.band_edges) == (b.lookahead_frames, b.band_edges) else None


def backward_model() -> Model:
    """The network that comes with the package and hears recordings from their end."""
    return shared_model(_models_folder() / "offline" / f"backward{SUFFIX}")


def model_names() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.stem for path in _models_folder().glob(f"*{SUFFIX}"))


def _models_folder() -> Path:
    return Path(str(resources.files("percepnet") / "model" / "weights"))


def model_path(name_or_path: str | os.PathLike[str] | None) -> Path:
    """The file of a model: of one that comes with the package by its name, of the default one for None.

    Raises
    ------
    ModelError
        If there is no such file.
    """
    if name_or_path is None:
        name_or_path = DEFAULT_MODEL
    if not isinstance(name_or_path, str | os.PathLike):
        raise ModelError(f"a model is a name or a path, not {type(name_or_path).__name__}")
    path = Path(name_or_path)
    if isinstance(name_or_path, str) and not path.suffix and path.name == name_or_path and not path.exists():
        path = _packaged(name_or_path)
    if not path.is_file():
        raise ModelError(f"{path}: no such model file; give a {SUFFIX} file or one of: {', '.join(model_names())}")
    return path


def _packaged(name: str) -> Path:
    path = _models_folder() / f"{name}{SUFFIX}"
    if not path.is_file():
        known = ", ".join(model_names()) or "none in this installation"
        raise ModelError(f"no model of the name {name!r}; models that come with percepnet: {known}")
    return path


def _contiguous(tensors: Tensors) -> Tensors:
    # safetensors writes the buffer as it lies: a transposed view would be stored scrambled
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def _one_line(message: str) -> str:
    """What a file says stands in messages too: cut, and without what would break the line."""
    return "".join(c if " " <= c <= "~" else "?" for c in message[:MESSAGE_MAX])


def _check_tensors(tensors: dict[str, Stored], header: Header) -> None:
    nodes = header.architecture.all_nodes(header.params)
    tensor_of = {name: (node, tensor) for node in nodes for name, tensor in node.tensors.items()}
    scales = {f"{name}.scale" for name, (node, tensor) in tensor_of.items() if node.is_int8(tensor)}
    _check_names([name for name in tensors if name not in scales], tensor_of)
    for name, (node, tensor) in tensor_of.items():
        _check_shape(name, tensor.shape, tensors[name].shape)
        if node.is_int8(tensor):
            _check_matrix(name, tensors, header.version)
        else:
            _check_floats(name, tensors[name])


def _check_matrix(name: str, tensors: dict[str, Stored], version: int) -> None:
    weight, scale = tensors[name], tensors.get(f"{name}.scale")
    if weight.type == "F32" and version == 1:  # files of format 1 could hold their matrices so
        if scale is not None:
            raise ModelError(f"{name}: expected type I8 because {name}.scale is there, found F32")
        _check_floats(name, weight)
        return
    if weight.type != "I8":
        allowed = "I8 or F32" if version == 1 else "I8"
        raise ModelError(f"{name}: expected type {allowed}, found {weight.type}")
    if scale is None:
        raise ModelError(f"{name}.scale: expected shape ({weight.shape[0]},), found no such field")
    if (weight.array() < -INT8_MAX).any():  # products of -128 do not fit the core's sums
        raise ModelError(f"{name}: expected integers from -{INT8_MAX} to {INT8_MAX}, found -128: the file is damaged")
    _check_shape(f"{name}.scale", weight.shape[:1], scale.shape)
    if scale.type != "F32":
        raise ModelError(f"{name}.scale: expected type F32, found {scale.type}")
    steps = scale.array()
    # Training holds these weights to 1/2; a bound of 127 keeps a damaged exponent from overflowing the product
    if not ((steps >= 0) & (steps <= 1)).all():
        raise ModelError(f"{name}.scale: expected numbers from 0 to 1, found others: the file is damaged")


def _check_floats(name: str, stored: Stored) -> None:
    if stored.type != "F32":
        raise ModelError(f"{name}: expected type F32, found {stored.type}")
    weight = stored.array()
    if not np.isfinite(weight).all():
        raise ModelError(f"{name}: expected finite numbers, found NaN or infinity")
    if (np.abs(weight) > WEIGHT_MAX).any():
        raise ModelError(f"{name}: expected numbers up to {WEIGHT_MAX:g}, found others: the file is damaged")


def _decoded(name: str, tensors: dict[str, Stored]) -> Array:
    weight = tensors[name].array()
    decoded: Array = weight.astype(np.float32)
    if tensors[name].type == "I8":
        decoded = dequantise(weight, tensors[f"{name}.scale"].array().astype(np.float32))
    decoded.setflags(write=False)
    return decoded


def _check_names(found: Iterable[str], expected: Iterable[str]) -> None:
    # in the order of the file and of the table, as in the core
    known, there = set(expected), set(found)
    if unknown := [name for name in found if name not in known]:
        raise ModelError(f"{unknown[0]}: found this field, expected none of that name ({len(unknown)} unknown in all)")
    if missing := [name for name in expected if name not in there]:
        raise ModelError(f"{missing[0]}: expected this field, found none ({len(missing)} missing in all)")


def _check_shape(name: str, expected: tuple[int, ...], found: tuple[int, ...]) -> None:
    if expected != found:
        raise ModelError(f"{name}: expected shape {expected}, found {found}")
