import numpy as np
import pytest

torch = pytest.importorskip("torch")

from percepnet.model import PRESETS, Architecture, load_model, save_model
from percepnet.params import SignalParams
from percepnet.reference.network import Network
from percepnet.training.network import TrainingNetwork, detach, from_model, to_model

PARAMS = SignalParams(band_edges=(0, 10, 400))
SIZES = Architecture(dense=5, conv1=6, conv2=7, gru=4, strength_gru=3)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return TrainingNetwork(PARAMS, SIZES)


@pytest.fixture
def features():
    return torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2, 30, PARAMS.features)).astype(np.float32))


def test_the_same_as_frame_by_frame(network, features):
    with torch.no_grad():
        gains, strengths, _ = network(features)
    for sequence in range(len(features)):
        expected_gains, expected_strengths = Network(to_model(network)).run(features[sequence].numpy())
        np.testing.assert_allclose(gains[sequence].numpy(), expected_gains, atol=1e-6)
        np.testing.assert_allclose(strengths[sequence].numpy(), expected_strengths, atol=1e-6)


def test_carried_state_continues_the_sequence(network, features):
    with torch.no_grad():
        whole, _, _ = network(features)
        first, _, state = network(features[:, :1])  # a piece shorter than the convolutions
        second, _, state = network(features[:, 1:13], detach(state))
        third, _, _ = network(features[:, 13:], state)
    torch.testing.assert_close(torch.cat([first, second, third], dim=1), whole)


def test_through_an_int8_file_and_back(network, features, tmp_path):
    save_model(to_model(network, {"hours": "0"}), tmp_path / "m.safetensors")
    model = load_model(tmp_path / "m.safetensors")
    again = from_model(model)
    assert to_model(again, model.info).info == {"hours": "0"}
    for name, weight in to_model(again).weights.items():
        np.testing.assert_array_equal(weight, model.weights[name])
    with torch.no_grad():
        torch.testing.assert_close(again(features)[0], network(features)[0], atol=0.02, rtol=0)


def test_weights_that_become_int8_are_held_to_a_half():
    torch.manual_seed(0)
    network = TrainingNetwork(SignalParams(), PRESETS["tiny"])
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(3)
    network.clamp_weights()
    assert network.conv1.weight.max() == 0.5
    assert network.gru1.weight_hh_l0.max() == 0.5
    assert network.gain.weight.max() == 3
    assert network.gru1.bias_hh_l0.max() == 3
