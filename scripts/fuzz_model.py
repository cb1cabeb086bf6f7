"""Damage model files at random and load them: each is refused with one ModelError, or gives a model that works.

The core reads each of them too, and takes and refuses the same ones.

    python scripts/fuzz_model.py [--bytes 10000000] [--seed 1]

A file that does something else stays where it was made, and its path is printed; the same seed makes it again.
"""

import argparse
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
from percepnet.engine import CORE, engine, open_stream
from percepnet.errors import ModelError
from percepnet.model import FORMAT, PRESETS, Architecture, Layer, Model, article_network, load_model, save_model
from percepnet.params import FEATURE_SIZES, HOP_SAMPLES, SignalParams

HOPS = 6
SMALLEST_SIZES = {"dense": 2, "conv1": 2, "conv2": 2, "gru": 2, "strength_gru": 2}
SMALLEST = article_network(**SMALLEST_SIZES)
EVERY_KIND = Architecture(
    (
        Layer("first", "dense", ("features",), 3, "relu"),
        Layer("short", "convolution", ("first",), 3, "tanh", "int8", 2, 2),
        Layer("alone", "convolution", ("short",), 3, "linear", "float32", 3, 1, True),
        Layer("both", "sum", ("short", "alone")),
        Layer("even", "normalisation", ("both",)),
        Layer("slow", "gru", ("even",), 2, precision="int8"),
        Layer("quick", "gated_recurrence", ("even",), 2, precision="int8"),
        Layer("all", "concatenation", ("slow", "quick")),
        Layer("gain", "dense", ("all",), "bands", "sigmoid"),
        Layer("strength", "dense", ("all",), "bands", "sigmoid"),
        Layer("voice", "dense", ("slow",), 1, "sigmoid"),
    ),
    {"gains": "gain", "strengths": "strength", "speech": "voice"},
)
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
)
SHARES = (0.3, 0.2, 0.35, 0.15)  # of the originals, the largest of which is ten times as large
DATA = np.random.default_rng(5).uniform(-0.5, 0.5, (1, HOPS * HOP_SAMPLES)).astype(np.float32)


class Tally(NamedTuple):
    """What came of how many files."""

    files: int
    bytes: int
    refused: int
    loaded: int


class Found(Exception):
    """A file that was neither refused nor of use."""


def originals(folder: Path) -> list[bytes]:
    """Files that are whole: two as small as can be, of formats 1 and 2, one of every kind, and one of preset "tiny"."""
    rng = np.random.default_rng(0)
    files = []
    for params, architecture in (
        (SignalParams(), SMALLEST),
        (SignalParams(1, (0, 8, 40, 400), 30.0, tuple(FEATURE_SIZES)), EVERY_KIND),
        (SignalParams(), PRESETS["tiny"]),
    ):
        shapes = architecture.shapes(params).items()
        weights = {name: rng.uniform(-0.5, 0.5, shape).astype(np.float32) for name, shape in shapes}
        path = folder / "original.safetensors"
        save_model(Model(params, architecture, weights, {"version": "1"}), path)
        files.append(path.read_bytes())
    return [files[0], _as_format_1(files[0]), *files[1:]]


def _as_format_1(whole: bytes) -> bytes:
    """The smallest file as the first format said it: its tensors have the same names and shapes."""
    header = json.loads(whole[8 : _header_bytes(bytearray(whole))])
    own = json.loads(header["__metadata__"][FORMAT])
    params = {name: own["signal"][name] for name in ("lookahead_frames", "band_edges")}
    first = {"format_version": 1, "params": params, "architecture": SMALLEST_SIZES, "info": own["info"]}
    header["__metadata__"][FORMAT] = json.dumps(first)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + whole[_header_bytes(bytearray(whole)) :]


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """One to three kinds of damage, most of it where the file says what it holds."""
    file = bytearray(whole)
    for _ in range(rng.integers(1, 4)):
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

    def change(header: Any, own: Any) -> tuple[Any, Any]:
        _change(own if rng.random() < 0.6 else header, rng)
        return header, own

    _rewrite(file, change, keep=rng.random() < 0.1)


def _respell(file: bytearray, rng: np.random.Generator) -> None:
    """A header that says the same: in another order, with other white space and with keys that nobody knows."""

    def respelt(value: Any, more: float) -> Any:
        if isinstance(value, list):
            return [respelt(entry, more) for entry in value]
        if not isinstance(value, dict):
            return value
        members = [(key, respelt(entry, more)) for key, entry in value.items()]
        rng.shuffle(members)  # type: ignore[arg-type]
        if rng.random() < more:
            members.append((f"x_{rng.integers(9)}", VALUES[rng.integers(len(VALUES))]))
        return dict(members)

    indent = 1 if rng.random() < 0.2 else None
    _rewrite(file, lambda header, own: (respelt(header, 0), respelt(own, 0.05)), indent=indent)


def _rewrite(
    file: bytearray, change: Callable[[Any, Any], tuple[Any, Any]], *, keep: bool = False, indent: int | None = None
) -> None:
    """Let `change` change the header and what it says of the model; with `keep` the latter stays."""
    try:
        header = json.loads(file[8 : _header_bytes(file)])
        own = json.loads(header["__metadata__"][FORMAT])
        header, own = change(header, own)
        if isinstance(header.get("__metadata__"), dict) and not keep:
            header["__metadata__"][FORMAT] = json.dumps(own, indent=indent)
        text = json.dumps(header, indent=indent).encode()
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
    _extremes,
    _extremes,
    _cut,
    _remove,
    _insert,
    _copy,
    _length,
    _fields,
    _fields,
    _fields,
    _respell,
    _respell,
)


def _refused_by_core(path: Path) -> str | None:
    """Why the core refuses a file, "" if it takes it, None if there is no core."""
    if engine() != CORE:
        return None
    try:
        native.check_model(path.read_bytes())
    except ModelError as error:
        if not str(error) or "\n" in str(error):
            raise Found(f"not one line of the core's: {error}") from error
        return str(error)
    return ""


def attempt(path: Path) -> bool:
    """Load a file, and use what is loaded.

    Returns
    -------
    bool
        Whether it was a model.

    Raises
    ------
    Found
        If anything but a model or a ModelError of one line came out, or if Python and the core do not agree.
    """
    refused_by_core = _refused_by_core(path)
    try:
        model = load_model(path)
    except ModelError as error:
        if "\n" in str(error):
            raise Found(f"a message of several lines: {error}") from error
        if refused_by_core == "":
            raise Found(f"the core takes what Python refuses: {error}") from error
        return False
    except BaseException as error:
        raise Found(f"loading: {type(error).__name__}: {error}") from error
    if refused_by_core:
        raise Found(f"Python takes what the core refuses: {refused_by_core}")
    try:
        output = open_stream(model).process(DATA)
    except Exception as error:
        raise Found(f"enhancing: {type(error).__name__}: {error}") from error
    if not np.isfinite(output).all():
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
    whole = originals(folder)
    path = folder / "damaged.safetensors"
    tally = Tally(0, 0, 0, 0)
    while tally.bytes < total_bytes:
        content = damaged(whole[rng.choice(len(whole), p=SHARES)], rng)
        path.write_bytes(content)
        try:
            loaded = attempt(path)
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
