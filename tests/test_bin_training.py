"""Networks for bins are given to models, taken from others, and trained by ear alone."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from models import random_model
from percepnet import native
from percepnet.errors import ModelError, PercepNetError
from percepnet.model import PRESETS, load_model, save_model
from percepnet.model.presets import with_bins
from percepnet.training.bin_networks import with_bins_of, with_new_bins
from percepnet.training.config import Config, settled
from percepnet.training.device.config import SourceConfig
from percepnet.training.export import export_model
from percepnet.training.signal_loss import SignalLossWeights
from percepnet.training.trainer import Trainer
from percepnet.training.widening import widened
from voices import noise

HEARD = SignalLossWeights(perceptual=1.0)


def test_a_new_one_changes_nothing():
    model = random_model(1)
    x = noise(1, 9600, 0.1).astype(np.float32)[None]
    new = with_new_bins(model)
    assert new.architecture == with_bins(model.architecture)
    np.testing.assert_array_equal(native.Stream(new).process(x), native.Stream(model).process(x))


def test_that_of_another_model_is_taken_as_it_is(tmp_path):
    model, other = random_model(2), random_model(3, preset=with_bins(PRESETS["small"], 8))
    found = with_bins_of(model, other)
    assert found.architecture == with_bins(PRESETS["tiny"], 8)
    for name, weights in found.weights.items():
        np.testing.assert_array_equal(weights, (other if name.startswith("bin_") else model).weights[name])
    paths = tmp_path / "model.safetensors", tmp_path / "other.safetensors"
    for path, each in zip(paths, (model, other), strict=True):
        save_model(each, path)
    export_model(paths[0], tmp_path / "both.safetensors", bins_of=paths[1])
    assert load_model(tmp_path / "both.safetensors").architecture == found.architecture
    again = with_bins_of(found, with_new_bins(model))  # in the place of its own
    assert again.architecture == with_bins(PRESETS["tiny"])
    with pytest.raises(ModelError, match="bins: the other model has no network for bins"):
        with_bins_of(found, model)


def test_its_level_is_set_behind_the_training(tmp_path):
    model = with_new_bins(random_model(8))
    save_model(model, tmp_path / "model.safetensors")
    x = noise(1, 9600, 0.1).astype(np.float32)[None]
    louder = export_model(tmp_path / "model.safetensors", tmp_path / "m.safetensors", bin_level_db=1.5)
    before, after = (np.abs(np.fft.rfft(native.Stream(m).process(x)[0])) for m in (model, louder))
    low, high = slice(20, 1500), slice(1700, None)  # up to 7.5 kHz, and above 8.5
    np.testing.assert_allclose(np.median(after[low] / before[low]), 10 ** (1.5 / 20), rtol=1e-3)
    np.testing.assert_allclose(np.median(after[high] / before[high]), 1, rtol=1e-3)
    save_model(random_model(8), tmp_path / "rule.safetensors")
    with pytest.raises(PercepNetError, match="has no network for bins"):
        export_model(tmp_path / "rule.safetensors", tmp_path / "no.safetensors", bin_level_db=1.5)


def test_a_wider_network_keeps_it():
    model = random_model(4, preset=with_bins(PRESETS["tiny"]))
    wide = PRESETS["tiny"].with_bins_of(model.architecture)
    found = widened(model, wide)
    np.testing.assert_array_equal(found.weights["bin_dense.weight"], model.weights["bin_dense.weight"])


def config(tmp_path, **changes):
    (tmp_path / "voice.wav").touch()
    source = SourceConfig(device=True)
    settings = {
        "source": source,
        "out": str(tmp_path / "run"),
        "speech": (str(tmp_path),),
        "init": str(tmp_path / "m.safetensors"),
    }
    return Config(**settings | changes)


@pytest.mark.parametrize(("signal", "trained"), [(HEARD, True), (SignalLossWeights(), False)])
def test_only_what_is_heard_trains_it(tmp_path, signal, trained):
    save_model(random_model(5, preset=with_bins(PRESETS["tiny"])), tmp_path / "m.safetensors")
    network = Trainer(config(tmp_path, signal=signal), {}).network
    names = {name for name, weights in network.named_parameters() if weights.requires_grad}
    assert "gain.weight" in names
    assert ("bin_dense.weight" in names) == trained


def test_a_run_can_begin_with_a_new_one(tmp_path):
    save_model(random_model(6), tmp_path / "m.safetensors")
    network = Trainer(config(tmp_path, signal=HEARD, shapes_bins=True, layers=("bin_dense", "bin_shape")), {}).network
    assert network.architecture == with_bins(PRESETS["tiny"])
    names = {name for name, weights in network.named_parameters() if weights.requires_grad}
    assert names == {f"bin_{layer}.{part}" for layer in ("dense", "shape") for part in ("weight", "bias")}


@pytest.mark.parametrize("changes", [{"init": None}, {"signal": SignalLossWeights()}])
def test_a_new_one_needs_a_network_beside_it_and_an_ear(tmp_path, changes):
    with pytest.raises(PercepNetError, match="shapes_bins: "):
        settled(config(tmp_path, **{"shapes_bins": True, "signal": HEARD} | changes))
