import os
import shutil
import stat
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from percepnet.audio import AudioInfo, create_audio, open_audio, output_format, replacing
from percepnet.errors import AudioError

LOSSLESS = [
    ("a.wav", "WAV", "PCM_16"),
    ("a.wav", "WAV", "PCM_24"),
    ("a.wav", "WAV", "PCM_U8"),
    ("a.wav", "WAV", "FLOAT"),
    ("a.wav", "WAV", "ULAW"),
    ("a.wav", "WAVEX", "PCM_24"),
    ("a.wav", "RF64", "PCM_16"),
    ("a.flac", "FLAC", "PCM_16"),
    ("a.flac", "FLAC", "PCM_24"),
    ("a.aiff", "AIFF", "PCM_16"),
    ("a.au", "AU", "PCM_16"),
    ("a.caf", "CAF", "PCM_16"),
    ("a.w64", "W64", "PCM_16"),
]
LOSSY = [("a.ogg", "OGG", "VORBIS"), ("a.opus", "OGG", "OPUS"), ("a.mp3", "MP3", "MPEG_LAYER_III")]


def make(path: Path, samples: int = 30_001, rate_hz: int = 48000, channels: int = 1, **kind: str) -> Path:
    x = np.random.default_rng(samples).uniform(-0.5, 0.5, (samples, channels))
    soundfile.write(path, x, rate_hz, **kind)
    return path


def copy(source: Path, target: Path, seconds: float = 1) -> AudioInfo:
    with open_audio(source) as reader, create_audio(target, reader.info) as writer:
        for block in reader.blocks(seconds):
            writer.write(block)
    return reader.info


def read(path: Path) -> npt.NDArray[np.float32]:
    x: npt.NDArray[np.float32] = soundfile.read(path, dtype="float32", always_2d=True)[0]
    return x


@pytest.mark.parametrize(("name", "container", "subtype"), LOSSLESS)
def test_lossless_copy_is_the_same_to_the_bit(tmp_path: Path, name: str, container: str, subtype: str) -> None:
    source = make(tmp_path / name, channels=2, format=container, subtype=subtype)
    target = tmp_path / f"copy-{name}"
    info = copy(source, target, 0.0208)
    assert info == AudioInfo(48000, 2, 30_001, container, subtype)
    written = soundfile.info(target)
    assert (written.format, written.subtype, written.samplerate) == (container, subtype, 48000)
    np.testing.assert_array_equal(read(target), read(source))


@pytest.mark.parametrize(("name", "container", "subtype"), LOSSY)
@pytest.mark.parametrize("samples", [1, 1000, 30_001])
@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_lossy_copy_keeps_kind_and_length(
    tmp_path: Path, name: str, container: str, subtype: str, samples: int, rate_hz: int
) -> None:
    source = make(tmp_path / name, samples, rate_hz, format=container, subtype=subtype)
    target = tmp_path / f"copy-{name}"
    copy(source, target)
    written = soundfile.info(target)
    assert (written.format, written.subtype, written.samplerate) == (container, subtype, rate_hz)
    assert written.frames == samples
    assert len(read(target)) == samples


def test_block_coded_subtype_becomes_pcm_of_the_same_length(tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", format="WAV", subtype="IMA_ADPCM")
    copy(source, tmp_path / "b.wav")
    assert soundfile.info(tmp_path / "b.wav").subtype == "PCM_16"
    np.testing.assert_array_equal(read(tmp_path / "b.wav"), read(source))


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        (("WAV", "PCM_24"), "b.flac", ("FLAC", "PCM_24")),
        (("WAV", "FLOAT"), "b.flac", ("FLAC", "PCM_24")),
        (("WAV", "PCM_U8"), "b.flac", ("FLAC", "PCM_16")),
        (("FLAC", "PCM_24"), "B.WAV", ("WAV", "PCM_24")),
        (("WAV", "PCM_16"), "b.ogg", ("OGG", "VORBIS")),
        (("WAV", "PCM_16"), "b.opus", ("OGG", "OPUS")),
        (("OGG", "OPUS"), "b.ogg", ("OGG", "OPUS")),
        (("OGG", "VORBIS"), "b.opus", ("OGG", "OPUS")),
        (("OGG", "VORBIS"), "b.mp3", ("MP3", "MPEG_LAYER_III")),
        (("MP3", "MPEG_LAYER_III"), "b.wav", ("WAV", "PCM_16")),
        (("WAVEX", "PCM_24"), "b", ("WAVEX", "PCM_24")),
        (("FLAC", "PCM_16"), "b.unknown", ("FLAC", "PCM_16")),
    ],
)
def test_suffix_decides_the_format(source: tuple[str, str], name: str, expected: tuple[str, str]) -> None:
    assert output_format(Path(name), AudioInfo(48000, 1, 100, *source)) == expected


def test_wav_beyond_4_gib_becomes_rf64() -> None:
    assert output_format(Path("b.wav"), AudioInfo(48000, 2, 2**30, "FLAC", "PCM_16")) == ("RF64", "PCM_16")


def test_formats_that_cannot_hold_it_are_named(tmp_path: Path) -> None:
    cases = [("b.opus", 44100, 1), ("b.mp3", 96000, 1), ("b.mp3", 48000, 3), ("b.flac", 48000, 9)]
    for name, rate_hz, channels in cases:
        source = AudioInfo(rate_hz, channels, 100, "WAV", "PCM_16")
        message = rf"{name}: .* cannot hold {channels} channel\(s\) at {rate_hz} Hz: give the output another suffix"
        with pytest.raises(AudioError, match=message), create_audio(tmp_path / name, source):
            pass
    with pytest.raises(AudioError, match="NIST cannot be written"):
        output_format(Path("b"), AudioInfo(48000, 1, 100, "NIST", "PCM_16"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "container", "subtype"), LOSSLESS + LOSSY)
@pytest.mark.parametrize("missing", [300, 0.3])
def test_truncation_is_noticed(tmp_path: Path, name: str, container: str, subtype: str, missing: float) -> None:
    path = make(tmp_path / name, format=container, subtype=subtype)
    size = path.stat().st_size
    os.truncate(path, int(size - (missing if missing > 1 else missing * size)))
    with pytest.raises(AudioError, match=rf"{name}: .*(truncated|damaged)"), open_audio(path) as reader:
        list(reader.blocks())


@pytest.mark.parametrize("size", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x00\xf0\xff\x7f"])
def test_length_that_a_pipe_left_unknown_is_no_truncation(tmp_path: Path, size: bytes) -> None:
    path = make(tmp_path / "a.wav", 1000, format="WAV", subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[40:44] = size
    path.write_bytes(content)
    with open_audio(path) as reader:
        assert sum(block.shape[1] for block in reader.blocks()) == 1000


def test_flac_without_a_length_is_read_to_its_end(tmp_path: Path) -> None:
    path = make(tmp_path / "a.flac", 30_001, format="FLAC", subtype="PCM_16")
    expected = read(path)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36 bits of STREAMINFO that count samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    with open_audio(path) as reader:
        assert reader.info.frames == 30_001
        np.testing.assert_array_equal(np.concatenate(list(reader.blocks()), axis=1).T, expected)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_placed(tmp_path: Path, value: float) -> None:
    x = np.zeros((100_000, 2), np.float32)
    x[60_000, 1] = value
    soundfile.write(tmp_path / "a.wav", x, 48000, subtype="FLOAT")
    with (
        pytest.raises(AudioError, match=r"a\.wav: NaN or infinity at 1\.250000 s: cut or repair"),
        open_audio(tmp_path / "a.wav") as reader,
    ):
        list(reader.blocks())


def test_what_is_no_audio_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not audio at all" * 100)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "stub.ogg").write_bytes(b"OggS")
    (tmp_path / "stub.mp3").write_bytes(b"ID3\x04")
    make(tmp_path / "none.wav", 0)
    make(tmp_path / "slow.wav", 10, 7999)
    make(tmp_path / "fast.wav", 10, 192001)
    for name, message in [
        ("missing.wav", "no such file"),
        (".", "is not a file"),
        ("text.wav", "not an audio file that can be read"),
        ("empty.wav", "not an audio file that can be read"),
        ("stub.ogg", "truncated"),
        ("stub.mp3", "truncated"),
        ("none.wav", "holds no samples"),
        ("slow.wav", "its sample rate is 7999 Hz; 8000 to 192000 Hz can be used"),
        ("fast.wav", "its sample rate is 192001 Hz"),
    ]:
        with pytest.raises(AudioError, match=message) as caught, open_audio(tmp_path / name):
            pass
        assert "\n" not in str(caught.value)
        assert str(tmp_path) in str(caught.value)


def test_id3_tag_before_an_mp3_is_skipped(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp3", format="MP3", subtype="MPEG_LAYER_III")
    tag = b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256)
    path.write_bytes(tag + path.read_bytes())
    with open_audio(path) as reader:
        assert sum(block.shape[1] for block in reader.blocks()) == 30_001


def test_output_appears_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "b.wav"
    target.write_text("what was there")
    source = AudioInfo(48000, 1, 100, "WAV", "PCM_16")

    def half(interruption: type[BaseException]) -> None:
        with create_audio(target, source) as writer:
            writer.write(np.zeros((1, 50), np.float32))
            raise interruption

    for interruption in (KeyboardInterrupt, AudioError):
        with pytest.raises(interruption):
            half(interruption)
        assert [path.name for path in tmp_path.iterdir()] == ["b.wav"]
        assert target.read_text() == "what was there"
    with create_audio(target, source) as writer:
        writer.write(np.zeros((1, 50), np.float32))
        assert target.read_text() == "what was there"
    assert [path.name for path in tmp_path.iterdir()] == ["b.wav"]
    assert soundfile.info(target).frames == 50


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_output_has_the_usual_permissions(tmp_path: Path) -> None:
    with replacing(tmp_path / "new") as temporary:
        temporary.write_text("x")
    (tmp_path / "usual").touch()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)


def test_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    with replacing(tmp_path / "link") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_text() == "x"


def test_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    message = r"missing/b: cannot be written \(No such file or directory\)"
    with pytest.raises(AudioError, match=message), replacing(tmp_path / "missing" / "b"):
        pass


def test_clipped_not_wrapped(tmp_path: Path) -> None:
    source = AudioInfo(48000, 1, 4, "WAV", "PCM_16")
    with create_audio(tmp_path / "b.wav", source) as writer:
        writer.write(np.array([[2.0, -2.0, 1.0, 0.5]], np.float32))
    x, _ = soundfile.read(tmp_path / "b.wav", dtype="int16")
    assert x.tolist() == [32767, -32768, 32767, 16384]


def test_names_that_are_not_ascii(tmp_path: Path) -> None:
    source = make(tmp_path / "Gespräch 語.flac", format="FLAC", subtype="PCM_16")
    shutil.copy(source, tmp_path / "b.flac")
    copy(source, tmp_path / "ö.flac")
    np.testing.assert_array_equal(read(tmp_path / "ö.flac"), read(source))
