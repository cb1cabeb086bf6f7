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
        If the file cannot be read, or if a setting is unknown or of another type.
    """
    found = renamed(read_toml(path, "recipe"))
    if forbidden := [name for name in NOT_IN_A_RECIPE if name in found]:
        raise PercepNetError(f"{path}: {forbidden[0]}: no such field; it is of one run, and given with it")
    config = convert({"out": ""} | found, Config, path)
    settings = {name: getattr(config, name) for name in found}
    for name in PLACES:
        if name in settings:
            settings[name] = tuple(str((path.parent / place).resolve()) for place in settings[name])
    return settings
