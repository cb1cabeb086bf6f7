import sys

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason="training needs torch: pip install 'percepnet[train]'")

from percepnet.errors import PercepNetError
from percepnet.training.tensorboard import Board
from percepnet.training.validation_audio import save_gains


def test_events_can_be_read_back(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    pytest.importorskip("matplotlib", reason="pictures need percepnet[plot]")
    folder = tmp_path / "listening"
    folder.mkdir()
    for what in ("clean", "noisy", "enhanced"):
        soundfile.write(folder / f"0_{what}.flac", np.full(4800, 0.25), 48000)
    gains = np.random.default_rng(0).uniform(size=(20, 34)).astype(np.float32)
    save_gains(folder / "0_gains.png", gains, gains)

    board = Board(tmp_path, 0)
    for updates in (5, 10, 15):
        board.scalars("loss", {"gain": 1 / updates, "strength": 0.5}, updates)
    for updates in (5, 15):
        board.sounds(folder, updates)
    board.close()
    resumed = Board(tmp_path, 10)  # the checkpoint was of update 10
    resumed.scalars("loss", {"gain": 0.25}, 12)
    resumed.close()

    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"), {"audio": 0, "images": 0, "scalars": 0})
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("loss/gain")]
    assert found == [(5, pytest.approx(0.2)), (12, 0.25)]
    assert set(events.Tags()["audio"]) == {f"listening 0/{what}" for what in ("clean", "noisy", "enhanced")}
    assert [event.step for event in events.Audio("listening 0/clean")] == [5]
    (sound,) = events.Audio("listening 0/enhanced")  # that of update 15 is hidden by the resumption
    assert sound.sample_rate == 48000
    (picture,) = events.Images("gains/0")
    assert (picture.width, picture.height) == (960, 480)


def test_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(PercepNetError, match=r"--tensorboard needs a package .*: pip install tensorboard"):
        Board(tmp_path, 0)
