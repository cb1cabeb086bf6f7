"""A microphone through an `Enhancer` to a loudspeaker or a file, for hours.

The device's own callback enhances: nothing is queued, so that no delay can grow. Where a device goes away the session
waits for it and opens it again; where the computer is too slow the sound passes through for a while, as late as ever.
"""

import collections
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from percepnet.arrays import AnySamples
from percepnet.errors import AudioError
from percepnet.live.devices import Device, block_samples, choose_rate_hz, find_device, portaudio, refusals
from percepnet.live.recording import Recording
from percepnet.model import Model
from percepnet.stream import Enhancer

SILENT_S = 5.0  # without a callback a device is gone; PortAudio takes 2 s to get over a gap
BUFFER_S = 0.05
RETRY_S = 1.0
OVERLOAD = 0.95  # of the time that a block lasts
OVERLOAD_BLOCKS = 10  # in a row
# What a gap has left in a driver, above twice its buffer at first, and then above the least delay so far. A driver that
# has sound waiting also never lets its thread sleep.
GROWN_AT_FIRST_S, GROWN_S = 0.25, 0.05
SETTLED_S = 4.0  # after which a delay counts
PASS_S = 5.0  # that the sound passes through after it
SMOOTHING = 0.02  # of load and delay, a block


@dataclass
class Status:
    """What a view shows of a session."""

    rate_hz: int = 0
    block_samples: int = 0
    latency_s: float = 0.0  # of the enhancer
    device_s: float = 0.0  # from the microphone to the loudspeaker, as the driver says
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
        self._recording = recording
        self._post_filter = post_filter
        self._limit_db = attenuation_limit_db
        self._bypass = False
        self._enhancer: Enhancer | None = None
        self._stream: Any = None
        self._last_call_s = self._opened_s = 0.0
        self._delay_now_s, self._delay_least_s = 0.0, float("inf")
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
        try:
            while wait(0.25) and (ends_s is None or time.monotonic() < ends_s):
                if self._recording is not None and self._recording.error and not self.status.message:
                    self.status.message = self._recording.error
                if self._delay_has_grown():
                    self._reopen(wait, ends_s, "the delay had grown: the devices are opened again")
                elif not self._stream.active or time.monotonic() - self._last_call_s > SILENT_S:
                    self._reopen(wait, ends_s, "the device is gone: waiting for it")
        finally:
            self._close()
            self._finish_recording()

    def _delay_has_grown(self) -> bool:
        """Whether sound waits in a driver, after a gap: there is no way to take it out but to begin anew."""
        opened_s = self._last_call_s - self._opened_s
        allowed_s = min(2 * self._buffer_s + GROWN_AT_FIRST_S, self._delay_least_s + GROWN_S)
        return opened_s > SETTLED_S and self._delay_now_s > allowed_s

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
        with refusals():
            self._stream = self._make(sd, source, target, rate_hz, block)
            self._last_call_s = self._opened_s = time.monotonic()
            self._delay_now_s, self._delay_least_s = 0.0, float("inf")
            self._stream.start()

    def _make(self, sd: Any, source: Device, target: Device | None, rate_hz: int, block: int) -> Any:
        settings = {"samplerate": rate_hz, "blocksize": block, "channels": 1, "dtype": "float32"}
        settings["latency"] = self._buffer_s
        if target is None:
            return sd.InputStream(device=source.number, callback=self._hear, **settings)
        return sd.Stream(device=(source.number, target.number), callback=self._hear_and_speak, **settings)

    def _prepare(self, rate_hz: int, block: int) -> None:
        status = self.status
        if self._enhancer is None or self._enhancer.sample_rate != rate_hz:
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
        if self._recording is not None:
            self._recording.start(rate_hz, self._enhancer.latency_samples)

    def _reopen(self, wait: Callable[[float], bool], ends_s: float | None, why: str) -> None:
        status = self.status
        status.message = why
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
        self._stream = _Nothing()

    def _close(self) -> None:
        stream, self._stream = self._stream, _Nothing()
        if stream is None:
            return
        # a driver whose device is gone may never return
        closing = threading.Thread(target=_close_quietly, args=(stream,), daemon=True)
        closing.start()
        closing.join(2.0)

    def _finish_recording(self) -> None:
        if self._recording is not None and self._enhancer is not None:
            rest = self._enhancer.flush()
            self._recording.add(np.zeros(0, np.float32), rest)

    # In the audio thread.

    def _hear(self, indata: Any, frames: int, times: Any, flags: Any) -> None:
        self._block(indata[:, 0], times, flags)

    def _hear_and_speak(self, indata: Any, outdata: Any, frames: int, times: Any, flags: Any) -> None:
        outdata[:, 0] = self._block(indata[:, 0], times, flags)
        self._note_device_delay(times.outputBufferDacTime - times.inputBufferAdcTime)

    def _block(self, x: AnySamples, times: Any, flags: Any) -> AnySamples:
        start_s = time.perf_counter()
        status, enhancer = self.status, self._enhancer
        assert enhancer is not None
        if flags and status.blocks:
            status.dropouts += 1
            status.flags[str(flags)] += 1
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
        self._last_call_s = time.monotonic()
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

    def _note_device_delay(self, delay_s: float) -> None:
        if not 0 < delay_s < 10:  # drivers that do not know say 0
            return
        status = self.status
        # smoothed over a second, as drivers round to what they move at once
        self._delay_now_s += SMOOTHING * (delay_s - self._delay_now_s) if self._delay_now_s else delay_s
        status.device_s = self._delay_now_s
        if self._last_call_s - self._opened_s > SETTLED_S:
            self._delay_least_s = min(self._delay_least_s, self._delay_now_s)
            status.device_min_s = min(status.device_min_s, self._delay_now_s)
            status.device_max_s = max(status.device_max_s, self._delay_now_s)


class _Nothing:
    """A stream that is not there."""

    active = False

    def close(self) -> None:
        """Nothing to do."""


def _close_quietly(stream: Any) -> None:
    try:
        stream.abort(ignore_errors=True)
        stream.close(ignore_errors=True)
    except Exception:
        pass
