"""A server that enhances many calls at once: WebSocket in, PCM or Opus in, the same enhanced out.

    pip install percepnet websockets          # and percepnet[media] for Opus
    python examples/server/server.py --port 8765

A client connects to ws://HOST:8765/?rate=16000&channels=1&format=s16le (or format=opus, one packet a message), sends
sound in binary messages of any length, and gets as much back, later by the delay. Text messages say the state:
{"state": "enhanced" or "passed through", "latency_samples": …}. One thread a core; what does not fit is passed through.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
from fractions import Fraction
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from bank import Bank, Call, PercepNet, RNNoise
from websockets.asyncio.server import ServerConnection, serve

import percepnet

CALLS_MAX = 2000
MESSAGE_BYTES_MAX = 1 << 20
OUTBOX_MESSAGES = 50  # of a client that does not read; then it is left


class Pcm:
    """Samples as they are: s16le or f32le."""

    def __init__(self, form: str, rate_hz: int, channels: int) -> None:
        self._dtype = {"s16le": "<i2", "f32le": "<f4"}[form]
        self._channels = channels

    def decode(self, message: bytes) -> np.ndarray:
        x = np.frombuffer(message, self._dtype).reshape(-1, self._channels).T
        return x.astype(np.float32) / 32768 if x.dtype.kind == "i" else x.astype(np.float32)

    def encode(self, y: np.ndarray) -> list[bytes]:
        if self._dtype == "<i2":
            y = np.clip(np.rint(y * 32768), -32768, 32767)
        return [np.ascontiguousarray(y.T).astype(self._dtype).tobytes()]


class Opus:
    """Opus packets of 20 ms through PyAV."""

    def __init__(self, form: str, rate_hz: int, channels: int) -> None:
        import av

        self._av = av
        layout = "mono" if channels == 1 else "stereo"
        self._decoder: Any = av.CodecContext.create("libopus", "r")
        self._encoder: Any = av.CodecContext.create("libopus", "w")
        for codec in (self._decoder, self._encoder):
            codec.sample_rate = rate_hz
            codec.layout = layout
        self._encoder.format = "flt"
        self._encoder.time_base = Fraction(1, rate_hz)
        self._layout, self._rate_hz = layout, rate_hz
        self._left = np.zeros((channels, 0), np.float32)
        self._frame = rate_hz // 50

    def decode(self, message: bytes) -> np.ndarray:
        frames = self._decoder.decode(self._av.Packet(message))
        return np.concatenate([_samples(frame) for frame in frames], axis=1) if frames else self._left[:, :0]

    def encode(self, y: np.ndarray) -> list[bytes]:
        self._left = np.concatenate((self._left, y), axis=1)
        packets = []
        while self._left.shape[1] >= self._frame:
            now, self._left = self._left[:, : self._frame], self._left[:, self._frame :]
            frame = self._av.AudioFrame.from_ndarray(
                np.ascontiguousarray(now.T).reshape(1, -1), format="flt", layout=self._layout
            )
            frame.sample_rate = self._rate_hz
            packets += [bytes(packet) for packet in self._encoder.encode(frame)]
        return packets


def _samples(frame: Any) -> np.ndarray:
    x = frame.to_ndarray()
    channels = len(frame.layout.channels)
    x = x if frame.format.is_planar else x.reshape(-1, channels).T
    return x.astype(np.float32) / (32768 if x.dtype == np.int16 else 1)


class Server:
    """Connections, spread over the banks."""

    def __init__(self, banks: list[Bank]) -> None:
        self.banks = banks

    async def handle(self, connection: ServerConnection) -> None:
        """Serve one call until it ends."""
        query = {key: values[0] for key, values in parse_qs(urlsplit(connection.request.path).query).items()}
        if urlsplit(connection.request.path).path == "/state":
            await connection.send(json.dumps(self.state()))
            return
        if sum(len(bank.calls) for bank in self.banks) >= CALLS_MAX:
            await connection.close(1013, "full: try another server")
            return
        loop = asyncio.get_running_loop()
        outbox: asyncio.Queue[bytes | str | None] = asyncio.Queue()

        def send(y: np.ndarray) -> None:
            loop.call_soon_threadsafe(_encode_into, outbox, codec, y)

        def say(state: str) -> None:
            loop.call_soon_threadsafe(outbox.put_nowait, json.dumps({"state": state}))

        bank = min(self.banks, key=lambda bank: (len(bank.passed), len(bank.calls)))
        try:
            rate_hz, channels, form = (
                int(query.get("rate", 48000)),
                int(query.get("channels", 1)),
                query.get("format", "s16le"),
            )
            codec = (Opus if form == "opus" else Pcm)(form, rate_hz, channels)
            call = Call(rate_hz, channels, send, say)
            bank.add(call)
        except (percepnet.PercepNetError, KeyError, ValueError, ImportError) as error:
            await connection.close(1008, f"cannot serve this: {error}"[:120])
            return
        await connection.send(json.dumps({"state": "enhanced", "latency_samples": call.latency_samples}))
        sender = asyncio.create_task(_send_all(connection, outbox))
        try:
            async for message in connection:
                if isinstance(message, str):
                    continue
                bank.put(call, codec.decode(message))
                while call.is_full:  # faster than it speaks: its socket waits
                    await asyncio.sleep(0.01)
                if outbox.qsize() > OUTBOX_MESSAGES:
                    await connection.close(1008, "reads too slowly")
                    return
        except ValueError as error:
            await connection.close(1007, f"not such sound: {error}"[:120])
        finally:
            bank.remove(call)
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sender

    def state(self) -> dict[str, Any]:
        """What all banks do, for a monitor or a balancer."""
        return {
            "calls": sum(len(bank.calls) for bank in self.banks),
            "passed_through": sum(len(bank.passed) for bank in self.banks),
            "share": [round(bank.share, 3) for bank in self.banks],
            "late_rounds": sum(bank.late for bank in self.banks),
            "rounds": sum(bank.rounds for bank in self.banks),
        }


def _encode_into(outbox: asyncio.Queue, codec: Any, y: np.ndarray) -> None:
    for message in codec.encode(y):
        outbox.put_nowait(message)


async def _send_all(connection: ServerConnection, outbox: asyncio.Queue) -> None:
    while True:
        await connection.send(await outbox.get())


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--model")
    parser.add_argument("--system", choices=("percepnet", "rnnoise"), default="percepnet")
    options = parser.parse_args()
    system = {"percepnet": PercepNet, "rnnoise": RNNoise}[options.system]
    server = Server([Bank(system(options.model)) for _ in range(options.threads)])
    stop = asyncio.get_running_loop().create_future()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set_result, None)
    async with serve(server.handle, options.host, options.port, compression=None, max_size=MESSAGE_BYTES_MAX):
        print(f"ws://{options.host}:{options.port}/?rate=48000&format=s16le", flush=True)
        await stop


if __name__ == "__main__":
    asyncio.run(main())
