"""The kinds of layers of `reference/layers.py` in PyTorch, for whole sequences: one class a kind.

Their parameters have the names that they have in a model file, but for those of GRUs, which are torch's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from percepnet.reference.layers import GRU_GATES, NORMALISATION_FLOOR, Activation, Shape, kept
from percepnet.training.gru import gru
from percepnet.training.scan import scan

UPDATE_BIAS = -1.0  # of new gated recurrences: a memory of some frames, through which gradients reach back
BOUNDED = ("tanh", "sigmoid")


class SequenceLayer(nn.Module):
    """A kind of layer. `shape` settles its size."""

    def initialise(self) -> None:
        """Choose weights where those that torch chose are not it; called when all layers are there."""

    def is_bounded(self, inputs: Sequence[bool]) -> bool:
        """Whether its output is from -1 to 1 whatever its weights, given whether its inputs are."""
        return False

    def run(self, inputs: Sequence[Tensor], state: Tensor) -> tuple[Tensor, Tensor]:
        """Calculate all frames.

        Parameters
        ----------
        inputs : sequence of Tensor [shape=(batch, frames, units of each)]
        state : Tensor [shape=(batch, ...), the rest as `Kind.state` of the reference]
            What was remembered of the frames before; anything for kinds that remember nothing.

        Returns
        -------
        y : Tensor [shape=(batch, frames, units)]
        state : Tensor [shape=(batch, ...)]
            After the last frame.
        """
        raise NotImplementedError


class Dense(SequenceLayer, nn.Linear):
    """See `percepnet.reference.layers.Dense`."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape.inputs[0], shape.units)
        self.activation = shape.activation

    def is_bounded(self, inputs: Sequence[bool]) -> bool:
        return self.activation in BOUNDED

    def run(self, inputs: Sequence[Tensor], state: Tensor) -> tuple[Tensor, Tensor]:
        return activate(self.activation, self(inputs[0])), state


class Convolution(SequenceLayer, nn.Conv1d):
    """See `percepnet.reference.layers.Convolution`. The state are the frames that the next ones still see."""

    def __init__(self, shape: Shape) -> None:
        groups = shape.units if shape.depthwise else 1
        super().__init__(shape.inputs[0], shape.units, shape.taps, dilation=shape.dilation, groups=groups)
        self.activation = shape.activation

    def is_bounded(self, inputs: Sequence[bool]) -> bool:
        return self.activation in BOUNDED

    def run(self, inputs: Sequence[Tensor], state: Tensor) -> tuple[Tensor, Tensor]:
        frames = torch.cat([state, inputs[0]], dim=1)
        y = activate(self.activation, self(frames.transpose(1, 2)).transpose(1, 2))
        return y, frames[:, inputs[0].shape[1] :]


class Gru(SequenceLayer, nn.GRU):
    """See `percepnet.reference.layers.Gru`.

    torch's own forgets nothing within a call: what a memory of minutes takes from some seconds is taken after them.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape.inputs[0], shape.units, batch_first=True)
        self.kept = float(kept(shape.memory)) if shape.memory else 1.0

    def initialise(self) -> None:
        """Orthogonal recurrences, which keep gradients alive over the hundreds of frames of a sequence."""
        for gate in cast(Tensor, self.weight_hh_l0).chunk(GRU_GATES):
            nn.init.orthogonal_(gate)

    def is_bounded(self, inputs: Sequence[bool]) -> bool:
        return True

    def run(self, inputs: Sequence[Tensor], state: Tensor) -> tuple[Tensor, Tensor]:
        x = inputs[0]
        if cast(Tensor, self.weight_hh_l0).requires_grad:
            return self._run(x, state)
        with torch.autocast(x.device.type, enabled=False):  # what is not trained stays exact
            return self._run(x.to(state.dtype), state)

    def _run(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        if x.is_cuda:
            y, after = self(x, state[None])  # torch's states have an axis for layers in front
            last = after[0]
        else:
            y, last = gru(x, state, *(cast(Tensor, weights) for weights in self.all_weights[0]))
        return y, last * self.kept ** x.shape[1]


class GatedRecurrence(SequenceLayer, nn.Linear):
    """See `percepnet.reference.layers.GatedRecurrence`: one product for all frames, and a scan."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape.inputs[0], 2 * shape.units)
        self.units = shape.units

    @torch.no_grad()
    def initialise(self) -> None:
        """Update gates that are open by a quarter."""
        self.bias[: self.units] = UPDATE_BIAS

    def is_bounded(self, inputs: Sequence[bool]) -> bool:
        return True

    def run(self, inputs: Sequence[Tensor], state: Tensor) -> tuple[Tensor, Tensor]:
        gates = self(inputs[0])
        # products of many decays would drift in the 8 bits of bfloat16
        gates = gates.to(torch.promote_types(gates.dtype, torch.float32))
        update, new = torch.sigmoid(gates[..., : self.units]), torch.tanh(gates[..., self.units :])
        states = scan(1 - update, update * new, state)
        return states, states[:, -1]


class Normalisation(SequenceLayer, nn.LayerNorm):
    """See `percepnet.reference.layers.Normalisation`."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape.units, eps=float(NORMALISATION_FLOOR))

    def run(self, inputs: Sequence[Tensor], state: Tensor) -> tuple[Tensor, Tensor]:
        return self(inputs[0]), state


class Sum(SequenceLayer):
    """See `percepnet.reference.layers.Sum`."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()

    def run(self, inputs: Sequence[Tensor], state: Tensor) -> tuple[Tensor, Tensor]:
        y = inputs[0]
        for x in inputs[1:]:
            y = y + x
        return y, state


class Concatenation(SequenceLayer):
    """See `percepnet.reference.layers.Concatenation`."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()

    def is_bounded(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def run(self, inputs: Sequence[Tensor], state: Tensor) -> tuple[Tensor, Tensor]:
        return torch.cat(list(inputs), dim=-1), state


KINDS: Mapping[str, Callable[[Shape], SequenceLayer]] = {
    "dense": Dense,
    "convolution": Convolution,
    "gru": Gru,
    "gated_recurrence": GatedRecurrence,
    "normalisation": Normalisation,
    "sum": Sum,
    "concatenation": Concatenation,
}


def activate(activation: Activation, x: Tensor) -> Tensor:
    """Apply an activation by name."""
    if activation == "tanh":
        return torch.tanh(x)
    if activation == "sigmoid":
        return torch.sigmoid(x)
    if activation == "relu":
        return torch.relu(x)
    return x
