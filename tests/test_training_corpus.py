"""A corpus to train on: files of clones become manifests, and nothing of it is in the sets that are scored."""

import json
import subprocess
import sys

import pytest

import report_sets
import training_corpus
from test_report_sets import wav
from training_corpus import SOURCES


def clone(folder, name, files):
    place = folder / SOURCES[name].repository
    for path, data in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(data)
    git = ["git", "-C", str(place), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "clips"]):
        subprocess.run([*git, *arguments], check=True)


def test_no_collection_is_trained_on_and_scored():
    trained = {source.repository for source in SOURCES.values()}
    assert not trained & set(report_sets.REPOSITORIES.values())


def test_recordings_become_manifests(tmp_path, monkeypatch):
    spoken = {f"WAVE/SPEAKER{who}/{who}.WAV": wav(2.0, 200.0 + who) for who in range(2)}
    clone(tmp_path, "speechocean", spoken | {"README.md": b"words"})
    noises = {f"mods/ITEMS/fire/sounds/{n}.wav": wav(1.0, 900.0 + n) for n in range(2)}
    clone(tmp_path, "mineclone", noises | {"mods/PLAYER/music/sounds/a.wav": wav(1.0, 440.0)})
    corpus = tmp_path / "corpus"
    arguments = [str(tmp_path), "-o", str(corpus), "--only", "speechocean", "mineclone"]
    monkeypatch.setattr(sys, "argv", ["training_corpus.py", *arguments])
    training_corpus.main()
    speech, noise = (
        [json.loads(line) for line in (corpus / f"{kind}.jsonl").read_text().splitlines()]
        for kind in ("speech", "noise")
    )
    assert sorted(row["path"] for row in speech) == [f"speech/speechocean/SPEAKER{n}/{n}.WAV" for n in range(2)]
    assert {row["speaker"] for row in speech} == {f"SPEAKER{n}" for n in range(2)}
    assert {row["licence"] for row in speech} == {"CC-BY-4.0"}
    assert sorted(row["path"] for row in noise) == [f"noise/mineclone/ITEMS/fire/sounds/{n}.wav" for n in range(2)]
    assert (corpus / "quiet.jsonl").exists()


def test_quiet_speech_is_that_with_little_noise_of_its_own(tmp_path):
    rows = [{"path": "a", "noise_floor_db": -40.0}, {"path": "b", "noise_floor_db": -30.0}, {"path": "c"}]
    (tmp_path / "speech.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    training_corpus.write_quiet(tmp_path / "speech.jsonl", tmp_path / "quiet.jsonl")
    left = [json.loads(line)["path"] for line in (tmp_path / "quiet.jsonl").read_text().splitlines()]
    assert left == ["a", "c"]


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["training_corpus.py", str(tmp_path), "-o", str(tmp_path / "corpus")])
    with pytest.raises(SystemExit, match=r"git clone https://github\.com/jimbozhang/speechocean762"):
        training_corpus.main()
    clone(tmp_path, "speechocean", {"README.md": b"words"})
    with pytest.raises(SystemExit, match="nothing below WAVE matches"):
        training_corpus.main()
