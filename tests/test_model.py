import gc
import json
import os
import threading

import numpy as np
import pytest
from safetensors.numpy import load, save

import percepnet.model.file
from model_files import EVERYTHING, INFO, PARAMS, SMALLEST, filled, format_1, packed, unpacked
from percepnet.errors import ModelError
from percepnet.model import PRESETS, Model, load_model, model_names, save_model, shared_model
from percepnet.params import SignalParams


@pytest.fixture
def model():
    return filled(PRESETS["tiny"], SignalParams())


@pytest.fixture
def path(tmp_path, model):
    file = tmp_path / "model.safetensors"
    save_model(model, file)
    return file


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


def test_round_trip(path, model):
    loaded = load_model(path)
    assert loaded.params == model.params
    assert loaded.architecture == model.architecture
    assert loaded.info == model.info
    assert loaded.weight_count == model.weight_count
    int8_names = model.architecture.int8_names(model.params)
    for name, weight in model.weights.items():
        # rounding to 127 steps of the row's maximum leaves at most half a step
        step = (
            np.abs(weight.reshape(len(weight), -1)).max(axis=1) / 127 if name in int8_names else np.zeros(len(weight))
        )
        error = np.abs(weight - loaded.weights[name]).reshape(len(weight), -1).max(axis=1)
        assert (error <= 0.5001 * step).all(), name


def test_second_round_trip_is_exact(path, tmp_path):
    first = load_model(path)
    save_model(first, tmp_path / "again.safetensors")
    second = load_model(tmp_path / "again.safetensors")
    for name, weight in first.weights.items():
        np.testing.assert_array_equal(weight, second.weights[name], err_msg=name)


def test_other_params_survive(tmp_path):
    model = filled(PRESETS["tiny"], params=SignalParams(lookahead_frames=0, band_edges=(0, 4, 16, 64, 400)))
    save_model(model, tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").params == model.params


def test_transposed_weights_are_stored_as_they_read(model, tmp_path):
    turned = {name: np.asfortranarray(weight) for name, weight in model.weights.items()}
    save_model(Model(model.params, model.architecture, turned), tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.weights["gain.weight"], model.weights["gain.weight"])


def test_truncated(path):
    blob = path.read_bytes()
    for length in (0, 4, 100, len(blob) // 2, len(blob) - 1):
        path.write_bytes(blob[:length])
        with pytest.raises(ModelError, match=r"model\.safetensors"):
            load_model(path)


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


def test_other_version(path):
    rewrite(path, change_metadata=lambda metadata: metadata.update(format_version=7))
    with pytest.raises(ModelError, match=r"format_version: expected up to 2, found 7"):
        load_model(path)


def test_missing_field(path):
    rewrite(path, change_tensors=lambda tensors: tensors.pop("gru2.bias_hh"))
    with pytest.raises(ModelError, match=r"gru2\.bias_hh: expected this field, found none"):
        load_model(path)


def test_missing_scale(path):
    rewrite(path, change_tensors=lambda tensors: tensors.pop("gru2.weight_hh.scale"))
    with pytest.raises(ModelError, match=r"gru2\.weight_hh\.scale: expected shape \(48,\), found no such field"):
        load_model(path)


def test_unknown_field(path):
    rewrite(path, change_tensors=lambda tensors: tensors.update(gru9=np.zeros(1, np.float32)))
    with pytest.raises(ModelError, match=r"gru9: found this field"):
        load_model(path)


def test_wrong_shape(path):
    rewrite(path, change_tensors=lambda tensors: tensors.update({"gain.bias": np.zeros(33, np.float32)}))
    with pytest.raises(ModelError, match=r"gain\.bias: expected shape \(34,\), found \(33,\)"):
        load_model(path)


def test_wrong_type(path):
    rewrite(path, change_tensors=lambda tensors: tensors.update({"gain.bias": np.zeros(34, np.float64)}))
    with pytest.raises(ModelError, match=r"gain\.bias: expected type F32, found F64"):
        load_model(path)


def test_not_finite(path):
    rewrite(path, change_tensors=lambda tensors: tensors.update({"gain.bias": np.full(34, np.nan, np.float32)}))
    with pytest.raises(ModelError, match=r"gain\.bias: expected finite numbers"):
        load_model(path)


def test_too_large_to_calculate_with(path):
    rewrite(path, change_tensors=lambda tensors: tensors.update({"gain.bias": np.full(34, -2e6, np.float32)}))
    with pytest.raises(ModelError, match=r"gain\.bias: expected numbers up to 1e\+06"):
        load_model(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("signal", [], "signal: expected an object"),
        ("signal", {"lookahead_frames": 2}, "signal.band_edges: expected a list of integers"),
        ("signal", {"lookahead_frames": 9, "band_edges": [0, 4]}, "lookahead_frames: expected an integer from 0 to 3"),
        ("signal", {"lookahead_frames": 2, "band_edges": [0, "x"]}, "band_edges: expected a list of integers"),
        ("signal", {"lookahead_frames": "2", "band_edges": [0, 4]}, "lookahead_frames: expected an integer"),
        ("layers", {"dense": 4}, "layers: expected a list of layers"),
        ("info", 3, "info: expected a JSON object"),
        ("info", {"hours": 3}, "info.hours: expected text"),
    ],
)
def test_damaged_metadata(path, name, value, message):
    rewrite(path, change_metadata=lambda metadata: metadata.update({name: value}))
    with pytest.raises(ModelError, match=message):
        load_model(path)


def test_metadata_that_is_no_json(path):
    path.write_bytes(save(load(path.read_bytes()), {"percepnet": "{"}))
    with pytest.raises(ModelError, match="metadata: expected JSON"):
        load_model(path)


def test_equal_models_are_equal_files(model, path, tmp_path):
    for trial in range(4):
        again = tmp_path / f"{trial}.safetensors"
        save_model(model, again)
        assert again.read_bytes() == path.read_bytes()


def test_missing_metadata(path):
    rewrite(path, change_metadata=lambda metadata: metadata.pop("layers"))
    with pytest.raises(ModelError, match="layers: expected a list of layers, found None"):
        load_model(path)


def test_the_article_s_network_has_its_own_name():
    by_either_name = [load_model(name).weights["gru1.weight_hh"] for name in ("percepnet", "default")]
    np.testing.assert_array_equal(*by_either_name)
    assert {"default", "percepnet", "small"} <= set(model_names())
    assert load_model("percepnet").params == SignalParams()
    assert load_model("percepnet").architecture == PRESETS["percepnet"]


def test_no_such_file_or_name(tmp_path):
    with pytest.raises(ModelError, match="no such model file"):
        load_model(tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="no model of the name 'loud'"):
        load_model("loud")


def test_unwritable_place(model, tmp_path):
    with pytest.raises(ModelError, match="cannot write"):
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


def test_every_kind_of_layer_comes_back(tmp_path):
    model = filled()
    path = tmp_path / "m.safetensors"
    save_model(model, path)
    loaded = load_model(path)
    assert loaded.params == PARAMS
    assert loaded.architecture == EVERYTHING
    assert loaded.info == INFO
    assert set(loaded.weights) == set(model.weights)
    int8_names = EVERYTHING.int8_names(PARAMS)
    for name, weight in model.weights.items():
        assert loaded.weights[name].shape == weight.shape
        assert np.array_equal(loaded.weights[name], weight) == (name not in int8_names)


def test_exact_is_exact():
    model = filled()
    loaded = Model.from_bytes(model.to_bytes(exact=True))
    assert loaded.architecture == EVERYTHING.in_single_precision()
    for name, weight in model.weights.items():
        np.testing.assert_array_equal(loaded.weights[name], weight)


def test_integers_and_scales_come_out_as_they_went_in(tmp_path):
    """Also those that rounding would not give: rows whose largest integer is not 127."""
    description, tensors = unpacked(filled().to_bytes())
    rng = np.random.default_rng(4)
    for name, (dtype, shape, data) in tensors.items():
        if dtype == "I8":
            tensors[name] = (dtype, shape, rng.integers(-99, 100, len(data), np.int8).tobytes())
    data = packed(description, tensors)
    path = tmp_path / "m.safetensors"
    path.write_bytes(data)
    model = load_model(path)
    integers = np.frombuffer(tensors["scan.weight"][2], np.int8).reshape(16, 8)
    scale = np.frombuffer(tensors["scan.weight.scale"][2], np.float32)
    np.testing.assert_array_equal(model.weights["scan.weight"], integers * scale[:, None])
    assert model.to_bytes() == data
    save_model(model, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == data


@pytest.mark.parametrize("exact", [False, True])
def test_format_1_is_read(exact):
    model = filled(SMALLEST, SignalParams(3, (0, 9, 100)))
    old, new = Model.from_bytes(format_1(model, exact)), Model.from_bytes(model.to_bytes(exact))
    assert old.architecture == SMALLEST
    assert old.params == model.params
    assert old.info == model.info
    assert old.weight_count == model.weight_count
    for name, weight in new.weights.items():
        np.testing.assert_array_equal(old.weights[name], weight)
    assert np.array_equal(old.weights["gru1.weight_hh"], model.weights["gru1.weight_hh"]) == exact


def test_weights_of_a_file_cannot_be_changed(path):
    weights = load_model(path).weights
    for name in ("gain.bias", "gru1.weight_hh"):
        with pytest.raises(ValueError, match="read-only"):
            weights[name][:] = 0
    with pytest.raises(TypeError):
        weights["gain.bias"] = np.zeros(34, np.float32)


def test_weights_are_decoded_when_they_are_wanted(path, monkeypatch):
    model = load_model(path)
    decoded = []
    real = percepnet.model.file._decoded
    monkeypatch.setattr(percepnet.model.file, "_decoded", lambda *given: decoded.append(given[0]) or real(*given))
    assert model.to_bytes() == path.read_bytes()
    assert model.weight_count > 0
    assert not decoded
    first = model.weights
    assert model.weights is first
    assert decoded == list(first)


def test_a_file_that_changes_under_its_model(path):
    data = bytearray(path.read_bytes())
    model = Model.from_bytes(data)
    data[-4:] = b"\xff" * 4
    assert model.to_bytes() == path.read_bytes()
    assert np.isfinite(model.weights["gain.bias"]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("gain.bias"), r"gain\.bias: expected this field, found none"),
        (lambda w: w.update(x=np.zeros(1, np.float32)), "x: found this field"),
        (
            lambda w: w.update({"gain.bias": np.zeros(3, np.float32)}),
            r"gain\.bias: expected shape \(34,\), found \(3,\)",
        ),
        (lambda w: w.update({"gain.bias": np.zeros(34)}), r"gain\.bias: expected float32, found float64"),
        (lambda w: w.update({"gain.bias": np.full(34, np.nan, np.float32)}), r"gain\.bias: expected finite numbers"),
        (lambda w: w.update({"gain.bias": np.full(34, 2e6, np.float32)}), r"gain\.bias: expected numbers up to 1e\+06"),
    ],
)
def test_weights_that_do_not_fit(model, change, message):
    weights = dict(model.weights)
    change(weights)
    with pytest.raises(ModelError, match=message):
        Model(model.params, model.architecture, weights)


def test_a_packaged_model_is_shared():
    for name in ("default", "percepnet", None):
        assert shared_model(name) is shared_model("default")
    assert shared_model("small") is not shared_model("default")


def test_a_file_is_shared_while_it_stays_what_it_was(path):
    model = shared_model(path)
    assert shared_model(str(path)) is model
    assert shared_model(path.parent / "." / path.name) is model
    save_model(filled(SMALLEST, SignalParams()), path)
    other = shared_model(path)
    assert other is not model
    assert other.architecture == SMALLEST
    os.utime(path, ns=(1, 1))
    assert shared_model(path) is not other


def test_a_file_is_shared_only_as_long_as_it_is_used(path):
    model = shared_model(path)
    keys = [key for key, value in percepnet.model.file._file_models.items() if value is model]
    assert len(keys) == 1
    del model
    gc.collect()
    assert keys[0] not in percepnet.model.file._file_models


@pytest.mark.parametrize("packaged", [False, True])
def test_threads_share_one_model(path, packaged):
    found, barrier = [], threading.Barrier(8)

    def share():
        barrier.wait()
        model = shared_model("small" if packaged else path)
        found.append((model, model.weights["gain.bias"]))

    threads = [threading.Thread(target=share) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(model) for model, _ in found}) == 1
    assert len({id(weight) for _, weight in found}) == 1


def test_shared_models_that_are_not_there(tmp_path, path):
    with pytest.raises(ModelError, match="no such model file"):
        shared_model(tmp_path / "none.safetensors")
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"model\.safetensors: file: expected a safetensors file"):
        shared_model(path)


def test_huge_shapes_take_no_memory():
    description, tensors = unpacked(filled().to_bytes())
    tensors["in.bias"] = ("F32", [2**40, 2**12], bytes(24))
    with pytest.raises(ModelError, match=r"^header: expected a whole safetensors file"):
        Model.from_bytes(packed(description, tensors))
