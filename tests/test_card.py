import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'percepnet[train]'")

import numpy as np

from models import random_model
from percepnet.model import Model
from percepnet.model.table import BANDS, Architecture, Layer
from percepnet.params import SignalParams
from percepnet.training.card import model_card, recordings

INFO = {
    "hours_seen": "2.0",
    "updates": "99",
    "hours_trained": "0.50",
    "seed": "3",
    "init": "default",
    "init_hours_seen": "57.7",
    "loss": '{"kind": "P21", "loudness": 5.0}',
    "adversarial": '{"share": 0.5, "matching": 2.0}',
    "held_out_gain_loss": "0.4",
    "licence": "CC0",
    "speech/a": "1.5 h, PD",
    "noise/rain": "0.2 h, CC0; MIT",
    "noise/tick": "0.0 h, GPL",
    "noise/bell": "0.0 h, CC0",
}


def test_facts():
    model = random_model()
    weights = model.weight_count
    text = model_card(Model(model.params, model.architecture, model.weights, INFO), "mine")
    assert text.startswith("# mine\n")
    for line in (
        f"| architecture | {weights / 1e6:.2f} million weights; dense 16, conv1 16 x 5, conv2 16 x 3, gru1 16, "
        "gru2 16, gru3 16, gain_gru 16, strength_gru 8 |",
        "| signal path | 34 bands, look-ahead of 2 frames: 30 ms of delay |",
        "| audio seen | 2.0 h of mixtures, in 99 updates, after 57.7 h of `default`, which it started from |",
        "| loss | kind P21, loudness 5.0 |",
        "| adversarial loss | share 0.5, matching 2.0 |",
        "| held-out loss | 0.4 (gain) |",
        "| licence | CC0 |",
    ):
        assert line in text.splitlines()


def test_every_source_is_named_with_its_licence():
    text = recordings(INFO)
    assert "| `a` | 1.5 | PD |" in text
    assert "| `rain` | 0.2 | CC0; MIT |" in text
    assert "Less than 6 minutes each: `bell` (CC0); `tick` (GPL)." in text
    assert "### Rooms" not in text


def test_of_a_model_without_a_past():
    assert "| audio seen | ? h of mixtures" in model_card(random_model(), "new")


def test_what_sparsity_left():
    model = random_model()
    assert "kept" not in model_card(model, "dense")
    weights = {name: weight * (0 if name.endswith("weight_ih") else 1) for name, weight in model.weights.items()}
    sizes = {name: weight.size for name, weight in weights.items() if "weight_ih" in name or "weight_hh" in name}
    recurrent = sum(size for name, size in sizes.items() if "hh" in name)
    text = model_card(Model(model.params, model.architecture, weights), "sparse")
    assert f"; {recurrent / sum(sizes.values()):.0%} of the GRUs' blocks of 16 x 4 are kept, " in text


def test_any_table_is_described():
    architecture = Architecture(
        (
            Layer("front", "dense", ("features",), 8, "tanh"),
            Layer("local", "convolution", ("front",), 8, "tanh", taps=3, dilation=2, depthwise=True),
            Layer("memory", "gated_recurrence", ("local",), 8),
            Layer("residual", "sum", ("local", "memory")),
            Layer("gain", "dense", ("residual",), BANDS, "sigmoid"),
            Layer("strength", "dense", ("residual",), BANDS, "sigmoid"),
        )
    )
    params = SignalParams()
    model = Model(params, architecture, {n: np.zeros(s, np.float32) for n, s in architecture.shapes(params).items()})
    text = model_card(model, "other")
    layers = "front 8 (dense), local 8 x 3 depthwise of every 2 frames, memory 8 (gated recurrence)"
    assert f"| architecture | 0.00 million weights; {layers} |" in text.splitlines()
