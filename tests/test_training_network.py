from copy import deepcopy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from percepnet.model import PRESETS, load_model, save_model
from percepnet.model.presets import article_network
from percepnet.model.table import BANDS, Architecture, Layer
from percepnet.params import SignalParams
from percepnet.reference.network import Network
from percepnet.training.network import TrainingNetwork, detach, from_model, to_model

PARAMS = SignalParams(band_edges=(0, 10, 400))
SIZES = article_network(dense=5, conv1=6, conv2=7, gru=4, strength_gru=3)
# Every kind of layer, a speech head, int8 layers whose inputs exceed 1, and a name that torch modules have a use for
MIXED = Architecture(
    (
        Layer("norm", "normalisation", ("features",)),
        Layer("wide", "dense", ("norm",), 8, "relu"),
        Layer("local", "convolution", ("wide",), 8, "linear", taps=3, dilation=2, depthwise=True),
        Layer("half", "convolution", ("local",), 8, "relu", "int8", taps=2, dilation=3),
        Layer("memory", "gated_recurrence", ("half",), 8, precision="int8"),
        Layer("residual", "sum", ("half", "memory", "local")),
        Layer("gru", "gru", ("residual",), 6, precision="int8"),
        Layer("joined", "concatenation", ("gru", "residual", "features")),
        Layer("gain", "dense", ("joined",), BANDS, "sigmoid", "int8"),
        Layer("strength", "dense", ("gru",), BANDS, "sigmoid"),
        Layer("voice", "dense", ("joined",), 1, "sigmoid"),
    ),
    {"gains": "gain", "strengths": "strength", "speech": "voice"},
)


@pytest.fixture(params=[SIZES, MIXED], ids=["article", "mixed"])
def network(request):
    torch.manual_seed(0)
    return TrainingNetwork(PARAMS, request.param)


@pytest.fixture
def features():
    return torch.from_numpy(np.random.default_rng(0).uniform(-3, 3, (2, 30, PARAMS.features)).astype(np.float32))


def test_the_same_as_frame_by_frame(network, features):
    with torch.no_grad():
        heads, _ = network(features)
        gains, strengths = heads["gains"], heads["strengths"]
    for sequence in range(len(features)):
        expected_gains, expected_strengths = Network(to_model(network)).run(features[sequence].numpy())
        np.testing.assert_allclose(gains[sequence].numpy(), expected_gains, atol=1e-6)
        np.testing.assert_allclose(strengths[sequence].numpy(), expected_strengths, atol=1e-6)


def test_carried_state_continues_the_sequence(network, features):
    with torch.no_grad():
        whole, _ = network(features)
        first, state = network(features[:, :1])  # a piece shorter than the convolutions
        second, state = network(features[:, 1:13], detach(state))
        third, _ = network(features[:, 13:], state)
    parts = [heads["gains"] for heads in (first, second, third)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole["gains"])


def test_through_an_int8_file_and_back(network, features, tmp_path):
    save_model(to_model(network, {"hours": "0"}), tmp_path / "m.safetensors")
    model = load_model(tmp_path / "m.safetensors")
    again = from_model(model)
    assert to_model(again, model.info).info == {"hours": "0"}
    for name, weight in to_model(again).weights.items():
        np.testing.assert_array_equal(weight, model.weights[name])
    with torch.no_grad():
        for head, found in again(features)[0].items():
            torch.testing.assert_close(found, network(features)[0][head], atol=0.02, rtol=0)


def test_all_heads_are_those_of_the_reference(features):
    torch.manual_seed(0)
    network = TrainingNetwork(PARAMS, MIXED)
    with torch.no_grad():
        heads, _ = network(features)
    reference = Network(to_model(network))
    for sequence, frames in enumerate(features.numpy()):
        state = reference.initial_state()
        expected = np.array([reference.outputs(frame, state)["voice"] for frame in frames])
        np.testing.assert_allclose(heads["speech"][sequence].numpy(), expected, atol=1e-5)


def test_parameters_are_called_as_in_a_file(network):
    names = {name.removesuffix("_l0"): tuple(weight.shape) for name, weight in network.state_dict().items()}
    assert names == network.architecture.shapes(PARAMS)
    assert [*names] == [*network.architecture.shapes(PARAMS)]


def test_inputs_of_layers_in_8_bits_are_limited(features):
    torch.manual_seed(0)
    network = TrainingNetwork(PARAMS, MIXED)
    said = []
    dict(network.named_children())["half"].register_forward_hook(lambda module, given, y: said.append(y))
    with torch.no_grad():
        network.local.weight.fill_(0)
        for bias in (0.5, 1.0, 30.0):
            network.local.bias.fill_(bias)
            network(features)
    torch.testing.assert_close(said[1], said[2])
    assert (said[0] - said[1]).abs().max() > 0.01


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


def test_exactly_what_becomes_int8_is_held_to_a_half(network):
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(3)
    network.clamp_weights()
    weights = to_model(network).weights
    assert {name for name, weight in weights.items() if weight.max() == 0.5} == network.architecture.int8_names(PARAMS)
    assert {weight.max() for weight in weights.values()} == {0.5, 3}


def test_deeply_copied_it_is_the_same(network, features):
    """As the running average of a training is made."""
    with torch.no_grad():
        torch.testing.assert_close(deepcopy(network)(features)[0], network(features)[0])
