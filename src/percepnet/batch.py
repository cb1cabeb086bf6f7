"""Many live streams of one model on one core, as in a conference bridge: the weights are read once for all of them."""

import threading
from collections.abc import Mapping

import numpy as np

from percepnet.arrays import AnySamples, Samples, from_float32, to_float32
from percepnet.errors import AudioError, PercepNetError
from percepnet.model import Model, load_model
from percepnet.native import FrameBatch, FrameEnhancer, alone
from percepnet.params import HOP_SAMPLES
from percepnet.stream import ModelLike


class BatchStream:
    """A stream of a batch: `Batch.add` makes it, and `Batch.remove` ends it."""

    def __init__(self, enhancer: FrameEnhancer, lock: threading.Lock) -> None:
        self._enhancer = enhancer
        self._lock = lock
        self._removed = False

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self._enhancer.channels

    @property
    def memory_bytes(self) -> int:
        """What this stream takes of memory, besides what all streams of the model share."""
        return self._enhancer.memory_bytes

    @property
    def refused_hops(self) -> int:
        """Hops that were taken as silence for NaN, infinity or a sample beyond 10,000, since the stream began."""
        with alone(self._lock, "this batch"):
            return self._present().refused_hops

    def reset(self) -> None:
        """Begin a new stream."""
        with alone(self._lock, "this batch"):
            self._present().reset()

    def _present(self) -> FrameEnhancer:
        if self._removed:
            raise PercepNetError("this stream was removed from its batch: add another one")
        return self._enhancer


class Batch:
    """Enhances one hop of 10 ms of each of many streams at 48 kHz a call, in a fraction of the time of one by one.

    What comes out is the same to the bit as of an `Enhancer` for each stream, whichever streams are in the call. It
    runs on the C core only, and other Python threads run meanwhile. A batch belongs to one thread at a time; give each
    core of the machine its own batch and thread.

    Parameters
    ----------
    model : Model, str, path or None
        What `load_model` returned, or what it takes; None is the model in the package.

    Raises
    ------
    CoreMissing
        If this installation has no C core.
    ModelError
        For a model that cannot be loaded.

    Examples
    --------
    >>> import numpy as np
    >>> import percepnet
    >>> batch = percepnet.Batch()
    >>> mono, stereo = batch.add(), batch.add(channels=2)
    >>> y = batch.process({mono: np.zeros(480), stereo: np.zeros((2, 480))})
    >>> y[mono].shape, y[stereo].shape
    ((480,), (2, 480))
    >>> batch.remove(mono)
    >>> len(batch)
    1
    """

    def __init__(self, model: ModelLike = None) -> None:
        self.model = model if isinstance(model, Model) else load_model(model)
        self._inside = FrameBatch(self.model)
        self._streams: set[BatchStream] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def latency_samples(self) -> int:
        """Delay of every stream's output, at 48 kHz."""
        return self.model.params.latency_samples

    def add(
        self,
        channels: int = 1,
        *,
        comb_filter: bool = True,
        post_filter: bool = False,
        attenuation_limit_db: float | None = None,
    ) -> BatchStream:
        """Begin a stream.

        Parameters
        ----------
        channels : int
            They share every decision, so that a stereo image stays where it was.
        comb_filter, post_filter, attenuation_limit_db
            As of `Enhancer`.

        Returns
        -------
        BatchStream
            The key of its hops in `process`.

        Raises
        ------
        PercepNetError
            For a number of channels out of range or a negative limit, or without memory.
        """
        if attenuation_limit_db is not None and not attenuation_limit_db >= 0:
            raise PercepNetError(f"attenuation limit is {attenuation_limit_db} dB: it must be 0 or more, or None")
        with alone(self._lock, "this batch"):
            enhancer = FrameEnhancer(
                self.model,
                channels,
                comb_filter=comb_filter,
                post_filter=post_filter,
                attenuation_limit_db=attenuation_limit_db,
                block_hops=1,
            )
            stream = BatchStream(enhancer, self._lock)
            self._streams.add(stream)
            return stream

    def remove(self, stream: BatchStream) -> None:
        """End a stream, and give its memory back. The others do not notice.

        Raises
        ------
        PercepNetError
            If it was removed already, or belongs to another batch.
        """
        with alone(self._lock, "this batch"):
            self._enhancer(stream).close()
            stream._removed = True
            self._streams.remove(stream)

    def process(self, hops: Mapping[BatchStream, AnySamples]) -> dict[BatchStream, AnySamples]:
        """Enhance the next 10 ms of some streams, or of all.

        Parameters
        ----------
        hops : mapping of BatchStream to np.ndarray [shape=(480,) or (channels, 480)]
            Floats in [-1, 1] or int16. Streams that are not in it stand still. A hop with NaN, infinity or a sample
            beyond 10,000 is taken as silence, and counted in the stream's `refused_hops`.

        Returns
        -------
        dict of BatchStream to np.ndarray
            For each hop its stream's next one, `latency_samples` late, with the shape and the dtype of what went in.

        Raises
        ------
        AudioError
            For another dtype or shape.
        PercepNetError
            For a stream that was removed or belongs to another batch, or while another thread is in a call of this
            batch. After any error, all streams go on as if the call had not been.
        """
        with alone(self._lock, "this batch"):
            enhancers = [self._enhancer(stream) for stream in hops]
            given = [np.asarray(hop) for hop in hops.values()]
            if not enhancers:
                return {}
            x = np.concatenate([_checked(hop, e.channels) for hop, e in zip(given, enhancers, strict=True)])
            y = self._inside.process(enhancers, x)
        parts: dict[BatchStream, AnySamples] = {}
        first = 0
        for stream, hop in zip(hops, given, strict=True):
            parts[stream] = from_float32(y[first : first + stream.channels], hop)
            first += stream.channels
        return parts

    def _enhancer(self, stream: BatchStream) -> FrameEnhancer:
        if stream not in self._streams:
            stream._present()
            raise PercepNetError("this stream belongs to another batch: process it there")
        return stream._enhancer


def _checked(hop: AnySamples, channels: int) -> Samples:
    x = to_float32(hop)
    if x.shape != (channels, HOP_SAMPLES):
        shape = f"({channels}, {HOP_SAMPLES})" + (f" or ({HOP_SAMPLES},)" if channels == 1 else "")
        raise AudioError(f"a hop of shape {hop.shape}: give {shape}")
    return x
