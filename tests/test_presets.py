import numpy as np
import pytest

from percepnet.errors import ModelError
from percepnet.model import PRESETS, article_network
from percepnet.params import SignalParams


def weights_of(architecture):
    return sum(int(np.prod(shape)) for shape in architecture.shapes(SignalParams()).values())


def test_published_size():
    assert weights_of(PRESETS["percepnet"]) == 7_962_564  # summed by hand, layer by layer


def test_small_preset_is_about_a_million():
    assert 1.0e6 < weights_of(PRESETS["small"]) < 1.5e6


@pytest.mark.parametrize("units", [0, -1, 10**9, 1.5, True])
def test_unit_counts_are_bounded(units):
    with pytest.raises(ModelError, match=r"layers\.gru1\.units"):
        article_network(gru=units)


@pytest.mark.parametrize("preset", PRESETS)
def test_small_layers_are_in_single_precision(preset):
    int8_names = PRESETS[preset].int8_names(SignalParams())
    assert {"gru1.weight_ih", "gru1.weight_hh", "conv1.weight", "strength_gru.weight_hh"} <= int8_names
    assert not int8_names & {"dense.weight", "gain.weight", "strength.weight", "gru1.bias_ih"}
