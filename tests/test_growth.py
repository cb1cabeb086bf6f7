import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")

from percepnet import enhance
from percepnet.errors import ModelError
from percepnet.model import Architecture, load_model
from percepnet.params import ERB_EDGES_48, SignalParams
from percepnet.reference.network import Network
from percepnet.training.growth import grown, rebanded
from percepnet.training.network import TrainingNetwork, from_model, to_model

PARAMS = SignalParams(band_edges=(0, 10, 400))
NOISY = Path(__file__).parents[1] / "examples" / "clips" / "noisy"
SIZES = Architecture(dense=5, conv1=6, conv2=7, gru=4, strength_gru=3)
WIDER = Architecture(dense=6, conv1=9, conv2=8, gru=11, strength_gru=5)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return to_model(TrainingNetwork(PARAMS, SIZES), {"hours": "3"})


@pytest.fixture
def features():
    return np.random.default_rng(0).uniform(-1, 1, (30, PARAMS.features)).astype(np.float32)


@pytest.mark.parametrize("name", asdict(SIZES))
def test_one_wider_layer_changes_no_output(model, features, name):
    wider = grown(model, replace(SIZES, **{name: asdict(WIDER)[name]}))
    for found, expected in zip(Network(wider).run(features), Network(model).run(features), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_all_layers_wider_at_once(model, features):
    wider = grown(model, WIDER)
    assert wider.architecture == WIDER
    assert wider.info == {"hours": "3"}
    for found, expected in zip(Network(wider).run(features), Network(model).run(features), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_is_new_learns(model, features):
    network = from_model(grown(model, WIDER, seed=1))
    gains, strengths, _ = network(torch.from_numpy(features)[None])
    (gains.mean() + strengths.mean()).backward()
    heard = network.gain.weight.grad[:, WIDER.conv2 + SIZES.gru : WIDER.conv2 + WIDER.gru]
    assert heard.abs().min() > 0
    heard = network.gru2.weight_ih_l0.grad[: SIZES.gru, SIZES.gru :]
    assert heard.abs().max() > 0


def test_the_same_seed_gives_the_same(model):
    first, second, other = (grown(model, WIDER, seed).weights["gru1.weight_hh"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert np.any(first != other)


def test_narrower_is_refused(model):
    with pytest.raises(ModelError, match=re.escape("a network of 4 units in gru cannot grow to 3")):
        grown(model, replace(WIDER, gru=3))


def test_other_bands_hear_and_say_the_same_of_a_flat_spectrum(model):
    """What all bands have in common is heard as before; what is said of a band lies between those around it."""
    rng = np.random.default_rng(1)
    edges = (0, 5, 10, 200, 400)
    level, coherence, pitch, correlation = rng.uniform(-1, 1, (4, 30, 1)).astype(np.float32)

    def features(bands):
        return np.hstack([np.repeat(level, bands, axis=1), np.repeat(coherence, bands, axis=1), pitch, correlation])

    other = rebanded(model, edges)
    assert other.params == SignalParams(PARAMS.lookahead_frames, edges)
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
