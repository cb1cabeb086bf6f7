"""Hosts a LADSPA plugin from Python, by the standard's structures."""

import ctypes
from pathlib import Path

import numpy as np

LIMIT, MODEL, BYPASS, LATENCY, AUDIO = range(5)
_Handle, _Index, _Float = ctypes.c_void_p, ctypes.c_ulong, ctypes.POINTER(ctypes.c_float)


class Descriptor(ctypes.Structure):
    """LADSPA_Descriptor."""


Descriptor._fields_ = [
    ("id", ctypes.c_ulong),
    ("label", ctypes.c_char_p),
    ("properties", ctypes.c_int),
    ("name", ctypes.c_char_p),
    ("maker", ctypes.c_char_p),
    ("copyright", ctypes.c_char_p),
    ("port_count", ctypes.c_ulong),
    ("ports", ctypes.POINTER(ctypes.c_int)),
    ("port_names", ctypes.POINTER(ctypes.c_char_p)),
    ("hints", ctypes.c_void_p),
    ("data", ctypes.c_void_p),
    ("instantiate", ctypes.CFUNCTYPE(_Handle, ctypes.POINTER(Descriptor), ctypes.c_ulong)),
    ("connect_port", ctypes.CFUNCTYPE(None, _Handle, _Index, _Float)),
    ("activate", ctypes.CFUNCTYPE(None, _Handle)),
    ("run", ctypes.CFUNCTYPE(None, _Handle, _Index)),
    ("run_adding", ctypes.c_void_p),
    ("set_run_adding_gain", ctypes.c_void_p),
    ("deactivate", ctypes.c_void_p),
    ("cleanup", ctypes.CFUNCTYPE(None, _Handle)),
]


class Plugin:
    """An instance of one of the plugins in a library: 0 is mono, 1 stereo, 2 has a far end."""

    def __init__(self, library: Path, rate_hz: int = 48000, *, index: int = 0, model: int = 1) -> None:
        found = ctypes.CDLL(str(library)).ladspa_descriptor
        found.restype, found.argtypes = ctypes.POINTER(Descriptor), [ctypes.c_ulong]
        self.descriptor = found(index).contents
        self.channels, self.far_end = (1, 1) if index == 2 else (index + 1, 0)
        self.handle = self.descriptor.instantiate(ctypes.byref(self.descriptor), rate_hz)
        self.controls = np.zeros(AUDIO, np.float32)
        self.controls[LIMIT], self.controls[MODEL] = 100, model
        for port in range(AUDIO):
            self.connect(port, self.controls[port:])

    def connect(self, port: int, x: np.ndarray) -> None:
        self.descriptor.connect_port(self.handle, port, x.ctypes.data_as(_Float))

    def activate(self) -> None:
        self.descriptor.activate(self.handle)

    def run(self, x: np.ndarray, block: int, *, in_place: bool = False, far: np.ndarray | None = None) -> np.ndarray:
        """x of (channels, samples), in blocks."""
        x = np.ascontiguousarray(x, np.float32).reshape(self.channels, -1)
        y = x.copy() if in_place else np.full_like(x, np.nan)
        for start in range(0, x.shape[1], block):
            for c in range(self.channels):
                self.connect(AUDIO + c, (y if in_place else x)[c, start:])
                self.connect(AUDIO + self.channels + self.far_end + c, y[c, start:])
            if far is not None:
                self.connect(AUDIO + self.channels, far[start:])
            self.descriptor.run(self.handle, min(block, x.shape[1] - start))
        return y

    @property
    def latency(self) -> int:
        return int(self.controls[LATENCY])

    def close(self) -> None:
        self.descriptor.cleanup(self.handle)
