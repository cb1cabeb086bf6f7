"""A stream of any rate from several microphones to one channel: beamformer first, then the model, hop by hop.

As in `percepnet.reference.stream`, one hop of 10 ms is made at a time, whatever the chunks are: the result does not
depend on them by a single bit.
"""

import math

import numpy as np
import numpy.typing as npt

from percepnet.arrays import AnySamples, Samples, crossfade, from_float32, to_float32
from percepnet.blas import one_thread
from percepnet.engine import Stream, decider, open_stream
from percepnet.errors import PercepNetError
from percepnet.model import Model
from percepnet.params import FRAMES_PER_SECOND, HOP_SAMPLES, SAMPLE_RATE_HZ
from percepnet.reference.beamformer import Beamformer
from percepnet.reference.resample import Resampler, half_width_samples
from percepnet.reference.stream import VALID_MAX


class ArrayStream:
    """A stream, as of `percepnet.engine.Stream`, that takes several channels and gives one.

    Parameters
    ----------
    model : Model
        Its gains steer the beamformer.
    sample_rate_hz, channels : int
    enhancer : Stream or None
        At 48 kHz, of one channel: what the beamformer's output goes through; None gives it as it is.
    wanted : str, optional
        Engine of the gains, as of `percepnet.engine.engine`.
    """

    def __init__(
        self, model: Model, sample_rate_hz: int, channels: int, enhancer: Stream | None, *, wanted: str | None = None
    ) -> None:
        self.beamformer = Beamformer(channels, model.params)
        self.bypass = False
        self._channels = channels
        self._rate_hz = sample_rate_hz
        self._enhancer = enhancer
        self._deciders = [decider(model, wanted) for _ in self.beamformer.listeners]
        self._rest_is_constant = model.params.highpass_hz > 0
        late_48k = self.beamformer.latency_samples + 2 * half_width_samples(sample_rate_hz)
        late_48k += enhancer.latency_samples if enhancer else 0
        self._late_samples = math.ceil(late_48k * sample_rate_hz / SAMPLE_RATE_HZ)
        # rounding up to whole samples is a delay too: the way back starts that much earlier than its first hop
        self._return_start = late_48k * sample_rate_hz - self._late_samples * SAMPLE_RATE_HZ
        self.reset()

    @property
    def latency_samples(self) -> int:
        """Delay of the output: a frame of the beamformer's, and the model's own."""
        return self._late_samples

    @property
    def speech_probability(self) -> float | None:
        """Of the last frame, of the beamformer's output."""
        return self._enhancer.speech_probability if self._enhancer else None

    @property
    def attenuation_limit_db(self) -> float | None:
        """As of the enhancer: relative to the beamformer's output."""
        return self._enhancer.attenuation_limit_db if self._enhancer else None

    @attenuation_limit_db.setter
    def attenuation_limit_db(self, limit_db: float | None) -> None:
        if self._enhancer is None:
            raise PercepNetError("the beamformer was made with enhance=False: there is nothing to limit")
        self._enhancer.attenuation_limit_db = limit_db

    def reset(self) -> None:
        """Begin a new stream."""
        self.beamformer.reset()
        for one in self._deciders:
            one.reset()
        if self._enhancer:
            self._enhancer.reset()
        self._to_48k = self._from_48k = None
        if self._rate_hz != SAMPLE_RATE_HZ:
            self._to_48k = Resampler(self._rate_hz, SAMPLE_RATE_HZ, self._channels)
            self._from_48k = Resampler(SAMPLE_RATE_HZ, self._rate_hz, 1, self._return_start)
        self.refused_hops = 0
        self._hops = self._received = self._returned = 0
        self._was_bypassed = self.bypass
        self._pending = np.zeros((self._channels, 0), np.float32)
        self._past = np.zeros((1, self._late_samples), np.float32)
        self._last = np.zeros((self._channels, 1), np.float32)
        self.left_out: dict[int, str] = {}

    def close(self) -> None:
        """Give the memory back."""
        if self._enhancer:
            self._enhancer.close()
        self._deciders = []

    def process(self, x: AnySamples, far: AnySamples | None = None) -> AnySamples:
        """Take samples [shape=(channels, n)] of float32 or int16 in, and give those [shape=(1, ready)] that are ready.

        A hop of a microphone with NaN, infinity or a sample beyond 10,000 is silence, and counted.
        """
        del far  # arrays have none
        self._received += x.shape[1]
        with one_thread:
            y = self._run(to_float32(x))
        self._returned += y.shape[1]
        return from_float32(y, x)

    def flush(self, dtype: npt.DTypeLike = np.float32) -> AnySamples:
        """End the stream: the samples that the delay holds back."""
        end = self._received + self._late_samples
        hops = -(-end * FRAMES_PER_SECOND // self._rate_hz)
        pending = np.where(np.abs(self._pending) <= VALID_MAX, self._pending, np.float32(0))
        last = np.concatenate((self._last, pending), axis=1)[:, -1:] if self._rest_is_constant else self._last * 0
        with one_thread:
            y = self._run(np.repeat(last, self._hop_start(hops) - self._received, axis=1))
        y = y[:, : end - self._returned]
        left_out = self.left_out
        self.reset()
        self.left_out = left_out  # of the stream that has just ended
        return from_float32(y, np.empty((1, 0), dtype))

    def _hop_start(self, hop: int) -> int:
        return -(-hop * self._rate_hz // FRAMES_PER_SECOND)

    def _run(self, x: Samples) -> Samples:
        x = np.concatenate((self._pending, x), axis=1)
        parts = [x[:1, :0]]
        taken = 0
        while (end := taken + self._hop_start(self._hops + 1) - self._hop_start(self._hops)) <= x.shape[1]:
            parts.append(self._hop(x[:, taken:end]))
            self._hops += 1
            taken = end
        self._pending = x[:, taken:].copy()
        return np.concatenate(parts, axis=1)

    def _hop(self, hop: Samples) -> Samples:
        valid = np.all(np.abs(hop) <= VALID_MAX, axis=1, keepdims=True)  # NaN is not
        self.refused_hops += int(np.sum(~valid))
        heard = np.where(valid, hop, np.float32(0))
        self._last = heard[:, -1:]
        at_48k = self._to_48k.process(heard, HOP_SAMPLES) if self._to_48k else heard
        for one, channel in zip(self._deciders, self.beamformer.listeners, strict=True):
            one.process(at_48k[channel : channel + 1])
        y = self.beamformer.process(at_48k, np.stack([one.gains for one in self._deciders]))
        self.left_out |= self.beamformer.left_out
        if self._enhancer:
            y = self._enhancer.process(y)
        if self._from_48k:
            y = self._from_48k.process(y, hop.shape[1])
        return self._or_bypassed(y, heard)

    def _or_bypassed(self, y: Samples, heard: Samples) -> Samples:
        """The result, or the first microphone as it came in; in the hop after a change, from the one to the other."""
        line = np.concatenate((self._past, heard[:1]), axis=1)
        self._past = line[:, heard.shape[1] :]
        dry = line[:, : heard.shape[1]]
        if not self._hops:
            self._was_bypassed = self.bypass  # before the first hop, there is nothing to fade from
        before, after = (y, dry) if self.bypass else (dry, y)
        if self.bypass == self._was_bypassed:
            return after
        self._was_bypassed = self.bypass
        return crossfade(before, after, heard.shape[1])


def array_stream(
    model: Model,
    sample_rate_hz: int,
    channels: int,
    *,
    enhance: bool = True,
    comb_filter: bool = True,
    post_filter: bool = False,
    attenuation_limit_db: float | None = None,
    wanted: str | None = None,
) -> ArrayStream:
    """A stream from an array; arguments as of `percepnet.Beamformer`."""
    enhancer = None
    if enhance:
        enhancer = open_stream(
            model,
            comb_filter=comb_filter,
            post_filter=post_filter,
            attenuation_limit_db=attenuation_limit_db,
            wanted=wanted,
        )
    return ArrayStream(model, sample_rate_hz, channels, enhancer, wanted=wanted)
