"""Archives on Ray while nodes and drivers are killed: whether every output is there, whole, and made once.

    python benchmarks/soak_cluster.py [--files 2000] [--seconds 1]

Two nodes of one core each are started as processes of their own. Half-way the second is killed, at three quarters the
driver, and its run is started again. Needs percepnet[ray]. Exit code 1 if anything is missing, broken or made twice.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import soundfile
from bench_folder import RATE_HZ, fill

from percepnet.bulk.cluster import LEDGER

PORT = 6399
NODE_LOST, DRIVER_LOST = 0.5, 0.75  # of all files done


def ray(*words: str, environment: dict[str, str]) -> None:
    """A command of Ray's own program, of this environment."""
    subprocess.run([Path(sys.executable).with_name("ray"), *words], check=True, capture_output=True, env=environment)


def driver(work: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """The run, as users start it."""
    words = ["enhance", "--ray", "--ray-address", f"127.0.0.1:{PORT}", work / "in", "-o", work / "out"]
    command = [sys.executable, "-m", "percepnet", *map(str, words)]
    with (work / "driver.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def node(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A second node, whose processes are a group that can be killed at once."""
    words = ["start", f"--address=127.0.0.1:{PORT}", "--num-cpus=1", "--block"]
    command = [str(Path(sys.executable).with_name("ray")), *words]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, env=environment, start_new_session=True)


def done(work: Path) -> int:
    """Outputs that are there."""
    return sum(path.suffix == ".wav" for path in (work / "out").glob("*")) if (work / "out").is_dir() else 0


def megabytes(process: int) -> float:
    """Memory of a process."""
    text = Path(f"/proc/{process}/statm").read_text(encoding="ascii")
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def wait_for(work: Path, count: int, run: subprocess.Popen[bytes], said: list[float]) -> None:
    """Until so many outputs are there, or the run has ended; notes the driver's memory."""
    while done(work) < count and run.poll() is None:
        time.sleep(0.2)
    with contextlib.suppress(OSError):
        said.append(megabytes(run.pid))


def judge(work: Path, files: int, samples: int) -> int:
    """How much is wrong with outputs and ledger, and a line that says what."""
    events: dict[str, Counter[str]] = {path.name: Counter() for path in (work / "in").iterdir()}
    for path in (work / "out" / LEDGER).glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            outcome = json.loads(line)
            events[outcome["input"]][outcome["event"]] += 1
    twice = sum(count.total() - count["there"] > 1 for count in events.values())
    unsaid = sum(not count for count in events.values())
    outputs = [path for path in (work / "out").iterdir() if path.name != LEDGER]
    whole = sum(path.suffix == ".wav" and soundfile.info(path).frames == samples for path in outputs)
    print(f"{whole} of {files} outputs are whole, {len(outputs) - whole} others are there, {twice} were made twice,")
    print(f"{unsaid} are in no ledger")
    return files - whole + len(outputs) - whole + twice + unsaid


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "RAY_AUTH_MODE": "disabled"}
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        fill(work / "in", options.files, options.seconds)
        head = [
            "start",
            "--head",
            f"--port={PORT}",
            "--num-cpus=1",
            "--include-dashboard=false",
            "--disable-usage-stats",
        ]
        ray(*head, environment=environment)
        second = node(environment)
        try:
            started = time.monotonic()
            run = driver(work, environment)
            wait_for(work, options.files // 8, run, memory)
            wait_for(work, int(NODE_LOST * options.files), run, memory)
            os.killpg(second.pid, signal.SIGKILL)
            print(f"second node killed at {done(work)} files", flush=True)
            wait_for(work, int(DRIVER_LOST * options.files), run, memory)
            run.kill()
            run.wait()
            print(f"driver killed at {done(work)} files", flush=True)
            run = driver(work, environment)
            wait_for(work, int(0.9 * options.files), run, memory)
            code = run.wait()
            seconds = time.monotonic() - started
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(second.pid, signal.SIGKILL)
            ray("stop", "--force", environment=environment)
        if not (work / "out").is_dir():
            sys.exit((work / "driver.log").read_text(encoding="utf-8", errors="replace"))
        faults = judge(work, options.files, round(RATE_HZ * options.seconds))
    print(f"exit code {code}, {seconds:.0f} s; memory of the driver (MB): {[round(part) for part in memory]}")
    return 1 if code or faults else 0


if __name__ == "__main__":
    sys.exit(main())
