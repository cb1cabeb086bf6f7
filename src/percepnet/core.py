"""The C core: the signal path of `percepnet.spec`, compiled, behind the interface of its `FrameEnhancer`.

The library is called through ctypes, which lets other Python threads run meanwhile, and which serves every version of
Python with one binary.
"""

import ctypes
import itertools
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from percepnet.arrays import Samples
from percepnet.errors import AudioError, ModelError, PercepNetError
from percepnet.model import Model, is_quantised, quantise
from percepnet.params import BINS, HOP_SAMPLES
from percepnet.spec.comb import hann_weights
from percepnet.spec.enhancer import dry_level
from percepnet.spec.network import convolution_matrix

LIBRARY = Path(__file__).with_name("_core" + {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so"))

# The rest mirrors core/percepnet.h.
ABI = 2
LAGS = 339

_GRUS = ("gru1", "gru2", "gru3", "gain_gru", "strength_gru")
_LAYERS = (
    *((f"{layer}.weight", f"{layer}.bias") for layer in ("dense", "conv1", "conv2")),
    *((f"{gru}.weight_{half}", f"{gru}.bias_{half}") for gru in _GRUS for half in ("ih", "hh")),
    *((f"{layer}.weight", f"{layer}.bias") for layer in ("gain", "strength")),
)
_FLOATS = ctypes.POINTER(ctypes.c_float)


class _Affine(ctypes.Structure):
    _fields_ = (
        ("weight", _FLOATS),
        ("integers", ctypes.POINTER(ctypes.c_int8)),
        ("scale", _FLOATS),
        ("bias", _FLOATS),
        ("rows", ctypes.c_int32),
        ("columns", ctypes.c_int32),
    )


class _Description(ctypes.Structure):
    _fields_ = (
        ("lookahead_frames", ctypes.c_int32),
        ("bands", ctypes.c_int32),
        ("band_edges", ctypes.POINTER(ctypes.c_int32)),
        ("layers", _Affine * len(_LAYERS)),
        ("kernel", ctypes.c_char_p),
    )


class _Settings(ctypes.Structure):
    _fields_ = (
        ("channels", ctypes.c_int32),
        ("comb_filter", ctypes.c_int32),
        ("post_filter", ctypes.c_int32),
        ("dry", ctypes.c_float),
    )


class _Frame(ctypes.Structure):
    _fields_ = (
        *((name, _FLOATS) for name in ("noisy", "comb", "enhanced", "features", "gains", "strengths", "lags")),
        ("tap_delays", ctypes.POINTER(ctypes.c_double)),
        ("tap_weights", _FLOATS),
        ("period_samples", ctypes.c_float),
        ("correlation", ctypes.c_float),
    )


class Frame(NamedTuple):
    """What lay between the boxes of the signal path in the last hop; of the decided frame, M before the newest."""

    noisy: np.ndarray  # (channels, 481) spectrum
    comb: np.ndarray  # (channels, 481) spectrum after the comb filter
    enhanced: np.ndarray  # (channels, 481) spectrum of the output
    features: np.ndarray  # (2 * bands + 2,)
    gains: np.ndarray  # (bands,)
    strengths: np.ndarray  # (bands,)
    lags: np.ndarray  # (339,) of `percepnet.spec.pitch.correlation`, of the newest frame
    tap_delays: np.ndarray  # (11,) samples
    tap_weights: np.ndarray  # (11,)
    period_samples: float
    correlation: float


class CoreMissing(PercepNetError):
    """The library is not there, or does not fit to this package."""


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """The library, loaded once.

    Raises
    ------
    CoreMissing
        If it was not built with this installation, or cannot be loaded.
    """
    if not LIBRARY.is_file():
        raise CoreMissing(f"{LIBRARY}: not built; install percepnet again where there is a C compiler (or ziglang)")
    try:
        core = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        raise CoreMissing(f"{LIBRARY}: cannot be loaded ({error}); install percepnet again on this machine") from error
    if (found := core.percepnet_abi()) != ABI:
        raise CoreMissing(f"{LIBRARY}: interface {found}, expected {ABI}; install percepnet again")
    pointer, handle = ctypes.POINTER, ctypes.c_void_p
    for name, result, arguments in (
        ("kernel", ctypes.c_char_p, [ctypes.c_int32]),
        ("model_create", handle, [pointer(_Description)]),
        ("model_destroy", None, [handle]),
        ("create", handle, [handle, pointer(_Settings)]),
        ("destroy", None, [handle]),
        ("reset", None, [handle]),
        ("process", None, [handle, handle, handle, ctypes.c_int64, ctypes.c_int64]),
        ("refused_hops", ctypes.c_int64, [handle]),
        ("inspect", None, [handle, pointer(_Frame)]),
    ):
        function = getattr(core, f"percepnet_{name}")
        function.restype, function.argtypes = result, arguments
    return core


def kernels() -> list[str]:
    """Instruction sets that this machine multiplies 8-bit matrices with, the fastest first. All give the same bits."""
    names = map(library().percepnet_kernel, itertools.count())
    return [name.decode() for name in itertools.takewhile(bool, names)]


class _CoreModel:
    """A model's weights in the core, for all its streams."""

    def __init__(self, model: Model, exact: bool, kernel: str | None) -> None:
        core = library()
        self.model = model
        edges = (ctypes.c_int32 * model.params.bands)(*model.params.band_edges)
        arrays: list[npt.NDArray[Any]] = []  # alive until they are copied

        def pointer(array: npt.NDArray[Any], kind: type) -> Any:
            arrays.append(np.ascontiguousarray(array))
            return arrays[-1].ctypes.data_as(ctypes.POINTER(kind))

        def affine(weight: str, bias: str) -> _Affine:
            matrix = model.weights[weight]
            matrix = convolution_matrix(matrix) if matrix.ndim == 3 else matrix
            layer = _Affine(
                bias=pointer(model.weights[bias], ctypes.c_float), rows=len(matrix), columns=matrix.shape[1]
            )
            if exact or not is_quantised(weight):
                layer.weight = pointer(matrix, ctypes.c_float)
            else:
                integers, scale = quantise(matrix)
                layer.integers, layer.scale = pointer(integers, ctypes.c_int8), pointer(scale, ctypes.c_float)
            return layer

        description = _Description(
            model.params.lookahead_frames,
            model.params.bands,
            edges,
            (_Affine * len(_LAYERS))(*(affine(weight, bias) for weight, bias in _LAYERS)),
            None if kernel is None else kernel.encode(),
        )
        if kernel is not None and kernel not in kernels():
            raise PercepNetError(f"kernel is {kernel!r}: this machine has {', '.join(kernels())}")
        self.handle = core.percepnet_model_create(ctypes.byref(description))
        if not self.handle:
            raise ModelError("the C core cannot take this model: out of memory, or a size that it does not know")
        weakref.finalize(self, core.percepnet_model_destroy, self.handle)


_models: weakref.WeakValueDictionary[tuple[int, bool, str | None], _CoreModel] = weakref.WeakValueDictionary()
_models_lock = threading.Lock()


def _core_model(model: Model, exact: bool, kernel: str | None) -> _CoreModel:
    # a core model keeps its model alive, so that no other one can have the same identity meanwhile
    key = (id(model), exact, kernel)
    with _models_lock:
        found = _models.get(key)
        if found is None:
            found = _models[key] = _CoreModel(model, exact, kernel)
        return found


class _Stream:
    """A stream of the core, which ends with the last reference to it."""

    def __init__(self, model: _CoreModel, settings: _Settings) -> None:
        core = library()
        self.handle = core.percepnet_create(model.handle, ctypes.byref(settings))
        if not self.handle:
            raise PercepNetError("the C core cannot begin a stream: out of memory, or settings that it does not know")
        # together with its model, which has to outlive it
        self.end = weakref.finalize(self, lambda handle, _: core.percepnet_destroy(handle), self.handle, model)


class FrameEnhancer:
    """Enhance one stream in steps of 10 ms, as :class:`percepnet.spec.enhancer.FrameEnhancer` does.

    Parameters
    ----------
    model : Model
    channels : int
        They share every decision, so that a stereo image stays where it was.
    comb_filter : bool
        Without it all strengths are zero.
    post_filter : bool
    attenuation_limit_db : float, optional
        At most this much attenuation: the unprocessed signal, aligned in time, is mixed in at this level.
    exact : bool
        True calculates the network in single precision; False in 8 bits, weights and activations, but for its first
        and last layers.
    kernel : str, optional
        One of `kernels`, instead of the fastest.

    Raises
    ------
    CoreMissing
        If this installation has no core.
    """

    def __init__(
        self,
        model: Model,
        channels: int = 1,
        *,
        comb_filter: bool = True,
        post_filter: bool = True,
        attenuation_limit_db: float | None = None,
        exact: bool = False,
        kernel: str | None = None,
    ) -> None:
        self.model = model
        self.channels = channels
        dry = dry_level(attenuation_limit_db)
        self._core = library()
        self._stream = _Stream(_core_model(model, exact, kernel), _Settings(channels, comb_filter, post_filter, dry))
        self._lock = threading.Lock()

    @property
    def latency_samples(self) -> int:
        """Delay of the output."""
        return self.model.params.latency_samples

    @property
    def refused_hops(self) -> int:
        """Hops that were taken as silence for NaN, infinity or a sample beyond 10,000, since the stream began."""
        with self._handle() as handle:
            return self._core.percepnet_refused_hops(handle)

    def reset(self) -> None:
        """Begin a new stream."""
        with self._handle() as handle:
            self._core.percepnet_reset(handle)

    def close(self) -> None:
        """Give the stream's memory back. Every later call raises PercepNetError, `close` too."""
        with self._handle():
            self._stream.end()

    def process(self, hops: Samples) -> Samples:
        """Enhance the next 10 ms, or any number of them at once.

        Parameters
        ----------
        hops : np.ndarray [shape=(channels, 480 * n), dtype=float32]

        Returns
        -------
        np.ndarray [shape=(channels, 480 * n), dtype=float32]
            The enhanced signal, delayed by `latency_samples`; the same to the bit whatever n is.

        Raises
        ------
        AudioError
            For another shape.
        PercepNetError
            After `close`, or while another thread is in a call of this object.
        """
        x = np.ascontiguousarray(hops, dtype=np.float32)
        if x.ndim != 2 or x.shape[0] != self.channels or x.shape[1] % HOP_SAMPLES:
            raise AudioError(f"hops of shape {x.shape}: give ({self.channels}, a multiple of {HOP_SAMPLES})")
        y = np.empty_like(x)
        with self._handle() as handle:
            self._core.percepnet_process(handle, x.ctypes.data, y.ctypes.data, x.shape[1] // HOP_SAMPLES, x.shape[1])
        return y

    def inspect(self) -> Frame:
        """Everything that was found and decided in the last hop, copied."""
        bands, taps = self.model.params.bands, len(hann_weights())
        sizes = {
            "noisy": (self.channels, 2 * BINS),
            "comb": (self.channels, 2 * BINS),
            "enhanced": (self.channels, 2 * BINS),
            "features": (2 * bands + 2,),
            "gains": (bands,),
            "strengths": (bands,),
            "lags": (LAGS,),
            "tap_delays": (taps,),
            "tap_weights": (taps,),
        }
        with self._handle() as handle:
            frame = _Frame()
            self._core.percepnet_inspect(handle, ctypes.byref(frame))
            found = {name: np.ctypeslib.as_array(getattr(frame, name), size).copy() for name, size in sizes.items()}
        spectra = {name: found.pop(name).view(np.complex64) for name in ("noisy", "comb", "enhanced")}
        return Frame(**spectra, **found, period_samples=frame.period_samples, correlation=frame.correlation)

    @contextmanager
    def _handle(self) -> Iterator[int]:
        if not self._lock.acquire(blocking=False):
            raise PercepNetError("this enhancer is at work in another thread: give each thread its own")
        try:
            if not self._stream.end.alive:
                raise PercepNetError("this enhancer is closed: make another one")
            yield self._stream.handle
        finally:
            self._lock.release()
