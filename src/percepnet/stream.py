"""Whole signals and live streams, of any rate, any number of channels and cut into chunks of any length.

Inside, one hop of 10 ms at 48 kHz is made at a time, whatever the chunks are: that is why the result does not depend on
them by a single bit. The stream's own rate is divided in the same way, hop j being its samples from ceil(j * rate /
100) on, and a hop gives back as many samples as it has taken.
"""

import math
import operator
import os
from collections.abc import Iterable, Iterator
from typing import SupportsIndex

import numpy as np

from percepnet.arrays import CHANNELS_MAX, AnySamples, Samples, check_finite, from_float32, to_float32
from percepnet.engine import frame_enhancer
from percepnet.errors import AudioError, PercepNetError
from percepnet.model import Model, load_model
from percepnet.params import FRAMES_PER_SECOND, HOP_SAMPLES, SAMPLE_RATE_HZ
from percepnet.reference.resample import Resampler, half_width_samples

SAMPLE_RATE_MIN_HZ = 8_000
SAMPLE_RATE_MAX_HZ = 192_000
LIVE_ADVICE = "replace it before process(), for example with numpy.nan_to_num(chunk, posinf=0, neginf=0)"
WHOLE_ADVICE = "cut or repair the recording there"

ModelLike = Model | str | os.PathLike[str] | None


class Enhancer:
    """Enhances a stream, chunk by chunk, with a constant delay.

    What all calls of `process` and the `flush` at the end return, joined, is `latency_samples` longer than what went
    in, and its sample `n + latency_samples` belongs to sample `n` of the input. It is the same to the bit however the
    input was cut. A call returns what is ready: samples come out in steps of 10 ms, and after every 10 ms of input
    exactly as many have come out as have gone in.

    Parameters
    ----------
    sample_rate : int
        Rate of the stream, 8000 to 192000 Hz. Rates other than 48 kHz are converted to it and back, aligned to the
        sample; of rates above it, the band above 24 kHz is dropped.
    channels : int
        Number of channels.
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

    Raises
    ------
    AudioError
        For a rate or a number of channels out of range.
    ModelError
        For a model that cannot be loaded.
    PercepNetError
        For a negative attenuation limit.

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
    """

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
    ) -> None:
        self._rate_hz = _in_range(sample_rate, "sample rate in Hz", SAMPLE_RATE_MIN_HZ, SAMPLE_RATE_MAX_HZ)
        self._channels = _in_range(channels, "number of channels", 1, CHANNELS_MAX)
        if attenuation_limit_db is not None and not attenuation_limit_db >= 0:
            raise PercepNetError(f"attenuation limit is {attenuation_limit_db} dB: it must be 0 or more, or None")
        model = model if isinstance(model, Model) else load_model(model)
        groups = 1 if link_channels else self._channels
        self._frame_enhancers = [
            frame_enhancer(
                model,
                self._channels // groups,
                comb_filter=comb_filter,
                post_filter=post_filter,
                attenuation_limit_db=attenuation_limit_db,
            )
            for _ in range(groups)
        ]
        # The filters to and from 48 kHz delay by half their length each, on top of the signal path's own delay.
        delay_48k_samples = model.params.latency_samples + 2 * half_width_samples(self._rate_hz)
        self._latency_samples = math.ceil(delay_48k_samples * self._rate_hz / SAMPLE_RATE_HZ)
        self._nothing = np.zeros((self._channels, 0), dtype=np.float32)
        # Rounding up to whole samples is a delay too: the way back starts that much earlier than its first hop.
        self._return_start = delay_48k_samples * self._rate_hz - self._latency_samples * SAMPLE_RATE_HZ
        self._start_stream()

    def _start_stream(self) -> None:
        self._hops = 0
        self._received = 0
        self._pending = self._nothing
        self._form: AnySamples = np.zeros(0 if self._channels == 1 else (self._channels, 0), dtype=np.float32)
        self._to_48k: Resampler | None = None
        self._from_48k: Resampler | None = None
        if self._rate_hz != SAMPLE_RATE_HZ:
            self._to_48k = Resampler(self._rate_hz, SAMPLE_RATE_HZ, self._channels)
            self._from_48k = Resampler(SAMPLE_RATE_HZ, self._rate_hz, self._channels, self._return_start)

    @property
    def latency_samples(self) -> int:
        """Delay of the output at the stream's rate; with two frames of look-ahead 30 ms at 48 kHz, 43 ms at 16 kHz."""
        return self._latency_samples

    def process(self, chunk: AnySamples) -> AnySamples:
        """Add a chunk of any length, and return the samples that are ready.

        Parameters
        ----------
        chunk : np.ndarray [shape=(samples,) or (channels, samples)]
            Floats in [-1, 1] or int16; `(samples,)` only for one channel. May be empty.

        Returns
        -------
        np.ndarray [shape=(ready,) or (channels, ready)]
            With the dtype and the axes of the chunk; int16 is clamped. Calculated in float32.

        Raises
        ------
        AudioError
            For another dtype or shape, and for NaN or infinity; the stream then goes on as if the call had not been.
        """
        chunk = np.asarray(chunk)
        x = to_float32(chunk)
        if x.shape[0] != self._channels:
            raise AudioError(
                f"a chunk of shape {chunk.shape} has {x.shape[0]} channels, and the enhancer has {self._channels}: "
                f"give ({self._channels}, samples)"
            )
        check_finite(x, start_samples=self._received, sample_rate_hz=self._rate_hz, advice=LIVE_ADVICE)
        self._received += x.shape[1]
        self._form = chunk[..., :0]
        return from_float32(self._run(x), self._form)

    def flush(self) -> AnySamples:
        """End the stream: return the samples that the delay still holds back, and be ready for another stream.

        Returns
        -------
        np.ndarray [shape=(rest,) or (channels, rest)]
            With the dtype and the axes of the last chunk.
        """
        total = self._received + self._latency_samples
        rest = total - self._hop_start(self._hops)
        hops = -(-total * FRAMES_PER_SECOND // self._rate_hz)
        silence = np.zeros((self._channels, self._hop_start(hops) - self._received), dtype=np.float32)
        y = self._run(silence)[:, :rest]
        form = self._form
        self.reset()
        return from_float32(y, form)

    def reset(self) -> None:
        """Forget the stream so far, and be ready for another."""
        for inside in self._frame_enhancers:
            inside.reset()
        self._start_stream()

    def _hop_start(self, hop: int) -> int:
        return -(-hop * self._rate_hz // FRAMES_PER_SECOND)

    def _run(self, x: Samples) -> Samples:
        if self._pending.shape[1]:
            x = np.concatenate((self._pending, x), axis=1)
        if self._to_48k is None:
            return self._run_48k(x)
        hops = []
        sizes = []
        taken = 0
        while (end := taken + self._hop_start(self._hops + 1) - self._hop_start(self._hops)) <= x.shape[1]:
            hop = x[:, taken:end]
            hops.append(self._to_48k.process(hop, HOP_SAMPLES))
            sizes.append(end - taken)
            self._hops += 1
            taken = end
        self._pending = x[:, taken:].copy()
        if not hops:
            return self._nothing
        y = self._enhance(np.concatenate(hops, axis=1))
        assert self._from_48k is not None
        parts = zip(np.split(y, len(sizes), axis=1), sizes, strict=True)
        return np.concatenate([self._from_48k.process(part, size) for part, size in parts], axis=1)

    def _run_48k(self, x: Samples) -> Samples:
        hops, rest = divmod(x.shape[1], HOP_SAMPLES)
        self._hops += hops
        whole = hops * HOP_SAMPLES
        self._pending = x[:, whole:].copy() if rest else self._nothing
        return self._enhance(x[:, :whole]) if hops else self._nothing

    def _enhance(self, hops: Samples) -> Samples:
        if len(self._frame_enhancers) == 1:
            return self._frame_enhancers[0].process(hops)
        channels = zip(self._frame_enhancers, hops[:, None], strict=True)
        return np.concatenate([enhancer.process(channel) for enhancer, channel in channels])


def _in_range(value: SupportsIndex, name: str, low: int, high: int) -> int:
    try:
        number = operator.index(value)
    except TypeError as error:
        raise AudioError(f"{name} is {value!r}: give a whole number") from error
    if not low <= number <= high:
        raise AudioError(f"{name} is {number}: it must be {low} to {high}")
    return number


def enhance_blocks(enhancer: Enhancer, blocks: Iterable[AnySamples]) -> Iterator[AnySamples]:
    """A whole signal, block by block and without the delay: what comes out lines up with what went in.

    Parameters
    ----------
    enhancer : Enhancer
        At the start of a stream; is there again at the end.
    blocks : iterable of np.ndarray [shape=(samples,) or (channels, samples)]
        The signal, cut anyhow.

    Yields
    ------
    np.ndarray
        Together as long as the input.
    """
    skip = enhancer.latency_samples
    for block in blocks:
        y = enhancer.process(block)
        skipped = min(skip, y.shape[-1])
        skip -= skipped
        if y.shape[-1] > skipped:
            yield y[..., skipped:]
    yield enhancer.flush()[..., skip:]


def enhance(
    x: AnySamples,
    sample_rate: SupportsIndex,
    *,
    model: ModelLike = None,
    comb_filter: bool = True,
    post_filter: bool = False,
    attenuation_limit_db: float | None = None,
    link_channels: bool = True,
) -> AnySamples:
    """Suppress the noise and the reverberation in a recording of speech.

    The same to the bit as a stream through `Enhancer` without its first `latency_samples` samples.

    Parameters
    ----------
    x : np.ndarray [shape=(samples,) or (channels, samples)]
        Floats in [-1, 1], or int16.
    sample_rate : int
        8000 to 192000 Hz.
    model, comb_filter, post_filter, attenuation_limit_db, link_channels
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

    Examples
    --------
    >>> import numpy as np
    >>> import percepnet
    >>> noisy = np.random.default_rng(0).uniform(-0.1, 0.1, 16000)
    >>> percepnet.enhance(noisy, 16000).shape
    (16000,)
    """
    x = np.asarray(x)
    samples = to_float32(x)
    enhancer = Enhancer(
        sample_rate,
        samples.shape[0],
        model=model,
        comb_filter=comb_filter,
        post_filter=post_filter,
        attenuation_limit_db=attenuation_limit_db,
        link_channels=link_channels,
    )
    rate_hz = operator.index(sample_rate)
    check_finite(samples, start_samples=0, sample_rate_hz=rate_hz, advice=WHOLE_ADVICE)
    blocks = (x[..., start : start + rate_hz] for start in range(0, x.shape[-1], rate_hz))
    y = np.empty_like(x)
    done = 0
    for block in enhance_blocks(enhancer, blocks):
        y[..., done : done + block.shape[-1]] = block
        done += block.shape[-1]
    return y
