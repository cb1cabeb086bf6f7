"""From a run's checkpoint to a model file."""

import os
from pathlib import Path

from percepnet.errors import ModelError
from percepnet.model import Architecture, Model, save_model
from percepnet.params import SignalParams
from percepnet.training.fit import CHECKPOINT_NAME, model_info, read_checkpoint
from percepnet.training.network import TrainingNetwork, to_model


def export_model(
    run: str | os.PathLike[str], target: str | os.PathLike[str], info: dict[str, str] | None = None
) -> Model:
    """Write the averaged weights of a run as a model file, in 8 bits, with a card of what it was trained on.

    Parameters
    ----------
    run : str or path
        The run's folder, or a checkpoint.
    target : str or path
        The model file to write.
    info : dict of str to str, optional
        More entries for the card: name, licence.

    Returns
    -------
    Model
        As it was before rounding to 8 bits.

    Raises
    ------
    PercepNetError
        If there is no checkpoint, or if it is damaged.
    ModelError
        If the file cannot be written.
    """
    path = Path(run)
    checkpoint = read_checkpoint(path / CHECKPOINT_NAME if path.is_dir() else path)
    values = checkpoint["params"]
    params = SignalParams(values["lookahead_frames"], tuple(values["band_edges"]))
    network = TrainingNetwork(params, Architecture(**checkpoint["architecture"]))
    try:
        network.load_state_dict(checkpoint["average"])
    except RuntimeError as error:
        raise ModelError(f"{path}: the weights do not fit the architecture: {' '.join(str(error).split())}") from error
    model = to_model(network, model_info(checkpoint) | (info or {}))
    save_model(model, target)
    return model
