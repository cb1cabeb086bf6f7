"""The one contract of live streams, an `Enhancer` or one of a `Batch`: what callers give is checked here."""

import math
import numbers
import operator
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, SupportsIndex, TypeVar

import numpy as np

from percepnet.alone import alone
from percepnet.arrays import CHANNELS_MAX, AnySamples, as_array, check_finite, from_samples, to_samples
from percepnet.engine import Stream
from percepnet.errors import AudioError, PercepNetError
from percepnet.model import Model

SAMPLE_RATE_MIN_HZ = 8_000
SAMPLE_RATE_MAX_HZ = 192_000
BLOCK_SAMPLES_MAX = 2**20
RAISE, SILENCE = "raise", "silence"
NEAR, FAR = "near", "far"  # the microphone, and what a loudspeaker plays beside it
LIVE_ADVICE = "replace it before process(), for example with numpy.nan_to_num(chunk, posinf=0, neginf=0)"
WHOLE_ADVICE = "cut or repair the recording there"

Inputs = Mapping[str, AnySamples] | AnySamples | None

AnyStream = TypeVar("AnyStream", bound=Stream)


@dataclass(frozen=True)
class Settings:
    """What a stream is made with, checked.

    Parameters
    ----------
    sample_rate, channels, link_channels, comb_filter, post_filter, attenuation_limit_db, invalid, block_samples,
    far_end
        As of `percepnet.Enhancer`.

    Raises
    ------
    AudioError
        For a rate or a number of channels that is no whole number or out of range.
    PercepNetError
        For another setting of a wrong type or out of range.
    """

    sample_rate: int
    channels: int
    link_channels: bool
    comb_filter: bool
    post_filter: bool
    attenuation_limit_db: float | None
    invalid: str
    block_samples: int = 0
    far_end: bool = False

    @classmethod
    def checked(
        cls,
        sample_rate: SupportsIndex,
        channels: SupportsIndex,
        *,
        link_channels: bool,
        comb_filter: bool,
        post_filter: bool,
        attenuation_limit_db: float | None,
        invalid: str,
        block_samples: SupportsIndex = 0,
        far_end: bool = False,
    ) -> "Settings":
        """From what a caller gave."""
        if invalid not in (RAISE, SILENCE):
            raise PercepNetError(f"invalid is {invalid!r}: give {RAISE!r} or {SILENCE!r}")
        return cls(
            sample_rate=_in_range(sample_rate, "sample rate in Hz", SAMPLE_RATE_MIN_HZ, SAMPLE_RATE_MAX_HZ),
            channels=_in_range(channels, "number of channels", 1, CHANNELS_MAX),
            link_channels=checked_flag(link_channels, "link_channels"),
            comb_filter=checked_flag(comb_filter, "comb_filter"),
            post_filter=checked_flag(post_filter, "post_filter"),
            attenuation_limit_db=checked_limit(attenuation_limit_db),
            invalid=invalid,
            block_samples=_in_range(block_samples, "block_samples", 0, BLOCK_SAMPLES_MAX),
            far_end=checked_flag(far_end, "far_end"),
        )


class LiveStream(Generic[AnyStream]):
    """What `Enhancer` and the streams of a `Batch` have in common. Neither is made by it alone: both enhance otherwise.

    Parameters
    ----------
    stream : Stream
    model : Model
    settings : Settings
        What the stream was made with.
    lock : threading.Lock
        Of everything that only one thread may use at a time with this stream.
    owner : str
        What that is, for messages.
    """

    _name = "stream"
    _ended = "this stream is closed: make another one"
    _far_end_advice = "make it with far_end=True"

    def __init__(self, stream: AnyStream, model: Model, settings: Settings, lock: threading.Lock, owner: str) -> None:
        self._stream: AnyStream | None = stream
        self._model = model
        self._settings = settings
        self._latency_samples = stream.latency_samples
        self._attenuation_limit_db = settings.attenuation_limit_db
        self._bypass = False
        self._alone = alone(lock, owner)
        self._changed = False  # whether the stream does not yet know of a setting
        self._begin()

    def _begin(self) -> None:
        self._received = 0
        # dtype and number of axes of the last chunk
        self._form: tuple[np.dtype[Any], int] = (np.dtype(np.float32), 1 if self._settings.channels == 1 else 2)

    @property
    def sample_rate(self) -> int:
        """Rate of the stream in Hz."""
        return self._settings.sample_rate

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self._settings.channels

    @property
    def model(self) -> Model:
        """The network that decides."""
        return self._model

    @property
    def latency_samples(self) -> int:
        """Delay of the output at the stream's rate; with two frames of look-ahead 30 ms at 48 kHz, 43 ms at 16 kHz."""
        return self._latency_samples

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the signals that it listens to, the one that is enhanced first."""
        return (NEAR, FAR) if self._settings.far_end else (NEAR,)

    @property
    def attenuation_limit_db(self) -> float | None:
        """The most by which anything is attenuated, in dB, or None.

        It can be set while the stream runs, from any thread: the next call of `process` goes over to it without a
        click.
        """
        return self._attenuation_limit_db

    @attenuation_limit_db.setter
    def attenuation_limit_db(self, limit_db: float | None) -> None:
        self._present()
        limit_db = checked_limit(limit_db)
        self._allow_limit(limit_db)
        self._attenuation_limit_db = limit_db
        self._changed = True

    def _allow_limit(self, limit_db: float | None) -> None:
        """Raise PercepNetError for a limit that this kind of stream has no use for."""

    @property
    def bypass(self) -> bool:
        """Whether the output is the input, to the bit of float32 or int16, and as late as ever.

        It can be set while the stream runs, from any thread: the next call of `process` goes over to it in 10 ms.
        """
        return self._bypass

    @bypass.setter
    def bypass(self, bypass: bool) -> None:
        self._present()
        self._bypass = checked_flag(bypass, "bypass")
        self._changed = True

    @property
    def refused_hops(self) -> int:
        """Hops of 10 ms that were taken as silence, for ``invalid="silence"``, since the stream began.

        Of channels that are not linked, each its own.
        """
        with self._in_use() as stream:
            return stream.refused_hops

    @property
    def speech_probability(self) -> float | None:
        """Probability that the last frame was speech, 0 to 1; None before the first, or if the model does not say."""
        with self._in_use() as stream:
            return stream.speech_probability

    def flush(self) -> AnySamples:
        """End the stream: return the samples that the delay still holds back, and be ready for another stream.

        Returns
        -------
        np.ndarray [shape=(rest,) or (channels, rest)]
            With the dtype and the axes of the last chunk.
        """
        with self._in_use() as stream:
            dtype, axes = self._form
            y = stream.flush(np.int16 if dtype.kind == "i" else np.float32)
            self._begin()
            return from_samples(y, np.empty((0,) * axes, dtype))

    def reset(self) -> None:
        """Forget the stream so far, and be ready for another. Limit and bypass stay as they are."""
        with self._in_use() as stream:
            stream.reset()
            self._begin()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Streams have a state that cannot leave the process, and which two of them cannot share."""
        raise PercepNetError(
            f"{self._name}s cannot be copied or pickled: make another {self._name} where you need it, "
            "with the same arguments"
        )

    def _present(self) -> AnyStream:
        if self._stream is None:
            raise PercepNetError(self._ended)
        return self._stream

    @contextmanager
    def _in_use(self) -> Iterator[AnyStream]:
        """The stream for one call, with the settings of this moment."""
        with self._alone:
            yield self._up_to_date()

    def _up_to_date(self) -> AnyStream:
        stream = self._present()
        # set here rather than at once, as another thread may be in a call
        self._changed = False
        if stream.attenuation_limit_db != self._attenuation_limit_db:
            stream.attenuation_limit_db = self._attenuation_limit_db
        if stream.bypass != self._bypass:
            stream.bypass = self._bypass
        return stream

    def _checked(self, chunk: AnySamples, inputs: Inputs = None) -> tuple[AnySamples, AnySamples | None, AnySamples]:
        """The chunk and the far end as samples for an engine, and the array that the chunk was."""
        array = as_array(chunk)
        x = to_samples(array)
        if x.shape[0] != self.channels:
            raise AudioError(
                f"a chunk of shape {array.shape} has {x.shape[0]} channels, and the {self._name} has {self.channels}: "
                f"give ({self.channels}, samples)"
            )
        if (block := self._settings.block_samples) and x.shape[1] % block:
            raise AudioError(f"a chunk of {x.shape[1]} samples: give a multiple of {block}")
        far = self._far_of(inputs, x)
        if self._settings.invalid == RAISE:
            self._check_finite(x)
            if far is not None:
                self._check_finite(far)
        return x, far, array

    def _check_finite(self, x: AnySamples) -> None:
        if x.dtype != np.int16:
            check_finite(x, start_samples=self._received, sample_rate_hz=self.sample_rate, advice=LIVE_ADVICE)

    def _far_of(self, inputs: Inputs, x: AnySamples) -> AnySamples | None:
        """The far end among the inputs."""
        if inputs is None:
            return None
        if isinstance(inputs, Mapping):
            self._check_names(inputs)
            if FAR not in inputs:
                return None
            inputs = inputs[FAR]
        elif not isinstance(inputs, (np.ndarray, list, tuple)):
            raise PercepNetError(
                f"inputs are a {type(inputs).__name__}: give an array of the far end, or a dictionary of names and "
                "arrays"
            )
        if not self._settings.far_end:
            raise PercepNetError(f"the {self._name} has no far end: {self._far_end_advice}")
        far = to_samples(as_array(inputs))
        if far.shape != (1, x.shape[1]):
            raise AudioError(
                f"a far end of shape {np.shape(inputs)} for a chunk of {x.shape[1]} samples: give ({x.shape[1]},); "
                "of several channels, what their loudspeakers play together"
            )
        if far.dtype != x.dtype:
            raise AudioError(
                f"a far end of {far.dtype} for a chunk of {x.dtype}: give both as int16, or both as floats"
            )
        return far

    def _check_names(self, inputs: Mapping[str, AnySamples]) -> None:
        for name in inputs:
            if name == NEAR:
                raise PercepNetError(f"the input {NEAR!r} is the chunk itself: give it only once")
            if name not in (*self.inputs, FAR):
                raise PercepNetError(f"the model has no input {name!r}: its inputs are {', '.join(self.inputs)}")

    def _done(self, x: AnySamples, array: AnySamples, y: AnySamples) -> AnySamples:
        """What comes back, once a chunk has gone in."""
        self._received += x.shape[1]
        self._form = (array.dtype, array.ndim)
        return from_samples(y, array)


def _in_range(value: SupportsIndex, name: str, low: int, high: int) -> int:
    try:
        number = operator.index(value)
    except TypeError as error:
        raise AudioError(f"{name} is {value!r}: give a whole number") from error
    if not low <= number <= high:
        raise AudioError(f"{name} is {number}: it must be {low} to {high}")
    return number


def checked_flag(value: object, name: str) -> bool:
    """A setting that is on or off; PercepNetError for anything else."""
    if not isinstance(value, (bool, np.bool_)):
        raise PercepNetError(f"{name} is {value!r}: give True or False")
    return bool(value)


def checked_limit(value: object) -> float | None:
    """The most by which anything is attenuated, in dB, or None for no limit; PercepNetError for what is neither."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise PercepNetError(f"attenuation limit is {value!r}: give a number of dB, 0 or more, or None")
    limit_db = float(value)
    if not limit_db >= 0:
        raise PercepNetError(f"attenuation limit is {value} dB: it must be 0 or more, or None")
    return None if math.isinf(limit_db) else limit_db
