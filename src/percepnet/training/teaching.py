"""Who teaches a network, as a recipe says it."""

from dataclasses import dataclass


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
    """

    models: tuple[str, ...] = ()
    exponents: tuple[float, ...] = ()
    share: float = 0.5

    @property
    def present(self) -> bool:
        """Whether there are any."""
        return bool(self.models) and self.share > 0
