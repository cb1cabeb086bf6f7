"""An adversarial loss: a second network, of the training only, that tells enhanced speech from clean.

A network that is not sure and is judged by distances decides for something in between, which nobody ever said. Judged
by whether it sounds like speech it has to make up its mind. The discriminator looks at band levels over time, of the
noisy speech and of what became of it, in overlapping pieces, and judges each, as in least-squares GANs (Mao et al.
2017); the distance of its inner activations from those of the clean speech (feature matching, Salimans et al. 2016) is
a part of the loss. After the training it is thrown away.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from percepnet.errors import PercepNetError
from percepnet.training.distributed import ProcessGroup

LAYERS = 4
KERNEL = (3, 5)  # frames, bands
SLOPE = 0.2  # of the leaky rectifiers, for activations below 0
FLOOR = 1e-5  # what is 50 dB below the mean energy of the speech's bands is as good as nothing
NOISE_SHARE = 1e-3  # of the noise in that mean, for pieces without speech
SILENCE = 1e-12  # an energy, far below the rounding of 16 bits
BETAS = (0.5, 0.9)


@dataclass(frozen=True)
class AdversarialConfig:
    """Settings of the adversarial loss.

    Parameters
    ----------
    share : float
        How much it has to say on the gains: the length of its gradient relative to that of all other losses together;
        0 for none.
    matching : float
        Weight of feature matching relative to the discriminator's judgement.
    learning_rate : float
        Of the discriminator.
    warmup_updates : int
        Updates of the discriminator alone, before it is listened to.
    channels : int
        Of the discriminator's first layer; the others have two, three and four times as many.

    Raises
    ------
    PercepNetError
        If a number is negative, or if there are no channels.
    """

    share: float = 0.0
    matching: float = 2.0
    learning_rate: float = 5e-4
    warmup_updates: int = 100
    channels: int = 16

    def __post_init__(self) -> None:
        for name in ("share", "matching", "learning_rate", "warmup_updates"):
            if not getattr(self, name) >= 0:
                raise PercepNetError(f"[adversarial] {name} is {getattr(self, name)}; it must be 0 or more")
        if self.channels < 1:
            raise PercepNetError(f"[adversarial] channels is {self.channels}; it must be at least 1")


class Discriminator(nn.Module):
    """Judges band levels over time, in overlapping pieces.

    Parameters
    ----------
    channels : int
        Of its first layer.
    """

    def __init__(self, channels: int = AdversarialConfig.channels) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        sizes = (2, *(channels * number for number in range(1, LAYERS + 1)))
        self.layers = nn.ModuleList(
            norm(nn.Conv2d(before, after, KERNEL, stride=1 if number == 0 else 2, padding=(1, 2)))
            for number, (before, after) in enumerate(pairwise(sizes))
        )
        self.verdict = norm(nn.Conv2d(sizes[-1], 1, 3, padding=1))

    def forward(self, noisy: Tensor, speech: Tensor) -> list[Tensor]:
        """Judge speech, given what it was made from.

        Parameters
        ----------
        noisy, speech : Tensor [shape=(batch, frames, bands)]
            Levels, as from `levels`.

        Returns
        -------
        list of Tensor [shape=(batch, channels, pieces, bands)]
            The activations of each layer; the last are the verdicts, near 1 for clean speech and near 0 for others.
        """
        x = torch.stack([noisy, speech], dim=1)
        found = []
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x), SLOPE)
            found.append(x)
        return [*found, self.verdict(x)]


def levels(energies: Tensor, gains: Tensor, reference: Tensor) -> Tensor:
    """Band levels of what gains leave, in units of 20 dB, from -1.5 (as good as nothing).

    Parameters
    ----------
    energies, gains : Tensor [shape=(batch, frames, bands)]
        Of the noisy bands.
    reference : Tensor [shape=(batch, 1, 1)]
        The mean energy of the speech's bands.

    Returns
    -------
    Tensor [shape=(batch, frames, bands)]
    """
    return 0.5 * torch.log10(energies * gains**2 / reference + FLOOR) + 1.0


class Adversary:
    """The discriminator, its optimiser, and what it makes of a batch.

    Parameters
    ----------
    config : AdversarialConfig
    group : ProcessGroup, optional
        The processes that train together; default: this one alone.

    Attributes
    ----------
    discriminator : Discriminator
    updates : int
        Of the discriminator.
    """

    def __init__(self, config: AdversarialConfig, group: ProcessGroup | None = None) -> None:
        self.config = config
        self.group = group or ProcessGroup()
        self.discriminator = Discriminator(config.channels).to(self.group.device)
        self.optimiser = torch.optim.Adam(self.discriminator.parameters(), config.learning_rate, BETAS)
        self.updates = 0
        self._verdicts: dict[str, Tensor] = {}

    @property
    def verdicts(self) -> dict[str, float]:
        """Its last, on average, on `clean` speech and on `enhanced`: 1 and 0 for one that is never deceived."""
        return {name: verdict.item() for name, verdict in self._verdicts.items()}

    def judge(self, loss: Tensor, gains: Tensor, target: Tensor, mask: Tensor, energies: Tensor) -> Tensor:
        """Train the discriminator on a batch, and say what to add to its loss.

        Parameters
        ----------
        loss : Tensor [shape=()]
            All other losses of `gains`.
        gains, target, mask, energies : Tensor [shape=(batch, frames, bands)]
            Gains found and wanted, where the latter are known, and energies of the noisy bands.

        Returns
        -------
        Tensor [shape=()]
            Only its gradient means something.
        """
        energies = energies * mask
        clean_energies = energies * target**2
        reference = (clean_energies + NOISE_SHARE * energies).mean(dim=(1, 2), keepdim=True)
        reference = reference + SILENCE
        noisy = levels(energies, torch.ones_like(target), reference)
        clean, found = (levels(energies, each, reference) for each in (target, gains))

        self._learn(noisy, clean, found.detach())
        if self.updates <= self.config.warmup_updates:
            return loss.new_zeros(())
        self.discriminator.requires_grad_(False)
        (own,) = torch.autograd.grad(loss, gains, retain_graph=True)
        (others,) = torch.autograd.grad(self._dislike(noisy, clean, found), gains)
        scale = self.config.share * own.norm() / others.norm().clamp(min=1e-12)
        return (gains * (scale * others)).sum()

    def state_dict(self) -> dict[str, Any]:
        """Everything that a training needs to go on."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "updates": self.updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.updates = state["updates"]

    def _learn(self, noisy: Tensor, clean: Tensor, found: Tensor) -> None:
        self.discriminator.requires_grad_(True)
        right, wrong = (self.discriminator(noisy, speech)[-1] for speech in (clean, found))
        self.optimiser.zero_grad(set_to_none=True)
        loss = ((right - 1) ** 2).mean() + (wrong**2).mean()
        loss.backward()
        self.group.average(self.discriminator)
        self.optimiser.step()
        self.updates += 1
        self._verdicts = {"clean": right.detach().mean(), "enhanced": wrong.detach().mean()}

    def _dislike(self, noisy: Tensor, clean: Tensor, found: Tensor) -> Tensor:
        with torch.no_grad():
            *wanted, _ = self.discriminator(noisy, clean)
        *seen, verdict = self.discriminator(noisy, found)
        distances = [(a - b).abs().mean() / b.abs().mean() for a, b in zip(seen, wanted, strict=True)]
        return ((verdict - 1) ** 2).mean() + self.config.matching * torch.stack(distances).mean()
