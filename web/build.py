"""Build the npm package and the demo: the library as WebAssembly, TypeScript, models.

    pip install ziglang && python web/build.py          # into web/dist and src/percepnet/web/site
    python web/build.py --wasm                          # only the binaries, which needs no npm
    cd web && npm pack && cd echo && npm pack           # percepnet, and percepnet-echo with what a far end needs

The binaries are the same to the bit wherever they are built with the same ziglang; their hashes are printed.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

WEB = Path(__file__).resolve().parent
CORE = WEB.parent / "core"
MODELS = WEB.parent / "src" / "percepnet" / "model" / "weights"
EXAMPLE = WEB.parent / "examples" / "clips" / "noisy" / "helicopter_male.flac"
DIST = WEB / "dist"
SITE = WEB.parent / "src" / "percepnet" / "web" / "site"
BINARIES = {"percepnet.wasm": "simd128", "percepnet-relaxed.wasm": "simd128+relaxed_simd"}
# for pages that say what their loudspeaker plays; the others would fetch it for nothing
ECHO_BINARIES = {"percepnet-echo.wasm": "simd128", "percepnet-echo-relaxed.wasm": "simd128+relaxed_simd"}
WITHOUT_FAR_END = ("echo*.c", "canceller.c")
RESIDUAL = "residual.safetensors"
# Inner loops are compiled for speed, all else for size: it has to be fetched. Unrolled loops would be no faster, and
# what is linked as one (-flto) leaves out what no caller asks for: together 1.7 kB less in brotli.
FOR_SPEED = "kernels"
FLAGS = [
    "-std=c11",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-unroll-loops",
    "-fvisibility=hidden",
    "-DPERCEPNET_STATIC",
    "-Wall",
    "-Wextra",
    "-Werror",
]
FLAGS += [f"-I{CORE / 'include'}", f"-I{CORE / 'src'}"]
# those of wasm/: the C library's would be an eighth of the binary
OURS = ("snprintf", "vsnprintf", "memcmp", "strlen", "strcmp", "strchr", "strstr")
FLAGS += [f"-D{name}=percepnet_{name}" for name in OURS]
# or the compiler sees in a loop what it is, and calls the C library after all
FLAGS += [f"-fno-builtin-{name}" for name in ("memcmp", "strlen")]
STACK_BYTES = 1 << 20


def run(command: list[str], folder: Path = WEB) -> None:
    """Run a command, and end with its words if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} … failed:\n{done.stdout}{done.stderr}")


def build_wasm(made: Path, instructions: str, *, far_end: bool) -> None:
    """Compile the library for some of WebAssembly's instructions."""
    found = sorted((CORE / "src").rglob("*.c"))
    flags = FLAGS
    if not far_end:
        flags = [*FLAGS, "-DPERCEPNET_WITHOUT_FAR_END"]
        found = [path for path in found if not any(path.match(name) for name in WITHOUT_FAR_END)]
    fast = [path for path in found if path.parent.name == FOR_SPEED]
    small = [path for path in found if path not in fast] + sorted((WEB / "wasm").glob("*.c"))
    fresh = made.with_suffix(".part")
    command = [sys.executable, "-m", "ziglang", "build-exe", "-target", "wasm32-wasi", "-mexec-model=reactor"]
    command += [f"-mcpu=generic+{instructions}", "-O", "ReleaseSmall", "-flto", "-fstrip", "-lc"]
    command += ["--stack", str(STACK_BYTES)]
    command += ["--name", made.stem, f"-femit-bin={fresh}"]
    # -O3 would be a hundredth faster, and four hundred bytes more
    for level, files in (("-O2", fast), ("-Oz", small)):
        command += ["-cflags", *flags, level, "--", *map(str, files)]
    run(command)
    fresh.chmod(0o644)
    fresh.replace(made)


def build_binaries() -> None:
    """All binaries, into dist."""
    if find_spec("ziglang") is None:
        sys.exit("building WebAssembly needs zig: pip install ziglang")
    DIST.mkdir(exist_ok=True)
    for name, instructions in (BINARIES | ECHO_BINARIES).items():
        build_wasm(DIST / name, instructions, far_end=name in ECHO_BINARIES)
        content = (DIST / name).read_bytes()
        print(f"{name}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}", flush=True)


def npx(*command: str) -> None:
    """Run a tool of the package's own node_modules."""
    run(["npx", "--no-install", *command])


def build_package() -> None:
    """TypeScript, the worklet as one file, and models, into dist."""
    if shutil.which("npm") is None:
        sys.exit("building the package needs Node.js with npm")
    if not (WEB / "node_modules").is_dir():
        run(["npm", "ci", "--no-audit", "--no-fund"])
    npx("tsc", "-p", "tsconfig.json")
    for left in DIST.glob("worklet.*"):
        left.unlink()
    worklet = ["src/worklet.ts", "--bundle", "--format=iife", "--target=es2021", "--minify-syntax"]
    npx("esbuild", *worklet, f"--outfile={DIST / 'worklet.js'}")
    shutil.copyfile(WEB.parent / "LICENSE", DIST / "LICENSE")
    for model in ("small", "default"):
        shutil.copyfile(MODELS / f"{model}.safetensors", DIST / f"{model}.safetensors")
    shutil.copyfile(MODELS / "echo" / RESIDUAL, DIST / RESIDUAL)
    for name in ("LICENSE", *ECHO_BINARIES, RESIDUAL):
        shutil.copyfile(DIST / name, WEB / "echo" / name)


def build_site() -> None:
    """The demo as files that any web server can serve, where `percepnet web` looks for it."""
    shutil.rmtree(SITE, ignore_errors=True)
    SITE.mkdir()
    for path in sorted((WEB / "demo").iterdir()):
        if path.suffix in (".html", ".css", ".svg"):
            shutil.copyfile(path, SITE / path.name)
    shutil.copyfile(EXAMPLE, SITE / "example.flac")
    bundle = ["demo/main.ts", "--bundle", "--format=esm", "--target=es2021", "--minify"]
    npx("esbuild", *bundle, f"--outfile={SITE / 'main.js'}")
    for name in (*BINARIES, "worklet.js", "small.safetensors"):
        shutil.copyfile(DIST / name, SITE / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--wasm", action="store_true", help="build the binaries, and nothing else")
    parser.add_argument("--no-wasm", action="store_true", help="keep the binaries that are there")
    arguments = parser.parse_args()
    if not arguments.no_wasm:
        build_binaries()
    if not arguments.wasm:
        build_package()
        build_site()


if __name__ == "__main__":
    main()
