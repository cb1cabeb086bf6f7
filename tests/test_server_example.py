"""The example of a server: calls get what an enhancer gives, and beyond its capacity they are passed through."""

import asyncio
import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import identity_system
import percepnet
from percepnet.model import save_model

pytest.importorskip("websockets", reason="the example of a server needs websockets")
sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "server"))

from bank import Bank, Call, PercepNet
from server import Server
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

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
        self.streams = set()

    def add(self, rate_hz, channels):
        stream = object()
        self.streams.add(stream)
        return stream

    def remove(self, stream):
        self.streams.remove(stream)

    def latency_samples(self, stream):
        return 100

    def process(self, chunks):
        time.sleep(self.pause_s * len(chunks))
        return {stream: np.full_like(x, 9.0) for stream, x in chunks.items()}


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


@pytest.mark.parametrize("form", ["s16le", "f32le", "opus"])
def test_sound_goes_through_a_socket(model, form):
    if form == "opus":
        pytest.importorskip("av", reason="Opus needs percepnet[media]")

    async def talk():
        bank = Bank(PercepNet(model))
        server = Server([bank])
        async with serve(server.handle, "127.0.0.1", 0, compression=None) as listening:
            port = listening.sockets[0].getsockname()[1]
            url = f"ws://127.0.0.1:{port}/"
            async with connect(f"{url}?rate=48000&format={form}") as connection:
                told = json.loads(await connection.recv())
                messages = packets(form)
                for message in messages:
                    await connection.send(message)
                got = 0
                while got < (len(messages) - 2 if form == "opus" else sum(map(len, messages))):
                    answer = await asyncio.wait_for(connection.recv(), 30)
                    if isinstance(answer, bytes):
                        got += 1 if form == "opus" else len(answer)
            async with connect(f"{url}state") as connection:
                state = json.loads(await connection.recv())
            async with connect(f"{url}?rate=7") as connection:
                with pytest.raises(Exception, match="cannot serve this"):
                    await connection.recv()
        bank.close()
        return told, state

    told, state = asyncio.run(talk())
    assert told == {"state": "enhanced", "latency_samples": 1440}
    assert state["rounds"] > 0


def packets(form):
    x = np.random.default_rng(0).uniform(-0.1, 0.1, (20, 960)).astype(np.float32)
    if form == "f32le":
        return [row.tobytes() for row in x]
    if form == "s16le":
        return [(row * 32767).astype("<i2").tobytes() for row in x]
    from server import Opus

    codec = Opus("opus", RATE_HZ, 1)
    return [packet for row in x for packet in codec.encode(row[None])]
