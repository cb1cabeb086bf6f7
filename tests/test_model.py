import gc
import itertools
import json
import os
import re
import struct
import threading
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load, save

from percepnet import native
from percepnet.errors import ModelError
from percepnet.model import (
    KINDS,
    PRESETS,
    Architecture,
    Layer,
    Model,
    architecture_from_json,
    architecture_to_json,
    article_network,
    block_density,
    dequantise,
    load_model,
    model_names,
    quantise,
    save_model,
    shared_model,
)
from percepnet.model.container import parse_json
from percepnet.model.presets import with_bins
from percepnet.params import FEATURE_SIZES, HIGHPASS_HZ, TRAINED_FEATURES, SignalParams
from percepnet.reference.network import Network

EVERY_KIND = Architecture(
    (
        Layer("first", "dense", ("features",), 6, "relu"),
        Layer("wide", "convolution", ("first",), 6, "tanh", "int8", 3, 2),
        Layer("alone", "convolution", ("wide",), 6, "linear", "float32", 4, 3, True),
        Layer("both", "sum", ("wide", "alone", "first")),
        Layer("even", "normalisation", ("both",)),
        Layer("slow", "gru", ("even",), 5, precision="int8"),
        Layer("quick", "gated_recurrence", ("even",), 4, precision="int8"),
        Layer("all", "concatenation", ("slow", "quick", "features")),
        Layer("gain", "dense", ("all",), "bands", "sigmoid"),
        Layer("strength", "dense", ("quick",), "bands", "sigmoid", "int8"),
        Layer("voice", "dense", ("slow",), 1, "sigmoid"),
    ),
    {"gains": "gain", "strengths": "strength", "speech": "voice"},
)
EVERY_BLOCK = SignalParams(1, (0, 4, 16, 64, 400), 30.0, tuple(reversed(FEATURE_SIZES)))
OF_ARTICLE = {"dense": 16, "conv1": 16, "conv2": 16, "gru": 16, "strength_gru": 8}  # the preset "tiny"


def random_model(architecture=PRESETS["tiny"], params=None, seed=0):
    rng = np.random.default_rng(seed)
    params = params or SignalParams()
    weights = {
        name: rng.uniform(-0.5, 0.5, shape).astype(np.float32) for name, shape in architecture.shapes(params).items()
    }
    return Model(params, architecture, weights, {"corpus": "white noise, CC0", "hours": "1.5"})


@pytest.fixture
def model():
    return random_model()


@pytest.fixture
def path(tmp_path, model):
    file = tmp_path / "model.safetensors"
    save_model(model, file)
    return file


def as_format_1(path):
    """The file of a "tiny" model as the first format wrote it, by hand."""
    metadata = {
        "format_version": 1,
        "params": {"lookahead_frames": 2, "band_edges": list(SignalParams().band_edges)},
        "architecture": OF_ARTICLE,
        "info": {"hours": "1.5"},
    }
    path.write_bytes(save(load(path.read_bytes()), {"percepnet": json.dumps(metadata)}))


def refused(path):
    """What Python says of a file, in which the core agrees: it names the same field."""
    with pytest.raises(ModelError) as by_python:
        load_model(path)
    with pytest.raises(ModelError) as by_core:
        native.check_model(path.read_bytes())
    message = str(by_python.value).removeprefix(f"{path}: ")
    assert field(str(by_core.value)) == field(message)
    assert "\n" not in message + str(by_core.value)
    return message


def field(message):
    return re.match(r"[\w.]*", message)[0]


def metadata_of(path):
    blob = path.read_bytes()
    header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
    return json.loads(header["__metadata__"]["percepnet"])


def rewrite(path, *, change_tensors=None, change_metadata=None):
    tensors = load(path.read_bytes())
    metadata = metadata_of(path)
    if change_tensors:
        change_tensors(tensors)
    if change_metadata:
        change_metadata(metadata)
    path.write_bytes(save(tensors, {"percepnet": json.dumps(metadata)}))


def test_published_size():
    shapes = article_network().shapes(SignalParams())
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 7_962_564  # summed by hand, layer by layer


def test_small_preset_is_about_a_million():
    shapes = PRESETS["small"].shapes(SignalParams())
    assert 1.0e6 < sum(int(np.prod(shape)) for shape in shapes.values()) < 1.5e6


def test_round_trip(path, model):
    loaded = load_model(path)
    assert loaded.params == model.params
    assert loaded.architecture == model.architecture
    assert loaded.info == model.info
    assert loaded.weight_count == model.weight_count
    int8_names = model.architecture.int8_names(model.params)
    assert "gru1.weight_hh" in int8_names
    assert "gain.weight" not in int8_names
    for name, weight in model.weights.items():
        # rounding to 127 steps of the row's maximum leaves at most half a step
        largest = np.abs(weight.reshape(len(weight), -1)).max(axis=1)
        step = largest / 127 if name in int8_names else np.zeros(len(weight))
        error = np.abs(weight - loaded.weights[name]).reshape(len(weight), -1).max(axis=1)
        assert (error <= 0.5001 * step).all(), name


def test_every_kind_round_trips(tmp_path):
    model, path = random_model(EVERY_KIND, EVERY_BLOCK), tmp_path / "m.safetensors"
    assert {layer.kind for layer in EVERY_KIND.layers} == set(KINDS)
    save_model(model, path)
    native.check_model(path.read_bytes())
    loaded = load_model(path)
    assert (loaded.params, loaded.architecture) == (EVERY_BLOCK, EVERY_KIND)
    assert set(loaded.weights) == set(model.weights)
    exact = Model.from_bytes(model.to_bytes(exact=True))
    assert exact.architecture == EVERY_KIND.in_single_precision()
    for name, weight in model.weights.items():
        np.testing.assert_array_equal(exact.weights[name], weight)
    native.check_model(model.to_bytes(exact=True))


def test_only_what_a_kind_has_is_written(tmp_path):
    save_model(random_model(EVERY_KIND, EVERY_BLOCK), tmp_path / "m.safetensors")
    layers = {layer["name"]: set(layer) - {"name", "kind", "inputs"} for layer in metadata_of_layers(tmp_path)}
    assert layers["even"] == layers["all"] == set()
    assert layers["slow"] == {"units", "precision"}
    assert layers["voice"] == {"units", "precision", "activation"}
    assert layers["wide"] == {"units", "precision", "activation", "taps", "dilation", "depthwise"}


def metadata_of_layers(folder):
    return metadata_of(folder / "m.safetensors")["layers"]


def test_a_file_is_given_back_as_it_is(path, tmp_path):
    whole = path.read_bytes()
    model = load_model(path)
    assert model.to_bytes() is model.to_bytes()
    assert model.to_bytes() == whole
    save_model(model, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == whole
    assert len(whole) % 8 == 0  # a header that is padded, as safetensors does
    header_end = 8 + int.from_bytes(whole[:8], "little")
    assert header_end % 8 == 0


def test_weights_of_a_file_are_read_only_and_decoded_once(path, model):
    loaded = load_model(path)
    assert loaded.weight_count == model.weight_count
    assert loaded._weights is None
    assert loaded.weights is loaded.weights
    with pytest.raises(ValueError, match="read-only"):
        loaded.weights["gain.bias"][0] = 1


def test_format_1_gives_the_same_model(path, tmp_path):
    second = load_model(path)
    as_format_1(path)
    first = load_model(path)
    native.check_model(path.read_bytes())
    assert (first.params, first.architecture) == (second.params, article_network(**OF_ARTICLE))
    assert first.info == {"hours": "1.5"}
    for name, weight in second.weights.items():
        np.testing.assert_array_equal(first.weights[name], weight)
    assert first.to_bytes() == path.read_bytes()


def test_format_1_is_saved_as_format_2_with_its_integers(path, tmp_path):
    tensors = load(path.read_bytes())
    # a row whose largest integer is not 127 would be rounded anew if it went through single precision
    tensors["gru1.weight_hh"] = np.clip(tensors["gru1.weight_hh"], -90, 90)
    path.write_bytes(save(tensors, {"percepnet": json.dumps(metadata_of(path))}))
    as_format_1(path)
    save_model(load_model(path), tmp_path / "m.safetensors")
    assert metadata_of(tmp_path / "m.safetensors")["format_version"] == 2
    again = load((tmp_path / "m.safetensors").read_bytes())
    assert set(again) == set(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(again[name], tensor)
        assert again[name].dtype == tensor.dtype


def test_format_1_may_hold_matrices_in_single_precision(path, model):
    as_format_1(path)
    blob = path.read_bytes()

    def unpack(tensors):
        tensors["gru2.weight_hh"] = model.weights["gru2.weight_hh"]
        del tensors["gru2.weight_hh.scale"]

    rewrite(path, change_tensors=unpack)
    native.check_model(path.read_bytes())
    np.testing.assert_array_equal(load_model(path).weights["gru2.weight_hh"], model.weights["gru2.weight_hh"])
    path.write_bytes(blob)
    rewrite(path, change_tensors=unpack, change_metadata=as_second)
    assert refused(path).startswith("gru2.weight_hh: expected type I8, found F32")


def as_second(metadata):
    metadata.clear()
    metadata.update(json.loads(second_metadata()))


def second_metadata():
    blob = random_model().to_bytes()
    header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
    return header["__metadata__"]["percepnet"]


def test_equal_weights_equal_decisions_of_both_formats(path):
    second = load_model(path)
    as_format_1(path)
    features = np.random.default_rng(1).normal(size=(5, 70)).astype(np.float32)
    for found, expected in zip(Network(load_model(path)).run(features), Network(second).run(features), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_other_params_survive(tmp_path):
    model = random_model(params=SignalParams(lookahead_frames=0, band_edges=(0, 4, 16, 64, 400)))
    save_model(model, tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").params == model.params


def test_transposed_weights_are_stored_as_they_read(model, tmp_path):
    turned = {name: np.asfortranarray(weight) for name, weight in model.weights.items()}
    save_model(Model(model.params, model.architecture, turned), tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.weights["gain.weight"], model.weights["gain.weight"])


def test_quantise_by_hand():
    weight = np.array([[0.5, -0.25, 0.0], [0.0, 0.0, 0.0]], np.float32)
    integers, scale = quantise(weight)
    assert integers.tolist() == [[127, -64, 0], [0, 0, 0]]
    np.testing.assert_allclose(scale, [0.5 / 127, 0])
    np.testing.assert_allclose(dequantise(integers, scale)[0], [0.5, -64 * 0.5 / 127, 0], rtol=1e-6)


def test_truncated(path):
    blob = path.read_bytes()
    for length in (0, 4, 100, len(blob) // 2, len(blob) - 1):
        path.write_bytes(blob[:length])
        refused(path)
        with pytest.raises(ModelError, match=r"model\.safetensors"):
            load_model(path)
    path.write_bytes(blob + b"\0")
    assert "not a whole safetensors file" in refused(path)


def test_not_a_model_file(tmp_path):
    file = tmp_path / "speech.wav"
    file.write_bytes(b"RIFF" + bytes(1000))
    with pytest.raises(ModelError, match="not a percepnet model"):
        load_model(file)


def test_safetensors_of_something_else(tmp_path):
    file = tmp_path / "other.safetensors"
    file.write_bytes(save({"x": np.zeros(3, np.float32)}, {"format": "pt"}))
    with pytest.raises(ModelError, match="not a percepnet model"):
        load_model(file)


def test_newer_formats_are_refused_by_what_they_need(path):
    rewrite(path, change_metadata=lambda metadata: metadata.update(format_version=3, layers="of another form"))
    message = refused(path)
    assert message.startswith("format_version: ")
    assert "expected up to 2, found 3" in message
    assert "use a newer percepnet" in message
    for version in (0, -1, 2.0, "2", True, None, 10**40):
        rewrite(path, change_metadata=lambda metadata, version=version: metadata.update(format_version=version))
        assert refused(path).startswith("format_version: ")


def test_requirements_that_are_unknown_are_refused(path):
    for wanted in (["far-end"], [3], "far-end", {}):
        rewrite(path, change_metadata=lambda metadata, wanted=wanted: metadata.update(requires=wanted))
        assert refused(path).startswith("requires: ")
    rewrite(path, change_metadata=lambda metadata: metadata.update(requires=["far-end"]))
    assert "far-end" in refused(path)
    assert "newer percepnet" in refused(path)
    rewrite(path, change_metadata=lambda metadata: metadata.update(requires=[]))
    load_model(path)
    native.check_model(path.read_bytes())


def test_unknown_keys_are_ignored(path, model):
    def change(metadata):
        metadata["of tomorrow"] = {"deep": [[{}, "\u00e9\ud83d\ude00\\"]], "none": None}
        metadata["signal"]["of tomorrow"] = 1.5e-3
        metadata["heads"]["of tomorrow"] = "gain"
        metadata["layers"][0]["of tomorrow"] = ["]", '"', {}]

    rewrite(path, change_metadata=change)
    native.check_model(path.read_bytes())
    assert load_model(path).architecture == model.architecture


def test_what_a_layer_does_not_say_is_the_default(path, model):
    def change(metadata):
        for layer in metadata["layers"]:
            for name in ("dilation", "depthwise") + (("activation",) if layer["kind"] == "gru" else ()):
                layer.pop(name, None)
            if layer.get("taps") == 1 or layer.get("precision") == "float32":
                layer.pop("taps", None), layer.pop("precision", None)

    rewrite(path, change_metadata=change)
    native.check_model(path.read_bytes())
    assert load_model(path).architecture == model.architecture


def test_missing_field(path):
    rewrite(path, change_tensors=lambda tensors: tensors.pop("gru2.bias_hh"))
    assert re.match(r"gru2\.bias_hh: expected this field, found none", refused(path))


def test_missing_scale(path):
    rewrite(path, change_tensors=lambda tensors: tensors.pop("gru2.weight_hh.scale"))
    assert re.match(r"gru2\.weight_hh\.scale: expected shape \(48,\), found no such field", refused(path))


@pytest.mark.parametrize("name", ["gru9", "gru2.weight", "gain.weight.scale", "gru2.bias_hh.scale", "skips.weight"])
def test_unknown_field(path, name):
    rewrite(path, change_tensors=lambda tensors: tensors.update({name: np.zeros(1, np.float32)}))
    assert refused(path).startswith(f"{name}: found this field")


def test_wrong_shape(path):
    rewrite(path, change_tensors=lambda tensors: tensors.update({"gain.bias": np.zeros(33, np.float32)}))
    assert re.match(r"gain\.bias: expected shape \(34,\), found \(33,\)", refused(path))
    rewrite(path, change_tensors=lambda tensors: tensors.update({"gain.bias": np.zeros((34, 1), np.float32)}))
    assert re.match(r"gain\.bias: expected shape \(34,\), found \(34, 1\)", refused(path))


def test_wrong_type(path):
    rewrite(path, change_tensors=lambda tensors: tensors.update({"gain.bias": np.zeros(34, np.float64)}))
    assert re.match(r"gain\.bias: expected type F32, found F64", refused(path))
    rewrite(path, change_tensors=lambda tensors: tensors.update({"gain.bias": np.zeros(34, np.int8)}))
    assert re.match(r"gain\.bias: expected type F32, found I8", refused(path))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_not_finite(path, number):
    rewrite(path, change_tensors=lambda tensors: tensors.update({"gain.bias": np.full(34, number, np.float32)}))
    assert re.match(r"gain\.bias: expected finite numbers", refused(path))


def test_too_large_to_calculate_with(path):
    rewrite(path, change_tensors=lambda tensors: tensors.update({"gain.bias": np.full(34, -2e6, np.float32)}))
    assert re.match(r"gain\.bias: expected numbers up to 1e\+06", refused(path))


@pytest.mark.parametrize("number", [np.nan, np.inf, -1e-9, 1.001])
def test_scales_out_of_range(path, number):
    rewrite(path, change_tensors=lambda tensors: tensors["gru1.weight_ih.scale"].__setitem__(5, np.float32(number)))
    assert refused(path).startswith("gru1.weight_ih.scale: expected numbers from 0 to 1")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("params", [], "params: expected a JSON object"),
        ("params", {"lookahead_frames": 2}, "params: expected the fields"),
        ("params", {"lookahead_frames": 2, "band_edges": [0, 4], "highpass_hz": 0}, "params: expected the fields"),
        ("params", {"lookahead_frames": 9, "band_edges": [0, 4]}, "params.lookahead_frames is 9"),
        ("params", {"lookahead_frames": 2, "band_edges": [0, "x"]}, "params.band_edges: expected a list of integers"),
        ("params", {"lookahead_frames": "2", "band_edges": [0, 4]}, "params.lookahead_frames: expected an integer"),
        ("architecture", {"dense": 4}, "architecture: expected the fields"),
        ("architecture", OF_ARTICLE | {"gru": 0}, "architecture.gru: expected an integer from 1 to 4096"),
        ("architecture", OF_ARTICLE | {"dense": "bands"}, "architecture.dense: expected an integer from 1 to 4096"),
        ("info", 3, "info: expected a JSON object"),
        ("info", {"hours": 3}, "info.hours: expected text"),
        ("of tomorrow", 3, "metadata: expected the fields"),
    ],
)
def test_damaged_metadata_of_format_1(path, name, value, message):
    as_format_1(path)
    rewrite(path, change_metadata=lambda metadata: metadata.update({name: value}))
    assert refused(path).startswith(message)


SIGNAL = {"lookahead_frames": 2, "band_edges": [0, 4, 8], "highpass_hz": 0}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("family", "rnnoise", "family: expected 'percepnet', found 'rnnoise'"),
        ("inputs", ["near", "far"], "inputs: expected ['near'], found ['near', 'far']"),
        ("inputs", "near", "inputs: "),
        ("inputs", [], "inputs: "),
        ("signal", [], "signal: expected an object"),
        ("signal", {}, "signal.band_edges: expected a list of integers"),
        ("signal", SIGNAL | {"lookahead_frames": 4}, "signal.lookahead_frames is 4"),
        ("signal", SIGNAL | {"lookahead_frames": 2.0}, "signal.lookahead_frames: expected an integer"),
        ("signal", SIGNAL | {"lookahead_frames": True}, "signal.lookahead_frames: expected an integer"),
        ("signal", SIGNAL | {"band_edges": [0]}, "signal.band_edges must increase"),
        ("signal", SIGNAL | {"band_edges": [1, 2]}, "signal.band_edges must increase"),
        ("signal", SIGNAL | {"band_edges": [0, 5, 5]}, "signal.band_edges must increase"),
        ("signal", SIGNAL | {"band_edges": [0, 481]}, "signal.band_edges must increase"),
        ("signal", SIGNAL | {"band_edges": list(range(482))}, "signal.band_edges must increase"),
        ("signal", SIGNAL | {"band_edges": [0, 10**50]}, "signal.band_edges must increase"),
        ("signal", SIGNAL | {"band_edges": [0, 1.0]}, "signal.band_edges: expected a list of integers"),
        ("signal", SIGNAL | {"highpass_hz": 0.5}, "signal.highpass_hz is 0.5"),
        ("signal", SIGNAL | {"highpass_hz": 100.1}, "signal.highpass_hz is 100.1"),
        ("signal", SIGNAL | {"highpass_hz": -30}, "signal.highpass_hz is -30"),
        ("signal", SIGNAL | {"highpass_hz": "30"}, "signal.highpass_hz: expected a number"),
        ("features", [], "features: expected at least one block"),
        ("features", ["pitch", "pitch"], "features: expected at least one block and each once"),
        ("features", ["pitch", "colour"], "features: expected band_levels"),
        ("features", ["pitch", ["pitch"]], "features: expected band_levels"),
        ("features", "pitch", "features: expected a list of names"),
        ("layers", [], "layers: expected 1 to 128, found 0"),
        ("layers", {}, "layers: expected a list of layers"),
        ("layers", [3], "layers.0: expected an object"),
        ("heads", [], "heads: expected an object"),
        ("info", None, "info: expected a JSON object"),
        ("info", {"hours": 3}, "info.hours: expected text, found 3"),
    ],
)
def test_damaged_metadata(path, name, value, message):
    rewrite(path, change_metadata=lambda metadata: metadata.update({name: value}))
    assert refused(path).startswith(message)


@pytest.mark.parametrize("name", ["family", "inputs", "signal", "features", "layers", "heads", "info"])
def test_metadata_without_a_field(path, name):
    rewrite(path, change_metadata=lambda metadata: metadata.pop(name))
    assert field(refused(path)) == name


@pytest.mark.parametrize("number", [100, 100.0, 1, 1.0, 30.5, 0, 0.0, -0.0, 99.99999999])
def test_corners_of_the_high_pass(path, number):
    rewrite(path, change_metadata=lambda metadata: metadata["signal"].update(highpass_hz=number))
    native.check_model(path.read_bytes())
    assert load_model(path).params.highpass_hz == number


LAYER_FAULTS = [
    (0, {"name": "Loud"}, "layers.0.name: expected up to 47"),
    (0, {"name": "a" * 48}, "layers.0.name: expected up to 47"),
    (0, {"name": ""}, "layers.0.name: expected up to 47"),
    (0, {"name": "first\0"}, "layers.0.name: expected up to 47"),
    (0, {"name": "first.x"}, "layers.0.name: expected up to 47"),
    (0, {"name": "_first"}, "layers.0.name: expected up to 47"),
    (0, {"name": 3}, "layers.0.name: expected text"),
    (0, {"name": "features"}, "layers.features.name: expected another one, found it twice"),
    (1, {"name": "first"}, "layers.first.name: expected another one, found it twice"),
    (0, {"kind": "lstm"}, "layers.first.kind: expected one of"),
    (0, {"kind": "dense\0"}, "layers.first.kind: expected one of"),
    (0, {"inputs": ["first"]}, "layers.first.inputs: expected earlier layers"),
    (1, {"inputs": ["gain"]}, "layers.wide.inputs: expected earlier layers"),
    (1, {"inputs": ["first\0"]}, "layers.wide.inputs: expected earlier layers"),
    (0, {"inputs": []}, "layers.first.inputs: expected 1, found 0"),
    (1, {"inputs": ["first", "first"]}, "layers.wide.inputs: expected 1, found 2"),
    (3, {"inputs": ["wide"]}, "layers.both.inputs: expected 2 to 32, found 1"),
    (3, {"inputs": ["wide"] * 33}, "layers.both.inputs: expected 2 to 32, found 33"),
    (3, {"inputs": ["wide", "features"]}, "layers.both.inputs: expected inputs of one size"),
    (0, {"inputs": "features"}, "layers.first.inputs: expected a list of names"),
    (0, {"inputs": [3]}, "layers.first.inputs: expected a list of names"),
    (0, {"units": 0}, "layers.first.units: expected an integer from 1 to 4096"),
    (0, {"units": 4097}, "layers.first.units: expected an integer from 1 to 4096"),
    (0, {"units": 6.0}, "layers.first.units: expected an integer from 1 to 4096"),
    (0, {"units": True}, "layers.first.units: expected an integer from 1 to 4096"),
    (0, {"units": "band"}, "layers.first.units: expected an integer from 1 to 4096"),
    (0, {"units": None}, "layers.first.units: expected an integer from 1 to 4096"),
    (3, {"units": 6}, "layers.both.units: expected none for sum"),
    (2, {"units": 7}, "layers.alone.units: expected 6, as it is depthwise"),
    (0, {"activation": "swish"}, "layers.first.activation: expected one that dense has, found 'swish'"),
    (0, {"activation": None}, "layers.first.activation: expected one that dense has, found None"),
    (5, {"activation": "tanh"}, "layers.slow.activation: expected one that gru has, found 'tanh'"),
    (0, {"precision": "int4"}, "layers.first.precision: expected one that dense has, found 'int4'"),
    (4, {"precision": "int8"}, "layers.even.precision: expected one that normalisation has, found 'int8'"),
    (2, {"precision": "int8"}, "layers.alone.precision: expected 'float32' of a depthwise convolution"),
    (1, {"taps": 0}, "layers.wide.taps: expected an integer from 1 to 64"),
    (1, {"taps": 65}, "layers.wide.taps: expected an integer from 1 to 64"),
    (1, {"taps": "3"}, "layers.wide.taps: expected an integer from 1 to 64"),
    (0, {"taps": 2}, "layers.first.taps: expected an integer from 1 to 1"),
    (1, {"dilation": 257}, "layers.wide.dilation: expected an integer from 1 to 256"),
    (0, {"dilation": 2}, "layers.first.dilation: expected an integer from 1 to 1"),
    (1, {"depthwise": 1}, "layers.wide.depthwise: expected one that convolution has, found 1"),
    (0, {"depthwise": True}, "layers.first.depthwise: expected one that dense has, found True"),
    (0, {"units": 7}, "layers.both.inputs: expected inputs of one size"),
    (8, {"units": 6}, "heads.gains: expected 5 units, found 6"),
    (9, {"activation": "tanh"}, "heads.strengths: expected a layer of activation 'sigmoid'"),
    (10, {"units": 2}, "heads.speech: expected 1 units, found 2"),
]


@pytest.fixture
def every_kind(tmp_path):
    file = tmp_path / "every.safetensors"
    save_model(random_model(EVERY_KIND, EVERY_BLOCK), file)
    return file


@pytest.mark.parametrize(("number", "change", "message"), LAYER_FAULTS)
def test_a_layer_that_does_not_fit(every_kind, number, change, message):
    rewrite(every_kind, change_metadata=lambda metadata: metadata["layers"][number].update(change))
    found = refused(every_kind)
    assert found.startswith(message), found


@pytest.mark.parametrize("name", ["name", "kind", "inputs", "units"])
def test_a_layer_without_a_field(every_kind, name):
    rewrite(every_kind, change_metadata=lambda metadata: metadata["layers"][0].pop(name))
    message = refused(every_kind)
    assert field(message) == f"layers.{0 if name == 'name' else 'first'}.{name}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gains": None}, "heads.gains: expected the name of a layer"),
        ({"gains": "nobody"}, "heads.gains: expected the name of a layer, found 'nobody'"),
        ({"gains": "features"}, "heads.gains: expected the name of a layer, found 'features'"),
        ({"gains": "first"}, "heads.gains: expected 5 units, found 6"),
        ({"strengths": "slow"}, "heads.strengths: expected a layer of activation 'sigmoid'"),
        ({"speech": "gain"}, "heads.speech: expected 1 units, found 5"),
    ],
)
def test_a_head_that_does_not_fit(every_kind, change, message):
    rewrite(every_kind, change_metadata=lambda metadata: metadata["heads"].update(change))
    assert refused(every_kind).startswith(message)


@pytest.mark.parametrize("head", ["gains", "strengths"])
def test_a_head_that_is_missing(every_kind, head):
    rewrite(every_kind, change_metadata=lambda metadata: metadata["heads"].pop(head))
    assert refused(every_kind).startswith(f"heads.{head}: expected the name of a layer, found no such field")


def test_too_many_layers(path):
    rows = [{"name": f"l{number}", "kind": "dense", "inputs": ["features"], "units": 1} for number in range(129)]
    rewrite(path, change_metadata=lambda metadata: metadata.update(layers=rows))
    assert refused(path).startswith("layers: expected 1 to 128, found")


def test_concatenations_do_not_grow_beyond_bounds(path):
    rows = [{"name": "l0", "kind": "dense", "inputs": ["features"], "units": 4096}]
    for number in range(1, 6):
        rows.append({"name": f"l{number}", "kind": "concatenation", "inputs": [f"l{number - 1}"] * 32})
    rewrite(
        path, change_metadata=lambda metadata: metadata.update(layers=rows, heads={"gains": "l0", "strengths": "l0"})
    )
    assert refused(path).startswith("layers.l2.units: expected at most 524288 in all layers")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "",
        "[]",
        "3",
        '"x"',
        "{}x",
        '{"a": NaN}',
        '{"a": 01}',
        '{"a": 1.}',
        '{"a": "\\ud800"}',
        '{"a": "\\x"}',
        "{'a': 1}",
        '{"a": ' + "[" * 70 + "]" * 70 + "}",
        '{"a": ' + "9" * 65 + "}",
        '{"a": "\t"}',
        '{"a": 1,}',
        '{"a": tru}',
    ],
)
def test_metadata_that_are_no_json(path, text):
    path.write_bytes(save(load(path.read_bytes()), {"percepnet": text}))
    assert refused(path).startswith("metadata: expected a JSON object, found ")


def test_json_by_the_core_s_rules():
    deepest = b"[" * 64 + b"]" * 64
    assert parse_json(b'{"a": ["\\ud83d\\ude00", 1e3, -0, null, true], "a": 2}') == {"a": 2}
    parse_json(deepest)
    for text in (b"[" + deepest + b"1]", b'"\\ude00"', b'"\\ud83d"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf1", b"[" * 10**5):
        with pytest.raises(ValueError, match=r"."):
            parse_json(text)


def headers_of(path):
    blob = path.read_bytes()
    end = 8 + int.from_bytes(blob[:8], "little")
    return json.loads(blob[8:end]), blob[end:]


def put_header(path, text, data):
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.pop("dtype"),
        lambda entry: entry.pop("shape"),
        lambda entry: entry.pop("data_offsets"),
        lambda entry: entry.update(shape=[34.0]),
        lambda entry: entry.update(shape=[-34]),
        lambda entry: entry.update(shape=[2**63, 2**63]),
        lambda entry: entry.update(shape=34),
        lambda entry: entry.update(data_offsets=[0]),
        lambda entry: entry.update(data_offsets=[0, 136, 136]),
        lambda entry: entry.update(data_offsets=[136, 0]),
        lambda entry: entry.update(data_offsets=[0, 2**62]),
        lambda entry: entry.update(data_offsets=[2**64, 2**64 + 136]),
        lambda entry: entry.update(data_offsets=[-136, 0]),
        lambda entry: entry.update(data_offsets=[0, 132]),
        lambda entry: entry.update(dtype="F64"),
        lambda entry: entry.update(dtype=["F32"]),
        lambda entry: entry.update(dtype="F32\0"),
    ],
)
def test_entries_of_tensors_that_do_not_fit(path, change):
    header, data = headers_of(path)
    change(header["gain.bias"])
    put_header(path, json.dumps(header).encode(), data)
    refused(path)


def test_tensors_in_any_order_and_place(path):
    """What the format says of the header, however it is spelt: offsets rule."""
    model = load_model(path)
    header, data = headers_of(path)
    metadata = header.pop("__metadata__")
    text, body, names = {}, b"", sorted(header, reverse=True)
    for name in names:
        begin, end = header[name]["data_offsets"]
        text[name] = header[name] | {"data_offsets": [len(body), len(body) + end - begin], "x": [1]}
        body += data[begin:end]
    text["__metadata__"] = metadata | {"format": "pt"}
    put_header(path, json.dumps(text, indent=3).encode() + b"\r\n ", body)
    native.check_model(path.read_bytes())
    for name, weight in load_model(path).weights.items():
        np.testing.assert_array_equal(weight, model.weights[name])
    put_header(path, json.dumps(text).encode(), body + bytes(8))
    refused(path)
    repeated = json.dumps(text)[:-1] + ', "gain.bias": ' + json.dumps(text["gain.bias"]) + "}"
    put_header(path, repeated.encode(), body)
    refused(path)


def test_messages_are_one_line_of_bounded_length(path):
    for name in ("a\nb", "\x1b[2J", "é" * 10_000):
        rewrite(path, change_metadata=lambda metadata, name=name: metadata["layers"][0].update(kind=name))
        message = refused(path)
        assert message.isprintable()
        assert len(message) <= 400


def test_equal_models_are_equal_files(model, path, tmp_path):
    for trial in range(4):
        again = tmp_path / f"{trial}.safetensors"
        save_model(model, again)
        assert again.read_bytes() == path.read_bytes()


def test_unit_counts_are_bounded():
    for units in (0, -1, 10**9, 1.5, True):
        with pytest.raises(ModelError, match=r"layers\.gru1\.units"):
            article_network(gru=units)


def test_names_of_networks_survive_what_dataclasses_do():
    assert replace(PRESETS["tiny"], heads=PRESETS["tiny"].heads) == PRESETS["tiny"] != PRESETS["small"]


def test_shared_models_are_one_object(path):
    assert shared_model() is shared_model("default") is not shared_model("percepnet")
    model = shared_model(path)
    assert shared_model(path) is shared_model(str(path)) is model
    save_model(random_model(seed=1), path)
    os.utime(path, ns=(time.time_ns(), time.time_ns() + 10**9))
    other = shared_model(path)
    assert other is not model  # the file is another one
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None


def test_shared_models_of_many_threads_are_one_object(path):
    found, ready = [], threading.Barrier(8)

    def ask():
        ready.wait()
        found.append(shared_model(path))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(one is other for one, other in itertools.pairwise(found))


def test_the_article_s_network_has_its_own_name():
    whole, thinned = (load_model(name) for name in ("percepnet", "default"))
    assert thinned.architecture == whole.architecture
    assert block_density(whole.weights["gru1.weight_hh"]) == 1
    assert 0.1 < block_density(thinned.weights["gru1.weight_hh"]) < 0.4
    assert {"default", "percepnet", "small"} <= set(model_names())
    assert whole.params == SignalParams(highpass_hz=HIGHPASS_HZ, feature_blocks=TRAINED_FEATURES)
    assert whole.architecture.remembering(0) == with_bins(PRESETS["percepnet"]).in_8_bits(["gain"])
    assert set(whole.architecture.memories.values()) == {2000}


def test_no_such_file_or_name(tmp_path):
    with pytest.raises(ModelError, match="no such model file"):
        load_model(tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="no model of the name 'loud'"):
        load_model("loud")
    with pytest.raises(ModelError, match="a model is a name or a path, not int"):
        load_model(5)


def test_unwritable_place(model, tmp_path):
    with pytest.raises(ModelError, match="cannot be written"):
        save_model(model, tmp_path / "no" / "such" / "folder" / "m.safetensors")


def test_damage_is_a_model_error_or_harmless(path):
    blob = path.read_bytes()
    header_end = 8 + int.from_bytes(blob[:8], "little")
    rng = np.random.default_rng(5)
    for trial in range(400):
        damaged = bytearray(blob)
        if trial % 4 == 0:
            del damaged[int(rng.integers(len(damaged))) :]
        else:
            # most flips within the header, where the structure is
            region = header_end if trial % 4 < 3 else len(damaged)
            for _ in range(int(rng.integers(1, 4))):
                damaged[int(rng.integers(region))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            loaded = load_model(path)
        except ModelError:
            continue
        assert all(np.isfinite(weight).all() for weight in loaded.weights.values())


def test_density_counts_blocks_that_are_not_full():
    weight = np.zeros((20, 6), np.float32)
    assert block_density(weight) == 0
    weight[19, 5] = 1
    weight[0, 0] = 1
    assert block_density(weight) == 0.5
    assert block_density(np.ones((20, 6), np.float32)) == 1


@pytest.mark.parametrize("preset", PRESETS)
def test_a_table_comes_back_from_its_json(preset):
    assert architecture_from_json(architecture_to_json(PRESETS[preset])) == PRESETS[preset]


@pytest.mark.parametrize("info", [{"half": "\ud800"}, {"\ud800": "half"}, {"hours": 3}])
def test_info_that_cannot_be_written(info):
    architecture, params = PRESETS["tiny"], SignalParams()
    weights = {name: np.zeros(shape, np.float32) for name, shape in architecture.shapes(params).items()}
    with pytest.raises(ModelError, match=r"^info\..*: expected text"):
        Model(params, architecture, weights, info)
