"""What comes with the sound stays with it: byte by byte within a family, texts and pictures between families."""

import base64
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from percepnet.audio import Picture, Tags, create_audio, ogg, open_audio
from percepnet.audio.tags import id3, vorbis

RATE_HZ = 48000
COVER = Picture("image/png", 3, "front", b"\x89PNG" + bytes(range(256)) * 300)  # larger than an Ogg page
TEXT = (
    ("TITLE", "Gespräch"),
    ("ARTIST", "A & B"),
    ("REPLAYGAIN_TRACK_GAIN", "-3.20 dB"),
    ("CHAPTER001", "00:00:01.000"),
)
BEXT = b"a take".ljust(338, b"\0") + struct.pack("<Q", 48_000 * 3600) + b"\1\0" + bytes(254)


def make(path: Path, **kind: str) -> Path:
    soundfile.write(path, np.random.default_rng(0).uniform(-0.3, 0.3, (30_001, 1)), RATE_HZ, **kind)
    return path


def copy(source: Path, target: Path) -> list[str]:
    with open_audio(source) as reader, create_audio(target, reader.info) as writer:
        for block in reader.blocks():
            writer.write(block)
    with open_audio(target) as again:
        assert sum(block.shape[1] for block in again.blocks()) == 30_001
    assert [path for path in target.parent.iterdir() if path.suffix == ".part"] == []
    return writer.notes


def tags(path: Path) -> Tags:
    with open_audio(path) as reader:
        return reader.info.tags


def with_chunks(path: Path, *chunks: tuple[bytes, bytes]) -> Path:
    content = make(path, subtype="PCM_16").read_bytes()
    extra = b"".join(name + struct.pack("<I", len(c)) + c + b"\0" * (len(c) % 2) for name, c in chunks)
    at = 36  # before the sound
    content = content[:at] + extra + content[at:]
    path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])
    return path


def test_wav_keeps_its_time_reference_and_every_chunk(tmp_path: Path) -> None:
    cue = struct.pack("<I", 1) + struct.pack("<II4sIII", 1, 100, b"data", 0, 0, 100)
    chunks = [(b"bext", BEXT), (b"iXML", b"<BWFXML/>"), (b"cue ", cue), (b"LIST", b"INFOINAM\4\0\0\0Take")]
    source = with_chunks(tmp_path / "a.wav", *chunks)
    copy(source, tmp_path / "b.wav")
    kept = dict(tags(tmp_path / "b.wav").raw)
    for name, content in chunks:
        assert kept[name.decode()] == content
    copied = (tmp_path / "b.wav").read_bytes()
    assert copied.index(b"bext") < copied.index(b"data")  # as EBU Tech 3285 wants it
    assert struct.unpack("<I", copied[4:8])[0] == len(copied) - 8
    assert tags(tmp_path / "b.wav").first("TITLE") == "Take"


def test_rf64_keeps_them_too(tmp_path: Path) -> None:
    source = with_chunks(tmp_path / "a.wav", (b"bext", BEXT))
    copy(source, tmp_path / "b.rf64")
    copied = (tmp_path / "b.rf64").read_bytes()
    assert dict(tags(tmp_path / "b.rf64").raw)["bext"] == BEXT
    assert struct.unpack("<Q", copied[20:28])[0] == len(copied) - 8
    assert soundfile.info(tmp_path / "b.rf64").frames == 30_001


def test_mp3_keeps_its_tags_to_the_byte(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp3", format="MP3")
    chapter = b"CHAP" + struct.pack(">I", 4)[0:0] + bytes((0, 0, 0, 21)) + b"\0\0" + b"ch1\0" + bytes(17)
    block = id3.build(Tags(TEXT, (COVER,)))
    size = len(block) - 10 + len(chapter)
    block = block[:6] + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + block[10:] + chapter
    old = b"TAG" + b"Gespr".ljust(125, b"\0")
    path.write_bytes(block + path.read_bytes() + old)
    copy(path, tmp_path / "b.mp3")
    copied = (tmp_path / "b.mp3").read_bytes()
    assert copied.startswith(block)
    assert copied.endswith(old)
    assert tags(tmp_path / "b.mp3").pictures == (COVER,)
    assert tags(tmp_path / "b.mp3").first("TITLE") == "Gespräch"


@pytest.mark.parametrize(("name", "subtype"), [("a.ogg", "VORBIS"), ("a.opus", "OPUS")])
def test_ogg_keeps_its_comments_and_cover(tmp_path: Path, name: str, subtype: str) -> None:
    plain, tagged = make(tmp_path / f"plain-{name}", format="OGG", subtype=subtype), tmp_path / name
    vorbis.attach_ogg(plain, Tags(TEXT, (COVER,), "id3"), tagged)
    copy(tagged, tmp_path / f"copy-{name}")
    for path in (tagged, tmp_path / f"copy-{name}"):
        assert set(TEXT) <= set(tags(path).text)
        assert tags(path).pictures == (COVER,)
        content = path.read_bytes()
        for number, page in enumerate(ogg.pages(content)):
            assert page.sequence == number
            bare = content[page.start : page.start + 22] + bytes(4) + content[page.start + 26 : page.end]
            stored = int.from_bytes(content[page.start + 22 : page.start + 26], "little")
            assert ogg.checksum(bare) == stored


def test_flac_keeps_every_block(tmp_path: Path) -> None:
    plain = make(tmp_path / "plain.flac")
    vorbis.attach_flac(plain, Tags(TEXT, (COVER,), "id3"), tmp_path / "a.flac")
    copy(tmp_path / "a.flac", tmp_path / "b.flac")
    assert tags(tmp_path / "b.flac").raw == tags(tmp_path / "a.flac").raw
    assert tags(tmp_path / "b.flac").pictures == (COVER,)


def test_aiff_keeps_its_chunks(tmp_path: Path) -> None:
    path = make(tmp_path / "a.aiff")
    content = path.read_bytes() + b"NAME\0\0\0\4Take" + b"ID3 \0\0\0\2ID"
    path.write_bytes(content[:4] + struct.pack(">I", len(content) - 8) + content[8:])
    copy(path, tmp_path / "b.aiff")
    assert dict(tags(tmp_path / "b.aiff").raw) == {"NAME": b"Take", "ID3 ": b"ID"}


@pytest.mark.parametrize("target", ["b.wav", "b.flac", "b.ogg", "b.mp3", "b.opus", "b.aiff"])
def test_text_and_cover_go_from_family_to_family(tmp_path: Path, target: str) -> None:
    vorbis.attach_flac(make(tmp_path / "plain.flac"), Tags(TEXT, (COVER,), "id3"), tmp_path / "a.flac")
    copy(tmp_path / "a.flac", tmp_path / target)
    if target != "b.aiff":  # there they are in a block that is not read back
        after = tags(tmp_path / target)
        assert after.first("TITLE") == "Gespräch"
        assert after.first("REPLAYGAIN_TRACK_GAIN") == "-3.20 dB"
        assert after.pictures == (COVER,)


def test_a_format_without_tags_says_so(tmp_path: Path) -> None:
    vorbis.attach_flac(make(tmp_path / "plain.flac"), Tags(TEXT, (), "id3"), tmp_path / "a.flac")
    assert copy(tmp_path / "a.flac", tmp_path / "b.au") == [
        "AU keeps no tags: those of the input are not in the output"
    ]


def test_damaged_tags_are_no_reason_to_fail(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp3", format="MP3")
    sound = path.read_bytes()
    rng = np.random.default_rng(3)
    block = id3.build(Tags(TEXT, (COVER,)))
    for _ in range(50):
        broken = bytearray(block)
        for place in rng.integers(10, 300, 10):
            broken[place] = int(rng.integers(256))
        path.write_bytes(bytes(broken) + sound)
        with open_audio(path) as reader:
            assert reader.info.frames == 30_001
    comments = base64.b64encode(b"\0" * 8)
    assert vorbis._parse(b"\xff\xff\xff\x7f" + comments) == []
