import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'percepnet[train]'")

from dataclasses import replace

from models import random_model
from percepnet.training.card import model_card, recordings

INFO = {
    "hours_heard": "2.0",
    "updates": "99",
    "hours_trained": "0.50",
    "seed": "3",
    "init": "default",
    "init_hours_heard": "57.7",
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
    text = model_card(replace(random_model(), info=INFO), "mine")
    assert text.startswith("# mine\n")
    for line in (
        "| signal path | 34 bands, look-ahead of 2 frames: 30 ms of delay |",
        "| heard | 2.0 h of mixtures, in 99 updates, after 57.7 h of `default`, which it started from |",
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
    assert "| heard | ? h of mixtures" in model_card(random_model(), "new")


def test_what_sparsity_left():
    model = random_model()
    assert "kept" not in model_card(model, "dense")
    weights = {name: weight * (0 if name.endswith("weight_ih") else 1) for name, weight in model.weights.items()}
    sizes = {name: weight.size for name, weight in weights.items() if "weight_ih" in name or "weight_hh" in name}
    recurrent = sum(size for name, size in sizes.items() if "hh" in name)
    text = model_card(replace(model, weights=weights), "sparse")
    assert f"; {recurrent / sum(sizes.values()):.0%} of the GRUs' blocks of 16 x 4 are kept, " in text
