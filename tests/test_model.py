import json

import numpy as np
import pytest
from safetensors.numpy import load, save

from percepnet.errors import ModelError
from percepnet.model import (
    PRESETS,
    Architecture,
    Model,
    block_density,
    dequantise,
    is_quantised,
    load_model,
    model_names,
    quantise,
    save_model,
)
from percepnet.params import SignalParams


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
    shapes = PRESETS["percepnet"].shapes(SignalParams())
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
    for name, weight in model.weights.items():
        # rounding to 127 steps of the row's maximum leaves at most half a step
        step = (
            np.abs(weight.reshape(len(weight), -1)).max(axis=1) / 127 if is_quantised(name) else np.zeros(len(weight))
        )
        error = np.abs(weight - loaded.weights[name]).reshape(len(weight), -1).max(axis=1)
        assert (error <= 0.5001 * step).all(), name


def test_second_round_trip_is_exact(path, tmp_path):
    first = load_model(path)
    save_model(first, tmp_path / "again.safetensors")
    second = load_model(tmp_path / "again.safetensors")
    for name, weight in first.weights.items():
        np.testing.assert_array_equal(np.rint(weight * 1e6), np.rint(second.weights[name] * 1e6), err_msg=name)


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
    with pytest.raises(ModelError, match=r"format_version: expected 1, found 7"):
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
        ("params", [], "params: expected a JSON object"),
        ("params", {"lookahead_frames": 2}, "params: expected the fields"),
        ("params", {"lookahead_frames": 9, "band_edges": [0, 4]}, "lookahead_frames is 9"),
        ("params", {"lookahead_frames": 2, "band_edges": [0, "x"]}, "band_edges: expected a list of integers"),
        ("params", {"lookahead_frames": "2", "band_edges": [0, 4]}, "lookahead_frames: expected an integer"),
        ("architecture", {"dense": 4}, "architecture: expected the fields"),
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
    rewrite(path, change_metadata=lambda metadata: metadata.pop("architecture"))
    with pytest.raises(ModelError, match="metadata: expected the fields"):
        load_model(path)


def test_unit_counts_are_bounded():
    for units in (0, -1, 10**9, 1.5, True):
        with pytest.raises(ModelError, match=r"architecture\.gru"):
            Architecture(gru=units)


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


def test_density_counts_blocks_that_are_not_full():
    weight = np.zeros((20, 6), np.float32)
    assert block_density(weight) == 0
    weight[19, 5] = 1
    weight[0, 0] = 1
    assert block_density(weight) == 0.5
    assert block_density(np.ones((20, 6), np.float32)) == 1
