"""From checkpoints of runs to a model file."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from percepnet.errors import PercepNetError
from percepnet.model import SUFFIX, Model, load_model, model_names, save_model
from percepnet.model.quantisation import FLOAT_DIGITS, rounded
from percepnet.training.averaging import averaged
from percepnet.training.bin_networks import with_bins_of
from percepnet.training.calibration import calibrated, with_bin_level
from percepnet.training.checkpoint import CHECKPOINT_NAME, checkpoint_network, read_checkpoint
from percepnet.training.info import model_info
from percepnet.training.network import to_model
from percepnet.training.sparsity import SparsityConfig, pruned
from percepnet.training.widening import widened

BIAS_DIGITS = 3  # more than matrices, which are many

AnyPath = str | os.PathLike[str]


def export_model(
    runs: AnyPath | Sequence[AnyPath],
    target: AnyPath,
    info: dict[str, str] | None = None,
    keep: tuple[float, ...] = (1.0, 1.0, 1.0),
    digits: int = FLOAT_DIGITS,
    memory: int | None = None,
    in_8_bits: Iterable[str] = (),
    gain_shifts: Mapping[range, float] | None = None,
    shares: Mapping[str, float] | None = None,
    bins_of: AnyPath | None = None,
    bin_level_db: float = 0.0,
) -> Model:
    """Write the averaged weights of a run as a model file, in 8 bits, with a card of what it was trained on.

    Of several runs the mean is written. That helps where one started from the other with `--init`; of networks that
    were trained apart a mean is worth nothing.

    Parameters
    ----------
    runs : str, path, or sequence of them
        A run's folder, a checkpoint, or a model by name or file; of several, in the order of the training: the card
        is that of the last. One that is given twice counts twice. Features that were added on the way count nothing in
        those before.
    target : str or path
        The model file to write.
    info : dict of str to str, optional
        More entries for the card: name, licence.
    keep : tuple of float
        Shares of the blocks of the GRUs' reset, update and new gates that stay, and of the convolutions; the mean of
        sparse and dense runs is dense.
    digits : int
        Binary digits of what is not in 8 bits, 1 to 23; biases keep three more. Fewer make a file that compresses.
    memory : int, optional
        Frames that GRUs remember at most, 0 for any time; default: as they did.
    in_8_bits : iterable of str
        Layers whose matrices are in 8 bits as well, as `gain`: there is less to read for a frame. What they get from
        other layers has to lie in [-1, 1].
    gain_shifts : mapping of range to float, optional
        As of `calibrated`: gains that are to be higher or lower than the training made them.
    shares : mapping of str to float, optional
        As of `averaged`: how much of a layer is of the second of two runs.
    bins_of : str or path, optional
        Another run or model, whose network for bins is taken.
    bin_level_db : float
        As of `with_bin_level`: for a network for bins that leaves speech at another level than it was.

    Returns
    -------
    Model
        As it was before rounding to 8 bits.

    Raises
    ------
    PercepNetError
        If there is no checkpoint, if it is damaged, if the runs are of different networks, or if a share, a layer or a
        band is none that there is.
    ModelError
        If a model is unreadable, if a checkpoint's weights do not fit its network, or the file cannot be written.
    """
    sparsity = SparsityConfig(*keep)
    paths = [Path(run) for run in ([runs] if isinstance(runs, (str, os.PathLike)) else runs)]
    if not paths:
        raise PercepNetError("name a run to export")
    models = [_model(path) for path in paths]
    last = models[-1]
    models = [_given_as_much(model, last) for model in models]
    for path, model in zip(paths, models, strict=True):
        if (model.params, model.architecture) != (last.params, last.architecture):
            raise PercepNetError(f"{path}: another network than {paths[-1]}; only runs of the same can be averaged")
    weights = averaged(models, shares)
    counted = {"averaged_runs": str(len(models))} if len(models) > 1 else {}
    architecture = last.architecture if memory is None else last.architecture.remembering(memory)
    architecture = architecture.in_8_bits(in_8_bits)
    model = Model(last.params, architecture, weights, last.info | counted | (info or {}))
    model = model if bins_of is None else with_bins_of(model, _model(Path(bins_of)))
    model = calibrated(pruned(with_bin_level(model, bin_level_db), sparsity), gain_shifts or {})
    model = _rounded(model, digits)
    save_model(model, target)
    return model


def _given_as_much(model: Model, last: Model) -> Model:
    blocks = last.params.feature_blocks
    if not set(model.params.feature_blocks) < set(blocks):
        return model
    return widened(model, model.architecture, features=blocks)


def _rounded(model: Model, digits: int) -> Model:
    nodes = model.architecture.all_nodes(model.params)
    in_8_bits = {name for node in nodes for name, tensor in node.tensors.items() if node.is_int8(tensor)}
    weights = {
        name: weight if name in in_8_bits else rounded(weight, digits + (BIAS_DIGITS if weight.ndim == 1 else 0))
        for name, weight in model.weights.items()
    }
    return Model(model.params, model.architecture, weights, model.info)


def _model(path: Path) -> Model:
    if path.suffix == SUFFIX or (not path.exists() and str(path) in model_names()):
        return load_model(str(path))
    place = path / CHECKPOINT_NAME if path.is_dir() else path
    checkpoint = read_checkpoint(place)
    return to_model(checkpoint_network(place, checkpoint), model_info(checkpoint))
