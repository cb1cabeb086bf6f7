"""A training from mixtures made on the device: it learns, goes on, and keeps to what it was told."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")

import train_on_gpu
from device_corpus import write_corpus
from percepnet.acoustics.mixing import MixingConfig
from percepnet.errors import PercepNetError
from percepnet.model import load_model
from percepnet.training import budget
from percepnet.training.checkpoint import read_checkpoint
from percepnet.training.config import Config
from percepnet.training.device.config import SourceConfig
from percepnet.training.late import Late
from percepnet.training.loss import LossWeights
from percepnet.training.network import forget
from percepnet.training.recipe import read_recipe
from percepnet.training.run import run_training
from percepnet.training.signal_loss import SignalLossWeights

RECIPES = Path(__file__).parents[1] / "recipes"
SOURCE = SourceConfig(device=True, segment_seconds=1.0, bank_noises=1, bank_rooms=2, long_share=0.5)
FEATURES = ("relative_band_levels", "coherences", "pitch")


def settings(folder, out="run", **changes) -> Config:
    config = Config(
        out=str(folder / out), **write_corpus(folder), preset="tiny", features=FEATURES, batch=2, chunk_frames=50,
        source=SOURCE, signal=SignalLossWeights(1.0), mixing=MixingConfig(pause_share=0.2, distance_share=0.2),
    )  # fmt: skip
    return replace(config, **changes)


def test_it_trains_stops_and_goes_on(tmp_path):
    config = settings(tmp_path, updates=4)
    lines = []
    model = run_training(config, lines.append, validate=False)
    assert [line.updates for line in lines] == [2, 4]
    assert lines[-1].hours_seen == pytest.approx(4 / 3600)
    assert all(np.isfinite([line.gain_loss, line.strength_loss]).all() for line in lines)
    assert load_model(str(model)).params.feature_blocks == FEATURES
    assert not list((tmp_path / "run").glob("shards/*.npy"))  # nobody makes shards
    weights = read_checkpoint(tmp_path / "run" / "checkpoint.pt")["network"]

    run_training(replace(config, resume=True, updates=6), lines.append, validate=False)
    assert lines[-1].updates == 6
    again = settings(tmp_path, out="again", updates=4)
    run_training(again, validate=False)
    for name, value in read_checkpoint(tmp_path / "again" / "checkpoint.pt")["network"].items():
        torch.testing.assert_close(value, weights[name])  # the same seed, the same mixtures


def test_a_deadline_is_a_limit(tmp_path):
    lines = []
    run_training(settings(tmp_path), lines.append, validate=False, deadline=0.0)  # long gone
    assert lines[-1].updates >= 2  # a second of training is always left


def test_a_loss_on_the_sound_needs_sounds(tmp_path):
    with pytest.raises(PercepNetError, match="needs \\[source\\] device = true"):
        run_training(settings(tmp_path, source=SourceConfig()))


def test_all_losses_at_once_on_segments_that_are_heard_again(tmp_path):
    missing = any(importlib.util.find_spec(name) is None for name in ("speechmos", "onnx"))
    opinion = {} if missing else {"opinion": 0.4, "opinions": 1}
    heard = SignalLossWeights(0.0, perceptual=0.5, intelligibility=0.5, distortion=0.5, **opinion)
    loss = LossWeights(pauses=0.3, leaks=0.3, shifts={"18-33": -0.8})
    kept = replace(SOURCE, long_share=0.0, kept=2)
    config = settings(tmp_path, updates=8, source=kept, signal=heard, loss=loss)
    lines = []
    run_training(config, lines.append, validate=False)
    assert lines[-1].updates == 8
    assert not (Path(config.out) / "mixtures").exists()
    assert np.isfinite([lines[-1].gain_loss, lines[-1].strength_loss]).all()
    with pytest.raises(PercepNetError, match="set long_share = 0"):
        run_training(settings(tmp_path, out="long", updates=2, source=replace(kept, long_share=0.1)))
    with pytest.raises(PercepNetError, match=r"\[loss\] shifts: expected bands"):
        run_training(settings(tmp_path, out="wrong", updates=2, loss=LossWeights(shifts={"high": -0.8})))


def test_a_loss_by_opinion_says_what_it_needs(tmp_path, monkeypatch):
    with pytest.raises(PercepNetError, match=r"\[signal\] opinions is 0"):
        run_training(settings(tmp_path, source=SOURCE, signal=SignalLossWeights(opinion=1.0, opinions=0)))
    monkeypatch.setitem(sys.modules, "speechmos.dnsmos", None)
    with pytest.raises(PercepNetError, match=r"speechmos cannot be imported .* pip install 'percepnet\[eval\]'"):
        run_training(settings(tmp_path, source=SOURCE, signal=SignalLossWeights(opinion=1.0)))


def test_recipes_that_say_so(tmp_path):
    found = read_recipe(RECIPES / "gated_gpu.toml")
    assert found["source"].device
    assert found["signal"].weight > 0
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[source]\ndevices = true\n")
    with pytest.raises(PercepNetError, match=r"source\.devices: no such field"):
        read_recipe(wrong)


def test_states_of_sequences_that_begin_are_forgotten():
    state = {"gru": torch.ones(2, 3), "conv": torch.ones(2, 4, 5, dtype=torch.bfloat16)}
    found = forget(state, torch.tensor([True, False]))
    assert found["gru"].tolist() == [[0, 0, 0], [1, 1, 1]]
    assert found["conv"].dtype == torch.bfloat16
    assert (found["conv"][0] == 0).all()
    assert (found["conv"][1] == 1).all()


def test_without_a_gpu_nothing_is_late():
    late = Late()
    assert [late.next(torch.tensor([value])) for value in (1.0, 2.0)] == [[1.0], [2.0]]


def test_checkpoints_travel_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "PIECE_BYTES", 1000)
    run, home, other = (tmp_path / name for name in ("run", "home", "other"))
    run.mkdir()
    home.mkdir()
    data = np.random.default_rng(0).bytes(2500)
    (run / "checkpoint.pt").write_bytes(data)
    (run / "settings.json").write_text("{}")
    (home / "checkpoint.pt.07").write_text("of an earlier time")
    budget.bring_home(run, home)
    assert sorted(path.name for path in home.iterdir()) == [*(f"checkpoint.pt.0{n}" for n in range(3)), "settings.json"]
    budget.join_checkpoint(home, other)
    assert (other / "checkpoint.pt").read_bytes() == data
    with pytest.raises(PercepNetError, match=r"no checkpoint\.pt\.00"):
        budget.join_checkpoint(tmp_path, other)


def test_pairs_are_scored_and_missing_ones_said(tmp_path):
    rng = np.random.default_rng(0)
    length = 147_000  # 9.2 s: of what is shorter DNSMOS makes 16 s, seven times the work
    for side, level in (("clean", 0.0), ("noisy", 0.05)):
        (tmp_path / side).mkdir()
        for name in ("a.wav", "b.wav"):
            sound = 0.1 * np.sin(np.arange(length) / 20) + level * rng.standard_normal(length)
            soundfile.write(tmp_path / side / name, sound, 16_000)
    names = budget._pair_names(tmp_path)
    means = budget.score_pairs(Path("small"), tmp_path, names, tmp_path / "scores.json", 600.0)
    assert (means["count"], means["left_out"]) == (2, 0)
    assert np.isfinite(means["si_sdr_db"])
    saved = json.loads((tmp_path / "scores.json").read_text())
    assert set(saved["recordings"]) == {"a.wav", "b.wav"}
    none = budget.score_pairs(Path("small"), tmp_path, names, tmp_path / "scores.json", 0.0)
    assert (none["count"], none["left_out"]) == (0, 2)
    with pytest.raises(PercepNetError, match="no files of the same names"):
        budget._pair_names(tmp_path / "clean")


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('preset = "tiny"\n')
    arguments = ["train", str(tmp_path), "--recipe", str(recipe), "--minutes", "1", "-o", str(tmp_path / "home")]
    assert train_on_gpu.main(arguments) == 2
    assert "[source] device must be true" in capsys.readouterr().err
    recipe.write_text("[source]\ndevice = true\n")
    assert train_on_gpu.main([*arguments, "--work", str(tmp_path / "work")]) == 2
    assert "no speech; give the packs" in capsys.readouterr().err
