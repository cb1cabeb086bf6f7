import json

import numpy as np
import pytest
import soundfile
import typer
from typer.testing import CliRunner

from percepnet.errors import PercepNetError
from percepnet.training import command

pytest.importorskip("torch", reason="training needs torch: pip install 'percepnet[train]'")

app = typer.Typer()
app.command()(command.train)
app.command()(command.export)


def test_train_resume_and_export(tmp_path):
    (tmp_path / "speech").mkdir()
    for number in range(3):
        audio = 0.1 * np.random.default_rng(number).standard_normal(24000)
        soundfile.write(tmp_path / "speech" / f"{number}.wav", audio, 48000)
    run = str(tmp_path / "run")
    # a millisecond: the first batch is the last one
    options = ["--speech", str(tmp_path / "speech"), "--preset", "tiny", "--minutes", "0.00002", "--batch", "2"]
    from percepnet.training import features, fit

    started = CliRunner().invoke(app, ["train", "-o", run, *options, "--json"])
    assert started.exit_code == 0, started.output
    lines = [json.loads(line) for line in started.stdout.splitlines()]
    assert lines[0]["updates"] == features.SEQUENCE_SECONDS * 100 / fit.Config(out="").chunk_frames
    assert lines[-1] == {"model": str(tmp_path / "run" / "model.safetensors")}

    resumed = CliRunner().invoke(app, ["train", "-o", run, "--resume", "--minutes", "0.00002", "--workers", "0"])
    assert resumed.exit_code == 0, resumed.output

    target = tmp_path / "m.safetensors"
    exported = CliRunner().invoke(app, ["export", run, "-o", str(target), "--info", "licence=CC0", "--json"])
    assert exported.exit_code == 0, exported.output
    assert json.loads(exported.stdout)["info"]["licence"] == "CC0"
    assert target.exists()


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
