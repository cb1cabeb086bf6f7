"""Scores of several systems on recordings, side by side: the data, and what can be said of them.

What counts is the difference to the noisy recording, with a bootstrap interval that says how far it could be an
accident of the set.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from percepnet.evaluation.numbers import made_with, to_json
from percepnet.evaluation.recordings import Recording
from percepnet.metrics.score import METRICS, TITLES, Scores
from percepnet.systems.system import REFERENCE_SYSTEM

BOOTSTRAP_DRAWS = 4000


@dataclass(frozen=True)
class Row:
    """Scores of one system on one recording.

    Attributes
    ----------
    noise, room : str
        Kind of noise, and ``measured`` where the speech was put into a room, where they are known.
    costs : dict
        ``delay_ms``, and ``rtf``, the real-time factor: seconds of one processor for a second of sound.
    """

    name: str
    system: str
    snr_db: float | None
    scores: Scores
    noise: str = ""
    room: str = ""
    costs: Scores = field(default_factory=dict, compare=False)  # time is not the same twice


class Group(NamedTuple):
    """Recordings that have something in common; None for any."""

    snr_db: float | None = None
    noise: str | None = None
    room: str | None = None

    def holds(self, row: Row) -> bool:
        """Whether a recording is among them."""
        return all(wanted in (None, getattr(row, name)) for name, wanted in self._asdict().items())


EVERYTHING = Group()


@dataclass(frozen=True)
class Difference:
    """Mean of a measure, and how much it differs from another system's, with its 95 % bootstrap interval."""

    mean: float
    difference: float
    low: float
    high: float


def paired_difference(values: NDArray[np.float64], to: NDArray[np.float64]) -> Difference:
    """Mean of scores, and their mean difference to others of the same recordings (paired bootstrap, 95 %).

    Parameters
    ----------
    values, to : np.ndarray [shape=(recordings,)]
        NaN where there is no score.
    """
    differences = values - to
    valid = np.isfinite(differences)
    if not valid.any():
        return Difference(np.nan, np.nan, np.nan, np.nan)
    differences = differences[valid]
    draws = np.random.default_rng(0).integers(0, len(differences), (BOOTSTRAP_DRAWS, len(differences)))
    low, high = np.percentile(differences[draws].mean(axis=-1), (2.5, 97.5))
    return Difference(float(values[valid].mean()), float(differences.mean()), float(low), float(high))


@dataclass(frozen=True)
class Comparison:
    """All scores, and what could not be scored and why.

    Attributes
    ----------
    failures, skipped, notes : dict
        Recordings, or "recording, system", that could not be scored; systems and measures that were left out; and
        what else has to be said of recordings. Each with a reason.
    recordings : dict
        The files, by name.
    order : tuple of str
        Systems, as they were asked for.
    metrics : tuple of str
        Keys of `percepnet.metrics.score.METRICS` that were taken.
    paced : dict or None
        Real-time factors of live use, by system, of those that can be used so; None where they were not measured.
    """

    pairs: str
    rows: list[Row]
    failures: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    made_of: str = ""
    command: str = ""
    notes: dict[str, str] = field(default_factory=dict)
    recordings: dict[str, Recording] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    option: str = "--pairs"
    paced: dict[str, float] | None = None

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(row.name for row in self.rows))

    @property
    def systems(self) -> list[str]:
        order = {name: i for i, name in enumerate(self.order)}
        return sorted(dict.fromkeys(row.system for row in self.rows), key=lambda name: order.get(name, len(order)))

    @property
    def measures(self) -> list[str]:
        scored = {measure for row in self.rows for measure in row.scores}
        return [name for name in TITLES if name in scored]

    @property
    def snrs_db(self) -> list[float]:
        return sorted({row.snr_db for row in self.rows if row.snr_db is not None})

    @property
    def noises(self) -> list[str]:
        return sorted({row.noise for row in self.rows if row.noise})

    @property
    def rooms(self) -> dict[str, Group]:
        """Recordings in measured rooms, and those that were put into none; empty where there are not both."""
        rooms = sorted({row.room for row in self.rows})
        return {room or "none": Group(room=room) for room in rooms} if len(rooms) > 1 else {}

    def values(self, system: str, measure: str, group: Group = EVERYTHING) -> NDArray[np.float64]:
        """Scores of a system, one a recording, in the same order for every system; nan where there is none."""
        chosen = [row for row in self.rows if group.holds(row)]
        own = {row.name: row.scores.get(measure, np.nan) for row in chosen if row.system == system}
        return np.array([own.get(name, np.nan) for name in dict.fromkeys(row.name for row in chosen)])

    @property
    def costs(self) -> dict[str, str]:
        """Names, as of `cost`, of what is known of all systems, and their titles."""
        paced = {"paced_rtf": "real-time factor, paced"} if self.paced is not None else {}
        return {"rtf": "real-time factor"} | paced | {"delay_ms": "delay (ms)"}

    def cost(self, system: str, name: str) -> float:
        """Median of ``rtf`` or ``delay_ms``, or ``paced_rtf``; nan where it is not known."""
        if name == "paced_rtf":
            return (self.paced or {}).get(system, np.nan)
        values = np.array([row.costs.get(name, np.nan) for row in self.rows if row.system == system])
        return float(np.nanmedian(values)) if np.isfinite(values).any() else np.nan

    def difference(self, system: str, measure: str, to: str = REFERENCE_SYSTEM) -> Difference:
        """Mean of a system, and its mean difference to another one (paired bootstrap, 95 %)."""
        return paired_difference(self.values(system, measure), self.values(to, measure))

    def evaluation_command(self) -> str:
        """The command that makes this comparison again."""
        chosen = self.metrics
        metrics = f" --metrics {','.join(chosen)}" if chosen and set(chosen) != set(METRICS) else ""
        paced = " --paced" if self.paced is not None else ""
        return f"percepnet evaluate {self.option} {self.pairs} --systems {','.join(self.systems)}{metrics}{paced}"

    def to_json(self) -> str:
        """Everything, for programs."""
        summary = {
            s: {m: vars(self.difference(s, m)) for m in self.measures}
            | {name: self.cost(s, name) for name in self.costs}
            for s in self.systems
        }
        document = {
            "pairs": self.pairs,
            "recordings": len(self.names),
            "summary": summary,
            "rows": [vars(row) for row in self.rows],
            "failures": self.failures,
            "skipped": self.skipped,
            "notes": self.notes,
            "versions": made_with(),
        }
        return to_json(document)
