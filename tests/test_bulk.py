"""Folders: side by side, resumed after any stop, every output whole and made once."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import identity_system
from percepnet.audio.search import find_audio
from percepnet.bulk import Job
from percepnet.bulk.content import look_into
from percepnet.bulk.ledger import NAME, Ledger
from percepnet.bulk.levels import LevelMeter
from percepnet.bulk.plan import make_plan
from percepnet.errors import PercepNetError
from percepnet.model import save_model

RATE_HZ = 16000
POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and names")


def make(path: Path, samples: int = 1600, channels: int = 1, **kind: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(samples).uniform(-0.5, 0.5, (samples, channels))
    soundfile.write(path, x, RATE_HZ, **kind)
    return path


def command(*arguments: object, **environment: str) -> list[str]:
    return [sys.executable, identity_system.__file__, *map(str, arguments)]


def percepnet(*arguments: object, cwd: Path, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(*arguments), cwd=cwd, capture_output=True, check=False, **options)  # type: ignore[call-overload]


def steps(folder: Path) -> list[dict]:
    lines = []
    for line in (folder / NAME).read_bytes().splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return lines


def test_killed_at_random_moments_every_output_is_whole_and_made_once(tmp_path: Path) -> None:
    for index in range(40):
        make(tmp_path / "in" / f"{index:02}.wav", 1600)
    arguments = command("enhance", "in", "-o", "out", "-j", "2")
    environment = os.environ | {"IDENTITY_PAUSE_S": "0.005"}
    chance = random.Random(1)
    kills = 0
    for _ in range(30):
        process = subprocess.Popen(
            arguments, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        before = len(list((tmp_path / "out").glob("*.wav"))) if (tmp_path / "out").exists() else 0
        wanted = min(40, before + chance.randint(1, 5))
        while process.poll() is None and time.monotonic() < deadline:
            if kills < 10 and (tmp_path / "out").exists() and len(list((tmp_path / "out").glob("*.wav"))) >= wanted:
                time.sleep(chance.random() * 0.05)
                process.kill()
                kills += process.wait() != 0
                break
            time.sleep(0.002)
        if process.wait() == 0:
            break
    assert kills >= 5
    assert process.returncode == 0
    outputs = sorted((tmp_path / "out").glob("*.wav"))
    assert len(outputs) == 40
    assert all(soundfile.info(path).frames == 1600 for path in outputs)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [NAME, *(path.name for path in outputs)]
    done = [step["output"] for step in steps(tmp_path / "out") if step["event"] == "done"]
    assert sorted(done) == [path.name for path in outputs]


def test_a_second_run_does_what_changed(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        make(tmp_path / "in" / f"{name}.wav")
    assert percepnet("enhance", "in", "-o", "out", cwd=tmp_path).returncode == 0
    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.wav")}
    make(tmp_path / "in" / "b.wav", 3200)
    make(tmp_path / "in" / "d.wav")
    again = percepnet("enhance", "in", "-o", "out", cwd=tmp_path)
    assert again.returncode == 0
    assert b"2 of 4 files done before" in again.stderr
    now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.wav")}
    assert {name for name in now if now[name] != made.get(name)} == {"b.wav", "d.wav"}
    assert soundfile.info(tmp_path / "out" / "b.wav").frames == 3200
    gentler = percepnet("enhance", "in", "-o", "out", "--attenuation-limit", "6", cwd=tmp_path)
    assert gentler.returncode == 0
    assert b"done before" not in gentler.stderr


def test_what_another_program_wrote_is_not_replaced(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make(tmp_path / "in" / f"{name}.wav")
    make(tmp_path / "out" / "b.wav", 10)
    refused = percepnet("enhance", "in", "-o", "out", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert b"b.wav: exists" in refused.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.wav"]
    skipped = percepnet("enhance", "in", "-o", "out", "--skip-existing", cwd=tmp_path)
    assert skipped.returncode == 0
    assert b"1 file skipped, as they exist: out/b.wav" in skipped.stderr
    assert soundfile.info(tmp_path / "out" / "b.wav").frames == 10


def test_two_runs_into_one_folder_do_not_mix(tmp_path: Path) -> None:
    make(tmp_path / "in" / "a.wav")
    with Ledger(tmp_path, {}), pytest.raises(PercepNetError, match="another run writes there"):
        Ledger(tmp_path, {})


def test_an_output_that_took_its_name_before_the_end_is_known(tmp_path: Path) -> None:
    job = Job(make(tmp_path / "a.wav"), tmp_path / "b.wav")
    with Ledger(tmp_path, {}) as ledger:
        ledger.begin(job)
        make(job.target, 10)
    with Ledger(tmp_path, {}) as ledger:
        assert ledger.is_done(job)
    assert [step["event"] for step in steps(tmp_path)].count("done") == 1
    with Ledger(tmp_path, {"other": 1}) as ledger:
        assert not ledger.is_done(job)
        assert ledger.is_ours(job)
    (tmp_path / NAME).open("ab").write(b'{"event": "do')
    with Ledger(tmp_path, {}) as ledger:
        assert ledger.is_done(job)
        make(job.target, 11)  # somebody changed it
        assert not ledger.is_ours(job)


def test_what_was_there_before_a_killed_overwrite_is_no_result(tmp_path: Path) -> None:
    job = Job(make(tmp_path / "a.wav"), make(tmp_path / "b.wav", 10))
    with Ledger(tmp_path, {}) as ledger:
        ledger.begin(job)
    with Ledger(tmp_path, {}) as ledger:
        assert not ledger.is_done(job)


@POSIX
def test_names_that_are_not_utf8_and_consoles_that_are_not(tmp_path: Path) -> None:
    make(tmp_path / "n" / "a.wav")
    names = [b"b\xff.wav", "ü.wav".encode()]
    for name in names:
        (tmp_path / "n" / "a.wav").rename(tmp_path / "n" / "x.wav")
        content = (tmp_path / "n" / "x.wav").read_bytes()
        Path(os.fsdecode(bytes(tmp_path / "n") + b"/" + name)).write_bytes(content)
        (tmp_path / "n" / "x.wav").rename(tmp_path / "n" / "a.wav")
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    for extra in ([], ["--json", "--overwrite"]):
        done = percepnet("enhance", "n", "-o", "out", *extra, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
    assert sorted(os.listdir(bytes(tmp_path / "out"))) == sorted([NAME.encode(), b"a.wav", *names])


@POSIX
def test_sigterm_leaves_nothing_half_written(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        make(tmp_path / "in" / f"{name}.wav", 160_000)
    environment = os.environ | {"IDENTITY_PAUSE_S": "0.02"}
    process = subprocess.Popen(
        command("enhance", "in", "-o", "out", "-j", "2"), cwd=tmp_path, env=environment, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob(".*.part")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err == b"percepnet: terminated\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == [NAME]


def test_dry_run_does_nothing(tmp_path: Path) -> None:
    make(tmp_path / "in" / "a.wav")
    (tmp_path / "in" / "notes.txt").touch()
    done = percepnet("enhance", "in", "-o", "out", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0
    assert b"in/a.wav -> out/a.wav" in done.stdout
    assert b"1 file not taken, as no audio: in/notes.txt" in done.stderr
    assert not (tmp_path / "out").exists()


def test_report_has_a_line_a_file(tmp_path: Path) -> None:
    make(tmp_path / "in" / "a.wav")
    (tmp_path / "in" / "b.wav").write_text("no audio")
    done = percepnet("enhance", "in", "-o", "out", "--report", "r.jsonl", cwd=tmp_path)
    assert done.returncode == 1
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert sorted(Path(line["input"]).name for line in lines) == ["a.wav", "b.wav"]
    assert next(line for line in lines if "error" in line)["error"].startswith("in/b.wav: not an audio file")


def test_json_tells_failures_too(tmp_path: Path) -> None:
    done = percepnet("enhance", "missing.wav", "-o", "b.wav", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["failures"] == [{"input": None, "error": "missing.wav: no such file"}]


# Plans.


def test_without_an_output_results_are_beside(tmp_path: Path) -> None:
    first, second = make(tmp_path / "a.wav"), make(tmp_path / "b.flac")
    assert make_plan([first], None).jobs == [Job(first, tmp_path / "a.enhanced.wav")]
    earlier = make(tmp_path / "a.enhanced.wav")
    plan = make_plan([first, earlier, second], None)
    assert [job.target.name for job in plan.jobs] == ["a.enhanced.wav", "b.enhanced.flac"]
    assert plan.notes == [f"{earlier}: is an earlier result, and was not taken"]
    make(tmp_path / "in" / "c.wav")
    (job,) = make_plan([tmp_path / "in"], None).jobs
    assert job.target == tmp_path / "in.enhanced" / "c.wav"


def test_several_inputs_need_a_folder(tmp_path: Path) -> None:
    files = [make(tmp_path / "a.wav"), make(tmp_path / "b.wav")]
    with pytest.raises(PercepNetError, match=r"foo\.wav: is the name of one file, and there are 2 inputs"):
        make_plan(files, str(tmp_path / "foo.wav"))


def test_format_renames_and_keeps_names_apart(tmp_path: Path) -> None:
    for name in ("a.wav", "a.mp3", "b.awb"):
        make(tmp_path / "in" / name, format="MP3" if name.endswith("mp3") else "WAV")
    targets = {job.target.name for job in make_plan([tmp_path / "in"], "out", suffix=".flac").jobs}
    assert targets == {"a.wav.flac", "a.mp3.flac", "b.flac"}
    targets = {job.target.name for job in make_plan([tmp_path / "in"], "out").jobs}
    assert targets == {"a.wav", "a.mp3", "b.wav"}  # .awb is read, and not written


def test_search_leaves_out_what_is_hidden_and_what_is_no_audio(tmp_path: Path) -> None:
    for name in ("a.wav", "deep/b.M4A", ".hidden/c.wav", ".d.wav", "deep/e.txt", "out/f.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_audio(tmp_path, without=tmp_path / "out")
    assert [str(path.relative_to(tmp_path)) for path in found.audio] == ["a.wav", "deep/b.M4A"]
    assert [path.name for path in found.others] == ["e.txt"]


# What a recording is.


def voice(seconds: float, seed: int, rate_hz: int = RATE_HZ) -> np.ndarray:
    """Bursts of gliding harmonics with pauses, as speech has them."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    pitch = np.cumsum(130 + 60 * np.sin(2 * np.pi * (0.6 + 0.1 * seed) * time_s + seed)) / rate_hz
    x = sum(np.sin(2 * np.pi * k * pitch + k * seed) / k for k in range(1, 15))
    gate = np.repeat(rng.random(round(seconds * 2) + 1) > 0.5, rate_hz // 2)[: len(time_s)]
    return (0.1 * x * gate + 1e-4 * rng.standard_normal(len(time_s))).astype(np.float32)


def test_a_microphone_a_channel_is_told_from_an_image() -> None:
    left, right = voice(20, 1), voice(20, 2)
    rng = np.random.default_rng(0)
    noise = (0.003 * rng.standard_normal((2, len(left)))).astype(np.float32)
    leak = np.stack((left + 0.15 * np.roll(right, 40), right + 0.15 * np.roll(left, 40)))
    panned = np.stack((0.9 * left + 0.6 * right, 0.5 * left + 0.9 * right))
    decay = rng.standard_normal((2, RATE_HZ // 2)) * np.exp(-np.arange(RATE_HZ // 2) / (0.06 * RATE_HZ))
    room = np.stack([np.convolve(left, response, "full")[: len(left)] for response in decay]) * 0.1
    cases = {
        "two microphones in a room": (room + noise, False),
        "microphones": (np.stack((left, right)) + noise, True),
        "microphones that hear each other": (leak + noise, True),
        "mono twice": (np.stack((left, left)) + 0.1 * noise, False),
        "panned": (panned + noise, False),
        "two microphones apart": (np.stack((left, 0.8 * np.roll(left, 12))) + noise, False),
    }
    for name, (x, independent) in cases.items():
        excerpts = np.split(x.astype(np.float32), 10, axis=1)
        assert look_into(excerpts, RATE_HZ).independent is independent, name


def test_music_is_told_from_speech() -> None:
    rate_hz = 44100
    rng = np.random.default_rng(5)
    notes = [220 * 2 ** (step / 12) for step in (0, 3, 7, 10, 12, 7, 5, 3)]
    time_s = np.arange(rate_hz // 2) / rate_hz
    chords = [
        sum(np.sin(2 * np.pi * note * ratio * k * time_s) / k for ratio in (1, 1.25, 1.5) for k in range(1, 6))
        * np.exp(-1.5 * time_s)
        for note in notes * 3
    ]
    music = 0.05 * np.concatenate(chords).astype(np.float32)[None]
    assert look_into([music], rate_hz).music
    hum = (0.1 * np.sin(2 * np.pi * 100 * np.arange(10 * rate_hz) / rate_hz)).astype(np.float32)[None]
    hiss = (0.1 * rng.standard_normal((1, 10 * rate_hz))).astype(np.float32)
    for other in (voice(10, 1, rate_hz)[None], hum, hiss, hiss * 0.1 + hum):
        assert not look_into([other], rate_hz).music


def test_levels_are_of_all_and_of_the_pauses() -> None:
    meter = LevelMeter(RATE_HZ)
    x = 0.1 * np.sqrt(2) * np.sin(np.arange(RATE_HZ * 8) * 0.3)
    x[: RATE_HZ * 4] *= 0.01
    for block in np.split(x.astype(np.float32)[None], 100, axis=1):
        meter.add(block)
    assert meter.level_dbfs == pytest.approx(-23.0, abs=0.1)
    assert meter.pauses_dbfs == pytest.approx(-60, abs=1)


# Pipes.


def pipe(data: bytes, *arguments: str, cwd: Path, model: Path) -> subprocess.CompletedProcess[bytes]:
    call = [sys.executable, "-m", "percepnet", "enhance", "-", "--model", str(model), *arguments]
    return subprocess.run(call, cwd=cwd, input=data, capture_output=True, check=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    save_model(identity_system.random_model(), path)
    return path


def test_raw_samples_through_a_pipe_are_what_a_file_gives(tmp_path: Path, model: Path) -> None:
    source = make(tmp_path / "a.wav", 16_001, 2, subtype="PCM_16")
    x, _ = soundfile.read(source, dtype="int16")
    raw = pipe(
        x.tobytes(), "-o", "-", "--raw", "s16le", "--rate", "16000", "--channels", "2", cwd=tmp_path, model=model
    )
    assert (raw.returncode, raw.stderr) == (0, b"")
    call = [sys.executable, "-m", "percepnet", "enhance", "a.wav", "-o", "b.wav", "--linked", "--model", str(model)]
    subprocess.run(call, cwd=tmp_path, check=True, capture_output=True)
    expected, _ = soundfile.read(tmp_path / "b.wav", dtype="int16")
    np.testing.assert_array_equal(np.frombuffer(raw.stdout, np.int16).reshape(-1, 2), expected)
    wav = pipe(source.read_bytes(), "-o", "-", cwd=tmp_path, model=model)
    y, _ = soundfile.read(io.BytesIO(wav.stdout), dtype="int16")
    np.testing.assert_array_equal(y, expected)
    assert not (tmp_path / "-").exists()


def test_a_pipe_of_another_format_goes_through_a_file(tmp_path: Path, model: Path) -> None:
    source = make(tmp_path / "a.flac", 16_000)
    done = pipe(source.read_bytes(), "-o", "-", "--format", "flac", cwd=tmp_path, model=model)
    assert done.returncode == 0
    assert soundfile.info(io.BytesIO(done.stdout)).format == "FLAC"
    assert soundfile.info(io.BytesIO(done.stdout)).frames == 16_000


def test_what_goes_wrong_in_a_pipe_is_one_line(tmp_path: Path, model: Path) -> None:
    for data, arguments, words in (
        (b"", ["-o", "-"], b"standard input: is empty"),
        (b"x" * 99, ["-o", "-", "--raw", "s16le"], b"--raw needs --rate"),
        (b"x" * 99, ["-o", "-", "--raw", "mp3", "--rate", "8000"], b"--raw mp3: give one of"),
        (b"x" * 99, ["-o", "-", "--raw", "s16le", "--rate", "99"], b"its sample rate is 99 Hz"),
        (b"x" * 99, ["-o", "-", "--json"], b"is a pipe"),
    ):
        done = pipe(data, *arguments, cwd=tmp_path, model=model)
        assert done.returncode == 2
        assert words in done.stderr
        assert done.stderr.count(b"\n") == 1
    odd = pipe(b"\0" * 33, "-o", "-", "--raw", "s16le", "--rate", "8000", cwd=tmp_path, model=model)
    assert odd.returncode == 0
    assert len(odd.stdout) == 32
    assert b"ended within a sample" in odd.stderr


@POSIX
def test_a_pipe_gives_back_while_it_takes(tmp_path: Path, model: Path) -> None:
    call = [sys.executable, "-m", "percepnet", "enhance", "-", "-o", "-", "--raw", "s16le", "--rate", "48000"]
    process = subprocess.Popen([*call, "--model", str(model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    process.stdin.write(bytes(2 * 480 * 20))  # 200 ms; 30 ms of them are the delay
    process.stdin.flush()
    assert len(process.stdout.read(2 * 480 * 17)) == 2 * 480 * 17  # while the input is still open
    process.stdin.close()
    assert len(process.stdout.read()) == 2 * 480 * 3
    assert process.wait(30) == 0
