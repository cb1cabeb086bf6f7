import importlib.util
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling")

import hatch_build
import wheels
from hatch_build import TARGETS, VARIABLE
from wheels import WheelError, build, declared, look_into, runs_here

needs_zig = pytest.mark.skipif(
    not (importlib.util.find_spec("ziglang") and importlib.util.find_spec("lief")),
    reason="needs ziglang and lief: pip install percepnet[wheels]",
)
LINUX = "manylinux_2_17_x86_64"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(LINUX, tmp_path_factory.mktemp("wheels"))


def rewritten(wheel: Path, folder: Path, name: str, content: bytes | None, target: str = LINUX) -> Path:
    """The same wheel with another file in it, or without one."""
    changed = folder / wheel.name.replace(LINUX, target)
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(changed, "w") as new:
        for entry in old.namelist():
            if entry != name:
                new.writestr(entry, old.read(entry))
        if content is not None:
            new.writestr(name, content)
    return changed


def test_an_unknown_target_is_refused(tmp_path):
    with pytest.raises(WheelError, match=rf"{VARIABLE} is 'amiga': choose from manylinux"):
        build("amiga", tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_header_declares_what_the_core_exports():
    assert {
        "percepnet_abi",
        "percepnet_model_load",
        "percepnet_stream_process",
        "percepnet_stream_inspect",
    } <= declared()
    assert "percepnet_options" not in declared()


def test_platforms_have_names_that_installers_know():
    packaging = pytest.importorskip("packaging.tags")
    known = {tag.platform for tag in packaging.sys_tags()}
    here = runs_here(TARGETS)
    assert here is None or here in known
    for target, zig in TARGETS.items():
        arm = target.endswith(("aarch64", "arm64"))
        assert zig.startswith("aarch64" if arm else "x86_64")


@pytest.mark.slow
@needs_zig
def test_a_wheel_is_what_its_name_says(wheel):
    assert LINUX in look_into(wheel)


@pytest.mark.slow
@needs_zig
def test_wheels_are_reproducible_and_leave_this_machines_library_alone(wheel, tmp_path):
    library = Path(wheels.ROOT, hatch_build.LIBRARY)
    before = library.stat().st_mtime_ns if library.exists() else None
    assert build(LINUX, tmp_path).read_bytes() == wheel.read_bytes()
    assert (library.stat().st_mtime_ns if library.exists() else None) == before


@needs_zig
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("percepnet/model/weights/default.safetensors", None, "default.safetensors is missing"),
        ("percepnet/py.typed", None, "py.typed is missing"),
        ("percepnet/_core.so", None, r"its libraries are \[\]"),
        ("percepnet/_core.dll", b"", "its libraries are"),
        ("percepnet/_core.so", b"no library", "is no library"),
        ("tests/test_core.py", b"", "do not belong in it"),
    ],
)
def test_what_is_wrong_in_a_wheel_is_found(wheel, tmp_path, name, content, words):
    with pytest.raises(WheelError, match=words):
        look_into(rewritten(wheel, tmp_path, name, content))


@needs_zig
def test_a_core_for_another_machine_is_found(wheel, tmp_path):
    target = "manylinux_2_17_aarch64"
    with zipfile.ZipFile(wheel) as archive:
        name = next(entry for entry in archive.namelist() if entry.endswith("/WHEEL"))
        content = archive.read(name).replace(LINUX.encode(), target.encode())
    with pytest.raises(WheelError, match="its core is for X86_64"):
        look_into(rewritten(wheel, tmp_path, name, content, target))


@needs_zig
@pytest.mark.parametrize(("pattern", "words"), [("libm", "needs"), ("glibc", r"needs \['GLIBC")])
def test_what_a_core_asks_of_its_system_is_found(wheel, monkeypatch, pattern, words):
    if pattern == "libm":
        monkeypatch.setitem(wheels.LIBRARIES, "manylinux", r"libm\.so\.6")
    else:
        monkeypatch.setattr(wheels, "GLIBC_MAX", (2, 2))
    with pytest.raises(WheelError, match=words):
        look_into(wheel)
