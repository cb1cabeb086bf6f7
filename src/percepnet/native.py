"""The C core: the signal path of `percepnet.reference`, compiled, behind the interface of its `FrameEnhancer`.

The library is called through ctypes, which lets other Python threads run meanwhile, and which serves every version of
Python with one binary.
"""

import ctypes
import itertools
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from percepnet.arrays import Samples
from percepnet.errors import AudioError, ModelError, PercepNetError
from percepnet.model import GRUS, Model, is_quantised, quantise
from percepnet.params import BINS, HOP_SAMPLES
from percepnet.reference.comb import hann_weights
from percepnet.reference.enhancer import dry_level
from percepnet.reference.network import convolution_matrix

LIBRARY = Path(__file__).with_name("_core" + {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so"))

# The rest mirrors core/include/percepnet.h.
ABI = 3
LAGS = 339
AT_ONCE_MAX = 1024

# What is gained grows slowly beyond, and buffers should stay in a processor's cache.
BLOCK_HOPS = 32
BLOCK_HOPS_MIN = 8
BATCH_STREAMS = 32

_LAYERS = (
    *((f"{layer}.weight", f"{layer}.bias") for layer in ("dense", "conv1", "conv2")),
    *((f"{gru}.weight_{half}", f"{gru}.bias_{half}") for gru in GRUS for half in ("ih", "hh")),
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
    lags: np.ndarray  # (339,) of `percepnet.reference.pitch.correlation`, of the newest frame
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
        ("bytes", ctypes.c_size_t, [handle, pointer(_Settings)]),
        ("model_bytes", ctypes.c_size_t, [handle]),
        ("process", None, [handle, handle, handle, ctypes.c_int64, ctypes.c_int64]),
        ("block_create", handle, [handle, ctypes.c_int32, ctypes.c_int32]),
        ("block_destroy", None, [handle]),
        ("process_block", None, [handle, handle, handle, handle, ctypes.c_int64, ctypes.c_int64]),
        ("batch_create", handle, [handle, ctypes.c_int32]),
        ("batch_destroy", None, [handle]),
        ("batch_process", None, [handle, pointer(handle), ctypes.c_int32, pointer(handle), pointer(handle)]),
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

    @property
    def memory_bytes(self) -> int:
        """Of the weights and tables."""
        return library().percepnet_model_bytes(self.handle)


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


class _Owned:
    """Something that the core has made, which ends with the last reference to it."""

    def __init__(self, model: _CoreModel, handle: int | None, destroy: Callable[[int], None], what: str) -> None:
        if not handle:
            raise PercepNetError(f"the C core cannot begin {what}: out of memory, or settings that it does not know")
        self.handle = handle
        # together with its model, which has to outlive it
        self.end = weakref.finalize(self, lambda handle, _: destroy(handle), handle, model)


def _stream(model: _CoreModel, settings: _Settings) -> _Owned:
    core = library()
    return _Owned(
        model, core.percepnet_create(model.handle, ctypes.byref(settings)), core.percepnet_destroy, "a stream"
    )


@contextmanager
def alone(lock: threading.Lock, what: str) -> Iterator[None]:
    """Hold the lock of something that only one thread may use at a time."""
    if not lock.acquire(blocking=False):
        raise PercepNetError(f"{what} is at work in another thread: give each thread its own")
    try:
        yield
    finally:
        lock.release()


class FrameEnhancer:
    """Enhance one stream in steps of 10 ms, as :class:`percepnet.reference.enhancer.FrameEnhancer` does.

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
    block_hops : int
        Calls of `process` with many hops are calculated layer by layer, up to so many hops at a time, 1 to 1024. What
        that needs of memory is allocated by the first such call; 1 never does.

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
        post_filter: bool = False,
        attenuation_limit_db: float | None = None,
        exact: bool = False,
        kernel: str | None = None,
        block_hops: int = BLOCK_HOPS,
    ) -> None:
        if not 1 <= block_hops <= AT_ONCE_MAX:
            raise PercepNetError(f"hops of a block are {block_hops}: give 1 to {AT_ONCE_MAX}")
        self.model = model
        self.channels = channels
        self._block_hops = block_hops
        self._core = library()
        self._core_model = _core_model(model, exact, kernel)
        self._settings = _Settings(channels, comb_filter, post_filter, dry_level(attenuation_limit_db))
        self._stream = _stream(self._core_model, self._settings)
        self._block: _Owned | None = None
        self._lock = threading.Lock()

    @property
    def latency_samples(self) -> int:
        """Delay of the output."""
        return self.model.params.latency_samples

    @property
    def memory_bytes(self) -> int:
        """What this stream takes of memory, besides the model, which all its streams share, and the room for blocks."""
        return self._core.percepnet_bytes(self._core_model.handle, ctypes.byref(self._settings))

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
            self._block = None

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
        count, stride = x.shape[1] // HOP_SAMPLES, x.shape[1]
        with self._handle() as handle:
            if count >= min(BLOCK_HOPS_MIN, self._block_hops) > 1:
                block = self._block = self._block or self._make_block()
                self._core.percepnet_process_block(handle, block.handle, x.ctypes.data, y.ctypes.data, count, stride)
            else:
                self._core.percepnet_process(handle, x.ctypes.data, y.ctypes.data, count, stride)
        return y

    def _make_block(self) -> _Owned:
        made = self._core.percepnet_block_create(self._core_model.handle, self.channels, self._block_hops)
        return _Owned(self._core_model, made, self._core.percepnet_block_destroy, "a block")

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
        with alone(self._lock, "this enhancer"):
            if not self._stream.end.alive:
                raise PercepNetError("this enhancer is closed: make another one")
            yield self._stream.handle


class FrameBatch:
    """One hop of each of many streams of a model, whose weights are read once for all of them.

    Parameters
    ----------
    model, exact, kernel
        As of `FrameEnhancer`, and of all that are given to `process`.
    streams : int
        So many go through the network at once, 1 to 1024; `process` takes any number.

    Raises
    ------
    CoreMissing
        If this installation has no core.
    """

    def __init__(
        self, model: Model, streams: int = BATCH_STREAMS, *, exact: bool = False, kernel: str | None = None
    ) -> None:
        self._core = library()
        self._core_model = _core_model(model, exact, kernel)
        made = self._core.percepnet_batch_create(self._core_model.handle, streams)
        self._batch = _Owned(self._core_model, made, self._core.percepnet_batch_destroy, "a batch")

    def process(self, enhancers: Sequence[FrameEnhancer], hops: Samples) -> Samples:
        """Enhance the next 10 ms of each enhancer; the caller sees to it that no other thread uses one of them.

        Parameters
        ----------
        enhancers : sequence of FrameEnhancer
            Different ones, not closed.
        hops : np.ndarray [shape=(channels of all, 480), dtype=float32]

        Returns
        -------
        np.ndarray [shape=(channels of all, 480), dtype=float32]
            The same to the bit as enhancer by enhancer.
        """
        x = np.ascontiguousarray(hops, dtype=np.float32)
        y = np.empty_like(x)
        starts = list(itertools.accumulate((e.channels * x.itemsize * HOP_SAMPLES for e in enhancers), initial=0))
        if x.shape[1:] != (HOP_SAMPLES,) or x.nbytes != starts[-1]:
            raise AudioError(f"hops of shape {x.shape}: give ({starts[-1] // (x.itemsize * HOP_SAMPLES)}, 480)")
        pointers = ctypes.c_void_p * len(enhancers)
        x_start, y_start = x.ctypes.data, y.ctypes.data
        self._core.percepnet_batch_process(
            self._batch.handle,
            pointers(*(e._stream.handle for e in enhancers)),
            len(enhancers),
            pointers(*(x_start + start for start in starts[:-1])),
            pointers(*(y_start + start for start in starts[:-1])),
        )
        return y
