import json
import os

import numpy as np
import pytest
import soundfile
import typer
from typer.testing import CliRunner

from percepnet.errors import PercepNetError
from percepnet.locks import locked
from percepnet.model import load_model
from percepnet.training import command

config = pytest.importorskip("percepnet.training.config", reason="training needs torch: pip install 'percepnet[train]'")

app = typer.Typer()
app.command()(command.train)
app.command()(command.export)


def test_train_resume_and_export(tmp_path):
    soundfile.write(tmp_path / "speech.wav", 0.1 * np.random.default_rng(0).standard_normal(24000), 48000)
    (tmp_path / "speech.jsonl").write_text('{"path": "speech.wav", "split": "train"}')
    # features are given, since making them has tests of its own
    (tmp_path / "run" / "shards").mkdir(parents=True)
    np.save(tmp_path / "run" / "shards" / "shard-00000000.npy", np.full((2, 500, 172), 0.5, np.float16))
    run = str(tmp_path / "run")
    # a millisecond: the first batch is the last one
    common = ["train", "-o", run, "--minutes", "0.00002", "--workers", "0"]
    options = ["--speech", str(tmp_path / "speech.jsonl"), "--preset", "tiny", "--batch", "2", "--json"]

    started = CliRunner().invoke(app, [*common, *options])
    assert started.exit_code == 0, started.output
    lines = [json.loads(line) for line in started.stdout.splitlines()]
    assert lines[0]["updates"] == 500 / config.Config(out="").chunk_frames
    assert lines[-1] == {"model": str(tmp_path / "run" / "model.safetensors")}

    if os.name != "nt":
        with locked(tmp_path / "run"):
            beside = CliRunner().invoke(app, [*common, "--resume"])
        assert isinstance(beside.exception, PercepNetError)
        assert "another run writes there" in str(beside.exception)
    resumed = CliRunner().invoke(app, [*common, "--resume"])
    assert resumed.exit_code == 0, resumed.output
    assert "wrote" in resumed.stdout

    target = tmp_path / "m.safetensors"
    exported = CliRunner().invoke(app, ["export", run, "-o", str(target), "--info", "licence=CC0", "--json"])
    assert exported.exit_code == 0, exported.output
    assert json.loads(exported.stdout)["info"]["licence"] == "CC0"
    assert target.exists()

    sparse = CliRunner().invoke(app, ["export", run, "-o", str(tmp_path / "s.safetensors"), "--keep", "0.01,1,1"])
    assert sparse.exit_code == 0, sparse.output
    gate, rest = np.split(load_model(tmp_path / "s.safetensors").weights["gru1.weight_hh"], [16])
    assert np.count_nonzero(gate) == 16 * 4
    assert np.count_nonzero(rest) > 0.9 * rest.size
    short = tmp_path / "short.safetensors"
    assert CliRunner().invoke(app, ["export", run, "-o", str(short), "--digits", "4"]).exit_code == 0
    weight, exact = (load_model(path).weights["gain.weight"] for path in (short, target))
    np.testing.assert_allclose(weight, exact, rtol=2**-5)
    assert not np.any(np.ascontiguousarray(weight).view(np.uint32) & 0x7FFFF)
    made = ["--in-8-bits", "gain,strength", "--gain-shift", "3-5=-0.5", "--gain-shift", "0=0.25"]
    assert CliRunner().invoke(app, ["export", run, "-o", str(short), *made, "--overwrite"]).exit_code == 0
    changed, exact = load_model(short), load_model(target)
    shift = np.zeros(changed.params.bands)
    shift[[0, 3, 4, 5]] = 0.25, -0.5, -0.5, -0.5
    np.testing.assert_allclose(changed.weights["gain.bias"] - exact.weights["gain.bias"], shift, atol=1e-6)
    in_8_bits = changed.architecture.int8_names(changed.params) - exact.architecture.int8_names(exact.params)
    assert in_8_bits == {"gain.weight", "strength.weight"}
    largest = np.abs(exact.weights["gain.weight"]).max(axis=1, keepdims=True)
    assert np.all(np.abs(changed.weights["gain.weight"] - exact.weights["gain.weight"]) <= largest / 127)
    for option, value, message in (
        ("--keep", "0.3", "expected three shares"),
        ("--keep", "a,b,c", "expected three shares"),
        ("--keep", "0,1,1", "above 0"),
        ("--in-8-bits", "gain,other", "no layer 'other': there are dense,"),
        ("--gain-shift", "3", "expected NAME=VALUE"),
        ("--gain-shift", "low=1", "expected bands, counted from 0"),
        ("--gain-shift", "30-34=1", "bands 30 to 34: there are 0 to 33"),
        ("--gain-shift", "5-3=1", "bands 5 to 3: there are"),
        ("--gain-shift", "3=nan", "gain.bias: expected finite numbers"),
    ):
        refused = CliRunner().invoke(app, ["export", run, "-o", str(tmp_path / "n.safetensors"), option, value])
        assert isinstance(refused.exception, PercepNetError)
        assert message in str(refused.exception)
    assert not (tmp_path / "n.safetensors").exists()


def test_options_go_before_the_recipe(tmp_path, monkeypatch):
    (tmp_path / "recipe.toml").write_text('preset = "tiny"\nseed = 5\nhours = 2\nexclude = ["a"]\nspeech = ["s.wav"]')
    configs = []

    def training(config, report):
        configs.append(config)
        return tmp_path / "model"

    monkeypatch.setattr("percepnet.training.run.run_training", training)
    options = ["--config", str(tmp_path / "recipe.toml"), "--seed", "7", "--bands", "48"]
    options += ["--minutes", "6", "--updates", "9"]
    result = CliRunner().invoke(app, ["train", "-o", str(tmp_path / "run"), *options])
    assert result.exit_code == 0, result.output
    (config,) = configs
    assert (config.preset, config.seed, config.hours, config.exclude) == ("tiny", 7, 0.1, ("a",))
    assert (config.updates, config.reproducible, config.tensorboard) == (9, False, False)
    assert config.speech == (str(tmp_path / "s.wav"),)
    assert (config.lookahead_frames, config.bands) == (2, 48)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weight", "a"], "--weight a: expected NAME=VALUE"),
        (["--weight", "a=much"], "--weight a=much: 'much' is not a number"),
        ([], "give speech to train on"),
    ],
)
def test_mistakes(tmp_path, options, message):
    result = CliRunner().invoke(app, ["train", "-o", str(tmp_path / "run"), *options])
    assert isinstance(result.exception, PercepNetError)
    assert message in str(result.exception)
    assert not (tmp_path / "run").exists()
