"""Block sparsity: weights of the GRUs removed during the training, in the blocks that the core leaves out.

The core reads and multiplies only those blocks of 16 outputs by 4 inputs that hold a weight other than zero
(`core/src/network/matvec.c`). As in P21, gates are pruned by their importance, the reset gate most; as in RNNoise 0.2
the smallest blocks go first, a few at a time, so that the others learn to do without them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from percepnet.errors import PercepNetError
from percepnet.model import BLOCK_INPUTS, BLOCK_OUTPUTS, Model
from percepnet.model.table import Architecture
from percepnet.params import SignalParams
from percepnet.training.network import TrainingNetwork, file_name

GATES = ("reset", "update", "new")
PRUNE_UPDATES = 100  # between removals, as in RNNoise


@dataclass(frozen=True)
class SparsityConfig:
    """How many blocks of the GRUs stay, and when the others go.

    Parameters
    ----------
    reset, update, new : float
        Shares of the blocks of each gate that stay, above 0 and up to 1; 1 removes none. P21 has 0.1, 0.2 and 0.4.
    begin, end : float
        Shares of the training before the first removal and until the last.

    Raises
    ------
    PercepNetError
        If a share is out of range.
    """

    reset: float = 1.0
    update: float = 1.0
    new: float = 1.0
    begin: float = 0.1
    end: float = 0.6

    def __post_init__(self) -> None:
        for gate in GATES:
            if not 0 < getattr(self, gate) <= 1:
                raise PercepNetError(f"sparsity.{gate} is {getattr(self, gate)}; it must be above 0 and at most 1")
        if not 0 <= self.begin < self.end <= 1:
            raise PercepNetError(f"sparsity begins at {self.begin} and ends at {self.end}; 0 <= begin < end <= 1")

    @property
    def removes(self) -> bool:
        """Whether any block is to go."""
        return any(getattr(self, gate) < 1 for gate in GATES)

    def densities(self, progress: float) -> tuple[float, ...]:
        """Shares of the blocks of each gate that stay at a moment of the training: fast at first, then ever slower.

        Parameters
        ----------
        progress : float
            Of the training, from 0 to 1.

        Examples
        --------
        >>> SparsityConfig(new=0.5, begin=0.0, end=0.8).densities(0.4)
        (1.0, 1.0, 0.5625)
        """
        left = 1 - min(1.0, max(0.0, (progress - self.begin) / (self.end - self.begin)))
        return tuple(getattr(self, gate) + (1 - getattr(self, gate)) * left**3 for gate in GATES)


def gru_matrices(architecture: Architecture, params: SignalParams) -> tuple[str, ...]:
    """Names of the matrices of an architecture's GRUs, those of them that are in 8 bits.

    Examples
    --------
    >>> from percepnet.model import PRESETS
    >>> gru_matrices(PRESETS["tiny"], SignalParams())[:2]
    ('gru1.weight_ih', 'gru1.weight_hh')
    """
    grus = [node for node in architecture.nodes(params) if node.layer.kind == "gru"]
    return tuple(name for node in grus for name, tensor in node.tensors.items() if node.is_int8(tensor))


def block_mask(weight: Tensor, density: float) -> Tensor:
    """Where the blocks of a matrix that matter most are.

    Parameters
    ----------
    weight : Tensor [shape=(outputs, inputs)]
    density : float
        Share of the blocks that stay; at least one does.

    Returns
    -------
    Tensor [shape=(outputs, inputs)]
        1 where a weight stays, 0 where it goes.
    """
    outputs, inputs = weight.shape
    rows, columns = -(-outputs // BLOCK_OUTPUTS), -(-inputs // BLOCK_INPUTS)
    padded = weight.new_zeros(rows * BLOCK_OUTPUTS, columns * BLOCK_INPUTS)
    padded[:outputs, :inputs] = weight
    energy = padded.reshape(rows, BLOCK_OUTPUTS, columns, BLOCK_INPUTS).square().sum(dim=(1, 3))
    kept = max(1, round(density * energy.numel()))
    mask = torch.zeros_like(energy).view(-1)
    mask[energy.view(-1).topk(kept).indices] = 1
    whole = mask.view(rows, columns).repeat_interleave(BLOCK_OUTPUTS, 0).repeat_interleave(BLOCK_INPUTS, 1)
    return whole[:outputs, :inputs]


def pruned(model: Model, config: SparsityConfig) -> Model:
    """A model without the blocks of its GRUs that matter least, all removed at once.

    Parameters
    ----------
    model : Model
    config : SparsityConfig
        Of which the shares count.

    Returns
    -------
    Model
    """
    if not config.removes:
        return model
    weights = dict(model.weights)
    for name in gru_matrices(model.architecture, model.params):
        weight = torch.from_numpy(weights[name].copy())  # those of a file are read-only
        weights[name] = (weight * _gate_masks(weight, config.densities(1.0))).numpy()
    return Model(model.params, model.architecture, weights, model.info)


class Pruning:
    """Holds the removed blocks of a network at zero, and removes more of them as the training goes on.

    Blocks that were removed stay so: they are the smallest of the next removal. That is all the state there is, so
    nothing of it is in a checkpoint.

    Parameters
    ----------
    config : SparsityConfig
    """

    def __init__(self, config: SparsityConfig) -> None:
        self.config = config
        self._masks: dict[str, Tensor] = {}

    @torch.no_grad()
    def apply(self, network: TrainingNetwork, average: TrainingNetwork, updates: int, progress: float) -> None:
        """Set removed weights to zero, after an update.

        Parameters
        ----------
        network, average : TrainingNetwork
            What is trained, and the running average of it.
        updates : int
            So far.
        progress : float
            Of the training, from 0 to 1.
        """
        if not self.config.removes or progress < self.config.begin:
            return
        weights, averages = dict(network.named_parameters()), dict(average.named_parameters())
        if not self._masks or updates % PRUNE_UPDATES == 0:
            densities = self.config.densities(progress)
            matrices = gru_matrices(network.architecture, network.params)
            names = [name for name in weights if file_name(name) in matrices]
            self._masks = {name: _gate_masks(weights[name], densities) for name in names}
        for name, mask in self._masks.items():
            weights[name].mul_(mask)
            averages[name].mul_(mask)


def _gate_masks(weight: Tensor, densities: tuple[float, ...]) -> Tensor:
    gates = zip(weight.chunk(len(GATES)), densities, strict=True)
    return torch.cat([block_mask(gate, density) for gate, density in gates])
