import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'percepnet[train]'")

from percepnet.errors import ModelError, PercepNetError
from percepnet.model import PRESETS, load_model
from percepnet.model.presets import with_bins
from percepnet.params import BINS, ERB_EDGES_48, HIGHPASS_HZ, PERCEPNET_FEATURES, TRAINED_FEATURES, SignalParams
from percepnet.reference.features import Features
from percepnet.reference.network import Network
from percepnet.training.checkpoint import read_checkpoint
from percepnet.training.config import Config
from percepnet.training.export import export_model
from percepnet.training.features import VALID_NAME, Shards, shard_name, write_shard
from percepnet.training.loss import LossWeights
from percepnet.training.rows import RowLayout
from percepnet.training.run import run_training
from percepnet.training.trainer import Trainer, band_energies

BANDS, FEATURES = 34, 70


def learnable_shard(seed, sequences=4, frames=40):
    """All bands are kept where the first feature is positive. Of the last band the target is unknown."""
    rng = np.random.default_rng(seed)
    features = rng.uniform(-1, 1, (sequences, frames, FEATURES))
    gains = np.repeat((features[..., :1] > 0) * 0.9 + 0.05, BANDS, axis=-1)
    gains[..., -1] = -1
    strengths = np.full((sequences, frames, BANDS), 0.5)
    speech = np.ones((sequences, frames, 1))
    return np.concatenate([features, gains, strengths, speech], axis=-1).astype(np.float16)


@pytest.fixture
def speech(tmp_path):
    path = tmp_path / "speech.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(48000), 48000)
    (tmp_path / "speech.jsonl").write_text('{"path": "speech.wav", "split": "train", "source": "s", "licence": "CC0"}')
    return str(tmp_path / "speech.jsonl")


@pytest.fixture
def config(tmp_path, speech):
    return Config(
        out=str(tmp_path / "run"),
        speech=(speech,),
        preset="tiny",
        features=PERCEPNET_FEATURES,
        batch=2,
        chunk_frames=20,
        workers=0,
        warmup_updates=1,
        cooldown_share=0,
    )


def prepared(config):
    run = Path(config.out)
    (run / "shards").mkdir(parents=True)
    for index in range(3):
        write_shard(run / "shards" / shard_name(index), learnable_shard(index))
    write_shard(run / VALID_NAME, learnable_shard(99))
    return config


def weights_of(config, kind="network"):
    return read_checkpoint(Path(config.out) / "checkpoint.pt")[kind]


def test_some_layers_are_trained_and_the_others_stay(config, tmp_path):
    run_training(replace(prepared(config), updates=2))
    before = str(Path(config.out) / "model.safetensors")
    again = replace(config, out=str(tmp_path / "again"), init=before, preset=None, layers=("gain",), updates=6)
    run_training(prepared(again))
    old, new = load_model(before).weights, load_model(tmp_path / "again" / "model.safetensors").weights
    changed = {name for name in old if not np.array_equal(old[name], new[name])}
    assert changed == {"gain.weight", "gain.bias"}


def test_layers_that_are_not_there_are_named(config, tmp_path):
    with pytest.raises(PercepNetError, match=r"no 'gains'; it has: dense, conv1, .*gain, strength"):
        run_training(replace(prepared(config), preset=None, init="small", features=(), layers=("gains",), updates=1))
    with pytest.raises(PercepNetError, match="does not start from another is trained whole"):
        run_training(replace(config, out=str(tmp_path / "other"), layers=("gain",), updates=1))


@pytest.mark.parametrize("init", [None, "small"])
def test_other_bands(config, init):
    config = replace(config, features=() if init else config.features)
    run_training(replace(config, bands=48, init=init, preset=None, workers=1, updates=1, shard_sequences=4, ring=1))
    model = load_model(Path(config.out) / "model.safetensors")
    assert model.params.band_edges == ERB_EDGES_48
    expected = with_bins(PRESETS["small"]).in_8_bits(["gain"]) if init else PRESETS["small"]
    assert model.architecture.remembering(0) == expected


@pytest.fixture
def with_more_features(config):
    """An update of `small`, which is given levels of bins besides."""
    blocks = (*load_model("small").params.feature_blocks, "relative_bin_levels")
    config = replace(
        config, features=blocks, init="small", preset=None, workers=1, updates=1, shard_sequences=4, ring=1
    )
    run_training(config)
    return config


def test_more_features(with_more_features):
    model = load_model(Path(with_more_features.out) / "model.safetensors")
    assert model.params.feature_blocks == with_more_features.features
    assert np.any(model.weights["dense.weight"][:, model.params.feature_slices["relative_bin_levels"]])


def test_mean_with_a_model_of_fewer_features(with_more_features, tmp_path):
    run = with_more_features.out
    before, after = load_model("small"), load_model(Path(run) / "model.safetensors")
    mean = export_model(["small", run], tmp_path / "mean.safetensors")
    assert mean.params == after.params
    known = before.params.features
    wanted = (before.weights["dense.weight"] + after.weights["dense.weight"][:, :known]) / 2
    np.testing.assert_allclose(mean.weights["dense.weight"][:, :known], wanted, atol=1e-6)
    new = after.weights["dense.weight"][:, known:]
    np.testing.assert_allclose(mean.weights["dense.weight"][:, known:], new / 2, atol=1e-6)
    with pytest.raises(PercepNetError, match="another network than"):
        export_model([run, "small"], tmp_path / "none.safetensors")


def test_bands_that_there_are_not(config):
    with pytest.raises(PercepNetError, match="bands is 40; there are: 34, 48"):
        run_training(replace(config, bands=40))


def test_learns(config, monkeypatch):
    monkeypatch.setattr("percepnet.training.callbacks.save_curves", lambda run: None)  # at every update here
    config = prepared(replace(config, updates=60, learning_rate=0.01, batch=4, validate_minutes=0, average=0.5))
    seen = []
    run_training(config, seen.append)
    assert seen[-1].updates == 60
    assert seen[-1].gain_loss < 0.8 * seen[0].gain_loss
    assert seen[-1].validation["gain"] < 0.8 * seen[0].validation["gain"]
    rows = (Path(config.out) / "validation.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["updates"] == 60
    assert "held out" in (Path(config.out) / "training.log").read_text()


def test_resumed_is_the_same_as_in_one_go(config, tmp_path):
    whole = prepared(replace(config, updates=6))
    run_training(whole)
    parts = prepared(replace(config, out=str(tmp_path / "parts"), updates=2))
    run_training(parts)
    first = weights_of(parts)
    run_training(Config(out=parts.out, resume=True, workers=0))
    assert weights_of(parts, "updates") == 2  # without a new limit the old one stands
    run_training(Config(out=parts.out, resume=True, updates=6, workers=0))
    assert not torch.equal(first["dense.weight"], weights_of(parts)["dense.weight"])
    for kind in ("network", "average"):
        expected, found = weights_of(whole, kind), weights_of(parts, kind)
        assert all(torch.equal(expected[name], found[name]) for name in expected)
    state = read_checkpoint(Path(parts.out) / "checkpoint.pt")
    assert state["updates"] == 6
    assert state["audio_seen_s"] == pytest.approx(3 * 2 * 0.4)  # 3 batches of 2 sequences of 40 frames, 2 updates each


def test_interrupted_leaves_a_checkpoint(config):
    config = prepared(config)  # without any limit
    before = signal.getsignal(signal.SIGTERM)
    path = run_training(config, lambda progress: progress.updates >= 4 and os.kill(os.getpid(), signal.SIGTERM))
    assert read_checkpoint(Path(config.out) / "checkpoint.pt")["updates"] >= 4
    assert load_model(path).info["updates"] == str(read_checkpoint(Path(config.out) / "checkpoint.pt")["updates"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_unknown_bands_get_no_gradient(config):
    config = prepared(config)
    trainer = Trainer(config, {})
    before = trainer.network.gain.weight.detach().clone()
    trainer.train(Shards(Path(config.out) / "shards"))
    moved = (trainer.network.gain.weight.detach() - before).abs().amax(dim=1)
    decay = 1e-3 * 0.01 * 0.5 * 4  # all that weight decay can do in two updates, and more
    assert moved[-1] < decay
    assert (moved[:-1] > decay).all()


def test_band_energies_undo_the_features():
    params = SignalParams()
    energies = np.random.default_rng(0).uniform(1e-3, 1, (5, params.bands)).astype(np.float32)
    bins = np.zeros((5, BINS), np.float32)
    rows = Features(params).push(energies, bins, np.zeros_like(energies), np.full(5, 272.0), np.zeros(5))
    found = band_energies(torch.from_numpy(rows[:, RowLayout(params).levels]), params).numpy()
    np.testing.assert_allclose(found / found[0, 0], energies / energies[0, 0], rtol=1e-3)


def test_band_energies_are_found_wherever_they_are(config):
    blocks = (("pitch", "band_levels", "relative_band_levels"), ("relative_band_levels", "coherences", "pitch"))
    levels = torch.rand(2, 20, BANDS)
    expected = None
    for features in blocks:
        trainer = Trainer(replace(config, features=features), {})
        layout = RowLayout(trainer.network.params)
        rows = torch.rand(2, 20, layout.count)
        rows[..., layout.levels] = levels
        energies = trainer._parts(rows)[4]
        expected = energies if expected is None else expected
        torch.testing.assert_close(energies, expected)


def test_networks_without_band_levels_are_trained_all_the_same(config):
    features = ("relative_band_levels", "relative_bin_levels")
    run_training(
        replace(config, features=features, preset="gated_small", workers=1, updates=1, shard_sequences=4, ring=1)
    )
    model = load_model(Path(config.out) / "model.safetensors")
    assert model.params.feature_blocks == features
    assert model.architecture == PRESETS["gated_small"]


@pytest.mark.parametrize("weight", [0.0, 5.0])
def test_speech_probability_is_learnt(config, weight):
    """Where the loss asks for it: all frames of these shards are speech."""
    config = prepared(replace(config, preset="gated_small", loss=LossWeights(speech=weight), learning_rate=3e-3))
    trainer = Trainer(config, {})
    shards = Shards(Path(config.out) / "shards")
    for _ in range(5):
        trainer.train(shards)
    heads, _ = trainer.network(torch.zeros(1, 20, FEATURES))
    assert (heads["speech"].mean() > 0.7) == (weight > 0)


def test_weights_stay_within_a_half(config):
    config = prepared(replace(config, learning_rate=1.0))
    trainer = Trainer(config, {})
    trainer.train(Shards(Path(config.out) / "shards"))
    assert trainer.network.gru1.weight_hh_l0.abs().max() <= 0.5
    assert trainer.network.conv2.weight.abs().max() <= 0.5


def test_learning_rate_rises_falls_and_cools_down(config):
    trainer = Trainer(replace(config, warmup_updates=10, decay=0.01, cooldown_share=0.2, updates=200), {})
    rates = []
    for trainer.updates in range(200):
        rates.append(trainer.learning_rate)
    assert rates[0] == pytest.approx(1e-4)
    assert rates[50] == pytest.approx(1e-3 / 1.5)
    assert rates[180] == pytest.approx(0.5 * 1e-3 / 2.8)
    assert min(rates[100:]) == pytest.approx(0.05 * 1e-3 / 2.99, rel=0.02)


def test_starts_from_a_model(config, tmp_path):
    run_training(prepared(replace(config, updates=2)))
    start = load_model(Path(config.out) / "model.safetensors")
    trainer = Trainer(replace(config, out=str(tmp_path / "b"), init=str(Path(config.out) / "model.safetensors")), {})
    np.testing.assert_array_equal(trainer.network.dense.weight.detach().numpy(), start.weights["dense.weight"])


def test_export_of_several_runs_is_their_mean(config, tmp_path):
    run_training(prepared(replace(config, updates=4)))
    start = str(Path(config.out) / "model.safetensors")
    run_training(prepared(replace(config, updates=4, seed=1, out=str(tmp_path / "second"), init=start)))
    runs = [config.out, tmp_path / "second"]
    both = export_model(runs, tmp_path / "both.safetensors")
    first, second = (export_model(run, tmp_path / "one.safetensors") for run in runs)
    for name, weight in both.weights.items():
        np.testing.assert_allclose(weight, (first.weights[name] + second.weights[name]) / 2, atol=1e-6)
    assert both.info == second.info | {"averaged_runs": "2"}
    export_model(runs[0], tmp_path / "first.safetensors")
    mixed = export_model([tmp_path / "first.safetensors", runs[1], runs[1]], tmp_path / "mixed.safetensors")
    stored = load_model(tmp_path / "first.safetensors")
    for name, weight in mixed.weights.items():
        np.testing.assert_allclose(weight, (stored.weights[name] + 2 * second.weights[name]) / 3, atol=1e-6)
    assert mixed.info == second.info | {"averaged_runs": "3"}
    with pytest.raises(PercepNetError, match="another network"):
        export_model(["small", runs[1]], tmp_path / "none.safetensors")
    with pytest.raises(PercepNetError, match="name a run"):
        export_model([], tmp_path / "none.safetensors")
    other = prepared(replace(config, updates=4, out=str(tmp_path / "other"), lookahead_frames=1))
    run_training(other)
    with pytest.raises(PercepNetError, match="another network"):
        export_model([config.out, other.out], tmp_path / "none.safetensors")
    assert not (tmp_path / "none.safetensors").exists()


def test_export_is_the_average_and_says_what_it_was_trained_on(config, tmp_path):
    run_training(prepared(replace(config, updates=4, exclude=("secret",))))
    exact = export_model(config.out, tmp_path / "m.safetensors", {"licence": "CC0"})
    model = load_model(tmp_path / "m.safetensors")
    assert model.params == SignalParams(highpass_hz=HIGHPASS_HZ)
    assert model.info["licence"] == "CC0"
    assert model.info["speech/s"] == "0.0 h, CC0"
    assert model.info["updates"] == "4"
    assert str(tmp_path) not in json.dumps(model.info)
    average = weights_of(config, "average")
    np.testing.assert_array_equal(exact.weights["gru1.weight_hh"], average["gru1.weight_hh_l0"].numpy())
    features = np.random.default_rng(0).uniform(-1, 1, (20, FEATURES)).astype(np.float32)
    np.testing.assert_allclose(Network(model).run(features)[0], Network(exact).run(features)[0], atol=0.02)


def test_a_memory_is_given_by_export_and_kept_by_what_goes_on_from_it(config, tmp_path):
    run_training(prepared(replace(config, updates=2)))
    target = tmp_path / "m.safetensors"
    export_model(config.out, target, memory=2000)
    assert set(load_model(target).architecture.memories) == {"gru1", "gru2", "gru3", "strength_gru", "gain_gru"}
    wider = replace(config, init=str(target), preset="tiny")
    assert Trainer(wider, {}).network.architecture == load_model(target).architecture
    export_model(target, tmp_path / "without.safetensors", memory=0)
    assert load_model(tmp_path / "without.safetensors").architecture == PRESETS["tiny"]


def as_before_tables(path):
    """A checkpoint as it was when the article's network was the only one: five sizes, two fields of the signal path."""
    state = read_checkpoint(path)
    state["architecture"] = {"dense": 16, "conv1": 16, "conv2": 16, "gru": 16, "strength_gru": 8}
    state["params"] = {name: state["params"][name] for name in ("lookahead_frames", "band_edges")}
    torch.save(state, path)


def test_a_checkpoint_from_before_tables_is_exported_and_resumed(config, tmp_path):
    config = replace(config, highpass_hz=0.0)  # there was none
    run_training(prepared(replace(config, updates=4)))
    expected = export_model(config.out, tmp_path / "new.safetensors")
    as_before_tables(Path(config.out) / "checkpoint.pt")
    export_model(config.out, tmp_path / "old.safetensors")
    assert (tmp_path / "old.safetensors").read_bytes() == (tmp_path / "new.safetensors").read_bytes()
    assert expected.architecture == PRESETS["tiny"]
    run_training(Config(out=config.out, resume=True, updates=6, workers=0))
    assert weights_of(config, "updates") == 6


def test_a_run_keeps_the_features_that_it_began_with(config):
    """Which a run begins with has changed, and settings do not say it where nothing was asked for."""
    config = replace(config, features=())
    assert Trainer(config, {}).network.params.feature_blocks == TRAINED_FEATURES
    before = prepared(replace(config, features=PERCEPNET_FEATURES, updates=2))
    run_training(before)
    assert Trainer(replace(config, resume=True), {}).network.params.feature_blocks == PERCEPNET_FEATURES


def test_a_checkpoint_of_another_network_names_what_does_not_fit(config, tmp_path):
    run_training(prepared(replace(config, updates=2)))
    checkpoint = Path(config.out) / "checkpoint.pt"
    state = read_checkpoint(checkpoint)
    state["network"]["conv2.bias"] = torch.zeros(3)
    state["architecture"]["layers"][1]["taps"] = 3
    torch.save(state, checkpoint)
    with pytest.raises(ModelError, match=r"checkpoint\.pt: network\.conv2\.bias: expected shape \(16,\), found \(3,\)"):
        run_training(Config(out=config.out, resume=True, updates=6, workers=0))
    with pytest.raises(
        ModelError, match=r"checkpoint\.pt: average\.conv1\.weight: expected shape \(16, 16, 3\), found"
    ):
        export_model(config.out, tmp_path / "m.safetensors")


def test_with_processes_from_audio_to_model(config):
    config = replace(config, workers=1, updates=4, sequence_seconds=0.4, shard_sequences=2)
    model = load_model(run_training(config))
    assert model.info["updates"] == "4"
    assert len(list((Path(config.out) / "shards").glob("*.npy"))) >= 4
    assert not (Path(config.out) / VALID_NAME).exists()  # nothing is held out


def curve(config):
    seen = []
    run_training(config, lambda progress: seen.append([progress.updates, progress.gain_loss, progress.strength_loss]))
    return seen


KILLED = """
import json, os, signal, sys
from percepnet.training.config import Config
from percepnet.training.run import run_training

def report(progress):
    print(json.dumps([progress.updates, progress.gain_loss, progress.strength_loss]), flush=True)
    if progress.updates == 8:  # the checkpoint is that of the batch before
        os.kill(os.getpid(), signal.SIGKILL)

settings = json.loads(sys.argv[1])
run_training(Config(**settings | {"speech": tuple(settings["speech"])}), report)
"""


def test_reproducible_whatever_the_workers_and_if_it_is_killed(config, tmp_path, monkeypatch):
    """The same losses, update by update; and after a SIGKILL they go on from the checkpoint as if nothing had been."""
    monkeypatch.setattr("percepnet.training.callbacks.EARLY_UPDATES", 1000)  # each batch is reported
    settings = {
        "preset": "tiny", "batch": 2, "chunk_frames": 20, "warmup_updates": 1, "cooldown_share": 0.5, "updates": 16,
        "sequence_seconds": 0.4, "shard_sequences": 2, "ring": 5, "expected_reuse": 1, "checkpoint_minutes": 0,
        "reproducible": True, "speech": config.speech,
    }  # fmt: skip
    whole = Config(out=str(tmp_path / "whole"), workers=1, **settings)
    expected = curve(whole)
    assert [updates for updates, *_ in expected] == list(range(2, 18, 2))

    killed = settings | {"out": str(tmp_path / "killed"), "workers": 2}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, json.dumps(killed)], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == expected[:4]
    assert weights_of(replace(config, out=killed["out"]), "updates") == 6
    resumed = Config(out=killed["out"], resume=True, workers=1)  # its limit is kept
    assert curve(resumed) == expected[3:]
    for kind in ("network", "average"):
        found = weights_of(resumed, kind)
        assert all(torch.equal(weight, found[name]) for name, weight in weights_of(whole, kind).items())
    # those that no checkpoint needs any more are gone
    assert min(path.name for path in (tmp_path / "whole" / "shards").glob("*.npy")) == shard_name(4 + 8 - 5)


def test_a_limit_of_time_is_not_reproducible(config):
    with pytest.raises(PercepNetError, match="give --updates, not --hours"):
        run_training(prepared(replace(config, reproducible=True, hours=1)))


def test_events_for_tensorboard(config):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run_training(prepared(replace(config, updates=6, tensorboard=True)))
    events = accumulator.EventAccumulator(str(Path(config.out) / "tensorboard"))
    events.Reload()
    names = {"loss/gain", "loss/strength", "training/learning_rate", "training/seconds_per_second", "held out/gain"}
    assert names <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("loss/gain")] == [2, 4, 6]


def test_a_recording_that_cannot_be_read_costs_nothing_that_was_learned(config, monkeypatch):
    checks = iter([None, None, PercepNetError("a.wav: unreadable")])

    def check(producers):
        if (error := next(checks)) is not None:
            raise error

    monkeypatch.setattr("percepnet.training.run.Producers.check", check)
    with pytest.raises(PercepNetError, match="unreadable"):
        run_training(prepared(replace(config, updates=100)))
    checkpoint = read_checkpoint(Path(config.out) / "checkpoint.pt")
    assert checkpoint["updates"] == 4  # two batches of two chunks


def test_the_card_counts_what_the_first_model_heard(config, tmp_path):
    run_training(prepared(replace(config, updates=2)))
    first = export_model(config.out, tmp_path / "first.safetensors", {"hours_seen": "1.5", "init_hours_seen": "2"})
    assert first.info["hours_seen"] == "1.5"
    again = replace(config, out=str(tmp_path / "again"), updates=2, init=str(tmp_path / "first.safetensors"))
    model = load_model(run_training(prepared(again)))
    assert model.info["init"] == "first"
    assert model.info["init_hours_seen"] == "3.5"


def test_mistakes(config, tmp_path):
    with pytest.raises(PercepNetError, match="give speech to train on"):
        run_training(replace(config, speech=()))
    with pytest.raises(PercepNetError, match="no preset 'huge'; there are: percepnet, default, medium, small, tiny"):
        run_training(replace(config, preset="huge"))
    noise = tmp_path / "noise.jsonl"
    noise.write_text('{"path": "speech.wav", "kind": "noise"}')
    with pytest.raises(PercepNetError, match=r"noise\.jsonl: .* give this manifest as --noise, not as --rooms"):
        run_training(replace(config, rooms=(str(noise),)))
    with pytest.raises(PercepNetError, match="expected_reuse is 0"):
        run_training(replace(config, expected_reuse=0))
    with pytest.raises(PercepNetError, match="batch is 0"):
        run_training(replace(config, batch=0))
    with pytest.raises(PercepNetError, match="no training to resume"):
        run_training(replace(config, resume=True))
    with pytest.raises(PercepNetError, match="no source of speech 'x' to weight; there are: s"):
        run_training(replace(config, speech_weights={"x": 2}))
    with pytest.raises(PercepNetError, match="no features to train on"):
        run_training(replace(config, out=str(tmp_path / "other")))
    with pytest.raises(PercepNetError, match="no such checkpoint"):
        export_model(tmp_path, tmp_path / "m.safetensors")
    run_training(prepared(replace(config, updates=1)))
    with pytest.raises(PercepNetError, match="holds a training already; continue it with --resume"):
        run_training(config)
    checkpoint = Path(config.out) / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(PercepNetError, match="damaged"):
        run_training(replace(config, resume=True))


def test_only_held_out_speech(config, tmp_path):
    (tmp_path / "speech.jsonl").write_text('{"path": "speech.wav", "split": "valid"}')
    with pytest.raises(PercepNetError, match="no speech of the split 'train'"):
        run_training(config)
