"""The C library, built, installed and used as others do it: scripts/check_library.py, check by check."""

import pytest

pytest.importorskip("hatchling", reason="the flags of the build are compared: pip install 'percepnet[wheels]'")

import check_library
from check_library import HERE, LibraryError, Missing, wasm_imports


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
def test_the_library_is_what_it_promises(library_workplace, name):
    try:
        HERE[name](library_workplace)
    except Missing as missing:
        pytest.skip(str(missing))


def test_a_header_of_another_version_is_found(monkeypatch):
    monkeypatch.setattr("percepnet.__version__", "0.0.1")
    with pytest.raises(LibraryError, match=r"percepnet.h is of version .*, and the package is 0.0.1"):
        check_library.check_version()


def test_a_library_that_exports_more_than_its_header_is_found(library_workplace, monkeypatch):
    try:
        library = library_workplace.library("shared")
        monkeypatch.setattr(check_library, "declared", lambda: {"percepnet_version"})
        with pytest.raises(LibraryError, match=r"exports .*percepnet_abi.* too much or too little"):
            check_library.check_symbols(library)
    except Missing as missing:
        pytest.skip(str(missing))


def test_imports_of_a_module_are_found():
    body = b"\x01" + b"\x03env" + b"\x03now" + b"\x00" + b"\x00"
    module = b"\0asm\1\0\0\0" + b"\x01\x04\x01\x60\x00\x00" + b"\x02" + bytes([len(body)]) + body
    assert wasm_imports(module) == ["env.now"]
    assert wasm_imports(b"\0asm\1\0\0\0") == []
