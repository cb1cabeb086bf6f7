"""Whole signals and live streams, of any rate, any number of channels and cut into chunks of any length."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import SupportsIndex

import numpy as np

from percepnet.arrays import AnySamples, as_array, check_finite, to_samples
from percepnet.engine import ThreadedStream, open_stream, short_chunks
from percepnet.engine import engine as chosen_engine
from percepnet.errors import ModelError, PercepNetError
from percepnet.live_stream import RAISE, SILENCE, WHOLE_ADVICE, Inputs, LiveStream, Settings
from percepnet.model import Model, backward_model, residual_for, shared_model
from percepnet.offline.both_ways import BothWays
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.processor import Processor
from percepnet.processors import threads_of_a_recording

LONG_BLOCK_S = 4  # of what is there as a whole, at once: a second thread begins and ends with each
BEST = "best"
QUALITIES = {"fast": "small", "good": "default", BEST: "percepnet"}  # and the models that they run

ModelLike = Model | str | os.PathLike[str] | None


class Enhancer(LiveStream[ThreadedStream]):
    """Enhances a stream, chunk by chunk, with a constant delay.

    What all calls of `process` and the `flush` at the end return, joined, is `latency_samples` longer than what went
    in, and its sample `n + latency_samples` belongs to sample `n` of the input. It is the same to the bit however the
    input was cut. A call returns what is ready: samples come out in steps of 10 ms, and after every 10 ms of input
    exactly as many have come out as have gone in.

    An enhancer belongs to one thread at a time; other Python threads run meanwhile. `close`, or the end of a `with`
    statement, gives its memory back at once.

    Parameters
    ----------
    sample_rate : int
        Rate of the stream, 8000 to 192000 Hz. Rates other than 48 kHz are converted to it and back, aligned to the
        sample; of rates above it, the band above 24 kHz is dropped.
    channels : int
        Number of channels, 1 to 1024.
    model : Model, str, path or None
        What `load_model` returned, or what it takes; None is the model in the package.
    comb_filter : bool
        Off leaves the pitch comb filter out.
    post_filter : bool
        On attenuates what is still noisy further, by the envelope post-filter: there is less noise to be heard, at
        some cost in clarity (docs/quality.md says how much).
    attenuation_limit_db : float or None
        The most by which anything is attenuated: so much of the time-aligned input is mixed in.
    link_channels : bool
        True makes one decision for all channels, which keeps the stereo image; False enhances each by itself.
    invalid : str
        What becomes of NaN, infinity and samples far outside [-1, 1]: "raise" refuses a chunk with an AudioError that
        says where they are; "silence" takes hops of 10 ms that have them as silence, counts them in `refused_hops`,
        and never stops a call.
    block_samples : int
        0 returns from each call what is ready. Otherwise calls take multiples of so many samples, 1 being any length,
        and return exactly as many as they take, for up to 10 ms more of delay; for multiples of 10 ms it is the same.
    far_end : bool
        On gives `process` a second input, what a loudspeaker plays near the microphone: its echo is taken out before
        everything else (docs/echo.md). As long as it is silent, nothing changes, to the bit.
    engine : str or None
        "core" or "numpy"; None is what the environment variable PERCEPNET_ENGINE says, or else the core where it is
        installed.
    quality : str or None
        In place of a model: "fast" is `small`, "good" is `default`, and "best", for recordings, hears everything twice,
        from its beginning and from its end, and is some 30 s late (docs/best.md).

    Raises
    ------
    AudioError
        For a rate or a number of channels out of range.
    ModelError
        For a model that cannot be loaded.
    PercepNetError
        For a negative attenuation limit, another setting of a wrong type, or an engine that is not there.

    Examples
    --------
    >>> import numpy as np
    >>> import percepnet
    >>> enhancer = percepnet.Enhancer(16000)
    >>> microphone = np.zeros((50, 160), dtype=np.float32)  # 50 chunks of 10 ms
    >>> cleaned = [enhancer.process(chunk) for chunk in microphone]
    >>> [len(chunk) for chunk in cleaned[:3]]
    [160, 160, 160]
    >>> len(enhancer.flush()) == enhancer.latency_samples
    True
    >>> enhancer.bypass = True  # from the next chunk on
    >>> call = percepnet.Enhancer(16000, far_end=True)
    >>> played = np.zeros(160, dtype=np.float32)  # what the loudspeaker plays meanwhile
    >>> call.process(microphone[0], played).shape
    (160,)
    """

    _name = "enhancer"
    _ended = "this enhancer is closed: make another one"

    def __init__(
        self,
        sample_rate: SupportsIndex = SAMPLE_RATE_HZ,
        channels: SupportsIndex = 1,
        *,
        model: ModelLike = None,
        comb_filter: bool = True,
        post_filter: bool = False,
        attenuation_limit_db: float | None = None,
        link_channels: bool = True,
        invalid: str = "raise",
        block_samples: SupportsIndex = 0,
        far_end: bool = False,
        engine: str | None = None,
        quality: str | None = None,
    ) -> None:
        settings = Settings.checked(
            sample_rate,
            channels,
            link_channels=link_channels,
            comb_filter=comb_filter,
            post_filter=post_filter,
            attenuation_limit_db=attenuation_limit_db,
            invalid=invalid,
            block_samples=block_samples,
            far_end=far_end,
        )
        self._engine = chosen_engine(engine)
        loaded = model_of(of_quality(quality, model))
        stream: ThreadedStream
        if quality == BEST:
            if settings.far_end:
                raise PercepNetError(f"quality {BEST!r} has no far end: an echo comes after what it is the echo of")

            def open_way(backwards: bool) -> ThreadedStream:
                model, whole = backward_model() if backwards else loaded, replace(settings, block_samples=0)
                return self._open(model, whole, one_window=True)  # of three streams the mean is given out

            stream = BothWays(open_way, settings.sample_rate, settings.channels)
        else:
            stream = self._open(loaded, settings)
        self._lock = threading.Lock()
        super().__init__(stream, loaded, settings, self._lock, "this enhancer")
        self._short = short_chunks(stream, settings.channels, refuses=settings.invalid == RAISE)

    def _open(self, model: Model, settings: Settings, *, one_window: bool = False) -> ThreadedStream:
        return open_stream(
            model,
            settings.sample_rate,
            settings.channels,
            link_channels=settings.link_channels,
            comb_filter=settings.comb_filter,
            post_filter=settings.post_filter,
            one_window=one_window,
            attenuation_limit_db=settings.attenuation_limit_db,
            block_samples=settings.block_samples,
            far_end=settings.far_end,
            residual=residual_for(model) if settings.far_end else None,
            wanted=self._engine,
        )

    def use_second_thread(self) -> None:
        """Let chunks of 0.64 s and more take a second thread, which shares the work of their pieces with the first.

        What comes out is the same to the bit, sooner: where another processor is free, two thirds of the time for
        chunks of 4 s. `percepnet.enhance` does so. Channels that are not linked have none.

        Raises
        ------
        PercepNetError
            After `close`, or while another thread is in a call.
        """
        with self._in_use() as stream:
            stream.use_second_thread()

    @property
    def engine(self) -> str:
        """What it runs on, "core" or "numpy"."""
        return self._engine

    def process(self, chunk: AnySamples, inputs: Inputs = None) -> AnySamples:
        """Add a chunk of any length, and return the samples that are ready.

        Parameters
        ----------
        chunk : np.ndarray [shape=(samples,) or (channels, samples)]
            Floats in [-1, 1] or int16; `(samples,)` only for one channel. May be empty.
        inputs : np.ndarray [shape=(samples,)] or mapping of str to np.ndarray, optional
            The same stretch of the far end, as int16 or floats like the chunk; or of all other `inputs`, by their
            names. Without it, the far end is silent.

        Returns
        -------
        np.ndarray [shape=(ready,) or (channels, ready)]
            With the dtype and the axes of the chunk; int16 is rounded and clamped. Calculated in float32.

        Raises
        ------
        AudioError
            For another dtype or shape, for a length that is no multiple of `block_samples`, and unless
            ``invalid="silence"`` for NaN, infinity and samples far outside [-1, 1].
        PercepNetError
            For an input that the model does not have, after `close`, or while another thread is in a call. After any
            error, the stream goes on as if the call had not been.
        """
        if inputs is None and self._lock.acquire(blocking=False):  # what `alone` does, in fewer steps
            try:
                y = None if self._short is None or self._changed else self._short.process(chunk)
                if y is not None:
                    self._received += len(chunk)
                    self._form = (y.dtype, 1)
                    return y
            finally:
                self._lock.release()
        with self._alone:
            stream = self._up_to_date()
            x, far, array = self._checked(chunk, inputs)
            return self._done(x, array, stream.process(x, far))

    def close(self) -> None:
        """Give the stream's memory back. Later calls raise PercepNetError, but for `close` itself."""
        if self._stream is not None:
            with self._in_use() as stream:
                stream.close()
                self._stream = self._short = None

    def __enter__(self) -> "Enhancer":
        self._present()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        delay_ms = 1000 * self.latency_samples / self.sample_rate
        state = ", closed" if self._stream is None else ", bypass" if self.bypass else ""
        return f"<Enhancer: {self.sample_rate} Hz, {channels}, delay {delay_ms:.1f} ms, engine {self._engine}{state}>"


def model_of(model: ModelLike) -> Model:
    """A model as it is, or the one that a name or a path stands for."""
    if model is not None and not isinstance(model, (Model, str, os.PathLike)):
        raise ModelError(f"model is a {type(model).__name__}: give a name, a path or what load_model returned")
    return model if isinstance(model, Model) else shared_model(model)


def check_quality(quality: str, model: ModelLike = None) -> None:
    """Raise PercepNetError for a quality that there is not, or that is given beside a model."""
    if not isinstance(quality, str) or quality not in QUALITIES:
        raise PercepNetError(f"quality is {quality!r}: give {', '.join(QUALITIES)}")
    if model is not None:
        raise PercepNetError("a quality is given, and a model: give one of them")


def of_quality(quality: str | None, model: ModelLike) -> ModelLike:
    """The model that a quality stands for."""
    if quality is None:
        return model
    check_quality(quality, model)
    return QUALITIES[quality]


def enhance_blocks(
    enhancer: Processor,
    blocks: Iterable[AnySamples],
    far: Callable[[int, int], AnySamples] | None = None,
) -> Iterator[AnySamples]:
    """A whole signal, block by block and without the delay: what comes out lines up with what went in.

    Parameters
    ----------
    enhancer : Processor
        At the start of a stream; is there again at the end.
    blocks : iterable of np.ndarray [shape=(samples,) or (channels, samples)]
        The signal, cut anyhow.
    far : callable, optional
        Gives the far end from a sample on, and so many of them.

    Yields
    ------
    np.ndarray
        Together as long as the input.
    """
    skip, start = enhancer.latency_samples, 0
    for block in blocks:
        y = enhancer.process(block, far(start, block.shape[-1]) if far else None)
        start += block.shape[-1]
        skipped = min(skip, y.shape[-1])
        skip -= skipped
        if y.shape[-1] > skipped:
            yield y[..., skipped:]
    yield enhancer.flush()[..., skip:]


def enhance_whole(enhancer: Processor, x: AnySamples, y: AnySamples, rate_hz: int) -> None:
    """A whole signal that lies in memory, second by second and without the delay.

    Parameters
    ----------
    enhancer : Processor
        At the start of a stream.
    x : np.ndarray [shape=(samples,) or (channels, samples)]
    y : np.ndarray [shape=(..., samples)]
        Filled.
    rate_hz : int
        Of both.

    Raises
    ------
    AudioError
        For NaN or infinity, with the position in seconds, before anything is calculated.
    """
    if x.dtype.kind == "f":
        check_finite(to_samples(x), start_samples=0, sample_rate_hz=rate_hz, advice=WHOLE_ADVICE)
    length = LONG_BLOCK_S * rate_hz
    blocks = (x[..., start : start + length] for start in range(0, x.shape[-1], length))
    done = 0
    for block in enhance_blocks(enhancer, blocks):
        y[..., done : done + block.shape[-1]] = block
        done += block.shape[-1]


def enhance(
    x: AnySamples,
    sample_rate: SupportsIndex,
    *,
    model: ModelLike = None,
    comb_filter: bool = True,
    post_filter: bool = False,
    attenuation_limit_db: float | None = None,
    link_channels: bool = True,
    engine: str | None = None,
    quality: str | None = None,
) -> AnySamples:
    """Suppress the noise and the reverberation in a recording of speech.

    The same to the bit as a stream through `Enhancer` without its first `latency_samples` samples.

    Parameters
    ----------
    x : np.ndarray [shape=(samples,) or (channels, samples)]
        Floats in [-1, 1], or int16.
    sample_rate : int
        8000 to 192000 Hz.
    model, comb_filter, post_filter, attenuation_limit_db, link_channels, engine, quality
        As of `Enhancer`.

    Returns
    -------
    np.ndarray
        The recording, with the shape, the rate and the dtype of `x`, not delayed. int16 is clamped; calculated in
        float32.

    Raises
    ------
    AudioError
        For NaN or infinity (with the position in seconds), a dtype or shape that is not audio, a rate out of range.
    ModelError
        For a model that cannot be loaded.
    PercepNetError
        For another setting that cannot be.

    Examples
    --------
    >>> import numpy as np
    >>> import percepnet
    >>> noisy = np.random.default_rng(0).uniform(-0.1, 0.1, 16000)
    >>> percepnet.enhance(noisy, 16000).shape
    (16000,)
    """
    x = as_array(x)
    samples = to_samples(x)
    with Enhancer(
        sample_rate,
        samples.shape[0],
        model=model,
        comb_filter=comb_filter,
        post_filter=post_filter,
        attenuation_limit_db=attenuation_limit_db,
        link_channels=link_channels,
        invalid=SILENCE,  # all of it is checked here, before anything is calculated
        engine=engine,
        quality=quality,
    ) as enhancer:
        if threads_of_a_recording() > 1:
            enhancer.use_second_thread()
        y = np.empty_like(x)
        enhance_whole(enhancer, x, y, enhancer.sample_rate)
        return y
