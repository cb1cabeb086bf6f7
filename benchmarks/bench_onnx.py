"""Time of a frame of 10 ms: the graphs of `percepnet export --onnx` in onnxruntime, next to the C core, in one run.

    pip install '.[onnx]' onnxruntime
    python benchmarks/bench_onnx.py [--seconds 10] [--models small default]

The core's time is that of a whole hop, signal path and network; a graph is the network alone.
"""

import argparse
from collections.abc import Callable

import numpy as np
import onnxruntime

from percepnet import native
from percepnet.arrays import Samples
from percepnet.bench.measure import FRAME_US, take_turns
from percepnet.model import FEATURES, Model, load_model
from percepnet.onnx_export.graph import STATE, network_graph
from percepnet.params import FRAMES_PER_SECOND
from percepnet.systems.system import LiveSystem


def frames_of_graph(model: Model, int8: bool) -> Callable[[Samples], object]:
    """A graph as a system that is timed: features of noise, and states that go from frame to frame."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a frame is too short to share
    graph = network_graph(model, int8).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    state = {x.name: np.zeros(x.shape, np.float32) for x in session.get_inputs() if x.name.endswith(STATE)}
    features = np.random.default_rng(0).uniform(-1, 1, (1, model.params.features)).astype(np.float32)

    def process(_: Samples) -> object:
        outputs = dict(zip(names, session.run(None, {FEATURES: features, **state}), strict=True))
        state.update({name: outputs[f"{name}_next"] for name in state})
        return outputs

    return process


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
        systems = [
            LiveSystem("core, the whole hop", lambda hop, core=core: core.process(hop[None])),
            LiveSystem("graph, single precision", frames_of_graph(model, int8=False)),
            LiveSystem("graph, 8 bits", frames_of_graph(model, int8=True)),
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
