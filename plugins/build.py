"""Build the plugins for Linux: LADSPA and LV2 with the models inside, and OBS where its headers are.

    pip install ziglang                       # for other processors; this machine's compiler serves this machine
    python plugins/build.py                   # into dist/plugins/
    python plugins/build.py --machine x86_64 aarch64 --only ladspa

What cannot be built here is named, and the others are built. With --machine, plugins run on every glibc since 2012.
"""

import argparse
import importlib.util
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from hatch_build import TARGETS, ZIG, compile_plugin, compiler_here  # noqa: E402

WEIGHTS = ROOT / "src/percepnet/model/weights"
MACHINES = ("x86_64", "aarch64")


class Kind(NamedTuple):
    """A plugin standard."""

    file: str  # within the output folder of a machine
    headers: tuple[str, ...] = ()  # what the system has to have
    package: str = ""  # what brings it
    beside: tuple[str, ...] = ()  # files that go with it


KINDS = {
    "ladspa": Kind("ladspa/percepnet_ladspa.so"),
    "lv2": Kind("percepnet.lv2/percepnet_lv2.so", ("lv2/core/lv2.h",), "lv2-dev", ("manifest.ttl", "percepnet.ttl")),
    "obs": Kind("obs/percepnet_obs.so", ("obs/obs-module.h", "simde/x86/sse2.h"), "libobs-dev", ("locale",)),
}


class Skipped(Exception):
    """Something is missing for a plugin."""


def compiler_for(machine: str | None) -> list[str]:
    """This machine's compiler, or zig for a machine by name."""
    if machine is None:
        here = compiler_here()
        if here is None:
            raise Skipped("there is no C compiler: pip install ziglang")
        return here
    if not importlib.util.find_spec("ziglang"):
        raise Skipped(f"building for {machine} needs ziglang: pip install ziglang")
    return [*ZIG, "-target", TARGETS[f"manylinux_2_17_{machine}"], "-s"]


def headers(kind: Kind, folder: Path) -> list[str]:
    """Flags that let a compiler find the headers of a standard, and no others of this system's."""
    include = folder / "include"
    for header in kind.headers:
        if not Path("/usr/include", header).is_file():
            raise Skipped(f"<{header}> is missing: install {kind.package}")
        top = header.partition("/")[0]
        include.mkdir(parents=True, exist_ok=True)
        if not (include / top).is_symlink():
            (include / top).symlink_to(Path("/usr/include", top))
    return [f"-isystem{include}"] if kind.headers else []


def build(kind: str, machine: str | None, folder: Path) -> Path:
    """Build one plugin.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    machine : str or None
        One of `MACHINES`, or None for this one.
    folder : Path
        For the plugins of this machine.

    Returns
    -------
    Path
        The library.

    Raises
    ------
    Skipped
        If something is missing on this system.
    subprocess.CalledProcessError
        If the compiler fails.
    """
    compiler = compiler_for(machine)
    library = folder / KINDS[kind].file
    library.parent.mkdir(parents=True, exist_ok=True)
    flags = [f'-DPERCEPNET_EMBEDDED="{WEIGHTS}"', *headers(KINDS[kind], folder.parent / f".headers-{kind}")]
    compile_plugin(compiler, ROOT, kind, library, flags)
    for name in KINDS[kind].beside:
        source, target = ROOT / "plugins" / kind / name, library.parent / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
    return library


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist/plugins", help="a folder for each machine goes here")
    parser.add_argument("--machine", nargs="+", choices=MACHINES, help="other machines than this one, by ziglang")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), help="some of the plugins")
    arguments = parser.parse_args()
    failed = False
    for machine in arguments.machine or [None]:
        folder = arguments.out.resolve() / f"linux-{machine or platform.machine()}"
        for kind in arguments.only:
            try:
                library = build(kind, machine, folder)
                print(f"{library}: {library.stat().st_size / 1e6:.2f} MB", flush=True)
            except Skipped as reason:
                print(f"{kind} is left out: {reason}", file=sys.stderr)
            except subprocess.CalledProcessError as error:
                failed = True
                print(f"{shlex.join(error.cmd)} failed:\n{error.stderr}", file=sys.stderr)
    for leftover in arguments.out.glob(".headers-*"):
        shutil.rmtree(leftover)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
