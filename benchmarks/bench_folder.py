"""Folders: a thousand files of 0.1 s, and ten of a minute with one and with two jobs.

    python benchmarks/bench_folder.py [--files 1000] [--minutes 10]

Targets: the thousand in under 15 s, and two jobs at least 1.8 times as fast as one on two idle cores. Prints the time
on the clock and that of the processor, which tells whether the machine was busy with other things.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 48000


def enhance(folder: Path, target: Path, jobs: int) -> tuple[float, float]:
    """Seconds on the clock, and of the processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    command = [sys.executable, "-m", "percepnet", "enhance", folder, "-o", target, "--jobs", str(jobs)]
    subprocess.run(command, check=True, capture_output=True)
    wall_s = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fill(folder: Path, count: int, seconds: float) -> Path:
    """Files of noise with a voice's rhythm."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        samples = round(seconds * RATE_HZ)
        x = rng.uniform(-0.1, 0.1, samples) * (np.sin(np.arange(samples) * 0.0002 + index) > 0)
        soundfile.write(folder / f"{index:04}.wav", x, RATE_HZ)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--minutes", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        many = fill(work / "many", options.files, 0.1)
        wall_s, cpu_s = enhance(many, work / "many-out", 2)
        print(f"{options.files} files of 0.1 s, 2 jobs: {wall_s:.1f} s, processor {cpu_s:.1f} s")
        long = fill(work / "long", options.minutes, 60.0)
        times = {}
        for jobs in (1, 2, 1, 2):
            wall_s, cpu_s = enhance(long, work / f"long-out-{len(times)}-{time.monotonic_ns()}", jobs)
            times[jobs] = min(wall_s, times.get(jobs, wall_s))
            print(f"{options.minutes} files of 60 s, {jobs} job(s): {wall_s:.1f} s, processor {cpu_s:.1f} s")
        print(f"two jobs are {times[1] / times[2]:.2f} times as fast as one")


if __name__ == "__main__":
    main()
