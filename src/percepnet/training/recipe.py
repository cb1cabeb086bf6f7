"""Recipes: the settings of a training in a TOML file, so that a model can be made again with one command.

    preset = "small"
    seed = 2
    hours = 8
    speech = ["corpus/speech.jsonl"]

    [speech_weights]
    librivox = 2

    [mixing]
    room_share = 0.5

Every field of :class:`percepnet.training.config.Config` can stand in it. Paths are relative to the file. A recipe that
differs from another in a few settings names it, ``extends = "other.toml"``, and has those alone; of several,
``extends = ["one.toml", "other.toml"]``, each goes over those before it.
"""

from pathlib import Path
from typing import Any

from percepnet.errors import PercepNetError
from percepnet.training.config import Config, renamed
from percepnet.typed import convert, read_toml

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
        If a file cannot be read, if a setting is unknown or of another type, or if a recipe extends itself.
    """
    found = _settings(path, ())
    config = convert({"out": ""} | found, Config, path)
    return {name: getattr(config, name) for name in found}


def _settings(path: Path, extending: tuple[Path, ...]) -> dict[str, Any]:
    """What stands in a recipe and in those that it extends, with absolute paths."""
    found = renamed(read_toml(path, "recipe"))
    extended = found.pop("extends", None)
    if forbidden := [name for name in NOT_IN_A_RECIPE if name in found]:
        raise PercepNetError(f"{path}: {forbidden[0]}: no such field; it is of one run, and given with it")
    config = convert({"out": ""} | found, Config, path)
    for name in PLACES:
        if name in found:
            found[name] = [str((path.parent / place).resolve()) for place in getattr(config, name)]
    names = [] if extended is None else extended if isinstance(extended, list) else [extended]
    extending = (*extending, path.resolve())
    settings: dict[str, Any] = {}
    for name in names:
        if not isinstance(name, str):
            raise PercepNetError(f"{path}: extends is {extended!r}: expected the name of another recipe, or several")
        other = path.parent / name
        if other.resolve() in extending:
            raise PercepNetError(f"{path}: extends {name!r}, which extends it in turn")
        settings = _over(settings, _settings(other, extending))
    return _over(settings, found)


def _over(settings: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """Settings, over which others go; in tables each by itself."""
    both = {
        name: _over(settings[name], value)
        if isinstance(value, dict) and isinstance(settings.get(name), dict)
        else value
        for name, value in others.items()
    }
    return settings | both
