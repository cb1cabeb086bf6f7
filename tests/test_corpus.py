import json

import numpy as np
import pytest
import soundfile

pytest.importorskip("soxr", reason="training needs soxr: pip install 'percepnet[train]'")

from percepnet.errors import AudioError, PercepNetError
from percepnet.training.corpus import find_clips, of_split, summary
from percepnet.training.sampling import ClipPool
from percepnet.training.store import AudioStore


def tone(hz, seconds, rate_hz=48000, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz).astype(np.float32)


def write(path, audio, rate_hz=48000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, rate_hz)
    return path


def manifest(folder, rows, name="speech.jsonl"):
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    return path


def test_manifest_fields(tmp_path):
    write(tmp_path / "a" / "x.wav", tone(200, 0.5, 16000), 16000)
    write(tmp_path / "a" / "y.flac", tone(200, 0.25))
    path = manifest(
        tmp_path,
        [
            {"path": "a/x.wav", "source": "libri", "bandwidth_hz": 18000, "licence": "PD", "split": "valid"},
            {"path": "a/y.flac", "category": "rain", "bandwidth_hz": 9000, "split": "train"},
        ],
    )
    x, y = find_clips([path])
    assert (x.samples, x.seconds, x.source, x.split, x.licence) == (24000, 0.5, "libri", "valid", "PD")
    assert x.bandwidth_hz == 8000  # whatever the manifest says, 16 kHz hold no more
    assert (y.samples, y.category, y.source, y.bandwidth_hz) == (12000, "rain", "a", 9000)
    assert of_split([x, y], "train") == [y]


def test_folder_recursive_and_split_by_hash(tmp_path):
    for number in range(120):
        write(tmp_path / f"group{number % 3}" / f"{number}.wav", tone(200, 0.01, 8000), 8000)
    (tmp_path / "readme.txt").write_text("no audio")
    clips = find_clips([tmp_path])
    assert len(clips) == 120
    assert {clip.source for clip in clips} == {"group0", "group1", "group2"}
    assert 1 <= len(of_split(clips, "valid")) <= 15
    assert [clip.split for clip in find_clips([tmp_path])] == [clip.split for clip in clips]


def test_exclude(tmp_path):
    for name in ("allswell", "measure", "other"):
        write(tmp_path / f"{name}.wav", tone(200, 0.01))
    assert [clip.path.stem for clip in find_clips([tmp_path], ["allswell", "measure"])] == ["other"]
    with pytest.raises(PercepNetError, match="no audio found after --exclude"):
        find_clips([tmp_path], [".wav"])


def test_nothing_found(tmp_path):
    with pytest.raises(PercepNetError, match="no audio found; give a folder"):
        find_clips([tmp_path])
    with pytest.raises(PercepNetError, match="no such file or folder"):
        find_clips([tmp_path / "none"])
    with pytest.raises(PercepNetError, match="cannot read the manifest"):
        find_clips([tmp_path / "none.jsonl"])


@pytest.mark.parametrize("line", ["{", '{"file": "a.wav"}', "3"])
def test_malformed_manifest(tmp_path, line):
    (tmp_path / "m.jsonl").write_text(line)
    with pytest.raises(PercepNetError, match=r"m\.jsonl, line 1"):
        find_clips([tmp_path / "m.jsonl"])


def test_malformed_bandwidth(tmp_path):
    write(tmp_path / "a.wav", tone(200, 0.01))
    with pytest.raises(PercepNetError, match=r"speech\.jsonl, line 1: bandwidth_hz is 'wide': expected `float"):
        find_clips([manifest(tmp_path, [{"path": "a.wav", "bandwidth_hz": "wide"}])])


def test_a_manifest_of_another_kind(tmp_path):
    write(tmp_path / "a.wav", tone(200, 0.01))
    path = manifest(tmp_path, [{"path": "a.wav", "kind": "noise"}], "noise.jsonl")
    message = r"noise\.jsonl: a\.wav in it is of the kind 'noise', not 'speech'; give this manifest as --noise, not"
    with pytest.raises(PercepNetError, match=message):
        find_clips([path], kind="speech")
    with pytest.raises(PercepNetError, match="not as --rooms"):
        find_clips([path], kind="room")
    assert len(find_clips([path], kind="noise")) == len(find_clips([path])) == 1
    assert len(find_clips([manifest(tmp_path, [{"path": "a.wav"}])], kind="speech")) == 1


def test_bad_recordings_are_named(tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF0000")
    with pytest.raises(AudioError, match=r"broken\.wav: unreadable"):
        find_clips([broken])
    with pytest.raises(AudioError, match=r"gone\.wav: no such file"):
        find_clips([manifest(tmp_path, [{"path": "gone.wav"}])])
    with pytest.raises(AudioError, match=r"empty\.wav: empty"):
        find_clips([write(tmp_path / "empty.wav", np.zeros(0, np.float32))])


def test_store_decodes_at_48_khz_once(tmp_path):
    path = write(tmp_path / "a.wav", np.stack([tone(1000, 0.5, 16000), np.zeros(8000, np.float32)], axis=1), 16000)
    clips = find_clips([path])
    audio = AudioStore(clips, tmp_path / "cache").read(0)
    middle = slice(2400, -2400)  # away from the resampler's edges
    np.testing.assert_allclose(audio[middle], tone(1000, 0.5)[middle], atol=2e-3)  # the first channel
    path.unlink()
    again = AudioStore(clips, tmp_path / "cache")  # another process, say
    np.testing.assert_array_equal(again.read(0, 100, 50), audio[100:150])
    np.testing.assert_array_equal(again.read(0, 23000), audio[23000:])


def test_a_recording_that_went_bad(tmp_path):
    path = write(tmp_path / "a.wav", tone(1000, 0.1))
    store = AudioStore(find_clips([path]), tmp_path / "cache")
    path.write_bytes(b"RIFF0000")
    with pytest.raises(AudioError, match="unreadable"):
        store.read(0)


def test_pool_fills_from_one_group_and_knows_its_bandwidth(tmp_path):
    write(tmp_path / "low.wav", np.full(4800, -0.5, np.float32))
    write(tmp_path / "high.wav", np.full(48000, 0.5, np.float32))
    rows = [
        {"path": "low.wav", "source": "low", "bandwidth_hz": 4000, "split": "train"},
        {"path": "high.wav", "source": "high", "bandwidth_hz": 16000, "split": "train"},
    ]
    pool = ClipPool(AudioStore(find_clips([manifest(tmp_path, rows)]), tmp_path / "cache"), "source")
    rng = np.random.default_rng(0)
    low = 0
    for _ in range(400):
        audio, bandwidth_hz = pool.draw(rng, 9600)
        assert len(audio) == 9600
        np.testing.assert_allclose(audio, -0.5 if bandwidth_hz == 4000 else 0.5, atol=1e-4)
        low += bandwidth_hz == 4000
    # shares of sqrt(0.1) to 1: 24 % of the draws
    assert 0.16 < low / 400 < 0.33


def test_pool_weights(tmp_path):
    write(tmp_path / "a" / "x.wav", np.full(4800, -0.5, np.float32))
    write(tmp_path / "b" / "x.wav", np.full(4800, 0.5, np.float32))
    store = AudioStore(find_clips([tmp_path]), tmp_path / "cache")
    pool = ClipPool(store, "source", {"b": 0})
    assert all(pool.draw(np.random.default_rng(seed), 10)[0][0] < 0 for seed in range(20))
    with pytest.raises(PercepNetError, match="no source 'c' to weight; there are: a, b"):
        ClipPool(store, "source", {"c": 1})
    with pytest.raises(PercepNetError, match="must be positive"):
        ClipPool(store, "source", {"a": 0, "b": 0})


def test_summary_names_every_licence(tmp_path):
    for name in "xy":
        write(tmp_path / f"{name}.wav", tone(200, 36))
    rows = [
        {"path": "x.wav", "source": "s", "licence": "PD"},
        {"path": "y.wav", "source": "s", "licence": "CC BY 4.0"},
        {"path": "y.wav", "source": "t"},
    ]
    assert summary(find_clips([manifest(tmp_path, rows)])) == {
        "s": "0.0 h, CC BY 4.0; PD",
        "t": "0.0 h, licence not stated",
    }
