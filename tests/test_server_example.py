"""The example of a server: calls get what an enhancer gives, and beyond its capacity they are passed through."""

import asyncio
import json
import sys
import threading
import time
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

import identity_system
import percepnet
from percepnet.model import save_model

pytest.importorskip("websockets", reason="the example of a server needs websockets")
sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "server"))

from bank import Bank, Call, PercepNet
from server import MESSAGE_BYTES_MAX, Server
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

RATE_HZ = 48000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    save_model(identity_system.random_model(), path)
    return str(path)


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_calls_get_what_an_enhancer_gives(model):
    x = np.random.default_rng(0).uniform(-0.2, 0.2, (2, 48_000)).astype(np.float32)
    bank = Bank(PercepNet(model))
    heard = [[], []]
    calls = [Call(RATE_HZ, 1, part.append, lambda state: None) for part in heard]
    for call in calls:
        bank.add(call)
    for start in range(0, 48_000, 960):
        for call, signal in zip(calls, x, strict=True):
            bank.put(call, signal[None, start : start + 960])
        time.sleep(0.001)
    wait_for(lambda: all(sum(y.shape[1] for y in part) == 48_000 for part in heard))
    bank.close()
    assert not bank.passed
    for part, signal in zip(heard, x, strict=True):
        expected = percepnet.Enhancer(RATE_HZ, model=model).process(signal)
        np.testing.assert_array_equal(np.concatenate(part, axis=1)[0], expected)


class Slow:
    """A system that takes its time for each stream, and delays by 100 samples."""

    pause_s = 0.004

    def __init__(self):
        self.streams, self.passing = set(), set()

    def add(self, rate_hz, channels):
        stream = object()
        self.streams.add(stream)
        return stream

    def remove(self, stream):
        self.streams.remove(stream)

    def pass_through(self, stream, passes):
        (self.passing.add if passes else self.passing.remove)(stream)

    def latency_samples(self, stream):
        return 100

    def process(self, chunks):
        time.sleep(self.pause_s * len(set(chunks) - self.passing))
        return {stream: x if stream in self.passing else np.full_like(x, 9.0) for stream, x in chunks.items()}


def test_beyond_its_capacity_calls_are_passed_through_in_time_and_come_back():
    system = Slow()
    bank = Bank(system)
    states, heard = [], []
    calls = [Call(RATE_HZ, 1, lambda y: None, lambda state: None)]
    calls.append(Call(RATE_HZ, 1, heard.append, states.append))
    for call in calls:
        bank.add(call)
    ramp = np.arange(48_000 * 60, dtype=np.float32)
    sent = 0

    def speak(condition):
        nonlocal sent
        deadline = time.monotonic() + 30
        while not condition():
            for call in calls:
                bank.put(call, ramp[None, sent : sent + 480])
            sent += 480
            time.sleep(0.005)
            assert time.monotonic() < deadline

    speak(lambda: states)
    assert states == ["passed through"]
    heard.clear()
    speak(lambda: len(heard) > 5)
    passed = np.concatenate([y for y in heard if y[0, 0] != 9.0], axis=1)[0]
    assert np.all(np.diff(passed) == 1)  # what was sent, whole
    system.pause_s = 0.0
    speak(lambda: states[-1] == "enhanced")
    wait_for(lambda: not calls[1].inbox)
    for call in calls:
        bank.remove(call)
    assert not system.streams
    bank.close()


class OneThread(Slow):
    """Refuses whoever comes while another thread is in a call, as a batch does."""

    def __init__(self):
        super().__init__()
        self.busy = threading.Lock()

    def alone(self, what, *arguments):
        if not self.busy.acquire(blocking=False):
            raise percepnet.PercepNetError("at work in another thread")
        try:
            time.sleep(0.001)
            return what(*arguments)
        finally:
            self.busy.release()

    def add(self, rate_hz, channels):
        return self.alone(super().add, rate_hz, channels)

    def process(self, chunks):
        return self.alone(super().process, chunks)


def test_calls_that_join_disturb_nobody():
    bank = Bank(OneThread())
    heard = []
    first = Call(RATE_HZ, 1, heard.append, lambda state: None)
    bank.add(first)
    for _ in range(100):
        bank.put(first, np.zeros((1, 480), np.float32))
        bank.add(Call(RATE_HZ, 1, lambda y: None, lambda state: None))
    wait_for(lambda: not first.inbox)
    heard.clear()
    bank.put(first, np.zeros((1, 480), np.float32))
    wait_for(lambda: heard)
    bank.close()


class Choosy(Slow):
    """Takes no samples above 1, nor a whole batch with one of them."""

    def process(self, chunks):
        if any(np.any(x > 1) for x in chunks.values()):
            raise RuntimeError("too loud")
        return dict(chunks)


def unsendable(y):
    raise OSError("the socket is gone")


@pytest.mark.parametrize(("send", "level", "why"), [(list, 2.0, "too loud"), (unsendable, 0.5, "the socket is gone")])
def test_an_error_ends_only_the_call_that_it_belongs_to(send, level, why, caplog):
    system = Choosy()
    bank = Bank(system)
    heard, failed = [], []
    good = Call(RATE_HZ, 1, heard.append, lambda state: None, pytest.fail)
    bad = Call(RATE_HZ, 1, send, lambda state: None, failed.append)
    for call in (good, bad):
        bank.add(call)
    for number in range(5):
        bank.put(good, np.full((1, 480), 0.1, np.float32))
        bank.put(bad, np.full((1, 480), level, np.float32))
        wait_for(lambda number=number: len(heard) > number)
    bank.close()
    assert failed == [why]
    assert bad.ended
    assert len(system.streams) == 1
    assert [record for record in caplog.messages if why in record]
    np.testing.assert_array_equal(np.concatenate(heard, axis=1), np.full((1, 2400), 0.1, np.float32))


class Bypassed(PercepNet):
    """What comes out is what went in, as late as ever: what is skipped or added is seen."""

    def add(self, rate_hz, channels):
        stream = super().add(rate_hz, channels)
        stream.bypass = True
        return stream


@pytest.mark.parametrize(("rate_hz", "packet"), [(48000, 960), (48000, 500), (16000, 320), (11025, 220)])
def test_changes_neither_skip_nor_add_sound(model, rate_hz, packet):
    bank = Bank(Bypassed(model))
    bank.close()  # rounds by hand, from here on
    heard, states, sent = [], [], 0
    call = Call(rate_hz, 1, lambda y: heard.append(y.copy()), states.append)
    bank.add(call)
    for share in (0.9, 0.1, 0.5):
        for _ in range(20):
            bank.put(call, np.arange(sent + 1, sent + packet + 1, dtype=np.float32)[None] / 1000)
            sent += packet
            bank._round()
        bank.share, bank._decided = share, 0
        bank._balance()
    assert states == ["passed through", "enhanced"]
    y = np.rint(1000 * np.concatenate(heard, axis=1)[0])
    np.testing.assert_array_equal(y, np.arange(1, len(y) + 1).clip(call.latency_samples) - call.latency_samples)
    assert 0 <= sent - len(y) < rate_hz / 25  # what is not there yet is less than a step


@asynccontextmanager
async def serving(model):
    """The address of a server of one thread."""
    bank = Bank(PercepNet(model))
    handle = Server([bank]).handle
    async with serve(handle, "127.0.0.1", 0, compression=None, max_size=MESSAGE_BYTES_MAX) as listening:
        yield f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    bank.close()


async def answers(connection, enough):
    """Messages of sound, until they are enough."""
    got = []
    while not enough(got):
        answer = await asyncio.wait_for(connection.recv(), 30)
        got += [answer] if isinstance(answer, bytes) else []
    return got


@pytest.mark.parametrize("query", ["format=s16le", "format=f32le", "format=opus", "format=opus&rate=16000"])
def test_sound_goes_through_a_socket(model, query):
    form = query.removeprefix("format=").partition("&")[0]
    if form == "opus":
        pytest.importorskip("av", reason="Opus needs percepnet[media]")

    async def talk():
        messages = packets(form)
        async with serving(model) as url:
            async with connect(f"{url}?{query}") as connection:
                told = json.loads(await connection.recv())
                for message in messages:
                    await connection.send(message)
                if form == "opus":
                    await answers(connection, lambda got: len(got) >= len(messages) - 2)
                    with pytest.raises(asyncio.TimeoutError):  # and no more than were sent
                        await answers_within(connection, 3)
                else:
                    await answers(connection, lambda got: sum(map(len, got)) >= sum(map(len, messages)))
            async with connect(f"{url}state") as connection:
                state = json.loads(await connection.recv())
        return told, state

    async def answers_within(connection, count):
        await asyncio.wait_for(answers(connection, lambda got: len(got) >= count), 1)

    told, state = asyncio.run(talk())
    assert told == {"state": "enhanced", "latency_samples": 1440}
    assert state["rounds"] > 0


@pytest.mark.parametrize(
    ("query", "message", "code", "reason"),
    [
        ("rate=7", None, 1008, "cannot serve this"),
        ("format=mp3", None, 1008, "give s16le, f32le or opus"),
        ("channels=3&format=opus", None, 1008, "1 or 2 channels"),
        ("format=opus", b"\xff\x00garbage", 1007, "no packet of Opus"),
        ("format=s16le", b"odd", 1007, "not such sound"),
        ("format=s16le", bytes(MESSAGE_BYTES_MAX + 2), 1009, ""),
    ],
)
def test_a_bad_client_is_told_and_nobody_else_notices(model, query, message, code, reason, caplog):
    if "opus" in query:
        pytest.importorskip("av", reason="Opus needs percepnet[media]")

    async def talk():
        async with serving(model) as url, connect(f"{url}?format=s16le") as other:
            async with connect(f"{url}?{query}") as connection:
                if message is not None:
                    await connection.send(message)
                with pytest.raises(ConnectionClosed) as refused:
                    await answers(connection, lambda got: False)
            for row in packets("s16le"):
                await other.send(row)
            await answers(other, lambda got: sum(map(len, got)) >= 20 * 1920)
        return refused.value.rcvd

    closed = asyncio.run(talk())
    assert closed.code == code
    assert reason in closed.reason
    assert not [record for record in caplog.records if record.exc_info]


def packets(form):
    x = np.random.default_rng(0).uniform(-0.1, 0.1, (20, 960)).astype(np.float32)
    if form == "f32le":
        return [row.tobytes() for row in x]
    if form == "s16le":
        return [(row * 32767).astype("<i2").tobytes() for row in x]
    from server import Opus

    codec = Opus("opus", RATE_HZ, 1)
    return [packet for row in x for packet in codec.encode(row[None])]
