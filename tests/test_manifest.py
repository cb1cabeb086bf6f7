import json

import pytest

pytest.importorskip("soxr", reason="training needs soxr: pip install 'percepnet[train]'")

from percepnet.errors import PercepNetError
from percepnet.manifest import load_rows
from percepnet.training.manifest import assign_splits, gaps, group_of, leaks, original, room_name, summary

NAMES = [f"speaker{number}" for number in range(2000)]


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("rain_001", "rain"),
        ("rain 2", "rain"),
        ("rain (12)", "rain"),
        ("rain12", "rain"),
        ("rain-b", "rain"),
        ("5-200461-A-11", "5-200461"),
        ("p225_003", "p225"),
        ("2024-01-05_0003", "2024-01-05"),
        ("rain", "rain"),
        ("0042", "0042"),
        ("a", "a"),
        ("crowd", "crowd"),
    ],
)
def test_original(stem, expected):
    assert original(stem) == expected


def test_rooms_keep_their_number_and_lose_their_channels():
    assert room_name("kitchen_c0") == room_name("kitchen_c1") == "kitchen"
    assert room_name("room12_src2_mic3") == "room12"
    assert room_name("room12_src2_mic3") != room_name("room13_src2_mic3")
    assert room_name("office-left") == "office-left"


def test_split_has_the_share_asked_for():
    for share in (0.05, 0.3):
        held_out = sum(split == "valid" for split in assign_splits(NAMES, {}, share).values())
        assert held_out / len(NAMES) == pytest.approx(share, abs=0.02)


def test_split_does_not_change_when_more_is_added():
    some = assign_splits(NAMES[:500], {}, 0.05)
    everything = assign_splits(reversed(NAMES), {}, 0.05)
    assert {name: everything[name] for name in some} == some
    more = assign_splits(NAMES, {}, 0.1)
    assert all(more[name] == "valid" for name, split in everything.items() if split == "valid")


@pytest.mark.parametrize("count", range(1, 40))
def test_no_side_is_empty_that_should_not_be(count):
    for start in range(0, 400, 40):
        splits = list(assign_splits(NAMES[start : start + count], {}, 0.05).values())
        assert "train" in splits
        assert "valid" in splits or count < 10
    assert set(assign_splits(NAMES[:count], {}, 0).values()) == {"train"}


def test_known_groups_keep_their_split():
    known = {NAMES[0]: "valid", NAMES[1]: "train"}
    assert assign_splits(NAMES[:2], known, 0.05) == known
    # the only one that is new must be trained on, whatever its hash
    unlucky = next(name for name, split in assign_splits(NAMES, {}, 0.05).items() if split == "valid")
    assert assign_splits([unlucky], {}, 0.05) == {unlucky: "train"}
    assert assign_splits([unlucky], {"x": "train"}, 0.05) == {unlucky: "valid"}
    assert assign_splits([NAMES[0]], {"x": "valid"}, 0.05) == {NAMES[0]: "train"}


def test_groups():
    assert group_of({"kind": "speech", "speaker": "ann", "source": "s"}) == "ann"
    assert group_of({"kind": "speech", "source": "s"}) == "source s"
    assert group_of({"kind": "noise", "recording": "s/rain", "source": "s"}) == "s/rain"
    assert group_of({"kind": "room", "room": "s/kitchen"}) == "s/kitchen"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("split", "test", "split is 'test': expected one of train, valid"),
        ("kind", "music", "kind is 'music': expected one of speech, noise, room"),
        ("seconds", -1, "seconds is -1: expected `float` >= 0"),
        ("bandwidth_hz", "wide", "bandwidth_hz is 'wide': expected `float"),
        ("bandwidth_hz", float("nan"), "bandwidth_hz is nan: expected `float` >= 0"),
        ("rt60_s", True, "rt60_s is True: expected `float"),
        ("speaker", 3, "speaker is 3: expected `str"),
        ("flags", "clipped", "flags is 'clipped': expected `array`"),
        ("path", "", "path is '': expected `str` of length >= 1"),
    ],
)
def test_fields_are_checked(tmp_path, field, value, message):
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps({"path": "a.wav"}) + "\n")
    assert load_rows(path) == [{"path": "a.wav"}]
    path.write_text(json.dumps({"path": "a.wav", field: value}) + "\n")
    with pytest.raises(PercepNetError, match=r"m\.jsonl, ") as error:
        load_rows(path)
    assert message in str(error.value)


def speech(path, split, **fields):
    return {"path": path, "kind": "speech", "split": split, "seconds": 1800, **fields}


def test_summary():
    rows = [
        speech("a", "train", speaker="ann", source="s", licence="CC0", bandwidth_hz=24000, flags=["clipped", "noisy"]),
        speech("b", "valid", speaker="bob", source="t", bandwidth_hz=4000, flags=["noisy"]),
        speech("c", "train", speaker="ann", source="s", licence="CC0"),
        {"path": "r", "kind": "room", "rt60_s": 0.5, "seconds": 1, "split": "train"},
    ]
    found = summary(rows)
    assert list(found) == ["room", "speech"]
    spoken = found["speech"]
    assert (spoken["files"], spoken["hours"], spoken["speakers"]) == (3, 1.5, 2)
    assert spoken["split"] == {"train": {"files": 2, "hours": 1.0}, "valid": {"files": 1, "hours": 0.5}}
    assert spoken["flags"] == {"noisy": {"files": 2, "hours": 1.0}, "clipped": {"files": 1, "hours": 0.5}}
    assert {name: entry["files"] for name, entry in spoken["bandwidth"].items()} == {
        "fullband": 1, "narrowband": 1, "unknown": 1,
    }  # fmt: skip
    assert spoken["licence"]["unknown"]["files"] == 1
    assert found["room"]["rt60_s"] == {"shortest": 0.5, "median": 0.5, "longest": 0.5}


def test_leaks_are_found():
    clean = [
        speech("a", "train", speaker="ann", source="s", sha256="1"),
        speech("b", "valid", speaker="bob", source="s", sha256="2"),
    ]
    assert leaks(clean) == []
    assert leaks([*clean, speech("c", "valid", speaker="ann")]) == ["speaker 'ann' is in train and valid: a, c"]
    assert leaks([*clean, speech("c", "valid", sha256="1")]) == ["the same sound is in train and valid: a, c"]
    unknown = [speech("a", "train", source="s"), speech("b", "valid", source="s")]
    assert leaks(unknown) == ["source 's' (of unknown speakers) is in train and valid: a, b"]
    noises = [{"path": name, "kind": "noise", "recording": "rain", "split": name} for name in ("train", "valid")]
    assert leaks(noises) == ["recording 'rain' is in train and valid: train, valid"]


def test_many_leaks_are_a_few_lines():
    rows = [speech(f"{split}{n}", split, speaker=str(n)) for n in range(30) for split in ("train", "valid")]
    assert len(leaks(rows)) == 6
    assert leaks(rows)[-1] == "and 25 more, each with a speaker in train and valid"


def test_gaps():
    assert gaps([speech("a", "train", speaker="ann")]) == ["no speech is held out (split valid)"]
    assert "--speaker-from" in gaps([speech("a", "train")])[0]
    assert gaps([speech("a", "train"), speech("b", "valid")]) == []
