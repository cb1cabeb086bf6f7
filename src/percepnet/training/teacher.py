"""Networks that are there already, as teachers: the mean of their gains is learnt beside the best gains.

What is best for a frame depends on noise that nobody can foresee; what a network decides follows from what it is given.
The mean of several is better than each (Hinton, Vinyals and Dean 2015, "Distilling the knowledge in a neural network").
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from percepnet.errors import ModelError
from percepnet.model import load_model
from percepnet.params import SignalParams
from percepnet.training.network import TrainingNetwork, autocast, from_model
from percepnet.training.rows import LEVELS, LIFTED, RowLayout
from percepnet.training.teaching import TeacherConfig


class Teachers:
    """The mean of what some networks decide.

    Parameters
    ----------
    config : TeacherConfig
    params : SignalParams
        Of the network that learns.

    Raises
    ------
    ModelError
        If a model decides for other bands or frames, or is given what the rows of a shard do not hold.
    """

    def __init__(self, config: TeacherConfig, params: SignalParams) -> None:
        self._layout = RowLayout(params)
        analysed = self._layout.analysed
        self._networks: list[tuple[TrainingNetwork, list[slice], float]] = []
        exponents = config.exponents or (1.0,) * len(config.models)
        for name, exponent in zip(config.models, exponents, strict=True):
            model = load_model(name)
            same = ("band_edges", "lookahead_frames", "highpass_hz")
            if wrong := [field for field in same if getattr(model.params, field) != getattr(params, field)]:
                raise ModelError(f"[teacher] {name}: its {wrong[0]} differ from those of the network that learns")
            # levels as they are: for all but quiet recordings the same
            lifted = LIFTED if LIFTED in analysed.feature_blocks else LEVELS
            blocks = [lifted if block == LIFTED else block for block in model.params.feature_blocks]
            if missing := set(blocks) - set(analysed.feature_blocks):
                raise ModelError(
                    f"[teacher] {name} is given {sorted(missing)[0]}, which the network that learns is not: add it to "
                    f"the recipe's features, or leave this teacher out (all are given {LEVELS})"
                )
            columns = [analysed.feature_slices[block] for block in blocks]
            self._networks.append((from_model(model).eval(), columns, exponent))

    @torch.no_grad()
    def gains(self, rows: Tensor) -> Tensor:
        """What they decide.

        Parameters
        ----------
        rows : Tensor [shape=(batch, frames, columns of RowLayout)]
            Whole sequences.

        Returns
        -------
        Tensor [shape=(batch, frames, bands)]
        """
        total = torch.zeros_like(rows[..., self._layout.gains])
        for network, columns, exponent in self._networks:
            features = torch.cat([rows[..., part] for part in columns], dim=-1)
            with autocast(network, rows.device):
                heads, _ = network(features)
            total += heads["gains"].to(total.dtype) ** exponent
        return total / len(self._networks)

    def taught(self, shard: npt.NDArray[np.float16]) -> npt.NDArray[np.float16]:
        """A shard [shape=(sequences, frames, columns)] with their gains behind its other columns."""
        gains = self.gains(torch.from_numpy(shard.astype(np.float32)))
        return np.concatenate([shard, gains.numpy().astype(np.float16)], axis=-1)
