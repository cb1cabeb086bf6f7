"""The echo canceller on the C core, behind the interface of `percepnet.reference.echo.EchoCanceller`."""

import ctypes
import weakref

import numpy as np

from percepnet.errors import AudioError, PercepNetError
from percepnet.native_library import Error, library
from percepnet.params import HOP_SAMPLES

_POINTER = ctypes.c_void_p


def _library() -> ctypes.CDLL:
    core = library()
    for name, result, arguments in (
        ("canceller_create", _POINTER, [ctypes.c_int32, ctypes.c_char_p, ctypes.POINTER(Error)]),
        ("canceller_destroy", None, [_POINTER]),
        ("canceller_reset", None, [_POINTER]),
        ("canceller_bytes", ctypes.c_size_t, [_POINTER]),
        ("canceller_delay", ctypes.c_int32, [_POINTER]),
        ("cancel", None, [_POINTER, _POINTER, ctypes.c_int64, _POINTER, ctypes.c_int64]),
    ):
        function = getattr(core, f"percepnet_{name}")
        function.restype, function.argtypes = result, arguments
    return core


class EchoCanceller:
    """Takes what a loudspeaker plays out of what microphones hear, many times faster than the definition.

    Parameters
    ----------
    channels : int
        Microphones.
    kernel : str, optional
        Instruction set, one of `percepnet.native.kernels`; None is the fastest. All give the same bits.

    Raises
    ------
    CoreMissing
        If this installation has no core.
    PercepNetError
        For a number of channels or a kernel that cannot be.
    """

    def __init__(self, channels: int = 1, *, kernel: str | None = None) -> None:
        self.channels = channels
        self._core = _library()
        error = Error()
        name = None if kernel is None else kernel.encode()
        self._handle = self._core.percepnet_canceller_create(channels, name, ctypes.byref(error))
        if not self._handle:
            raise PercepNetError(str(error))
        weakref.finalize(self, self._core.percepnet_canceller_destroy, self._handle)

    @property
    def memory_bytes(self) -> int:
        """What it takes of memory."""
        return int(self._core.percepnet_canceller_bytes(self._handle))

    @property
    def delay_blocks(self) -> int:
        """How much later than the far end the echo is looked for, in hops of 10 ms."""
        return int(self._core.percepnet_canceller_delay(self._handle)) // HOP_SAMPLES

    def reset(self) -> None:
        """Forget the room."""
        self._core.percepnet_canceller_reset(self._handle)

    def process(self, near: np.ndarray, far: np.ndarray) -> np.ndarray:
        """Take the echo out of the next hops.

        Parameters
        ----------
        near : np.ndarray [shape=(channels, 480 * n), dtype=float32]
            Of the microphones; finite.
        far : np.ndarray [shape=(480 * n,), dtype=float32]
            What is played meanwhile; finite.

        Returns
        -------
        np.ndarray [shape=(channels, 480 * n), dtype=float32]
            Not delayed.

        Raises
        ------
        AudioError
            For other shapes.
        """
        y = np.array(near, dtype=np.float32, order="C", copy=True)
        x = np.ascontiguousarray(far, dtype=np.float32)
        if y.ndim != 2 or y.shape[0] != self.channels or y.shape[1] % HOP_SAMPLES or x.shape != y.shape[1:]:
            raise AudioError(
                f"hops of shape {y.shape} and a far end of {x.shape}: give ({self.channels}, n) and (n,), "
                f"n a multiple of {HOP_SAMPLES}"
            )
        samples = y.shape[1]
        self._core.percepnet_cancel(self._handle, x.ctypes.data, samples // HOP_SAMPLES, y.ctypes.data, samples)
        return y
