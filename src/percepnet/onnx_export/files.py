"""What is written for a model: two graphs, numbers to check them by, and a script that runs them on sound."""

import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from percepnet import native
from percepnet.atomic import refuse_existing
from percepnet.errors import PercepNetError
from percepnet.model import Model
from percepnet.onnx_export.graph import network_graph
from percepnet.params import HOP_SAMPLES, SAMPLE_RATE_HZ
from percepnet.reference.layers import FEATURES, PER_BIN
from percepnet.reference.network import Network

FLOAT32, INT8 = "network_float32.onnx", "network_int8.onnx"
BINS_FLOAT32, BINS_INT8 = "bins_float32.onnx", "bins_int8.onnx"
VECTORS, SCRIPT = "vectors.npz", "enhance_with_onnx.py"
VECTOR_FRAMES = 200

Array = npt.NDArray[np.float32]


def export_onnx(model: Model, folder: Path, overwrite: bool = False) -> list[Path]:
    """Write a model's network as ONNX graphs of one frame, with explicit states.

    Parameters
    ----------
    model : Model
    folder : Path
        Is made if it is not there.
    overwrite : bool
        Whether files in it may be replaced.

    Returns
    -------
    list of Path
        `network_float32.onnx`; `network_int8.onnx`, with the core's own rounding; `vectors.npz`, features of 2 s and
        what both graphs make of them; `enhance_with_onnx.py`, the signal path around either graph in NumPy; and of a
        model with a network for bins `bins_float32.onnx` and `bins_int8.onnx`, which the script wants beside them.

    Raises
    ------
    PercepNetError
        If a file is there already, or cannot be written.
    CoreMissing
        If this installation has no core to calculate the vectors with.
    """
    names = {FEATURES: (FLOAT32, INT8), **({PER_BIN: (BINS_FLOAT32, BINS_INT8)} if model.architecture.has_bins else {})}
    graphs = {
        folder / name: network_graph(model, bool(int8), source).SerializeToString(deterministic=True)
        for source, both in names.items()
        for int8, name in enumerate(both)
    }
    vectors_file, script_file = (folder / name for name in (VECTORS, SCRIPT))
    files = [*graphs, vectors_file, script_file]
    refuse_existing(files, overwrite=overwrite, instead="folder")
    vectors = vectors_of(model)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, graph in graphs.items():
            path.write_bytes(graph)
        np.savez_compressed(vectors_file, allow_pickle=False, **vectors)
        with resources.as_file(resources.files("percepnet.onnx_export") / "enhance_with_onnx.py") as script:
            shutil.copy(script, script_file)
    except OSError as error:
        raise PercepNetError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return files


def vectors_of(model: Model, frames: int = VECTOR_FRAMES) -> dict[str, Array]:
    """Features of a synthetic voice in noise, and what the network decides frame by frame, from zero states.

    Parameters
    ----------
    model : Model
    frames : int

    Returns
    -------
    dict of str to np.ndarray [shape=(frames, ...)]
        `features`; `gains_float32` and `strengths_float32` by the definition in NumPy; `gains_int8` and
        `strengths_int8` by the C core; and `speech_float32`, `speech_int8` of a model that says how probable speech is.
    """
    stream = native.Stream(model, block_hops=1)
    network, heads = Network(model), model.architecture.heads
    state = network.initial_state()
    found: dict[str, list[Array]] = {"features": []}
    for hop in _voice(frames).reshape(frames, 1, HOP_SAMPLES):
        stream.process(hop)
        decided = stream.inspect()
        found["features"].append(decided.features)
        outputs = network.outputs(decided.features, state)
        by_core = {"gains": decided.gains, "strengths": decided.strengths}
        if "speech" in heads:
            by_core["speech"] = np.array([stream.speech_probability], np.float32)
        for head, layer in heads.items():
            if head not in by_core:
                continue
            found.setdefault(f"{head}_float32", []).append(outputs[layer])
            found.setdefault(f"{head}_int8", []).append(by_core[head])
    return {name: np.stack(arrays) for name, arrays in found.items()}


def _voice(frames: int) -> Array:
    """Pulses of a falling and rising pitch, in bursts of a third of a second, in noise."""
    time_s = np.arange(frames * HOP_SAMPLES) / SAMPLE_RATE_HZ
    turns = np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.7 * time_s)) / SAMPLE_RATE_HZ
    harmonics = sum(np.sin(2 * np.pi * k * turns) / k for k in range(1, 30))
    talking = (np.sin(2 * np.pi * 1.5 * time_s) > 0).astype(np.float64)
    noise = np.random.default_rng(0).normal(0, 0.01, len(time_s))
    return (0.1 * harmonics * talking + noise).astype(np.float32)
