"""Compiles core/ into the package: with the C compiler at hand, else with the one in ziglang, else not at all.

Without the core the package is complete, and runs on its NumPy engine. On Linux the LADSPA plugin comes with it.

PERCEPNET_TARGET in the environment names one of `TARGETS`, and the wheel is made for that platform instead of for this
machine, always with ziglang; then a core that cannot be compiled is an error. `scripts/wheels.py` makes all of them.
"""

import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VARIABLE = "PERCEPNET_TARGET"
MACOS_MIN = "11.0"
SUFFIXES = {"win32": ".dll", "darwin": ".dylib"}
LIBRARY = "src/percepnet/_core" + SUFFIXES.get(sys.platform, ".so")
LADSPA = "percepnet/plugins/percepnet_ladspa.so"
ZIG_MACHINES = ("x86_64", "amd64", "aarch64", "arm64")

# The platform of a wheel, as installers know it, and as zig does. manylinux_2_17 runs on every glibc since 2012.
TARGETS = {
    "manylinux_2_17_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux_2_17_aarch64": "aarch64-linux-gnu.2.17",
    "musllinux_1_2_x86_64": "x86_64-linux-musl",
    "musllinux_1_2_aarch64": "aarch64-linux-musl",
    f"macosx_{MACOS_MIN.replace('.', '_')}_x86_64": f"x86_64-macos.{MACOS_MIN}",
    f"macosx_{MACOS_MIN.replace('.', '_')}_arm64": f"aarch64-macos.{MACOS_MIN}",
    "win_amd64": "x86_64-windows-gnu",
}
# As in core/CMakeLists.txt. Without contraction: a product and a sum that are rounded at once give other bits, and only
# on processors with an instruction for that.
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden"]
# by itself zig would build for this very processor, and wheels travel
ZIG = [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]


class CoreBuildHook(BuildHookInterface):
    """What hatchling calls while it makes a wheel, editable or not."""

    _folder: tempfile.TemporaryDirectory[str] | None = None

    def dependencies(self) -> list[str]:
        """Packages that the build itself needs."""
        missing = _installed_compiler() is None and platform.machine().lower() in ZIG_MACHINES
        return ["ziglang"] if missing or os.environ.get(VARIABLE) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the library, and mark the wheel as one for its platform."""
        if self.target_name != "wheel":
            return
        target = os.environ.get(VARIABLE)
        build = self._build_for(target, build_data) if target else self._build_here(build_data)
        if build:
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{target or _platform_tag()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was only needed until the wheel was written."""
        if self._folder:
            self._folder.cleanup()

    def _build_for(self, target: str, build_data: dict[str, Any]) -> bool:
        if target not in TARGETS:
            raise ValueError(f"{VARIABLE} is {target!r}: choose from {', '.join(TARGETS)}")
        system = {"macosx": "darwin", "win": "win32"}.get(target.partition("_")[0], "linux")
        # not in the source tree, where this machine's own library may be in use
        self._folder = tempfile.TemporaryDirectory()
        library = Path(self._folder.name, "_core" + SUFFIXES.get(system, ".so"))
        plugin = Path(self._folder.name, Path(LADSPA).name)
        compiler = [*ZIG, "-target", TARGETS[target], "-s"]
        try:
            _compile(compiler, Path(self.root, "core"), library, system)
            if system == "linux":
                compile_plugin(compiler, Path(self.root), "ladspa", plugin)
                build_data["force_include"][str(plugin)] = LADSPA
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"{shlex.join(error.cmd)} failed: {error.stderr}") from error
        build_data["force_include"][str(library)] = f"percepnet/{library.name}"
        return True

    def _build_here(self, build_data: dict[str, Any]) -> bool:
        library = Path(self.root, LIBRARY)
        compiler = compiler_here()
        if compiler is None:
            library.unlink(missing_ok=True)
            self._explain("no C compiler was found (CC, cc, gcc, clang, ziglang)")
            return False
        try:
            _compile(compiler, Path(self.root, "core"), library, sys.platform)
        except (OSError, subprocess.CalledProcessError) as error:
            library.unlink(missing_ok=True)
            self._explain(f"{shlex.join(compiler)} failed: {getattr(error, 'stderr', None) or error}")
            return False
        build_data["artifacts"].append(LIBRARY)
        if sys.platform == "linux":
            self._build_plugin(compiler, build_data)
        return True

    def _build_plugin(self, compiler: list[str], build_data: dict[str, Any]) -> None:
        plugin = Path(self.root, "src", LADSPA)
        try:
            compile_plugin(compiler, Path(self.root), "ladspa", plugin)
        except (OSError, subprocess.CalledProcessError) as error:
            plugin.unlink(missing_ok=True)
            reason = getattr(error, "stderr", None) or error
            self.app.display_warning(f"percepnet is built without its LADSPA plugin: {reason}")
        else:
            build_data["artifacts"].append(f"src/{LADSPA}")

    def _explain(self, reason: str) -> None:
        self.app.display_warning(f"percepnet is built without its C core, and will run on NumPy alone: {reason}")


def compiler_here() -> list[str] | None:
    """The C compiler at hand, or the one in ziglang, or None."""
    zig = ZIG if importlib.util.find_spec("ziglang") else None
    return _installed_compiler() or zig


def _installed_compiler() -> list[str] | None:
    for command in (shlex.split(os.environ.get("CC", "")), ["cc"], ["gcc"], ["clang"]):
        if command and shutil.which(command[0]):
            return command
    return None


def _compile(compiler: list[str], sources: Path, library: Path, system: str) -> None:
    flags = ["-DPERCEPNET_BUILD"] if system == "win32" else ["-fPIC", "-DPERCEPNET_THREADS", "-pthread"]
    if system == "darwin":
        flags += [f"-mmacosx-version-min={MACOS_MIN}", f"-Wl,-install_name,@rpath/{library.name}"]
    _link(compiler, sources, [], flags, library)


def compile_plugin(
    compiler: list[str], root: Path, kind: str, library: Path, flags: Sequence[str] = (), libraries: Sequence[str] = ()
) -> None:
    """Compile a plugin for Linux with the core inside it.

    Parameters
    ----------
    compiler : list of str
        The command and what it always gets.
    root : Path
        Of the project.
    kind : str
        A folder of plugins/.
    library : Path
        What is made.
    flags, libraries : sequence of str
        More for the compiler.

    Raises
    ------
    subprocess.CalledProcessError
        With what the compiler said in `stderr`.
    """
    plugins = root / "plugins"
    files = sorted(str(path) for folder in ("common", kind) for path in Path(plugins, folder).glob("*.c"))
    flags = [*flags, "-fPIC", "-DPERCEPNET_STATIC", f"-I{plugins}"]
    _link(compiler, root / "core", files, flags, library, ("-ldl", "-lpthread", *libraries))


def _link(
    compiler: list[str], core: Path, more: list[str], flags: list[str], library: Path, libraries: Sequence[str] = ()
) -> None:
    files = sorted(str(path) for path in Path(core, "src").rglob("*.c"))
    flags = [*FLAGS, "-shared", *flags, f"-I{Path(core, 'include')}", f"-I{Path(core, 'src')}"]
    # beside its place and then renamed: a process that runs the old library keeps it
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=".") as folder:
        fresh = Path(folder, library.name)
        command = [*compiler, *flags, *files, *more, "-o", str(fresh), *libraries, "-lm"]
        subprocess.run(command, check=True, capture_output=True, text=True)
        fresh.replace(library)


def _platform_tag() -> str:
    if sys.platform == "darwin":
        return f"macosx_{MACOS_MIN.replace('.', '_')}_{platform.machine()}"
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
