"""How quality holds up as the input gets harder: noise, level, bandwidth, clipping, jumps of gain, rooms, long pauses.

Every pair is taken apart into speech and noise and put together again under one condition at a time; the systems get
the result and are scored against the speech. A system that is robust has flat curves; where one bends is what it was
not made for.

    percepnet evaluate --pairs examples/clips --robustness -o robustness.html
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from percepnet.arrays import Samples
from percepnet.errors import PercepNetError
from percepnet.evaluation.cache import Cache, file_digest, key_of
from percepnet.evaluation.compare import PROCESSES, Follow
from percepnet.evaluation.numbers import finite_mean, made_with, to_json
from percepnet.evaluation.parallel import on_each
from percepnet.evaluation.recordings import Pair, find_pairs, read_at_48k
from percepnet.evaluation.scenes import CURVES, attenuation_db
from percepnet.metrics.score import TITLES, Scores, check_metrics, score
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.systems.register import Register
from percepnet.systems.run import run_system
from percepnet.systems.system import OWN_SYSTEM, REFERENCE_SYSTEM

METRICS = ("pesq", "stoi", "dnsmos")
ATTENUATION = "attenuation_db"
SHOWN = ("pesq_wb", "stoi", "dnsmos_ovrl", ATTENUATION)
MEASURES = TITLES | {ATTENUATION: "attenuation (dB)"}


class Condition(NamedTuple):
    """One pair under one condition."""

    pair: Pair
    curve: str
    value: float

    @property
    def name(self) -> str:
        return f"{self.pair.name}, {self.curve} {self.value:g}"


class Curves(NamedTuple):
    """Mean scores: curve, system, measure, then one value for each of the curve's."""

    pairs: str
    recordings: int
    means: dict[str, dict[str, dict[str, list[float]]]]
    failures: dict[str, str]
    skipped: dict[str, str]
    metrics: tuple[str, ...] = METRICS

    def command(self) -> str:
        """The command that makes these curves again."""
        systems = ",".join(next(iter(self.means.values())))
        curves = f" --curves {','.join(self.means)}" if set(self.means) != set(CURVES) else ""
        metrics = f" --metrics {','.join(self.metrics)}" if set(self.metrics) != set(METRICS) else ""
        return f"percepnet evaluate --pairs {self.pairs} --robustness{curves} --systems {systems}{metrics}"

    def to_json(self) -> str:
        """Everything, for programs."""
        curves = {
            name: {
                "title": CURVES[name].title,
                "unit": CURVES[name].unit,
                "values": CURVES[name].values,
                "means": means,
            }
            for name, means in self.means.items()
        }
        document = {"pairs": self.pairs, "recordings": self.recordings, "curves": curves}
        gaps = {"failures": self.failures, "skipped": self.skipped, "versions": made_with()}
        return to_json(document | gaps)


@dataclass
class Scoring:
    """What is done with every condition: each system gets it, and what comes out is scored.

    Attributes
    ----------
    versions : dict
        System to what has to be the same for kept scores to hold.
    """

    register: Register
    versions: dict[str, str]
    metrics: tuple[str, ...]
    cache: Cache
    _last: tuple[Pair, Samples, Samples] | None = field(default=None, repr=False)

    def __call__(self, condition: Condition) -> dict[str, Scores]:
        """Scores by system."""
        pair, curve, value = condition
        digests = [file_digest(path) for path in (pair.noisy, pair.clean)]
        key = key_of("robustness", *digests, curve, repr(value), str(self.versions), *self.metrics, str(made_with()))
        if (kept := self.cache.get(key)) is not None:
            return {name: dict(scores) for name, scores in kept.items()}
        scene = CURVES[curve].scene(*self._speech_and_noise(pair), value)
        results = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nan says it too
            for name in self.versions:
                try:
                    y = run_system(self.register.start(name), scene.noisy, scene.reference).y
                    reference, x, y = (signal[scene.start :] for signal in (scene.reference, scene.noisy, y))
                    if np.any(reference):
                        results[name] = score(reference, y, SAMPLE_RATE_HZ, self.metrics)
                    else:
                        results[name] = {ATTENUATION: attenuation_db(x, y)}
                except PercepNetError as error:
                    raise PercepNetError(f"{name}: {error}") from error
        self.cache.put(key, results)
        return results

    def _speech_and_noise(self, pair: Pair) -> tuple[Samples, Samples]:
        """Of the pair that was asked for last they are kept: its conditions follow each other."""
        if self._last is None or self._last[0] != pair:
            clean, noisy = read_at_48k(pair)
            if not np.any(clean) or not np.any(noisy - clean):
                raise PercepNetError(f"{pair.name}: has no speech, or no noise")
            self._last = (pair, clean, noisy - clean)
        return self._last[1:]


def robustness(
    folder: str | Path,
    systems: Sequence[str] = (REFERENCE_SYSTEM, OWN_SYSTEM),
    *,
    curves: Iterable[str] | None = None,
    register: Register | None = None,
    metrics: Sequence[str] = METRICS,
    cache: Cache | None = None,
    processes: int = PROCESSES,
    follow: Follow = lambda done, total: done,
) -> Curves:
    """Scores of systems over conditions of the input.

    Parameters
    ----------
    folder : path
        Has ``noisy`` and ``clean``, as for ``percepnet.evaluation.compare.compare``.
    systems, register, metrics, cache, processes, follow
        As there.
    curves : iterable of str, optional
        Keys of ``CURVES``; default: all.

    Raises
    ------
    PercepNetError
        If there is no pair, none could be scored, or a system or curve is unknown.
    """
    folder, curves, register = Path(folder), tuple(CURVES if curves is None else curves), register or Register()
    if unknown := set(curves) - set(CURVES):
        raise PercepNetError(f"unknown curve {sorted(unknown)[0]!r}: choose from {', '.join(CURVES)}")
    check_metrics(metrics)
    names, skipped = register.available(systems)
    pairs = find_pairs(folder)
    conditions = [Condition(pair, c, value) for pair in pairs for c in curves for value in CURVES[c].values]
    versions = {name: register.version(name) for name in names}
    scoring = Scoring(register, versions, tuple(metrics), cache or Cache())
    done = {d.item: d for d in follow(on_each(scoring, conditions, processes), len(conditions))}
    failures: dict[str, str] = {}
    means: dict[str, dict[str, dict[str, list[float]]]] = {}
    for curve in curves:
        for value in CURVES[curve].values:
            results = [done[condition] for condition in conditions if condition[1:] == (curve, value)]
            failures |= {d.item.name: d.error for d in results if d.result is None}
            scored = [d.result for d in results if d.result is not None]
            for name in names:
                of_system = means.setdefault(curve, {}).setdefault(name, {})
                for measure in [m for m in MEASURES if any(m in r.get(name, {}) for r in scored)]:
                    values = [r[name].get(measure, np.nan) for r in scored if name in r]
                    of_system.setdefault(measure, []).append(finite_mean(values))
    if len(failures) == len(conditions):
        raise PercepNetError(f"{folder}: no pair could be scored; the first: {next(iter(failures.values()))}")
    return Curves(folder.resolve().name, len(pairs), means, failures, skipped, tuple(metrics))
