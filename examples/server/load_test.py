"""How many calls the server holds: more and more clients in real time, and how late each packet comes back.

    python examples/server/load_test.py [--system percepnet|rnnoise] [--threads 1] [--model small]

Starts the server, and clients in a process of their own, which send 20 ms of a recording every 20 ms. Prints, for each
number of calls, the time from sending a packet to having as much sound back, and stops a step after p99 is above 10 ms.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import soundfile
from websockets.asyncio.client import connect

HERE = Path(__file__).parent
PACKET_S = 0.020
LIMIT_MS = 10.0
STEPS = (5, 10, 20, 30, 40, 60, 80, 100, 120, 150, 180, 220, 260, 300, 400, 500)


async def client(
    url: str, packets: list[bytes], seconds: float, delays_ms: list[float], states: list[str], start: float
) -> None:
    """One call in real time."""
    async with connect(f"{url}/?rate=48000&format=s16le", compression=None, max_size=None) as connection:
        await connection.recv()
        sent: list[float] = []

        async def receive() -> None:
            number = got = 0
            size = len(packets[0])
            async for message in connection:
                if isinstance(message, str):
                    states.append(json.loads(message)["state"])
                    continue
                got += len(message)
                now = time.monotonic()
                while got >= size and number < len(sent):
                    delays_ms.append(1000 * (now - sent[number]))
                    number, got = number + 1, got - size

        receiver = asyncio.create_task(receive())
        due = start
        for number in range(round(seconds / PACKET_S)):
            pause = due - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            sent.append(time.monotonic())
            await connection.send(packets[number % len(packets)])
            due += PACKET_S
        await asyncio.sleep(0.2)
        receiver.cancel()


async def step(url: str, calls: int, seconds: float, packets: list[bytes]) -> dict:
    delays_ms: list[float] = []
    states: list[str] = []
    now = time.monotonic() + 0.5 + calls * 0.005
    rng = np.random.default_rng(0)
    starts = now + rng.uniform(0, PACKET_S, calls)
    clients = [client(url, packets, seconds, delays_ms, states, start) for start in starts]
    work = asyncio.gather(*clients)
    await asyncio.sleep(seconds * 0.9)
    async with connect(f"{url}/state") as connection:
        state = json.loads(await connection.recv())
    await work
    settled = delays_ms[len(delays_ms) // 4 :]
    p50, p99, worst = np.percentile(settled, (50, 99, 100))
    return state | {"calls": calls, "p50_ms": p50, "p99_ms": p99, "worst_ms": worst, "changes": len(states)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", default="percepnet")
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--port", type=int, default=8799)
    parser.add_argument("--steps", type=int, nargs="*", default=STEPS)
    options = parser.parse_args()
    clip = next((HERE.parent / "clips").rglob("*.flac"), None) or next((HERE.parent / "clips").rglob("*.wav"))
    x, rate_hz = soundfile.read(clip, dtype="int16", always_2d=True)
    assert rate_hz == 48000, clip
    size = round(PACKET_S * rate_hz)
    packets = [x[at : at + size, 0].tobytes() for at in range(0, len(x) - size, size)]
    words = ["--system", options.system, "--threads", str(options.threads), "--port", str(options.port)]
    words += ["--model", options.model] if options.model else []
    server = subprocess.Popen([sys.executable, HERE / "server.py", *words], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        server.stdout.readline()
        print("| calls | p50 ms | p99 ms | worst ms | passed through | share of the time | memory MB |")
        print("|---|---|---|---|---|---|---|")
        beyond = 0
        for calls in options.steps:
            state = asyncio.run(step(f"ws://127.0.0.1:{options.port}", calls, options.seconds, packets))
            print(
                f"| {calls} | {state['p50_ms']:.1f} | {state['p99_ms']:.1f} | {state['worst_ms']:.1f} | "
                f"{state['passed_through']} | {max(state['share']):.2f} | {_memory_mb(server.pid):.0f} |",
                flush=True,
            )
            beyond += state["p99_ms"] > LIMIT_MS or state["passed_through"] > 0
            if beyond > 1:
                break
    finally:
        server.terminate()
        server.wait(10)


def _memory_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        return float("nan")
    return int(next(line for line in status.read_text().splitlines() if line.startswith("VmRSS")).split()[1]) / 1000


if __name__ == "__main__":
    main()
