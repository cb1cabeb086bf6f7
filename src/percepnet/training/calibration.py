"""Gains that are set right after the training, band by band, by what comes out of it."""

from collections.abc import Mapping

import numpy as np

from percepnet.errors import PercepNetError
from percepnet.model import Model

# The training counts errors of gains; a listener hears what is left of the noise, and what is lost of the speech. Where
# speech has little to lose, gains may be lower than the training makes them, and elsewhere higher.


def calibrated(model: Model, shifts: Mapping[range, float]) -> Model:
    """The same network whose gains are higher or lower in some bands.

    Parameters
    ----------
    model : Model
    shifts : mapping of range to float
        Bands, counted from 0, and what is added to the logits of their gains: -0.8 makes 0.5 of them 0.31, and
        0.95 of them 0.895.

    Returns
    -------
    Model

    Raises
    ------
    PercepNetError
        For bands that there are not.
    """
    name = f"{model.architecture.heads['gains']}.bias"
    bias = np.array(model.weights[name])
    for bands, shift in shifts.items():
        if not bands or bands.start < 0 or bands.stop > model.params.bands:
            raise PercepNetError(f"bands {bands.start} to {bands.stop - 1}: there are 0 to {model.params.bands - 1}")
        bias[bands.start : bands.stop] += np.float32(shift)
    return Model(model.params, model.architecture, {**model.weights, name: bias}, model.info)


def with_bin_level(model: Model, level_db: float) -> Model:
    """The same network whose network for bins leaves all of them louder, or softer.

    No measure that it is trained by hears the level, and it leaves speech softer than it was.

    Parameters
    ----------
    model : Model
    level_db : float
        By which the factors of all bins are to be higher.

    Returns
    -------
    Model

    Raises
    ------
    PercepNetError
        If the model has none.
    """
    if not level_db:
        return model
    if not model.architecture.has_bins:
        raise PercepNetError("the model has no network for bins, whose level could be set: give it one with --bins")
    factor = np.float32(10 ** (level_db / 20))
    head = model.architecture.heads["shape"]
    weight, bias = (model.weights[f"{head}.{name}"] for name in ("weight", "bias"))
    louder = {f"{head}.weight": factor * weight, f"{head}.bias": factor * (1 + bias) - 1}
    return Model(model.params, model.architecture, {**model.weights, **louder}, model.info)


def band_range(text: str) -> range:
    """Bands as they are written in options and recipes.

    Parameters
    ----------
    text : str
        Counted from 0, the last one included: "18-33", or "7".

    Returns
    -------
    range

    Raises
    ------
    ValueError
        For anything else.
    """
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)
