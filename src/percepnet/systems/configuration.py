"""Further systems from a TOML file, without a line of code::

[[system]]
name = "deepfilter"
command = "deep-filter-to {in} {out}"    # reads one WAV file, writes another
rate_hz = 48000

[[system]]
name = "gtcrn"
onnx = "gtcrn_simple.onnx"               # a waveform in and out, or a spectrum frame by frame, with states
rate_hz = 16000
"""

import shlex
import shutil
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec

from percepnet.errors import PercepNetError
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.systems.command import run_command
from percepnet.systems.digest import digest, package_files
from percepnet.systems.onnx import onnx_process
from percepnet.systems.rate import at_rate
from percepnet.systems.system import System
from percepnet.typed import convert, read_toml


class Table(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One `[[system]]`.

    Parameters
    ----------
    name : str
    command : str or None
        With the words ``{in}`` and ``{out}``, which become WAV files.
    onnx : str or None
        A file beside the configuration, instead of a command.
    rate_hz : int
        That the system is given.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, pattern="^[^,]*$")]
    command: str | None = None
    onnx: str | None = None
    rate_hz: Annotated[int, msgspec.Meta(ge=8000, le=192_000)] = SAMPLE_RATE_HZ


class Configuration(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A whole file."""

    system: list[Table]


def configured_systems(config: Path, taken: Collection[str]) -> dict[str, System]:
    """The systems of a configuration, by name.

    Parameters
    ----------
    config : path
    taken : collection of str
        Names that there are already.

    Raises
    ------
    PercepNetError
        If the file cannot be read or is not like that, or a name is taken.
    """
    systems: dict[str, System] = {}
    for table in convert(read_toml(config, "systems"), Configuration, config).system:
        if table.name in taken or table.name in systems:
            raise PercepNetError(f"{config}: there is a system {table.name!r} already: give another name")
        systems[table.name] = _system(table, config)
    return systems


def _system(table: Table, config: Path) -> System:
    if (table.command is None) == (table.onnx is None):
        raise PercepNetError(f"{config}: system {table.name!r} needs either command or onnx")
    if table.onnx is not None:
        path = config.parent / table.onnx
        return System(
            table.name,
            lambda _model: at_rate(table.rate_hz, onnx_process(path)),
            "onnxruntime",
            version=lambda _model: digest(repr(table), [path, *package_files("onnxruntime")]),
        )
    words = shlex.split(table.command or "")
    if not {"{in}", "{out}"} <= set(words):
        raise PercepNetError(f"{config}: the command of {table.name!r} needs the words {{in}} and {{out}}")
    return System(
        table.name,
        lambda _model: at_rate(table.rate_hz, partial(run_command, words, table.rate_hz)),
        "",
        version=lambda _model: digest(repr(table), _files(words)),
    )


def _files(words: list[str]) -> list[Path]:
    """The program of a command, and the files that it is given by name: weights, scripts, settings."""
    program = shutil.which(words[0])
    return [Path(place) for place in (program, *words[1:]) if place and Path(place).is_file()]
