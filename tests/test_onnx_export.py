"""ONNX graphs of any network: the float one against NumPy, the 8-bit one against the core, and sound through both."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

pytest.importorskip("onnx", reason="needs onnx: pip install 'percepnet[onnx]'")
ort = pytest.importorskip("onnxruntime", reason="needs onnxruntime")

import percepnet
from percepnet import native
from percepnet.errors import PercepNetError
from percepnet.model import PRESETS, Model, load_model
from percepnet.model.presets import with_bins
from percepnet.onnx_export import FLOAT32, INT8, export_onnx
from percepnet.onnx_export.files import vectors_of
from percepnet.onnx_export.graph import NEXT, STATE, network_graph
from percepnet.params import BIN_FEATURES, SHAPED_BINS, SignalParams
from percepnet.reference.network import BinNetwork
from test_layers import every_kind, random_model
from voices import glide, noise

try:
    native.library()
except native.CoreMissing as missing:
    pytest.skip(str(missing), allow_module_level=True)

FRAMES = 1000


def run(graph, features):
    """All frames through a graph, its states given back to it."""
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    feed = {x.name: np.zeros(x.shape, np.float32) for x in session.get_inputs() if x.name != "features"}
    names = [output.name for output in session.get_outputs()]
    found = {}
    for frame in features:
        outputs = dict(zip(names, session.run(None, {"features": frame[None], **feed}), strict=True))
        feed = {name: outputs[name.replace(STATE, NEXT)] for name in feed}
        for name, y in outputs.items():
            if not name.endswith(NEXT):
                found.setdefault(name, []).append(y[0])
    return {name: np.stack(frames) for name, frames in found.items()}


def saved_and_read(model):
    return Model.from_bytes(model.to_bytes())


def of_preset(name):
    params = SignalParams(highpass_hz=30.0)
    rng = np.random.default_rng(3)
    shapes = PRESETS[name].shapes(params)
    # as large as before training; larger ones make a step of 8 bits, which tanh in its last bit can tip, count for more
    spread = {n: 1.0 if len(s) == 1 else 1 / np.sqrt(np.prod(s[1:])) for n, s in shapes.items()}
    weights = {n: (spread[n] * rng.uniform(-1, 1, s)).astype(np.float32) for n, s in shapes.items()}
    return Model(params, PRESETS[name], weights)


MODELS = {
    "every kind of layer": lambda: random_model(every_kind()),
    "every kind in 8 bits": lambda: random_model(every_kind("int8")),
    "gated": lambda: of_preset("gated"),
    "small": lambda: load_model("small"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_thousand_frames_are_those_of_numpy(name):
    model = saved_and_read(MODELS[name]())
    vectors = vectors_of(model, FRAMES)
    found = run(network_graph(model, int8=False).SerializeToString(), vectors["features"])
    assert set(found) == set(model.architecture.heads) - {"shape"}
    for head, y in found.items():
        assert np.ptp(y) > 1e-3
        np.testing.assert_allclose(y, vectors[f"{head}_float32"], atol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_a_thousand_frames_in_8_bits_are_those_of_the_core(name):
    """But for activations in the middle between two of the 255 steps, which the last bit of a tanh may tip, and which
    recurrences keep."""
    model = saved_and_read(MODELS[name]())
    vectors = vectors_of(model, FRAMES)
    found = run(network_graph(model, int8=True).SerializeToString(), vectors["features"])
    for head in found:
        error = np.abs(found[head] - vectors[f"{head}_int8"])
        assert np.mean(error <= 1e-3) > 0.94
        assert error.max() < 1e-2
        # the rounding is the core's, not another one of the same size: at first, before what was tipped has added up
        other = np.abs(vectors[f"{head}_float32"] - vectors[f"{head}_int8"])
        assert np.mean(error[:20] <= 1e-3) > 0.99
        assert error[:20].mean() < 0.1 * other[:20].mean() or other.max() < 1e-5


def test_bins_go_through_a_graph_of_their_own():
    model = saved_and_read(random_model(with_bins(PRESETS["tiny"])))
    ratios = np.random.default_rng(0).uniform(-0.5, 0.5, (50, SHAPED_BINS, BIN_FEATURES)).astype(np.float32)
    for int8 in (False, True):
        session = ort.InferenceSession(network_graph(model, int8, "bins").SerializeToString())
        feed = {x.name: np.zeros(x.shape, np.float32) for x in session.get_inputs()}
        assert feed.pop("bins").shape == ratios[0].shape
        definition = BinNetwork(model)
        for frame in ratios:
            shape, state = session.run(["shape", "bin_memory_state_next"], {"bins": frame, **feed})
            feed = {"bin_memory_state": state}
            np.testing.assert_allclose(shape[:, 0], definition.step(frame), atol=1e-5)
        assert np.ptp(shape) > 0.1
    assert "shape" not in [output.name for output in network_graph(model, int8=False).graph.output]


def test_the_8_bit_graph_multiplies_integers():
    operators = [node.op_type for node in network_graph(load_model("small"), int8=True).graph.node]
    assert operators.count("MatMulInteger") == 2 + 2 * 5 + 1  # convolutions, GRUs, gains
    assert "MatMulInteger" not in [node.op_type for node in network_graph(load_model("small"), int8=False).graph.node]


def test_states_are_explicit_and_shapes_constant():
    graph = network_graph(random_model(every_kind()), int8=False).graph
    inputs = {x.name: [d.dim_value for d in x.type.tensor_type.shape.dim] for x in graph.input}
    assert inputs.pop("features")[0] == 1
    assert inputs == {
        "depthwise_state": [1, 6, 24], "dilated_state": [1, 8, 24], "memory_state": [1, 24], "gru_state": [1, 24]
    }  # fmt: skip
    assert {x.name for x in graph.output} >= {name.replace(STATE, NEXT) for name in inputs}


@pytest.mark.parametrize("graph", [FLOAT32, INT8])
def test_the_script_beside_the_graphs_enhances_as_the_core_does(tmp_path, graph):
    files = export_onnx(load_model("small"), tmp_path / "out")
    x, _ = glide(4, 1.0)
    x = (x + noise(4, len(x), 0.02)).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", x, 48000, subtype="FLOAT")
    command = [sys.executable, str(files[-1]), "x.wav", "y.wav", str(tmp_path / "out" / graph)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    y, _ = soundfile.read(tmp_path / "y.wav", dtype="float32")
    if graph == INT8:
        np.testing.assert_allclose(y, percepnet.enhance(x, 48000, model="small", engine="core"), atol=1e-3)
    else:
        np.testing.assert_allclose(y, percepnet.enhance(x, 48000, model="small", engine="numpy"), atol=1e-3)


def test_vectors_beside_the_graphs_are_what_the_graphs_give(tmp_path):
    export_onnx(load_model("small"), tmp_path)
    with np.load(tmp_path / "vectors.npz") as vectors:
        found = run(str(tmp_path / INT8), vectors["features"])
        np.testing.assert_allclose(found["gains"], vectors["gains_int8"], atol=1e-2)
        found = run(str(tmp_path / FLOAT32), vectors["features"])
        np.testing.assert_allclose(found["gains"], vectors["gains_float32"], atol=1e-3)


def test_files_are_not_replaced_without_a_word(tmp_path):
    model = load_model("small")
    export_onnx(model, tmp_path)
    with pytest.raises(PercepNetError, match="--overwrite"):
        export_onnx(model, tmp_path)
    assert len(export_onnx(model, tmp_path, overwrite=True)) == 6  # with two for bins
