"""The signal path up to the network on the C core, behind the interface of `percepnet.reference.analysis.Analysis`."""

import ctypes
import weakref

import numpy as np

from percepnet.errors import AudioError, PercepNetError
from percepnet.native import Error, library
from percepnet.params import BINS, HOP_SAMPLES, SignalParams
from percepnet.reference.analysis import Frames
from percepnet.reference.comb import hann_weights

_POINTER = ctypes.c_void_p


class _Signal(ctypes.Structure):
    _fields_ = (
        ("lookahead_frames", ctypes.c_int32),
        ("bands", ctypes.c_int32),
        ("band_edges", ctypes.POINTER(ctypes.c_int32)),
        ("highpass_hz", ctypes.c_float),
        ("features", ctypes.c_char_p),
    )


class _Results(ctypes.Structure):  # percepnet_analysis: fields of the same names, in the same order
    _fields_ = tuple((name, _POINTER) for name in Frames._fields)


def _library() -> ctypes.CDLL:
    core = library()
    for name, result, arguments in (
        ("create", _POINTER, [ctypes.POINTER(_Signal), ctypes.c_int32, ctypes.POINTER(Error)]),
        ("destroy", None, [_POINTER]),
        ("reset", None, [_POINTER]),
        ("windows", ctypes.c_int32, [_POINTER]),
    ):
        function = getattr(core, f"percepnet_analyser_{name}")
        function.restype, function.argtypes = result, arguments
    analyse = core.percepnet_analyse
    analyse.restype = None
    analyse.argtypes = [_POINTER, _POINTER, ctypes.c_int64, ctypes.c_int64, _POINTER, ctypes.POINTER(_Results)]
    return core


class Analysis:
    """The front half of the signal path, as :class:`percepnet.reference.analysis.Analysis`, many times faster.

    Parameters
    ----------
    params : SignalParams
    channels : int
        They share one pitch and one set of features.
    gives_out : bool
        Whether the windows that are given out are found; without, there are none.

    Raises
    ------
    CoreMissing
        If this installation has no core.
    PercepNetError
        If the core cannot analyse so.
    """

    def __init__(self, params: SignalParams, channels: int = 1, *, gives_out: bool = True) -> None:
        self.params = params
        self.channels = channels
        self._core = _library()
        blocks = getattr(params, "feature_blocks", None)
        signal = _Signal(
            lookahead_frames=params.lookahead_frames,
            bands=params.bands,
            band_edges=(ctypes.c_int32 * params.bands)(*params.band_edges),
            highpass_hz=getattr(params, "highpass_hz", 0.0),
            features=None if blocks is None else " ".join(blocks).encode(),
        )
        error = Error()
        self._handle = self._core.percepnet_analyser_create(ctypes.byref(signal), channels, ctypes.byref(error))
        if not self._handle:
            raise PercepNetError(str(error))
        weakref.finalize(self, self._core.percepnet_analyser_destroy, self._handle)
        self._windows = self._core.percepnet_analyser_windows(self._handle) if gives_out else 0

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._core.percepnet_analyser_reset(self._handle)

    def push(self, hops: np.ndarray, tap_delays: np.ndarray | None = None) -> Frames:
        """Take in the next hops.

        Parameters
        ----------
        hops : np.ndarray [shape=(channels, 480 * T), dtype=float32]
            Finite.
        tap_delays : np.ndarray [shape=(T, 11)], optional
            Taps of the comb filter found in another signal. This one's own pitch is then not looked for.

        Returns
        -------
        Frames

        Raises
        ------
        AudioError
            For another shape.
        """
        x = np.ascontiguousarray(hops, dtype=np.float32)
        taps = len(hann_weights())
        if x.ndim != 2 or x.shape[0] != self.channels or x.shape[1] % HOP_SAMPLES:
            raise AudioError(f"hops of shape {x.shape}: give ({self.channels}, a multiple of {HOP_SAMPLES})")
        count = x.shape[1] // HOP_SAMPLES
        given = None if tap_delays is None else np.ascontiguousarray(tap_delays, dtype=np.float64)
        if given is not None and given.shape != (count, taps):
            raise AudioError(f"tap delays of shape {given.shape}: give ({count}, {taps})")
        found = Frames(
            noisy=np.empty((count, self.channels, BINS), np.complex64),
            comb=np.empty((count, self.channels, BINS), np.complex64),
            unturned=np.empty((count, self._windows, self.channels, BINS), np.complex64),
            combs=np.empty((count, self._windows, self.channels, BINS), np.complex64),
            features=np.empty((count, self.params.features), np.float32),
            periods_samples=np.empty(count, np.float32),
            correlations=np.empty(count, np.float32),
            tap_delays=np.empty((count, taps), np.float64),
            tap_weights=np.empty((count, taps), np.float32),
        )
        # what is not to be found has no place
        places = {name: array.ctypes.data if array.size else None for name, array in found._asdict().items()}
        results = _Results(**places)
        self._core.percepnet_analyse(
            self._handle,
            x.ctypes.data,
            count,
            x.shape[1],
            None if given is None else given.ctypes.data,
            ctypes.byref(results),
        )
        return found
