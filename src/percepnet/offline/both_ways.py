"""A recording heard twice, from its beginning and from its end, by a network for each; the mean of both comes out.

What comes next tells speech from noise as well as what was before, and two networks that know different halves err
differently. The one that hears forwards does so twice, with frames half a hop apart: their mean is smoother than each.
Each has heard ten seconds of the recording before it begins. The recording goes through in windows, so that it may be
of any length.
"""

from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from percepnet.arrays import AnySamples, Samples, crossfade, from_float32, to_float32
from percepnet.engine import ThreadedStream
from percepnet.params import FRAMES_PER_SECOND

WINDOW_S = 20.0
CONTEXT_S = 10.0  # that the network which comes from the end hears before a window; the forward one at the beginning
SILENT = 2e-5  # digital silence: below the step of 16 bits
FADE_S = 0.05  # from one window of the backward network to the next


class BothWays:
    """A stream, as of `percepnet.engine.Stream`, that is some 30 s late.

    Parameters
    ----------
    open_way : callable
        Makes a stream: called with False for one that hears forwards, and with True for backwards.
    sample_rate_hz, channels : int
    """

    speech_probability: float | None = None  # of a moment that is 30 s ahead of what comes out

    def __init__(self, open_way: Callable[[bool], ThreadedStream], sample_rate_hz: int, channels: int) -> None:
        self._hop_samples = sample_rate_hz / FRAMES_PER_SECOND
        self._half_hop = round(self._hop_samples / 2)
        self._forwards = [_Forward(open_way(False), shift, channels) for shift in (0, self._half_hop)]
        self._backward = open_way(True)
        self._channels = channels
        self._window, self._context, self._fade = (round(s * sample_rate_hz) for s in (WINDOW_S, CONTEXT_S, FADE_S))
        self.bypass = False
        self.reset()

    @property
    def latency_samples(self) -> int:
        """Delay of the output."""
        return self._window + self._context + self._fade

    @property
    def refused_hops(self) -> int:
        """Hops that were taken as silence since the stream began."""
        return self._forwards[0].stream.refused_hops

    @property
    def attenuation_limit_db(self) -> float | None:
        """The most by which anything is attenuated, from the next window on."""
        return self._backward.attenuation_limit_db

    @attenuation_limit_db.setter
    def attenuation_limit_db(self, limit_db: float | None) -> None:
        for stream in self._streams():
            stream.attenuation_limit_db = limit_db

    def _streams(self) -> list[ThreadedStream]:
        return [self._backward, *(forward.stream for forward in self._forwards)]

    def reset(self) -> None:
        """Begin a new stream."""
        nothing = np.zeros((self._channels, 0), np.float32)
        for forward in self._forwards:
            forward.reset()
        self._has_begun = False
        self._done = 0  # samples of the recording
        self._heard = nothing  # of the recording, from there on
        self._of_backward = nothing  # the end of the last window, to fade from
        self._arrived, self._made, self._dry = (_Queue(self._channels) for _ in range(3))
        for queue in (self._made, self._dry):
            queue.put(np.zeros((self._channels, self.latency_samples), np.float32))
        self._was_bypassed = self.bypass

    def use_second_thread(self) -> None:
        """As of the streams that it is made of."""
        for stream in self._streams():
            stream.use_second_thread()

    def close(self) -> None:
        """Give the memory back."""
        for stream in self._streams():
            stream.close()

    def process(self, x: AnySamples, far: AnySamples | None = None) -> AnySamples:
        """Take samples [shape=(channels, n)] of float32 or int16 in, and give as many back."""
        del far  # recordings that are heard both ways have none
        heard = to_float32(x)
        self._arrived.put(heard)
        self._dry.put(heard)
        while (missing := self._window + self._context - self._left) <= self._arrived.count:
            self._hear(missing)
            self._run(self._window, kept=self._fade)
        return from_float32(self._given(x.shape[1]), x)

    def flush(self, dtype: npt.DTypeLike = np.float32) -> AnySamples:
        """End the stream: the samples that the delay holds back."""
        self._hear(self._arrived.count)
        for forward in self._forwards:
            forward.end()
        while (left := self._left) > 0:
            is_last = left <= self._window
            self._run(left if is_last else self._window, kept=0 if is_last else self._fade)
        y = self._given(self.latency_samples)
        self.reset()
        return from_float32(y, np.zeros((0, 0), dtype))

    @property
    def _left(self) -> int:
        """Samples that are in no window yet."""
        return self._heard.shape[1] - self._of_backward.shape[1]

    def _hear(self, count: int) -> None:
        """Let the forward networks hear the next samples that have arrived."""
        x = self._arrived.take(count)
        self._heard = np.concatenate([self._heard, x], axis=1)
        silent = 0 if self._has_begun else _silent_samples(x)
        if silent < x.shape[1]:  # in whole hops, as frames are counted from the beginning
            silent = int(silent // self._hop_samples * self._hop_samples)
        x, begins = x[:, silent:], not self._has_begun and silent < x.shape[1]
        for forward in self._forwards:
            forward.leave_out(silent)
            if begins:
                forward.begin(self._in_advance(x))
            if x.shape[1]:
                forward.hear(x)
        self._has_begun |= begins

    def _in_advance(self, x: Samples) -> Samples:
        """The beginning of what comes, for a network to hear once more before; as long as a number of hops.

        Digital silence is left out at its end, as it is in front of a recording: 50 ms of it make a network forget most
        of what it has heard in advance.
        """
        begin = x[:, : self._context]
        begin = begin[:, : begin.shape[1] - _silent_samples(begin[:, ::-1])]
        return begin[:, round(begin.shape[1] % self._hop_samples) :]

    def _run(self, count: int, kept: int) -> None:
        """Finish a window of so many samples, but for the last ones, which are kept for the next to fade from."""
        fade = self._of_backward.shape[1]
        end = fade + count
        backward = self._backwards(end)
        part = np.arange(1, fade + 1, dtype=np.float32) / (fade + 1)
        backward[:, :fade] = self._of_backward + part * (backward[:, :fade] - self._of_backward)
        done = end - kept
        parts = [backward[:, :done], *(forward.take(done) for forward in self._forwards)]
        self._made.put(np.mean(parts, axis=0, dtype=np.float32))
        self._of_backward, self._heard = backward[:, done:], self._heard[:, done:]
        self._done += done

    def _backwards(self, end: int) -> Samples:
        """What the backward network makes of what was heard up to a place, after what comes behind it."""
        x = self._heard[:, : end + self._context][:, ::-1]
        is_at_end = x.shape[1] < end + self._context
        silent = _silent_samples(x) if is_at_end else 0
        x = x[:, silent:]
        before = [self._in_advance(x)] if is_at_end else []
        begun = sum(part.shape[1] for part in before) + x.shape[1]
        # its frames are centred between those of the first forward network
        shift = round((self._half_hop - begun - self._done) % self._hop_samples)
        all_of_it = np.concatenate([np.zeros((self._channels, shift), np.float32), *before, x], axis=1)
        self._backward.reset()
        y = np.concatenate([self._backward.process(all_of_it), self._backward.flush()], axis=1)
        nothing = np.zeros((self._channels, silent), np.float32)
        whole = np.concatenate([nothing, y[:, y.shape[1] - x.shape[1] :]], axis=1)
        found: Samples = whole[:, whole.shape[1] - end :][:, ::-1].copy()
        return found

    def _given(self, count: int) -> Samples:
        """The next samples out, or the recording as it came in."""
        wet, dry = self._made.take(count), self._dry.take(count)
        before, after = (wet, dry) if self.bypass else (dry, wet)
        if self.bypass == self._was_bypassed:
            return after
        self._was_bypassed = self.bypass
        return crossfade(before, after, min(count, round(self._hop_samples)))


def _silent_samples(x: Samples) -> int:
    """How many samples of digital silence there are before anything else."""
    loud = np.flatnonzero(np.abs(x).max(axis=0) > SILENT)
    return int(loud[0]) if len(loud) else x.shape[1]


class _Forward:
    """A stream that hears all of a recording, and what it made of it, as far as nobody has taken it."""

    def __init__(self, stream: ThreadedStream, shift: int, channels: int) -> None:
        self.stream = stream
        self._shift = np.zeros((channels, shift), np.float32)  # by which its frames are later
        self.reset()

    def reset(self) -> None:
        self.stream.reset()
        self._skip = 0  # samples of what comes that belong to nothing
        self._made = _Queue(len(self._shift))

    def begin(self, before: Samples) -> None:
        """Hear something in advance."""
        self._skip = self._shift.shape[1] + before.shape[1] + self.stream.latency_samples
        self.hear(np.concatenate([self._shift, before], axis=1))

    def leave_out(self, samples: int) -> None:
        """Samples of nothing, before it begins."""
        self._made.put(np.zeros((len(self._shift), samples), np.float32))

    def hear(self, x: Samples) -> None:
        self._keep(self.stream.process(x))

    def end(self) -> None:
        self._keep(self.stream.flush())

    def take(self, count: int) -> Samples:
        return self._made.take(count)

    def _keep(self, y: AnySamples) -> None:
        skipped = min(self._skip, y.shape[1])
        self._skip -= skipped
        self._made.put(y[:, skipped:])


class _Queue:
    """Samples that wait, put in and taken out in pieces of any length."""

    def __init__(self, channels: int) -> None:
        self.count = 0
        self._parts: deque[Samples] = deque()
        self._nothing = np.zeros((channels, 0), np.float32)

    def put(self, x: Samples) -> None:
        self._parts.append(x)
        self.count += x.shape[1]

    def take(self, count: int) -> Samples:
        """The first samples [shape=(channels, count)]; there have to be so many."""
        self.count -= count
        taken = [self._nothing]
        while count:
            part = self._parts.popleft()
            taken.append(part[:, :count])
            if part.shape[1] > count:
                self._parts.appendleft(part[:, count:])
            count -= taken[-1].shape[1]
        return np.concatenate(taken, axis=1)
