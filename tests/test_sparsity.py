import numpy as np
import pytest

torch = pytest.importorskip("torch")

from percepnet.errors import PercepNetError
from percepnet.model import quantise
from percepnet.model.presets import article_network
from percepnet.model.quantisation import block_density
from percepnet.model.table import BANDS, Architecture, Layer
from percepnet.params import SignalParams
from percepnet.stream import Enhancer
from percepnet.training.network import TrainingNetwork, to_model
from percepnet.training.sparsity import Pruning, SparsityConfig, block_mask, matrices, pruned

SIZES = article_network(dense=4, conv1=8, conv2=16, gru=32, strength_gru=16)
CONFIG = SparsityConfig(reset=0.25, update=0.5, new=0.75, begin=0.2, end=0.6)


def kept_blocks(gate):
    outputs, inputs = gate.shape
    return np.abs(gate).reshape(outputs // 16, 16, inputs // 4, 4).max(axis=(1, 3)) > 0


@pytest.fixture
def network():
    torch.manual_seed(0)
    return TrainingNetwork(SignalParams(band_edges=(0, 10, 400)), SIZES)


@pytest.fixture
def average():
    torch.manual_seed(1)
    return TrainingNetwork(SignalParams(band_edges=(0, 10, 400)), SIZES)


def test_the_schedule_is_rnnoises_cubic():
    assert CONFIG.densities(0.1) == CONFIG.densities(0.2) == (1, 1, 1)
    assert CONFIG.densities(0.6) == CONFIG.densities(1.0) == (0.25, 0.5, 0.75)
    halfway = CONFIG.densities(0.4)
    np.testing.assert_allclose(halfway, [0.25 + 0.75 / 8, 0.5 + 0.5 / 8, 0.75 + 0.25 / 8])


def test_the_blocks_of_most_energy_stay():
    weight = torch.full((32, 8), 0.1)
    weight[16:, :4] = 0.2
    weight[3, 5] = 9.0
    mask = block_mask(weight, 0.5)
    expected = torch.zeros(32, 8)
    expected[16:, :4] = 1
    expected[:16, 4:] = 1
    torch.testing.assert_close(mask, expected)


def test_sizes_that_are_no_multiple_of_a_block():
    weight = torch.zeros(20, 6)
    weight[17, 5] = 1.0  # in the last, incomplete block
    mask = block_mask(weight, 0.01)
    assert mask.shape == (20, 6)
    assert mask[16:, 4:].all()
    assert mask.sum() == 4 * 2


def test_blocks_of_convolutions_are_of_one_tap():
    weight = torch.full((16, 8, 3), 0.1)
    weight[5, 6, 2] = 9.0
    mask = block_mask(weight, 1 / 6)
    expected = torch.zeros(16, 8, 3)
    expected[:, 4:, 2] = 1
    torch.testing.assert_close(mask, expected)
    assert block_density((weight * mask).numpy()) == 1 / 6


def test_convolutions_keep_their_share_and_the_core_gives_the_same(network, average, core):
    Pruning(SparsityConfig(convolution=0.5)).apply(network, average, updates=100, progress=1.0)
    model = to_model(network)
    assert block_density(model.weights["conv2.weight"]) == 0.5
    assert block_density(model.weights["gru1.weight_ih"]) == 1.0
    rng = np.random.default_rng(0)
    x = (0.1 * rng.standard_normal(4800)).astype(np.float32)
    outputs = [Enhancer(48000, model=model, engine=engine).process(x) for engine in ("core", "numpy")]
    np.testing.assert_allclose(*outputs, atol=3e-4)  # 8 bits of activations may be rounded the other way


def test_gates_keep_their_shares(network, average):
    pruning = Pruning(CONFIG)
    pruning.apply(network, average, updates=100, progress=1.0)
    for model in (to_model(network), to_model(average)):
        for name in ("gru1.weight_ih", "gru3.weight_hh", "strength_gru.weight_ih"):
            for gate, density in zip(np.split(model.weights[name], 3), (0.25, 0.5, 0.75), strict=True):
                assert kept_blocks(gate).mean() == density
        assert np.all(model.weights["conv1.weight"] != 0)
    # what is zero in training is zero in 8 bits, where the core looks for it
    integers, _ = quantise(to_model(network).weights["gru1.weight_ih"])
    assert kept_blocks(integers[:32]).mean() == 0.25


def test_removed_blocks_never_return(network, average):
    pruning = Pruning(CONFIG)
    pruning.apply(network, average, updates=100, progress=0.3)
    removed = network.gru1.weight_hh_l0 == 0
    assert removed.any()
    for updates, progress in ((101, 0.31), (200, 0.4)):
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(0.01)  # an update
        pruning.apply(network, average, updates, progress)
        assert (network.gru1.weight_hh_l0[removed] == 0).all()


def test_resumed_it_goes_on_with_the_same_blocks(network, average):
    Pruning(CONFIG).apply(network, average, updates=100, progress=0.6)
    before = to_model(network).weights["gru1.weight_hh"]
    resumed = Pruning(CONFIG)
    resumed.apply(network, average, updates=142, progress=0.6)  # before its first update
    with torch.no_grad():
        network.gru1.weight_hh_l0.add_(9.0)
    resumed.apply(network, average, updates=143, progress=0.6)
    np.testing.assert_array_equal(to_model(network).weights["gru1.weight_hh"] == 0, before == 0)


def test_nothing_happens_before_it_begins_or_without_sparsity(network, average):
    before = to_model(network).weights
    Pruning(CONFIG).apply(network, average, updates=100, progress=0.1)
    Pruning(SparsityConfig()).apply(network, average, updates=100, progress=1.0)
    for name, weight in to_model(network).weights.items():
        np.testing.assert_array_equal(weight, before[name])


def test_a_model_is_thinned_as_the_end_of_a_training_would(network, average):
    whole = to_model(network)
    model = pruned(whole, CONFIG)
    Pruning(CONFIG).apply(network, average, updates=100, progress=1.0)
    for name, weight in to_model(network).weights.items():
        np.testing.assert_array_equal(model.weights[name], weight)
    assert np.all(whole.weights["gru1.weight_ih"] != 0)
    assert model.info == whole.info
    assert pruned(whole, SparsityConfig()) is whole


def test_shares_out_of_range_are_refused():
    with pytest.raises(PercepNetError, match=r"sparsity.new is 0"):
        SparsityConfig(new=0)
    with pytest.raises(PercepNetError, match=r"sparsity.convolution is 2"):
        SparsityConfig(convolution=2)
    with pytest.raises(PercepNetError, match="begin"):
        SparsityConfig(begin=0.7, end=0.6)


def test_only_matrices_in_8_bits_of_grus_are_pruned():
    params = SignalParams(band_edges=(0, 10, 400))
    heads = (Layer("gain", "dense", ("m",), BANDS, "sigmoid"), Layer("strength", "dense", ("m",), BANDS, "sigmoid"))
    layers = (
        Layer("in", "dense", ("features",), 32, "tanh", "int8"),
        Layer("exact", "gru", ("in",), 32),
        Layer("b", "gru", ("exact",), 32, precision="int8"),
        Layer("m", "gated_recurrence", ("b",), 32, precision="int8"),
    )
    architecture = Architecture((*layers, *heads))
    assert matrices(architecture, params) == {"b.weight_ih": "gru", "b.weight_hh": "gru"}
    torch.manual_seed(0)
    network, average = (TrainingNetwork(params, architecture) for _ in range(2))
    whole = to_model(network)
    Pruning(CONFIG).apply(network, average, updates=100, progress=1.0)
    for model in (pruned(whole, CONFIG), to_model(network)):
        changed = {name for name, weight in model.weights.items() if np.any(weight != whole.weights[name])}
        assert changed == {"b.weight_ih", "b.weight_hh"}
