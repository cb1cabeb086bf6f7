"""Who teaches a network, as a recipe says it."""

from dataclasses import dataclass

from percepnet.errors import ModelError


@dataclass(frozen=True)
class TeacherConfig:
    """Who teaches.

    Parameters
    ----------
    models : tuple of str
        Names or paths; none for no teachers. They decide for the same bands and look-ahead as the network that learns.
    exponents : tuple of float
        Of the gains of each, 1 where none are given: below 1 for one that attenuates too much.
    share : float
        Of the teachers' gains in the losses of the gains, from 0 to 1; the rest is what is best.

    Raises
    ------
    ModelError
        If there are not as many exponents as models, or the share is out of range.
    """

    models: tuple[str, ...] = ()
    exponents: tuple[float, ...] = ()
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.exponents and len(self.exponents) != len(self.models):
            raise ModelError(f"[teacher] exponents: {len(self.exponents)}, for {len(self.models)} models")
        if not 0 <= self.share <= 1:
            raise ModelError(f"[teacher] share: {self.share:g}; it must be from 0 to 1")

    @property
    def present(self) -> bool:
        """Whether there are any."""
        return bool(self.models) and self.share > 0
