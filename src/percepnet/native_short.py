"""Short chunks of one channel: a call with as little Python as there can be.

A call comes every 10 ms. By then its Python has left the caches, and every step of it costs microseconds: the way that
checks and converts everything takes a third of what `small` does for a frame. So chunks that need none of it go another
way, and any other chunk goes that one.
"""

import numpy as np

from percepnet.arrays import AnySamples
from percepnet.native import READY_MAX, Stream
from percepnet.params import FRAMES_PER_SECOND

FLOAT32, INT16 = np.dtype(np.float32), np.dtype(np.int16)
SECONDS_MAX = 0.04  # longer chunks gain nothing by this, and more by blocks


class ShortChunks:
    """The quick way into a stream of one channel.

    Parameters
    ----------
    stream : Stream
        Of one channel. Whoever calls `process` sees to it that nobody else uses the stream meanwhile, and that it is
        not closed.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream  # which owns the handle
        self._handle = stream._stream.handle
        self._process = stream._core.percepnet_stream_process_sound
        self._process_int16 = stream._core.percepnet_stream_process_int16
        self._longest = round(SECONDS_MAX * stream.sample_rate_hz)
        self._room = self._longest + stream.sample_rate_hz // FRAMES_PER_SECOND + READY_MAX
        # the output goes to the caller as a copy: an array has its address to be asked for, and these two have not
        self._floats, self._ints = np.empty(self._room, np.float32), np.empty(self._room, np.int16)
        self._to_floats, self._to_ints = self._floats.ctypes.data, self._ints.ctypes.data

    def process(self, x: object) -> AnySamples | None:
        """The next chunk, if it is a short one that needs no conversion and has nothing wrong.

        Parameters
        ----------
        x : object
            What a caller gave.

        Returns
        -------
        np.ndarray [shape=(ready,)] or None
            Of the dtype of `x`, as of `Stream.process`; None if nothing was done, as it is something else.
        """
        if type(x) is not np.ndarray or x.ndim != 1 or not x.flags.c_contiguous:
            return None
        samples = x.size
        if samples > self._longest:
            return None
        address = x.__array_interface__["data"][0]  # half the time of `x.ctypes.data`
        if x.dtype is FLOAT32:
            ready = self._process(self._handle, address, samples, self._to_floats, self._room)
            return None if ready < 0 else self._floats[:ready].copy()
        if x.dtype is INT16:
            ready = self._process_int16(self._handle, None, address, samples, samples, self._to_ints, self._room)
            return None if ready < 0 else self._ints[:ready].copy()
        return None
