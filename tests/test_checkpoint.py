import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from percepnet.errors import ModelError, PercepNetError
from percepnet.model.presets import article_network
from percepnet.model.table import BANDS, Architecture, Layer
from percepnet.params import SignalParams
from percepnet.training.checkpoint import checkpoint_network, network_fields, read_checkpoint
from percepnet.training.network import TrainingNetwork

PARAMS = SignalParams(1, (0, 10, 400), 30.0, ("pitch", "band_levels"))
SIZES = {"dense": 5, "conv1": 6, "conv2": 7, "gru": 4, "strength_gru": 3}
OTHER = Architecture(
    (
        Layer("local", "convolution", ("features",), 8, "relu", "int8", taps=3, dilation=2),
        Layer("memory", "gated_recurrence", ("local",), 8),
        Layer("residual", "sum", ("local", "memory")),
        Layer("gain", "dense", ("residual",), BANDS, "sigmoid"),
        Layer("strength", "dense", ("residual",), BANDS, "sigmoid"),
        Layer("voice", "dense", ("residual",), 1, "sigmoid"),
    ),
    {"gains": "gain", "strengths": "strength", "speech": "voice"},
)


def saved(path, params=PARAMS, architecture=OTHER):
    torch.manual_seed(0)
    network = TrainingNetwork(params, architecture)
    torch.save({"average": network.state_dict(), **network_fields(network)}, path)
    return network


def test_any_network_comes_back(tmp_path):
    network = saved(tmp_path / "c.pt")
    found = checkpoint_network(tmp_path / "c.pt", read_checkpoint(tmp_path / "c.pt"))
    assert (found.params, found.architecture) == (PARAMS, OTHER)
    for name, weight in network.state_dict().items():
        assert torch.equal(found.state_dict()[name], weight)


def test_from_before_there_were_tables(tmp_path):
    """Five sizes, and neither the corner of a high-pass nor the blocks of features."""
    params = SignalParams(1, (0, 10, 400))
    network = saved(tmp_path / "c.pt", params, article_network(**SIZES))
    before = read_checkpoint(tmp_path / "c.pt")
    before |= {"architecture": SIZES, "params": {"lookahead_frames": 1, "band_edges": (0, 10, 400)}}
    found = checkpoint_network(tmp_path / "c.pt", before)
    assert (found.params, found.architecture) == (params, article_network(**SIZES))
    np.testing.assert_array_equal(found.gru1.weight_hh_l0.detach(), network.gru1.weight_hh_l0.detach())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state["architecture"]["layers"][1].pop("units"), "layers.memory.units: expected an integer"),
        (lambda state: state["architecture"]["layers"][1].update(kind="lstm"), "layers.memory.kind: expected one of"),
        (lambda state: state["architecture"]["layers"][0].update(name=7), "layers.0.name: expected text, found 7"),
        (lambda state: state["architecture"]["layers"][0].update(inputs=7), "layers.local.inputs: expected a list"),
        (lambda state: state["architecture"]["layers"][0].update(taps=torch.ones(1)), "architecture: expected plain"),
        (lambda state: state["architecture"].update(layers=7), "layers: expected a list of layers, found 7"),
        (lambda state: state["architecture"].update(heads=7), "heads: expected an object, found 7"),
        (lambda state: state.pop("architecture"), "architecture: expected"),
        (lambda state: state["params"].update(band_edges=(3, 2)), "band_edges must increase"),
        (lambda state: state["params"].update(lookahead_frames="2"), "params.lookahead_frames: expected"),
        (lambda state: state["params"].pop("band_edges"), "params.band_edges: expected this field, found none"),
        (lambda state: state["params"].update(more=7), "params.more: found this field"),
        (lambda state: state.pop("params"), "params: expected"),
        (lambda state: state["average"].pop("gain.bias"), "average.gain.bias: the architecture has such weights"),
        (lambda state: state["average"].update(x=torch.zeros(1)), "average.x: the architecture has no such weights"),
        (
            lambda state: state["average"].update({"gain.bias": torch.zeros(4)}),
            "average.gain.bias: expected shape (3,), found (4,)",
        ),
        (lambda state: state.update(average=7), "average: expected weights by name, found 7"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, change, message):
    saved(tmp_path / "c.pt")
    state = read_checkpoint(tmp_path / "c.pt")
    change(state)
    with pytest.raises(ModelError, match=re.escape(f"{tmp_path / 'c.pt'}: {message}")):
        checkpoint_network(tmp_path / "c.pt", state)


def test_no_checkpoint(tmp_path):
    with pytest.raises(PercepNetError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "c.pt")
    (tmp_path / "c.pt").write_bytes(b"something else")
    with pytest.raises(PercepNetError, match="not a checkpoint of a training, or a damaged one"):
        read_checkpoint(tmp_path / "c.pt")
    torch.save({"other": 1}, tmp_path / "c.pt")
    with pytest.raises(PercepNetError, match="not a checkpoint of a training"):
        read_checkpoint(tmp_path / "c.pt")
