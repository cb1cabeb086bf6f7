"""What FFmpeg reads and writes: lengths, films in sync, tracks, and what cannot be taken."""

import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from percepnet.audio import Wishes, create_audio, open_audio
from percepnet.errors import AudioError

av = pytest.importorskip("av", reason="needs percepnet[media]")

RATE_HZ = 48000


def sound(samples: int, seed: int = 0) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    steps = np.repeat(rng.uniform(-0.2, 0.2, samples // 50 + 1), 50)[:samples]
    return np.convolve(steps, np.ones(20) / 20, "same").astype(np.float32)


def film(
    path: Path,
    seconds: float = 3.0,
    *,
    codec: str = "aac",
    video: str | None = "mpeg4",
    tracks: int = 1,
    delay_s: float = 0.0,
) -> npt.NDArray[np.float32]:
    """A film whose sound begins late; returns the sound of its first track."""
    x = sound(round(seconds * RATE_HZ))
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "Gespräch"
        picture = container.add_stream(video, rate=25) if video else None
        if picture:
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        streams = [container.add_stream(codec, rate=RATE_HZ, layout="mono") for _ in range(tracks)]
        for stream in streams:
            stream.codec_context.bit_rate = 96_000
        form = streams[0].codec_context.codec.audio_formats[0].name
        if picture:
            for number in range(round(seconds * 25)):
                image = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number % 250, np.uint8), format="rgb24")
                image.pts, image.time_base = number, Fraction(1, 25)
                container.mux(picture.encode(image))
            container.mux(picture.encode(None))
        for number, stream in enumerate(streams):
            resampler = av.AudioResampler(form, "mono", RATE_HZ)
            size = stream.codec_context.frame_size or 1024
            for start in range(0, len(x), size):
                part = np.ascontiguousarray(x[None, start : start + size] * (1 - 0.5 * number))
                frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = RATE_HZ, None
                for ready in resampler.resample(frame):
                    ready.pts = start + round(delay_s * RATE_HZ)
                    ready.time_base = Fraction(1, RATE_HZ)
                    container.mux(stream.encode(ready))
            container.mux(stream.encode(None))
    return x


def copy(source: Path, target: Path, **options: int | None) -> list[str]:
    with (
        open_audio(source, **options) as reader,  # type: ignore[arg-type]
        create_audio(target, reader.info, original=reader) as writer,
    ):
        for block in reader.blocks():
            writer.write(block)
    return [*reader.notes, *writer.notes]


def decoded(path: Path, **options: object) -> npt.NDArray[np.float32]:
    with open_audio(path, **options) as reader:  # type: ignore[arg-type]
        return np.concatenate(list(reader.blocks()), axis=1)


def starts(path: Path) -> tuple[float, float, int]:
    """When sound and picture begin, and how many pictures there are."""
    with av.open(str(path)) as container:
        sound_s = next(iter(container.decode(audio=0))).time
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    return sound_s, times[0], len(times)


def lag(x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> int:
    size = 1 << (len(x) + len(y)).bit_length()
    both = np.fft.irfft(np.fft.rfft(y, size) * np.conj(np.fft.rfft(x, size)), size)
    place = int(np.argmax(both))
    return place if place < size // 2 else place - size


@pytest.mark.parametrize("name", ["a.m4a", "a.mka", "a.webm", "a.mov", "a.wma", "a.ac3", "a.aac", "a.mp2"])
def test_recordings_keep_their_length_and_line_up(tmp_path: Path, name: str) -> None:
    codec = {".webm": "libopus", ".mka": "flac", ".wma": "wmav2", ".ac3": "ac3", ".mp2": "mp2"}.get(
        Path(name).suffix, "aac"
    )
    film(tmp_path / name, video=None, codec=codec)
    copy(tmp_path / name, tmp_path / f"copy-{name}")
    x, y = decoded(tmp_path / name), decoded(tmp_path / f"copy-{name}")
    priming = {".ac3": 256, ".aac": 1024, ".mp2": 481}.get(Path(name).suffix, 0)  # which these cannot say
    assert abs(y.shape[1] - x.shape[1]) <= 2048
    for at in (10_000, 100_000):
        assert lag(x[0, at : at + 30_000], y[0, at : at + 30_000]) == priming


@pytest.mark.parametrize(("name", "rate_hz"), [("a.amr", 8000), ("a.awb", 16000), ("a.3gp", 8000)])
def test_telephones_recordings_are_read_whole(tmp_path: Path, name: str, rate_hz: int) -> None:
    """Frames of AMR of 20 ms, 12.2 kb/s and for wide band 12.65 kb/s: whatever bits they have, they decode."""
    magic, head, size = (b"#!AMR-WB\n", b"\x14", 32) if name == "a.awb" else (b"#!AMR\n", b"\x3c", 31)
    rng = np.random.default_rng(0)
    plain = tmp_path / ("a.awb" if name == "a.awb" else "a.amr")
    plain.write_bytes(magic + b"".join(head + rng.bytes(size) for _ in range(75)))
    if name == "a.3gp":
        with av.open(str(plain)) as source, av.open(str(tmp_path / name), "w") as target:
            stream = target.add_stream_from_template(source.streams.audio[0])
            for packet in source.demux(audio=0):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
    with open_audio(tmp_path / name) as reader:
        assert (reader.info.sample_rate_hz, reader.info.channels) == (rate_hz, 1)
        assert sum(block.shape[1] for block in reader.blocks()) == round(1.5 * rate_hz)
    if name != "a.awb":
        copy(tmp_path / name, tmp_path / f"copy-{name}")
        assert abs(decoded(tmp_path / f"copy-{name}").shape[1] - round(1.5 * rate_hz)) <= 320


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.avi"])
@pytest.mark.parametrize("delay_s", [0.0, 0.5])
def test_films_keep_their_picture_and_stay_in_sync(tmp_path: Path, name: str, delay_s: float) -> None:
    if name == "a.avi" and delay_s:
        pytest.skip("avi has no times of its own")
    film(tmp_path / name, delay_s=delay_s, codec="libmp3lame" if name == "a.avi" else "aac")
    notes = copy(tmp_path / name, tmp_path / f"copy-{name}")
    assert notes == []
    before, after = starts(tmp_path / name), starts(tmp_path / f"copy-{name}")
    assert after[2] == before[2] == 75
    x, y = decoded(tmp_path / name), decoded(tmp_path / f"copy-{name}")
    moved = round(((after[0] - after[1]) - (before[0] - before[1])) * RATE_HZ)
    for at in (10_000, 100_000):
        assert abs(lag(x[0, at : at + 30_000], y[0, at : at + 30_000]) + moved) <= (48 if name == "a.mkv" else 0)
    with open_audio(tmp_path / f"copy-{name}") as reader:
        assert reader.info.tags.first("TITLE") == "Gespräch"


def test_a_film_becomes_a_recording(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4")
    copy(tmp_path / "a.mp4", tmp_path / "b.wav")
    assert soundfile.info(tmp_path / "b.wav").subtype == "PCM_16"
    assert soundfile.info(tmp_path / "b.wav").frames == decoded(tmp_path / "a.mp4").shape[1]


def test_one_of_several_tracks(tmp_path: Path) -> None:
    film(tmp_path / "a.mkv", tracks=2)
    first, second = decoded(tmp_path / "a.mkv"), decoded(tmp_path / "a.mkv", track=2)
    assert np.abs(second).mean() == pytest.approx(np.abs(first).mean() / 2, rel=0.05)
    with open_audio(tmp_path / "a.mkv") as reader:
        assert any("has 2 audio tracks: the first was taken" in note for note in reader.notes)
    with pytest.raises(AudioError, match="has no audio track 3: it has 2"):
        decoded(tmp_path / "a.mkv", track=3)
    copy(tmp_path / "a.mkv", tmp_path / "b.mkv", track=2)
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert len(container.streams.audio) == 2


def test_what_cannot_be_taken_is_said(tmp_path: Path) -> None:
    film(tmp_path / "a.m4a", video=None)
    whole = (tmp_path / "a.m4a").read_bytes()
    (tmp_path / "cut.m4a").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.m4a").write_text("no audio")
    (tmp_path / "locked.m4a").write_bytes(whole.replace(b"mp4a", b"drms"))
    with av.open(str(tmp_path / "silent.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    for name, words in (
        ("cut.m4a", "its index is missing"),
        ("text.m4a", "not an audio file that can be read"),
        ("locked.m4a", "is encrypted"),
        ("silent.mp4", "has no audio track, only video"),
    ):
        with pytest.raises(AudioError, match=words):
            decoded(tmp_path / name)


@pytest.mark.parametrize("bits", [36, 53, 64])
def test_wav_of_samples_that_libsndfile_does_not_know(tmp_path: Path, bits: int) -> None:
    levels = np.array([0, 1, -1, 2]) << 61
    form = struct.pack("<HHIIHH", 1, 2, 48_000, 48_000 * 16, 16, bits)
    sounds = np.tile(levels, 4000).astype("<i8").tobytes()
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(sounds)) + sounds
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    if bits < 64:  # which FFmpeg does not know either
        with pytest.raises(AudioError, match="of a kind that is not known"):
            decoded(tmp_path / "a.wav")
        return
    with open_audio(tmp_path / "a.wav") as reader:
        x = np.concatenate(list(reader.blocks()), axis=1)
    np.testing.assert_array_equal(x, np.tile(np.float32([[0, -0.25], [0.25, 0.5]]), 4000))
    assert reader.notes == []


def test_codecs_that_a_container_names_by_numbers(tmp_path: Path) -> None:
    x = film(tmp_path / "a.avi", video=None)
    assert abs(decoded(tmp_path / "a.avi").shape[1] - len(x)) <= 3 * 1024


def test_a_codec_that_the_container_does_not_take_is_another_one(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mka"), "w", format="matroska") as container:
        if "pcm_alaw" in container.supported_codecs:
            pytest.skip("this FFmpeg writes A-law into Matroska")
    alaw = sound(RATE_HZ)
    soundfile.write(tmp_path / "a.wav", alaw, RATE_HZ, "ALAW")
    copy(tmp_path / "a.wav", tmp_path / "a.mka")
    assert decoded(tmp_path / "a.mka").shape[1] == RATE_HZ


def test_one_of_several_streams_side_by_side_in_ogg(tmp_path: Path) -> None:
    x = film(tmp_path / "a.ogg", codec="libopus", video=None, tracks=2)
    first, second = (decoded(tmp_path / "a.ogg", track=track)[0] for track in (1, 2))
    count = min(len(first), len(second))
    assert count > 0.9 * len(x)
    assert np.corrcoef(first[:count], second[:count])[0, 1] > 0.9
    assert np.std(second) == pytest.approx(np.std(first) / 2, rel=0.1)
    with open_audio(tmp_path / "a.ogg") as reader:
        list(reader.blocks())
        assert any("has 2 audio tracks" in note for note in reader.notes)
    assert not any("is not written" in note for note in copy(tmp_path / "a.ogg", tmp_path / "b.opus"))
    copy(tmp_path / "a.ogg", tmp_path / "b.ogg")
    assert soundfile.info(tmp_path / "b.ogg").subtype == "OPUS"


def test_truncated_media_is_refused_and_salvaged(tmp_path: Path) -> None:
    x = sound(RATE_HZ * 10)
    with av.open(str(tmp_path / "a.m4a"), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("aac", rate=RATE_HZ, layout="mono")
        for start in range(0, len(x), 1024):
            frame = av.AudioFrame.from_ndarray(x[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE_HZ, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = (tmp_path / "a.m4a").read_bytes()
    (tmp_path / "a.m4a").write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match=r"truncated|damaged"):
        decoded(tmp_path / "a.m4a")
    assert 3 * RATE_HZ < decoded(tmp_path / "a.m4a", salvage=True).shape[1] < 7 * RATE_HZ


def test_bitrate_is_the_input_s_or_the_wanted(tmp_path: Path) -> None:
    film(tmp_path / "a.m4a", 8.0, video=None)
    rates = {}
    for wish in (None, 48_000, 160_000):
        target = tmp_path / f"{wish}.m4a"
        with open_audio(tmp_path / "a.m4a") as reader:
            blocks = list(reader.blocks())
            with create_audio(target, reader.info, wishes=Wishes(bitrate_bps=wish)) as writer:
                for block in blocks:
                    writer.write(block)
        rates[wish] = target.stat().st_size * 8 / 8.0
    assert rates[48_000] < rates[160_000]
    assert rates[None] == pytest.approx((tmp_path / "a.m4a").stat().st_size, rel=0.2)


def test_without_ffmpeg_s_libraries_the_command_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    code = "import sys; sys.modules['av'] = None; from percepnet.cli import main; main()"
    call = [sys.executable, "-c", code, "enhance", "a.m4a", "-o", "b.m4a"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "percepnet: a.m4a: this kind of file needs FFmpeg's libraries: "
        "pip install 'percepnet[media]', or '.[media]' in its repository\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.m4a"]
