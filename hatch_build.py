"""Compiles core/ into the package: with the C compiler at hand, else with the one in ziglang, else not at all.

Without the core the package is complete, and runs on its NumPy engine.
"""

import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = "src/percepnet/_core" + {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
MACOS_MIN = "11.0"
ZIG_MACHINES = ("x86_64", "amd64", "aarch64", "arm64")


class CoreBuildHook(BuildHookInterface):
    """What hatchling calls while it makes a wheel, editable or not."""

    def dependencies(self) -> list[str]:
        """Packages that the build itself needs."""
        missing = _installed_compiler() is None and platform.machine().lower() in ZIG_MACHINES
        return ["ziglang"] if missing else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the library, and mark the wheel as one for this platform."""
        if self.target_name != "wheel":
            return
        library = Path(self.root, LIBRARY)
        compiler = _installed_compiler()
        if compiler is None and importlib.util.find_spec("ziglang"):
            # by itself it would build for this very processor, and wheels travel
            compiler = [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]
        if compiler is None:
            library.unlink(missing_ok=True)
            self._explain("no C compiler was found (CC, cc, gcc, clang, ziglang)")
            return
        try:
            _compile(compiler, Path(self.root, "core"), library)
        except (OSError, subprocess.CalledProcessError) as error:
            library.unlink(missing_ok=True)
            self._explain(f"{shlex.join(compiler)} failed: {getattr(error, 'stderr', None) or error}")
            return
        build_data["artifacts"].append(LIBRARY)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{_platform_tag()}"

    def _explain(self, reason: str) -> None:
        self.app.display_warning(f"percepnet is built without its C core, and will run on NumPy alone: {reason}")


def _installed_compiler() -> list[str] | None:
    for command in (shlex.split(os.environ.get("CC", "")), ["cc"], ["gcc"], ["clang"]):
        if command and shutil.which(command[0]):
            return command
    return None


def _compile(compiler: list[str], sources: Path, library: Path) -> None:
    files = sorted(str(path) for path in sources.glob("*.c") if not path.name.startswith("test_"))
    flags = ["-std=c11", "-O3", "-shared", "-fvisibility=hidden"]
    if sys.platform != "win32":
        flags.append("-fPIC")
    if sys.platform == "darwin":
        flags.append(f"-mmacosx-version-min={MACOS_MIN}")
    # beside its place and then renamed: a process that runs the old library keeps it
    fresh = library.with_name(f".{library.name}.{os.getpid()}")
    try:
        subprocess.run([*compiler, *flags, *files, "-o", str(fresh), "-lm"], check=True, capture_output=True, text=True)
        fresh.replace(library)
    finally:
        fresh.unlink(missing_ok=True)


def _platform_tag() -> str:
    if sys.platform == "darwin":
        return f"macosx_{MACOS_MIN.replace('.', '_')}_{platform.machine()}"
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
