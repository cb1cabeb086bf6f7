import re
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from percepnet.errors import ModelError
from percepnet.model.presets import article_network
from percepnet.model.table import BANDS, Architecture, Layer
from percepnet.params import SignalParams
from percepnet.reference.network import Network
from percepnet.training.network import TrainingNetwork, from_model, to_model
from percepnet.training.widening import widened

PARAMS = SignalParams(band_edges=(0, 10, 400))
UNITS = {"dense": 5, "conv1": 6, "conv2": 7, "gru": 4, "strength_gru": 3}
UNITS_WIDER = {"dense": 6, "conv1": 9, "conv2": 8, "gru": 11, "strength_gru": 5}
SIZES, WIDER = article_network(**UNITS), article_network(**UNITS_WIDER)


def mixed(before, both, after):
    """A network with every kind of layer, and of three widths."""
    return Architecture(
        (
            Layer("norm", "normalisation", ("features",)),
            Layer("a", "dense", ("norm",), before, "relu"),
            Layer("b", "convolution", ("a",), both, "tanh", "int8", taps=3, dilation=2),
            Layer("local", "convolution", ("b",), both, "relu", taps=2, depthwise=True),
            Layer("memory", "gated_recurrence", ("local",), both, precision="int8"),
            Layer("residual", "sum", ("b", "local", "memory")),
            Layer("parts", "concatenation", ("residual", "features", "a")),
            Layer("twice", "concatenation", ("parts", "memory")),
            Layer("h", "gru", ("twice",), after, precision="int8"),
            Layer("gain", "dense", ("h",), BANDS, "sigmoid"),
            Layer("strength", "dense", ("twice",), BANDS, "sigmoid"),
        )
    )


@pytest.fixture
def model():
    torch.manual_seed(0)
    return to_model(TrainingNetwork(PARAMS, SIZES), {"hours": "3"})


@pytest.fixture
def features():
    return np.random.default_rng(0).uniform(-1, 1, (30, PARAMS.features)).astype(np.float32)


@pytest.mark.parametrize("name", UNITS)
def test_one_wider_layer_changes_no_output(model, features, name):
    wider = widened(model, article_network(**UNITS | {name: UNITS_WIDER[name]}))
    for found, expected in zip(Network(wider).run(features), Network(model).run(features), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_all_layers_wider_at_once(model, features):
    wider = widened(model, WIDER)
    assert wider.architecture == WIDER
    assert wider.info == {"hours": "3"}
    for found, expected in zip(Network(wider).run(features), Network(model).run(features), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_is_new_learns(model, features):
    network = from_model(widened(model, WIDER, seed=1))
    heads, _ = network(torch.from_numpy(features)[None])
    gains, strengths = heads["gains"], heads["strengths"]
    (gains.mean() + strengths.mean()).backward()
    start = UNITS_WIDER["conv2"]
    heard = network.gain.weight.grad[:, start + UNITS["gru"] : start + UNITS_WIDER["gru"]]
    assert heard.abs().min() > 0
    heard = network.gru2.weight_ih_l0.grad[: UNITS["gru"], UNITS["gru"] :]
    assert heard.abs().max() > 0


def test_the_same_seed_gives_the_same(model):
    first, second, other = (widened(model, WIDER, seed).weights["gru1.weight_hh"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert np.any(first != other)


def test_narrower_is_refused(model):
    with pytest.raises(ModelError, match=re.escape("a network of 4 units in gru1 cannot grow to 3")):
        widened(model, article_network(**UNITS_WIDER | {"gru": 3}))


@pytest.mark.parametrize("units", [(7, 4, 5), (5, 6, 5), (5, 4, 8), (9, 6, 8)])
def test_every_kind_of_layer_grows(features, units):
    torch.manual_seed(0)
    model = to_model(TrainingNetwork(PARAMS, mixed(5, 4, 5)))
    wider = widened(model, mixed(*units))
    assert any(np.any(weight[..., -1] != 0) for weight in wider.weights.values())
    for found, expected in zip(Network(wider).run(features), Network(model).run(features), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_more_features_change_nothing_at_first(model, features):
    blocks = ("relative_band_levels", *PARAMS.feature_blocks)
    wider = widened(model, WIDER, features=blocks)
    assert wider.params == replace(PARAMS, feature_blocks=blocks)
    given = np.random.default_rng(1).uniform(-1, 1, (len(features), wider.params.features)).astype(np.float32)
    for block, place in PARAMS.feature_slices.items():
        given[:, wider.params.feature_slices[block]] = features[:, place]
    for found, expected in zip(Network(wider).run(given), Network(model).run(features), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    network = from_model(wider)
    heads, _ = network(torch.from_numpy(given)[None])
    (heads["gains"].mean() + heads["strengths"].mean()).backward()
    assert network.dense.weight.grad[: UNITS["dense"], : PARAMS.bands].abs().min() > 0


def test_features_cannot_be_taken_away(model):
    message = "features: the model is given band_levels, coherences, pitch, and can be given more; pitch is missing"
    with pytest.raises(ModelError, match=message):
        widened(model, SIZES, features=("coherences", "band_levels"))


def test_features_in_front_of_a_normalisation_are_refused():
    model = to_model(TrainingNetwork(PARAMS, mixed(5, 4, 5)))
    with pytest.raises(
        ModelError, match=r"layers\.norm: expected 8 units, since what is new would be an input, found 11"
    ):
        widened(model, model.architecture, features=(*PARAMS.feature_blocks, "relative_band_levels"))


def changed(architecture, name, **fields):
    layers = tuple(replace(layer, **fields) if layer.name == name else layer for layer in architecture.layers)
    return Architecture(layers, architecture.heads)


def test_another_network_is_refused(model):
    for name, fields, message in (
        ("gru2", {"inputs": ("conv2",)}, "layers.gru2.inputs: expected ('gru1',), as in the model that grows"),
        ("conv1", {"taps": 3}, "layers.conv1.taps: expected 5, as in the model that grows, found 3"),
        ("dense", {"activation": "relu"}, "layers.dense.activation: expected 'tanh', as in"),
        ("gru2", {"precision": "float32"}, "layers.gru2.precision: expected 'int8', as in"),
        ("gru2", {"kind": "gated_recurrence"}, "layers.gru2.kind: expected 'gru', as in"),
    ):
        with pytest.raises(ModelError, match=re.escape(message)):
            widened(model, changed(WIDER, name, **fields))
    with pytest.raises(ModelError, match=r"layers: expected those of the model, dense, conv1, .*, found norm, a"):
        widened(model, mixed(8, 8, 8))
    with pytest.raises(ModelError, match="heads: expected those of the model"):
        widened(model, Architecture(WIDER.layers, {"gains": "strength", "strengths": "gain"}))


def after_dense(units, *layers):
    heads = (Layer(name, "dense", (layers[-1].name,), BANDS, "sigmoid") for name in ("gain", "strength"))
    return Architecture((Layer("a", "dense", ("features",), units), *layers, *heads))


def test_what_hears_all_units_alike_cannot_grow():
    def normalised(units):
        return after_dense(units, Layer("norm", "normalisation", ("a",)))

    def added(units):
        joined = Layer("joined", "concatenation", ("a", "a"))
        other = Layer("other", "dense", ("a",), 2 * units)
        return after_dense(units, joined, other, Layer("sum", "sum", ("joined", "other")))

    for architecture, message in (
        (normalised, "layers.norm: expected 4 units"),
        (added, "layers.sum.inputs: expected"),
    ):
        model = to_model(TrainingNetwork(PARAMS, architecture(4)))
        with pytest.raises(ModelError, match=message):
            widened(model, architecture(5))
