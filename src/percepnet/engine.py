"""Which code runs the signal path: the C core where it is installed, or its definition in NumPy."""

import os
import threading
import warnings
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from percepnet import native, native_analysis, native_echo, native_gains, native_short
from percepnet.arrays import AnySamples
from percepnet.blas import one_thread
from percepnet.errors import PercepNetError
from percepnet.model import Model
from percepnet.params import SAMPLE_RATE_HZ, SignalParams
from percepnet.reference import analysis as reference_analysis
from percepnet.reference import echo as reference_echo
from percepnet.reference import stream as reference
from percepnet.reference.analysis import FrontHalf
from percepnet.reference.echo_shape import Rest
from percepnet.reference.enhancer import FrameEnhancer

VARIABLE = "PERCEPNET_ENGINE"
CORE, NUMPY = "core", "numpy"

_warned = threading.Event()  # once in a process is enough


class Stream(Protocol):
    """What both engines are to a stream: see :class:`percepnet.reference.stream.Stream`."""

    attenuation_limit_db: float | None
    bypass: bool

    @property
    def latency_samples(self) -> int:
        """Delay of the output, at the stream's rate."""

    @property
    def refused_hops(self) -> int:
        """Hops that were taken as silence since the stream began."""

    @property
    def speech_probability(self) -> float | None:
        """Of the last frame."""

    def process(self, x: AnySamples, far: AnySamples | None = None) -> AnySamples:
        """Take `(channels, n)` of float32 or int16 in, and `(1, n)` of a far end, and give back what is ready."""

    def flush(self, dtype: npt.DTypeLike = np.float32) -> AnySamples:
        """End the stream: the samples that the delay holds back."""

    def reset(self) -> None:
        """Begin a new stream."""

    def close(self) -> None:
        """Give the memory back."""


class ThreadedStream(Stream, Protocol):
    """A stream of which nothing that is decided decides what is heard."""

    def use_second_thread(self) -> None:
        """Long chunks may take a second thread, before the first such chunk: the same to the bit, sooner."""


class Decides(Protocol):
    """What both engines are to whom needs the network's gains: a stream of one channel in hops of 48 kHz."""

    @property
    def gains(self) -> np.ndarray:
        """Of the last hop's decision [shape=(bands,)]; its frame is M before the newest."""

    def process(self, hops: np.ndarray) -> np.ndarray:
        """Take `(1, 480)` in, and give as many back, enhanced."""

    def reset(self) -> None:
        """Begin a new stream."""


class Canceller(Protocol):
    """What both engines are to two signals: see :class:`percepnet.reference.echo.EchoCanceller`."""

    def process(self, near: np.ndarray, far: np.ndarray) -> np.ndarray:
        """Take the echo of `(n,)` out of `(channels, n)`, n a multiple of 480."""


def engine(wanted: str | None = None) -> str:
    """The engine that the next stream will run on.

    Parameters
    ----------
    wanted : str, optional
        "core" or "numpy"; None is the environment variable PERCEPNET_ENGINE, or else the best at hand.

    Returns
    -------
    str
        "core" or "numpy".

    Raises
    ------
    PercepNetError
        For another name, or for a core that is asked for and not there.
    """
    choice: object = os.environ.get(VARIABLE, "") if wanted is None else wanted
    name = VARIABLE if wanted is None else "engine"
    if choice not in (CORE, NUMPY) and (wanted is not None or choice):
        nothing = "leave it out" if wanted is None else "None"
        raise PercepNetError(f"{name} is {choice!r}: set it to {CORE} or {NUMPY}, or {nothing}")
    if choice == NUMPY:
        return NUMPY
    try:
        native.library()
    except native.CoreMissing as missing:
        if choice == CORE:
            raise PercepNetError(f"{name} is {CORE}, but {missing}") from missing
        if not _warned.is_set():
            _warned.set()
            advice = f"set {VARIABLE}={NUMPY} if that is what you want"
            warnings.warn(f"percepnet runs on NumPy, many times slower: {missing}; {advice}", RuntimeWarning, 3)
        return NUMPY
    return CORE


class NumpyStream(reference.Stream):
    """The definition as an engine."""

    def process(self, x: AnySamples, far: AnySamples | None = None) -> AnySamples:
        """As of :class:`percepnet.reference.stream.Stream`."""
        with one_thread:
            return super().process(x, far)

    def flush(self, dtype: npt.DTypeLike = np.float32) -> AnySamples:
        """As of :class:`percepnet.reference.stream.Stream`."""
        with one_thread:
            return super().flush(dtype)

    def use_second_thread(self) -> None:
        """Nothing: the definition takes its time."""

    def close(self) -> None:
        """Its memory goes with the object."""


def open_stream(
    model: Model,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    channels: int = 1,
    *,
    link_channels: bool = True,
    comb_filter: bool = True,
    post_filter: bool = False,
    one_window: bool = False,
    attenuation_limit_db: float | None = None,
    block_samples: int = 0,
    far_end: bool = False,
    residual: Model | None = None,
    wanted: str | None = None,
) -> ThreadedStream:
    """A stream on the engine of this moment.

    Parameters
    ----------
    model, sample_rate_hz, channels, link_channels, comb_filter, post_filter, one_window, attenuation_limit_db,
    block_samples, far_end, residual
        As of :class:`percepnet.reference.stream.Stream`.
    wanted : str, optional
        As of `engine`.

    Returns
    -------
    ThreadedStream
    """
    made_by: type[native.Stream] | type[NumpyStream] = native.Stream if engine(wanted) == CORE else NumpyStream
    return made_by(
        model,
        sample_rate_hz,
        channels,
        link_channels=link_channels,
        comb_filter=comb_filter,
        post_filter=post_filter,
        one_window=one_window,
        attenuation_limit_db=attenuation_limit_db,
        block_samples=block_samples,
        far_end=far_end,
        residual=residual,
    )


def short_chunks(stream: Stream, channels: int, *, refuses: bool = True) -> native_short.ShortChunks | None:
    """The quick way into a stream, where it has one.

    Parameters
    ----------
    stream : Stream
    channels : int
    refuses : bool
        Whether floats that are no sound are refused; otherwise they are silence.

    Returns
    -------
    ShortChunks or None
        For streams of one channel in the core.
    """
    if channels == 1 and isinstance(stream, native.Stream):
        return native_short.ShortChunks(stream, refuses)
    return None


class NumpyDecider(FrameEnhancer):
    """The definition as an engine."""

    def process(self, hops: np.ndarray, residual: Sequence[Rest | None] | None = None) -> np.ndarray:
        """As of :class:`percepnet.reference.enhancer.FrameEnhancer`."""
        with one_thread:
            return super().process(hops, residual)


def decider(model: Model, wanted: str | None = None) -> Decides:
    """What decides the gains of one channel, on the engine of this moment.

    Parameters
    ----------
    model : Model
    wanted : str, optional
        As of `engine`.

    Returns
    -------
    Decides
    """
    return native_gains.GainDecider(model) if engine(wanted) == CORE else NumpyDecider(model)


def canceller(channels: int = 1) -> Canceller:
    """Linear echo cancellation by itself, on the engine of this moment.

    Parameters
    ----------
    channels : int
        Microphones.

    Returns
    -------
    Canceller
    """
    return native_echo.EchoCanceller(channels) if engine() == CORE else reference_echo.EchoCanceller(channels)


def analysis(params: SignalParams) -> FrontHalf:
    """The signal path up to the network, of one channel, on the engine of this moment; nothing is to be given out.

    Parameters
    ----------
    params : SignalParams

    Returns
    -------
    FrontHalf
    """
    made_by = native_analysis.Analysis if engine() == CORE else reference_analysis.Analysis
    return made_by(params, gives_out=False)
