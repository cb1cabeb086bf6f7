"""Means of networks, whole and layer by layer."""

import numpy as np
import pytest
from typer.testing import CliRunner

from percepnet.cli import app
from percepnet.errors import PercepNetError
from percepnet.model import Model, load_model, save_model
from percepnet.training.averaging import averaged


def two():
    before = load_model("small")
    moved = {name: np.asarray(weight * 1.5, np.float32) for name, weight in before.weights.items()}
    return before, Model(before.params, before.architecture, moved, before.info)


def test_shares_are_of_the_second_network():
    models = two()
    found = averaged(models, {"gru1": 0.0, "gru2": 0.25})
    assert list(found) == list(models[1].weights)
    for name, weight in found.items():
        factor = {"gru1": 1.0, "gru2": 1.125}.get(name.partition(".")[0], 1.5)
        np.testing.assert_allclose(weight, factor * models[0].weights[name], rtol=1e-6, atol=1e-12)
        assert weight.dtype == np.float32


def test_without_shares_all_count_the_same():
    before, after = two()
    for name, weight in averaged([before, before, after]).items():
        np.testing.assert_allclose(weight, before.weights[name] * 3.5 / 3, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("count", "shares", "message"),
    [
        (1, {"gru1": 0.5}, "shares of layers are of two networks, not of 1"),
        (3, {"gru1": 0.5}, "shares of layers are of two networks, not of 3"),
        (2, {"gru9": 0.5}, "no such layer; there are bin_dense, bin_hidden, bin_memory, bin_shape, conv1,"),
        (2, {"gru1": 1.5}, "share of gru1: 1.5 is not from 0 to 1"),
        (2, {"gru1": float("nan")}, "share of gru1: nan is not from 0 to 1"),
    ],
)
def test_shares_that_do_not_fit(count, shares, message):
    with pytest.raises(PercepNetError, match=message):
        averaged([two()[0]] * count, shares)


def test_command_puts_layers_together(tmp_path):
    pytest.importorskip("torch", reason="export needs torch: pip install 'percepnet[train]'")
    after, mixed = tmp_path / "after.safetensors", tmp_path / "mixed.safetensors"
    models = two()
    save_model(models[1], after)
    command = ["export", "small", str(after), "-o", str(mixed), "--share", "gain=0", "--share", "speech=0.5"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    found = load_model(mixed).weights
    np.testing.assert_allclose(found["gain.bias"], models[0].weights["gain.bias"], rtol=1e-6)
    np.testing.assert_allclose(found["speech.bias"], 1.25 * models[0].weights["speech.bias"], rtol=1e-6)
    np.testing.assert_allclose(found["strength.bias"], 1.5 * models[0].weights["strength.bias"], rtol=1e-6)
    for value, message in (("gru1", "--share gru1: expected NAME=VALUE"), ("gru1=half", "'half' is not a number")):
        refused = CliRunner().invoke(app, [*command[:3], "-o", str(tmp_path / "none"), "--share", value])
        assert refused.exit_code == 2
        assert message in refused.output
