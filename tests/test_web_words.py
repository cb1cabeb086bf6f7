"""The WebAssembly build's snprintf, compiled for this machine, says what the C library's says."""

import ctypes
import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core" / "src"
SIZE = 64
KNOWN = {"s", "d", "ld", "lld", "llu", "zu", "g", ".0f", "%"}
CONVERSION = re.compile(r"%(\.\d+)?(s|d|ld|lld|llu|zu|g|f|%)")
COMPILER = shutil.which("cc")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    made = tmp_path_factory.mktemp("words") / "format.so"
    renamed = ["-Dsnprintf=percepnet_snprintf", "-Dvsnprintf=percepnet_vsnprintf"]
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined", "-fno-sanitize-recover"]
    source = ROOT / "web" / "wasm" / "format.c"
    subprocess.run([COMPILER, *flags, *renamed, "-shared", "-fPIC", source, "-o", made, "-lm"], check=True)
    return ctypes.CDLL(str(made)).percepnet_snprintf


def said(function, template, *values, size=SIZE):
    text = ctypes.create_string_buffer(b"\x7f" * SIZE, SIZE)
    length = function(text, ctypes.c_size_t(size), template.encode(), *values)
    return length, text.raw[:size].split(b"\0")[0]


def both(ours, template, *values, size=SIZE):
    return said(ours, template, *values, size=size), said(ctypes.CDLL(None).snprintf, template, *values, size=size)


@pytest.mark.parametrize(
    ("template", "kind", "values"),
    [
        ("<%d>", ctypes.c_int, [0, 7, -1, 2**31 - 1, -(2**31)]),
        ("<%ld>", ctypes.c_long, [0, -48000, 2**31 - 1]),
        ("<%lld>", ctypes.c_longlong, [0, 2**63 - 1, -(2**63)]),
        ("<%llu>", ctypes.c_ulonglong, [0, 2**64 - 1]),
        ("<%zu>", ctypes.c_size_t, [0, 123456789]),
        ("<%s>", ctypes.c_char_p, [b"", b"layers.gru1", b"x" * 100]),
        ("<%.3s>", ctypes.c_char_p, [b"", b"ab", b"abcdef"]),
        ("<%.0f>", ctypes.c_double, [0.0, 0.5, 1.5, 12345678901.0, -3.0]),
        ("100 %% of <%d>", ctypes.c_int, [3]),
    ],
)
def test_words_and_integers(ours, template, kind, values):
    for value in values:
        one, other = both(ours, template, kind(value))
        assert one == other


def test_numbers(ours):
    drawn = np.random.default_rng(3)
    values = [0.0, -0.0, 1.0, 0.3, 1e-4, 1.5e-5, 99999.5, 999999.5, 1e6, 1e300, 2.5e-300, 120.0, 1e9, -7.25, 1 / 3]
    values += [math.inf, -math.inf, math.nan, float(np.float32(0.1)), *drawn.normal(size=50)]
    values += [float(f"{digits}e{power}") for digits in drawn.integers(1, 1000, 40) for power in (-9, -5, -3, 0, 2, 6)]
    for value in values:
        one, other = both(ours, "<%g>", ctypes.c_double(value))
        assert one == other, value


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_what_is_too_long_is_cut(ours, size):
    one, other = both(ours, "%s%d", b"abc", ctypes.c_int(42), size=size)
    assert one == other


def test_it_knows_what_the_messages_use():
    found = set()
    for path in sorted(CORE.rglob("*.[ch]")):
        code = re.sub(r"\b(sscanf|__asm__)\b[^;]*;", "", path.read_text(encoding="utf-8"))
        for text in re.findall(r'"((?:[^"\\\n]|\\.)*)"', code):
            if "%" in text:
                left = CONVERSION.sub("", text)
                assert not re.search(r"%\S", left), f"{path.name}: {text}"
                found |= {(p if c == "f" else "") + c for p, c in CONVERSION.findall(text)}
    assert {"s", "d", "g"} <= found <= KNOWN
