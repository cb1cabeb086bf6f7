"""A network that does without one of its inputs: `scripts/forget_block.py`."""

import sys

import numpy as np
import pytest

pytest.importorskip("torch")

import forget_block
from models import random_model
from percepnet.errors import PercepNetError
from percepnet.model import Architecture, Layer, Model, load_model, save_model
from percepnet.params import SignalParams
from percepnet.training.features import shard_name, shards_folder, write_shard

BLOCKS = ("lifted_band_levels", "coherences", "pitch", "relative_band_levels")
LIFTED = slice(0, 34)


def features(frames, unknown=0.0):
    """Lifted levels are what the others say, but for so much noise."""
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((frames, 104))
    rows[:, LIFTED] = rows[:, 34:] @ rng.standard_normal((70, 34)) / 8 + 0.5 + unknown * rows[:, LIFTED]
    return rows.astype(np.float32)


def first_layer(model, rows):
    return rows @ model.weights["dense.weight"].T + model.weights["dense.bias"]


def test_what_the_others_know_is_heard_with_them():
    model = random_model(params=SignalParams(feature_blocks=BLOCKS))
    rows = features(2000)
    without, known = forget_block.without_block(model, "lifted_band_levels", rows)
    assert known > 1 - 1e-9
    assert not without.weights["dense.weight"][:, LIFTED].any()
    np.testing.assert_allclose(first_layer(without, rows), first_layer(model, rows), atol=1e-4)
    assert all(without.weights[name] is model.weights[name] for name in model.weights if not name.startswith("dense."))
    half = forget_block.without_block(model, "lifted_band_levels", features(5000, unknown=1.0))[1]
    assert 0.4 < half < 0.65


def test_the_command_reads_shards(tmp_path, monkeypatch, capsys):
    shards_folder(tmp_path / "run").mkdir(parents=True)
    save_model(random_model(params=SignalParams(feature_blocks=BLOCKS)), tmp_path / "m.safetensors")
    target = tmp_path / "start.safetensors"
    command = ["forget_block.py", str(tmp_path / "m.safetensors"), str(tmp_path / "run"), "pitch", "-o", str(target)]
    monkeypatch.setattr(sys, "argv", command)
    assert forget_block.main() == 2
    assert "no shards" in capsys.readouterr().err
    shard = np.zeros((2, 500, 250), np.float16)
    shard[..., :104] = features(1000).reshape(2, 500, 104)
    write_shard(shards_folder(tmp_path / "run") / shard_name(0), shard)
    assert forget_block.main() == 0
    assert not load_model(target).weights["dense.weight"][:, 68:70].any()
    command[3] = "band_levels"
    target.unlink()
    assert forget_block.main() == 2
    assert "give one of several, lifted_band_levels" in capsys.readouterr().err
    assert not target.exists()


def test_something_has_to_be_left():
    model = random_model(params=SignalParams(feature_blocks=BLOCKS[1:2]))
    with pytest.raises(PercepNetError, match="give one of several"):
        forget_block.without_block(model, "coherences", np.zeros((10, 34), np.float32))


def test_only_dense_layers_may_see_it():
    params = SignalParams(feature_blocks=BLOCKS)
    layers = (Layer("over", "convolution", ("features",), 8, "tanh", taps=2),)
    layers += tuple(Layer(name, "dense", ("over",), "bands", "sigmoid") for name in ("gain", "strength"))
    network = Architecture(layers)
    weights = {name: np.zeros(shape, np.float32) for name, shape in network.shapes(params).items()}
    with pytest.raises(PercepNetError, match="'over' is a convolution"):
        forget_block.without_block(Model(params, network, weights), "pitch", features(10))
