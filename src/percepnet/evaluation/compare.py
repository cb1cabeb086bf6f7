"""Systems run on a folder of recordings and scored: all get the same input, and are judged by the same metrics."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from percepnet.errors import PercepNetError
from percepnet.evaluation.cache import Cache, file_digest, key_of
from percepnet.evaluation.comparison import Comparison, Row
from percepnet.evaluation.mixtures import Mixture, read_mixtures
from percepnet.evaluation.numbers import made_with
from percepnet.evaluation.parallel import Done, on_each
from percepnet.evaluation.recordings import Recording, find_recordings, read_recording
from percepnet.metrics.score import METRICS, REFERENCE_FREE, Scores, measurable, score
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.systems.register import Register
from percepnet.systems.run import Enhanced, real_time_factor, run_system
from percepnet.systems.system import REFERENCE_SYSTEM

PROCESSES = 2

Follow = Callable[[Iterable[Done[Any, Any]], int], Iterable[Done[Any, Any]]]  # results as they come, and how many


@dataclass(frozen=True)
class Outcome:
    """What came of one system on one recording: scores, or what went wrong; and what the metrics warned of."""

    scores: Scores = field(default_factory=dict)
    costs: Scores = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: str = ""


@dataclass(frozen=True)
class Scoring:
    """What is done with every recording: each system runs on it, and what comes out is scored.

    Attributes
    ----------
    versions : dict
        System to what has to be the same for kept scores to hold.
    """

    register: Register
    versions: dict[str, str]
    metrics: tuple[str, ...]
    cache: Cache

    def __call__(self, recording: Recording) -> dict[str, Outcome]:
        """Outcomes by system; systems first, metrics after them, whose threads would be counted otherwise."""
        digests = [file_digest(path) if path else "" for path in (recording.noisy, recording.clean)]
        after = (*self.metrics, str(made_with()))
        keys = {name: key_of(*digests, name, version, *after) for name, version in self.versions.items()}
        outcomes = {name: Outcome(**kept) for name, key in keys.items() if (kept := self.cache.get(key)) is not None}
        if len(outcomes) == len(keys):
            return {name: outcomes[name] for name in keys}
        clean, noisy = read_recording(recording)
        enhanced: dict[str, Enhanced] = {}
        for name in [name for name in keys if name not in outcomes]:
            try:
                enhanced[name] = run_system(self.register.warm(name), noisy, clean)
            except PercepNetError as error:
                outcomes[name] = Outcome(error=str(error))
        for name, result in enhanced.items():
            costs = {
                "rtf": real_time_factor(result, len(noisy)),
                "delay_ms": 1000 * result.delay_samples / SAMPLE_RATE_HZ,
            }
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("ignore")
                warnings.filterwarnings("always", module=r"percepnet\.")
                try:
                    scores = score(clean, result.y, SAMPLE_RATE_HZ, self.metrics)
                except Exception as error:  # packages raise what they like on odd signals; the others are still scored
                    outcomes[name] = Outcome(error=f"could not be scored: {' '.join(str(error).split())[:300]}")
                    continue
            outcomes[name] = Outcome(scores, costs, list(dict.fromkeys(str(w.message) for w in caught)))
            self.cache.put(keys[name], asdict(outcomes[name]))
        return {name: outcomes[name] for name in keys}


def compare(
    folder: str | Path,
    systems: Sequence[str] | None = None,
    *,
    with_clean: bool = True,
    register: Register | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    cache: Cache | None = None,
    processes: int = PROCESSES,
    follow: Follow = lambda done, total: done,
) -> Comparison:
    """Score systems on a folder of recordings.

    Parameters
    ----------
    folder : path
        Has ``noisy/NAME.wav`` and ``clean/NAME.wav`` (or flac, ogg, …), mono, of equal length; and, where the set was
        made by ``percepnet heldout``, ``mixtures.json`` with the signal-to-noise ratios.
    systems : sequence of str, optional
        Names in the register; default: all that are installed. ``noisy`` is always scored. Those whose package is
        missing are left out, and named.
    with_clean : bool
        Without clean speech the folder holds the noisy recordings themselves, and metrics that need no reference
        are taken.
    register : Register, optional
        The systems that there are; default: those of the package, with its default model.
    metrics : sequence of str
        Keys of ``percepnet.metrics.score.METRICS``. Those whose package is missing are left out, and named.
    cache : Cache, optional
        Where scores are kept; a run that is interrupted goes on from there.
    processes : int
        How many recordings are scored at a time.
    follow : callable
        Hands on the results as they come, and may show how far it is.

    Returns
    -------
    Comparison

    Raises
    ------
    PercepNetError
        If there is no recording, none could be scored, a system or metric is unknown, or no metric can be taken.
    """
    folder, register = Path(folder), register or Register()
    mixtures = read_mixtures(folder)
    facts = {mixture.name: mixture for mixture in mixtures.mixtures}
    recordings = [_with_facts(r, facts.get(r.name)) for r in find_recordings(folder, with_clean=with_clean)]
    wanted = register.default_names if systems is None else systems
    names, skipped = register.available([REFERENCE_SYSTEM, *wanted])
    if not with_clean:
        metrics = [name for name in metrics if name in REFERENCE_FREE or name not in METRICS]
    measured, missing = measurable(metrics)
    scoring = Scoring(register, {name: register.version(name) for name in names}, measured, cache or Cache())
    done = {d.item.name: d for d in follow(on_each(scoring, recordings, processes), len(recordings))}
    rows: list[Row] = []
    failures: dict[str, str] = {}
    notes: dict[str, str] = {}
    said: dict[tuple[str, str], str] = {}
    for recording in recordings:
        result = done[recording.name].result
        if result is None:
            failures[recording.name] = done[recording.name].error
            continue
        if with_clean and recording.clean is None:
            notes[recording.name] = "has no clean recording of its name: only metrics without a reference"
        for name, outcome in result.items():
            if outcome.error:
                failures[f"{recording.name}, {name}"] = outcome.error
                continue
            if outcome.notes:
                said[recording.name, name] = "; ".join(outcome.notes)
            of_it = (outcome.scores, recording.noise, recording.room, outcome.costs)
            rows.append(Row(recording.name, name, recording.snr_db, *of_it))
    if not rows:
        raise PercepNetError(
            f"{folder}: none of {len(recordings)} pairs could be scored; the first: {next(iter(failures.values()))}"
        )
    return Comparison(
        folder.resolve().name,
        rows,
        failures,
        skipped | missing,
        mixtures.made_of,
        mixtures.command,
        notes | _gathered(said),
        {recording.name: recording for recording in recordings},
        names,
        measured,
        "--pairs" if with_clean else "--noisy",
    )


def _with_facts(recording: Recording, mixture: Mixture | None) -> Recording:
    if mixture is None:
        return recording
    noise = (mixture.noise.category if mixture.noise else None) or ""
    return replace(recording, snr_db=mixture.snr_db, noise=noise, room="measured" if mixture.room else "")


def _gathered(said: dict[tuple[str, str], str]) -> dict[str, str]:
    """Notes by recording and system; one that several systems of a recording share, once."""
    notes = {}
    for (name, system), note in said.items():
        alike = [key for key, text in said.items() if key[0] == name and text == note]
        notes[name if len(alike) > 1 else f"{name}, {system}"] = note
    return notes
