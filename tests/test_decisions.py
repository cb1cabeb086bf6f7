import json
import shutil

import numpy as np
import pytest
import soundfile

pytest.importorskip("scipy", reason="evaluation needs scipy: pip install 'percepnet[eval]'")

from typer.testing import CliRunner

from percepnet.acoustics.bandwidth import bandwidth_hz, known_bands
from percepnet.cli import app
from percepnet.evaluation.decisions import judge_decisions
from percepnet.params import SignalParams
from percepnet.systems.register import Register
from voices import noise, steady


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    voice = np.concatenate([steady(400, 1.0), np.zeros(24000)])
    for kind, sound in {"clean": voice, "noisy": voice + noise(0, len(voice), 0.5)}.items():
        (folder / kind).mkdir()
        soundfile.write(folder / kind / "a.wav", sound.astype(np.float32), 48000, "FLOAT")
    return folder


def test_the_recording_itself_leaves_too_much_and_the_oracle_does_not(folder):
    (noisy, oracle, ours), failed = judge_decisions(folder, Register(), ["noisy", "oracle", "percepnet"])
    assert noisy.gains.bias_db > 3
    assert abs(oracle.gains.bias_db) < 2
    assert oracle.gains.spread_db < noisy.gains.spread_db
    assert noisy.gains.bands == oracle.gains.bands == ours.gains.bands > 100
    assert failed == []
    assert noisy.speech_area is oracle.speech_area is None


def test_bands_above_the_spectrum_of_the_speech_are_not_known():
    voice = steady(400, 1.0, harmonics_to_hz=4000)
    known = known_bands(SignalParams(), bandwidth_hz(voice, 48000))
    assert known[0]
    assert not known[-1]
    assert known_bands(SignalParams(), bandwidth_hz(np.zeros(100), 48000)).sum() == 1


def test_command(folder):
    result = CliRunner().invoke(app, ["decisions", "--pairs", str(folder), "--systems", "noisy,oracle"])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[2].startswith("| noisy | +")
    result = CliRunner().invoke(app, ["decisions", "--pairs", str(folder), "--systems", "noisy", "--json"])
    assert json.loads(result.stdout)[0]["bias_db"] > 3


def test_bad_pairs_are_said_and_the_others_judged(folder, tmp_path):
    for kind in ("clean", "noisy"):
        shutil.copytree(folder / kind, tmp_path / kind)
        soundfile.write(tmp_path / kind / "short.wav", np.full(100, 0.1), 48000)
        soundfile.write(tmp_path / kind / "stereo.wav", np.full((4800, 2), 0.1), 48000)
    soundfile.write(tmp_path / "clean" / "alone.wav", np.full(4800, 0.1), 48000)
    soundfile.write(tmp_path / "noisy" / "unknown.wav", np.full(4800, 0.1), 48000)
    result = CliRunner().invoke(app, ["decisions", "--pairs", str(tmp_path), "--systems", "noisy"])
    assert result.exit_code == 1
    assert result.stdout.splitlines()[2].startswith("| noisy | +")
    said = " ".join(result.stderr.split())
    assert "short.wav: is shorter than 0.1 s" in said
    assert "stereo.wav: has 2 channels" in said
    assert "alone.wav: is not scored, as no recording in noisy/ has its name" in said
    assert "unknown.wav: is not scored, as no recording in clean/ has its name" in said


def test_an_unknown_system_is_named(folder):
    result = CliRunner().invoke(app, ["decisions", "--pairs", str(folder), "--systems", "nobody"])
    assert result.exit_code == 2
    assert "unknown system 'nobody'" in result.stderr
