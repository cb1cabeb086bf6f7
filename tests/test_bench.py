import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import percepnet.cli
from models import random_model
from percepnet.bench import measure, report, run
from percepnet.bench.measure import (
    SETTLE_FRAMES,
    best_seconds,
    memory_bytes,
    reading,
    start_up_ms,
    summary,
    take_turns,
    weight_bytes,
)
from percepnet.bench.report import MARKER, check_report, save_plot, save_report, to_markdown
from percepnet.errors import PercepNetError
from percepnet.model import save_model
from percepnet.systems.register import SYSTEMS, Register
from percepnet.systems.system import LiveSystem, SystemMissing
from percepnet.systems.system import System as Entry


def busy(us):
    def process(hop):
        end = time.thread_time_ns() + 1000 * us
        while time.thread_time_ns() < end:
            pass

    return process


@pytest.fixture(scope="module")
def document():
    return run.measure(random_model(), None, seconds=0.2, baselines=["absent"])


@pytest.fixture(scope="module", autouse=True)
def absent():
    """A baseline that is not installed; and no patience, as figures do not matter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "STREAMS_LIMIT_S", 0.0)
        patch.setattr(run, "FILE_LIMIT_S", 0.0)

        def start(_model):
            raise ModuleNotFoundError("No module named 'absent_package'")

        patch.setitem(SYSTEMS, "absent", Entry("Absent", start, "absent_package", live=start))
        yield


def test_cpu_time_is_what_a_frame_works_and_not_what_it_waits():
    systems = [LiveSystem("work", busy(2000)), LiveSystem("wait", lambda hop: time.sleep(0.003))]
    times = take_turns(systems, 8, paced=False)
    assert times["work"].cpu_us.min() >= 2000
    assert times["work"].cpu_us.min() < 4000
    assert np.median(times["wait"].cpu_us) < 1000
    assert times["wait"].wall_us.min() >= 3000


def test_paced_frames_come_every_10_ms():
    came = []
    take_turns([LiveSystem("clock", lambda hop: came.append(time.perf_counter()))], 30, paced=True)
    assert len(came) == 30 + SETTLE_FRAMES
    assert came[-1] - came[0] == pytest.approx(0.01 * (len(came) - 1), rel=0.2)


def test_a_system_has_its_sound_in_its_own_form_before_its_time_is_taken():
    heard = []
    take_turns([LiveSystem("loud", heard.append, lambda hop: 32768 * hop)], 4, paced=False)
    assert 3000 < np.abs(heard).max() <= 3276.8


def test_systems_take_turns_and_the_start_of_a_turn_is_not_counted(monkeypatch):
    monkeypatch.setattr(measure, "TURN_FRAMES", 5)
    order, told = [], []
    systems = [LiveSystem(name, lambda hop, name=name: order.append(name)) for name in "ab"]
    times = take_turns(systems, 12, paced=False, tick=told.append)
    turns = [("a", 5), ("b", 5), ("a", 5), ("b", 5), ("a", 2), ("b", 2)]
    assert order == [name for name, frames in turns for _ in range(frames + SETTLE_FRAMES)]
    assert [len(times[name].cpu_us) for name in "ab"] == [12, 12]
    assert told == [frames for _, frames in turns]


def test_summary_of_known_times():
    found = summary(np.arange(101, dtype=np.float64))
    assert found == {"mean": 50.0, "median": 50.0, "p95": 95.0, "p99": 99.0}


def test_weights_are_counted_as_the_core_keeps_them():
    model = random_model()
    whole = sum(w.size for name, w in model.weights.items() if name.startswith(("conv", "gru")) and w.ndim > 1)
    assert whole < weight_bytes(model) < 4 * model.weight_count


def test_the_floor_reads_all_of_it():
    short, long = (
        min(take_turns([reading(size)], 20, paced=False)["read the weights"].cpu_us) for size in (100_000, 20_000_000)
    )
    assert long > 20 * short


def test_repetitions_end_with_the_time():
    calls = []
    assert best_seconds(lambda: (calls.append(1), time.sleep(0.02)), limit_s=0.01) >= 0.02
    assert len(calls) == 1


def test_a_fresh_process_tells_start_up_and_memory(tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_model(random_model(), path)
    times_ms = start_up_ms(str(path), repeats=1)
    assert 0 < times_ms["numpy_ms"] < times_ms["import_ms"]
    assert min(times_ms["load_ms"], times_ms["first_ms"]) > 0
    memory = memory_bytes(str(path), streams=50)
    if sys.platform == "linux":
        assert memory["before"] > 1e7
        assert 20e3 < memory["further"] < 2e6  # some frames of a few arrays of 10 to 40 ms
    with pytest.raises(PercepNetError, match="no such model file"):
        start_up_ms(str(tmp_path / "none.safetensors"), repeats=1)


def test_a_baseline_that_is_not_installed_says_what_to_install():
    with pytest.raises(SystemMissing, match="pip install absent_package"):
        Register().live("absent")


def test_rnnoise_as_a_baseline_does_what_its_package_does():
    rnnoise = pytest.importorskip("pyrnnoise.rnnoise")
    heard = []
    peer = Register().live("rnnoise")
    state = rnnoise.create()
    rng = np.random.default_rng(0)
    for _ in range(50):
        frame = (3000 * rng.standard_normal(480)).astype(np.int16)
        _, expected = rnnoise.process_mono_frame(state, frame)
        heard.append((peer.process(peer.form(frame / np.float32(32768))), expected))
    rnnoise.destroy(state)
    found, expected = np.array(heard).T
    np.testing.assert_allclose(found, expected, atol=0.02)
    assert np.ptp(expected) > 0.01


def test_everything_is_measured(document):
    assert [system["name"] for system in document["systems"]] == ["percepnet", "engine", "read the weights"]
    assert "pip install absent_package" in document["skipped"]["absent"]
    for system in document["systems"]:
        for times in (system["paced"]["cpu_us"], system["hot"]["cpu_us"]):
            assert 0 < times["median"] <= times["p95"] <= times["p99"]
        assert system["core_percent"] == pytest.approx(system["paced"]["cpu_us"]["mean"] / 100)
    assert [row["streams"] for row in document["streams"]] == [1, 8, 32, 128]
    assert document["file"]["real_time_factor"] == pytest.approx(document["file"]["processing_s"] / 60)
    assert json.loads(json.dumps(document)) == document


def test_tables_hold_the_figures(document):
    text = to_markdown(document)
    enhancer = next(line for line in text.splitlines() if "percepnet.Enhancer" in line)
    assert f"{document['systems'][0]['paced']['cpu_us']['median']:.0f}" in enhancer
    assert "absent: not measured" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len({(len(line), line.count("|")) for line in tables}) == 3  # three tables, whose rows line up


def test_a_report_keeps_what_stands_above_it(document, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "benchmarks.md"
    path.write_text(f"# By hand\n\nä\n\n{MARKER}\nold\n", encoding="utf-8")
    for _ in range(2):
        check_report(path)
        save_report(path, document, "percepnet bench --report benchmarks.md")
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# By hand\n\nä\n\n{MARKER}\n")
    assert text.count(MARKER) == 1
    assert "old" not in text
    assert to_markdown(document).rstrip() in text
    assert text.endswith("    percepnet bench --report benchmarks.md\n")
    assert (tmp_path / "benchmarks.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_without_the_marker_is_left_alone(tmp_path):
    path = tmp_path / "notes.md"
    for content in (b"mine", b"RIFF\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(PercepNetError, match="has no line"):
            check_report(path)


def test_picture(document, tmp_path):
    pytest.importorskip("matplotlib")
    save_plot(tmp_path / "times.png", document)
    assert (tmp_path / "times.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seconds", "0"], "--seconds is 0"),
        (["--seconds", "nan"], "--seconds is nan"),
        (["--peers", "rnnoise,nobody"], "unknown system 'nobody'"),
        (["--model", "nobody"], "no model of the name 'nobody'"),
        (["--plot", "times.pdf"], ".png"),
        (["--plot", "/no/such/folder/times.png"], "no such folder"),
    ],
)
def test_bad_options_are_one_line(monkeypatch, capfd, options, words):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(sys, "argv", ["percepnet", "bench", *options])
    with pytest.raises(SystemExit) as stop:
        percepnet.cli.main()
    out, err = capfd.readouterr()
    assert stop.value.code == 2
    assert out == ""
    assert err.startswith("percepnet: ")
    assert err.count("\n") == 1
    assert words in err


def test_the_command_prints_json_and_nothing_else(document, monkeypatch, capfd, tmp_path):
    monkeypatch.setattr("percepnet.bench.run.measure", lambda *_, **__: document)
    monkeypatch.setattr(sys, "argv", ["percepnet", "bench", "--json"])
    with pytest.raises(SystemExit) as stop:
        percepnet.cli.main()
    out, err = capfd.readouterr()
    assert not stop.value.code
    assert json.loads(out) == document
    assert err == ""


def test_docs_have_a_place_for_the_report():
    assert MARKER in (Path(__file__).parents[1] / "docs" / "benchmarks.md").read_text(encoding="utf-8").splitlines()
    assert report.MARKER.startswith("<!--")


def test_import_takes_along_nothing_heavy():
    heavy = ["torch", "matplotlib", "scipy", "typer", "rich", "soundfile", "pyrnnoise", "librosa", "requests"]
    code = f"import sys, percepnet; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
