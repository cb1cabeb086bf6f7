"""A stream: any rate, any number of channels and chunks of any length, over systems that enhance hops of 48 kHz.

Inside, one hop of 10 ms is made at a time, whatever the chunks are: that is why the result does not depend on them by a
single bit. The stream's own rate is divided in the same way, hop j being its samples from ceil(j * rate / 100) on, and
a hop gives back as many samples as it has taken.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from percepnet.arrays import AnySamples, Samples, crossfade, from_float32, to_float32
from percepnet.errors import AudioError
from percepnet.params import FRAMES_PER_SECOND, HOP_SAMPLES, SAMPLE_RATE_HZ
from percepnet.reference.echo import EchoCanceller
from percepnet.reference.echo_residual import ResidualSuppressor
from percepnet.reference.echo_shape import Rest
from percepnet.reference.enhancer import FrameEnhancer
from percepnet.reference.network import NetworkModel
from percepnet.reference.resample import Resampler, half_width_samples

VALID_MAX = 1e4  # 80 dB above full scale: no sound, and products of what is larger could overflow


class Enhances(Protocol):
    """What a stream is made of: see :class:`percepnet.reference.enhancer.FrameEnhancer`."""

    attenuation_limit_db: float | None
    speech_probability: float | None

    def process(self, hops: Samples, residual: Sequence[Rest | None] | None = None) -> Samples:
        """Enhance the next 480 * n samples of each channel; `residual` is what is left of an echo in each hop."""

    def end(self) -> None:
        """What comes from now on, until `reset`, is nothing but what follows a recording."""

    def reset(self) -> None:
        """Begin a new stream."""


class MakesEnhancers(Protocol):
    """How one is made."""

    def __call__(
        self,
        model: NetworkModel,
        channels: int = 1,
        *,
        comb_filter: bool = True,
        post_filter: bool = False,
        one_window: bool = False,
        attenuation_limit_db: float | None = None,
    ) -> Enhances: ...


class Stream:
    """Enhances a stream, chunk by chunk, with a constant delay.

    Parameters
    ----------
    model : NetworkModel
    sample_rate_hz : int
        Rates other than 48000 are converted to it and back.
    channels : int
    link_channels : bool
        True makes one decision for all channels; False enhances each by itself.
    comb_filter, post_filter, one_window, attenuation_limit_db
        As of :class:`percepnet.reference.enhancer.FrameEnhancer`.
    bypass : bool
        Begin with the input as it is, aligned in time.
    block_samples : int
        0: a call gives back what is ready, in steps of 10 ms. Otherwise calls take multiples of so many samples, and
        each gives back exactly as many as it takes, which costs up to 10 ms more of delay.
    far_end : bool
        There is a second input, what a loudspeaker plays near the microphones: its echo is taken out first.
    residual : NetworkModel, optional
        With a far end: suppresses what is left of its echo. It looks as far ahead as `model`.
    frame_enhancer : callable
        Makes what enhances the hops.
    """

    def __init__(
        self,
        model: NetworkModel,
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
        residual: NetworkModel | None = None,
        frame_enhancer: MakesEnhancers = FrameEnhancer,
    ) -> None:
        self.model = model
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        self.bypass = bypass  # from the next hop on
        self._canceller = EchoCanceller(channels) if far_end else None
        groups = 1 if link_channels else channels
        self._suppressors = (
            [ResidualSuppressor(residual, channels // groups) for _ in range(groups)] if residual else []
        )
        self._frame_enhancers = [
            frame_enhancer(
                model,
                channels // groups,
                comb_filter=comb_filter,
                post_filter=post_filter,
                one_window=one_window,
                attenuation_limit_db=attenuation_limit_db,
            )
            for _ in range(groups)
        ]
        # The filters to and from 48 kHz delay by half their length each, on top of the signal path's own delay.
        delay_48k_samples = model.params.latency_samples + 2 * half_width_samples(sample_rate_hz)
        self._delay_samples = math.ceil(delay_48k_samples * sample_rate_hz / SAMPLE_RATE_HZ)
        # Rounding up to whole samples is a delay too: the way back starts that much earlier than its first hop.
        self._return_start = delay_48k_samples * sample_rate_hz - self._delay_samples * SAMPLE_RATE_HZ
        self._block_samples = block_samples
        # The most that can lie in unfinished hops at the end of a call, over all ends that multiples of a block have.
        step = math.gcd(FRAMES_PER_SECOND * block_samples, sample_rate_hz)
        self._reserve_samples = (sample_rate_hz - step) // FRAMES_PER_SECOND
        self.reset()

    def reset(self) -> None:
        """Begin a new stream. Limit and bypass stay as they are."""
        for inside in self._frame_enhancers:
            inside.reset()
        if self._canceller:
            self._canceller.reset()
        for suppressor in self._suppressors:
            suppressor.reset()
        nothing = np.zeros((self.channels, 0), dtype=np.float32)
        self.refused_hops = 0
        self._hops = 0
        self._received = 0
        self._returned = 0
        self._pending = nothing
        self._pending_far = nothing[:1]
        self._ready = np.zeros((self.channels, self._reserve_samples), dtype=np.float32)
        self._past = np.zeros((self.channels, self._delay_samples), dtype=np.float32)
        self._was_bypassed = self.bypass
        self._to_48k: Resampler | None = None
        self._from_48k: Resampler | None = None
        self._far_to_48k: Resampler | None = None
        if self.sample_rate_hz != SAMPLE_RATE_HZ:
            self._to_48k = Resampler(self.sample_rate_hz, SAMPLE_RATE_HZ, self.channels)
            self._from_48k = Resampler(SAMPLE_RATE_HZ, self.sample_rate_hz, self.channels, self._return_start)
            if self._canceller:
                self._far_to_48k = Resampler(self.sample_rate_hz, SAMPLE_RATE_HZ, 1)

    @property
    def latency_samples(self) -> int:
        """Delay of the output, at the stream's rate."""
        return self._delay_samples + self._reserve_samples

    @property
    def attenuation_limit_db(self) -> float | None:
        """As of the frame enhancers; can be changed while the stream runs, from the next hop on."""
        return self._frame_enhancers[0].attenuation_limit_db

    @attenuation_limit_db.setter
    def attenuation_limit_db(self, limit_db: float | None) -> None:
        for inside in self._frame_enhancers:
            inside.attenuation_limit_db = limit_db

    @property
    def speech_probability(self) -> float | None:
        """Of the last frame, the largest of channels that are not linked; None where the model does not say."""
        found = [inside.speech_probability for inside in self._frame_enhancers]
        return max((probability for probability in found if probability is not None), default=None)

    def process(self, x: AnySamples, far: AnySamples | None = None) -> AnySamples:
        """Take the next samples in, and give back those that are ready.

        Parameters
        ----------
        x : np.ndarray [shape=(channels, n), dtype=float32 or int16]
            A hop with NaN, infinity or a sample beyond 10,000 is taken as silence and counted in `refused_hops`; of
            channels that are not linked, each its own.
        far : np.ndarray [shape=(1, n)], optional
            What is played meanwhile, of the dtype of `x`; None is silence. Hops are refused as of `x`.

        Returns
        -------
        np.ndarray [shape=(channels, ready)]
            Of the dtype of `x`; int16 is rounded to the nearest, halves to even, and clamped.

        Raises
        ------
        AudioError
            For a length that is no multiple of `block_samples`, and for a far end without `far_end`.
        """
        samples = x.shape[1]
        if far is not None and not self._canceller:
            raise AudioError("a far end for a stream that was made without: make it with far_end=True")
        if self._block_samples and samples % self._block_samples:
            raise AudioError(f"a chunk of {samples} samples: give a multiple of {self._block_samples}")
        self._received += samples
        played = np.zeros((1, samples), np.float32) if far is None else to_float32(far)
        y = np.concatenate((self._ready, self._run(to_float32(x), played)), axis=1)
        ready = samples if self._block_samples else y.shape[1]
        self._ready = y[:, ready:]
        self._returned += ready
        return from_float32(y[:, :ready], x)

    def flush(self, dtype: npt.DTypeLike = np.float32) -> AnySamples:
        """End the stream: the samples that the delay holds back. The stream is at its beginning again.

        Returns
        -------
        np.ndarray [shape=(channels, rest)]
            As many that `latency_samples` more have come out than went in.
        """
        end = self._received + self._delay_samples
        hops = -(-end * FRAMES_PER_SECOND // self.sample_rate_hz)
        rest = np.repeat(self._rest(), self._hop_start(hops) - self._received, axis=1)
        for inside in self._frame_enhancers:
            inside.end()
        y = np.concatenate((self._ready, self._run(rest, np.zeros_like(rest[:1]))), axis=1)
        y = y[:, : self._received + self.latency_samples - self._returned]
        self.reset()
        return from_float32(y, np.empty((self.channels, 0), dtype))

    def _rest(self) -> Samples:
        """What a stream goes on with behind its end: silence; or its last sample, where a high-pass takes it away."""
        if not self.model.params.highpass_hz or not self._received:
            return np.zeros((self.channels, 1), dtype=np.float32)
        valid = np.where(np.abs(self._pending) <= VALID_MAX, self._pending, np.float32(0))
        return np.concatenate((self._past, valid), axis=1)[:, -1:]

    def _hop_start(self, hop: int) -> int:
        return -(-hop * self.sample_rate_hz // FRAMES_PER_SECOND)

    def _run(self, x: Samples, far: Samples) -> Samples:
        x = np.concatenate((self._pending, x), axis=1)
        far = np.concatenate((self._pending_far, far), axis=1)
        hops, played = [], []
        taken = 0
        while (end := taken + self._hop_start(self._hops + 1) - self._hop_start(self._hops)) <= x.shape[1]:
            hops.append(x[:, taken:end])
            played.append(far[:, taken:end])
            self._hops += 1
            taken = end
        self._pending = x[:, taken:].copy()
        self._pending_far = far[:, taken:].copy()
        if not hops:
            return x[:, :0]
        if len(hops) == self._hops:
            self._was_bypassed = self.bypass  # before the first hop, there is nothing to fade from
        y = self._enhanced([self._heard(hop) for hop in hops], [self._played(hop) for hop in played])
        return self._mixed(y, self._delayed(x[:, :taken]), fade_samples=hops[0].shape[1])

    def _heard(self, hop: Samples) -> Samples:
        """The hop, or silence for the decisions that it is no audio for."""
        decisions = len(self._frame_enhancers)
        valid = np.all((np.abs(hop) <= VALID_MAX).reshape(decisions, -1), axis=1, keepdims=True)  # NaN is not
        self.refused_hops += decisions - int(valid.sum())
        return np.where(np.repeat(valid, self.channels // decisions, axis=0), hop, np.float32(0))

    def _played(self, hop: Samples) -> Samples:
        """A hop of the far end, or silence for what is no audio."""
        valid = bool(np.all(np.abs(hop) <= VALID_MAX))
        self.refused_hops += not valid
        return hop if valid else np.zeros_like(hop)

    def _enhanced(self, hops: list[Samples], played: list[Samples]) -> Samples:
        if self._to_48k is None or self._from_48k is None:
            return self._enhanced_48k(np.concatenate(hops, axis=1), np.concatenate(played, axis=1))
        if self._far_to_48k is not None:
            played = [self._far_to_48k.process(hop, HOP_SAMPLES) for hop in played]
        heard = [self._to_48k.process(hop, HOP_SAMPLES) for hop in hops]
        y = self._enhanced_48k(np.concatenate(heard, axis=1), np.concatenate(played, axis=1))
        parts = zip(np.split(y, len(hops), axis=1), hops, strict=True)
        return np.concatenate([self._from_48k.process(part, hop.shape[1]) for part, hop in parts], axis=1)

    def _enhanced_48k(self, hops: Samples, far: Samples) -> Samples:
        found: list[list[Rest | None]] | None = None
        if self._canceller:
            hops, found = self._without_echo(self._canceller, hops, far[0])
        of_each: list[list[Rest | None] | None] = [*found] if found else [None] * len(self._frame_enhancers)
        groups = np.split(hops, len(self._frame_enhancers))
        parts = zip(self._frame_enhancers, groups, of_each, strict=True)
        return np.concatenate(
            [
                enhancer.process(channels) if residual is None else enhancer.process(channels, residual)
                for enhancer, channels, residual in parts
            ]
        )

    def _without_echo(
        self, canceller: EchoCanceller, hops: Samples, far: Samples
    ) -> tuple[Samples, list[list[Rest | None]] | None]:
        """What the canceller leaves, and for each decision what is known of the rest in each hop."""
        if not self._suppressors:
            return canceller.process(hops, far), None
        left = np.empty_like(hops)
        found: list[list[Rest | None]] = [[] for _ in self._suppressors]
        for start in range(0, hops.shape[1], HOP_SAMPLES):
            part = slice(start, start + HOP_SAMPLES)
            left[:, part] = canceller.process(hops[:, part], far[part])
            echo = hops[:, part] - left[:, part]
            groups = zip(*(np.split(x, len(found)) for x in (left[:, part], echo)), strict=True)
            for (rest, taken), suppressor, those in zip(groups, self._suppressors, found, strict=True):
                if canceller.is_quiet:
                    suppressor.reset()
                    those.append(None)
                else:
                    those.append(suppressor.push(rest, taken, canceller.newest_far))
        return left, found

    def _delayed(self, x: Samples) -> Samples:
        """The input of as many samples ago as the enhanced signal is late; what is no audio is 0 in it."""
        line: Any = np.concatenate((self._past, np.where(np.abs(x) <= VALID_MAX, x, np.float32(0))), axis=1)
        self._past = line[:, x.shape[1] :]
        return line[:, : x.shape[1]]

    def _mixed(self, enhanced: Samples, delayed: Samples, fade_samples: int) -> Samples:
        """One of the two; in the first hop after a change, from the one to the other."""
        before, after = (enhanced, delayed) if self.bypass else (delayed, enhanced)
        if self.bypass == self._was_bypassed:
            return after
        self._was_bypassed = self.bypass
        return crossfade(before, after, fade_samples)
