"""The network of `reference/network.py` in PyTorch, for whole sequences, and its way to and from a model."""

from typing import cast

import torch
from torch import Tensor, nn

from percepnet.model import CONV1_TAPS, CONV2_TAPS, Architecture, Model, is_quantised
from percepnet.params import SignalParams

WEIGHT_LIMIT = 0.5  # P21: weights held to +-1/2 lose nothing by 8 bits

# What is carried from one piece of a sequence to the next, by layer; the same as reference.network.NetworkState.
State = dict[str, Tensor]


class TrainingNetwork(nn.Module):
    """Features to gains and strengths, for a batch of sequences.

    Parameters
    ----------
    params : SignalParams
    architecture : Architecture
    """

    def __init__(self, params: SignalParams, architecture: Architecture) -> None:
        super().__init__()
        self.params = params
        self.architecture = architecture
        sizes = architecture
        self.dense = nn.Linear(params.features, sizes.dense)
        self.conv1 = nn.Conv1d(sizes.dense, sizes.conv1, CONV1_TAPS)
        self.conv2 = nn.Conv1d(sizes.conv1, sizes.conv2, CONV2_TAPS)
        self.gru1 = nn.GRU(sizes.conv2, sizes.gru, batch_first=True)
        self.gru2 = nn.GRU(sizes.gru, sizes.gru, batch_first=True)
        self.gru3 = nn.GRU(sizes.gru, sizes.gru, batch_first=True)
        self.gain_gru = nn.GRU(sizes.gru, sizes.gru, batch_first=True)
        self.strength_gru = nn.GRU(sizes.gru + sizes.conv2, sizes.strength_gru, batch_first=True)
        self.gain = nn.Linear(sizes.conv2 + 4 * sizes.gru, params.bands)
        self.strength = nn.Linear(sizes.strength_gru, params.bands)
        for name, weight in self.named_parameters():
            if ".weight_hh" in name:
                # Orthogonal recurrences keep gradients alive over the hundreds of frames of a sequence
                for gate in weight.chunk(3):
                    nn.init.orthogonal_(gate)
        self.clamp_weights()

    def forward(self, features: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
        """Run a batch of sequences.

        Parameters
        ----------
        features : Tensor [shape=(batch, frames, 2 * bands + 2)]
        state : dict of Tensor, or None
            What an earlier call returned, to continue its sequences; None starts from zeros.

        Returns
        -------
        gains, strengths : Tensor [shape=(batch, frames, bands)]
        state : dict of Tensor
        """
        before = state or self.initial_state(features)
        after: State = {}
        x = torch.tanh(self.dense(features))
        x, after["conv1"] = _convolution(self.conv1, x, before["conv1"])
        conv2, after["conv2"] = _convolution(self.conv2, x, before["conv2"])
        gru1, after["gru1"] = self.gru1(conv2, before["gru1"])
        gru2, after["gru2"] = self.gru2(gru1, before["gru2"])
        gru3, after["gru3"] = self.gru3(gru2, before["gru3"])
        gain_gru, after["gain_gru"] = self.gain_gru(gru3, before["gain_gru"])
        strength_gru, after["strength_gru"] = self.strength_gru(
            torch.cat([gru3, conv2], dim=-1), before["strength_gru"]
        )
        gains = torch.sigmoid(self.gain(torch.cat([conv2, gru1, gru2, gru3, gain_gru], dim=-1)))
        strengths = torch.sigmoid(self.strength(strength_gru))
        return gains, strengths, after

    def initial_state(self, features: Tensor) -> State:
        """The state before the first frame, zeros, for a batch like `features`."""
        batch, sizes = len(features), self.architecture
        state = {
            "conv1": features.new_zeros(batch, CONV1_TAPS - 1, sizes.dense),
            "conv2": features.new_zeros(batch, CONV2_TAPS - 1, sizes.conv1),
        }
        for name in ("gru1", "gru2", "gru3", "gain_gru"):
            state[name] = features.new_zeros(1, batch, sizes.gru)
        state["strength_gru"] = features.new_zeros(1, batch, sizes.strength_gru)
        return state

    @torch.no_grad()
    def clamp_weights(self) -> None:
        """Hold the weights that will be stored in 8 bits to +-1/2."""
        for name, weight in self.named_parameters():
            if is_quantised(name):
                weight.clamp_(-WEIGHT_LIMIT, WEIGHT_LIMIT)


def detach(state: State) -> State:
    """The same state, through which no gradient flows: the truncation of back-propagation through time."""
    return {name: tensor.detach() for name, tensor in state.items()}


def to_model(network: TrainingNetwork, info: dict[str, str] | None = None) -> Model:
    """The weights of a network, as a model that can be saved and run."""
    weights = {
        name.removesuffix("_l0"): tensor.detach().to("cpu", torch.float32).numpy().copy()
        for name, tensor in network.state_dict().items()
    }
    return Model(network.params, network.architecture, weights, dict(info or {}))


def from_model(model: Model) -> TrainingNetwork:
    """A network with the weights of a model, to train on."""
    network = TrainingNetwork(model.params, model.architecture)
    names = {name.removesuffix("_l0"): name for name in network.state_dict()}
    network.load_state_dict({names[name]: torch.from_numpy(weight.copy()) for name, weight in model.weights.items()})
    return network


def _convolution(layer: nn.Conv1d, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
    whole = torch.cat([past, x], dim=1)
    y = torch.tanh(cast(Tensor, layer(whole.transpose(1, 2)))).transpose(1, 2)
    return y, whole[:, -past.shape[1] :]
