import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

pytest.importorskip("soxr", reason="the package soxr is not installed")

from percepnet.errors import PercepNetError
from percepnet.evaluation.parallel import on_each
from percepnet.evaluation.recordings import Pair

RATE_HZ = 48_000
# The command as it is, but for the measures: those that load large packages would make this slow.
COMMAND = """
import functools
from percepnet.evaluation import run
run.run_evaluation = functools.partial(run.run_evaluation, metrics=("si_sdr",))
if __name__ == "__main__":
    from percepnet.cli import main
    main()
"""
SLOW_SYSTEM = """
import pathlib, shutil, sys, time
with open("calls", "a") as calls:
    calls.write("x")
time.sleep(0.3)
shutil.copy(sys.argv[1], sys.argv[2])
"""


def half(pair):
    if pair.name == "odd":
        raise PercepNetError("is odd")
    return len(pair.name) / 2


@pytest.mark.parametrize("processes", [1, 2])
def test_a_pair_that_fails_does_not_stop_the_others(processes):
    pairs = [Pair(name, Path("clean"), Path("noisy")) for name in ("four", "odd", "eleven")]
    done = {d.item.name: (d.result, d.error) for d in on_each(half, pairs, processes)}
    assert done == {"four": (2, ""), "odd": (None, "is odd"), "eleven": (3, "")}


def test_an_interrupt_is_heard_again_afterwards():
    before = signal.getsignal(signal.SIGINT)
    assert len(list(on_each(half, [Pair(name, Path(), Path()) for name in "ab"], 2))) == 2
    assert signal.getsignal(signal.SIGINT) is before


@pytest.fixture
def folder(tmp_path):
    """Eight recordings, and a system that takes its time for each and counts its calls."""
    rng = np.random.default_rng(0)
    for i in range(8):
        clean, noise = 0.05 * rng.standard_normal((2, RATE_HZ // 4))
        for kind, x in (("clean", clean), ("noisy", clean + noise)):
            (tmp_path / "pairs" / kind).mkdir(parents=True, exist_ok=True)
            sf.write(tmp_path / "pairs" / kind / f"{i}.wav", x, RATE_HZ)
    (tmp_path / "temporary").mkdir()
    (tmp_path / "slow.py").write_text(SLOW_SYSTEM)
    (tmp_path / "command.py").write_text(COMMAND)
    words = f"{sys.executable} slow.py {{in}} {{out}}"
    (tmp_path / "peers.toml").write_text(f'[[system]]\nname = "slow"\ncommand = "{words}"\n')
    return tmp_path


def start(folder):
    # the one measure that needs no package: what is missing would be said, and is not what is tested
    words = "command.py evaluate --pairs pairs --systems noisy,slow --peers peers.toml --cache cache -o r.md"
    return subprocess.Popen(
        [sys.executable, *words.split(), "--metrics", "si_sdr"],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(folder / "temporary")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a job in the background of a shell ignores the signal, and so would its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("whole_terminal", [True, False])
def test_an_interrupted_evaluation_ends_in_a_line_and_goes_on_from_there(folder, whole_terminal):
    """Ctrl-C in a terminal reaches the processes of all recordings; `kill -INT` only the first."""
    first = start(folder)
    deadline = time.monotonic() + 120
    while len(list(folder.glob("cache/*.json"))) < 4:
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (os.killpg if whole_terminal else os.kill)(first.pid, signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert (first.returncode, out, err) == (130, "", "percepnet: interrupted\n")
    assert not (folder / "r.md").exists()
    kept = list(folder.glob("cache/*.json"))
    assert len(kept) < 16
    assert list(folder.rglob("*.part")) == []
    assert list((folder / "temporary").iterdir()) == []

    if not whole_terminal:
        return
    # `noisy` is kept first of each recording, and two recordings are under way
    slow_kept = -(-(len(kept) - 2) // 2)
    (folder / "calls").write_text("")
    second = start(folder)
    assert second.communicate(timeout=120) == ("", "")
    assert second.returncode == 0
    assert "8 recordings" in (folder / "r.md").read_text()
    assert len((folder / "calls").read_text()) <= 8 - slow_kept + 2  # each of the two processes warms it up once


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_nothing_goes_on_without_the_first_process(folder):
    first = start(folder)
    deadline = time.monotonic() + 120
    while not list(folder.glob("cache/*.json")):
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate(timeout=60)  # the others have its pipes: this waits for them too
    kept = len(list(folder.glob("cache/*.json")))
    time.sleep(1)
    assert len(list(folder.glob("cache/*.json"))) == kept < 16
    assert list((folder / "temporary").iterdir()) == []
