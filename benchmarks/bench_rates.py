"""What other rates, tiny numbers and many streams cost, next to one stream of speech at 48 kHz.

    python benchmarks/bench_rates.py [--model small] [--seconds 4] [--streams 128]

What a thousand enhancers take, and a second of sound with and without a model loaded before. Then CPU time of a
hop, median over rounds in which all ways take turns: packets of 20 ms of int16 through `Enhancer` and through `Batch`
(ratio to 48 kHz); and speech, its decay into subnormal numbers, and noise of 1e-40 (ratio to speech).
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

import percepnet
from percepnet.bench.measure import thread_clock

RATES_HZ = (8_000, 16_000, 44_100, 48_000, 96_000)
PACKET_MS = 20
HOPS = 2  # of a packet
ROUNDS = 9
MANY = 1000


def voice(rate_hz: int, seconds: float) -> np.ndarray:
    """Pulses of a wandering pitch in a little noise."""
    count = int(rate_hz * seconds)
    phase = np.cumsum((180 + 60 * np.sin(np.arange(count) * 7 / rate_hz)) / rate_hz)
    pulses = np.diff(np.floor(phase), prepend=0.0)
    return (0.3 * pulses + 0.01 * np.random.default_rng(0).standard_normal(count)).astype(np.float32)


def us_a_hop(work: Callable[[], int], clock: Callable[[], int]) -> float:
    """CPU time of a hop; `work` says how many it did."""
    started = clock()
    hops = work()
    return (clock() - started) / 1000 / hops


def medians(ways: dict[str, Callable[[], int]]) -> dict[str, float]:
    """Each way's time, over rounds in which they take turns."""
    clock = thread_clock()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, work in ways.items():
            times[name].append(us_a_hop(work, clock))
    return {name: statistics.median(found) for name, found in times.items()}


def packets(x: np.ndarray, rate_hz: int) -> list[np.ndarray]:
    """Packets of 20 ms, whole ones."""
    size = rate_hz * PACKET_MS // 1000
    return [x[start : start + size] for start in range(0, len(x) - size + 1, size)]


def through_enhancer(model: percepnet.Model, rate_hz: int, x: np.ndarray) -> Callable[[], int]:
    """Packets one after the other through a stream."""
    enhancer, cut = percepnet.Enhancer(rate_hz, model=model), packets(x, rate_hz)

    def work() -> int:
        for packet in cut:
            enhancer.process(packet)
        return HOPS * len(cut)

    return work


def through_batch(model: percepnet.Model, rate_hz: int, x: np.ndarray, count: int) -> Callable[[], int]:
    """A packet of each of many streams a call."""
    batch = percepnet.Batch(model)
    streams, cut = [batch.add(rate_hz) for _ in range(count)], packets(x, rate_hz)[:10]

    def work() -> int:
        for packet in cut:
            batch.process(dict.fromkeys(streams, packet))
        return HOPS * len(cut) * count

    return work


def show(title: str, times: dict[str, float], base: str) -> None:
    print(title)
    for name, time_us in times.items():
        print(f"    {name:<28} {time_us:7.1f} us a hop  {time_us / times[base]:5.2f}")


def rates(model: percepnet.Model, seconds: float, streams: int) -> None:
    """int16 packets of each rate."""
    voices = {rate_hz: (32767 * voice(rate_hz, seconds)).astype(np.int16) for rate_hz in RATES_HZ}
    ways = {f"{rate_hz} Hz": through_enhancer(model, rate_hz, x) for rate_hz, x in voices.items()}
    show("Enhancer, packets of 20 ms of int16; ratio to 48 kHz", medians(ways), "48000 Hz")
    ways = {f"{rate_hz} Hz": through_batch(model, rate_hz, x, streams) for rate_hz, x in voices.items()}
    show(f"Batch of {streams} streams, the same", medians(ways), "48000 Hz")


def subnormals(model: percepnet.Model, seconds: float) -> None:
    """Numbers too small to be normal, against speech of the same rate."""
    for rate_hz in RATES_HZ:
        speech = voice(rate_hz, seconds)
        noise = np.random.default_rng(1).standard_normal(len(speech)).astype(np.float32)
        decay = np.exp(-np.arange(len(speech)) * 20.0 / rate_hz).astype(np.float32)
        signals = {
            "speech": speech,
            "zeros": np.zeros_like(speech),
            "decay": decay * noise,
            "1e-40": np.float32(1e-40) * noise,
        }
        ways = {name: through_enhancer(model, rate_hz, x) for name, x in signals.items()}
        show(f"Tiny numbers at {rate_hz} Hz; ratio to speech", medians(ways), "speech")


def many(model: percepnet.Model) -> None:
    """A thousand enhancers, and calls of `enhance`."""
    started = time.perf_counter()
    enhancers = [percepnet.Enhancer(model=model) for _ in range(MANY)]
    seconds = time.perf_counter() - started
    if sys.platform != "win32":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        print(f"{len(enhancers)} enhancers: {seconds:.2f} s, {peak / 1e6:.0f} MB of the process in all")
    x = voice(48_000, 1.0)
    calls = {
        "with model=": lambda: percepnet.enhance(x, 48_000, model=model),
        "without": lambda: percepnet.enhance(x, 48_000),
    }
    for name, call in calls.items():
        call()
        times = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        print(f"enhance of 1 s {name}: {1000 * statistics.median(times):.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="small")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--streams", type=int, default=128)
    arguments = parser.parse_args()
    many(percepnet.load_model())
    model = percepnet.load_model(arguments.model)
    rates(model, arguments.seconds, arguments.streams)
    subnormals(model, arguments.seconds)


if __name__ == "__main__":
    main()
