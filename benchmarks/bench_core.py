"""Time that a frame of 10 ms takes, on the C core and in NumPy, in one run.

    python benchmarks/bench_core.py [--seconds 10] [--presets small percepnet]

"Hot" is one frame after the other; "paced" is one frame each 10 ms, as in a call, where the processor sleeps and the
caches are others' in between. Times are the CPU time of the thread. Weights are random: they do not change the time.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from percepnet import core
from percepnet.model import PRESETS, Model, is_quantised
from percepnet.params import FRAMES_PER_SECOND, HOP_SAMPLES, SignalParams
from percepnet.spec import enhancer as spec

FRAME_US = 1e6 / FRAMES_PER_SECOND
WARM_UP_FRAMES = 20


def random_model(preset: str) -> Model:
    """Untrained weights of the size of trained ones."""
    params = SignalParams()
    rng = np.random.default_rng(0)
    shapes = PRESETS[preset].shapes(params).items()
    return Model(params, PRESETS[preset], {n: rng.uniform(-0.1, 0.1, s).astype(np.float32) for n, s in shapes})


def frame_times_us(process: Callable[[np.ndarray], np.ndarray], frames: int, *, paced: bool) -> np.ndarray:
    """CPU time of each frame, for noise."""
    noise = np.random.default_rng(1).uniform(-0.1, 0.1, (WARM_UP_FRAMES + frames, 1, HOP_SAMPLES)).astype(np.float32)
    times_us = np.empty(len(noise))
    due = time.perf_counter()
    for i, hop in enumerate(noise):
        if paced:
            due += 1 / FRAMES_PER_SECOND
            time.sleep(max(0.0, due - time.perf_counter()))
        started_ns = time.thread_time_ns()
        process(hop)
        times_us[i] = (time.thread_time_ns() - started_ns) / 1000
    return times_us[WARM_UP_FRAMES:]


def weight_bytes(model: Model) -> int:
    """What one frame reads of the weights, in the core's 8 bits."""
    return sum(weight.nbytes // (4 if is_quantised(name) else 1) for name, weight in model.weights.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of audio for each measurement")
    parser.add_argument("--presets", nargs="+", default=["small", "percepnet"], choices=sorted(PRESETS))
    arguments = parser.parse_args()
    frames = round(arguments.seconds * FRAMES_PER_SECOND)
    print("| network | weights, MB | engine | hot, median µs | paced, median µs | paced, p99 µs | paced, % of a core |")
    print("|---|---|---|---|---|---|---|")
    for preset in arguments.presets:
        model = random_model(preset)
        engines = {f"core, {kernel}": core.FrameEnhancer(model, kernel=kernel) for kernel in core.kernels()}
        engines |= {"core, single precision": core.FrameEnhancer(model, exact=True)}
        engines |= {"NumPy": spec.FrameEnhancer(model)}
        for name, enhancer in engines.items():
            hot_us = np.median(frame_times_us(enhancer.process, frames, paced=False))
            paced_us = frame_times_us(enhancer.process, frames, paced=True)
            median_us, p99_us = np.median(paced_us), np.quantile(paced_us, 0.99)
            numbers = f"{hot_us:.0f} | {median_us:.0f} | {p99_us:.0f} | {100 * median_us / FRAME_US:.1f}"
            print(f"| {preset} | {weight_bytes(model) / 1e6:.1f} | {name} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
