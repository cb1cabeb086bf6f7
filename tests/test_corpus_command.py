import json
import os
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("soxr", reason="training needs soxr: pip install 'percepnet[train]'")

from percepnet.training.corpus import find_clips
from room_responses import exponential_room
from voices import glide

DOCS = Path(__file__).parents[1] / "docs" / "training.md"


@pytest.fixture
def run(command, monkeypatch, tmp_path):
    """The command line in a new folder."""
    monkeypatch.chdir(tmp_path)
    return command


@pytest.fixture
def folders(tmp_path):
    """What a new user may have: voices, noises, rooms."""
    rng = np.random.default_rng(0)
    for speaker in range(3):
        for number in range(2):
            words = glide(2 * speaker + number, 1.0)[0] * np.repeat([1.0, 0.0], 24000)
            write(
                tmp_path / "voices" / f"speaker{speaker}" / f"{number}.flac", words + 1e-4 * rng.standard_normal(48000)
            )
    write(tmp_path / "noises" / "rain" / "a.wav", 0.05 * rng.standard_normal(48000))
    write(tmp_path / "noises" / "fan" / "b.wav", 0.05 * rng.standard_normal(48000))
    write(tmp_path / "rooms" / "kitchen.wav", 0.2 * exponential_room(0.4))
    write(tmp_path / "noisy.wav", glide(9, 1.0)[0] + 0.01 * rng.standard_normal(48000))
    return tmp_path


def write(path, audio, rate_hz=48000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, rate_hz)
    return path


def refused(outcome, *words):
    code, out, err = outcome
    assert (code, out) == (2, "")
    assert err.startswith("percepnet: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


def test_add_and_show(folders, run):
    code, out, err = run(
        "corpus", "add", "voices", "--kind", "speech", "-o", "s.jsonl", "--speaker-from", "folder", "--jobs", 0
    )
    assert code == 0
    assert out == "s.jsonl: 6 added, 0 unchanged; 0.00 h in all\n"
    assert err == "percepnet: warning: s.jsonl: no speech is held out (split valid)\n"
    assert len(find_clips(["s.jsonl"])) == 6
    code, out, err = run("corpus", "show", "s.jsonl")
    assert code == 0
    assert out.startswith("speech: 0.00 h, 6 files, 3 speakers\n")
    for words in ("source     voices", "licence    unknown", "split      train", "bandwidth"):
        assert words in out
    code, out, err = run("corpus", "show", "s.jsonl", "--json")
    assert json.loads(out)["kinds"]["speech"]["speakers"] == 3
    assert json.loads(out)["warnings"] == ["no speech is held out (split valid)"]


def test_leaks_between_manifests_are_shown(tmp_path, run):
    for name, split in (("a", "train"), ("b", "valid")):
        row = {"path": f"{name}.wav", "kind": "speech", "speaker": "ann", "split": split, "seconds": 1}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row))
    code, _, err = run("corpus", "show", "a.jsonl", "b.jsonl")
    assert code == 0
    assert err == "percepnet: warning: speaker 'ann' is in train and valid: a.wav, b.wav\n"


def test_bad_files_among_good_ones(folders, run):
    (folders / "voices" / "broken.wav").write_bytes(b"RIFF0000")
    (folders / "voices" / "phone.m4a").touch()
    write(folders / "voices" / "zero.wav", np.zeros(48000))
    write(folders / "voices" / "speaker2" / "copy.wav", soundfile.read(folders / "voices" / "speaker0" / "0.flac")[0])
    add = ["corpus", "add", "voices", "--kind", "speech", "-o", "s.jsonl", "--jobs", 0]
    code, out, err = run(*add, "--json")
    assert code == 1
    report = json.loads(out)
    assert (report["added"], len(report["unusable"]), len(report["duplicates"])) == (6, 3, 1)
    for words in (
        "copy.wav: duplicate of voices/speaker0/0.flac",
        "phone.m4a: ",  # empty, or in need of FFmpeg
        "broken.wav: not an audio file",
        "zero.wav: silent",
        "3 files cannot be used; the others are in s.jsonl",
    ):
        assert words in err
    assert all(line.startswith("percepnet: ") for line in err.splitlines())
    for name in ("broken.wav", "phone.m4a", "zero.wav"):
        (folders / "voices" / name).unlink()
    assert run(*add)[0] == 0  # of a duplicate nothing is missing


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names there are text")
def test_names_that_are_not_utf8(folders, run):
    made = folders / "voices" / "made.wav"
    write(made, soundfile.read(folders / "voices" / "speaker1" / "0.flac")[0][:24000])
    made.rename(folders / "voices" / os.fsdecode(b"a\xff.wav"))
    code, _, err = run(
        "corpus", "add", "voices", "--kind", "speech", "--speaker-from", "file", "-o", "s.jsonl", "--jobs", 0
    )
    assert code in (0, 1), err
    assert "Traceback" not in err


def test_whatever_a_decoder_raises_is_said(folders, run, monkeypatch):
    def fail(path):
        raise ValueError("no such thing")

    monkeypatch.setattr("percepnet.training.indexing._first_channel", fail)
    code, _, err = run("corpus", "add", "voices", "--kind", "speech", "-o", "s.jsonl", "--jobs", 0)
    assert code in (1, 2)
    assert "cannot be read (ValueError: no such thing)" in err


def test_two_lines_of_one_recording_are_refused(folders, run):
    assert run("corpus", "add", "voices", "--kind", "speech", "-o", "s.jsonl", "--jobs", 0)[0] == 0
    manifest = folders / "s.jsonl"
    manifest.write_text(manifest.read_text() + manifest.read_text().splitlines()[0] + "\n")
    before = manifest.read_bytes()
    refused(run("corpus", "add", "voices", "--kind", "speech", "-o", "s.jsonl", "--jobs", 0), "two lines are of")
    assert manifest.read_bytes() == before


def test_bad_input_is_one_line(folders, run):
    (folders / "empty").mkdir()
    (folders / "odd.jsonl").write_text('{"path": "a", "split": "test"}')
    (folders / "bad.jsonl").write_text("{")
    (folders / "none.jsonl").write_text("")
    for arguments, word in [
        (["add", "gone", "--kind", "speech", "-o", "s.jsonl"], "gone: no such file or folder"),
        (["add", "empty", "--kind", "speech", "-o", "s.jsonl"], "no audio found"),
        (["add", "voices", "--kind", "song", "-o", "s.jsonl"], "--kind song"),
        (["add", "voices", "--kind", "speech", "-o", "gone/s.jsonl"], "cannot be written"),
        (["add", "voices", "--kind", "speech", "-o", "odd.jsonl"], "split is 'test'"),
        (["show", "gone.jsonl"], "cannot read the manifest"),
        (["show", "bad.jsonl"], "bad.jsonl, line 1"),
        (["show", "none.jsonl"], "no recordings in it"),
    ]:
        refused(run("corpus", *arguments), word)
    for usage in (["add"], ["add", "voices", "-o", "s.jsonl"], ["dance"]):
        assert run("corpus", *usage)[0] == 2
    assert not (folders / "s.jsonl").exists()


def test_the_commands_of_the_documentation(folders, run):
    pytest.importorskip("torch", reason="training needs torch: pip install 'percepnet[train]'")
    section = DOCS.read_text().split("## Try it out")[1].split("\n## ")[0]
    commands = [shlex.split(line)[1:] for line in re.findall(r"^    (percepnet .*)$", section, re.M)]
    assert [command[0] for command in commands] == ["corpus"] * 4 + ["train", "export", "enhance"]
    # features are given, since making them has tests of its own; and the first batch is the last one
    (folders / "run" / "shards").mkdir(parents=True)
    np.save(folders / "run" / "shards" / "shard-00000000.npy", np.full((2, 500, 172), 0.5, np.float16))
    faster = {"corpus": [], "train": ["--minutes", "0.00002", "--workers", "0", "--batch", "2"]}
    for command in commands:
        jobs = ["--jobs", "0"] if command[:2] == ["corpus", "add"] else []
        code, _, err = run(*command, *jobs, *faster.get(command[0], []))
        assert code == 0, err
    assert soundfile.info(folders / "mine.wav").frames == 48000
    settings = json.loads((folders / "run" / "settings.json").read_text())
    assert settings["preset"] == "tiny"
    from percepnet.model import load_model

    assert "my own" in json.dumps(load_model(folders / "mine.safetensors").info)


def test_manifests_are_mixed(folders, run):
    pytest.importorskip("torch", reason="training needs torch: pip install 'percepnet[train]'")
    from percepnet.training.features import Recordings

    for folder, kind in (("voices", "speech"), ("noises", "noise"), ("rooms", "room")):
        assert run("corpus", "add", folder, "--kind", kind, "-o", f"{kind}.jsonl", "--jobs", 0)[0] == 0
    clips = [find_clips([f"{kind}.jsonl"]) for kind in ("speech", "noise", "room")]
    mixture = Recordings(*clips, folders / "audio").mixer("train").mixture(3, 0.5)
    assert mixture.noisy.shape == (24000,)
    # the voices end at 8 kHz, and may be played at 0.78 times their speed
    assert 0.78 * 7500 < mixture.bandwidth_hz <= 24000
