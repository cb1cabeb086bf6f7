import re
from dataclasses import asdict, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from percepnet.errors import ModelError
from percepnet.model import Architecture
from percepnet.params import SignalParams
from percepnet.spec.network import Network
from percepnet.training.growth import grown
from percepnet.training.network import TrainingNetwork, from_model, to_model

PARAMS = SignalParams(band_edges=(0, 10, 400))
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
