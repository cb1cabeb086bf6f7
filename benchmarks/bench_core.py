"""Time that a frame of 10 ms takes, for each kernel of the C core and for NumPy, side by side in one run.

    python benchmarks/bench_core.py [--seconds 10] [--presets small percepnet] [--density 0.4]

`percepnet bench` measures what users have; this compares what they could have. Weights are random: they do not change
the time. What "hot" and "paced" mean stands in percepnet.bench.measure.
"""

import argparse
from collections.abc import Callable

import numpy as np

from percepnet import native
from percepnet.arrays import Samples
from percepnet.bench.measure import FRAME_US, reading, take_turns, weight_bytes
from percepnet.model import BLOCK_INPUTS, BLOCK_OUTPUTS, PRESETS, Model
from percepnet.params import FRAMES_PER_SECOND, SignalParams
from percepnet.reference import enhancer as reference
from percepnet.reference.stream import Enhances
from percepnet.systems.system import LiveSystem


def random_model(preset: str, density: float = 1.0) -> Model:
    """Untrained weights of the size of trained ones, with a share of the blocks of the GRUs."""
    params = SignalParams()
    rng = np.random.default_rng(0)
    shapes = PRESETS[preset].shapes(params).items()
    weights = {n: rng.uniform(-0.1, 0.1, s).astype(np.float32) for n, s in shapes}
    grus = [node for node in PRESETS[preset].nodes(params) if node.layer.kind == "gru"]
    for name in (name for node in grus for name, tensor in node.tensors.items() if node.is_int8(tensor)):
        outputs, inputs = weights[name].shape
        kept = rng.random((-(-outputs // BLOCK_OUTPUTS), -(-inputs // BLOCK_INPUTS))) < density
        weights[name] *= kept.repeat(BLOCK_OUTPUTS, 0).repeat(BLOCK_INPUTS, 1)[:outputs, :inputs]
    return Model(params, PRESETS[preset], weights)


def frames_of(enhancer: Enhances) -> Callable[[Samples], object]:
    """An engine as a system that is timed."""
    return lambda hop: enhancer.process(hop[None])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of audio for each measurement")
    parser.add_argument("--presets", nargs="+", default=["small", "percepnet"], choices=sorted(PRESETS))
    parser.add_argument("--density", type=float, default=1.0, help="share of the blocks of the GRUs that are not zero")
    arguments = parser.parse_args()
    frames = round(arguments.seconds * FRAMES_PER_SECOND)
    print("| network | weights, MB | engine | hot, median µs | paced, median µs | paced, p99 µs | paced, % of a core |")
    print("|---|---|---|---|---|---|---|")
    for preset in arguments.presets:
        model = random_model(preset, arguments.density)
        engines: dict[str, Enhances] = {
            f"core, {kernel}": native.FrameEnhancer(model, kernel=kernel) for kernel in native.kernels()
        }
        engines |= {
            "core, single precision": native.FrameEnhancer(model, exact=True),
            "NumPy": reference.FrameEnhancer(model),
        }
        systems = [LiveSystem(name, frames_of(enhancer)) for name, enhancer in engines.items()]
        systems.append(reading(weight_bytes(model)))
        hot, paced = (take_turns(systems, frames, paced=paced) for paced in (False, True))
        for name, times in paced.items():
            figures = times.summary()["cpu_us"]
            numbers = [hot[name].summary()["cpu_us"]["median"], figures["median"], figures["p99"]]
            row = [preset, f"{weight_bytes(model) / 1e6:.1f}", name, *(f"{us:.0f}" for us in numbers)]
            print(f"| {' | '.join(row)} | {100 * figures['median'] / FRAME_US:.1f} |", flush=True)


if __name__ == "__main__":
    main()
