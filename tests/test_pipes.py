"""Standard input and output: WAV as it comes, cut short, and what options make of it."""

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

import identity_system
from percepnet.audio import riff
from percepnet.audio.tags.riff import chunk_bytes, read_wav
from percepnet.bulk.pipe import RAWS

RATE_HZ = 16000
SAMPLES = 4000


def enhance(*arguments: object, given: bytes, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    call = [sys.executable, identity_system.__file__, "enhance", *map(str, arguments)]
    return subprocess.run(call, cwd=cwd, input=given, capture_output=True, check=False, timeout=120)


def wav(channels: int = 1) -> bytes:
    file = io.BytesIO()
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (SAMPLES, channels))
    soundfile.write(file, x, RATE_HZ, format="WAV", subtype="PCM_16")
    return file.getvalue()


def taken(output: bytes, width: int) -> int:
    """Frames behind the header of a WAV that was written as it came."""
    return (len(output) - output.index(b"data") - 8) // width


@pytest.mark.parametrize("output", ["-", "out.wav"])
def test_what_is_cut_short_is_refused(tmp_path: Path, output: str) -> None:
    done = enhance("-", "-o", output, given=wav()[:-1000], cwd=tmp_path)
    assert done.returncode == 2
    message = b"standard input: truncated: its header promises 8000 bytes, and only 7000 came"
    assert message in b" ".join(done.stderr.split())
    assert not (tmp_path / "out.wav").exists()
    assert enhance("-", "-o", output, given=wav(), cwd=tmp_path).returncode == 0


def test_salvage_takes_what_came(tmp_path: Path) -> None:
    done = enhance("-", "-o", "out.wav", "--salvage", given=wav()[:-1000], cwd=tmp_path)
    assert done.returncode == 0
    assert b"truncated" in done.stderr
    assert soundfile.info(tmp_path / "out.wav").frames == SAMPLES - 500


@pytest.mark.parametrize(("bits", "width"), [("8", 1), ("24", 3), ("float", 4)])
def test_bits_of_a_pipe(tmp_path: Path, bits: str, width: int) -> None:
    done = enhance("-", "-o", "-", "--bits", bits, given=wav(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    place = done.stdout.index(b"fmt ") + 8
    assert int.from_bytes(done.stdout[place + 14 : place + 16], "little") == 8 * width
    assert taken(done.stdout, width) == SAMPLES


def test_options_that_a_pipe_has_no_use_for_are_refused(tmp_path: Path) -> None:
    done = enhance("-", "-o", "-", "--bitrate", "64k", given=wav(), cwd=tmp_path)
    assert (done.returncode, b"--bitrate is of lossy formats" in done.stderr) == (2, True)
    raw = ("--raw", "s16le", "--rate", RATE_HZ)
    done = enhance("-", "-o", "-", *raw, "--bits", "24", given=bytes(960), cwd=tmp_path)
    assert (done.returncode, b"leave --bits out, or add --format wav" in done.stderr) == (2, True)


def with_chunks(
    before: Sequence[tuple[bytes, bytes]], behind: Sequence[tuple[bytes, bytes]] = (), mask: int = 0x3F
) -> bytes:
    """Six channels, with chunks on both sides of the sound."""
    sound = np.zeros((SAMPLES, 6), "<i2").tobytes()
    form = riff.format_content(riff.PCM, 6, RATE_HZ, 2, channel_mask=0x3F)
    chunks = [(b"fmt ", form), *before, (b"data", sound), *behind]
    content = b"WAVE" + b"".join(chunk_bytes(*chunk) for chunk in chunks)
    return b"RIFF" + len(content).to_bytes(4, "little") + content


TITLE = (b"LIST", b"INFO" + chunk_bytes(b"INAM", b"Rain\0"))
ORIGIN = (b"bext", bytes(range(200)) + bytes(402))


@pytest.mark.parametrize("output", ["-", "out.wav"])
def test_what_comes_before_the_sound_is_kept(tmp_path: Path, output: str) -> None:
    done = enhance("-", "-o", output, given=with_chunks([TITLE, ORIGIN]), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    file = io.BytesIO(done.stdout) if output == "-" else io.BytesIO((tmp_path / output).read_bytes())
    layout = riff.read_layout(file)
    assert layout is not None
    tags = read_wav(file, layout)
    assert tags.first("TITLE") == "Rain"
    assert dict(tags.raw)["bext"] == ORIGIN[1]
    assert layout.channel_mask == 0x3F
    assert layout.data_end - layout.data_start == 12 * SAMPLES
    assert b"behind its sound" not in done.stderr


def test_what_comes_behind_the_sound_is_named(tmp_path: Path) -> None:
    done = enhance("-", "-o", "out.wav", given=with_chunks([], [TITLE]), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"26 bytes behind its sound" in b" ".join(done.stderr.split())


def test_a_mono_output_has_no_loudspeakers(tmp_path: Path) -> None:
    done = enhance("-", "-o", "-", "--mono", given=with_chunks([]), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    layout = riff.read_layout(io.BytesIO(done.stdout))
    assert layout is not None
    assert (layout.channels, layout.channel_mask) == (1, None)


def test_errors_name_the_input(tmp_path: Path) -> None:
    done = enhance("-", "-o", "out.wav", given=b"fLaC" + os.urandom(2000), cwd=tmp_path)
    assert done.returncode == 2
    assert b"standard input: " in done.stderr
    assert b"percepnet-" not in done.stderr


def test_dither_is_added_where_it_is_asked_for() -> None:
    y = np.full((1, 100), 0.25 / 2**7, np.float32)
    assert len(set(RAWS["u8"].to_bytes(y))) == 1
    assert len(set(RAWS["u8"].to_bytes(y, np.random.default_rng(0)))) > 1
