"""Time of a frame of 10 ms: the graphs of `percepnet export --onnx` in onnxruntime, next to the C core, in one run.

    pip install '.[onnx]' onnxruntime
    python benchmarks/bench_onnx.py [--seconds 10] [--models small default]

The core's time is that of a whole hop, signal path and network; a graph is the network alone.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from percepnet import native
from percepnet.arrays import Samples
from percepnet.bench.measure import FRAME_US, take_turns
from percepnet.model import load_model
from percepnet.onnx_export import FLOAT32, INT8, export_onnx
from percepnet.onnx_export.enhance_with_onnx import OnnxNetwork
from percepnet.params import FRAMES_PER_SECOND
from percepnet.systems.system import LiveSystem


def frames_of_graph(graph: Path) -> Callable[[Samples], object]:
    """A graph as a system that is timed: features of noise, and states that go from frame to frame."""
    network = OnnxNetwork(graph)
    count = network.signal_params().features
    features = np.random.default_rng(0).uniform(-1, 1, (1, count)).astype(np.float32)
    return lambda _: network.step(features)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of audio for each measurement")
    parser.add_argument("--models", nargs="+", default=["small", "default"], help="names or paths")
    arguments = parser.parse_args()
    print("| model | what runs | paced, median µs | paced, p99 µs | % of a core | times the core |")
    print("|---|---|---|---|---|---|")
    for name in arguments.models:
        model = load_model(name)
        core = native.FrameEnhancer(model)
        with TemporaryDirectory() as folder:
            export_onnx(model, Path(folder), overwrite=True)
            systems = [
                LiveSystem("core, the whole hop", lambda hop, core=core: core.process(hop[None])),
                LiveSystem("graph, single precision", frames_of_graph(Path(folder) / FLOAT32)),
                LiveSystem("graph, 8 bits", frames_of_graph(Path(folder) / INT8)),
            ]
        found = take_turns(systems, round(arguments.seconds * FRAMES_PER_SECOND), paced=True)
        figures = {system: times.summary()["cpu_us"] for system, times in found.items()}
        reference = figures[systems[0].name]["median"]
        for system, cpu_us in figures.items():
            row = [name, system, f"{cpu_us['median']:.0f}", f"{cpu_us['p99']:.0f}"]
            row += [f"{100 * cpu_us['median'] / FRAME_US:.1f}", f"{cpu_us['median'] / reference:.2f}"]
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
