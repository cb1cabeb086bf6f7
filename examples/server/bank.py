"""Many calls on one core: a thread with its own `percepnet.Batch`, which is given all that has come every 4 ms.

It never falls behind. When a round takes too much of its time, the calls that came last are passed through, as late as
ever, and told so; when there is room again, they are enhanced again. An error ends the call that it belongs to.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import percepnet

ROUND_S = 0.004
BUSY, IDLE = 0.75, 0.45  # shares of a round's time, averaged: above, a call is passed through; below, one comes back
PAUSE_S = 0.25  # between two such decisions
AVERAGE = 0.1
INBOX_S = 0.2  # of a call that sends faster than it speaks; more is not read from its socket
RNNOISE_SAMPLES = 1440  # that its output is late

log = logging.getLogger("percepnet.server")


@dataclass(eq=False)
class Call:
    """One call, between its socket and a bank.

    Attributes
    ----------
    send : function
        Is given samples [shape=(channels, n)], from the bank's thread.
    say : function
        Is given a state, "enhanced" or "passed through", when it changes.
    fail : function
        Is given what went wrong, when an error has ended the call.
    """

    rate_hz: int
    channels: int
    send: Callable[[np.ndarray], None]
    say: Callable[[str], None]
    fail: Callable[[str], None] = lambda why: None
    inbox: deque[np.ndarray] = field(default_factory=deque)
    waiting_samples: int = 0
    stream: Any = None
    latency_samples: int = 0
    ended: bool = False

    @property
    def is_full(self) -> bool:
        return self.waiting_samples > INBOX_S * self.rate_hz


class PercepNet:
    """Calls enhanced by percepnet, in one batch."""

    def __init__(self, model: str | None = None) -> None:
        self._batch = percepnet.Batch(model)

    def add(self, rate_hz: int, channels: int) -> Any:
        return self._batch.add(rate_hz, channels=channels, invalid="silence")

    def remove(self, stream: Any) -> None:
        self._batch.remove(stream)

    def pass_through(self, stream: Any, passes: bool) -> None:
        """Whether it gives back what came, as late as ever, at hardly any cost."""
        stream.idle = passes

    def process(self, chunks: dict[Any, np.ndarray]) -> dict[Any, np.ndarray]:
        return self._batch.process(chunks)

    def latency_samples(self, stream: Any) -> int:
        return int(stream.latency_samples)


class RNNoise:
    """The same with RNNoise, for comparison; 48 kHz, one channel, packets of whole 10 ms."""

    def __init__(self, model: str | None = None) -> None:
        from pyrnnoise import rnnoise

        self._rnnoise = rnnoise

    def add(self, rate_hz: int, channels: int) -> Any:
        if (rate_hz, channels) != (48000, 1):
            raise percepnet.PercepNetError("RNNoise takes one channel of 48 kHz")
        return _State(self._rnnoise.create(), np.zeros((1, RNNOISE_SAMPLES), np.float32))

    def remove(self, stream: Any) -> None:
        self._rnnoise.destroy(stream.state)

    def pass_through(self, stream: Any, passes: bool) -> None:
        stream.passes = passes

    def process(self, chunks: dict[Any, np.ndarray]) -> dict[Any, np.ndarray]:
        done = {}
        for stream, x in chunks.items():
            both = np.concatenate((stream.past, x), axis=1)
            stream.past = both[:, x.shape[1] :]
            if stream.passes:
                done[stream] = both[:, : x.shape[1]]
                continue
            frames = np.split((x[0] * 32767).astype(np.int16), x.shape[1] // 480)
            y = [self._rnnoise.process_mono_frame(stream.state, frame)[0] for frame in frames]
            done[stream] = np.concatenate(y)[None].astype(np.float32) / 32768
        return done

    def latency_samples(self, stream: Any) -> int:
        return RNNOISE_SAMPLES


@dataclass(eq=False)
class _State:
    state: Any
    past: np.ndarray
    passes: bool = False


class Bank:
    """A thread that serves calls.

    Parameters
    ----------
    system : PercepNet or RNNoise
    """

    def __init__(self, system: Any) -> None:
        self.system = system
        self.calls: list[Call] = []
        self.passed: list[Call] = []  # of `calls`, those that are passed through
        self.share = 0.0  # of a round's time that is used, averaged
        self.rounds = self.late = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._decided = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, call: Call) -> None:
        """Begin to serve a call."""
        with self._lock:  # a batch belongs to one thread at a time
            call.stream = self.system.add(call.rate_hz, call.channels)
            call.latency_samples = self.system.latency_samples(call.stream)
            self.calls.append(call)

    def put(self, call: Call, x: np.ndarray) -> None:
        """Samples that came [shape=(channels, n)]."""
        with self._lock:
            if not call.ended:
                call.inbox.append(x)
                call.waiting_samples += x.shape[1]

    def remove(self, call: Call) -> None:
        """End a call."""
        with self._lock:
            self._remove(call)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _remove(self, call: Call) -> None:
        if call not in self.calls:
            return
        self.calls.remove(call)
        call.ended = True
        if call in self.passed:
            self.passed.remove(call)
        self.system.remove(call.stream)
        call.stream = None

    def _fail(self, call: Call, error: Exception) -> None:
        log.error("a call of %d Hz has ended: %s: %s", call.rate_hz, type(error).__name__, error)
        self._remove(call)
        call.fail(str(error))

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            due += ROUND_S
            pause = due - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            else:
                self.late += 1
                due = max(due, time.monotonic() - 2 * ROUND_S)  # what is lost is not made up for
            started = time.monotonic()
            try:
                self._round()
            except Exception:  # the other calls go on
                log.exception("a round has failed")
            self.rounds += 1
            self.share += AVERAGE * ((time.monotonic() - started) / ROUND_S - self.share)
            try:
                self._balance()
            except Exception:
                log.exception("a call stays as it is")

    def _round(self) -> None:
        with self._lock:
            given = []
            for call in self.calls:
                if call.inbox:
                    given.append((call, np.concatenate(call.inbox, axis=1)))
                    call.inbox.clear()
                    call.waiting_samples = 0
            for call, y in self._enhance(given):
                try:
                    call.send(y)
                except Exception as error:
                    self._fail(call, error)

    def _enhance(self, given: list[tuple[Call, np.ndarray]]) -> list[tuple[Call, np.ndarray]]:
        """What comes of the calls' samples, of each call that has not ended by it."""
        try:
            done = self.system.process({call.stream: x for call, x in given}) if given else {}
        except Exception as error:
            if len(given) == 1:
                self._fail(given[0][0], error)
                return []
            # a batch that refuses goes on as if it had not been asked: who of them is to blame?
            return [done for part in given for done in self._enhance([part])]
        return [(call, done[call.stream]) for call, _ in given]

    def _balance(self) -> None:
        now = time.monotonic()
        if now - self._decided < PAUSE_S:
            return
        with self._lock:
            enhanced = [call for call in self.calls if call not in self.passed]
            if self.share > BUSY and enhanced:
                count = max(1, round(len(enhanced) * (1 - BUSY / self.share) / 2))
                for call in enhanced[-count:]:
                    self.passed.append(call)
                    self.system.pass_through(call.stream, True)
                    call.say("passed through")
            elif self.share < IDLE and self.passed:
                call = self.passed.pop(0)
                self.system.pass_through(call.stream, False)
                call.say("enhanced")
            else:
                return
            self._decided = now
