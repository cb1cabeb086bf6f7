"""Enhance a recording with a network that runs as an ONNX graph: the whole signal path, box by box, in NumPy.

    pip install percepnet onnxruntime
    python enhance_with_onnx.py noisy.wav clean.wav [network_int8.onnx]

A model with a network for bins has a second graph, bins_int8.onnx, which is taken from beside the first.

What stands around the network in a port to a phone or another runtime is what this imports from `percepnet.reference`:
each box is one short file there. A frame is 20 ms at 48 kHz, a hop 10 ms, and the output is `delay_samples` late.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile

from percepnet.model.header import read_header
from percepnet.params import HOP_SAMPLES, SAMPLE_RATE_HZ, SignalParams
from percepnet.reference.analysis import Analysis
from percepnet.reference.bands import bands_of
from percepnet.reference.highpass import undo_phase
from percepnet.reference.mix import enhance_spectrum
from percepnet.reference.noise_shape import NoiseShape
from percepnet.reference.windows import OverlapAdd


class OnnxNetwork:
    """One frame at a time; what the graph remembers goes from each `NAME_state_next` to the next `NAME_state`."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # a frame is too short to share
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.beside = path.with_name(path.name.replace("network", "bins"))
        self.names = [output.name for output in self.session.get_outputs()]
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        shapes = {x.name: x.shape for x in self.session.get_inputs()}
        self.state = {name: np.zeros(shape, np.float32) for name, shape in shapes.items() if name.endswith("_state")}

    def outputs(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """What the graph gives of one frame, such as gains and strengths."""
        outputs = dict(zip(self.names, self.session.run(None, {**inputs, **self.state}), strict=True))
        self.state = {name: outputs[f"{name}_next"] for name in self.state}
        return outputs

    def signal_params(self) -> SignalParams:
        """Bands, look-ahead, high-pass and features that the network was trained for."""
        header = self.session.get_modelmeta().custom_metadata_map["percepnet"]
        return read_header({"percepnet": header}).params


class OnnxBins(OnnxNetwork):
    """The network for bins of models that have one, 160 rows a frame."""

    def step(self, ratios: np.ndarray) -> np.ndarray:
        """By how much of itself the factor of each bin is to change."""
        return self.outputs(bins=ratios)["shape"][:, 0]


def enhance(x: np.ndarray, network: OnnxNetwork) -> np.ndarray:
    """A mono recording at 48 kHz, not delayed."""
    params = network.signal_params()
    bands, analysis = bands_of(params.band_edges), Analysis(params, channels=1)
    shape = NoiseShape(bands, OnnxBins(network.beside) if network.beside.exists() else None)
    delay_samples = params.latency_samples
    rest = np.full(delay_samples + -len(x) % HOP_SAMPLES, x[-1])  # a step at the end would sound through the high-pass
    padded = np.concatenate([x, rest]).astype(np.float32)
    overlap, hops = OverlapAdd(channels=1), []
    for i, hop in enumerate(padded.reshape(-1, 1, HOP_SAMPLES)):
        if i == len(x) // HOP_SAMPLES:
            analysis.end()
        frames = analysis.push(hop)  # spectra and features of the frame that is decided now
        decided = network.outputs(features=frames.features)
        gains, strengths = decided["gains"], decided["strengths"]
        further = shape.push(analysis.coming, frames.comb[0], gains[0], strengths[0])  # noise lies in between
        unturned = frames.unturned, frames.combs * undo_phase(params.highpass_hz)  # three windows
        changed = enhance_spectrum(
            frames.noisy, frames.comb, gains, strengths, bands, post_filter=False, unturned=unturned
        )
        hops.append(overlap.push(changed[0] * further)[0])
    return np.concatenate(hops)[delay_samples:][: len(x)]


def main() -> None:
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    graph = Path(sys.argv[3]) if len(sys.argv) == 4 else Path(__file__).with_name("network_float32.onnx")
    if not graph.is_file():
        sys.exit(f"{graph}: no such graph: percepnet export --onnx writes it")
    try:
        x, rate_hz = soundfile.read(sys.argv[1], dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        sys.exit(f"{sys.argv[1]}: cannot be read ({error})")
    if not len(x):
        sys.exit(f"{sys.argv[1]} has no sound")
    if rate_hz != SAMPLE_RATE_HZ:
        sys.exit(f"{sys.argv[1]} is at {rate_hz} Hz: convert it to {SAMPLE_RATE_HZ} Hz first")
    channels = [enhance(channel, OnnxNetwork(graph)) for channel in x.T]
    soundfile.write(sys.argv[2], np.stack(channels, axis=1), rate_hz, subtype="FLOAT")


if __name__ == "__main__":
    main()
