"""Archives on Ray: hours of audio an hour with one worker and with two, on this machine.

    python benchmarks/bench_cluster.py [--files 40] [--seconds 60]

Workers are processes that are there before the clock starts. Prints what a million hours of audio would take.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from bench_folder import fill

HOURS = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    os.environ["RAY_WORKER_NICENESS"] = "0"  # Ray's is 15, which waits for everybody else on a machine
    import ray

    from percepnet.bulk import Settings
    from percepnet.bulk.cluster import enhance_archive

    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        source = fill(work / "in", options.files, options.seconds)
        warm = fill(work / "warm", 16, 0.1)
        for workers in (1, 2):
            ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="error")
            enhance_archive(str(warm), str(work / f"warm-{workers}"), Settings())
            started = time.perf_counter()
            summary = enhance_archive(str(source), str(work / f"out-{workers}"), Settings())
            speed = summary.audio_s / (time.perf_counter() - started)
            ray.shutdown()
            core_hours = HOURS / (speed / workers)
            print(f"{workers} worker(s): {speed:.0f} times real time; a million hours: {core_hours:.0f} core hours")


if __name__ == "__main__":
    main()
