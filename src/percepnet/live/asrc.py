"""Sound from one device to another, each with a clock of its own: asynchronous sample-rate conversion.

Two crystals differ by some millionths: a queue between two devices runs empty, or grows, by milliseconds a minute. So
sound goes from the queue through libsoxr, at a rate that follows both clocks and holds the delay between a sample's
arrival and its departure where it was.
"""

import queue

import numpy as np

from percepnet.arrays import AnySamples
from percepnet.errors import extra_packages
from percepnet.live.clocks import Clock

RATIO_MAX = 1e-3  # relative change of the rate, which nobody hears: 1.7 cents
PULL_S = 20.0  # a delay that is off comes back with this time constant
LEARNING_S = 60.0  # at most, for clocks that are never steady
CONTROL_S = 0.1
MARGIN_S = 0.01  # beyond what the devices' calls have shown that they need
REALIGN_S = 0.02  # a delay that is off by more, as samples were lost, is set right at once
AGAIN_S = 60.0  # gaps that follow each other sooner need more to be held back
GROWTH_S, GROWTH_MAX_S = 0.01, 0.1
FADE_S = 0.005


class AsyncResampler:
    """A queue that is filled in one thread and emptied in another, at the same rate by two clocks.

    Parameters
    ----------
    rate_hz : int
    source_block, target_block : int
        Samples of each `put`, and of each `take`.
    patience_s : float
        How long a `take` may wait for a `put` that is late; what the target's driver holds lasts longer.

    Raises
    ------
    PercepNetError
        If soxr is not installed.
    """

    def __init__(self, rate_hz: int, source_block: int, target_block: int, patience_s: float) -> None:
        with extra_packages("live"):
            import soxr
        self._block, self._source_block = target_block, source_block
        self._rate_hz, self._patience_s = rate_hz, patience_s
        self._soxr = soxr.ResampleStream(1 + RATIO_MAX, 1, 1, vr=True)
        self._held = self._count_held()
        self._queue: queue.SimpleQueue[AnySamples] = queue.SimpleQueue()
        self._fed = 0  # samples that have left the queue
        self._rest = np.zeros(0, np.float32)  # converted and not yet taken
        self._playing = False
        self._began = False
        self._realign = False
        self._control_s = 0.0
        self._target_s = self._needed_s = 0.0
        self._learning_ends_s = 0.0
        self._grown_s = 0.0
        self._gap_s = float("-inf")
        fade = round(FADE_S * rate_hz)
        self._fade_in = (np.arange(fade, dtype=np.float32) + 0.5) / np.float32(fade)
        self.source = Clock(rate_hz, source_block)
        self.target = Clock(rate_hz, target_block)
        self.ratio = 1.0  # samples of the source for one of the target
        self.delay_s = 0.0  # on average, between the calls that bring a sample and that take it
        self.gaps = 0

    @property
    def playing(self) -> bool:
        """Whether `take` gives sound and not silence."""
        return self._playing

    def put(self, y: AnySamples, now_s: float) -> None:
        """The source's next block; never waits.

        Parameters
        ----------
        y : np.ndarray [shape=(source_block,)]
            Kept, not copied.
        now_s : float
            The time of the call.
        """
        self.source.note(now_s)
        self._queue.put(y)

    def take(self, now_s: float) -> AnySamples:
        """The target's next block: silence until both clocks are known, and after a gap until the delay is as before.

        Waits where the source is late, or a busy computer has called the target first.

        Returns
        -------
        np.ndarray [shape=(target_block,)]
        """
        start = self.target.samples
        self.target.note(now_s)
        if not (self._playing or self._begins(start, now_s)):
            return np.zeros(self._block, np.float32)
        try:
            while len(self._rest) < self._block:
                self._rest = np.concatenate([self._rest, self._convert(self._next())])
        except queue.Empty:
            self._grow(now_s)
            return self._stop()
        if self._realign:
            return self._stop()
        y, self._rest = self._rest[: self._block], self._rest[self._block :]
        if now_s - self._control_s >= CONTROL_S and self.source.certain and self.target.certain:
            self._control_s = now_s
            self._control(now_s)
        return y

    def _next(self) -> AnySamples:
        y = self._queue.get(timeout=self._patience_s)
        self._fed += len(y)
        return y

    def _convert(self, x: AnySamples) -> AnySamples:
        y: AnySamples = self._soxr.resample_chunk(x)
        return y

    def _delay_now_s(self, start: int) -> float:
        """Between a sample's arrival and its departure, of the next to be taken, number `start` of the target."""
        held = self._held if self._playing else 0
        position = self._fed - held - len(self._rest) * self.ratio
        return self.target.due_s(start) - self.source.due_s(position)

    def _begins(self, start: int, now_s: float) -> bool:
        """Begin, if the delay is what it is to be; what has waited longer is left out."""
        if not (self.source.settled and self.target.settled):
            return False
        if not self._began:
            self._needed_s = self.source.late_s + (self._block + self._held) / self._rate_hz + MARGIN_S
            self._target_s = self._needed_s
            self._began = True
            self._learning_ends_s = now_s + LEARNING_S
        surplus_s = self._delay_now_s(start) - self._target_s
        surplus = round(surplus_s * self._rate_hz)
        if surplus < 0:
            return False
        while surplus >= self._source_block and not self._queue.empty():
            surplus -= len(self._next())
        if surplus >= self._source_block or self._queue.empty():
            return False
        self._soxr.clear()
        self._set_ratio(0)
        y = self._next()[surplus:]
        count = min(len(self._fade_in), len(y))
        y = y.copy()
        y[:count] *= self._fade_in[:count]
        self._rest = self._convert(y)
        self._playing = True
        return True

    def _stop(self) -> AnySamples:
        """The last block before a gap, which fades."""
        tail = self._convert(np.zeros(self._block, np.float32))[: self._held]
        y = np.concatenate([self._rest, tail])[: self._block]
        count = min(len(y), len(self._fade_in))
        y[len(y) - count :] *= self._fade_in[count - 1 :: -1]
        self._rest = self._rest[:0]
        self._playing = self._realign = False
        self.gaps += 1
        self.source.doubt()
        self.target.doubt()
        return np.concatenate([y, np.zeros(self._block - len(y), np.float32)])

    def _grow(self, now_s: float) -> None:
        """Hold more from now on, if calls need more than they had shown, and not only once."""
        again, self._gap_s = now_s - self._gap_s < AGAIN_S, now_s
        step_s = min(GROWTH_S, GROWTH_MAX_S - self._grown_s) if again else 0.0
        self._grown_s += step_s
        self._needed_s += step_s
        self._target_s += step_s

    def _control(self, now_s: float) -> None:
        delay_s = self._delay_now_s(self.target.samples)
        self.delay_s = delay_s + self.target.late_mean_s - self.source.late_mean_s
        if now_s < self._learning_ends_s and abs(delay_s - self._needed_s) < REALIGN_S:
            self._target_s = delay_s  # what is known of it changes, and the delay itself stays
            if self.source.steady and self.target.steady:
                self._learning_ends_s = 0.0
        off_s = delay_s - self._target_s
        self._realign = abs(off_s) > REALIGN_S
        ratio = self.target.sample_s / self.source.sample_s * (1 + off_s / PULL_S)
        self.ratio = min(max(ratio, 1 - RATIO_MAX), 1 + RATIO_MAX)
        self._set_ratio(round(CONTROL_S * self._rate_hz))

    def _set_ratio(self, slew_samples: int) -> None:
        self._soxr.set_io_ratio(self.ratio, 1, slew_samples)

    def _count_held(self) -> int:
        """Samples that the converter keeps to itself."""
        self._soxr.set_io_ratio(1, 1, 0)
        count = 8 * self._block
        held = count - len(self._convert(np.zeros(count, np.float32)))
        self._soxr.clear()
        return held
