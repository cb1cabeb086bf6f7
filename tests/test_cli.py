import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

import identity_system
import percepnet
import percepnet.cli
from command_line import Outcome, Run
from percepnet.bulk.ledger import NAME as LEDGER
from percepnet.engine import VARIABLE
from percepnet.model import save_model

IDENTITY = [sys.executable, identity_system.__file__]


@pytest.fixture
def identity(command: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    identity_system.install(monkeypatch)
    return command


def make(path: Path, samples: int = 20_001, rate_hz: int = 16000, channels: int = 1, **kind: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(samples).uniform(-0.5, 0.5, (samples, channels))
    soundfile.write(path, x, rate_hz, **kind)
    return path


def read(path: Path) -> npt.NDArray[np.float32]:
    x: npt.NDArray[np.float32] = soundfile.read(path, dtype="float32", always_2d=True)[0]
    return x


def names(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != LEDGER)
    return sorted(str(path.relative_to(folder)) for path in files)


def refused(outcome: Outcome, *words: str) -> None:
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("percepnet: ")
    assert outcome.err.count("\n") == 1
    for word in words:
        assert word in outcome.err


# One file.


@pytest.mark.parametrize("samples", [1, 479, 50_001])
def test_file_comes_out_with_everything_but_the_noise(tmp_path: Path, identity: Run, samples: int) -> None:
    source = make(tmp_path / "a.wav", samples, 48000, 2, subtype="PCM_24")
    outcome = identity("enhance", source, "-o", tmp_path / "b.wav")
    assert outcome.code == 0
    assert outcome.err == ""
    assert outcome.out.startswith(f"{tmp_path / 'b.wav'}: {samples / 48000:.2f} s in ")
    assert "real-time factor" in outcome.out
    assert "delay 30.0 ms" in outcome.out
    assert soundfile.info(tmp_path / "b.wav").subtype == "PCM_24"
    np.testing.assert_array_equal(read(tmp_path / "b.wav"), read(source))


def test_other_rates_and_formats(tmp_path: Path, identity: Run) -> None:
    for name, rate_hz, channels in [("a.flac", 44100, 1), ("a.ogg", 8000, 2), ("a.mp3", 22050, 1), ("a.wav", 96000, 3)]:
        source = make(tmp_path / name, rate_hz // 3, rate_hz, channels)
        target = tmp_path / f"out-{name}"
        assert identity("enhance", source, "-o", target).code == 0
        before, after = soundfile.info(source), soundfile.info(target)
        for field in ("frames", "samplerate", "channels", "format", "subtype"):
            assert getattr(after, field) == getattr(before, field)


def test_json_is_all_there_is(tmp_path: Path, identity: Run) -> None:
    source = make(tmp_path / "a.wav")
    outcome = identity("enhance", source, "-o", tmp_path / "b.wav", "--json")
    assert outcome.code == 0
    assert outcome.err == ""
    report = json.loads(outcome.out)
    assert report["failures"] == []
    (result,) = report["results"]
    assert result["input"] == str(source)
    assert result["output"] == str(tmp_path / "b.wav")
    assert result["plot"] is None
    assert (result["sample_rate_hz"], result["channels"], result["samples"]) == (16000, 1, 20_001)
    assert result["latency_ms"] == pytest.approx(1000 * 694 / 16000)
    assert result["real_time_factor"] == pytest.approx(result["processing_s"] / result["duration_s"])


def test_plot_is_written_beside(tmp_path: Path, identity: Run) -> None:
    pytest.importorskip("matplotlib")
    make(tmp_path / "a.wav")
    assert identity("enhance", tmp_path / "a.wav", "-o", tmp_path / "b.wav", "--plot").code == 0
    assert names(tmp_path) == ["a.wav", "b.png", "b.wav"]
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")
    refused(identity("enhance", tmp_path / "a.wav", "-o", tmp_path / "b.flac", "--plot"), "b.png: exists")


def test_plot_without_matplotlib_is_refused_first(
    tmp_path: Path, identity: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    make(tmp_path / "a.wav")
    outcome = identity("enhance", tmp_path / "a.wav", "-o", tmp_path / "b.wav", "--plot")
    refused(outcome, "pip install percepnet[plot]")
    assert names(tmp_path) == ["a.wav"]


# Folders and several files.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make(tmp_path / "in" / "a.wav")
    make(tmp_path / "in" / "deep" / "er" / "b.flac")
    make(tmp_path / "in" / "deep" / "c.OGG", format="OGG")
    (tmp_path / "in" / "notes.txt").write_text("no audio")
    make(tmp_path / "in" / ".hidden" / "d.wav")
    return tmp_path


def test_folder_keeps_its_relative_paths(folder: Path, identity: Run) -> None:
    outcome = identity("enhance", folder / "in", "-o", folder / "out")
    assert outcome.code == 0
    assert names(folder / "out") == ["a.wav", "deep/c.OGG", "deep/er/b.flac"]
    assert outcome.out.count("\n") == 3


def test_several_files_go_into_a_folder(folder: Path, identity: Run) -> None:
    files = [folder / "in" / "a.wav", folder / "in" / "deep" / "er" / "b.flac"]
    assert identity("enhance", *files, "-o", folder / "out").code == 0
    assert names(folder / "out") == ["a.wav", "b.flac"]
    (folder / "one").mkdir()
    assert identity("enhance", files[0], "-o", folder / "one").code == 0
    assert identity("enhance", files[0], "-o", f"{folder / 'two'}/").code == 0
    assert names(folder / "one") == names(folder / "two") == ["a.wav"]


def test_bad_files_in_a_folder_do_not_stop_the_others(folder: Path, identity: Run) -> None:
    (folder / "in" / "bad.wav").write_text("text")
    os.truncate(make(folder / "in" / "cut.wav"), 30_000)
    outcome = identity("enhance", folder / "in", "-o", folder / "out", "--json")
    assert outcome.code == 1
    lines = outcome.err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("percepnet: ") for line in lines)
    assert any("bad.wav: not an audio file" in line for line in lines)
    assert any("cut.wav: truncated" in line for line in lines)
    assert "2 of 5 files could not be enhanced" in lines[2]
    assert names(folder / "out") == ["a.wav", "deep/c.OGG", "deep/er/b.flac"]
    report = json.loads(outcome.out)
    assert sorted(Path(failure["input"]).name for failure in report["failures"]) == ["bad.wav", "cut.wav"]
    assert [Path(name).name for name in report["not_taken"]] == ["notes.txt"]
    assert len(report["results"]) == 3


def test_output_folder_inside_the_input_folder_is_no_input(folder: Path, identity: Run) -> None:
    for _ in range(2):
        assert identity("enhance", folder / "in", "-o", folder / "in" / "out", "--overwrite").code == 0
    assert names(folder / "in" / "out") == ["a.wav", "deep/c.OGG", "deep/er/b.flac"]


def test_colliding_outputs_are_refused_before_anything_runs(folder: Path, identity: Run) -> None:
    make(folder / "other" / "a.wav")
    outcome = identity("enhance", folder / "in" / "a.wav", folder / "other" / "a.wav", "-o", folder / "out")
    refused(outcome, "would both be written to", str(folder / "out" / "a.wav"))
    assert not (folder / "out").exists()
    pytest.importorskip("matplotlib")
    make(folder / "two" / "x.wav")
    make(folder / "two" / "x.flac")
    assert identity("enhance", folder / "two", "-o", folder / "out").code == 0
    refused(identity("enhance", folder / "two", "-o", folder / "out2", "--plot"), "x.png")


def test_folder_without_audio_is_refused(tmp_path: Path, identity: Run) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").touch()
    refused(identity("enhance", tmp_path / "in", "-o", tmp_path / "out"), "no audio file in this folder")


def test_folder_onto_a_file_is_refused(folder: Path, identity: Run) -> None:
    make(folder / "b.wav")
    refused(identity("enhance", folder / "in", "-o", folder / "b.wav", "--overwrite"), "is a file", "need a folder")


# Nothing is lost.


def test_output_is_never_an_input(tmp_path: Path, identity: Run) -> None:
    source = make(tmp_path / "a.wav")
    content = source.read_bytes()
    (tmp_path / "soft.wav").symlink_to(source)
    os.link(source, tmp_path / "hard.wav")
    (tmp_path / "again").symlink_to(tmp_path)
    for target in ["a.wav", "soft.wav", "hard.wav", "again/a.wav", f"../{tmp_path.name}/a.wav", "again"]:
        outcome = identity("enhance", source, "-o", tmp_path / target, "--overwrite")
        refused(outcome, "is an input too")
        assert source.read_bytes() == content
    refused(identity("enhance", tmp_path / "soft.wav", "-o", source, "--overwrite"), "is an input too")
    make(tmp_path / "in" / "a.wav")
    refused(identity("enhance", tmp_path / "in", "-o", tmp_path / "in", "--overwrite"), "is an input too")


def test_existing_output_is_kept_unless_told(tmp_path: Path, identity: Run) -> None:
    source, target = make(tmp_path / "a.wav"), make(tmp_path / "b.wav", 10)
    content = target.read_bytes()
    refused(identity("enhance", source, "-o", target), "b.wav: exists", "--overwrite")
    assert target.read_bytes() == content
    os.truncate(source, 30_000)
    refused(identity("enhance", source, "-o", target, "--overwrite"), "a.wav: truncated")
    assert target.read_bytes() == content
    make(source)
    assert identity("enhance", source, "-o", target, "--overwrite").code == 0
    assert soundfile.info(target).frames == 20_001


def test_output_that_is_no_file_is_refused(tmp_path: Path, identity: Run) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    outcome = identity("enhance", make(tmp_path / "a.wav"), "-o", tmp_path / "pipe.wav", "--overwrite")
    refused(outcome, "exists and is not a file")


# Bad input.


def test_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path, identity: Run) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    (tmp_path / "text.mp3").write_text("no audio")
    make(tmp_path / "none.wav", 0)
    make(tmp_path / "slow.wav", 10, 4000)
    make(tmp_path / "ok.wav", 10, 44100)
    for name in ("cut.wav", "cut.flac", "cut.ogg", "cut.opus", "cut.mp3"):
        kind = {"format": "OGG", "subtype": "OPUS"} if name == "cut.opus" else {}
        os.truncate(make(tmp_path / name, **kind), 4000)
    x = np.zeros(20_000, np.float32)
    x[10_000] = np.nan
    soundfile.write(tmp_path / "nan.wav", x, 16000, subtype="FLOAT")
    before = names(tmp_path)
    for name, output, word in [
        ("missing.wav", "o.wav", "missing.wav: no such file"),
        ("text.wav", "o.wav", "not an audio file"),
        ("text.mp3", "o.mp3", "not an audio file"),
        ("none.wav", "o.wav", "holds no samples"),
        ("slow.wav", "o.wav", "4000 Hz"),
        ("cut.wav", "o.wav", "truncated"),
        ("cut.flac", "o.flac", "truncated"),
        ("cut.ogg", "o.ogg", "truncated"),
        ("cut.opus", "o.opus", "truncated"),
        ("cut.mp3", "o.mp3", "truncated"),
        ("nan.wav", "o.wav", "NaN or infinity at 0.625000 s"),
        ("ok.wav", "missing/o.wav", "cannot be written"),
        ("ok.wav", "o.opus", "cannot hold"),
        ("ok.wav", "o.m4x", "no format has this suffix"),
    ]:
        refused(identity("enhance", tmp_path / name, "-o", tmp_path / output), word)
        assert names(tmp_path) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission_is_refused(tmp_path: Path, identity: Run) -> None:
    source = make(tmp_path / "a.wav")
    (tmp_path / "locked").mkdir(mode=0o555)
    refused(identity("enhance", source, "-o", tmp_path / "locked" / "b.wav"), "Permission denied")
    refused(identity("enhance", source, "-o", f"{tmp_path / 'locked' / 'deeper'}/"), "cannot be created")


def test_bad_model_is_one_line(tmp_path: Path, command: Run) -> None:
    source = make(tmp_path / "a.wav")
    (tmp_path / "m.safetensors").write_bytes(b"\x00" * 100)
    for model in (tmp_path / "m.safetensors", tmp_path / "missing.safetensors", "unknown"):
        refused(command("enhance", source, "-o", tmp_path / "b.wav", "--model", model), "model")
    assert names(tmp_path) == ["a.wav", "m.safetensors"]


def test_usage(tmp_path: Path, identity: Run) -> None:
    source = make(tmp_path / "a.wav")
    for wrong in (
        ["enhance"],
        ["enhance", source, "--loud"],
        ["enhance", source, "--attenuation-limit", "-3"],
        ["sing"],
    ):
        outcome = identity(*wrong)
        assert outcome.code == 2
        assert outcome.out == ""
    assert identity("--version") == (0, f"{percepnet.__version__}\n", "")
    for words in (["--help"], ["enhance", "--help"], ["-h"], ["enhance", "-h"]):
        outcome = identity(*words)
        assert outcome.code == 0
        assert "enhance" in outcome.out


@pytest.mark.skipif(os.name == "nt", reason="POSIX resource limits")
def test_full_disk_leaves_nothing(tmp_path: Path) -> None:
    make(tmp_path / "a.wav", 100_000)
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    code = f"{limited}; import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, identity_system.__file__, "enhance", "a.wav", "-o", "b.wav"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    refused(Outcome(done.returncode, done.stdout, done.stderr), "b.wav: cannot be written")
    assert names(tmp_path) == ["a.wav"]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A slow run in a process of its own, which has begun to write over an output that exists."""
    make(tmp_path / "a.wav", 160_000)
    (tmp_path / "b.wav").write_text("what was there")
    process = subprocess.Popen(
        [*IDENTITY, "enhance", "a.wav", "-o", "b.wav", "--overwrite"],
        cwd=tmp_path,
        env=os.environ | {"IDENTITY_PAUSE_S": "0.02"},
        # a job in the background of a shell ignores the signal, and so would its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size > 1000 for path in tmp_path.glob(".percepnet-*.part")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield process
    process.kill()
    process.wait()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_interrupt_leaves_no_half_written_file(tmp_path: Path, running: subprocess.Popen[str]) -> None:
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert out == ""
    assert err == "percepnet: interrupted\n"
    assert names(tmp_path) == ["a.wav", "b.wav"]
    assert (tmp_path / "b.wav").read_text() == "what was there"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    peaks_kb = []
    code = (
        "import re, runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print(re.search(r'VmHWM:\\s*(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    for seconds in (10, 200):
        make(tmp_path / f"{seconds}.wav", 48000 * seconds, 48000)  # 200 s are 38 MB as float32
        command = [sys.executable, "-c", code, identity_system.__file__]
        arguments = ["enhance", f"{seconds}.wav", "-o", f"out{seconds}.wav"]
        done = subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        peaks_kb.append(int(done.stdout.split()[-1]))
    assert peaks_kb[1] - peaks_kb[0] < 10_000


# The real signal path, with random weights.


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_model(identity_system.random_model(), tmp_path / "random.safetensors")
    return tmp_path / "random.safetensors"


def test_real_system_is_what_enhance_computes(tmp_path: Path, command: Run, model: Path) -> None:
    source = make(tmp_path / "a.wav", 16_000, 16000, 2, subtype="FLOAT")
    settings = ["--attenuation-limit", 20, "--no-comb-filter", "--post-filter", "--unlinked"]
    assert command("enhance", source, "-o", tmp_path / "b.wav", "--model", model, *settings).code == 0
    expected = percepnet.enhance(
        read(source).T,
        16000,
        model=model,
        attenuation_limit_db=20,
        comb_filter=False,
        post_filter=True,
        link_channels=False,
    )
    np.testing.assert_array_equal(read(tmp_path / "b.wav").T, expected)


def test_real_system_keeps_digital_silence(tmp_path: Path, command: Run, model: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros((10_000, 2)), 44100)
    assert command("enhance", tmp_path / "a.flac", "-o", tmp_path / "b.wav", "--model", model).code == 0
    np.testing.assert_array_equal(read(tmp_path / "b.wav"), np.zeros((10_000, 2)))


def test_real_system_runs_as_a_module(tmp_path: Path, model: Path) -> None:
    make(tmp_path / "a.wav", 1)
    command = [sys.executable, "-m", "percepnet", "enhance", "a.wav", "-o", "b.wav", "--model", str(model)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert soundfile.info(tmp_path / "b.wav").frames == 1


def test_a_missing_core_is_one_line_of_warning(tmp_path: Path) -> None:
    make(tmp_path / "a.wav")
    save_model(identity_system.random_model(), tmp_path / "random.safetensors")
    code = "from pathlib import Path; from percepnet import native_library; native_library.LIBRARY = Path('nowhere')"
    code += "; from percepnet.cli import main; main()"
    command = [sys.executable, "-c", code, "enhance", "a.wav", "-o", "b.wav", "--model", "random.safetensors"]
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.startswith("percepnet: warning: percepnet runs on NumPy, many times slower: nowhere: not built;")
    assert done.stderr.count("\n") == 1
