"""The network's gains of each hop on the C core, for those who need them at once and nothing else of a frame."""

import ctypes

import numpy as np

from percepnet.model import Model
from percepnet.native import FrameEnhancer
from percepnet.native_library import FrameView


class GainDecider(FrameEnhancer):
    """A stream of one channel in hops of 48 kHz, one at a time, as of `percepnet.engine.Decides`.

    Parameters
    ----------
    model : Model
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model, block_hops=1)

    @property
    def gains(self) -> np.ndarray:
        """Of the last hop's decision [shape=(bands,)]; `inspect` copies ten times as much."""
        with self._handle() as handle:
            frame = FrameView()
            self._core.percepnet_stream_inspect(handle, ctypes.byref(frame))
            return np.ctypeslib.as_array(frame.gains, (self.model.params.bands,)).copy()
