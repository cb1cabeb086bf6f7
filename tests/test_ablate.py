"""Variants of a training, trained alike: `scripts/ablate.py`."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("msgspec")

import ablate
from percepnet.errors import PercepNetError
from percepnet.model import load_model
from percepnet.params import SignalParams
from percepnet.training.config import Config
from percepnet.training.features import shard_name, shards_folder, write_shard
from percepnet.training.rows import RowLayout

ROOT = Path(__file__).resolve().parents[1]

PLAN = """
mixtures_hours = 0.002
[base]
preset = "tiny"
features = ["relative_band_levels", "coherences", "pitch"]
updates = 2
batch = 2
chunk_frames = 50
shard_sequences = 2
sequence_seconds = 2.0
[base.loss]
loudness = 8.0
[[variant]]
name = "the base"
[[variant]]
group = "inputs"
name = "levels alone"
features = ["band_levels"]
loss = { strength = 0.5 }
"""


def test_the_variants_of_the_repository_can_be_read():
    plan = ablate.read_plan(ROOT / "recipes/ablations/gated.toml", {"speech": ["speech.jsonl"]})
    base = plan.variants[0].config(Path("run"), 3)
    assert base.loss.loudness == 8
    assert base.speech == (str(Path("speech.jsonl").resolve()),)
    changed = {variant.name: variant.config(Path("run"), 3) for variant in plan.variants}
    assert changed["without rooms"].mixing.room_share == 0
    assert (
        changed["without rooms"].mixing.pause_share == base.mixing.pause_share
    )  # a table leaves what it does not name
    assert len({variant.slug for variant in plan.variants}) == len(plan.variants)


def test_a_setting_that_is_none_is_named(tmp_path):
    (tmp_path / "plan.toml").write_text(PLAN.replace("strength = 0.5", "streng = 0.5"))
    with pytest.raises(PercepNetError, match=r"levels alone.*streng"):
        ablate.read_plan(tmp_path / "plan.toml", {})


def test_rows_are_cut_to_the_features_of_a_variant(tmp_path):
    features = ("band_levels", "coherences", "pitch", "relative_band_levels")
    whole = RowLayout(SignalParams(feature_blocks=features))
    shard = np.random.default_rng(0).normal(size=(2, 5, whole.count)).astype(np.float16)
    write_folder = shards_folder(tmp_path / "mixtures")
    write_folder.mkdir(parents=True)
    write_shard(write_folder / shard_name(0), shard)
    config = Config(out=str(tmp_path / "run"), features=("pitch", "relative_band_levels"))
    ablate.cut_shards(config, tmp_path / "mixtures", features, 1)
    found = np.load(shards_folder(tmp_path / "run") / shard_name(0))
    cut = RowLayout(SignalParams(feature_blocks=config.features))
    slices = whole.params.feature_slices
    np.testing.assert_array_equal(found[..., :2], shard[..., slices["pitch"]])
    np.testing.assert_array_equal(found[..., cut.levels], shard[..., slices["band_levels"]])
    for part in ("gains", "strengths", "speech"):
        np.testing.assert_array_equal(found[..., getattr(cut, part)], shard[..., getattr(whole, part)])


def test_variants_are_trained_once_on_the_same_mixtures(tmp_path, capsys):
    (tmp_path / "plan.toml").write_text(PLAN)
    command = [str(tmp_path / "plan.toml"), "--speech", str(ROOT / "examples/clips/clean"), "-o", str(tmp_path / "out")]
    assert ablate.main([*command, "--jobs", "1"]) == 0
    models = sorted((tmp_path / "out").glob("*.safetensors"))
    assert [load_model(model).params.feature_blocks for model in models] == [
        ("band_levels",),
        ("relative_band_levels", "coherences", "pitch"),
    ]
    assert len(list((tmp_path / "out").glob("mixtures-*"))) == 1
    before = [model.stat().st_mtime_ns for model in models]
    assert ablate.main([*command, "--jobs", "1"]) == 0
    assert [model.stat().st_mtime_ns for model in models] == before
    assert "levels alone" in capsys.readouterr().out
