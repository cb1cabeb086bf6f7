"""Many live streams of one model on one core, as in a conference bridge: the weights are read once for all of them."""

import threading
from collections.abc import Mapping
from typing import NoReturn, SupportsIndex

from percepnet import native
from percepnet.alone import alone
from percepnet.arrays import AnySamples
from percepnet.errors import PercepNetError
from percepnet.live_stream import Inputs, LiveStream, Settings, checked_flag
from percepnet.model import Model, residual_for
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.stream import ModelLike, model_of


class BatchStream(LiveStream[native.Stream]):
    """A stream of a batch: `Batch.add` makes it, and `Batch.remove` ends it."""

    _ended = "this stream was removed from its batch: add another one"

    def __init__(
        self, inside: native.Batch, stream: native.Stream, model: Model, settings: Settings, lock: threading.Lock
    ) -> None:
        super().__init__(stream, model, settings, lock, "this batch")
        self._inside = inside
        self._memory_bytes = stream.memory_bytes
        self._idle = False

    @property
    def memory_bytes(self) -> int:
        """What this stream takes of memory, besides what all streams of the model share."""
        return self._memory_bytes

    @property
    def idle(self) -> bool:
        """Whether the output is the input, as of `bypass`, at hardly any cost: for a machine that cannot keep up.

        Nothing is decided meanwhile. It can be set while the stream runs, from any thread: the next call of `process`
        goes over to it in 10 ms. The way back begins anew: the output stays the input for half a second more.
        """
        return self._idle

    @idle.setter
    def idle(self, idle: bool) -> None:
        self._present()
        self._idle = checked_flag(idle, "idle")
        self._changed = True

    def _up_to_date(self) -> native.Stream:
        stream = super()._up_to_date()
        if stream.idle != self._idle:
            stream.idle = self._idle
        return stream

    def process(self, chunk: AnySamples, inputs: Inputs = None) -> AnySamples:
        """The next chunk of this stream alone, as `percepnet.Enhancer.process`.

        Parameters
        ----------
        chunk : np.ndarray [shape=(samples,) or (channels, samples)]
        inputs : np.ndarray [shape=(samples,)] or mapping of str to np.ndarray, optional
            The far end, for streams that were added with one.

        Returns
        -------
        np.ndarray [shape=(ready,) or (channels, ready)]

        Raises
        ------
        AudioError, PercepNetError
            As of `Batch.process`.
        """
        with self._in_use() as stream:
            x, far, array = self._checked(chunk, inputs)
            return self._done(x, array, self._inside.process([stream], [x], [far])[0])

    def __repr__(self) -> str:
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        state = ", removed" if self._stream is None else ", bypass" if self.bypass else ""
        return f"<stream of a Batch: {self.sample_rate} Hz, {channels}{state}>"


class Batch:
    """Enhances chunks of many streams a call, in a fraction of the time of one by one.

    The streams may have any rates and channels, and their chunks any lengths: telephony of 8 and 16 kHz in packets of
    20 ms beside a studio at 48 kHz. What comes out is the same to the bit as of an `Enhancer` for each stream,
    whichever streams are in the call. It runs on the C core only, and other Python threads run meanwhile. A batch
    belongs to one thread at a time; give each core of the machine its own batch and thread.

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
    >>> telephone, studio = batch.add(8000), batch.add(48000, channels=2)
    >>> y = batch.process({telephone: np.zeros(160, np.int16), studio: np.zeros((2, 480))})
    >>> y[telephone].shape, y[studio].shape
    ((160,), (2, 480))
    >>> len(telephone.flush()) == telephone.latency_samples
    True
    >>> batch.remove(telephone)
    >>> len(batch)
    1
    """

    def __init__(self, model: ModelLike = None) -> None:
        native.library()  # before a model is loaded for nothing
        self._model = model_of(model)
        self._inside = native.Batch(self._model)
        self._streams: set[BatchStream] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._streams)

    def __repr__(self) -> str:
        return f"<Batch: {len(self)} stream{'' if len(self) == 1 else 's'}>"

    @property
    def model(self) -> Model:
        """The network that decides."""
        return self._model

    @property
    def latency_samples(self) -> int:
        """Delay of streams at 48 kHz; those of other rates say theirs."""
        return self._model.params.latency_samples

    def add(
        self,
        sample_rate: SupportsIndex = SAMPLE_RATE_HZ,
        channels: SupportsIndex = 1,
        *,
        link_channels: bool = True,
        comb_filter: bool = True,
        post_filter: bool = False,
        attenuation_limit_db: float | None = None,
        invalid: str = "raise",
        far_end: bool = False,
    ) -> BatchStream:
        """Begin a stream.

        Parameters
        ----------
        sample_rate : int
            8000 to 192000 Hz.
        channels : int
            1 to 1024.
        link_channels, comb_filter, post_filter, attenuation_limit_db, invalid, far_end
            As of `Enhancer`.

        Returns
        -------
        BatchStream
            The key of its chunks in `process`.

        Raises
        ------
        AudioError
            For a rate or a number of channels out of range.
        PercepNetError
            For another setting out of range, or without memory.
        """
        settings = Settings.checked(
            sample_rate,
            channels,
            link_channels=link_channels,
            comb_filter=comb_filter,
            post_filter=post_filter,
            attenuation_limit_db=attenuation_limit_db,
            invalid=invalid,
            far_end=far_end,
        )
        with alone(self._lock, "this batch"):
            inside = native.Stream(
                self._model,
                settings.sample_rate,
                settings.channels,
                link_channels=settings.link_channels,
                comb_filter=settings.comb_filter,
                post_filter=settings.post_filter,
                attenuation_limit_db=settings.attenuation_limit_db,
                far_end=settings.far_end,
                residual=residual_for(self._model) if settings.far_end else None,
                block_hops=1,
            )
            stream = BatchStream(self._inside, inside, self._model, settings, self._lock)
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
            self._own(stream).close()
            stream._stream = None
            self._streams.remove(stream)

    def process(
        self, chunks: Mapping[BatchStream, AnySamples], far_ends: Mapping[BatchStream, AnySamples] | None = None
    ) -> dict[BatchStream, AnySamples]:
        """Enhance the next chunk of some streams, or of all.

        Parameters
        ----------
        chunks : mapping of BatchStream to np.ndarray [shape=(samples,) or (channels, samples)]
            Floats in [-1, 1] or int16, of any lengths. Streams that are not in it stand still.
        far_ends : mapping of BatchStream to np.ndarray [shape=(samples,)], optional
            What is played meanwhile, for streams that were added with a far end. It is silent for those that are not
            in it.

        Returns
        -------
        dict of BatchStream to np.ndarray [shape=(ready,) or (channels, ready)]
            For each chunk the samples of its stream that are ready, `latency_samples` late, with the dtype and the
            axes of the chunk.

        Raises
        ------
        AudioError
            For another dtype or shape; and for NaN, infinity and samples far outside [-1, 1] in streams that were not
            added with ``invalid="silence"``.
        PercepNetError
            For a stream that was removed or belongs to another batch, or while another thread is in a call of this
            batch. After any error, all streams go on as if the call had not been.
        """
        if not isinstance(chunks, Mapping):
            raise PercepNetError(f"chunks are a {type(chunks).__name__}: give a dictionary of streams and arrays")
        with alone(self._lock, "this batch"):
            insides = [self._own(stream) for stream in chunks]
            played = {} if far_ends is None else far_ends
            if not isinstance(played, Mapping) or not set(played) <= set(chunks):
                raise PercepNetError("far ends are a dictionary of arrays, of streams that are among the chunks")
            checked = [stream._checked(chunk, played.get(stream)) for stream, chunk in chunks.items()]
            if not insides:
                return {}
            ys = self._inside.process(insides, [x for x, _, _ in checked], [far for _, far, _ in checked])
            done = zip(chunks, checked, ys, strict=True)
            return {stream: stream._done(x, array, y) for stream, (x, _, array), y in done}

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Its streams have a state that cannot leave the process, and which two of them cannot share."""
        raise PercepNetError("batches cannot be copied or pickled: make another Batch, and add its streams anew")

    def _own(self, stream: BatchStream) -> native.Stream:
        if not isinstance(stream, BatchStream):
            raise PercepNetError(f"{stream!r} is no stream of this batch: give what add() returned")
        inside = stream._up_to_date()
        if stream not in self._streams:
            raise PercepNetError("this stream belongs to another batch: process it there")
        return inside
