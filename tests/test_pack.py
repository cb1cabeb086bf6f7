"""Packs: what is in them, and what becomes of damaged ones."""

import io
import json
import zipfile

import numpy as np
import pytest
import soundfile

pytest.importorskip("soxr")

from percepnet.errors import PercepNetError
from percepnet.training.corpus import find_clips
from percepnet.training.pack import pack, unpack

RATE_HZ = 48_000
PLACES = {"speech": "speech.jsonl", "noise": "noise", "rooms": "rooms"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Speech of two speakers, of whom one has two recordings; a noise; a room of three seconds."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    rows = []
    for name, speaker, kind in (("a0.wav", "a", "wav"), ("a1.opus", "a", "opus"), ("b0.wav", "b", "wav")):
        sound = 0.1 * rng.standard_normal(RATE_HZ).astype(np.float32)
        if kind == "opus":
            soundfile.write(folder / name, sound, RATE_HZ, format="OGG", subtype="OPUS", compression_level=0.95)
        else:
            soundfile.write(folder / name, sound, RATE_HZ)
        rows.append(
            {"path": name, "speaker": speaker, "source": "s", "bandwidth_hz": 9000, "split": "train", "licence": "PD"}
        )
    (folder / "speech.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "noise").mkdir()
    soundfile.write(folder / "noise" / "rain.wav", 0.1 * rng.standard_normal(RATE_HZ), RATE_HZ)
    (folder / "rooms").mkdir()
    room = 0.1 * rng.standard_normal(3 * RATE_HZ)
    room[: RATE_HZ // 2] = 0
    room[RATE_HZ // 2] = 0.9
    soundfile.write(folder / "rooms" / "hall.wav", room, RATE_HZ)
    return folder


def places(corpus):
    return {
        "speech": [str(corpus / "speech.jsonl")],
        "noise": [str(corpus / "noise")],
        "rooms": [str(corpus / "rooms")],
    }


def test_what_was_packed_comes_out(corpus, tmp_path):
    packed = pack(places(corpus), tmp_path / "packs", megabytes=4, processes=1)
    assert len(packed.paths) == 1
    assert packed.left_out == 0
    assert packed.hours["speech"] == pytest.approx(3 / 3600)
    found = unpack([tmp_path / "packs"], tmp_path / "work")
    clips = find_clips(found["speech"], (), "speech")
    assert [clip.speaker for clip in clips] == ["a", "b", "a"]  # speakers in turn
    assert {(clip.source, clip.bandwidth_hz, clip.licence, clip.split) for clip in clips} == {
        ("s", 9000, "PD", "train")
    }
    sound, rate_hz = soundfile.read(clips[0].path)
    original, _ = soundfile.read(corpus / "a0.wav")
    assert rate_hz == RATE_HZ
    # noise through 24 kbit/s is no copy, but as loud, and as long
    assert np.std(sound) == pytest.approx(np.std(original), rel=0.3)
    assert abs(len(sound) - len(original)) < 1000
    assert find_clips(found["noise"], (), "noise")[0].category == "noise"
    [room] = find_clips(found["rooms"], (), "room")
    response, _ = soundfile.read(room.path)
    assert np.argmax(np.abs(response)) == pytest.approx(RATE_HZ // 100, abs=1)
    assert len(response) == round(1.6 * RATE_HZ)


def test_what_is_small_already_is_not_encoded_again(corpus, tmp_path):
    packed = pack(places(corpus), tmp_path, megabytes=4, processes=1)
    with zipfile.ZipFile(packed.paths[0]) as archive:
        stored = [archive.read(name) for name in archive.namelist() if name.endswith(".opus")]
    assert (corpus / "a1.opus").read_bytes() in stored
    for data in stored:
        assert soundfile.info(io.BytesIO(data)).subtype == "OPUS"


def test_packs_of_limited_size_and_number(corpus, tmp_path):
    speech = {"speech": places(corpus)["speech"]}
    whole = pack(speech, tmp_path / "whole", megabytes=4, processes=1)
    limit = whole.paths[0].stat().st_size / 2**20  # without what is allowed for headers
    several = pack(speech, tmp_path / "several", megabytes=limit, processes=1)
    assert len(several.paths) == 2
    assert all(path.stat().st_size <= limit * 2**20 for path in several.paths)
    assert several.left_out == 0
    unpack([several.paths[0]], tmp_path / "work")
    found = unpack([several.paths[1]], tmp_path / "work")  # a pack at a time
    assert len(find_clips(found["speech"], (), "speech")) == 3
    one = pack(speech, tmp_path / "several", megabytes=limit, parts=1, processes=1)
    assert len(one.paths) == 1
    assert one.left_out >= 1
    assert [path.name for path in (tmp_path / "several").iterdir()] == ["000.pack.zip"]  # no old one stays
    with pytest.raises(PercepNetError, match="more than a pack"):
        pack(places(corpus), tmp_path / "several", megabytes=0.01, processes=1)
    assert [path.name for path in (tmp_path / "several").iterdir()] == ["000.pack.zip"]  # as it was


def test_bad_packs(tmp_path, corpus):
    with pytest.raises(PercepNetError, match="no speech to pack"):
        pack({"noise": [str(corpus / "noise")]}, tmp_path, megabytes=1, processes=1)
    damaged = tmp_path / "000.pack.zip"
    damaged.write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(PercepNetError, match="not a pack, or a damaged one"):
        unpack([damaged], tmp_path / "work")
    with pytest.raises(PercepNetError, match="not a pack"):
        unpack([tmp_path / "none.pack.zip"], tmp_path / "work")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PercepNetError, match="no speech; give the packs"):
        unpack([tmp_path / "empty"], tmp_path / "work")
