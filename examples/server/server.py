"""A server that enhances many calls at once: WebSocket in, PCM or Opus in, the same enhanced out.

    pip install percepnet websockets          # and percepnet[media] for Opus
    python examples/server/server.py --port 8765

A client connects to ws://HOST:8765/?rate=16000&channels=1&format=s16le (or format=opus, at 48 kHz whatever the rate,
one packet a message), sends sound in binary messages of up to 1 MiB, and gets as much back, later by the delay. Text
messages say the state:
{"state": "enhanced" or "passed through", "latency_samples": …}. One thread a core; what does not fit is passed through.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
from fractions import Fraction
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from bank import Bank, Call, PercepNet, RNNoise
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

import percepnet

CALLS_MAX = 2000
MESSAGE_BYTES_MAX = 1 << 20
OUTBOX_MESSAGES = 50  # of a client that does not read; then it is left
OPUS_RATE_HZ = 48000  # libopus decodes to no other, whatever a sender's microphone had

log = logging.getLogger("percepnet.server")


class Pcm:
    """Samples as they are: s16le or f32le."""

    def __init__(self, form: str, rate_hz: int, channels: int) -> None:
        dtypes = {"s16le": "<i2", "f32le": "<f4"}
        if form not in dtypes:
            raise ValueError(f"format is {form}: give s16le, f32le or opus")
        self._dtype = dtypes[form]
        self._channels = channels
        self.rate_hz = rate_hz

    def decode(self, message: bytes) -> np.ndarray:
        x = np.frombuffer(message, self._dtype).reshape(-1, self._channels).T
        return x.astype(np.float32) / 32768 if x.dtype.kind == "i" else x.astype(np.float32)

    def encode(self, y: np.ndarray) -> list[bytes]:
        if self._dtype == "<i2":
            y = np.clip(np.rint(y * 32768), -32768, 32767)
        return [np.ascontiguousarray(y.T).astype(self._dtype).tobytes()]


class Opus:
    """Opus packets of 20 ms through PyAV, at 48 kHz whatever rate is asked for."""

    def __init__(self, form: str, rate_hz: int, channels: int) -> None:
        import av

        if channels not in (1, 2):
            raise ValueError(f"Opus has 1 or 2 channels, not {channels}")
        self._av = av
        self.rate_hz = OPUS_RATE_HZ
        layout = "mono" if channels == 1 else "stereo"
        self._decoder: Any = av.CodecContext.create("libopus", "r")
        self._encoder: Any = av.CodecContext.create("libopus", "w")
        for codec in (self._decoder, self._encoder):
            codec.sample_rate = OPUS_RATE_HZ
            codec.layout = layout
        self._encoder.format = "flt"
        self._encoder.time_base = Fraction(1, OPUS_RATE_HZ)
        self._layout = layout
        self._left = np.zeros((channels, 0), np.float32)
        self._frame = OPUS_RATE_HZ // 50

    def decode(self, message: bytes) -> np.ndarray:
        try:
            frames = self._decoder.decode(self._av.Packet(message))
        except self._av.FFmpegError as error:
            raise ValueError(f"no packet of Opus: {error}") from error
        return np.concatenate([_samples(frame) for frame in frames], axis=1) if frames else self._left[:, :0]

    def encode(self, y: np.ndarray) -> list[bytes]:
        self._left = np.concatenate((self._left, y), axis=1)
        packets = []
        while self._left.shape[1] >= self._frame:
            now, self._left = self._left[:, : self._frame], self._left[:, self._frame :]
            frame = self._av.AudioFrame.from_ndarray(
                np.ascontiguousarray(now.T).reshape(1, -1), format="flt", layout=self._layout
            )
            frame.sample_rate = OPUS_RATE_HZ
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

        def fail(why: str) -> None:
            loop.call_soon_threadsafe(outbox.put_nowait, None)

        bank = min(self.banks, key=lambda bank: (len(bank.passed), len(bank.calls)))
        try:
            rate_hz, channels, form = (
                int(query.get("rate", 48000)),
                int(query.get("channels", 1)),
                query.get("format", "s16le"),
            )
            codec = (Opus if form == "opus" else Pcm)(form, rate_hz, channels)
            call = Call(codec.rate_hz, channels, send, say, fail)
            bank.add(call)
        except (percepnet.PercepNetError, ValueError, ImportError) as error:
            await connection.close(1008, f"cannot serve this: {error}"[:120])
            return
        sender = asyncio.create_task(_send_all(connection, outbox))
        try:
            await connection.send(json.dumps({"state": "enhanced", "latency_samples": call.latency_samples}))
            async for message in connection:
                if isinstance(message, str):
                    continue
                bank.put(call, codec.decode(message))
                while call.is_full and not call.ended:  # faster than it speaks: its socket waits
                    await asyncio.sleep(0.01)
                if outbox.qsize() > OUTBOX_MESSAGES:
                    await connection.close(1008, "reads too slowly")
                    return
        except ConnectionClosed as closed:  # without a goodbye, or for a message that is too long
            log.info("a call has ended: %s", closed)
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
    try:
        for message in codec.encode(y):
            outbox.put_nowait(message)
    except Exception as error:
        log.error("a call has ended: %s cannot be encoded: %s", type(codec).__name__, error)
        outbox.put_nowait(None)


async def _send_all(connection: ServerConnection, outbox: asyncio.Queue) -> None:
    """Send what comes, until None: then the call has failed."""
    with contextlib.suppress(ConnectionClosed):
        while (message := await outbox.get()) is not None:
            await connection.send(message)
        await connection.close(1011, "this call has failed: the server's log says why")


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
