"""Headers that are not true, and files that were joined: the length is what decodes, and everything mended is said."""

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from percepnet.audio import AudioInfo, Wishes, create_audio, mpeg, ogg, open_audio, riff
from percepnet.errors import AudioError

RATE_HZ = 48000


def signal(samples: int, channels: int = 1, seed: int = 0) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    tone = np.sin(np.arange(samples) * 0.05 * (1 + seed))[:, None] * (0.2 + 0.1 * np.arange(channels))
    return (tone + rng.uniform(-0.05, 0.05, (samples, channels))).astype(np.float32)


def make(
    path: Path, samples: int = 48_000, *, channels: int = 1, seed: int = 0, rate_hz: int = RATE_HZ, **kind
) -> Path:
    soundfile.write(path, signal(samples, channels, seed), rate_hz, **kind)
    return path


def decoded(path: Path, **options: object) -> tuple[npt.NDArray[np.float32], list[str]]:
    with open_audio(path, **options) as reader:  # type: ignore[arg-type]
        x = np.concatenate(list(reader.blocks()), axis=1)
        assert x.shape[1] == reader.info.frames
        return x, reader.notes


def mp3(path: Path, seed: int = 0, samples: int = 48_000, **kind: object) -> tuple[bytes, bytes]:
    """An mp3 file of variable bitrate: the frame that describes it, and its sound."""
    make(path, samples, seed=seed, format="MP3", bitrate_mode="VARIABLE", **kind)
    content = path.read_bytes()
    header = mpeg.read_header(content)
    assert header is not None
    assert b"Xing" in content[:60] or b"Info" in content[:60]
    return content[: header.frame_bytes], content[header.frame_bytes :]


def frames_of(content: bytes) -> int:
    count = at = 0
    while at + 4 <= len(content) and (header := mpeg.read_header(content[at : at + 4])):
        count, at = count + 1, at + header.frame_bytes
    return count


@pytest.mark.parametrize(("channels", "mask"), [(4, 0x107), (6, 0x60F), (4, 0), (2, 0x603)])
def test_channels_stay_those_of_their_loudspeakers(tmp_path: Path, channels: int, mask: int) -> None:
    path = make(tmp_path / "a.wav", 4800, channels=channels, format="WAVEX", subtype="PCM_24")
    riff.set_channel_mask(path, mask)
    with open_audio(path) as reader, create_audio(tmp_path / "b.wav", reader.info, original=reader) as writer:
        for block in reader.blocks():
            writer.write(block)
    for name in ("a.wav", "b.wav"):
        with (tmp_path / name).open("rb") as file:
            layout = riff.read_layout(file)
        assert layout is not None
        assert layout.channel_mask == mask
    assert np.array_equal(decoded(path)[0], decoded(tmp_path / "b.wav")[0])


def test_a_second_chunk_of_sound_is_said(tmp_path: Path) -> None:
    path = make(tmp_path / "a.wav", 480)
    content = path.read_bytes()
    path.write_bytes(content + content[content.index(b"data") :])
    x, notes = decoded(path)
    assert x.shape == (1, 480)
    assert any("second chunk of sound" in note for note in notes)


def test_another_codec_than_the_input_s_is_said(tmp_path: Path) -> None:
    make(tmp_path / "a.wav", 4000, format="WAV", subtype="IMA_ADPCM")
    with open_audio(tmp_path / "a.wav") as reader, create_audio(tmp_path / "b.wav", reader.info, original=reader) as b:
        for block in reader.blocks():
            b.write(block)
    assert b.notes == ["IMA_ADPCM is not written in WAV: the output has PCM_16"]


def test_mp3_without_a_header_of_its_length(tmp_path: Path) -> None:
    _, sound = mp3(tmp_path / "a.mp3")
    (tmp_path / "a.mp3").write_bytes(sound)
    x, notes = decoded(tmp_path / "a.mp3")
    assert x.shape == (1, 1152 * frames_of(sound))
    assert notes == []


def crc(data: bytes, bits: int, polynomial: int) -> int:
    value = 0
    for byte in data:
        value ^= byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ polynomial if value >> bits - 1 else value << 1) & (1 << bits) - 1
    return value


def flac_of(samples: np.ndarray, bits: int, rate_hz: int = 48_000) -> bytes:
    """A mono FLAC file of one block whose samples stand as they are (RFC 9639: a verbatim subframe)."""
    size = len(samples)
    form = rate_hz << 44 | (bits - 1) << 36 | size
    info = 2 * size.to_bytes(2, "big") + bytes(6) + form.to_bytes(8, "big") + bytes(16)
    head = b"\xff\xf8\x70\x00\x00" + (size - 1).to_bytes(2, "big")  # the sample's size as STREAMINFO says
    head += bytes([crc(head, 8, 0x07)])
    values = "".join(format(int(value) & (1 << bits) - 1, f"0{bits}b") for value in samples)
    values += "0" * (-len(values) % 8)
    frame = head + b"\x02" + int(values, 2).to_bytes(len(values) // 8, "big")
    return b"fLaC\x80\x00\x00\x22" + info + frame + crc(frame, 16, 0x8005).to_bytes(2, "big")


@pytest.mark.parametrize(("bits", "subtype"), [(12, "PCM_16"), (16, "PCM_16"), (20, "PCM_24"), (24, "PCM_24")])
def test_flac_of_any_sample_size(tmp_path: Path, bits: int, subtype: str) -> None:
    if bits not in (16, 24):
        pytest.importorskip("av")
    x = signal(4800)[:, 0]
    samples = np.round(x * (1 << bits - 1)).astype(np.int64)
    (tmp_path / "a.flac").write_bytes(flac_of(samples, bits))
    found, notes = decoded(tmp_path / "a.flac")
    np.testing.assert_array_equal(found[0], (samples / (1 << bits - 1)).astype(np.float32))
    assert notes == []
    with open_audio(tmp_path / "a.flac") as reader:
        assert (reader.info.format, reader.info.subtype, reader.info.frames) == ("FLAC", subtype, 4800)


def test_joined_mp3_of_one_channel_and_two_is_refused(tmp_path: Path) -> None:
    one, two = (tmp_path / f"{channels}.mp3" for channels in (1, 2))
    (_, mono), (_, stereo) = mp3(one), mp3(two, channels=2)
    (tmp_path / "j.mp3").write_bytes(mono + stereo)
    with pytest.raises(AudioError, match=r"joined from recordings of 48000 Hz, 1 .* and 48000 Hz, 2 .*take it apart"):
        decoded(tmp_path / "j.mp3")


@pytest.mark.parametrize("padding", [0, 1, 528, 529, 530])
def test_mp3_that_was_padded_less_than_its_decoder_is_late(tmp_path: Path, padding: int) -> None:
    header, sound = mp3(tmp_path / "a.mp3")
    delays = header.index(b"LAME") + 21
    told = int.from_bytes(header[delays : delays + 3], "big") & ~0xFFF | padding
    (tmp_path / "a.mp3").write_bytes(header[:delays] + told.to_bytes(3, "big") + header[delays + 3 :] + sound)
    x, notes = decoded(tmp_path / "a.mp3")
    assert x.shape == (1, 1152 * frames_of(sound) - (told >> 12) - max(padding, 529))
    assert notes == []


@pytest.mark.parametrize("kind", [b"Xing", b"Info", b"VBRI"])
def test_mp3_whose_header_says_nothing_of_delays(tmp_path: Path, kind: bytes) -> None:
    header, sound = mp3(tmp_path / "a.mp3")
    frames = frames_of(sound)
    if kind == b"VBRI":
        told = bytes(32) + kind + bytes((0, 1, 0, 0, 0, 0)) + (len(header) + len(sound)).to_bytes(4, "big")
    else:
        told = bytes(17) + kind + (1).to_bytes(4, "big")
    told += frames.to_bytes(4, "big")
    (tmp_path / "a.mp3").write_bytes(header[:4] + told.ljust(len(header) - 4, b"\0") + sound)
    x, notes = decoded(tmp_path / "a.mp3")
    assert x.shape == (1, 1152 * frames)
    assert notes == []
    (tmp_path / "b.mp3").write_bytes(sound)
    np.testing.assert_array_equal(x, decoded(tmp_path / "b.mp3")[0])


def test_joined_mp3_has_the_length_of_both(tmp_path: Path) -> None:
    parts = [make(tmp_path / f"{seed}.mp3", 40_000 + seed, seed=seed, format="MP3") for seed in (0, 1)]
    tag = b"ID3\x04\x00\x00\x00\x00\x00\x10" + bytes(16)
    (tmp_path / "j.mp3").write_bytes(parts[0].read_bytes() + tag + parts[1].read_bytes())
    x, notes = decoded(tmp_path / "j.mp3")
    assert x.shape == (1, 80_001)
    assert any("joined from 2 recordings" in note for note in notes)
    alone = [decoded(part)[0] for part in parts]
    np.testing.assert_array_equal(x, np.concatenate(alone, axis=1))


def test_joined_mp3_of_two_rates_is_refused(tmp_path: Path) -> None:
    first, second = (make(tmp_path / f"{hz}.mp3", rate_hz=hz, format="MP3") for hz in (48000, 44100))
    (tmp_path / "j.mp3").write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(AudioError, match=r"joined from recordings of 48000 Hz, .* and 44100 Hz"):
        decoded(tmp_path / "j.mp3")


def test_truncated_mp3_is_refused_and_salvaged(tmp_path: Path) -> None:
    header, sound = mp3(tmp_path / "a.mp3")
    (tmp_path / "a.mp3").write_bytes(header + sound[: len(sound) // 2])
    with pytest.raises(AudioError, match=r"truncated: 0\.\d\d s are missing"):
        decoded(tmp_path / "a.mp3")
    x, notes = decoded(tmp_path / "a.mp3", salvage=True)
    assert 20_000 < x.shape[1] < 28_000
    assert any("what is there was taken" in note for note in notes)


def test_half_a_frame_at_the_end_is_said(tmp_path: Path) -> None:
    _, sound = mp3(tmp_path / "a.mp3")
    (tmp_path / "a.mp3").write_bytes(sound[:-5])
    x, notes = decoded(tmp_path / "a.mp3")
    assert x.shape == (1, 1152 * (frames_of(sound) - 1))
    assert any("last frame is incomplete (5 bytes are missing)" in note for note in notes)


def test_junk_between_frames_is_left_out_and_said(tmp_path: Path) -> None:
    _, sound = mp3(tmp_path / "a.mp3")
    at = 0
    for _ in range(20):
        header = mpeg.read_header(sound[at : at + 4])
        assert header
        at += header.frame_bytes
    (tmp_path / "a.mp3").write_bytes(sound[:at] + bytes(1000) + sound[at:])
    x, notes = decoded(tmp_path / "a.mp3")
    assert x.shape == (1, 1152 * frames_of(sound))
    assert any("1000 bytes between its frames" in note for note in notes)


def test_mp3_in_a_wav(tmp_path: Path) -> None:
    _, sound = mp3(tmp_path / "a.mp3")
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE_HZ, 16000, 1, 0, 12, 1, 2, 384, 1, 1393)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(sound)) + sound
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    x, _ = decoded(tmp_path / "a.wav")
    assert x.shape == (1, 1152 * frames_of(sound))


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_chained_ogg_has_the_length_of_all(tmp_path: Path, subtype: str) -> None:
    links = [make(tmp_path / f"{s}.ogg", 48_000 + s, seed=s, format="OGG", subtype=subtype) for s in range(3)]
    (tmp_path / "c.ogg").write_bytes(b"".join(link.read_bytes() for link in links))
    x, notes = decoded(tmp_path / "c.ogg")
    assert x.shape == (1, 144_003)
    assert any("chained from 3 recordings" in note for note in notes)
    np.testing.assert_array_equal(x, np.concatenate([decoded(link)[0] for link in links], axis=1))


def test_chained_ogg_of_two_forms_is_refused(tmp_path: Path) -> None:
    links = [make(tmp_path / f"{c}.ogg", channels=c, format="OGG") for c in (1, 2)]
    (tmp_path / "c.ogg").write_bytes(b"".join(link.read_bytes() for link in links))
    with pytest.raises(AudioError, match=r"chained from recordings of 48000 Hz, 1 channel\(s\) and 48000 Hz, 2"):
        decoded(tmp_path / "c.ogg")


def test_ogg_without_its_last_page_is_taken_and_said(tmp_path: Path) -> None:
    content = make(tmp_path / "a.ogg", 480_000, format="OGG").read_bytes()
    last = list(ogg.pages(content))[-1]
    (tmp_path / "a.ogg").write_bytes(content[: last.start])
    x, notes = decoded(tmp_path / "a.ogg")
    assert 400_000 < x.shape[1] < 480_000
    assert any("its end is not marked" in note for note in notes)


WAV_FAULTS = {
    "recorder crashed": (0, 48_000, "no sound"),
    "size of the file": (96_044, 48_000, "44 bytes too many"),
    "size of RIFF": (96_036, 48_000, "36 bytes too many"),
    "size not renewed": (48_000, 48_000, "leaves out the last 48000 bytes"),
}


@pytest.mark.parametrize(("said", "expected", "note"), WAV_FAULTS.values(), ids=WAV_FAULTS.keys())
def test_wav_with_an_untrue_size(tmp_path: Path, said: int, expected: int, note: str) -> None:
    path = make(tmp_path / "a.wav", subtype="PCM_16")
    whole, _ = decoded(path)
    content = bytearray(path.read_bytes())
    assert len(content) == 96_044
    content[40:44] = struct.pack("<I", said)
    path.write_bytes(content)
    x, notes = decoded(path)
    assert x.shape == (1, expected)
    np.testing.assert_array_equal(x, whole)
    assert any(note in text for text in notes)


def test_crashed_wav_that_begins_with_silence(tmp_path: Path) -> None:
    x = np.concatenate((np.zeros(1000), signal(1000)[:, 0]))
    soundfile.write(tmp_path / "a.wav", x, RATE_HZ, subtype="PCM_16")
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[40:44] = bytes(4)
    (tmp_path / "a.wav").write_bytes(content)
    assert decoded(tmp_path / "a.wav")[0].shape == (1, 2000)


def test_truncated_wav_is_refused_and_salvaged(tmp_path: Path) -> None:
    path = make(tmp_path / "a.wav", subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:50_001])
    with pytest.raises(AudioError, match="promises 96000 bytes, and only 49957 are there"):
        decoded(path)
    x, notes = decoded(path, salvage=True)
    assert x.shape == (1, 24_978)
    assert any("what is there was taken" in note for note in notes)


def test_chunks_and_padding_after_the_sound_are_no_sound(tmp_path: Path) -> None:
    content = make(tmp_path / "a.wav", 1000, subtype="PCM_16").read_bytes()
    tails = {"chunk": b"LIST" + struct.pack("<I", 4) + b"INFO", "zeros": bytes(400), "id3v1": b"TAG" + bytes(125)}
    for name, tail in tails.items():
        path = tmp_path / f"{name}.wav"
        path.write_bytes(content + tail)
        assert decoded(path)[0].shape == (1, 1000), name


def test_absurd_headers_are_refused_at_once(tmp_path: Path) -> None:
    content = bytearray(make(tmp_path / "a.wav", subtype="PCM_16").read_bytes())
    many, fast = bytearray(content), bytearray(content)
    many[22:24], many[32:34] = struct.pack("<H", 60_000), struct.pack("<H", 60_000)
    many[34:36] = struct.pack("<H", 8)
    fast[24:28] = struct.pack("<I", 4_000_000_000)
    for name, made, words in (("many", many, "has 60000 channels"), ("fast", fast, "sample rate is 4000000000 Hz")):
        (tmp_path / f"{name}.wav").write_bytes(made)
        with pytest.raises(AudioError, match=words):
            decoded(tmp_path / f"{name}.wav")


def test_an_output_that_cannot_fit_is_refused_first(tmp_path: Path) -> None:
    source = AudioInfo(192_000, 1024, 10**12, "RF64", "PCM_16")
    with pytest.raises(AudioError, match=r"GB, and only .* GB are free"), create_audio(tmp_path / "a.w64", source):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32"])
def test_integers_are_rounded(tmp_path: Path, subtype: str) -> None:
    steps = {"PCM_U8": 7, "PCM_16": 15, "PCM_24": 23, "PCM_32": 31}[subtype]
    y = np.array([[0.6, -0.6, 1.4, -1.4, 0.4, -0.4]], np.float32) / np.float32(2**steps)
    with create_audio(tmp_path / "a.wav", AudioInfo(RATE_HZ, 1, 6, "WAV", subtype)) as writer:
        writer.write(y)
    x, _ = soundfile.read(tmp_path / "a.wav", dtype="float64")
    np.testing.assert_array_equal(x * 2**steps, [1, -1, 1, -1, 0, 0])


def test_dither_is_even_and_leaves_silence_alone(tmp_path: Path) -> None:
    y = np.full((1, 40_000), 0.3 / 32768, np.float32)
    y[0, :1000] = 0
    info = AudioInfo(RATE_HZ, 1, y.shape[1], "WAV", "PCM_16")
    with create_audio(tmp_path / "a.wav", info, wishes=Wishes(dither=True)) as writer:
        writer.write(y)
    x, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert not x[:1000].any()
    assert x[1000:].mean() == pytest.approx(0.3, abs=0.02)  # undithered it would be 0
    assert set(np.unique(x)) <= {-1, 0, 1}


@pytest.mark.parametrize("kbps", [320, 128, 64])
def test_mp3_keeps_its_bitrate(tmp_path: Path, kbps: int) -> None:
    level = (320 - kbps) / (320 - 32)
    source = make(tmp_path / "a.mp3", 96_000, format="MP3", bitrate_mode="CONSTANT", compression_level=level)
    with open_audio(source) as reader, create_audio(tmp_path / "b.mp3", reader.info) as writer:
        for block in reader.blocks():
            writer.write(block)
    with open_audio(tmp_path / "b.mp3") as again:
        assert again.info.bitrate_bps == pytest.approx(kbps * 1000, rel=0.02)
    with create_audio(tmp_path / "c.mp3", reader.info, wishes=Wishes(bitrate_bps=96_000)) as writer:
        writer.write(signal(96_000).T)
    with open_audio(tmp_path / "c.mp3") as again:
        assert again.info.bitrate_bps == pytest.approx(96_000, rel=0.02)


def test_mono_and_bits(tmp_path: Path) -> None:
    info = AudioInfo(RATE_HZ, 2, 100, "WAV", "PCM_16")
    y = np.stack((np.full(100, 0.5), np.full(100, 0.25))).astype(np.float32)
    with create_audio(tmp_path / "a.wav", info, wishes=Wishes(mono=True, bits="24")) as writer:
        writer.write(y)
    assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_24"
    x, _ = soundfile.read(tmp_path / "a.wav", always_2d=True)
    np.testing.assert_array_equal(x, np.full((100, 1), 0.375))
    with pytest.raises(AudioError, match="FLAC has no samples of float bits"):
        create_audio(tmp_path / "a.flac", info, wishes=Wishes(bits="float")).__enter__()


def test_mp3_of_a_low_bitrate_says_its_delays(tmp_path: Path) -> None:
    info = AudioInfo(22_050, 1, 20_001, "MP3", "MPEG_LAYER_III")
    with create_audio(tmp_path / "a.mp3", info, wishes=Wishes(bitrate_bps=32_000)) as writer:
        writer.write(signal(20_001).T)
    x, _ = soundfile.read(tmp_path / "a.mp3", dtype="float32")
    assert len(x) == 20_001
    assert np.corrcoef(x[2000:18_000], signal(20_001)[2000:18_000, 0])[0, 1] > 0.9  # and it lines up
