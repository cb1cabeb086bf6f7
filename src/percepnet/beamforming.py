"""Several microphones, one talker: a beamformer that the network steers, and then the network."""

import threading
from types import TracebackType
from typing import SupportsIndex

import numpy as np

from percepnet.array_stream import ArrayStream, array_stream
from percepnet.arrays import AnySamples, as_array, to_samples
from percepnet.engine import engine as chosen_engine
from percepnet.errors import AudioError, PercepNetError
from percepnet.live_stream import SILENCE, Inputs, LiveStream, Settings
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.stream import BEST, ModelLike, enhance_whole, model_of, of_quality

MICROPHONES_MIN, MICROPHONES_MAX = 2, 16


class Beamformer(LiveStream[ArrayStream]):
    """Enhances a talker whom several microphones hear, chunk by chunk, with a constant delay.

    The network's gains say where in time and frequency there is speech; from that the beamformer learns what to keep
    and what to cancel, and its output goes through the network. Where the microphones stand need not be known, but they
    have to be of one clock: channels of one device. What comes out is like the microphone `reference_channel`, and
    keeps the loudness of the first one.

    It takes `(channels, samples)` and gives `(1, samples)`, and is otherwise used as `percepnet.Enhancer` is.

    Parameters
    ----------
    sample_rate : int
        8000 to 192000 Hz.
    channels : int
        Number of microphones, 2 to 16.
    model, comb_filter, post_filter, attenuation_limit_db, engine
        As of `percepnet.Enhancer`; the limit is relative to the beamformer's output.
    invalid : str
        What becomes of NaN, infinity and samples far outside [-1, 1]: "raise" refuses a chunk with an AudioError;
        "silence" takes hops of 10 ms of the microphone that has them as silence.
    enhance : bool
        Off gives the beamformer's output as it is, 10 ms late at 48 kHz.
    quality : str or None
        In place of a model: "fast" is `small`, "good" is `default`.

    Raises
    ------
    AudioError
        For a rate or a number of channels out of range.
    ModelError
        For a model that cannot be loaded.
    PercepNetError
        For another setting that cannot be.

    Examples
    --------
    >>> import numpy as np
    >>> import percepnet
    >>> beamformer = percepnet.Beamformer(16000, 4)
    >>> microphones = np.zeros((4, 1600), dtype=np.float32)
    >>> beamformer.process(microphones).shape
    (1, 1600)
    >>> beamformer.flush().shape[1] == beamformer.latency_samples
    True
    """

    _name = "beamformer"
    _ended = "this beamformer is closed: make another one"
    _far_end_advice = "take the echo out of each microphone before, with an Enhancer that has one"

    def __init__(
        self,
        sample_rate: SupportsIndex = SAMPLE_RATE_HZ,
        channels: SupportsIndex = MICROPHONES_MIN,
        *,
        model: ModelLike = None,
        comb_filter: bool = True,
        post_filter: bool = False,
        attenuation_limit_db: float | None = None,
        invalid: str = "raise",
        enhance: bool = True,
        engine: str | None = None,
        quality: str | None = None,
    ) -> None:
        settings = Settings.checked(
            sample_rate,
            channels,
            link_channels=True,
            comb_filter=comb_filter,
            post_filter=post_filter,
            attenuation_limit_db=attenuation_limit_db,
            invalid=invalid,
        )
        check_microphones(settings.channels)
        check_beamforming(quality)
        if not isinstance(enhance, bool):
            raise PercepNetError(f"enhance is {enhance!r}: give True or False")
        self._enhances = enhance
        self._allow_limit(settings.attenuation_limit_db)
        self._engine = chosen_engine(engine)
        loaded = model_of(of_quality(quality, model))
        stream = array_stream(
            loaded,
            settings.sample_rate,
            settings.channels,
            enhance=enhance,
            comb_filter=settings.comb_filter,
            post_filter=settings.post_filter,
            attenuation_limit_db=settings.attenuation_limit_db,
            wanted=self._engine,
        )
        super().__init__(stream, loaded, settings, threading.Lock(), "this beamformer")

    @property
    def engine(self) -> str:
        """What the network runs on, "core" or "numpy"."""
        return self._engine

    @property
    def latency_samples(self) -> int:
        """Delay of the output at the stream's rate: 10 ms more than the model's own; 40 ms at 48 kHz, 53 ms at 16."""
        return self._latency_samples

    def _allow_limit(self, limit_db: float | None) -> None:
        if not self._enhances and limit_db is not None:
            raise PercepNetError("an attenuation limit goes with enhance=True: there is nothing else to limit")

    @property
    def reference_channel(self) -> int:
        """The channel, from 0, that the output is most like at this moment."""
        with self._in_use() as stream:
            return stream.beamformer.reference

    @property
    def left_out(self) -> dict[int, str]:
        """Channels, from 0, that were not used for some of the stream, and why: silent ones, and copies of others.

        After `flush` they are those of the stream that has ended.
        """
        with self._in_use() as stream:
            return dict(stream.left_out)

    def process(self, chunk: AnySamples, inputs: Inputs = None) -> AnySamples:
        """Add a chunk of any length, and return the samples that are ready.

        Parameters
        ----------
        chunk : np.ndarray [shape=(channels, samples)]
            Floats in [-1, 1] or int16. May be empty.
        inputs : None
            There are no others.

        Returns
        -------
        np.ndarray [shape=(1, ready)]
            With the dtype of the chunk; int16 is rounded and clamped. Calculated in float32.

        Raises
        ------
        AudioError
            For another dtype or shape, and unless ``invalid="silence"`` for NaN, infinity and samples far outside
            [-1, 1].
        PercepNetError
            For an input, after `close`, or while another thread is in a call. After any error, the stream goes on as if
            the call had not been.
        """
        with self._alone:
            stream = self._up_to_date()
            x, _, array = self._checked(chunk, inputs)
            return self._done(x, array, stream.process(x))

    def close(self) -> None:
        """Give the stream's memory back. Later calls raise PercepNetError, but for `close` itself."""
        if self._stream is not None:
            with self._in_use() as stream:
                stream.close()
                self._stream = None

    def __enter__(self) -> "Beamformer":
        self._present()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        delay_ms = 1000 * self.latency_samples / self.sample_rate
        state = ", closed" if self._stream is None else ""
        return (
            f"<Beamformer: {self.sample_rate} Hz, {self.channels} channels to 1, delay {delay_ms:.1f} ms, "
            f"engine {self._engine}{state}>"
        )


def check_microphones(channels: int) -> None:
    """Raise AudioError for a number of channels that is no array."""
    if channels < MICROPHONES_MIN:
        raise AudioError("beamforming takes 2 to 16 channels, one a microphone, and here is 1: enhance it without")
    if channels > MICROPHONES_MAX:
        raise AudioError(
            f"beamforming takes 2 to 16 channels, one a microphone, and here are {channels}: leave some out"
        )


def check_beamforming(quality: str | None) -> None:
    """Raise PercepNetError for a quality that does not go with it."""
    if quality == BEST:
        raise PercepNetError(f"quality {BEST!r} is for single recordings: beamforming goes with fast and good")


def beamform(
    x: AnySamples,
    sample_rate: SupportsIndex,
    *,
    model: ModelLike = None,
    comb_filter: bool = True,
    post_filter: bool = False,
    attenuation_limit_db: float | None = None,
    enhance: bool = True,
    engine: str | None = None,
    quality: str | None = None,
) -> AnySamples:
    """One talker from a recording of several microphones, without the noise.

    The same to the bit as a stream through `Beamformer` without its first `latency_samples` samples.

    Parameters
    ----------
    x : np.ndarray [shape=(channels, samples)]
        Floats in [-1, 1], or int16; 2 to 16 microphones of one clock.
    sample_rate : int
        8000 to 192000 Hz.
    model, comb_filter, post_filter, attenuation_limit_db, enhance, engine, quality
        As of `Beamformer`.

    Returns
    -------
    np.ndarray [shape=(samples,)]
        One channel, with the rate and the dtype of `x`, not delayed.

    Raises
    ------
    AudioError
        For NaN or infinity (with the position in seconds), a dtype or shape that is not audio, a rate or a number of
        channels out of range.
    ModelError
        For a model that cannot be loaded.
    PercepNetError
        For another setting that cannot be.

    Examples
    --------
    >>> import numpy as np
    >>> import percepnet
    >>> microphones = np.random.default_rng(0).uniform(-0.1, 0.1, (2, 16000))
    >>> percepnet.beamform(microphones, 16000).shape
    (16000,)
    """
    x = as_array(x)
    samples = to_samples(x)
    with Beamformer(
        sample_rate,
        samples.shape[0],
        model=model,
        comb_filter=comb_filter,
        post_filter=post_filter,
        attenuation_limit_db=attenuation_limit_db,
        invalid=SILENCE,  # all of it is checked here, before anything is calculated
        enhance=enhance,
        engine=engine,
        quality=quality,
    ) as beamformer:
        y = np.empty((1, samples.shape[1]), x.dtype)
        enhance_whole(beamformer, samples, y, beamformer.sample_rate)
        return y[0]
