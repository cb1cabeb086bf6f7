"""The C core: the signal path of `percepnet.reference`, compiled, behind the interface of its `Stream`."""

import ctypes
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from percepnet.alone import alone
from percepnet.arrays import AnySamples, Samples
from percepnet.errors import AudioError, PercepNetError
from percepnet.model import Model
from percepnet.native_library import (
    REFUSALS,
    Chunk,
    CoreMissing,
    Error,
    FrameView,
    Options,
    check_model,
    kernels,
    library,
)
from percepnet.native_model import core_model
from percepnet.params import BINS, FRAMES_PER_SECOND, HOP_SAMPLES, SAMPLE_RATE_HZ
from percepnet.reference.comb import hann_weights

__all__ = [
    "Batch", "CoreMissing", "Error", "Frame", "FrameEnhancer", "Stream", "check_model", "kernels", "library",
]  # fmt: skip

LAGS = 339
AT_ONCE_MAX = 1024
NO_LIMIT = -1.0
READY_MAX = 1  # beyond samples and a hop
FLOAT32, INT16 = np.dtype(np.float32), np.dtype(np.int16)

# What is gained grows slowly beyond, and buffers should stay in a processor's cache.
BLOCK_HOPS = 32
BLOCK_HOPS_MIN = 8
BATCH_DECISIONS = 32


class Frame(NamedTuple):
    """What lay between the boxes of the signal path in the last hop; of the decided frame, M before the newest."""

    noisy: np.ndarray  # (channels, 481) spectrum
    comb: np.ndarray  # (channels, 481) spectrum after the comb filter
    unturned: np.ndarray  # (windows, channels, 481) spectra that gains of one would give out, phases as they were
    combs: np.ndarray  # (windows, channels, 481) spectra after the comb filter, as the network hears them
    enhanced: np.ndarray  # (windows, channels, 481) spectra of the output
    features: np.ndarray  # (features,)
    gains: np.ndarray  # (bands,)
    strengths: np.ndarray  # (bands,)
    lags: np.ndarray  # (339,) of `percepnet.reference.pitch.correlation`, of the newest frame
    tap_delays: np.ndarray  # (11,) samples
    tap_weights: np.ndarray  # (11,)
    period_samples: float
    correlation: float


class _Owned:
    """Something that the core has made, which ends with the last reference to it, and before its models."""

    def __init__(self, model: object, handle: int | None, destroy: Callable[[int], None], why: object) -> None:
        if not handle:
            raise PercepNetError(str(why))
        self.handle = handle
        self.end = weakref.finalize(self, lambda handle, _: destroy(handle), handle, model)


class Stream:
    """Enhances a stream, chunk by chunk, as :class:`percepnet.reference.stream.Stream` does.

    Parameters
    ----------
    model : Model
    sample_rate_hz : int
        8000 to 192000.
    channels : int
        1 to 1024.
    link_channels, comb_filter, post_filter, one_window, attenuation_limit_db, bypass, block_samples, far_end, residual
        As of the definition.
    exact : bool
        True calculates the network in single precision; False in 8 bits, weights and activations, where its table
        says so.
    kernel : str, optional
        One of `kernels`, instead of the fastest.
    block_hops : int
        Long chunks are calculated layer by layer, up to so many hops at a time, 1 to 1024. What that needs of memory is
        allocated by the first such call; 1 never does.

    Raises
    ------
    CoreMissing
        If this installation has no core.
    PercepNetError
        For an option out of range.
    """

    _name = "stream"

    def __init__(
        self,
        model: Model,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
        channels: int = 1,
        *,
        link_channels: bool = True,
        comb_filter: bool = True,
        post_filter: bool = False,
        one_window: bool = False,
        attenuation_limit_db: float | None = None,
        bypass: bool = False,
        block_samples: int = 0,
        far_end: bool = False,
        residual: Model | None = None,
        exact: bool = False,
        kernel: str | None = None,
        block_hops: int = BLOCK_HOPS,
    ) -> None:
        if not 1 <= block_hops <= AT_ONCE_MAX:
            raise PercepNetError(f"hops of a block are {block_hops}: give 1 to {AT_ONCE_MAX}")
        self.model = model
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        self._limit_db = attenuation_limit_db
        self._bypass = bypass
        self._idle = False
        self._block_hops = block_hops
        self._second_thread = False
        self._core = library()
        self._core_model = core_model(model, exact, kernel)
        self._residual = core_model(residual, exact, kernel) if residual else None
        options = Options(
            sample_rate_hz=sample_rate_hz,
            channels=channels,
            link_channels=link_channels,
            comb_filter=comb_filter,
            post_filter=post_filter,
            one_window=one_window,
            attenuation_limit_db=_limit(attenuation_limit_db),
            bypass=bypass,
            block_samples=block_samples,
            far_end=far_end,
            residual=self._residual.handle if self._residual else None,
        )
        error = Error()
        made = self._core.percepnet_stream_create(self._core_model.handle, ctypes.byref(options), ctypes.byref(error))
        self._stream = _Owned((self._core_model, self._residual), made, self._core.percepnet_stream_destroy, error)
        self._block: _Owned | None = None
        self._lock = threading.Lock()
        self._owner = f"this {self._name}"
        self.latency_samples: int = self._core.percepnet_stream_latency(made)
        self.memory_bytes: int = self._core.percepnet_stream_bytes(made)

    @property
    def refused_hops(self) -> int:
        """Hops that were taken as silence for NaN, infinity or a sample beyond 10,000, since the stream began."""
        with self._handle() as handle:
            return self._core.percepnet_stream_refused_hops(handle)

    @property
    def speech_probability(self) -> float | None:
        """Of the last frame, the largest of channels that are not linked; None where the model does not say."""
        with self._handle() as handle:
            probability = self._core.percepnet_stream_speech_probability(handle)
        return None if probability < 0 else probability

    @property
    def attenuation_limit_db(self) -> float | None:
        """Can be changed while the stream runs, from the next hop on."""
        return self._limit_db

    @attenuation_limit_db.setter
    def attenuation_limit_db(self, limit_db: float | None) -> None:
        with self._handle() as handle:
            self._core.percepnet_stream_set_attenuation_limit(handle, _limit(limit_db))
            self._limit_db = limit_db

    @property
    def bypass(self) -> bool:
        """Whether the output is the input; can be changed while the stream runs, from the next hop on."""
        return self._bypass

    @bypass.setter
    def bypass(self, bypass: bool) -> None:
        with self._handle() as handle:
            self._core.percepnet_stream_set_bypass(handle, bypass)
            self._bypass = bypass

    @property
    def idle(self) -> bool:
        """Whether the output is the input, and nothing is decided; can be changed while the stream runs."""
        return self._idle

    @idle.setter
    def idle(self, idle: bool) -> None:
        with self._handle() as handle:
            self._core.percepnet_stream_set_idle(handle, idle)
            self._idle = idle

    def process(self, x: AnySamples, far: AnySamples | None = None) -> AnySamples:
        """Take the next samples in, and give back those that are ready.

        Parameters
        ----------
        x : np.ndarray [shape=(channels, n), dtype=float32 or int16]
            Hops with NaN, infinity or a sample beyond 10,000 are taken as silence.
        far : np.ndarray [shape=(1, n)], optional
            What is played meanwhile, of the dtype of `x`; None is silence. For streams with a far end.

        Returns
        -------
        np.ndarray [shape=(channels, ready)]
            Of the dtype of `x`; int16 is rounded and clamped.

        Raises
        ------
        AudioError
            For another shape or dtype, and for a length that is no multiple of `block_samples`.
        PercepNetError
            After `close`, or while another thread is in a call of this object.
        """
        x = _readable(x, self.channels)
        samples = x.shape[1]
        core = self._core
        played = None if far is None else _far_readable(far, x)
        process = core.percepnet_stream_process_far_int16 if x.dtype == INT16 else core.percepnet_stream_process_far
        with alone(self._lock, self._owner):
            handle = self._open()
            ready = _count(core.percepnet_stream_ready(handle, samples))
            y = np.empty((self.channels, ready), x.dtype)
            block = self._block_for(samples)
            _count(process(handle, block, x.ctypes.data, _address(played), samples, samples, y.ctypes.data, ready))
        return y

    def flush(self, dtype: npt.DTypeLike = np.float32) -> AnySamples:
        """End the stream: the samples that the delay holds back. The stream is at its beginning again.

        Returns
        -------
        np.ndarray [shape=(channels, rest)]
            As many that `latency_samples` more have come out than went in.
        """
        room = self.latency_samples + self.sample_rate_hz // FRAMES_PER_SECOND + READY_MAX
        y = np.empty((self.channels, room), dtype)
        core = self._core
        flush = core.percepnet_stream_flush_int16 if y.dtype == INT16 else core.percepnet_stream_flush
        with self._handle() as handle:
            return y[:, : _count(flush(handle, y.ctypes.data, room))]

    def reset(self) -> None:
        """Begin a new stream. Limit and bypass stay as they are."""
        with self._handle() as handle:
            self._core.percepnet_stream_reset(handle)

    def use_second_thread(self) -> None:
        """Chunks of 0.64 s and more are heard, decided and made by two threads at once, piece by piece.

        The same to the bit, sooner. The thread ends with each call. Streams whose channels are not linked have none.
        """
        with self._handle():
            self._second_thread = True
            self._block = None

    def close(self) -> None:
        """Give the stream's memory back. Every later call raises PercepNetError, `close` too."""
        with self._handle():
            self._stream.end()
            self._block = None

    def inspect(self) -> Frame:
        """Everything that was found and decided in the last hop of the first decision, copied."""
        params, taps = self.model.params, len(hann_weights())
        heard, given = ("noisy", "comb"), ("unturned", "combs", "enhanced")
        sizes: dict[str, tuple[int, ...]] = {
            "features": (params.features,),
            "gains": (params.bands,),
            "strengths": (params.bands,),
            "lags": (LAGS,),
            "tap_delays": (taps,),
            "tap_weights": (taps,),
        }
        with self._handle() as handle:
            frame = FrameView()
            self._core.percepnet_stream_inspect(handle, ctypes.byref(frame))
            sizes |= dict.fromkeys(heard, (self.channels, 2 * BINS))
            sizes |= dict.fromkeys(given, (frame.windows, self.channels, 2 * BINS))
            found = {name: np.ctypeslib.as_array(getattr(frame, name), size).copy() for name, size in sizes.items()}
        spectra = {name: found.pop(name).view(np.complex64) for name in (*heard, *given)}
        return Frame(**spectra, **found, period_samples=frame.period_samples, correlation=frame.correlation)

    def _block_for(self, samples: int) -> int | None:
        """Room for a chunk that is long enough to gain by it."""
        hops = samples * FRAMES_PER_SECOND // self.sample_rate_hz
        if self._block_hops == 1 or hops < min(BLOCK_HOPS_MIN, self._block_hops):
            return None
        if self._block is None:
            why = Error()
            core = self._core
            create = core.percepnet_block_create_threaded if self._second_thread else core.percepnet_block_create
            made = create(self._core_model.handle, self.channels, self._block_hops, ctypes.byref(why))
            self._block = _Owned(self._core_model, made, self._core.percepnet_block_destroy, why)
        return self._block.handle

    @contextmanager
    def _handle(self) -> Iterator[int]:
        with alone(self._lock, self._owner):
            yield self._open()

    def _open(self) -> int:
        if not self._stream.end.alive:
            raise PercepNetError(f"{self._owner} is closed: make another one")
        return self._stream.handle


def _limit(limit_db: float | None) -> float:
    return NO_LIMIT if limit_db is None else limit_db


def _readable(x: AnySamples, channels: int) -> AnySamples:
    """Samples as the library reads them: it trusts these three."""
    if x.ndim != 2 or x.shape[0] != channels or x.dtype not in (FLOAT32, INT16):
        raise AudioError(f"a chunk of {x.dtype} of shape {x.shape}: give float32 or int16 of ({channels}, samples)")
    return np.ascontiguousarray(x)


def _far_readable(far: AnySamples, x: AnySamples) -> AnySamples:
    if far.shape != (1, x.shape[1]) or far.dtype != x.dtype:
        raise AudioError(f"a far end of {far.dtype} of shape {far.shape}: give {x.dtype} of (1, {x.shape[1]})")
    return np.ascontiguousarray(far)


def _address(x: AnySamples | None) -> int | None:
    return None if x is None else x.ctypes.data


def _count(result: int) -> int:
    """A number of samples, unless it is a refusal."""
    if result < 0:
        raise AudioError(REFUSALS.get(result, f"the C core refuses a chunk ({result})"))
    return result


class FrameEnhancer(Stream):
    """A stream at 48 kHz in whole hops of 10 ms, as :class:`percepnet.reference.enhancer.FrameEnhancer`.

    Parameters
    ----------
    model : Model
    channels : int
        They share every decision, so that a stereo image stays where it was.
    comb_filter, post_filter, one_window, attenuation_limit_db, exact, kernel, block_hops
        As of `Stream`.

    Raises
    ------
    CoreMissing
        If this installation has no core.
    """

    _name = "enhancer"

    def __init__(
        self,
        model: Model,
        channels: int = 1,
        *,
        comb_filter: bool = True,
        post_filter: bool = False,
        one_window: bool = False,
        attenuation_limit_db: float | None = None,
        exact: bool = False,
        kernel: str | None = None,
        block_hops: int = BLOCK_HOPS,
    ) -> None:
        super().__init__(
            model,
            SAMPLE_RATE_HZ,
            channels,
            comb_filter=comb_filter,
            post_filter=post_filter,
            one_window=one_window,
            attenuation_limit_db=attenuation_limit_db,
            exact=exact,
            kernel=kernel,
            block_hops=block_hops,
        )

    def process(self, hops: Samples, far: AnySamples | None = None) -> Samples:
        """Enhance the next 10 ms, or any number of them at once.

        Parameters
        ----------
        hops : np.ndarray [shape=(channels, 480 * n), dtype=float32]
        far : None
            There is no far end here.

        Returns
        -------
        np.ndarray [shape=(channels, 480 * n), dtype=float32]
            The enhanced signal, delayed by `latency_samples`; the same to the bit whatever n is.

        Raises
        ------
        AudioError
            For another shape.
        PercepNetError
            After `close`, or while another thread is in a call of this object.
        """
        x = np.ascontiguousarray(hops, dtype=np.float32)
        if x.ndim != 2 or x.shape[0] != self.channels or x.shape[1] % HOP_SAMPLES:
            raise AudioError(f"hops of shape {x.shape}: give ({self.channels}, a multiple of {HOP_SAMPLES})")
        return super().process(x, far)


class Batch:
    """The next chunk of each of many streams of a model, whose weights are read once for all of them.

    Parameters
    ----------
    model, exact, kernel
        As of `Stream`, and of all that are given to `process`.
    decisions : int
        So many go through the network at once, 1 to 1024; `process` takes any number of streams. A stream takes one,
        or one a channel if they are not linked.

    Raises
    ------
    CoreMissing
        If this installation has no core.
    """

    def __init__(
        self, model: Model, decisions: int = BATCH_DECISIONS, *, exact: bool = False, kernel: str | None = None
    ) -> None:
        self._core = library()
        self._core_model = core_model(model, exact, kernel)
        why = Error()
        made = self._core.percepnet_batch_create(self._core_model.handle, decisions, ctypes.byref(why))
        self._batch = _Owned(self._core_model, made, self._core.percepnet_batch_destroy, why)

    def process(
        self,
        streams: Sequence[Stream],
        chunks: Sequence[AnySamples],
        fars: Sequence[AnySamples | None] | None = None,
    ) -> list[AnySamples]:
        """Enhance the next chunk of each stream; the caller sees to it that no other thread uses one of them.

        Parameters
        ----------
        streams : sequence of Stream
            Different ones, not closed.
        chunks : sequence of np.ndarray [shape=(channels, n), dtype=float32 or int16]
            Of any lengths.
        fars : sequence of np.ndarray [shape=(1, n)] or None, optional
            What is played meanwhile, as of `Stream.process`.

        Returns
        -------
        list of np.ndarray [shape=(channels, ready)]
            The same to the bit as stream by stream.
        """
        core = self._core
        entries = (Chunk * len(streams))()
        xs = [_readable(chunk, stream.channels) for chunk, stream in zip(chunks, streams, strict=True)]
        ys = []
        played = [
            None if far is None else _far_readable(far, x) for far, x in zip(fars or [None] * len(xs), xs, strict=True)
        ]
        for entry, stream, x, far in zip(entries, streams, xs, played, strict=True):
            samples, handle = x.shape[1], stream._stream.handle
            ready = _count(core.percepnet_stream_ready(handle, samples))
            y = np.empty((stream.channels, ready), x.dtype)
            ys.append(y)
            entry.stream, entry.x, entry.y = handle, x.ctypes.data, y.ctypes.data
            entry.samples, entry.stride, entry.capacity = samples, samples, ready
            entry.int16, entry.far = x.dtype == INT16, _address(far)
        refusal = core.percepnet_batch_process(self._batch.handle, entries, len(streams))
        if refusal:
            raise AudioError(REFUSALS.get(refusal, f"the C core refuses a chunk ({refusal})"))
        return ys
