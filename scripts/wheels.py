"""Make the wheels for all platforms on one machine, look into each, and try the one that runs here.

    pip install hatchling ziglang lief
    python scripts/wheels.py [--out dist] [--only manylinux_2_17_x86_64 ...] [--try]

The first wheel for Windows takes a minute or two, while zig builds that system's C library, which it then keeps.
--try installs this machine's wheel in an empty environment without a compiler, and enhances the examples.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from hatch_build import LADSPA, SUFFIXES, TARGETS, VARIABLE  # noqa: E402

TIMEOUT_S = 15 * 60
SIZE_MAX_MB = 40
GLIBC_MAX = (2, 17)
# What a library may ask of its system: the C library, in its parts, and nothing else.
LIBRARIES = {
    "manylinux": r"lib[cm]\.so\.6|libdl\.so\.2|libpthread\.so\.0",
    "musllinux": r"libc(\.musl-\w+)?\.so(\.1)?",
    "macosx": r"/usr/lib/libSystem\.B\.dylib|@rpath/_core\.dylib",
    "win": r"KERNEL32\.dll|api-ms-win-crt-[\w-]+\.dll",
}
MACHINES = {"x86_64": ("X86_64", "AMD64"), "amd64": ("X86_64", "AMD64"), "aarch64": ("AARCH64",), "arm64": ("ARM64",)}
FROM_THE_LINKER = re.compile(r"_+(mh_dylib_header|dso_handle)")


class WheelError(Exception):
    """A wheel could not be made, or is not what its name says."""


def build(target: str, folder: Path) -> Path:
    """Make the wheel for one of `hatch_build.TARGETS`."""
    environment = os.environ | {VARIABLE: target}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    wheels = list(folder.glob(f"percepnet-*-py3-none-{target}.whl"))
    if done.returncode or len(wheels) != 1:
        raise WheelError(f"{target}: not built: {done.stderr or done.stdout}")
    return wheels[0]


def look_into(wheel: Path) -> str:
    """Check everything in a wheel that can be known without running it.

    Returns
    -------
    str
        One line about it.

    Raises
    ------
    WheelError
        If something is missing, or there that should not be.
    """
    target = wheel.stem.split("-", 4)[4]
    system, machine = target.partition("_")[0], next(name for name in MACHINES if target.endswith(name))
    suffix = {"macosx": SUFFIXES["darwin"], "win": SUFFIXES["win32"]}.get(system, ".so")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        information = archive.read(next(name for name in names if name.endswith(".dist-info/WHEEL"))).decode()
        _require(f"Tag: py3-none-{target}" in information, wheel, f"its tag is another: {information}")
        _require("Root-Is-Purelib: false" in information, wheel, "it says that it is for any platform")
        libraries = [name for name in names if Path(name).name.startswith("_core.")]
        _require(libraries == [f"percepnet/_core{suffix}"], wheel, f"its libraries are {libraries}")
        for needed in (
            "percepnet/model/weights/default.safetensors",
            "percepnet/cli/enhance.py",
            "percepnet/py.typed",
            "percepnet/reference/enhancer.py",
        ):
            _require(needed in names, wheel, f"{needed} is missing")
        plugins = [name for name in names if name.startswith("percepnet/plugins/") and name.endswith(".so")]
        _require(plugins == [LADSPA] * (suffix == ".so"), wheel, f"its plugins are {plugins}")
        foreign = [name for name in names if not name.startswith(("percepnet/", "percepnet-"))]
        _require(not foreign, wheel, f"{foreign} do not belong in it")
        library = archive.read(libraries[0])
        plugin = archive.read(plugins[0]) if plugins else None
    _look_into_library(library, wheel, system, machine, declared())
    if plugin is not None:
        _look_into_library(plugin, wheel, system, machine, {"ladspa_descriptor"})
    size_mb = wheel.stat().st_size / 1e6
    _require(size_mb < SIZE_MAX_MB, wheel, f"it is too large, {size_mb:.1f} MB")
    return f"{wheel.name}: {size_mb:.2f} MB, of it the core {len(library) / 1000:.0f} kB"


def _look_into_library(library: bytes, wheel: Path, system: str, machine: str, exports: set[str]) -> None:
    import lief

    lief.logging.disable()
    binary: Any = lief.parse(list(library))
    _require(binary is not None, wheel, "its core is no library")
    header = binary.header
    kind = header.cpu_type if system == "macosx" else header.machine if system == "win" else header.machine_type
    _require(kind.name in MACHINES[machine], wheel, f"its core is for {kind.name}")
    asked = [entry if isinstance(entry, str) else entry.name for entry in binary.libraries]
    foreign = [name for name in asked if not re.fullmatch(LIBRARIES[system], name)]
    _require(not foreign, wheel, f"its core needs {foreign}")
    exported = {re.sub("^_", "", function.name) for function in binary.exported_functions if _is_ours(function.name)}
    _require(exported == exports, wheel, f"its core exports {sorted(exported ^ exports)} too much or too little")
    if system == "manylinux":
        needed = [a.name for entry in binary.symbols_version_requirement for a in entry.get_auxiliary_symbols()]
        new = [name for name in needed if tuple(map(int, name.removeprefix("GLIBC_").split("."))) > GLIBC_MAX]
        _require(not new, wheel, f"its core needs {new}")
    if system == "macosx" and machine == "arm64":
        _require(binary.has_code_signature, wheel, "its core is not signed, and this processor runs nothing unsigned")


def declared() -> set[str]:
    """The functions of core/include/percepnet.h."""
    return set(
        re.findall(r"^PERCEPNET_API\b[^;(]*\b(percepnet_\w+)\(", (ROOT / "core/include/percepnet.h").read_text(), re.M)
    )


def _is_ours(name: str) -> bool:
    return not FROM_THE_LINKER.fullmatch(name)


def _require(holds: bool, wheel: Path, otherwise: str) -> None:
    if not holds:
        raise WheelError(f"{wheel.name}: {otherwise}")


def try_here(wheel: Path) -> str:
    """Install a wheel in an empty environment without a compiler, and enhance the example clips with the core."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        scripts = Path(folder, "Scripts" if sys.platform == "win32" else "bin")
        kept = ("HOME", "SYSTEMROOT", "TEMP", "PIP_", "SSL_", "REQUESTS_", "HTTP", "http", "NO_PROXY", "no_proxy")
        bare = {name: value for name, value in os.environ.items() if name.startswith(kept)}
        bare |= {"PATH": str(scripts), "PERCEPNET_ENGINE": "core"}
        python = str(scripts / "python")
        _run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", str(wheel)], bare, folder)
        output = _run(
            [str(scripts / "percepnet"), "enhance", str(ROOT / "examples/clips/noisy"), "-o", "enhanced"], bare, folder
        )
        made = sorted(path.name for path in Path(folder, "enhanced").iterdir())
        given = sorted(path.name for path in (ROOT / "examples/clips/noisy").iterdir())
        _require(made == given, wheel, f"enhanced {made} of {given}")
        kernels = _run([python, "-c", "from percepnet import core; print(*native.kernels())"], bare, folder)
        return f"{output.strip()}\nkernels: {kernels.strip()}"


def _run(command: list[str], environment: dict[str, str], folder: str) -> str:
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode:
        raise WheelError(f"{' '.join(command)} failed: {done.stderr}")
    return done.stdout


def runs_here(targets: Iterable[str]) -> str | None:
    """The target that this machine can run, if it is among them."""
    system = {"linux": "manylinux", "darwin": "macosx", "win32": "win"}.get(sys.platform, "?")
    if system == "manylinux" and platform.libc_ver()[0] != "glibc":
        system = "musllinux"
    fits = (t for t in targets if t.startswith(system) and t.endswith("_" + platform.machine().lower()))
    return next(fits, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the wheels")
    parser.add_argument("--only", nargs="+", choices=sorted(TARGETS), default=list(TARGETS), metavar="TARGET")
    parser.add_argument("--try", action="store_true", dest="try_it", help="install and run the wheel for this machine")
    arguments = parser.parse_args()
    here = runs_here(arguments.only)
    if arguments.try_it and here is None:
        parser.error("none of these wheels runs on this machine")
    try:
        wheels = {}
        for target in arguments.only:
            wheels[target] = build(target, arguments.out.resolve())
            print(look_into(wheels[target]), flush=True)
        if arguments.try_it and here:
            print(try_here(wheels[here]))
    except (WheelError, subprocess.TimeoutExpired) as error:
        sys.exit(f"wheels: {error}")


if __name__ == "__main__":
    main()
