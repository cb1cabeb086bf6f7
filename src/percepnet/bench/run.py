"""Everything that `percepnet bench` measures, as one document of plain numbers."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import numpy as np

import percepnet
from percepnet import native
from percepnet.batch import Batch
from percepnet.bench.measure import (
    FRAME_US,
    FrameTimes,
    best_seconds,
    memory_bytes,
    processor_name,
    read_bytes_per_s,
    reading,
    start_up_ms,
    take_turns,
    thread_clock,
    uncached_bytes,
    weight_bytes,
)
from percepnet.engine import CORE, engine, open_stream, short_chunks
from percepnet.model import DEFAULT_MODEL, Model
from percepnet.params import FRAMES_PER_SECOND, HOP_SAMPLES, SAMPLE_RATE_HZ
from percepnet.processors import threads_of_a_recording
from percepnet.stream import Enhancer, enhance
from percepnet.systems.register import Register
from percepnet.systems.system import LiveSystem, SystemMissing

STREAMS = (1, 8, 32, 128)
STREAMS_LIMIT_S = 1.5  # for each number of streams
STREAMS_ROUNDS = (5, 200)
FILE_S = 60
FILE_LIMIT_S = 8.0
BASELINES = ("rnnoise",)
HOT_SHARE = 0.5  # of the frames that are measured paced

Document = dict[str, Any]
Tick = Callable[[str, float], None]  # what is being measured, and how much of all is done since the last call


def measure(
    model: Model,
    name: str | None,
    *,
    seconds: float,
    baselines: Sequence[str] = BASELINES,
    progress: Tick = lambda title, share: None,
) -> Document:
    """Measure everything.

    Parameters
    ----------
    model : Model
    name : str or None
        What `load_model` made it of.
    seconds : float
        Of audio, paced, for each system.
    baselines : sequence of str
        Names in the register of systems, of those that can be used live. Those that are not installed are skipped,
        and named.
    progress : callable

    Returns
    -------
    dict
        For JSON. Times are in the units of their names, sizes in bytes.

    Raises
    ------
    PercepNetError
        For a baseline of an unknown name.
    """
    progress("starting", 0.0)
    names, register = list(dict.fromkeys(baselines)), Register(name)
    systems, titles = _own_systems(model), {"percepnet": "percepnet.Enhancer", "engine": "its engine alone"}
    skipped = {}
    for baseline in names:
        try:
            systems.append(register.live(baseline))
            system = register[baseline]
            titles[baseline] = f"{system.title} ({system.package} {version(system.package)})"
        except SystemMissing as missing:
            skipped[baseline] = f"not measured, {missing}"
    floor = reading(weight_bytes(model))
    systems.append(floor)
    titles[floor.name] = f"only reading {weight_bytes(model) / 1e6:.2f} MB, as many as the weights"

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    frames = max(1, round(seconds * FRAMES_PER_SECOND))
    hot_frames = max(1, round(HOT_SHARE * frames))
    paced = take_turns(
        systems, frames, paced=True, tick=lambda done: progress("paced frames", 0.7 * done / frames / len(systems))
    )
    hot = take_turns(
        systems, hot_frames, paced=False, tick=lambda n: progress("hot loop", 0.05 * n / hot_frames / len(systems))
    )
    document: Document = {
        "machine": _machine() | {"load_before": load},
        "percepnet": _ourselves(model, name),
        "seconds": seconds,
        "systems": [_figures(titles[s.name], s.name, paced[s.name], hot[s.name]) for s in systems],
        "skipped": skipped,
    }
    progress("a file", 0.0)
    document["file"] = _file(model)
    document["streams"] = []
    for count in STREAMS:
        progress(f"{count} streams", 0.1 / len(STREAMS))
        document["streams"].append(_streams(model, count))
    progress("fresh processes", 0.03)
    document["start_up"] = start_up_ms(name)
    progress("memory", 0.05)
    document["memory"] = memory_bytes(name)
    document["stream_bytes"] = native.FrameEnhancer(model).memory_bytes if engine() == CORE else None
    document["bandwidth"] = _bandwidth(weight_bytes(model))
    progress("done", 1.0)
    return document


def _own_systems(model: Model) -> list[LiveSystem]:
    enhancer, inside = Enhancer(SAMPLE_RATE_HZ, model=model), open_stream(model)
    short = short_chunks(inside, 1)
    return [
        LiveSystem("percepnet", enhancer.process),
        # as the baselines are called: the library's own function, on buffers that stay
        LiveSystem("engine", short.process if short else lambda hop: inside.process(hop[None])),
    ]


def _machine() -> Document:
    return {
        "processor": processor_name(),
        "processors": os.cpu_count(),
        "system": platform.platform(terse=True),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "clock": "thread CPU time" if thread_clock() is time.thread_time_ns else "wall clock",
    }


def _ourselves(model: Model, name: str | None) -> Document:
    running = engine()
    return {
        "version": percepnet.__version__,
        "model": name or DEFAULT_MODEL,
        "weights": model.weight_count,
        "weight_bytes": weight_bytes(model),
        "engine": running,
        "kernels": native.kernels() if running == CORE else [],
    }


def _figures(title: str, name: str, paced: FrameTimes, hot: FrameTimes) -> Document:
    return {
        "name": name,
        "title": title,
        "paced": paced.summary(),
        "hot": hot.summary(),
        "core_percent": 100 * float(paced.cpu_us.mean()) / FRAME_US,
    }


def _file(model: Model) -> Document:
    x = np.random.default_rng(2).uniform(-0.1, 0.1, FILE_S * SAMPLE_RATE_HZ).astype(np.float32)
    seconds = best_seconds(lambda: enhance(x, SAMPLE_RATE_HZ, model=model), limit_s=FILE_LIMIT_S)
    threads = threads_of_a_recording() if engine() == CORE else 1
    return {"duration_s": FILE_S, "processing_s": seconds, "real_time_factor": seconds / FILE_S, "threads": threads}


def _streams(model: Model, count: int) -> Document:
    """CPU time of a frame of each of many streams of one thread: one after the other, and in one call (core only)."""
    hops = np.random.default_rng(3).uniform(-0.1, 0.1, (count, HOP_SAMPLES)).astype(np.float32)
    enhancers = [Enhancer(SAMPLE_RATE_HZ, model=model) for _ in range(count)]

    def one_by_one() -> None:
        for enhancer, hop in zip(enhancers, hops, strict=True):
            enhancer.process(hop)

    ways: dict[str, Callable[[], object]] = {"one_by_one": one_by_one}
    if engine() == CORE:
        batch = Batch(model)
        frames = {batch.add(): hop for hop in hops}
        ways["batch"] = lambda: batch.process(frames)
    clock = thread_clock()
    times_us: dict[str, list[float]] = {way: [] for way in ways}
    give_up = time.perf_counter() + STREAMS_LIMIT_S
    for done in range(STREAMS_ROUNDS[1]):
        if done >= STREAMS_ROUNDS[0] and time.perf_counter() > give_up:
            break
        for way, work in ways.items():
            started_ns = clock()
            work()
            times_us[way].append((clock() - started_ns) / 1000 / count)
    return {"streams": count} | {f"{way}_us": float(np.median(times)) for way, times in times_us.items()}


def _bandwidth(size: int) -> Document:
    far = uncached_bytes()
    result: Document = {"weight_bytes": size, "cached_bytes_per_s": read_bytes_per_s(size, 50)}
    with suppress(MemoryError):
        result |= {"uncached_buffer_bytes": far, "uncached_bytes_per_s": read_bytes_per_s(far)}
        result["uncached_floor_us"] = 1e6 * size / result["uncached_bytes_per_s"]
    result["cached_floor_us"] = 1e6 * size / result["cached_bytes_per_s"]
    return result
