"""Short chunks of one channel: a call with as little Python as there can be.

A call comes every 10 ms. By then its Python has left the caches, and every step of it costs microseconds: the way that
checks and converts everything takes a third of what `small` does for a frame. So chunks that need none of it go another
way, and any other chunk goes that one.
"""

from typing import Any

import numpy as np

from percepnet.arrays import AnySamples
from percepnet.native import FLOAT32, INT16, READY_MAX, Stream
from percepnet.params import FRAMES_PER_SECOND

SECONDS_MAX = 0.04  # longer chunks gain nothing by this, and more by blocks


class _Way:
    """Buffers of one type of sample, and all that a call of the core is given for chunks as long as the last one.

    Chunks are copied in and out: NumPy takes longer to say where an array lies than to copy 10 ms.
    """

    def __init__(self, stream: Stream, dtype: np.dtype[Any], longest: int, refuses: bool) -> None:
        core = stream._core
        self._refuses = refuses and dtype is FLOAT32
        if self._refuses:
            self.call = core.percepnet_stream_process_sound
        else:
            self.call = core.percepnet_stream_process if dtype is FLOAT32 else core.percepnet_stream_process_int16
        self.shape: tuple[int, ...] = (-1,)  # of no chunk
        self._handle, self._dtype, self._longest = stream._stream.handle, dtype, longest
        self._room = longest + stream.sample_rate_hz // FRAMES_PER_SECOND + READY_MAX
        self._in = self.out = np.empty(0, dtype)

    def fit(self, samples: int) -> None:
        """Be ready for chunks of that length."""
        if not len(self.out):  # most streams have one type of sample
            self._in, self.out = np.empty(self._longest, self._dtype), np.empty(self._room, self._dtype)
        self.shape, self.samples = (samples,), samples
        self.x, self.y = self._in[:samples], self.out[:samples]
        x, y = self._in.ctypes.data, self.out.ctypes.data
        self.arguments = (
            (self._handle, x, samples, y, self._room)
            if self._refuses
            else (self._handle, None, x, samples, samples, y, self._room)
        )


class ShortChunks:
    """The quick way into a stream of one channel.

    Parameters
    ----------
    stream : Stream
        Of one channel. Whoever calls `process` sees to it that nobody else uses the stream meanwhile, and that it is
        not closed.
    refuses : bool
        Whether floats that are no sound are; otherwise they are silence.
    """

    def __init__(self, stream: Stream, refuses: bool) -> None:
        self._stream = stream  # which owns the handle
        self._longest = round(SECONDS_MAX * stream.sample_rate_hz)
        self._floats, self._ints = (_Way(stream, dtype, self._longest, refuses) for dtype in (FLOAT32, INT16))

    def process(self, chunk: object) -> AnySamples | None:
        """The next chunk, if it is a short one that needs no conversion and has nothing wrong.

        Parameters
        ----------
        chunk : object
            What a caller gave.

        Returns
        -------
        np.ndarray [shape=(ready,)] or None
            Of the dtype of the chunk, as of `Stream.process`; None if nothing was done, as it is something else.
        """
        if type(chunk) is not np.ndarray:
            return None
        dtype = chunk.dtype
        if dtype is FLOAT32:
            way = self._floats
        elif dtype is INT16:
            way = self._ints
        else:
            return None
        if chunk.shape != way.shape:
            if chunk.ndim != 1 or chunk.size > self._longest:
                return None
            way.fit(chunk.size)
        way.x[...] = chunk
        ready = way.call(*way.arguments)
        if ready == way.samples:
            return way.y.copy()
        return None if ready < 0 else way.out[:ready].copy()
