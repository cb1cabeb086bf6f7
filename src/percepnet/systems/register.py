"""The register: which systems there are, and those of them that have been started."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from percepnet.errors import ModelError, PercepNetError, extra_packages
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.systems.digest import digest, package_files
from percepnet.systems.ours import our_systems
from percepnet.systems.packaged import packaged_systems
from percepnet.systems.run import run_system
from percepnet.systems.system import LiveSystem, Oracle, Process, System, SystemMissing

SYSTEMS: dict[str, System] = our_systems() | packaged_systems()


class Register:
    """Systems by name, each started once and kept as long as the register.

    A register can be sent to another process, where nothing is started yet.

    Parameters
    ----------
    model : str, optional
        Name or path of the model that percepnet uses.
    config : path, optional
        TOML file with further systems (`percepnet.systems.configuration`).

    Raises
    ------
    PercepNetError
        If the file cannot be used.
    """

    def __init__(self, model: str | None = None, config: Path | None = None) -> None:
        self.model = model
        self.config = config
        self._started: dict[str, Process | Oracle] = {}
        self._warm: set[str] = set()
        self._versions: dict[str, str] = {}
        self.configured: Mapping[str, System] = {}
        if config is not None:
            with extra_packages("eval"):
                from percepnet.systems.configuration import configured_systems

            self.configured = configured_systems(config, SYSTEMS)

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self.model, "config": self.config}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Register.__init__(self, **state)

    @property
    def systems(self) -> dict[str, System]:
        return SYSTEMS | dict(self.configured)

    @property
    def default_names(self) -> tuple[str, ...]:
        """Those that are compared where nobody says which."""
        return tuple(name for name, system in self.systems.items() if not system.only_when_named)

    def check(self, names: Iterable[str]) -> None:
        """Raise PercepNetError for a name that is not in the register."""
        for name in names:
            self[name]

    def __getitem__(self, name: str) -> System:
        if name not in self.systems:
            raise PercepNetError(f"unknown system {name!r}: choose from {', '.join(self.systems)}")
        return self.systems[name]

    def start(self, name: str) -> Process | Oracle:
        """A system for whole recordings.

        Raises
        ------
        SystemMissing
            If it is not installed or does not start, with what to install.
        PercepNetError
            If the name is unknown, or what it runs cannot be used.
        """
        if name not in self._started:
            system = self[name]
            self._started[name] = self._begin(name, system, system.start)
        return self._started[name]

    def warm(self, name: str) -> Process | Oracle:
        """The same after a second of sound: what compiles itself at the first call is not timed."""
        process = self.start(name)
        if name not in self._warm:
            noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ).astype(np.float32)
            run_system(process, np.float32(0.01) * noise, noise)
            self._warm.add(name)
        return process

    def live(self, name: str) -> LiveSystem:
        """A system that takes 10 ms at a time, from its beginning; the errors are those of `start`."""
        system = self[name]
        if system.live is None:
            raise SystemMissing(f"{name} cannot be used live in this process, 10 ms at 48 kHz at a time")
        return LiveSystem(name, self._begin(name, system, system.live), system.form)

    def version(self, name: str) -> str:
        """What has to be the same for a system to give the same again: a hash of what runs."""
        if name not in self._versions:
            system = self[name]
            self._versions[name] = (
                digest(system.package, package_files(system.package))
                if system.version is None
                else system.version(self.model)
            )
        return self._versions[name]

    def available(self, names: Iterable[str]) -> tuple[tuple[str, ...], dict[str, str]]:
        """Systems that can be started, and the reasons of those that cannot."""
        available, skipped = [], {}
        for name in dict.fromkeys(names):
            self.check([name])
            try:
                self.start(name)
            except ModelError:
                raise
            except PercepNetError as error:
                skipped[name] = str(error)
            else:
                available.append(name)
        return tuple(available), skipped

    def _begin(self, name: str, system: System, start: Any) -> Any:
        package = system.package
        try:
            return start(self.model)
        except (ImportError, OSError) as error:
            raise SystemMissing(f"{package} cannot be imported ({error}): pip install {package}") from error
        except PercepNetError:
            raise
        except Exception as error:  # a package that does not fit to another one fails in ways of its own
            raise SystemMissing(f"{package or name} does not start: {type(error).__name__}: {error}") from error


def check_live(names: Iterable[str]) -> None:
    """Raise PercepNetError for a name that is not of a system that takes 10 ms at a time."""
    live = [name for name, system in SYSTEMS.items() if system.live is not None]
    for name in names:
        if name not in live:
            raise PercepNetError(f"unknown system {name!r}: choose from {', '.join(live)}, or none")
