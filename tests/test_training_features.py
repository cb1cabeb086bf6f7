import os

import numpy as np
import pytest

pytest.importorskip("scipy", reason="training needs scipy: pip install 'percepnet[train]'")
import soundfile

from percepnet import engine
from percepnet.acoustics.bandwidth import known_bands
from percepnet.acoustics.mixing import Mixture
from percepnet.atomic import part_name
from percepnet.errors import PercepNetError
from percepnet.params import SignalParams
from percepnet.reference.oracle import training_example
from percepnet.training import features as made
from percepnet.training.corpus import find_clips
from percepnet.training.features import (
    AHEAD_SHARDS,
    UNKNOWN,
    Producers,
    Recordings,
    Shards,
    is_speech,
    known,
    make_shard,
    sequence,
    shard_name,
    write_shard,
)
from percepnet.training.rows import RowLayout

PARAMS = SignalParams()


@pytest.fixture
def recordings(tmp_path):
    rng = np.random.default_rng(0)
    voice = 0.2 * np.sign(np.sin(2 * np.pi * 150 * np.arange(48000) / 48000)) * (rng.random(48000) < 0.9)
    for folder in ("train", "valid"):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "speech.wav", voice.astype(np.float32), 48000)
    (tmp_path / "speech.jsonl").write_text(
        '{"path": "train/speech.wav", "split": "train"}\n{"path": "valid/speech.wav", "split": "valid"}'
    )
    return Recordings(find_clips([tmp_path / "speech.jsonl"]), (), (), tmp_path / "audio")


class FixedMixer:
    """Gives the same mixture for every seed."""

    def __init__(self, bandwidth_hz=24000.0, scale=1.0):
        rng = np.random.default_rng(0)
        clean = (0.1 * rng.standard_normal(9600)).astype(np.float32)
        noisy = (clean + 0.1 * rng.standard_normal(9600)).astype(np.float32) * np.float32(scale)
        self.result = Mixture(clean, noisy, bandwidth_hz)

    def mixture(self, seed, seconds):
        return self.result


def test_known_bands():
    # the last centres of the 34 bands are at 15.85 kHz (bin 317), 17.8 (356) and 20 kHz (400)
    assert known_bands(PARAMS, 24000).all()
    assert known_bands(PARAMS, 17800).sum() == 33
    assert known_bands(PARAMS, 17799).sum() == 32


def test_pauses_are_known_beyond_the_bandwidth_of_the_speech():
    rng = np.random.default_rng(0)
    clean = (1e-4 * rng.standard_normal(48000)).astype(np.float32)
    clean[9600:19200] *= 1000
    mask = known(Mixture(clean, clean, 8000.0, 16000.0), PARAMS)
    spoken, unspoken = known_bands(PARAMS, 8000.0), known_bands(PARAMS, 16000.0)
    assert mask.shape == (100, 34)
    # hops 20 to 39 hold speech, so do windows 20 to 40; one more on each side; decided two hops later
    np.testing.assert_array_equal(mask[21:44], np.tile(spoken, (23, 1)))
    np.testing.assert_array_equal(mask[2:21], np.tile(unspoken, (19, 1)))
    np.testing.assert_array_equal(mask[44:], np.tile(unspoken, (56, 1)))


def test_a_row_is_features_then_gains_then_strengths_then_speech():
    mixer = FixedMixer(bandwidth_hz=8000)
    rows = sequence(mixer, PARAMS, [0], 0.2)
    features, gains, strengths = training_example(
        mixer.result.clean, mixer.result.noisy, PARAMS, steady=True, analysis=engine.analysis
    )
    known = known_bands(PARAMS, 8000)
    np.testing.assert_array_equal(rows[:, :70], features)
    np.testing.assert_array_equal(rows[:, 70:104][:, known], gains[:, known])
    assert (rows[:, 70:104][:, ~known] == UNKNOWN).all()
    np.testing.assert_array_equal(rows[:, 104:138], strengths)
    np.testing.assert_array_equal(rows[:, 138], is_speech(mixer.result.clean, PARAMS))


def test_levels_stand_behind_features_that_do_not_have_them():
    params = SignalParams(feature_blocks=("relative_band_levels", "pitch"))
    layout = RowLayout(params)
    mixer = FixedMixer()
    rows = sequence(mixer, params, [0], 0.2)
    assert rows.shape[1] == layout.count == 36 + 34 + 34 + 34 + 1
    of_percepnet = sequence(mixer, PARAMS, [0], 0.2)
    other = RowLayout(PARAMS)
    assert other.count == 70 + 34 + 34 + 1
    for block in ("levels", "gains", "strengths", "speech"):
        np.testing.assert_array_equal(rows[:, getattr(layout, block)], of_percepnet[:, getattr(other, block)])


def test_speech_is_what_is_loud_and_two_hops_around_it():
    rng = np.random.default_rng(0)
    clean = (1e-4 * rng.standard_normal(48000)).astype(np.float32)
    clean[9600:19200] *= 1000
    found = is_speech(clean, PARAMS)
    np.testing.assert_array_equal(np.flatnonzero(found), np.arange(20 - 2 + 2, 40 + 2 + 2))  # decided two hops later
    assert not is_speech(np.zeros(48000, np.float32), PARAMS).any()


@pytest.mark.filterwarnings("ignore:the mixture of seed", "ignore:invalid value:RuntimeWarning")
def test_features_that_are_not_finite_are_refused(monkeypatch):
    def broken(clean, noisy, params, **options):
        return np.full((20, 70), np.nan), np.zeros((20, 34)), np.zeros((20, 34))

    monkeypatch.setattr(made, "training_example", broken)
    with pytest.raises(PercepNetError, match=r"seed \[7, 1\] have features that are not finite"):
        sequence(FixedMixer(), PARAMS, [7, 1], 0.2)


def test_shards_are_reproducible(recordings):
    mixer = recordings.mixer("train")
    one = make_shard(mixer, PARAMS, [5, 0, 3], 2, 0.3)
    two = make_shard(recordings.mixer("train"), PARAMS, [5, 0, 3], 2, 0.3)
    assert one.shape == (2, 30, 139)
    assert one.dtype == np.float16
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, make_shard(mixer, PARAMS, [5, 0, 4], 2, 0.3))


def test_shards_come_and_go(tmp_path):
    write_shard(tmp_path / shard_name(0), np.zeros((2, 3, 4), np.float16))
    shards = Shards(tmp_path)
    write_shard(tmp_path / shard_name(1), np.ones((2, 3, 4), np.float16))
    assert len(shards) == 1
    shards.refresh()
    batch = shards.draw(np.random.default_rng(0), 64)
    assert batch.shape == (64, 3, 4)
    assert batch.dtype == np.float32
    assert 0.2 < batch.mean() < 0.8
    (tmp_path / shard_name(0)).unlink()
    shards.refresh()
    assert shards.draw(np.random.default_rng(0), 8).mean() == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_window_of_shards(tmp_path):
    for index in (0, 1, 2):
        write_shard(tmp_path / shard_name(index), np.full((2, 3, 4), index, np.float16))
    shards = Shards(tmp_path)
    assert shards.hold(range(1, 3))
    assert set(np.unique(shards.draw(np.random.default_rng(0), 64))) == {1, 2}
    assert not shards.hold(range(2, 4))
    shards.drop(2)
    assert [path.name for path in tmp_path.iterdir()] == [shard_name(2)]


def test_paced_processes_make_what_is_wanted(recordings, tmp_path):
    folder = tmp_path / "run" / "shards" / "rank1"
    producers = Producers(
        recordings, PARAMS, tmp_path / "run", seed=5, workers=2, sequences=1, seconds=0.3, rank=1, window=range(3, 5)
    )
    producers.start()
    try:
        wait_for(lambda: len(list(folder.glob("shard-*.npy"))) == 2 + AHEAD_SHARDS, producers)
        producers.want(range(4, 6))
        wait_for((folder / shard_name(5 + AHEAD_SHARDS)).exists, producers)
    finally:
        producers.stop()
    made = sorted(folder.glob("shard-*.npy"))
    assert [path.name for path in made] == [shard_name(index) for index in range(3, 6 + AHEAD_SHARDS)]
    expected = make_shard(recordings.mixer("train"), PARAMS, [5, 4, 1, 3], 1, 0.3)
    np.testing.assert_array_equal(np.load(made[0]), expected)
    assert not (tmp_path / "run" / "valid.npy").exists()  # the first rank makes it


def test_no_speech_of_a_split(recordings):
    only = Recordings(recordings.speech[:1], (), (), recordings.folder)
    assert only.mixer("valid") is None


def wait_for(condition, producers, seconds=90):
    import time

    until = time.monotonic() + seconds
    while not condition():
        producers.check()
        assert time.monotonic() < until, "the processes took too long"
        time.sleep(0.1)


def test_processes_keep_a_ring(recordings, tmp_path):
    folder = tmp_path / "run"

    def seventh_was_made():
        # a fast ring may have replaced it by now
        return any(path.name >= shard_name(6) for path in (folder / "shards").glob("shard-*.npy"))

    producers = Producers(recordings, PARAMS, folder, seed=5, workers=2, ring=3, sequences=2, seconds=0.3)
    producers.start()
    try:
        wait_for(seventh_was_made, producers)
        wait_for((folder / "valid.npy").exists, producers)
    finally:
        producers.stop()
    kept = sorted((folder / "shards").glob("shard-*.npy"))
    assert len(kept) <= 6  # the ring, and what two processes add before they clear
    index = int(kept[-1].stem.removeprefix("shard-"))
    expected = make_shard(recordings.mixer("train"), PARAMS, [5, 0, index], 2, 0.3)
    np.testing.assert_array_equal(np.load(kept[-1]), expected)
    assert np.load(folder / "valid.npy").shape == (4, 30, 139)


def test_what_a_process_could_not_finish_is_deleted(recordings, tmp_path):
    shards = tmp_path / "run" / "shards"
    producers = Producers(recordings, PARAMS, tmp_path / "run", seed=5, ring=3, sequences=2, seconds=0.3)
    producers.start()
    try:
        # any: a fast ring may have replaced the first by now
        wait_for(lambda: any(shards.glob("shard-*.npy")), producers)
    finally:
        (pid,) = (process.pid for process in producers._processes)
        somebody_else = part_name()  # of this process, which is still there
        for folder in (shards, tmp_path / "run"):
            (folder / part_name().replace(f"-{os.getpid()}-", f"-{pid}-")).touch()
        (shards / somebody_else).touch()
        producers.stop()
    assert [path.name for path in (tmp_path / "run").rglob("*.part")] == [somebody_else]


def test_what_goes_wrong_in_a_process_is_raised(recordings, tmp_path):
    only_held_out = Recordings(recordings.speech[1:], (), (), recordings.folder)
    producers = Producers(only_held_out, PARAMS, tmp_path / "run", seed=0)
    producers.start()
    try:
        with pytest.raises(PercepNetError, match="making features failed: no speech of the split 'train'"):
            wait_for(lambda: False, producers)
    finally:
        producers.stop()


def test_gains_stop_at_the_limit_of_the_mixture():
    mixing = FixedMixer()
    rows = sequence(mixing, PARAMS, [0], 0.2)
    mixing.result = mixing.result._replace(limit_db=2.0)
    limited = sequence(mixing, PARAMS, [0], 0.2)
    gains, others = (slice(PARAMS.features, PARAMS.features + PARAMS.bands), slice(PARAMS.features))
    np.testing.assert_array_equal(limited[:, others], rows[:, others])
    np.testing.assert_allclose(limited[:, gains], np.maximum(rows[:, gains], 10 ** (-2 / 20)), rtol=1e-6)
    assert (rows[:, gains] < 0.75).any()
