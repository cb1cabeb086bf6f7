"""The network of `reference/network.py` in PyTorch, for whole sequences, and its way to and from a model."""

from typing import cast

import torch
from torch import Tensor, nn

from percepnet.model import Model
from percepnet.model.table import Architecture, Layer, Node
from percepnet.params import SignalParams
from percepnet.reference.layers import FEATURES, PER_BIN
from percepnet.training.layers import KINDS, SequenceLayer
from percepnet.training.precision import bfloat16_is_fast

NORMALISED_SPREAD = 3.0  # standard deviations of what is normalised, that 8 bits have room for
WEIGHT_LIMIT = 0.5  # P21: weights held to +-1/2 lose nothing by 8 bits

# What is carried from one piece of a sequence to the next, by layer; the same as reference.network.NetworkState.
State = dict[str, Tensor]


class TrainingNetwork(nn.Module):
    """Features to gains and strengths, for a batch of sequences: the interpreter of a table of layers.

    Each layer is a submodule of its own name.

    Parameters
    ----------
    params : SignalParams
    architecture : Architecture
    """

    def __init__(self, params: SignalParams, architecture: Architecture) -> None:
        super().__init__()
        self.params = params
        self.architecture = architecture
        self._nodes, self._bin_nodes = (architecture.nodes(params, source) for source in (FEATURES, PER_BIN))
        self._int8_names = architecture.int8_names(params)
        for layer, _, shape in architecture.all_nodes(params):
            # as add_module, which would refuse the names that modules have for themselves, such as "half" and "train"
            self._modules[layer.name] = KINDS[layer.kind](shape)
        self._bounded = {FEATURES: False, PER_BIN: True}  # whose values are from -1 to 1 whatever the weights
        for layer, _, _ in architecture.all_nodes(params):
            module = self._layer(layer.name)
            module.initialise()
            self._fit_to_8_bits(layer)
            self._bounded[layer.name] = module.is_bounded([self._bounded[name] for name in layer.inputs])
        if "shape" in architecture.heads:  # it begins as the rule that it corrects
            for weights in self._layer(architecture.heads["shape"]).parameters():
                nn.init.zeros_(weights)
        self.clamp_weights()

    def forward(self, features: Tensor, state: State | None = None) -> tuple[dict[str, Tensor], State]:
        """Run a batch of sequences.

        Parameters
        ----------
        features : Tensor [shape=(batch, frames, features)]
        state : dict of Tensor, or None
            What an earlier call returned, to continue its sequences; None starts from zeros.

        Returns
        -------
        heads : dict of str to Tensor [shape=(batch, frames, bands)]
            "gains", "strengths" and, where the table has it, "speech" [shape=(batch, frames, 1)].
        state : dict of Tensor
        """
        found, after = self._run(self._nodes, {FEATURES: features}, state or self.initial_state(features))
        return {head: found[name] for head, name in self.architecture.heads.items() if name in found}, after

    def shape_changes(self, ratios: Tensor) -> Tensor:
        """By how much of itself the factor of each bin is to change, from the beginning of sequences on.

        Parameters
        ----------
        ratios : Tensor [shape=(batch, frames, 160, 48)]
            Of `percepnet.training.signal.bin_ratios`.

        Returns
        -------
        Tensor [shape=(batch, frames, 160)]
        """
        batch, frames, bins, size = ratios.shape
        each = ratios.transpose(1, 2).reshape(batch * bins, frames, size)
        found, _ = self._run(self._bin_nodes, {PER_BIN: each}, _zeros(self._bin_nodes, each))
        said = found[self.architecture.heads["shape"]].float()
        return said.reshape(batch, bins, frames).transpose(1, 2)

    def _run(self, nodes: tuple[Node, ...], found: dict[str, Tensor], before: State) -> tuple[dict[str, Tensor], State]:
        after: State = {}
        nothing = next(iter(found.values())).new_zeros(0)  # the state of layers that remember nothing
        for layer, _, _ in nodes:
            limited = {name for name in layer.inputs if layer.precision == "int8" and not self._bounded[name]}
            inputs = [found[name].clamp(-1, 1) if name in limited else found[name] for name in layer.inputs]
            past = before.get(layer.name, nothing)
            found[layer.name], remembered = self._layer(layer.name).run(inputs, past)
            if layer.name in before:
                after[layer.name] = remembered
        return found, after

    def initial_state(self, features: Tensor) -> State:
        """The state before the first frame, zeros, for a batch like `features`."""
        return _zeros(self._nodes, features)

    @torch.no_grad()
    def _fit_to_8_bits(self, layer: Layer) -> None:
        """Let what a normalisation gives to an 8-bit matrix lie within [-1, 1], and the matrix make up for it."""
        before = [node for node in self._nodes if node.layer.name in layer.inputs]
        if layer.precision == "int8" and all(node.layer.kind == "normalisation" for node in before):
            for node in before:
                cast(Tensor, self._layer(node.layer.name).weight).fill_(1 / NORMALISED_SPREAD)
            cast(Tensor, self._layer(layer.name).weight).mul_(NORMALISED_SPREAD)

    @torch.no_grad()
    def clamp_weights(self) -> None:
        """Hold the weights that will be stored in 8 bits to +-1/2."""
        for name, weight in self.named_parameters():
            if file_name(name) in self._int8_names:
                weight.clamp_(-WEIGHT_LIMIT, WEIGHT_LIMIT)

    def _layer(self, name: str) -> SequenceLayer:
        return cast(SequenceLayer, self._modules[name])


def _zeros(nodes: tuple[Node, ...], x: Tensor) -> State:
    shapes = {node.layer.name: node.kind.state(node.shape) for node in nodes}
    return {name: x.new_zeros(len(x), *shape) for name, shape in shapes.items() if shape}


def file_name(parameter: str) -> str:
    """What a parameter is called in a model file; torch's GRUs number their layers, and each of ours has only one."""
    return parameter.removesuffix("_l0")


def autocast(network: TrainingNetwork, device: torch.device) -> torch.autocast:
    """The context that a network is run in: bfloat16 where that is faster.

    On a GPU autocast runs GRUs in float16 whatever it is asked for, in which the small gradients vanish; TF32 is as
    fast there.
    """
    gpu = device.type == "cuda"
    fast = all(layer.kind != "gru" for layer in network.architecture.layers) if gpu else bfloat16_is_fast(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def detach(state: State) -> State:
    """The same state, through which no gradient flows: the truncation of back-propagation through time."""
    return {name: tensor.detach() for name, tensor in state.items()}


def forget(state: State, begins: Tensor) -> State:
    """The same state, but zeros, as at the beginning, for some of the sequences.

    Parameters
    ----------
    state : dict of Tensor [shape=(batch, ...)]
    begins : Tensor [shape=(batch,), dtype=bool]
    """
    return {
        name: torch.where(begins.view(-1, *[1] * (tensor.dim() - 1)), 0.0, tensor) for name, tensor in state.items()
    }


def compiled(network: nn.Module) -> nn.Module:
    """A network compiled by torch.compile when it first runs; the network as it is, where that is not to be had."""
    try:
        import torch._dynamo

        torch._dynamo.config.suppress_errors = True  # what cannot be compiled runs as it is
        return cast(nn.Module, torch.compile(network))
    except (ImportError, RuntimeError):
        return network


def to_model(network: TrainingNetwork, info: dict[str, str] | None = None) -> Model:
    """The weights of a network, as a model that can be saved and run."""
    weights = {
        file_name(name): tensor.detach().to("cpu", torch.float32).numpy().copy()
        for name, tensor in network.state_dict().items()
    }
    return Model(network.params, network.architecture, weights, dict(info or {}))


def from_model(model: Model) -> TrainingNetwork:
    """A network with the weights of a model, to train on."""
    network = TrainingNetwork(model.params, model.architecture)
    names = {file_name(name): name for name in network.state_dict()}
    network.load_state_dict({names[name]: torch.from_numpy(weight.copy()) for name, weight in model.weights.items()})
    return network
