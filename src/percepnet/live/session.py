"""A microphone through an `Enhancer` to a loudspeaker or a file, for hours.

The microphone's own callback enhances, and the loudspeaker's takes the sound at the pace of its own clock. Where a
device goes away the session waits for it and opens it again; where the computer is too slow the sound passes through
for a while, as late as ever.
"""

import collections
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from percepnet.arrays import AnySamples
from percepnet.errors import AudioError
from percepnet.live.asrc import AsyncResampler
from percepnet.live.clocks import SlowMean
from percepnet.live.devices import IN, OUT, block_samples, choose_rate_hz, find_device, portaudio, refusals
from percepnet.live.recording import Recording
from percepnet.model import Model
from percepnet.stream import Enhancer

SILENT_S = 5.0  # without a callback a device is gone; PortAudio takes 2 s to get over a gap
BUFFER_S = 0.05
# Blocks that a device brings or takes at once, which costs less, where what a driver may hold back leaves time for it.
TOGETHER, TOGETHER_FROM_S = 2, 0.04
PATIENCE = 0.5  # of what a driver holds back: so long the loudspeaker's callback may wait for the microphone's
RETRY_S = 1.0
OVERLOAD = 0.95  # of the time that a block lasts
OVERLOAD_BLOCKS = 10  # in a row
PASS_S = 5.0  # that the sound passes through after it
BEGINNING_S = 20.0  # in which drivers say something else
SETTLED_S = 60.0  # after which a delay counts
DRIVER_S = 120.0  # over which what a driver says is averaged: it wanders by milliseconds
SMOOTHING = 0.02  # of the load, a block


@dataclass
class Status:
    """What a view shows of a session."""

    rate_hz: int = 0
    block_samples: int = 0
    latency_s: float = 0.0  # of the enhancer
    device_s: float = 0.0  # from the microphone to the loudspeaker but for the enhancer, as far as drivers say
    device_min_s: float = float("inf")
    device_max_s: float = 0.0
    blocks: int = 0
    dropouts: int = 0
    overloads: int = 0
    reopened: int = 0
    load: float = 0.0
    load_max: float = 0.0
    power_in: float = 0.0  # mean squares of the last blocks
    power_out: float = 0.0
    speech_probability: float | None = None
    passing: bool = False
    message: str = ""
    flags: collections.Counter[str] = field(default_factory=collections.Counter)

    @property
    def delay_s(self) -> float:
        """From the microphone to the loudspeaker, all together."""
        return self.latency_s + self.device_s

    @property
    def duration_s(self) -> float:
        """Of the sound so far."""
        return self.blocks * self.block_samples / self.rate_hz if self.rate_hz else 0.0


class Session:
    """Microphone in, enhanced sound out.

    Parameters
    ----------
    model : Model
    source : str or None
        The microphone, by number or a part of its name.
    target : str or None
        The loudspeaker.
    play : bool
        False opens no loudspeaker: for recordings.
    recording : Recording or None
    attenuation_limit_db, post_filter
        As of `percepnet.Enhancer`.
    buffer_s : float
        What a driver may hold back: less is less delay, and more dropouts on a computer that has much to do.
    """

    def __init__(
        self,
        model: Model,
        source: str | None = None,
        target: str | None = None,
        *,
        play: bool = True,
        recording: Recording | None = None,
        attenuation_limit_db: float | None = None,
        post_filter: bool = False,
        buffer_s: float = BUFFER_S,
    ) -> None:
        self.status = Status()
        self._model = model
        self._says_speech = "speech" in model.architecture.heads
        self._wanted = (source, target)
        self._play = play
        self._buffer_s = buffer_s
        self._together = TOGETHER if buffer_s >= TOGETHER_FROM_S else 1
        self._recording = recording
        self._post_filter = post_filter
        self._limit_db = attenuation_limit_db
        self._bypass = False
        self._enhancer: Enhancer | None = None
        self._streams: list[Any] = []
        self._last_s = {IN: 0.0, OUT: 0.0}  # calls
        self._between: AsyncResampler | None = None
        self._drivers: dict[str, SlowMean] = {}
        self._beginning: set[str] = set()
        self._opened_s = 0.0
        self._opening = 0  # a stream of one before, whose driver never returned, is not heard any more
        self._slow = 0
        self._pass_until_s = 0.0
        self._late: collections.deque[AnySamples] = collections.deque()

    @property
    def bypass(self) -> bool:
        """Whether the sound is as it came in, as late as ever."""
        return self._bypass

    @bypass.setter
    def bypass(self, bypass: bool) -> None:
        self._bypass = bypass
        if self._enhancer is not None:
            self._enhancer.bypass = bypass

    @property
    def attenuation_limit_db(self) -> float | None:
        """The most by which anything is attenuated."""
        return self._limit_db

    @attenuation_limit_db.setter
    def attenuation_limit_db(self, limit_db: float | None) -> None:
        if self._enhancer is not None:
            self._enhancer.attenuation_limit_db = limit_db
        self._limit_db = limit_db

    def run(self, wait: Callable[[float], bool], duration_s: float | None = None) -> None:
        """Run, after `open`, until `wait` says so, or for a time. Devices that go away are waited for.

        Parameters
        ----------
        wait : callable
            Waits for about so many seconds, shows what is to be shown, and returns whether to go on.
        duration_s : float or None
        """
        ends_s = None if duration_s is None else time.monotonic() + duration_s
        said: str | None = None
        if self._recording is not None:
            self._recording.start()
        try:
            while wait(0.25) and (ends_s is None or time.monotonic() < ends_s):
                if self._is_gone():
                    self._reopen(wait, ends_s)
                    if not self._streams:  # ended while it waited
                        break
                if self._recording is not None and self._recording.error != said:  # after all else that is said
                    self.status.message = said = self._recording.error or ""
        finally:
            self._close()
            self._finish_recording()

    def _is_gone(self) -> bool:
        if not all(stream.active for stream in self._streams):
            return True
        return time.monotonic() - min(self._last_s.values()) > SILENT_S

    def open(self) -> None:
        """Open the devices: sound flows from here on.

        Raises
        ------
        AudioError
            If they cannot be opened.
        """
        sd = portaudio()
        source = find_device("input", self._wanted[0])
        target = find_device("output", self._wanted[1]) if self._play else None
        rate_hz = choose_rate_hz(source, target)
        block = block_samples(rate_hz)
        self._prepare(rate_hz, block)
        together = self._together * block
        settings = {"samplerate": rate_hz, "blocksize": together, "channels": 1, "dtype": "float32"}
        settings["latency"] = self._buffer_s
        # Two streams, as devices with clocks of their own never fit into one: PortAudio then waits for both.
        self._opening += 1
        with refusals():
            self._streams = [
                sd.InputStream(device=source.number, callback=partial(self._hear, self._opening), **settings)
            ]
            if target is not None:
                self._streams.append(
                    sd.OutputStream(device=target.number, callback=partial(self._speak, self._opening), **settings)
                )
            self._opened_s = time.monotonic()
            self._last_s = dict.fromkeys((IN, OUT) if target else (IN,), self._opened_s)
            for stream in self._streams:
                stream.start()

    def _prepare(self, rate_hz: int, block: int) -> None:
        status = self.status
        if self._enhancer is None or self._enhancer.sample_rate != rate_hz:
            self._finish_recording()  # which is of one rate
            self._enhancer = Enhancer(
                rate_hz,
                model=self._model,
                attenuation_limit_db=self._limit_db,
                post_filter=self._post_filter,
                invalid="silence",
                block_samples=block,
            )
            self._enhancer.bypass = self._bypass
            self._enhancer.process(np.zeros(10 * block, np.float32))  # what is slow the first time
        self._enhancer.reset()
        late_blocks = -(-self._enhancer.latency_samples // block)
        self._late = collections.deque([np.zeros(block, np.float32)] * late_blocks, late_blocks + 1)
        status.rate_hz, status.block_samples = rate_hz, block
        status.latency_s = self._enhancer.latency_samples / rate_hz
        self._slow, self._pass_until_s = 0, 0.0
        self._between, together = None, self._together * block
        if self._play:
            self._between = AsyncResampler(rate_hz, together, together, self._buffer_s * PATIENCE)
        self._beginning = {IN, OUT}
        self._drivers = {kind: SlowMean(round(DRIVER_S * rate_hz / together)) for kind in (IN, OUT)}
        if self._recording is not None:
            self._recording.prepare(rate_hz, self._enhancer.latency_samples)

    def _reopen(self, wait: Callable[[float], bool], ends_s: float | None) -> None:
        status = self.status
        status.message = "the device is gone: waiting for it"
        self._close()
        sd = portaudio()
        while wait(RETRY_S) and (ends_s is None or time.monotonic() < ends_s):
            sd._terminate()  # PortAudio lists devices only when it begins
            sd._initialize()
            try:
                self.open()
            except AudioError:
                self._close()
                continue
            status.reopened += 1
            status.message = "the device is back"
            return

    def _close(self) -> None:
        streams, self._streams = self._streams, []
        # a driver whose device is gone may never return
        closing = [threading.Thread(target=_close_quietly, args=(stream,), daemon=True) for stream in streams]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(2.0)

    def _finish_recording(self) -> None:
        if self._recording is not None and self._enhancer is not None:
            rest = self._enhancer.flush()
            self._recording.add(np.zeros(0, np.float32), rest)

    # In the microphone's thread.

    def _hear(self, opening: int, indata: Any, frames: int, times: Any, flags: Any) -> None:
        if opening != self._opening:
            return
        now_s = time.monotonic()
        self._note_driver(IN, times.currentTime - times.inputBufferAdcTime, now_s)
        self._note_flags(flags)
        blocks = indata[:, 0].reshape(-1, self.status.block_samples)
        y = np.concatenate([self._block(block) for block in blocks])
        if self._between is not None:
            self._between.put(y, now_s)
        self._last_s[IN] = now_s

    # In the loudspeaker's thread.

    def _speak(self, opening: int, outdata: Any, frames: int, times: Any, flags: Any) -> None:
        outdata[:] = 0
        if opening != self._opening:
            return
        now_s = time.monotonic()
        between = self._between
        assert between is not None
        self._note_driver(OUT, times.outputBufferDacTime - times.currentTime, now_s)
        if between.playing:
            self._note_flags(flags)
        gaps = between.gaps
        outdata[:, 0] = between.take(now_s)
        if between.gaps > gaps:
            self._note_flags("gap")
        if between.delay_s:
            self._note_delay(between.delay_s + sum(mean.value for mean in self._drivers.values()), now_s)
        self._last_s[OUT] = now_s

    def _block(self, x: AnySamples) -> AnySamples:
        start_s = time.perf_counter()
        status, enhancer = self.status, self._enhancer
        assert enhancer is not None
        self._late.append(x.copy())
        y = self._passed(start_s) if self._pass_until_s else enhancer.process(x)
        if self._recording is not None:
            self._recording.add(self._late[-1], y)
        if self._says_speech:  # here, as an enhancer belongs to one thread
            status.speech_probability = enhancer.speech_probability
        status.power_in += 0.1 * (float(np.dot(x, x)) / len(x) - status.power_in)
        status.power_out += 0.1 * (float(np.dot(y, y)) / len(y) - status.power_out)
        status.blocks += 1
        end_s = time.perf_counter()
        self._note_load((end_s - start_s) * status.rate_hz / len(x), end_s)
        return y

    def _passed(self, now_s: float) -> AnySamples:
        if now_s >= self._pass_until_s:
            self._pass_until_s = 0.0
            self.status.passing = False
            self._slow = 0
            assert self._enhancer is not None
            self._enhancer.reset()
            for x in list(self._late)[:-1]:  # so that it goes on where it would be
                self._enhancer.process(x)
            return self._enhancer.process(self._late[-1])
        return self._late[0]

    def _note_load(self, load: float, now_s: float) -> None:
        status = self.status
        status.load += SMOOTHING * (load - status.load)
        status.load_max = max(status.load_max, load)
        self._slow = self._slow + 1 if load > OVERLOAD else 0
        if self._slow >= OVERLOAD_BLOCKS and not self._pass_until_s:
            self._pass_until_s = now_s + PASS_S
            status.overloads += 1
            status.passing = True
            status.message = "the processor is too slow: the sound passes through"

    # In both threads.

    def _note_flags(self, flags: Any) -> None:
        if flags and self.status.blocks:
            self.status.dropouts += 1
            self.status.flags[str(flags)] += 1

    def _note_driver(self, kind: str, held_s: float, now_s: float) -> None:
        driver = self._drivers[kind]
        if kind in self._beginning and now_s - self._opened_s > BEGINNING_S:
            self._beginning.discard(kind)
            driver.forget()
        if abs(held_s) < 10:  # drivers that do not know say 0; a monitor may be ahead of its loudspeaker
            driver.add(held_s)

    def _note_delay(self, delay_s: float, now_s: float) -> None:
        status = self.status
        status.device_s = delay_s
        if now_s - self._opened_s > SETTLED_S:
            status.device_min_s = min(status.device_min_s, delay_s)
            status.device_max_s = max(status.device_max_s, delay_s)


def _close_quietly(stream: Any) -> None:
    try:
        stream.abort(ignore_errors=True)
        stream.close(ignore_errors=True)
    except Exception:
        pass
