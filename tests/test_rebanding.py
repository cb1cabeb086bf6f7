from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")

from percepnet import enhance
from percepnet.errors import ModelError
from percepnet.model import load_model
from percepnet.model.presets import article_network
from percepnet.model.table import BANDS, Architecture, Layer
from percepnet.params import ERB_EDGES_48, SignalParams
from percepnet.reference.network import Network
from percepnet.training.network import TrainingNetwork, to_model
from percepnet.training.rebanding import rebanded

PARAMS = SignalParams(band_edges=(0, 10, 400))
EDGES = (0, 5, 10, 200, 400)
NOISY = Path(__file__).parents[1] / "examples" / "clips" / "noisy"
SIZES = article_network(dense=5, conv1=6, conv2=7, gru=4, strength_gru=3)
BLOCKS = ("pitch", "relative_band_levels", "relative_bin_levels", "band_levels")
HEARS_TWICE = Architecture(
    (
        Layer("a", "convolution", ("features",), 6, "tanh", taps=2),
        Layer("gain", "dense", ("a",), BANDS, "sigmoid"),
        Layer("joined", "concatenation", ("a", "features", "gain")),
        Layer("b", "gru", ("joined",), 4),
        Layer("strength", "dense", ("b",), BANDS, "sigmoid"),
    )
)


def network_of(params, architecture):
    torch.manual_seed(0)
    return to_model(TrainingNetwork(params, architecture))


@pytest.fixture
def model():
    return network_of(PARAMS, SIZES)


def test_other_bands_hear_and_say_the_same_of_a_flat_spectrum(model):
    """What all bands have in common is heard as before; what is said of a band lies between those around it."""
    rng = np.random.default_rng(1)
    level, coherence, pitch, correlation = rng.uniform(-1, 1, (4, 30, 1)).astype(np.float32)

    def features(bands):
        return np.hstack([np.repeat(level, bands, axis=1), np.repeat(coherence, bands, axis=1), pitch, correlation])

    other = rebanded(model, EDGES)
    assert other.params == SignalParams(PARAMS.lookahead_frames, EDGES)
    assert other.architecture == SIZES
    for found, expected in zip(Network(other).run(features(5)), Network(model).run(features(3)), strict=True):
        np.testing.assert_allclose(found[:, [0, 2, 4]], expected, atol=1e-6)
        logits, between = (np.log(values / (1 - values)) for values in (expected, found[:, [1, 3]]))
        np.testing.assert_allclose(between[:, 0], logits[:, :2].mean(axis=1), atol=1e-4)


def test_other_bands_keep_what_was_learned():
    model = load_model("small")
    noisy = soundfile.read(next(NOISY.glob("sea_female*")), dtype="float32")[0]
    before, after = (enhance(noisy, 48000, model=each) for each in (model, rebanded(model, ERB_EDGES_48)))
    assert np.sum((before - noisy) ** 2) > 20 * np.sum((before - after) ** 2)


def test_any_features_of_any_layer(model):
    """The blocks are in another order and heard in two places, one of which also hears the gains."""
    params = SignalParams(band_edges=PARAMS.band_edges, feature_blocks=BLOCKS)
    model = network_of(params, HEARS_TWICE)
    model.weights["gain.weight"][:] = model.weights["gain.weight"][:1]  # all bands alike: heard as before
    model.weights["gain.bias"][:] = model.weights["gain.bias"][:1]
    rng = np.random.default_rng(1)
    level, relative = rng.uniform(-1, 1, (2, 30, 1)).astype(np.float32)
    bins, pitch = (rng.uniform(-1, 1, (30, count)).astype(np.float32) for count in (100, 2))

    def features(bands):
        return np.hstack([pitch, np.repeat(relative, bands, axis=1), bins, np.repeat(level, bands, axis=1)])

    other = rebanded(model, EDGES)
    assert other.params.feature_blocks == BLOCKS
    for found, expected in zip(Network(other).run(features(5)), Network(model).run(features(3)), strict=True):
        np.testing.assert_allclose(found[:, [0, 2, 4]], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Layer("x", "normalisation", ("features",)), "layers.x: expected no normalisation of bands"),
        (Layer("x", "convolution", ("gain",), BANDS, depthwise=True, taps=3), "layers.x: expected no convolution of"),
        (Layer("x", "gru", ("gain",), BANDS), "layers.x: expected no gru of bands"),
        (Layer("x", "sum", ("gain", "three")), "layers.x.inputs: expected only bands or none, found both"),
    ],
)
def test_what_treats_bands_one_by_one_is_refused(layer, message):
    heads = (Layer(name, "dense", ("features",), BANDS, "sigmoid") for name in ("gain", "strength"))
    model = network_of(PARAMS, Architecture((*heads, Layer("three", "dense", ("features",), 3), layer)))
    with pytest.raises(ModelError, match=message):
        rebanded(model, EDGES)
