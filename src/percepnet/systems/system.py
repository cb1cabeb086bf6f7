"""What a system is: how it is started, on whole recordings and live, and what its results depend on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from percepnet.arrays import Samples
from percepnet.errors import PercepNetError

OWN_SYSTEM = "percepnet"
REFERENCE_SYSTEM = "noisy"  # the recording itself, which all are held against

Process = Callable[[Samples], Samples]  # a whole recording [shape=(n,)] in, about as much out, late by any delay
Frame = Callable[[Any], object]  # 10 ms at 48 kHz, in the form that the system takes
Form = Callable[[Samples], Any]  # from [shape=(480,), float32 in [-1, 1]] to that form


class SystemMissing(PercepNetError):
    """The package of a system is not installed, or does not run here."""


@dataclass(frozen=True)
class Oracle:
    """A system that is told the clean speech: what can be reached at best."""

    enhance: Callable[[Samples, Samples], Samples]

    def told(self, clean: Samples) -> Process:
        """The same as an adapter, for a recording whose clean speech is known."""
        return lambda noisy: self.enhance(np.pad(clean, (0, len(noisy) - len(clean))), noisy)


def as_it_is(hop: Samples) -> Samples:
    """The form of 10 ms that most take: float32 in [-1, 1]."""
    return hop


class LiveSystem(NamedTuple):
    """Something that takes 10 ms of one channel at 48 kHz at a time."""

    name: str
    process: Frame
    form: Form = as_it_is  # not part of its work: a program that uses it has its sound so


@dataclass(frozen=True)
class System:
    """One entry of the register.

    Parameters
    ----------
    title : str
        As people call it.
    start : callable
        From the name or path of percepnet's model, which most ignore, to what enhances whole recordings. It raises
        ImportError or OSError where its package is missing.
    package : str
        The distribution that it is in; empty for a command.
    live : callable or None
        From the same to what takes 10 ms at a time; None where it cannot be used so in this process.
    form : callable
        From 10 ms [shape=(480,), float32 in [-1, 1]] to what that takes.
    version : callable or None
        From the same to a text that changes with whatever decides what comes out: settings, and the bytes of what runs
        (`percepnet.systems.digest`). None for those of the package's files.
    only_when_named : bool
        Not among those that are compared where nobody says which.
    """

    title: str
    start: Callable[[str | None], Process | Oracle]
    package: str = "percepnet"
    live: Callable[[str | None], Frame] | None = None
    form: Form = as_it_is
    version: Callable[[str | None], str] | None = None
    only_when_named: bool = False
