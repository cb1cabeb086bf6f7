"""The far end in streams, batches and files: what is given is checked, and what is silent changes nothing."""

import json

import numpy as np
import pytest
import soundfile

import percepnet
from echoes import echo, reduction_db, speech
from models import random_model
from percepnet import native
from percepnet.bulk.far_end import converted, offset_samples
from percepnet.cli import main
from percepnet.errors import AudioError, PercepNetError
from percepnet.reference.stream import Stream as Definition
from voices import RATE_HZ, noise

TALKER, OTHER = "sea_female", "helicopter_male"
MODEL = random_model(1)


def played(enhancer, near, far, chunk):
    """All that comes out, for chunks of a length."""
    starts = range(0, near.shape[-1], chunk)
    parts = [enhancer.process(near[..., i : i + chunk], far[i : i + chunk]) for i in starts]
    return np.concatenate([*parts, enhancer.flush()], axis=-1)


@pytest.mark.parametrize("rate_hz", [16000, 44100, 48000])
@pytest.mark.parametrize("engine", ["core", "numpy"])
def test_a_silent_far_end_changes_no_bit(core, engine, rate_hz):
    near = noise(1, rate_hz // 4, 0.1).astype(np.float32)
    without = percepnet.Enhancer(rate_hz, model=MODEL, engine=engine)
    expected = np.concatenate([without.process(near), without.flush()])
    with percepnet.Enhancer(rate_hz, model=MODEL, engine=engine, far_end=True) as enhancer:
        assert enhancer.inputs == ("near", "far")
        assert enhancer.latency_samples == without.latency_samples
        assert played(enhancer, near, np.zeros_like(near), 1000).tobytes() == expected.tobytes()
        silent = np.concatenate([enhancer.process(near), enhancer.flush()])
        assert silent.tobytes() == expected.tobytes()


@pytest.mark.parametrize("rate_hz", [16000, 48000])
def test_core_is_the_definition(core, rate_hz):
    far = speech(TALKER, 1.5)[: rate_hz * 3 // 2]
    near = np.stack([echo(far, 1), echo(far, 2)]) + noise(2, len(far), 0.01).astype(np.float32)
    expected = Definition(MODEL, rate_hz, 2, far_end=True)
    found = native.Stream(MODEL, rate_hz, 2, far_end=True, exact=True)
    y = np.concatenate([expected.process(near, far[None]), expected.flush()], axis=1)
    z = np.concatenate([found.process(near, far[None]), found.flush()], axis=1)
    assert y.shape == z.shape
    assert np.sqrt(np.mean((y - z) ** 2)) < 1e-3 * np.sqrt(np.mean(y**2))


@pytest.mark.parametrize("rate_hz", [8000, 44100, 48000])
def test_chunks_and_batches_change_no_bit(core, rate_hz):
    far = speech(TALKER, 2.0)[: rate_hz * 2]
    near = np.stack([echo(far, 1, 20), echo(far, 2, 20)])
    expected = played(percepnet.Enhancer(rate_hz, 2, model=MODEL, far_end=True), near, far, len(far))
    for chunk in (333, 4800):
        enhancer = percepnet.Enhancer(rate_hz, 2, model=MODEL, far_end=True)
        assert played(enhancer, near, far, chunk).tobytes() == expected.tobytes()
    batch = percepnet.Batch(MODEL)
    stream, other = batch.add(rate_hz, 2, far_end=True), batch.add(16000)
    parts = []
    for i in range(0, len(far), 441):
        chunks = {stream: near[:, i : i + 441], other: np.zeros(160, np.int16)}
        parts.append(batch.process(chunks, {stream: far[i : i + 441]})[stream])
    assert np.concatenate([*parts, stream.flush()], axis=1).tobytes() == expected.tobytes()
    assert played(stream, near, far, 1024).tobytes() == expected.tobytes()


def test_int16_is_taken_as_floats_are(core):
    far = np.rint(32767 * speech(TALKER, 1.0)).astype(np.int16)
    near = np.rint(32767 * echo(speech(TALKER, 1.0))).astype(np.int16)
    y = played(percepnet.Enhancer(model=MODEL, far_end=True), near, far, 480)
    z = played(percepnet.Enhancer(model=MODEL, far_end=True), near / 32768, far / 32768, 480)
    assert np.abs(y - 32768 * z).max() <= 0.51


def test_the_echo_goes_away_and_bypass_keeps_it(core):
    far = speech(TALKER, 6.0)
    near = echo(far, delay_ms=60)
    enhancer = percepnet.Enhancer(far_end=True)
    late = enhancer.latency_samples
    y = played(enhancer, near, far, 960)[late:]
    plain = percepnet.Enhancer()
    without = np.concatenate([plain.process(near), plain.flush()])[late:]
    assert reduction_db(without, y, 3, 6) > 20
    enhancer.bypass = True
    np.testing.assert_array_equal(played(enhancer, near, far, 960)[late:], near)


def test_what_is_no_far_end_is_one_line(core):
    enhancer = percepnet.Enhancer(model=MODEL, far_end=True)
    x = np.zeros(480, np.float32)
    for far, match in (
        (x[:479], r"a far end of shape \(479,\) for a chunk of 480 samples: give \(480,\)"),
        (np.zeros((2, 480), np.float32), "of several channels, what their loudspeakers play together"),
        (np.zeros(480, np.int16), "give both as int16, or both as floats"),
        (np.full(480, np.nan), "NaN or infinity at 0.000000 s"),
    ):
        with pytest.raises(AudioError, match=match):
            enhancer.process(x, far)
    with pytest.raises(PercepNetError, match="far_end is 1: give True or False"):
        percepnet.Enhancer(model=MODEL, far_end=1)
    np.testing.assert_array_equal(enhancer.process(x, {"far": x}), percepnet.Enhancer(model=MODEL).process(x))
    batch = percepnet.Batch(MODEL)
    stream = batch.add(far_end=True)
    with pytest.raises(PercepNetError, match="of streams that are among the chunks"):
        batch.process({}, {stream: x})


def test_a_far_end_that_is_no_audio_is_silence_where_that_is_wished(core):
    near, far = noise(1, 9600, 0.1).astype(np.float32), np.zeros(9600, np.float32)
    plain = percepnet.Enhancer(model=MODEL)
    expected = np.concatenate([plain.process(near), plain.flush()])
    far[1000:1010] = np.inf
    for engine in ("core", "numpy"):
        enhancer = percepnet.Enhancer(model=MODEL, far_end=True, invalid="silence", engine=engine)
        y = enhancer.process(near, far)
        assert enhancer.refused_hops == 1
        if engine == "core":
            assert np.concatenate([y, enhancer.flush()]).tobytes() == expected.tobytes()


@pytest.mark.parametrize("offset_s", [-2.0, 0.0, 0.25, 3.5])
def test_offsets_of_files_are_found(offset_s):
    far = speech(TALKER, 8.0)
    offset = round(offset_s * RATE_HZ)
    heard = echo(far)
    near = np.concatenate([np.zeros(max(offset, 0), np.float32), heard[max(-offset, 0) :]])
    near = near + noise(4, len(near), 0.003).astype(np.float32)
    assert offset_samples(near, far, RATE_HZ) / RATE_HZ == pytest.approx(offset_s, abs=0.002)
    assert offset_samples(speech(OTHER, 8.0), far, RATE_HZ) is None


@pytest.mark.parametrize(("source_hz", "target_hz"), [(16000, 48000), (48000, 44100), (44100, 16000)])
def test_other_rates_are_not_delayed(source_hz, target_hz):
    seconds = np.arange(source_hz) / source_hz
    x = np.sin(2 * np.pi * 300 * seconds).astype(np.float32)
    y = converted(x, source_hz, target_hz)
    expected = np.sin(2 * np.pi * 300 * np.arange(target_hz) / target_hz)
    assert y.shape == expected.shape
    middle = slice(target_hz // 10, -target_hz // 10)
    np.testing.assert_allclose(y[middle], expected[middle], atol=0.025)


def run(capfd, *arguments):
    """Exit code, and what was printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["percepnet", "enhance", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    return ended.value.code or 0, capfd.readouterr()


@pytest.fixture
def files(tmp_path, core):
    far = speech(TALKER, 5.0)
    near = echo(far)
    for name, x, rate_hz in (
        ("mic", near, 48000),
        ("far", far, 48000),
        ("early", far[RATE_HZ:], 48000),
        ("narrow", np.stack([far[::3]] * 2, axis=1), 16000),
        ("silent", np.zeros_like(far), 48000),
    ):
        soundfile.write(tmp_path / f"{name}.wav", x, rate_hz)
    return tmp_path


def test_enhance_takes_a_far_end(files, capfd):
    out, report = files / "out.wav", files / "report.jsonl"
    code, said = run(capfd, files / "mic.wav", "--far-end", files / "far.wav", "-o", out, "--report", report)
    assert code == 0
    assert "; echo found 0 ms after the far end" in said.out
    assert json.loads(report.read_text())["far_end_offset_s"] == pytest.approx(0, abs=0.002)
    near, _ = soundfile.read(files / "mic.wav")
    y, _ = soundfile.read(out)
    assert y.shape == near.shape
    assert reduction_db(near, y, 3, 5) > 25


@pytest.mark.parametrize(
    ("far", "line", "note"),
    [
        ("early", "echo found 1000 ms after the far end", "far end: 1.00 s shorter, and silent behind its end"),
        ("narrow", "echo found 0 ms after the far end", "converted from 16000 to 48000 Hz"),
        ("narrow", "echo found 0 ms after the far end", "the mean of its 2 channels is taken"),
        ("silent", "no echo of the far end found", "silent, so nothing is cancelled"),
    ],
)
def test_enhance_says_what_it_made_of_a_far_end(files, capfd, far, line, note):
    code, said = run(capfd, files / "mic.wav", "--far-end", files / f"{far}.wav", "-o", files / "out.wav")
    assert code == 0
    assert line in said.out
    assert note in said.err


@pytest.mark.parametrize(
    ("far", "message"),
    [
        ("mic.wav", "is the recording itself: give what the loudspeaker played"),
        ("copy.wav", "is the recording itself: give what the loudspeaker played"),
        ("missing.wav", "no such file"),
        ("text.wav", "not an audio file"),
    ],
)
def test_enhance_refuses_what_is_no_far_end(files, capfd, far, message):
    (files / "copy.wav").write_bytes((files / "mic.wav").read_bytes())
    (files / "text.wav").write_text("no audio")
    before = sorted(files.iterdir())
    code, said = run(capfd, files / "mic.wav", "--far-end", files / far, "-o", files / "out.wav")
    assert code == 2
    assert message in said.err
    assert sorted(files.iterdir()) == before


def test_enhance_refuses_a_far_end_for_more_than_one_recording(files, capfd):
    for inputs in ([files / "mic.wav", files / "far.wav"], [files], ["-"]):
        code, said = run(capfd, *inputs, "--far-end", files / "far.wav", "-o", files / "out")
        assert code == 2
        assert "--far-end goes with one recording" in said.err
    code, said = run(capfd, files / "mic.wav", "--far-end", files / "far.wav", "-o", files / "far.wav", "--overwrite")
    assert code == 2
    assert "is the far end: give another output" in said.err
