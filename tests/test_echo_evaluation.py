"""`percepnet evaluate --echo`: clips by their names, and scores of echo control."""

import json
import re

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

pytest.importorskip("soxr", reason="the package soxr is not installed")

from echoes import echo, speech
from percepnet.cli import app
from percepnet.errors import PercepNetError
from percepnet.evaluation.echo import EchoScores, echo_table, find_echo_clips, run_echo, score_echo
from percepnet.metrics.echo import aecmos, reduction
from voices import RATE_HZ

TALKER, OTHER = "sea_female", "helicopter_male"


def written(folder, name, **signals):
    folder.mkdir(parents=True, exist_ok=True)
    for kind, x in signals.items():
        sf.write(folder / f"{name}_{kind}.wav", x, RATE_HZ)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A far end alone, with the result of another program, and double talk."""
    folder = tmp_path_factory.mktemp("clips")
    far = speech(TALKER, 6.0)
    heard = echo(far)
    written(folder, "a_farend_singletalk", mic=heard, lpb=far, perfect=np.zeros_like(far))
    written(folder / "deep", "b_doubletalk", mic=heard + 0.5 * speech(OTHER, 6.0), ref=far[:-100])
    written(folder, "no_clip", other=far)
    return folder


def test_clips_are_found_by_their_names(clips):
    (one, other), left_out = find_echo_clips(clips)
    assert left_out == []
    assert (one.name, one.scenario, one.others.keys()) == ("a_farend_singletalk", "farend_singletalk", {"perfect"})
    assert (other.name, other.scenario, other.others) == ("b_doubletalk", "doubletalk", {})
    assert other.far_end.name == "b_doubletalk_ref.wav"


def test_without_clips_or_far_ends(tmp_path):
    with pytest.raises(PercepNetError, match=re.escape("no recordings there named NAME_mic.wav")):
        find_echo_clips(tmp_path)
    written(tmp_path, "a", mic=np.zeros(480))
    with pytest.raises(PercepNetError, match=re.escape("a_mic.wav: has no far end beside it: a_lpb.wav is missing")):
        find_echo_clips(tmp_path)


def test_what_cannot_be_scored_is_left_out_and_said(tmp_path):
    written(tmp_path, "a", mic=np.zeros(480), lpb=np.zeros(0))
    written(tmp_path, "b", mic=np.zeros(480))
    clips, left_out = find_echo_clips(tmp_path)
    rows, unread = score_echo(clips, "small")
    assert (len(rows), len(left_out), len(unread)) == (0, 1, 1)
    assert ("b_lpb.wav is missing" in left_out[0], "a_lpb" in unread[0]) == (True, True)
    with pytest.raises(PercepNetError, match="b_mic"):
        run_echo(tmp_path)


def test_reduction():
    x = np.array([0.5, -0.5], np.float32)
    assert reduction(x, x / 10)["reduction_db"] == pytest.approx(20)
    assert reduction(x, 0 * x)["reduction_db"] == np.inf
    assert np.isnan(reduction(0 * x, x)["reduction_db"])
    with pytest.raises(PercepNetError, match="mono signals of one length"):
        reduction(x, x[:1])


def test_scores(clips):
    pytest.importorskip("speechmos", reason="the package speechmos is not installed")
    rows = {(row.scenario, row.system): row.scores for row in score_echo(find_echo_clips(clips)[0], "small")[0]}
    alone = {system: scores for (scenario, system), scores in rows.items() if scenario == "farend_singletalk"}
    assert alone.keys() == {"unprocessed", "percepnet", "percepnet-without-far-end", "perfect"}
    assert alone["unprocessed"]["reduction_db"] == 0
    assert alone["percepnet"]["reduction_db"] > alone["percepnet-without-far-end"]["reduction_db"] + 6
    echo = {system: scores["aecmos_echo"] for system, scores in alone.items()}
    assert echo["percepnet"] > max(echo["unprocessed"], echo["percepnet-without-far-end"]) + 0.5
    assert echo["perfect"] == pytest.approx(echo["percepnet"], abs=0.5)  # hardly anything is left
    assert all("dnsmos_ovrl" not in scores for scores in alone.values())
    assert {"aecmos_echo", "aecmos_other", "dnsmos_ovrl"} < rows["doubletalk", "percepnet"].keys()


def test_long_recordings_are_judged_by_their_end():
    pytest.importorskip("speechmos", reason="the package speechmos is not installed")
    far = speech(TALKER, 20.0)
    before = 0.3 * np.random.default_rng(0).standard_normal(5 * RATE_HZ).astype(np.float32)
    long = [np.concatenate([before, x]) for x in (echo(far), far, echo(far))]
    short = [x[-20 * RATE_HZ + 48 :] for x in long]
    one, other = (aecmos(*signals, RATE_HZ, "farend_singletalk") for signals in (long, short))
    assert one == pytest.approx(other, abs=0.05)


def test_table():
    rows = [
        EchoScores("a", "doubletalk", "x", {"aecmos_echo": 2.0, "aecmos_other": 3.0, "reduction_db": 1.0}),
        EchoScores("b", "doubletalk", "x", {"aecmos_echo": 3.0, "aecmos_other": 3.0, "reduction_db": np.inf}),
    ]
    assert echo_table(rows)[-1] == "| doubletalk | x | 2 | 2.50 | 3.00 | 1.00 | – |"


def test_command(clips, monkeypatch):
    monkeypatch.setattr("percepnet.evaluation.echo.aecmos", lambda *_: {"aecmos_echo": 2.0, "aecmos_other": 3.0})
    monkeypatch.setattr("percepnet.evaluation.echo.dnsmos", lambda *_: {"dnsmos_ovrl": 1.5})
    result = CliRunner().invoke(app, ["evaluate", "--echo", str(clips), "--model", "small", "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["system"] for row in rows].count("percepnet") == 2
    result = CliRunner().invoke(app, ["evaluate", "--echo", str(clips), "--model", "small"])
    assert "| doubletalk | percepnet | 1 | 2.00 | 3.00 |" in result.stdout


def test_what_does_not_go_with_it(tmp_path):
    result = CliRunner().invoke(app, ["evaluate", "--echo", str(tmp_path), "--metrics", "pesq"])
    assert result.exit_code == 2
    assert "--echo scores echo control, and does not go with --metrics" in result.stderr
