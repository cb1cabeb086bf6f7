"""Damage model files at random and load them: each is refused with one ModelError, or gives a model that works.

The core's own reader has to be of the same mind each time.

    python scripts/fuzz_model.py [--bytes 10000000] [--seed 1]

A file that does something else stays where it was made, and its path is printed; the same seed makes it again.
"""

import argparse
import ctypes
import json
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from percepnet import native
from percepnet.engine import open_stream
from percepnet.errors import ModelError
from percepnet.model import FORMAT, Architecture, Layer, Model
from percepnet.model.presets import article_network
from percepnet.params import FEATURE_SIZES, HOP_SAMPLES, SignalParams

HOPS = 6
MESSAGE_MAX = 255
SMALLEST = article_network(dense=2, conv1=2, conv2=2, gru=2, strength_gru=2)
EVERYTHING = Architecture(  # every kind of layer, and whatever a layer can say
    (
        Layer("in", "dense", ("features",), 6, "tanh"),
        Layer("wide", "convolution", ("in",), 8, "relu", "int8", 3, 2),
        Layer("deep", "convolution", ("wide",), 8, "linear", "float32", 4, 3, True),
        Layer("norm", "normalisation", ("deep",)),
        Layer("memory", "gru", ("norm",), 5, precision="int8"),
        Layer("scan", "gated_recurrence", ("norm",), 8, precision="int8"),
        Layer("residual", "sum", ("wide", "scan", "norm")),
        Layer("all", "concatenation", ("residual", "memory", "features")),
        Layer("gain", "dense", ("all",), "bands", "sigmoid"),
        Layer("strength", "dense", ("memory",), 5, "sigmoid"),
        Layer("voice", "dense", ("memory",), 1, "sigmoid", "int8"),
    ),
    {"gains": "gain", "strengths": "strength", "speech": "voice"},
)
EVERY_FEATURE = SignalParams(1, (0, 3, 9, 40, 200), 60.5, tuple(FEATURE_SIZES))
NUMBERS = (0, -1, 1, 2, 3, 127, 128, 255, 481, 482, 4096, 4097, 2**31 - 1, 2**31, 2**32, 2**63, 2**64, -(2**63), 10**30)
VALUES = (
    *NUMBERS,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    None,
    True,
    "",
    "\ud800",
    "é\0",
    [],
    [0],
    {},
    {"": []},
    "9" * 99,
    "bands",
    "features",
    "memory",
    "gain",
    "sum",
    "int8",
    "sigmoid",
    ["features"],
    ["in", "memory"],
)
PIECES = (
    *(
        '"',
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "0",
        "1",
        "-",
        ".",
        "e",
        "E+",
        "00",
        "1.0",
        "1e400",
        "9" * 400,
        "/",
        "//",
    ),
    *("null", "true", "NaN", "\\u0041", "\\ud800", "\\ud83c\\udfa4", "\\u0000", '"x":1,', '"x":{},', "", "", "", ""),
    *(" ", "\n", "\x7f", "\x1f", "\0", "é", "\ufeff", "\u2028", "\ud83c"),
)
DATA = np.random.default_rng(5).uniform(-0.5, 0.5, (1, HOPS * HOP_SAMPLES)).astype(np.float32)


class Tally(NamedTuple):
    """What came of how many files."""

    files: int
    bytes: int
    refused: int
    loaded: int


class Found(Exception):
    """A file that was neither refused nor of use."""


def originals() -> list[bytes]:
    """Files that are whole: one as small as can be, and one with layers of every kind and all features."""
    rng = np.random.default_rng(0)
    files = []
    for architecture, params in ((SMALLEST, SignalParams()), (EVERYTHING, EVERY_FEATURE)):
        shapes = architecture.shapes(params).items()
        weights = {name: rng.uniform(-0.5, 0.5, shape).astype(np.float32) for name, shape in shapes}
        files.append(Model(params, architecture, weights, {"version": "1"}).to_bytes())
    return files


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """One to three kinds of damage, most of it where the file says what it holds."""
    file = bytearray(whole)
    for _ in range(1 + rng.integers(2) * rng.integers(3)):
        DAMAGES[rng.integers(len(DAMAGES))](file, rng)
    return bytes(file)


def _header_bytes(file: bytearray) -> int:
    return 8 + struct.unpack("<Q", file[:8])[0] if len(file) >= 8 else len(file)


def _place(file: bytearray, rng: np.random.Generator) -> int:
    end = min(len(file), _header_bytes(file)) if rng.random() < 0.7 else len(file)
    return int(rng.integers(max(1, end)))


def _flip(file: bytearray, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 9)):
        if (place := _place(file, rng)) < len(file):
            file[place] ^= 1 << int(rng.integers(8))


def _overwrite(file: bytearray, rng: np.random.Generator) -> None:
    place = _place(file, rng)
    file[place : place + 8] = rng.bytes(int(rng.integers(1, 9)))


def _weights(file: bytearray, rng: np.random.Generator) -> None:
    """Other weights, most of which are as good."""
    start = _header_bytes(file)
    for _ in range(rng.integers(1, 5)):
        if start < len(file):
            file[int(rng.integers(start, len(file)))] ^= 1 << int(rng.integers(8))


def _extremes(file: bytearray, rng: np.random.Generator) -> None:
    """Numbers of single precision at the ends of their range, among the weights."""
    kinds = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 127.0, 1e10], dtype="<f4")
    start = _header_bytes(file)
    for _ in range(rng.integers(1, 9)):
        if start + 4 <= len(file):
            place = start + 4 * int(rng.integers((len(file) - start) // 4))
            file[place : place + 4] = kinds[rng.integers(len(kinds))].tobytes()


def _cut(file: bytearray, rng: np.random.Generator) -> None:
    del file[_place(file, rng) :]


def _remove(file: bytearray, rng: np.random.Generator) -> None:
    place = _place(file, rng)
    del file[place : place + int(rng.integers(1, 65))]


def _insert(file: bytearray, rng: np.random.Generator) -> None:
    place = _place(file, rng)
    file[place:place] = rng.bytes(int(rng.integers(1, 65)))


def _copy(file: bytearray, rng: np.random.Generator) -> None:
    source, place, length = _place(file, rng), _place(file, rng), int(rng.integers(1, 257))
    file[place : place + length] = file[source : source + length]


def _length(file: bytearray, rng: np.random.Generator) -> None:
    near = _header_bytes(file) - 8 + int(rng.integers(-9, 10))
    file[:8] = struct.pack("<Q", (near if rng.random() < 0.5 else int(rng.choice(NUMBERS[:-1]))) % 2**64)


def _fields(file: bytearray, rng: np.random.Generator) -> None:
    """A header that is whole again, with other values in it, or without some: of a tensor, or of the model's own."""
    try:
        header = json.loads(file[8 : _header_bytes(file)])
        own = json.loads(header["__metadata__"][FORMAT])
        _change(own if rng.random() < 0.6 else header, rng)
        if isinstance(header.get("__metadata__"), dict) and rng.random() < 0.9:
            header["__metadata__"][FORMAT] = json.dumps(own)
        text = json.dumps(header).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return  # damaged before
    file[: _header_bytes(file)] = struct.pack("<Q", len(text)) + text


def _text(file: bytearray, rng: np.random.Generator) -> None:
    """A header that is whole, and in it a text of the model's own that may not be."""
    try:
        header = json.loads(file[8 : _header_bytes(file)])
        text = header["__metadata__"][FORMAT]
        place, end, piece = (int(rng.integers(len(text))), int(rng.integers(1, 30)), PIECES[rng.integers(len(PIECES))])
        behind = (text[place:], text[place + 1 :], text[place + end :], text[place : place + end] + text[place:])
        header["__metadata__"][FORMAT] = text[:place] + piece + behind[rng.integers(len(behind))]
        text = json.dumps(header).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return  # damaged before
    file[: _header_bytes(file)] = struct.pack("<Q", len(text)) + text


def _change(value: Any, rng: np.random.Generator) -> None:
    while isinstance(value, dict | list) and value:
        key = list(value)[rng.integers(len(value))] if isinstance(value, dict) else int(rng.integers(len(value)))
        if isinstance(value[key], dict | list) and value[key] and rng.random() < 0.8:
            value = value[key]
            continue
        if rng.random() < 0.2:
            del value[key]
        else:
            value[key] = VALUES[rng.integers(len(VALUES))]
        return


DAMAGES: tuple[Callable[[bytearray, np.random.Generator], None], ...] = (
    _flip,
    _overwrite,
    _weights,
    _weights,
    _extremes,
    _cut,
    _remove,
    _insert,
    _copy,
    _length,
    _fields,
    _fields,
    _text,
    _text,
)


def core_refuses(content: bytes) -> str | None:
    """Why the core's own reader refuses a file; None if it takes it."""
    core, error = native.library(), native.Error()
    model = core.percepnet_model_load_for(content, len(content), None, ctypes.byref(error))
    if model:
        core.percepnet_model_destroy(model)
        return None
    return str(error)


def attempt(content: bytes) -> bool:
    """Load a file, and use what is loaded.

    Returns
    -------
    bool
        Whether it was a model.

    Raises
    ------
    Found
        If anything but a model or a ModelError of one line came out, or if the core is of another mind.
    """
    refused = core_refuses(content)
    try:
        model = Model.from_bytes(content)
    except ModelError as error:
        for message in (str(error), refused or ""):
            if not message.isprintable() or len(message.encode()) > MESSAGE_MAX:
                raise Found(f"a message that is not one short line: {message}") from error
        if not refused:
            raise Found(f"the core takes it, although: {error}") from error
        return False
    except BaseException as error:
        raise Found(f"loading: {type(error).__name__}: {error}") from error
    if refused is not None:
        raise Found(f"only the core refuses it: {refused}")
    try:
        output = open_stream(model).process(DATA)
    except Exception as error:
        raise Found(f"enhancing: {type(error).__name__}: {error}") from error
    if not np.isfinite(output).all() or not all(np.isfinite(weight).all() for weight in model.weights.values()):
        raise Found("enhancing gives what is no number")
    return True


def fuzz(total_bytes: int, seed: int, folder: Path, show: Callable[[Tally], None] = lambda tally: None) -> Tally:
    """Damage and try files until they have so many bytes together.

    Raises
    ------
    Found
        With the file's path, at the first one that is neither refused nor of use. A crash leaves the file too.
    """
    rng = np.random.default_rng(seed)
    whole = originals()
    path = folder / "damaged.safetensors"
    tally = Tally(0, 0, 0, 0)
    while tally.bytes < total_bytes:
        content = damaged(whole[rng.integers(len(whole))], rng)
        path.write_bytes(content)
        try:
            loaded = attempt(content)
        except Found as found:
            raise Found(f"{path}: {found}") from found
        tally = Tally(tally.files + 1, tally.bytes + len(content), tally.refused + (not loaded), tally.loaded + loaded)
        show(tally)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=float, default=1e7, help="of damaged files, all together")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="percepnet-fuzz-"))
    print(f"a file that crashes stays in {folder}", flush=True)
    started = time.perf_counter()
    try:
        tally = fuzz(int(arguments.bytes), arguments.seed, folder)
    except Found as found:
        traceback.print_exception(found.__cause__)
        sys.exit(str(found))
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    seconds = time.perf_counter() - started
    print(
        f"{tally.files} files, {tally.bytes} bytes in {seconds:.0f} s: {tally.refused} refused, {tally.loaded} of use"
    )


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning is not one line that says what to do
        main()
