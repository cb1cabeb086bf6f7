"""Block sparsity: weights of GRUs and convolutions removed during the training, in the blocks that the core leaves out.

The core reads and multiplies only those blocks of 16 outputs by 4 inputs that hold a weight other than zero
(`core/src/network/matvec.c`). As in P21, gates are pruned by their importance, the reset gate most; as in RNNoise 0.2
the smallest blocks go first, a few at a time, so that the others learn to do without them.
A network that is trained already loses little at once: half of its blocks hold a fifth of the energy of its weights.
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
SHARES = {"gru": GATES, "convolution": ("convolution",)}  # kinds of layers -> what holds for equal parts of their rows
PRUNE_UPDATES = 100  # between removals, as in RNNoise


@dataclass(frozen=True)
class SparsityConfig:
    """How many blocks of the GRUs and convolutions stay, and when the others go.

    Parameters
    ----------
    reset, update, new : float
        Shares of the blocks of each gate that stay, above 0 and up to 1; 1 removes none. P21 has 0.1, 0.2 and 0.4.
    convolution : float
        The same of convolutions. P21 has 0.5 for the second.
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
    convolution: float = 1.0
    begin: float = 0.1
    end: float = 0.6

    def __post_init__(self) -> None:
        for share in (*GATES, "convolution"):
            if not 0 < getattr(self, share) <= 1:
                raise PercepNetError(f"sparsity.{share} is {getattr(self, share)}; it must be above 0 and at most 1")
        if not 0 <= self.begin < self.end <= 1:
            raise PercepNetError(f"sparsity begins at {self.begin} and ends at {self.end}; 0 <= begin < end <= 1")

    @property
    def removes(self) -> bool:
        """Whether any block is to go."""
        return any(getattr(self, share) < 1 for shares in SHARES.values() for share in shares)

    def densities(self, progress: float, kind: str = "gru") -> tuple[float, ...]:
        """Shares of the blocks of each gate that stay at a moment of the training: fast at first, then ever slower.

        Parameters
        ----------
        progress : float
            Of the training, from 0 to 1.
        kind : str
            Of the layer, one of `SHARES`.

        Examples
        --------
        >>> SparsityConfig(new=0.5, begin=0.0, end=0.8).densities(0.4)
        (1.0, 1.0, 0.5625)
        """
        left = 1 - min(1.0, max(0.0, (progress - self.begin) / (self.end - self.begin)))
        return tuple(getattr(self, share) + (1 - getattr(self, share)) * left**3 for share in SHARES[kind])


def matrices(architecture: Architecture, params: SignalParams) -> dict[str, str]:
    """Names of the matrices of an architecture's GRUs and convolutions, those of them that are in 8 bits, and of which.

    Examples
    --------
    >>> from percepnet.model import PRESETS
    >>> list(matrices(PRESETS["tiny"], SignalParams()).items())[1:3]
    [('conv2.weight', 'convolution'), ('gru1.weight_ih', 'gru')]
    """
    layers = [node for node in architecture.nodes(params) if node.layer.kind in SHARES]
    return {name: node.layer.kind for node in layers for name, tensor in node.tensors.items() if node.is_int8(tensor)}


def block_mask(weight: Tensor, density: float) -> Tensor:
    """Where the blocks of a matrix that matter most are.

    Parameters
    ----------
    weight : Tensor [shape=(outputs, inputs) or (outputs, inputs, taps)]
    density : float
        Share of the blocks that stay; at least one does.

    Returns
    -------
    Tensor [shape of the weight]
        1 where a weight stays, 0 where it goes.
    """
    if weight.dim() == 3:  # blocks are of inputs of the same tap
        by_taps = weight.transpose(1, 2)
        return block_mask(by_taps.flatten(1), density).reshape(by_taps.shape).transpose(1, 2)
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
    """A model without the blocks of its GRUs and convolutions that matter least, all removed at once.

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
    for name, kind in matrices(model.architecture, model.params).items():
        weight = torch.from_numpy(weights[name].copy())  # those of a file are read-only
        weights[name] = (weight * _masks(weight, config.densities(1.0, kind))).numpy()
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
            kinds = matrices(network.architecture, network.params)
            thinned = {name: kinds[file_name(name)] for name in weights if file_name(name) in kinds}
            self._masks = {
                name: _masks(weights[name], self.config.densities(progress, kind)) for name, kind in thinned.items()
            }
        for name, mask in self._masks.items():
            weights[name].mul_(mask)
            averages[name].mul_(mask)


def _masks(weight: Tensor, densities: tuple[float, ...]) -> Tensor:
    parts = zip(weight.chunk(len(densities)), densities, strict=True)
    return torch.cat([block_mask(part, density) for part, density in parts])
