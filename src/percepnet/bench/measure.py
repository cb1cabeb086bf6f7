"""Measurements of speed and memory. Here stands what "paced" and "hot" mean, for every figure that the project gives.

Paced is one frame of 10 ms every 10 ms, as in a call: between frames the processor sleeps, its clock sinks, and the
caches are others'. Hot is one frame after the other, as nobody uses it live. What is compared takes turns of a second,
so that a busy moment of the machine hits all of it.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from percepnet.errors import PercepNetError
from percepnet.model import Model, block_density
from percepnet.params import FRAMES_PER_SECOND, HOP_SAMPLES, SAMPLE_RATE_HZ
from percepnet.systems.system import Frame, LiveSystem

FRAME_S = 1 / FRAMES_PER_SECOND
FRAME_US = 1e6 / FRAMES_PER_SECOND
TURN_FRAMES = 100
SETTLE_FRAMES = 10  # at the start of a turn, not counted: the caches still hold what took the turn before
COARSE_NS = 1_000_000  # a clock of the thread with longer steps cannot time a frame
LAST_LEVEL_CACHE_BYTES = 64 << 20  # where the system does not tell
READ_BYTES_MIN, READ_BYTES_MAX = 128 << 20, 1 << 30
CHILD_TIMEOUT_S = 120
STREAMS_FRAMES = 50

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FrameTimes:
    """What frames took, in µs: CPU time of the thread, and the wall clock during the call."""

    cpu_us: Times
    wall_us: Times

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean, median and tails of both."""
        return {name: summary(getattr(self, name)) for name in ("cpu_us", "wall_us")}


def summary(values: Times) -> dict[str, float]:
    """Mean, median, 95th and 99th percentile."""
    median, p95, p99 = np.quantile(values, (0.5, 0.95, 0.99))
    return {"mean": float(values.mean()), "median": float(median), "p95": float(p95), "p99": float(p99)}


@lru_cache(maxsize=1)
def thread_clock() -> Callable[[], int]:
    """A clock in ns: the thread's CPU time; or the wall clock, where that is too coarse for a frame (Windows)."""
    started, give_up = time.thread_time_ns(), time.perf_counter() + 0.1
    while (step := time.thread_time_ns() - started) == 0:
        if time.perf_counter() > give_up:
            break
    return time.thread_time_ns if 0 < step < COARSE_NS else time.perf_counter_ns


def take_turns(
    systems: Sequence[LiveSystem],
    frames: int,
    *,
    paced: bool,
    tick: Callable[[int], None] = lambda frames: None,
) -> dict[str, FrameTimes]:
    """Time frames of noise in several systems, in turns.

    Parameters
    ----------
    systems : sequence of LiveSystem
    frames : int
        Of each system.
    paced : bool
        One frame every 10 ms, or one after the other.
    tick : callable
        Is told how many frames were done, counted over all systems.

    Returns
    -------
    dict of str to FrameTimes
        By name, in the order of `systems`.
    """
    hops = np.random.default_rng(1).uniform(-0.1, 0.1, (TURN_FRAMES + SETTLE_FRAMES, HOP_SAMPLES)).astype(np.float32)
    clock = thread_clock()
    parts: dict[str, list[Times]] = {system.name: [] for system in systems}
    for done in range(0, frames, TURN_FRAMES):
        for system in systems:
            turn = [system.form(hop) for hop in hops[: SETTLE_FRAMES + min(TURN_FRAMES, frames - done)]]
            times_ns = np.array([_timed(system.process, hop, clock) for hop in _pace(turn, paced)], dtype=np.float64)
            parts[system.name].append(times_ns[SETTLE_FRAMES:] / 1000)
            tick(len(turn) - SETTLE_FRAMES)
    joined = {name: np.concatenate(times_us) for name, times_us in parts.items()}
    return {name: FrameTimes(times_us[:, 0], times_us[:, 1]) for name, times_us in joined.items()}


def _pace(hops: Sequence[Any], paced: bool) -> Iterator[Any]:
    due = time.perf_counter()
    for hop in hops:
        if paced:
            due += FRAME_S
            time.sleep(max(0.0, due - time.perf_counter()))
        yield hop


def _timed(process: Frame, hop: Any, clock: Callable[[], int]) -> tuple[int, int]:
    began_ns, started_ns = time.perf_counter_ns(), clock()
    process(hop)
    return clock() - started_ns, time.perf_counter_ns() - began_ns


def weight_bytes(model: Model) -> int:
    """What one frame reads of the weights: in 8 bits, and without the blocks that are zero."""
    total = 0.0
    int8_names = model.architecture.int8_names(model.params)
    for name, weight in model.weights.items():
        if name in int8_names:
            density = block_density(weight) if weight.ndim == 2 else 1.0
            total += weight.size * density
        else:
            total += weight.nbytes
    return round(total)


def reading(size: int) -> LiveSystem:
    """The floor of everything that uses `size` bytes of weights once a frame: to read as many, and to do nothing."""
    memory = bytearray(size)
    # a search for a byte that is not there, with the C library's vector code: faster than any reduction of NumPy's
    return LiveSystem("read the weights", lambda hop: memory.find(b"\xff"))


def read_bytes_per_s(size: int, repeats: int = 3) -> float:
    """Bandwidth of reading a buffer that long, the best of some times."""
    read, clock = reading(size).process, thread_clock()
    none = np.zeros(0, dtype=np.float32)
    times_ns = []
    for _ in range(repeats):
        started_ns = clock()
        read(none)
        times_ns.append(clock() - started_ns)
    return 1e9 * size / max(1, min(times_ns))


def uncached_bytes() -> int:
    """The length of a buffer that no cache of this machine holds."""
    cache = LAST_LEVEL_CACHE_BYTES
    if "SC_LEVEL3_CACHE_SIZE" in getattr(os, "sysconf_names", ()):
        cache = os.sysconf("SC_LEVEL3_CACHE_SIZE") or cache
    return min(max(4 * cache, READ_BYTES_MIN), READ_BYTES_MAX)


def best_seconds(work: Callable[[], object], *, limit_s: float, repeats: int = 3) -> float:
    """Wall-clock seconds of the fastest of some repetitions, fewer if they would take longer than the limit in all."""
    seconds: list[float] = []
    while len(seconds) < repeats and sum(seconds) + (seconds[-1] if seconds else 0.0) <= limit_s:
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


_START = """
import json, sys, time
began = time.perf_counter()
import numpy
numpy_there = time.perf_counter()
import percepnet
imported = time.perf_counter()
model = percepnet.load_model(sys.argv[1] or None)
loaded = time.perf_counter()
percepnet.Enhancer(48000, model=model).process(numpy.zeros(480, dtype=numpy.float32))
ready = time.perf_counter()
times = {"import": imported - began, "numpy": numpy_there - began, "load": loaded - imported, "first": ready - loaded}
print(json.dumps({name + "_ms": 1000 * seconds for name, seconds in times.items()}))
"""


def start_up_ms(model: str | None, repeats: int = 5) -> dict[str, float]:
    """What a fresh process needs, in ms: `import` of percepnet, `numpy` as a part of it, `load`, the `first` frame.

    Of the fastest of some processes, whose files are in the system's cache: other programs have no part in it.
    """
    return min((_child(_START, model or "") for _ in range(repeats)), key=lambda times_ms: sum(times_ms.values()))


_MEMORY = f"""
import json, sys, numpy, percepnet
from percepnet.bench.measure import rss_bytes
hop = numpy.random.default_rng(0).uniform(-0.1, 0.1, {HOP_SAMPLES}).astype(numpy.float32)
def begin(model):
    enhancer = percepnet.Enhancer({SAMPLE_RATE_HZ}, model=model)
    for _ in range({STREAMS_FRAMES}):
        enhancer.process(hop)
    return enhancer
before = rss_bytes()
model = percepnet.load_model(sys.argv[1] or None)
streams = [begin(model)]
one = rss_bytes()
count = int(sys.argv[2])
streams += [begin(model) for _ in range(count)]
many = rss_bytes()
known = None not in (before, one, many)
print(json.dumps({{"before": before, "first": one - before, "further": (many - one) / count}} if known else None))
"""


def memory_bytes(model: str | None, streams: int = 100) -> dict[str, float] | None:
    """Resident memory in a fresh process, in bytes.

    Returns
    -------
    dict or None
        `before`: Python, NumPy and percepnet as they are imported; `first`: what the first stream adds, with the
        model; `further`: what each further stream of that model adds. None where the system does not tell.
    """
    return _child(_MEMORY, model or "", str(streams))


def _child(code: str, *arguments: str) -> Any:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_TIMEOUT_S, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PercepNetError(f"a fresh Python process cannot run percepnet: {last}")
    return json.loads(done.stdout)


def rss_bytes() -> int | None:
    """Resident memory of this process; on macOS the most that it was; None where the system does not tell."""
    if platform.system() == "Linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if platform.system() == "Darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def processor_name() -> str:
    """What the processor calls itself."""
    if platform.system() == "Linux" and (info := Path("/proc/cpuinfo")).is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model n")]
        if names:
            return names[0]
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        if found:
            return found
    return platform.processor() or platform.machine()
