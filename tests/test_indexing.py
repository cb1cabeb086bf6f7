import json
import os
import re

import numpy as np
import pytest
import soundfile

soxr = pytest.importorskip("soxr", reason="training needs soxr: pip install 'percepnet[train]'")

from percepnet.errors import AudioError, PercepNetError
from percepnet.training import indexing
from percepnet.training.corpus import find_clips, of_split
from percepnet.training.indexing import Labels, add_folders, content_hash, measure
from room_responses import exponential_room


def sound(seed, seconds=0.6, rate_hz=16000, rms=0.05):
    return (rms * np.random.default_rng(seed).standard_normal(round(seconds * rate_hz))).astype(np.float32)


def write(path, audio, rate_hz=16000, **kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, rate_hz, **kind)
    return path


def rows_of(manifest):
    return [json.loads(line) for line in manifest.read_text().splitlines()]


def add(manifest, *folders, kind="speech", jobs=0, **options):
    labels = {name: options.pop(name) for name in list(options) if name in Labels.__dataclass_fields__}
    return add_folders(manifest, folders, Labels(kind, **labels), jobs=jobs, **options)


@pytest.fixture
def voices(tmp_path):
    """Twelve speakers with two recordings each."""
    for speaker in range(12):
        for number in range(2):
            write(
                tmp_path / "voices" / f"s{speaker:02d}" / f"{number}.wav",
                sound(10 * speaker + number, 0.55, 8000),
                8000,
            )
    return tmp_path / "voices"


# What is measured.


def test_fields_of_speech(tmp_path):
    words = sound(0, 2.0, 48000) * np.repeat([1.0, 0.0, 1.0, 0.0], 24000).astype(np.float32)
    audio = words + sound(1, 2.0, 48000, 0.05 * 10**-1.75)
    path = write(tmp_path / "a.wav", np.stack([audio, np.zeros_like(audio)], axis=1), 48000)
    row = measure(str(path), "speech")
    assert (row["seconds"], row["sample_rate"], row["channels"], row["bandwidth_hz"]) == (2.0, 48000, 2, 24000)
    assert row["noise_floor_db"] == pytest.approx(-32, abs=1.5)  # 35 below the words, which are half of what is active
    assert row["active_level_db"] == pytest.approx(-29, abs=0.5)
    assert (row["clipped"], row["flags"]) == (0, [])
    assert (row["size_bytes"], row["mtime_ns"]) == (path.stat().st_size, path.stat().st_mtime_ns)


@pytest.mark.parametrize(
    ("kind", "audio", "rate_hz", "flags"),
    [
        ("speech", sound(0, 1.0), 16000, ["noisy"]),
        ("speech", np.clip(sound(0, 1.0, rms=1.0), -0.5, 0.5), 16000, ["clipped", "noisy"]),
        ("speech", sound(0, 0.3, 8000), 8000, ["noisy", "narrowband", "short"]),
        ("noise", sound(0, 1.0), 16000, []),
        ("noise", sound(0, 1.0) * (np.arange(16000) < 6000), 16000, ["mostly_silent"]),
        ("room", exponential_room(0.4), 48000, []),
        ("room", exponential_room(2.5, 3.0), 48000, ["reverberant"]),
        ("room", np.eye(1, 1000, 100)[0], 48000, ["short"]),
    ],
)
def test_flags(tmp_path, kind, audio, rate_hz, flags):
    path = write(tmp_path / "a.wav", 0.9 * audio / np.abs(audio).max() if kind == "room" else audio, rate_hz)
    assert measure(str(path), kind)["flags"] == flags


@pytest.mark.parametrize("rate_hz", [16000, 48000])
def test_rooms_are_measured_at_any_rate(tmp_path, rate_hz):
    response = soxr.resample(exponential_room(0.5), 48000, rate_hz)
    row = measure(str(write(tmp_path / "a.wav", 0.2 * response, rate_hz, subtype="FLOAT")), "room")
    assert row["rt60_s"] == pytest.approx(0.5, rel=0.1)
    assert "active_level_db" not in row


def test_what_cannot_be_used(tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF0000")
    nan = sound(0)
    nan[8000] = np.nan
    for path, reason in [
        (broken, "not an audio file"),
        (write(tmp_path / "nan.wav", nan, subtype="FLOAT"), "NaN or infinity at 0.5"),
        (write(tmp_path / "empty.wav", sound(0, 0)), "holds no samples"),
        (write(tmp_path / "zero.wav", np.zeros(8000)), "silent"),
        (write(tmp_path / "faint.wav", sound(0, rms=1e-4)), "silent (no louder than -80 dB below"),
        (tmp_path / "gone.wav", "cannot be read (No such file"),
    ]:
        row = measure(str(path), "speech")
        assert list(row) == ["unusable"]
        assert row["unusable"].startswith(str(path))
        assert reason in row["unusable"]
    assert measure(str(tmp_path / "zero.wav"), "room") == {"unusable": f"{tmp_path / 'zero.wav'}: silent"}


def test_hash_is_of_the_sound():
    audio = np.rint(sound(0) * 32768).astype(np.float32) / 32768
    assert content_hash(audio, 16000) == content_hash(audio + np.float32(1e-6), 16000)
    assert content_hash(audio, 16000) != content_hash(audio, 48000)
    assert content_hash(audio, 16000) != content_hash(audio[1:], 16000)


# What the manifest says.


def test_labels_of_paths(tmp_path):
    folder = tmp_path / "libri"

    def of(labels, inside):
        return labels.of(folder / inside, folder)

    assert of(Labels("speech"), "84/1/a.flac") == {"kind": "speech", "source": "libri"}
    by_folder = Labels("speech", "L", "CC0", "folder")
    assert of(by_folder, "84/1/a.flac") == {"kind": "speech", "source": "L", "speaker": "84", "licence": "CC0"}
    assert of(by_folder, "a.flac")["speaker"] == "libri"
    assert of(Labels("speech", speaker_from="file"), "p225_003.wav")["speaker"] == "p225"
    assert of(Labels("speech", speaker_from=r"(p\d+)_"), "x/p225_003.wav")["speaker"] == "p225"
    assert of(Labels("speech", speaker_from=r"p\d+"), "x/p225_003.wav")["speaker"] == "p225"
    assert "speaker" not in of(Labels("speech", speaker_from="q"), "x/p225_003.wav")
    assert of(Labels("noise"), "rain/a_01.wav") == {
        "kind": "noise", "source": "libri", "category": "rain", "recording": "libri/rain/a",
    }  # fmt: skip
    assert of(Labels("noise", category_from="file"), "rain-heavy_01.wav")["category"] == "rain-heavy"
    assert of(Labels("room"), "x/kitchen_c1.wav") == {"kind": "room", "source": "libri", "room": "libri/x/kitchen"}


def test_speakers_stay_together_and_training_reads_it(tmp_path, voices):
    manifest = tmp_path / "speech.jsonl"
    outcome = add(manifest, voices, speaker_from="folder", licence="CC0")
    assert (outcome.added, outcome.unusable, outcome.duplicates) == (24, [], [])
    rows = rows_of(manifest)
    assert [row["path"] for row in rows][:3] == ["voices/s00/0.wav", "voices/s00/1.wav", "voices/s01/0.wav"]
    sides = {row["speaker"]: {r["split"] for r in rows if r["speaker"] == row["speaker"]} for row in rows}
    assert len(sides) == 12
    assert all(len(splits) == 1 for splits in sides.values())
    clips = find_clips([manifest])
    assert len(of_split(clips, "valid")) == sum(row["split"] == "valid" for row in rows) >= 2
    assert {clip.bandwidth_hz for clip in clips} == {4000}
    assert {clip.licence for clip in clips} == {"CC0"}
    assert [clip.seconds for clip in clips] == pytest.approx([row["seconds"] for row in rows])


def test_parts_of_a_noise_stay_together(tmp_path):
    for recording in range(12):
        for part in range(3):
            write(tmp_path / "n" / f"rec{recording}x_{part}.wav", sound(10 * recording + part, 0.1))
    add(tmp_path / "noise.jsonl", tmp_path / "n", kind="noise")
    rows = rows_of(tmp_path / "noise.jsonl")
    assert len({row["recording"] for row in rows}) == 12
    assert len({(row["recording"], row["split"]) for row in rows}) == 12
    assert {row["split"] for row in rows} == {"train", "valid"}


def test_manifest_in_another_folder_and_through_a_link(tmp_path, voices):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "er")
    add(tmp_path / "link" / "m.jsonl", voices, exclude=["s0", "s10"])
    assert {row["path"] for row in rows_of(tmp_path / "deep" / "er" / "m.jsonl")} == {
        "../../voices/s11/0.wav",
        "../../voices/s11/1.wav",
    }
    assert len(find_clips([tmp_path / "link" / "m.jsonl"])) == 2


# Adding more, again, and after an interruption.


def test_number_of_processes_changes_nothing(tmp_path, voices):
    (voices / "s03" / "0.wav").write_bytes(b"RIFF")
    write(voices / "s05" / "copy.flac", soundfile.read(voices / "s01" / "0.wav")[0], 8000)
    outcomes = [add(tmp_path / f"{jobs}.jsonl", voices, speaker_from="folder", jobs=jobs) for jobs in (0, 2)]
    assert (tmp_path / "0.jsonl").read_text() == (tmp_path / "2.jsonl").read_text()
    assert outcomes[0].unusable == outcomes[1].unusable
    assert [left["path"] for left in outcomes[0].unusable] == [str(voices / "s03" / "0.wav")]
    assert outcomes[0].duplicates[0]["reason"].endswith("copy.flac: duplicate of voices/s01/0.wav")
    assert len(rows_of(tmp_path / "0.jsonl")) == 23


def test_again_measures_only_what_changed(tmp_path, voices, monkeypatch):
    manifest = tmp_path / "m.jsonl"
    add(manifest, voices, speaker_from="folder")
    before = manifest.read_text()
    measured = []
    monkeypatch.setattr(indexing, "measure", lambda path, kind: measured.append(path) or measure(path, kind))
    assert add(manifest, voices, speaker_from="folder").unchanged == 24
    assert manifest.read_text() == before
    assert measured == []
    changed, new = voices / "s04" / "1.wav", voices / "s99" / "0.wav"
    write(changed, sound(77, 0.7, 8000), 8000)
    write(new, sound(78, 0.7, 8000), 8000)
    outcome = add(manifest, voices, speaker_from="folder")
    assert measured == [str(changed), str(new)]
    assert (outcome.added, outcome.measured_again, outcome.unchanged) == (1, 1, 23)
    rows = rows_of(manifest)
    assert [row["path"] for row in rows if row["seconds"] == 0.7] == ["voices/s04/1.wav", "voices/s99/0.wav"]
    old = {row["path"]: row["split"] for row in map(json.loads, before.splitlines())}
    assert {row["path"]: row["split"] for row in rows if row["path"] in old} == old


def test_interrupted_and_resumed_is_as_at_once(tmp_path, voices, monkeypatch):
    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    add(whole, voices, speaker_from="folder")

    def interrupted(path, kind):
        if path.endswith("s05/1.wav"):
            raise KeyboardInterrupt
        return measure(path, kind)

    monkeypatch.setattr(indexing, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        add(parts, voices, speaker_from="folder")
    assert len(rows_of(parts)) == 11
    monkeypatch.undo()
    assert add(parts, voices, speaker_from="folder").unchanged == 11
    assert parts.read_text() == whole.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts.jsonl", "voices", "whole.jsonl"]


def test_dropped_and_gone(tmp_path):
    write(tmp_path / "in" / "long.wav", sound(0, 1.0))
    write(tmp_path / "in" / "short.wav", sound(1, 0.2))
    manifest = tmp_path / "m.jsonl"
    outcome = add(manifest, tmp_path / "in", kind="noise", drop=["short"])
    assert [left["path"] for left in outcome.dropped] == [str(tmp_path / "in" / "short.wav")]
    assert [row["path"] for row in rows_of(manifest)] == ["in/long.wav"]
    (tmp_path / "in" / "long.wav").unlink()
    outcome = add(manifest, tmp_path / "in", kind="noise")
    assert outcome.missing == ["in/long.wav"]
    assert [row["path"] for row in rows_of(manifest)] == ["in/long.wav", "in/short.wav"]


def test_rows_written_by_hand_are_kept(tmp_path):
    write(tmp_path / "in" / "a.wav", sound(0))
    write(tmp_path / "in" / "b.wav", sound(1))
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"path": "in/a.wav", "split": "valid", "bandwidth_hz": 3000, "note": "mine"}\n')
    assert add(manifest, tmp_path / "in").added == 1
    first, second = rows_of(manifest)
    assert first == {"path": "in/a.wav", "split": "valid", "bandwidth_hz": 3000, "note": "mine"}
    assert (second["path"], second["split"]) == ("in/b.wav", "train")


# Bad input.


def test_bad_input(tmp_path):
    write(tmp_path / "in" / "a.wav", sound(0))
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "notes.txt").touch()
    write(tmp_path / "none" / ".hidden.wav", sound(0))
    (tmp_path / "noise.jsonl").write_text('{"path": "a.wav", "kind": "noise"}\n')
    good, out = tmp_path / "in", tmp_path / "m.jsonl"
    for message, call in [
        ("gone: no such file or folder", lambda: add(out, tmp_path / "gone")),
        ("none: no audio found in this folder", lambda: add(out, tmp_path / "none")),
        ("in: no audio found after --exclude", lambda: add(out, good, exclude=["a.w"])),
        (
            "noise.jsonl: is a manifest of noise; speech needs one of its own",
            lambda: add(tmp_path / "noise.jsonl", good),
        ),
        ("m.json: the name of a manifest ends in .jsonl", lambda: add(tmp_path / "m.json", good)),
        ("--kind music: there are speech, noise, room", lambda: add(out, good, kind="music")),
        ("--drop loud: there is no such flag", lambda: add(out, good, drop=["loud"])),
        ("--speaker-from is for speech", lambda: add(out, good, kind="room", speaker_from="folder")),
        ("--category-from is for noise", lambda: add(out, good, category_from="folder")),
        ("--category-from x: there are folder, file", lambda: add(out, good, kind="noise", category_from="x")),
        ("--speaker-from (: no regular expression", lambda: add(out, good, speaker_from="(")),
    ]:
        with pytest.raises(PercepNetError, match=re.escape(message)):
            call()
        assert not out.exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_manifest_is_refused_before_anything_is_measured(tmp_path, monkeypatch):
    write(tmp_path / "in" / "a.wav", sound(0))
    (tmp_path / "locked").mkdir(mode=0o555)
    monkeypatch.setattr(indexing, "measure", lambda path, kind: pytest.fail("measured"))
    with pytest.raises(AudioError, match="cannot be written"):
        add(tmp_path / "locked" / "m.jsonl", tmp_path / "in")


def test_manifest_in_no_folder(tmp_path):
    write(tmp_path / "in" / "a.wav", sound(0))
    with pytest.raises(AudioError, match="cannot be written"):
        add(tmp_path / "gone" / "m.jsonl", tmp_path / "in")
