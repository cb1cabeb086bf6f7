"""Model files in and out: weights with the sizes and the signal parameters they were trained for, checked by name.

A model file is a safetensors file. Its metadata have one entry, `percepnet`: JSON with `format_version`, `params`,
`architecture` and `info`. Its tensors have the names of :meth:`Architecture.shapes`. A matrix is float32, or int8
with one float32 scale for each of its rows in a second tensor, `NAME.scale`.
"""

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from percepnet.errors import ModelError
from percepnet.params import SignalParams

Array = npt.NDArray[np.float32]

FORMAT = "percepnet"
FORMAT_VERSION = 1
DEFAULT_MODEL = "default"
ALIASES = {"percepnet": DEFAULT_MODEL}  # the article's network, which is the default one at present
SUFFIX = ".safetensors"

CONV1_TAPS = 5  # P21: convolutions over 5 and then 3 frames
CONV2_TAPS = 3
UNITS_MAX = 4096  # eight times the widest published layer: a larger number in a file is damage, not a design
WEIGHT_MAX = 1e6  # of those in single precision: beyond, products could overflow, and no training ends there
INT8_MAX = 127  # symmetric, so that |weight * activation| pairs fit 16 bits: 2 * 127 * 127 < 32768

GRUS = ("gru1", "gru2", "gru3", "gain_gru", "strength_gru")
GRU_MATRICES = tuple(f"{gru}.weight_{half}" for gru in GRUS for half in ("ih", "hh"))
BLOCK_OUTPUTS, BLOCK_INPUTS = 16, 4  # of the blocks of 8-bit weights that the core leaves out where all are zero

# The first layer sees features of any scale, and the last ones set the precision of the gains; all three are small.
FLOAT_LAYERS = frozenset({"dense", "gain", "strength"})


@dataclass(frozen=True)
class Architecture:
    """Units of each layer: dense -> conv1 -> conv2 -> three GRUs -> the gain GRU; and the strength GRU beside it.

    The default is the published size, 8 million weights (P20 through three agreeing re-implementations).

    Parameters
    ----------
    dense, conv1, conv2, gru, strength_gru : int
        Units, 1 to 4096. `gru` is the size of the three stacked GRUs and of the gain GRU.

    Raises
    ------
    ModelError
        If a size is not an integer in that range.
    """

    dense: int = 128
    conv1: int = 512
    conv2: int = 512
    gru: int = 512
    strength_gru: int = 128

    def __post_init__(self) -> None:
        for name, units in asdict(self).items():
            if type(units) is not int or not 1 <= units <= UNITS_MAX:
                raise ModelError(f"architecture.{name} is {units!r}; it must be an integer from 1 to {UNITS_MAX}")

    def shapes(self, params: SignalParams) -> dict[str, tuple[int, ...]]:
        """Shape of every weight by name, in the order of the signal path.

        Matrices are (outputs, inputs); convolutions (outputs, inputs, taps), oldest frame first; the rows of a GRU are
        its reset, update and new gates in turn, in the form of `torch.nn.GRU`.
        """
        skips = self.conv2 + 4 * self.gru
        shapes: dict[str, tuple[int, ...]] = {
            "dense.weight": (self.dense, params.features),
            "dense.bias": (self.dense,),
            "conv1.weight": (self.conv1, self.dense, CONV1_TAPS),
            "conv1.bias": (self.conv1,),
            "conv2.weight": (self.conv2, self.conv1, CONV2_TAPS),
            "conv2.bias": (self.conv2,),
        }
        grus = {
            "gru1": (self.conv2, self.gru),
            "gru2": (self.gru, self.gru),
            "gru3": (self.gru, self.gru),
            "gain_gru": (self.gru, self.gru),
            "strength_gru": (self.gru + self.conv2, self.strength_gru),
        }
        for name, (inputs, units) in grus.items():
            shapes[f"{name}.weight_ih"] = (3 * units, inputs)
            shapes[f"{name}.weight_hh"] = (3 * units, units)
            shapes[f"{name}.bias_ih"] = (3 * units,)
            shapes[f"{name}.bias_hh"] = (3 * units,)
        shapes["gain.weight"] = (params.bands, skips)
        shapes["gain.bias"] = (params.bands,)
        shapes["strength.weight"] = (params.bands, self.strength_gru)
        shapes["strength.bias"] = (params.bands,)
        return shapes


PRESETS: Mapping[str, Architecture] = {
    "percepnet": Architecture(),
    "default": Architecture(),
    "medium": Architecture(dense=96, conv1=128, conv2=384, gru=384, strength_gru=128),
    "small": Architecture(dense=96, conv1=128, conv2=256, gru=192, strength_gru=64),
    "tiny": Architecture(dense=16, conv1=16, conv2=16, gru=16, strength_gru=8),
}


@dataclass(frozen=True)
class Model:
    """A trained network: what it was built for, its weights, and where it comes from.

    Parameters
    ----------
    params : SignalParams
        The signal path that it was trained for.
    architecture : Architecture
    weights : dict of str to np.ndarray [shape as Architecture.shapes, dtype=float32]
    info : dict of str to str
        Free text about the model: version, hours of training, corpora and their licences.

    Raises
    ------
    ModelError
        If a weight is missing, unknown, of another shape or type, or not finite.
    """

    params: SignalParams
    architecture: Architecture
    weights: dict[str, Array]
    info: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shapes = self.architecture.shapes(self.params)
        _check_names(set(self.weights), set(shapes))
        for name, shape in shapes.items():
            weight = self.weights[name]
            _check_shape(name, shape, weight.shape)
            if weight.dtype != np.float32:
                raise ModelError(f"{name}: expected float32, found {weight.dtype}")
            if not np.isfinite(weight).all():
                raise ModelError(f"{name}: expected finite numbers, found NaN or infinity")

    @property
    def weight_count(self) -> int:
        """Number of weights and biases."""
        return sum(weight.size for weight in self.weights.values())


def is_quantised(name: str) -> bool:
    """Whether the weight of this name is stored in 8 bits."""
    layer, _, kind = name.partition(".")
    return kind.startswith("weight") and layer not in FLOAT_LAYERS


def block_density(weight: Array) -> float:
    """Share of the blocks of a matrix, 16 outputs by 4 inputs, that hold a weight other than zero.

    Parameters
    ----------
    weight : np.ndarray [shape=(outputs, inputs)]

    Examples
    --------
    >>> weight = np.zeros((32, 8), np.float32)
    >>> weight[20, 3] = 1.0
    >>> block_density(weight)
    0.25
    """
    outputs, inputs = weight.shape
    padded = np.pad(weight != 0, ((0, -outputs % BLOCK_OUTPUTS), (0, -inputs % BLOCK_INPUTS)))
    blocks = padded.reshape(len(padded) // BLOCK_OUTPUTS, BLOCK_OUTPUTS, -1, BLOCK_INPUTS)
    return float(blocks.any(axis=(1, 3)).mean())


def quantise(weight: Array) -> tuple[npt.NDArray[np.int8], Array]:
    """Round a matrix to 8 bits with one scale a row, such that the largest weight of a row is 127.

    Parameters
    ----------
    weight : np.ndarray [shape=(outputs, ...)]

    Returns
    -------
    integers : np.ndarray [shape=(outputs, ...), dtype=int8]
        From -127 to 127.
    scale : np.ndarray [shape=(outputs,), dtype=float32]
        `integers * scale` is the matrix again, to half a step; 0 for a row of zeros.

    Examples
    --------
    >>> integers, scale = quantise(np.array([[0.25, -0.5]], np.float32))
    >>> integers.tolist(), round(float(scale[0]) * 127, 6)
    ([[64, -127]], 0.5)
    """
    rows = weight.reshape(len(weight), -1)
    scale = (np.abs(rows).max(axis=1) / np.float32(INT8_MAX)).astype(np.float32)
    divisor = np.where(scale > 0, scale, np.float32(1))
    integers = np.clip(np.rint(rows / divisor[:, None]), -INT8_MAX, INT8_MAX).astype(np.int8)
    return integers.reshape(weight.shape), scale


def dequantise(integers: npt.NDArray[np.int8], scale: Array) -> Array:
    """The float32 matrix that `quantise` stored."""
    return integers.astype(np.float32) * scale.reshape(-1, *([1] * (integers.ndim - 1)))


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model file, its large matrices in 8 bits.

    The file appears whole or not at all: it is written beside `path` and then renamed.

    Raises
    ------
    ModelError
        If the file cannot be written.
    """
    tensors: dict[str, npt.NDArray[Any]] = {}
    for name, weight in model.weights.items():
        if is_quantised(name):
            tensors[name], tensors[f"{name}.scale"] = quantise(weight)
        else:
            tensors[name] = weight
    # one entry, because safetensors writes several in random order, and equal models should be equal files
    header = {
        "format_version": FORMAT_VERSION,
        "params": asdict(model.params),
        "architecture": asdict(model.architecture),
        "info": model.info,
    }
    metadata = {FORMAT: json.dumps(header, ensure_ascii=False, sort_keys=True)}
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.write_bytes(save(_contiguous(tensors), metadata))
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
        If there is no such file, or if it is truncated, of another version or inconsistent. The message names the
        field, what was expected and what was found.
    """
    if name_or_path is None:
        name_or_path = DEFAULT_MODEL
    path = Path(name_or_path)
    if isinstance(name_or_path, str) and not path.suffix and path.name == name_or_path and not path.exists():
        path = _packaged(name_or_path)
    if not path.is_file():
        raise ModelError(f"{path}: no such model file; give a {SUFFIX} file or one of: {', '.join(model_names())}")
    try:
        return _read(path)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error


def model_names() -> list[str]:
    """Names of the models that come with the package."""
    files = {path.stem for path in _models_folder().glob(f"*{SUFFIX}")}
    return sorted(files | {name for name, file in ALIASES.items() if file in files})


def _models_folder() -> Path:
    return Path(str(resources.files("percepnet") / "model" / "weights"))


def _packaged(name: str) -> Path:
    path = _models_folder() / f"{ALIASES.get(name, name)}{SUFFIX}"
    if not path.is_file():
        known = ", ".join(model_names()) or "none in this installation"
        raise ModelError(f"no model of the name {name!r}; models that come with percepnet: {known}")
    return path


def _contiguous(tensors: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    # safetensors writes the buffer as it lies: a transposed view would be stored scrambled
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def _read(path: Path) -> Model:
    _check_length(path)
    try:
        with safe_open(str(path), framework="numpy") as file:
            header = _header(file.metadata() or {})
            params = _params(header["params"])
            architecture = _architecture(header["architecture"])
            info = _info(header["info"])
            weights = _weights(file, architecture.shapes(params))
    except SafetensorError as error:
        raise ModelError(f"not a whole safetensors file ({error}); copy or download it again") from error
    return Model(params, architecture, weights, info)


def _check_length(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(9)
    if len(start) < 9 or start[8:9] != b"{":
        raise ModelError(f"expected a safetensors file, found {size} bytes of something else: not a percepnet model")
    (header,) = struct.unpack("<Q", start[:8])
    if header + 8 > size:
        raise ModelError(f"header: expected {header + 8} bytes, found {size}: the file is truncated; copy it again")


def _weights(file: Any, shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    found = set(file.keys())
    scales = {f"{name}.scale" for name in shapes if is_quantised(name)} & found
    _check_names(found - scales, set(shapes))
    weights: dict[str, Array] = {}
    for name, shape in shapes.items():
        stored = file.get_slice(name)
        _check_shape(name, shape, tuple(stored.get_shape()))
        kind = stored.get_dtype()
        allowed = ("I8", "F32") if is_quantised(name) else ("F32",)
        if kind not in allowed:
            raise ModelError(f"{name}: expected type {' or '.join(allowed)}, found {kind}")
        if kind == "F32":
            if f"{name}.scale" in scales:
                raise ModelError(f"{name}: expected type I8 because {name}.scale is there, found F32")
            weights[name] = weight = file.get_tensor(name)
            if (np.abs(weight[np.isfinite(weight)]) > WEIGHT_MAX).any():
                raise ModelError(f"{name}: expected numbers up to {WEIGHT_MAX:g}, found others: the file is damaged")
            continue
        if f"{name}.scale" not in scales:
            raise ModelError(f"{name}.scale: expected shape ({shape[0]},), found no such field")
        scale = file.get_slice(f"{name}.scale")
        _check_shape(f"{name}.scale", shape[:1], tuple(scale.get_shape()))
        if scale.get_dtype() != "F32":
            raise ModelError(f"{name}.scale: expected type F32, found {scale.get_dtype()}")
        scale = file.get_tensor(f"{name}.scale")
        # Training holds these weights to 1/2; a bound of 127 keeps a damaged exponent from overflowing the product
        if not np.isfinite(scale).all() or (scale < 0).any() or (scale > 1).any():
            raise ModelError(f"{name}.scale: expected numbers from 0 to 1, found others: the file is damaged")
        weights[name] = dequantise(file.get_tensor(name), scale)
    return weights


def _check_names(found: set[str], expected: set[str]) -> None:
    if missing := sorted(expected - found):
        raise ModelError(f"{missing[0]}: expected this field, found none ({len(missing)} missing in all)")
    if unknown := sorted(found - expected):
        raise ModelError(f"{unknown[0]}: found this field, expected none of that name ({len(unknown)} unknown in all)")


def _check_shape(name: str, expected: tuple[int, ...], found: tuple[int, ...]) -> None:
    if expected != found:
        raise ModelError(f"{name}: expected shape {expected}, found {found}")


def _header(metadata: Mapping[str, str]) -> dict[str, Any]:
    text = metadata.get(FORMAT)
    if text is None:
        raise ModelError(f"metadata: expected an entry {FORMAT!r}, found {sorted(metadata)}: not a percepnet model")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise ModelError(f"metadata: expected JSON, found {text[:40]!r}") from None
    version = header.get("format_version") if isinstance(header, dict) else None
    if version != FORMAT_VERSION:
        raise ModelError(f"format_version: expected {FORMAT_VERSION}, found {version!r}: use a matching percepnet")
    _check_keys("metadata", header, {"format_version", "params", "architecture", "info"})
    return dict(header)


def _params(value: Any) -> SignalParams:
    _check_keys("params", value, {entry.name for entry in fields(SignalParams)})
    edges = value["band_edges"]
    if not isinstance(edges, list) or not all(type(edge) is int for edge in edges):
        raise ModelError(f"params.band_edges: expected a list of integers, found {str(edges)[:40]}")
    if type(value["lookahead_frames"]) is not int:
        raise ModelError(f"params.lookahead_frames: expected an integer, found {value['lookahead_frames']!r}")
    return SignalParams(value["lookahead_frames"], tuple(edges))


def _architecture(value: Any) -> Architecture:
    _check_keys("architecture", value, {entry.name for entry in fields(Architecture)})
    return Architecture(**value)


def _info(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ModelError(f"info: expected a JSON object, found {str(value)[:40]}")
    for name, text in value.items():
        if not isinstance(text, str):
            raise ModelError(f"info.{name}: expected text, found {text!r}")
    return dict(value)


def _check_keys(name: str, value: Any, expected: set[str]) -> None:
    if not isinstance(value, dict):
        raise ModelError(f"{name}: expected a JSON object, found {str(value)[:40]}")
    if set(value) != expected:
        raise ModelError(f"{name}: expected the fields {sorted(expected)}, found {sorted(value)}")
