"""Recipes: the settings of a training in a TOML file, so that a model can be made again with one command.

    preset = "small"
    seed = 2
    hours = 8
    speech = ["corpus/speech.jsonl"]

    [speech_weights]
    librivox = 2

    [mixing]
    room_share = 0.5

Every field of :class:`percepnet.training.config.Config` can stand in it. Paths are relative to the file.
"""

import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from percepnet.errors import PercepNetError
from percepnet.training.config import TABLES, Config

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLACES = ("speech", "noise", "rooms")
NOT_IN_A_RECIPE = ("out", "resume")  # of one run, not of all that are made alike


def read_recipe(path: Path) -> dict[str, Any]:
    """The settings in a recipe, as arguments for `Config`.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict

    Raises
    ------
    PercepNetError
        If the file cannot be read, or if a setting is unknown or of another type.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PercepNetError(f"cannot read the recipe {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise PercepNetError(f"{path}: not TOML ({error})") from error
    settings = _checked(path, "", found, Config, NOT_IN_A_RECIPE)
    for name, kind in TABLES.items():
        if name in settings:
            settings[name] = kind(**_checked(path, f"[{name}] ", settings[name], kind))
    for name in PLACES:
        if name in settings:
            settings[name] = tuple(str((path.parent / place).resolve()) for place in settings[name])
    return settings


def _checked(
    path: Path, where: str, found: dict[str, Any], kind: type[Any], forbidden: tuple[str, ...] = ()
) -> dict[str, Any]:
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind) if field.name not in forbidden]
    checked = {}
    for name, written in found.items():
        if name not in names:
            raise PercepNetError(f"{path}: {where}{name} is no setting; there are: {', '.join(names)}")
        default = next(field.default for field in fields(kind) if field.name == name)
        wanted = hints[name]
        value = tuple(written) if isinstance(written, list) and isinstance(default, tuple) else written
        if not _is_a(value, wanted, default):
            raise PercepNetError(f"{path}: {where}{name} is {value!r}, which is not of its type")
        checked[name] = value
    return checked


def _is_a(value: Any, wanted: Any, default: Any) -> bool:
    if default is MISSING or wanted in TABLES.values():
        return isinstance(value, dict)
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    options = get_args(wanted) or (wanted,)
    if not all(isinstance(option, type) for option in options):
        return value in options  # a choice of texts
    if isinstance(value, bool):
        return bool in options
    return isinstance(value, options) or (float in options and isinstance(value, int))
