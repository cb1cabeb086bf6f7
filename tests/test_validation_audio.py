import importlib.util
import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'percepnet[train]'")
import soundfile

from models import random_model
from percepnet.params import SignalParams
from percepnet.training.corpus import find_clips
from percepnet.training.curves import save_curves
from percepnet.training.features import Recordings
from percepnet.training.validation_audio import PACKAGES, SCORES, ValidationAudio

# DNSMOS doubles what is shorter than 9 s, and hears all windows of that: one of 4.6 s, seven of 2 s
SHORT = {"count": 2, "seconds": 4.6}
VOICE = 0.2 * np.sign(np.sin(2 * np.pi * 150 * np.arange(96000) / 48000)).astype(np.float32)


def recordings(folder, split):
    gated = VOICE * (np.sin(2 * np.pi * 3 * np.arange(96000) / 48000) > 0)
    soundfile.write(folder / "speech.wav", gated, 48000)
    (folder / "speech.jsonl").write_text(json.dumps({"path": "speech.wav", "split": split}))
    return Recordings(find_clips([folder / "speech.jsonl"]), (), (), folder / "audio")


def test_writes_what_can_be_heard_and_scores_it(tmp_path):
    listening = ValidationAudio(recordings(tmp_path, "valid"), SignalParams(), tmp_path, seed=1, **SHORT)
    assert len(listening) == SHORT["count"]
    scores = listening.enhance(random_model(1))
    again = ValidationAudio(recordings(tmp_path, "valid"), SignalParams(), tmp_path, seed=1, **SHORT)
    assert again.enhance(random_model(1)) == scores
    for number in range(SHORT["count"]):
        sounds = [
            soundfile.read(tmp_path / "listening" / f"{number}_{what}.flac")[0]
            for what in ("clean", "noisy", "enhanced")
        ]
        assert {len(sound) for sound in sounds} == {round(48_000 * SHORT["seconds"])}
        assert np.abs(sounds[1] - sounds[0]).max() > 0
    assert {"si_sdr_db", "noisy_si_sdr_db"} <= set(scores)
    assert all(map(np.isfinite, scores.values()))
    packages = [package for needed in PACKAGES.values() for package in needed]
    if all(map(importlib.util.find_spec, packages)):
        assert set(scores) == {f"{before}{name}" for before in ("", "noisy_") for name in SCORES.values()}
    pytest.importorskip("matplotlib", reason="pictures need percepnet[plot]")
    assert (tmp_path / "listening" / "0_gains.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_not_installed_is_left_out(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("pesq", "librosa") else find(name))
    listening = ValidationAudio(recordings(tmp_path, "valid"), SignalParams(), tmp_path, seed=1, **SHORT)
    assert not {"pesq_wb", "dnsmos_ovrl"} & set(listening.enhance(random_model(1)))


def test_nothing_held_out(tmp_path):
    listening = ValidationAudio(recordings(tmp_path, "train"), SignalParams(), tmp_path, seed=1)
    assert listening.enhance(random_model(1)) == {}
    assert not (tmp_path / "listening").exists()


def test_curves(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need percepnet[plot]")
    rows = [{"hours_seen": hour, "gain_loss": 1 / hour, "gain": 2 / hour, "pesq_wb": 1.5} for hour in (1, 2, 3)]
    (tmp_path / "validation.jsonl").write_text("\n".join(map(json.dumps, rows)))
    save_curves(tmp_path)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
