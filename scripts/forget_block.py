"""A trained network that does without one of its inputs: what it heard there it hears, as far as may be, with others.

    python scripts/forget_block.py MODEL RUN lifted_band_levels -o start.safetensors

The weights of that block become zero. A regression over the mixtures of a run, which was given the same blocks, says
what the others know of it, and their weights take over as much. A training has to make good what is lost:
`percepnet train --init start.safetensors`. A trained network that is given better inputs besides goes on hearing with
those that it knew, unless they are taken away.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from percepnet.arrays import Array
from percepnet.errors import PercepNetError
from percepnet.exits import EXIT_BAD_INPUT
from percepnet.model import Model, load_model, save_model
from percepnet.reference.layers import FEATURES
from percepnet.training.features import shards_folder

FRAMES_APART = 10  # frames beside each other say nearly the same
SHARDS_MAX = 60


def without_block(model: Model, block: str, rows: Array) -> tuple[Model, float]:
    """The network with weights of zero for a block of its features.

    Parameters
    ----------
    model : Model
        Only dense layers see its features.
    block : str
        One of `model.params.feature_blocks`.
    rows : np.ndarray [shape=(frames, features)]
        Features of mixtures, as the network is given them.

    Returns
    -------
    Model
    float
        How much of the block's variance the others know, 0 to 1.

    Raises
    ------
    PercepNetError
        If the network has no such block, or if another kind of layer sees features.
    """
    places = model.params.feature_slices
    if block not in places or len(places) == 1:
        raise PercepNetError(f"block {block!r}: give one of several, {', '.join(places)}")
    gone = np.zeros(model.params.features, bool)
    gone[places[block]] = True
    known = np.column_stack([rows[:, ~gone], np.ones(len(rows))]).astype(np.float64)
    wanted = rows[:, gone].astype(np.float64)
    answer = np.linalg.lstsq(known, wanted, rcond=None)[0]
    left = np.square(wanted - known @ answer).sum() / np.square(wanted - wanted.mean(axis=0)).sum()
    weights = dict(model.weights)
    for layer in model.architecture.layers:
        if FEATURES not in layer.inputs:
            continue
        if layer.kind != "dense":
            raise PercepNetError(f"layer {layer.name!r} is a {layer.kind}: only dense layers may see features")
        matrix = np.array(weights[f"{layer.name}.weight"], np.float64)
        taken = matrix[:, gone] @ answer.T
        matrix[:, ~gone] += taken[:, :-1]
        matrix[:, gone] = 0
        weights[f"{layer.name}.weight"] = matrix.astype(np.float32)
        weights[f"{layer.name}.bias"] = (weights[f"{layer.name}.bias"] + taken[:, -1]).astype(np.float32)
    return Model(model.params, model.architecture, weights, model.info), 1 - float(left)


def rows_of(run: Path, features: int) -> Array:
    """Some frames of the shards of a run.

    Returns
    -------
    np.ndarray [shape=(frames, features), dtype=float32]

    Raises
    ------
    PercepNetError
        If there is no shard.
    """
    paths = sorted(shards_folder(run).glob("shard-*.npy"))
    if not paths:
        raise PercepNetError(f"{run}: no shards; give the folder of a training")
    some = paths[:: max(1, len(paths) // SHARDS_MAX)]
    shards = (np.load(path, mmap_mode="r")[:, ::FRAMES_APART, :features] for path in some)
    return np.concatenate([np.asarray(shard, np.float32).reshape(-1, features) for shard in shards])


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("model", help="a model, by name or file")
    parser.add_argument("run", type=Path, help="the folder of a training with the same features")
    parser.add_argument("block", help="of features")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        model = load_model(arguments.model)
        model, known = without_block(model, arguments.block, rows_of(arguments.run, model.params.features))
        save_model(model, arguments.output)
    except PercepNetError as error:
        print(f"forget_block: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    print(f"wrote {arguments.output}: the other inputs know {known:.0%} of {arguments.block}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
