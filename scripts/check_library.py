"""Build the C library as others would, install it, build programs with it, and compare what they make with Python's.

    python scripts/check_library.py             # needs cmake and a C and C++ compiler
    pip install ziglang                         # also other systems, WebAssembly, and compilers without GNU extensions

Whatever cannot be checked here is named. All results are compared to the bit.
"""

import json
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from wheels import declared

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from hatch_build import FLAGS  # noqa: E402

CORE = ROOT / "core"
CONSUMER = CORE / "tests" / "consumer"
CLIPS = sorted((ROOT / "examples" / "clips" / "noisy").glob("*.flac"))
MODEL = "small"
TIMEOUT_S = 10 * 60
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
SOURCES = sorted((CORE / "src").rglob("*.c"))
INCLUDES = [f"-I{CORE / 'include'}", f"-I{CORE / 'src'}"]
ZIG = [sys.executable, "-m", "ziglang", "cc"]


class LibraryError(Exception):
    """The library does not do what docs/c.md says."""


class Missing(LibraryError):
    """A tool is not there, so that this cannot be checked here."""


class Installed(NamedTuple):
    """A library in a prefix of its own."""

    prefix: Path
    build: Path
    is_shared: bool

    def pkg_config(self, *arguments: str) -> list[str]:
        """What pkg-config says of it."""
        need("pkg-config")
        environment = os.environ | {"PKG_CONFIG_PATH": str(next(self.prefix.rglob("pkgconfig")))}
        linkage = [] if self.is_shared else ["--static"]
        return shlex.split(run(["pkg-config", *linkage, *arguments, "percepnet"], environment))

    @property
    def model(self) -> Path:
        """The installed file of `MODEL`."""
        return Path(self.pkg_config("--variable=models_dir")[0], f"{MODEL}.safetensors")


def run(command: list[str], environment: dict[str, str] | None = None) -> str:
    """The output of a command, which has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=environment)
    if done.returncode:
        raise LibraryError(f"{shlex.join(command)} failed: {done.stderr or done.stdout}")
    return done.stdout


def need(*programs: str) -> None:
    """Raise Missing if one of the programs is not there."""
    for program in programs:
        if shutil.which(program) is None:
            raise Missing(f"needs {program}")


def need_zig() -> None:
    if find_spec("ziglang") is None:
        raise Missing("needs ziglang: pip install percepnet[wheels]")


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise LibraryError(otherwise)


def compiler(language: str) -> list[str]:
    """The C or C++ compiler of this machine."""
    variable, usual = {"c": ("CC", "cc"), "cpp": ("CXX", "c++")}[language]
    command = shlex.split(os.environ.get(variable, usual))
    need(command[0])
    return command


def cmake(source: Path, build: Path, *settings: str) -> None:
    """Configure and build."""
    need("cmake", *compiler("c")[:1], *compiler("cpp")[:1])
    ninja = ["-G", "Ninja"] if shutil.which("ninja") else []
    run(["cmake", "-S", str(source), "-B", str(build), *ninja, *(f"-D{setting}" for setting in settings)])
    run(["cmake", "--build", str(build), "--parallel", "2", "--config", "Release"])


def install(folder: Path, *, is_shared: bool) -> Installed:
    """Build the library and the example as docs/c.md says, and install it in a prefix in `folder`."""
    made = Installed(folder / "prefix", folder / "build", is_shared)
    settings = [f"CMAKE_INSTALL_PREFIX={made.prefix}", f"BUILD_SHARED_LIBS={is_shared:d}", "PERCEPNET_BUILD_EXAMPLES=1"]
    settings.append("CMAKE_EXPORT_COMPILE_COMMANDS=1")
    cmake(CORE, made.build, *settings)
    run(["cmake", "--install", str(made.build)])
    # what works after a move does not depend on where it was built
    return made._replace(prefix=made.prefix.rename(folder / "moved"))


# ---- What Python makes of the same input ----


@lru_cache(maxsize=8)
def clip(path: Path, rate_hz: int) -> np.ndarray:
    """A clip at 48 kHz, or, without any filter, every third of its samples."""
    samples, clip_rate_hz = soundfile.read(path, dtype="float32")
    require(clip_rate_hz % rate_hz == 0, f"{path}: not of a multiple of {rate_hz} Hz")
    return np.ascontiguousarray(samples[:: clip_rate_hz // rate_hz])


@lru_cache(maxsize=8)
def wanted(path: Path, rate_hz: int) -> np.ndarray:
    """A clip, enhanced by Python, with the delay."""
    from percepnet import Enhancer

    enhancer = Enhancer(rate_hz, model=MODEL)
    return np.concatenate((enhancer.process(clip(path, rate_hz)), enhancer.flush()))


def compare(program: list[str], folder: Path, model: Path) -> None:
    """Run a consumer on all clips at two rates."""
    before, after = folder / "noisy.raw", folder / "enhanced.raw"
    for path in CLIPS:
        for rate_hz in (48000, 16000):
            clip(path, rate_hz).tofile(before)
            run([*program, str(model), str(rate_hz), str(before), str(after)])
            same = np.array_equal(np.fromfile(after, np.float32), wanted(path, rate_hz))
            require(same, f"{shlex.join(program)} makes other samples of {path.name} at {rate_hz} Hz than Python")


# ---- The installed library ----


def check_version() -> str:
    """The version stands in the header and in the package, and is the same."""
    from percepnet import __version__

    header = (CORE / "include" / "percepnet.h").read_text()
    found = re.findall(r'^#define PERCEPNET_VERSION "(.*)"$', header, re.M)
    require(found == [__version__], f"percepnet.h is of version {found}, and the package is {__version__}")
    return f"{__version__} in the header and in the package"


def check_flags(library: Installed) -> str:
    """CMake compiles what the package's build compiles, with the flags that decide the bits."""
    steps = json.loads((library.build / "compile_commands.json").read_text())
    commands = {Path(step["file"]): shlex.split(step["command"]) for step in steps}
    missed = [path.name for path in SOURCES if not set(FLAGS) <= set(commands.get(path, ()))]
    require(not missed, f"CMake compiles {missed} not at all, or without one of {FLAGS}")
    return f"CMake compiles the same {len(SOURCES)} files as hatch_build.py, with {' '.join(FLAGS)}"


def check_symbols(library: Installed) -> str:
    """Of a shared library its name, and that it exports what the header declares and nothing else."""
    if sys.platform != "linux":
        raise Missing("symbols are only looked at on Linux")
    need("nm", "readelf")
    file = next(library.prefix.rglob("libpercepnet.so"))
    soname = re.findall(r"SONAME.*\[(.*)\]", run(["readelf", "-d", str(file)]))
    abi = re.search(r"^#define PERCEPNET_ABI (\d+)", (CORE / "include" / "percepnet.h").read_text(), re.M)
    require(abi is not None and soname == [f"libpercepnet.so.{abi[1]}"], f"its SONAME is {soname}")
    exported = {line.split()[-1] for line in run(["nm", "-D", "--defined-only", str(file)]).splitlines()}
    require(exported == declared(), f"it exports {sorted(exported ^ declared())} too much or too little")
    return f"{file.resolve().name}, SONAME {soname[0]}, exports the {len(exported)} functions of the header"


def check_names(library: Installed) -> str:
    """All names that a static library brings into a program begin with its own."""
    need("nm")
    lines = run(["nm", "-g", "--defined-only", str(next(library.prefix.rglob("libpercepnet.a")))]).splitlines()
    names = {fields[2].lstrip("_") for line in lines if len(fields := line.split()) == 3}
    foreign = sorted(name for name in names if not name.startswith("percepnet_"))
    require(not foreign, f"the static library has names that others may have too: add {foreign} to core/src/names.h")
    gone = sorted(name for name in renamed() if name not in names and "_KERNEL_" not in name)
    require(not gone, f"core/src/names.h has names that are no more: remove {gone}")
    require(declared() <= names, f"the static library lacks {sorted(declared() - names)}")
    return f"{len(names)} names, all of which begin with percepnet_"


def renamed() -> list[str]:
    """What core/src/names.h makes of the names in it; kernels of other machines are among them."""
    return re.findall(r"^#define \w+ (\w+)$", (CORE / "src" / "names.h").read_text(), re.M)


def check_find_package(library: Installed, folder: Path) -> str:
    """Consumers that find the library by find_package, with and without extensions of C."""
    for extensions in (0, 1):
        build = folder / f"find_package_{extensions}"
        strict = " ".join(STRICT)
        settings = [f"CMAKE_PREFIX_PATH={library.prefix}", f"CMAKE_C_EXTENSIONS={extensions}"]
        cmake(CONSUMER, build, *settings, f"CMAKE_C_FLAGS={strict}", f"CMAKE_CXX_FLAGS={strict}")
        for language in ("c", "cpp"):
            compare([str(build / f"consumer_{language}")], folder, library.model)
    return "consumers in C11, GNU C11 and C++11 make what Python makes"


def check_pkg_config(library: Installed, folder: Path) -> str:
    """The same consumers by pkg-config."""
    flags = library.pkg_config("--cflags", "--libs")
    if library.is_shared:
        flags += [f"-Wl,-rpath,{library.pkg_config('--variable=libdir')[0]}"]
    for language, standard in (("c", "c11"), ("c", "gnu11"), ("cpp", "c++11")):
        program = folder / f"consumer_{standard}"
        source = str(CONSUMER / f"consumer.{language}")
        run([*compiler(language), f"-std={standard}", *STRICT, source, "-o", str(program), *flags])
        compare([str(program)], folder, library.model)
    return "consumers in C11, GNU C11 and C++11 make what Python makes"


def check_example(library: Installed, folder: Path) -> str:
    """The example on WAV files of both formats; and what it refuses."""
    from percepnet import enhance

    program = next(path for path in library.build.rglob("enhance_wav*") if path.stem == path.name and path.is_file())
    left, right = (clip(path, 16000) for path in CLIPS[:2])
    samples_both = min(len(left), len(right))
    stereo = np.stack((left[:samples_both], right[:samples_both]), axis=1)
    files = {"PCM_16": np.int16(np.round(stereo * 32767)), "FLOAT": stereo}
    before, after = folder / "noisy.wav", folder / "enhanced.wav"
    for subtype, samples in files.items():
        for limit_db in (None, 12.0):
            soundfile.write(before, samples, 16000, subtype)
            limit = [] if limit_db is None else [str(limit_db)]
            run([str(program), str(library.model), str(before), str(after), *limit])
            found, rate_hz = soundfile.read(after, dtype=samples.dtype.name)
            expected = enhance(samples.T, 16000, model=MODEL, attenuation_limit_db=limit_db).T
            same = np.array_equal(found, expected) and rate_hz == 16000 and soundfile.info(after).subtype == subtype
            require(same, f"the example makes another {subtype} file than Python")
    after.unlink()
    _check_odd_file(program, library.model, folder / "odd.wav")
    _check_refusals(program, library.model, before, after)
    return "16-bit and float WAV as Python makes them; one line and exit code 2 for what it refuses"


def _check_odd_file(program: Path, model: Path, wav: Path) -> None:
    """A file with its chunks in another order, one unknown and of odd length, is replaced by its enhancement."""
    from percepnet import enhance

    samples = np.int16(np.round(clip(CLIPS[0], 16000) * 32767))
    content = samples.astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16)
    chunks = [(b"junk", b"odd"), (b"data", content), (b"fmt ", form)]
    body = b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)
    wav.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
    run([str(program), str(model), str(wav), str(wav)])
    found, _ = soundfile.read(wav, dtype="int16")
    same = np.array_equal(found, enhance(samples, 16000, model=MODEL))
    require(same, "the example makes another file than Python where chunks come in another order")


def _check_refusals(program: Path, model: Path, wav: Path, out: Path) -> None:
    cut, deep = wav.with_name("cut.wav"), wav.with_name("deep.wav")
    cut.write_bytes(wav.read_bytes()[:-1000])
    soundfile.write(deep, np.zeros(100), 48000, "PCM_24")
    refused = {
        "usage:": [str(model)],
        "LIMIT_DB is 'much'": [str(model), str(wav), str(out), "much"],
        "cannot be": [str(model), str(wav.with_name("none.wav")), str(out)],
        "truncated": [str(model), str(cut), str(out)],
        "24-bit samples of format 1: convert it": [str(model), str(deep), str(out)],
        "not a WAV file": [str(model), str(model), str(out)],
        str(wav): [str(wav), str(wav), str(out)],
    }
    for words, arguments in refused.items():
        done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
        one_line = done.returncode == 2 and done.stderr.count("\n") == 1 and words in done.stderr
        require(one_line, f"the example answers {arguments} with {done.returncode}, {done.stderr!r}")
        require(not list(out.parent.glob(f"{out.name}*")), f"the example leaves an output of {arguments}")


def check_subproject(folder: Path, model: Path) -> str:
    """In a project of others: a static library, here without optimisation, and nothing that is installed."""
    source, build = folder / "project", folder / "project-build"
    source.mkdir()
    (source / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(theirs C)\n"
        f'add_subdirectory("{CORE.as_posix()}" percepnet)\n'
        f'add_executable(theirs "{(CONSUMER / "consumer.c").as_posix()}")\n'
        "target_link_libraries(theirs PRIVATE percepnet::percepnet)\n"
    )
    cmake(source, build, "CMAKE_BUILD_TYPE=Debug", f"CMAKE_INSTALL_PREFIX={folder / 'nothing'}")
    run(["cmake", "--install", str(build), "--config", "Debug"])
    installed = [path for path in (folder / "nothing").rglob("*") if path.is_file()]
    require(not installed, f"as a part of another project it installs {installed}")
    compare([str(build / "theirs")], folder, model)
    return "a static library without optimisation, nothing installed, the same bits"


# ---- Other systems, by zig ----

SYSTEMS = {
    "x86_64-windows-gnu": ["-shared", "-DPERCEPNET_BUILD"],
    "aarch64-linux-musl": ["-shared", "-fPIC"],
    "aarch64-macos": ["-shared"],
}


def check_system(target: str, at: "Workplace") -> str:
    """The core compiles and links for another system without a warning."""
    need_zig()
    made = at.folder("systems") / target
    files = map(str, SOURCES)
    run([*ZIG, "-target", target, *FLAGS, *STRICT[:3], *SYSTEMS[target], *INCLUDES, *files, "-o", str(made)])
    return "compiles and links without a warning"


def check_without_gnu(folder: Path, model: Path) -> str:
    """What a compiler without GNU extensions makes of the sources gives the same bits."""
    need_zig()
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise Missing("needs Linux on x86_64")
    made = folder / "consumer_without_gnu"
    files = [*map(str, SOURCES), str(CONSUMER / "consumer.c")]
    # that C library's own INFINITY is a number too large then
    flags = [*FLAGS, *STRICT[:3], "-Wno-literal-range", "-U__GNUC__", "-DPERCEPNET_STATIC"]
    run([*ZIG, "-target", "x86_64-linux-musl", "-static", *flags, *INCLUDES, *files, "-o", str(made)])
    compare([str(made)], folder, model)
    return "compiles without a warning, and makes what Python makes"


def check_msvc(folder: Path) -> str:
    """The sources in Clang's mode for MSVC, in which __GNUC__ is not defined.

    With the headers of MinGW, which define __attribute__ away there, as there are no others that may be passed on: that
    shows that no source needs what that compiler has not, and not that Microsoft's own headers and linker are content.
    """
    need_zig()
    import ziglang

    headers = Path(ziglang.__file__).parent / "lib"
    patch = folder / "mingw_for_msvc.h"  # where they put __declspec behind a declarator, which is MinGW's alone
    macros = ("__MINGW_ATTRIB_NORETURN", "__MINGW_ATTRIB_DEPRECATED")
    patch.write_text("#include <_mingw.h>\n" + "".join(f"#undef {name}\n#define {name}\n" for name in macros))
    system = ["-nostdinc", "-isystem", str(headers / "include")]
    system += ["-isystem", str(headers / "libc" / "include" / "any-windows-any"), "-include", str(patch)]
    flags = ["-target", "x86_64-windows-msvc", *system, *FLAGS, *STRICT[:3], *INCLUDES, "-DPERCEPNET_BUILD"]
    for source in SOURCES:
        run([*ZIG, *flags, "-c", str(source), "-o", str(folder / "msvc.o")])
    return "Clang's MSVC mode with MinGW's headers compiles without a warning"


def check_wasm(folder: Path, model: Path, *, simd: bool) -> str:
    """A WebAssembly module that imports nothing, and makes what Python makes."""
    need_zig()
    made = folder / f"percepnet{'_simd' if simd else ''}.wasm"
    flags = ["-target", "wasm32-wasi", "-mexec-model=reactor", *(["-mcpu=generic+simd128"] if simd else [])]
    flags += [*FLAGS, "-s", *STRICT[:3], "-Wl,--export-dynamic,--export=malloc,--export=free"]
    run([*ZIG, *flags, *INCLUDES, *map(str, SOURCES), "-o", str(made)])
    imported = wasm_imports(made.read_bytes())
    require(not imported, f"the WebAssembly module imports {imported}")
    said = f"{made.stat().st_size / 1000:.0f} kB, no imports"
    if shutil.which("node") is None:
        return f"{said}; not run, which needs node"
    compare(["node", str(CORE / "tests" / "wasm" / "enhance.mjs"), str(made)], folder, model)
    return f"{said}; makes what Python makes"


def wasm_imports(module: bytes) -> list[str]:
    """Modules and names in the import section of a WebAssembly module."""
    at = 8

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = module[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def name() -> str:
        nonlocal at
        length = number()
        at += length
        return module[at - length : at].decode()

    while at < len(module):
        section, length = number(), number()
        if section != 2:
            at += length
            continue
        names = []
        for _ in range(number()):
            names.append(f"{name()}.{name()}")
            require(module[at] == 0, f"{names[-1]} is no function, and a module that needs it runs in few places")
            at += 1
            number()
        return names
    return []


# ---- docs/c.md ----


def check_docs(library: Installed, folder: Path) -> str:
    """Every block of C and C++ in docs/c.md compiles as it stands; those that are whole programs are linked too."""
    blocks = re.findall(r"^```(c|cpp)\n(.*?)^```", (ROOT / "docs" / "c.md").read_text(), re.M | re.S)
    require(bool(blocks), "docs/c.md has no code")
    for i, (language, text) in enumerate(blocks):
        source = folder / f"block_{i}.{language}"
        source.write_text(text)
        flags = [*{"c": ["-std=c11"], "cpp": ["-std=c++11"]}[language], *STRICT, *library.pkg_config("--cflags")]
        link = library.pkg_config("--libs") if "int main(" in text else ["-c"]
        run([*compiler(language), *flags, str(source), "-o", str(folder / "block"), *link])
    return f"{len(blocks)} blocks of code compile"


# ---- All of them ----


class Workplace:
    """A folder in which the library is built once for all checks."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.model = ROOT / "src" / "percepnet" / "model" / "weights" / f"{MODEL}.safetensors"
        self._installed: dict[str, Installed] = {}

    def folder(self, name: str) -> Path:
        """A folder for the files of a check."""
        made = self.path / name
        made.mkdir(exist_ok=True)
        return made

    def library(self, kind: str) -> Installed:
        """The library of a kind, "shared" or "static"."""
        if kind not in self._installed:
            self._installed[kind] = install(self.folder(kind), is_shared=kind == "shared")
        return self._installed[kind]


HERE: dict[str, Callable[[Workplace], str]] = {
    "version": lambda _: check_version(),
    "flags": lambda at: check_flags(at.library("shared")),
    "symbols": lambda at: check_symbols(at.library("shared")),
    "find_package, shared": lambda at: check_find_package(at.library("shared"), at.folder("found shared")),
    "pkg-config, shared": lambda at: check_pkg_config(at.library("shared"), at.folder("pc shared")),
    "names, static": lambda at: check_names(at.library("static")),
    "find_package, static": lambda at: check_find_package(at.library("static"), at.folder("found static")),
    "pkg-config, static": lambda at: check_pkg_config(at.library("static"), at.folder("pc static")),
    "add_subdirectory": lambda at: check_subproject(at.folder("project"), at.model),
    "example": lambda at: check_example(at.library("shared"), at.folder("example")),
    "docs/c.md": lambda at: check_docs(at.library("shared"), at.folder("docs")),
}
# For other systems and compilers, which takes minutes where nothing has been compiled for them before.
ELSEWHERE: dict[str, Callable[[Workplace], str]] = {
    "without GNU": lambda at: check_without_gnu(at.folder("without gnu"), at.model),
    "MSVC mode": lambda at: check_msvc(at.folder("msvc")),
    **{system: partial(check_system, system) for system in SYSTEMS},
    "WebAssembly": lambda at: check_wasm(at.folder("wasm"), at.model, simd=False),
    "WebAssembly, SIMD": lambda at: check_wasm(at.folder("wasm"), at.model, simd=True),
}
CHECKS = HERE | ELSEWHERE


def main() -> None:
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        workplace = Workplace(Path(folder))
        for name, check in CHECKS.items():
            try:
                print(f"{name}: {check(workplace)}", flush=True)
            except Missing as missing:
                print(f"{name}: not checked: {missing}", flush=True)
            except (LibraryError, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"{name}: FAILED: {error}", flush=True)
    if failed:
        sys.exit(f"check_library: {failed} failed")


if __name__ == "__main__":
    main()
