"""The library of the C core: found, loaded, and described to ctypes; and models that it is asked to read.

The library is called through ctypes, which lets other Python threads run meanwhile, and which serves every version of
Python with one binary.
"""

import ctypes
import itertools
import sys
from functools import lru_cache
from pathlib import Path

from percepnet.errors import ModelError, PercepNetError

LIBRARY = Path(__file__).with_name("_core" + {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so"))

# The rest mirrors core/include/percepnet.h.
ABI = 10

FLOATS = ctypes.POINTER(ctypes.c_float)
REFUSALS = {
    -1: "there is no room for all that is ready",
    -2: "the block or batch is of another model, or of fewer channels",
    -3: "the number of samples is none of the multiples of block_samples",
    -4: "a far end for a stream that was made without: make it with far_end=True",
}


class Error(ctypes.Structure):
    """Where the library says what was wrong."""

    _fields_ = (("message", ctypes.c_char * 256),)

    def __str__(self) -> str:
        return self.message.decode(errors="replace")


class ModelInfo(ctypes.Structure):
    _fields_ = (
        ("lookahead_frames", ctypes.c_int32),
        ("bands", ctypes.c_int32),
        ("features", ctypes.c_int32),
        ("speech_probability", ctypes.c_int32),
        ("bytes", ctypes.c_size_t),
    )


class Options(ctypes.Structure):
    _fields_ = (
        ("sample_rate_hz", ctypes.c_int32),
        ("channels", ctypes.c_int32),
        ("link_channels", ctypes.c_int32),
        ("interleaved", ctypes.c_int32),
        ("comb_filter", ctypes.c_int32),
        ("post_filter", ctypes.c_int32),
        ("one_window", ctypes.c_int32),
        ("attenuation_limit_db", ctypes.c_float),
        ("bypass", ctypes.c_int32),
        ("block_samples", ctypes.c_int32),
        ("far_end", ctypes.c_int32),
        ("residual", ctypes.c_void_p),
    )


class Chunk(ctypes.Structure):
    _fields_ = (
        ("stream", ctypes.c_void_p),
        ("x", ctypes.c_void_p),
        ("y", ctypes.c_void_p),
        ("samples", ctypes.c_int64),
        ("stride", ctypes.c_int64),
        ("capacity", ctypes.c_int64),
        ("int16", ctypes.c_int32),
        ("ready", ctypes.c_int64),
        ("far", ctypes.c_void_p),
    )


class FrameView(ctypes.Structure):
    _fields_ = (
        *((name, FLOATS) for name in ("noisy", "comb", "unturned", "combs", "enhanced")),
        *((name, FLOATS) for name in ("features", "gains", "strengths", "lags")),
        ("tap_delays", ctypes.POINTER(ctypes.c_double)),
        ("tap_weights", FLOATS),
        ("period_samples", ctypes.c_float),
        ("correlation", ctypes.c_float),
        ("windows", ctypes.c_int32),
    )


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
    pointer, handle, number = ctypes.POINTER, ctypes.c_void_p, ctypes.c_int64
    for name, result, arguments in (
        ("kernel", ctypes.c_char_p, [ctypes.c_int32]),
        ("model_load_for", handle, [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, pointer(Error)]),
        ("model_describe", None, [handle, pointer(ModelInfo)]),
        ("model_destroy", None, [handle]),
        ("stream_create", handle, [handle, pointer(Options), pointer(Error)]),
        ("stream_destroy", None, [handle]),
        ("stream_bytes", ctypes.c_size_t, [handle]),
        ("stream_latency", ctypes.c_int32, [handle]),
        ("stream_ready", number, [handle, number]),
        ("stream_process_sound", number, [handle, handle, number, handle, number]),
        ("stream_process", number, [handle, handle, handle, number, number, handle, number]),
        ("stream_process_int16", number, [handle, handle, handle, number, number, handle, number]),
        ("stream_process_far", number, [handle, handle, handle, handle, number, number, handle, number]),
        ("stream_process_far_int16", number, [handle, handle, handle, handle, number, number, handle, number]),
        ("stream_flush", number, [handle, handle, number]),
        ("stream_flush_int16", number, [handle, handle, number]),
        ("stream_reset", None, [handle]),
        ("stream_set_attenuation_limit", None, [handle, ctypes.c_float]),
        ("stream_set_bypass", None, [handle, ctypes.c_int32]),
        ("stream_set_idle", None, [handle, ctypes.c_int32]),
        ("stream_refused_hops", number, [handle]),
        ("stream_speech_probability", ctypes.c_float, [handle]),
        ("stream_inspect", None, [handle, pointer(FrameView)]),
        ("block_create", handle, [handle, ctypes.c_int32, ctypes.c_int32, pointer(Error)]),
        ("block_create_threaded", handle, [handle, ctypes.c_int32, ctypes.c_int32, pointer(Error)]),
        ("block_destroy", None, [handle]),
        ("batch_create", handle, [handle, ctypes.c_int32, pointer(Error)]),
        ("batch_destroy", None, [handle]),
        ("batch_process", ctypes.c_int32, [handle, pointer(Chunk), ctypes.c_int32]),
    ):
        function = getattr(core, f"percepnet_{name}")
        function.restype, function.argtypes = result, arguments
    return core


def kernels() -> list[str]:
    """Instruction sets that this machine multiplies 8-bit matrices with, the fastest first. All give the same bits."""
    names = map(library().percepnet_kernel, itertools.count())
    return [name.decode() for name in itertools.takewhile(bool, names)]


def check_model(data: bytes) -> None:
    """Let the core read the bytes of a model file, and nothing else.

    Raises
    ------
    ModelError
        In the core's words, if it refuses them.
    CoreMissing
        If this installation has no core.
    """
    core, error = library(), Error()
    handle = core.percepnet_model_load_for(data, len(data), None, ctypes.byref(error))
    if not handle:
        raise ModelError(str(error))
    core.percepnet_model_destroy(handle)
