"""Scores of several systems on recordings, side by side.

Every system hears the same noisy recordings and is judged by the same measures, aligned in time. What counts is the
difference to the noisy recording, with a bootstrap interval that says how far it could be an accident of the set.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from percepnet.audio import replacing
from percepnet.errors import ModelError, PercepNetError
from percepnet.evaluation.cache import FOLDER, Cache, file_digest, key_of
from percepnet.evaluation.heldout import describe, read_command, read_mixtures
from percepnet.evaluation.metrics import METRICS, REFERENCE_FREE, TITLES, Scores, check_measures, score
from percepnet.evaluation.peers import (
    PEERS,
    Oracle,
    Process,
    load_peers,
    real_time_factor,
    run_system,
    start_system,
    system_version,
)
from percepnet.evaluation.recordings import Done, Recording, find_recordings, on_each_pair, read_recording
from percepnet.evaluation.report import finite_mean, format_score, made_with, markdown_table, to_json
from percepnet.params import SAMPLE_RATE_HZ

DEFAULT_SYSTEMS = tuple(name for name, peer in PEERS.items() if not peer.only_when_named)
REFERENCE_SYSTEM = "noisy"
OWN_SYSTEM = "percepnet"
PROCESSES = 2
BOOTSTRAP_DRAWS = 4000
MAIN_MEASURES = (
    "pesq_wb",
    "pesq_nb",
    "stoi",
    "estoi",
    "si_sdr_db",
    "dnsmos_sig",
    "dnsmos_bak",
    "dnsmos_ovrl",
)  # the others have a table of their own


class Progress(Protocol):
    """Wraps what is being done and shows how far it is."""

    def __call__(self, done: Iterable[Done[Any, Any]], total: int, /) -> Iterable[Done[Any, Any]]: ...


@dataclass(frozen=True)
class Job:
    """What is done with every recording; small, because it goes to every process.

    Attributes
    ----------
    versions : dict
        System to what has to be the same for kept scores to hold.
    """

    systems: tuple[str, ...]
    metrics: tuple[str, ...]
    versions: dict[str, str]
    model: str | None = None
    peers: Path | None = None
    cache: Cache = field(default_factory=Cache)


@dataclass(frozen=True)
class Outcome:
    """What came of one system on one recording: scores, or what went wrong; and what the measures had to say."""

    scores: Scores = field(default_factory=dict)
    costs: Scores = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: str = ""


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
    job: Job = Job((), (), {})
    option: str = "--pairs"
    paced: dict[str, float] | None = None

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(row.name for row in self.rows))

    @property
    def systems(self) -> list[str]:
        order = {name: i for i, name in enumerate(self.job.systems)}
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
        values = self.values(system, measure)
        differences = values - self.values(to, measure)
        valid = np.isfinite(differences)
        if not valid.any():
            return Difference(np.nan, np.nan, np.nan, np.nan)
        differences = differences[valid]
        draws = np.random.default_rng(0).integers(0, len(differences), (BOOTSTRAP_DRAWS, len(differences)))
        low, high = np.percentile(differences[draws].mean(axis=-1), (2.5, 97.5))
        return Difference(float(values[valid].mean()), float(differences.mean()), float(low), float(high))

    def evaluation_command(self) -> str:
        """The command that makes this comparison again."""
        chosen = self.job.metrics
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

    def to_markdown(self) -> str:
        """A report: means with their difference to the noisy recordings, means by signal-to-noise ratio, gaps."""
        main = [measure for measure in self.measures if measure in MAIN_MEASURES]
        others = [measure for measure in self.measures if measure not in MAIN_MEASURES]
        lines = [
            "# Evaluation",
            "",
            f"{len(self.names)} recordings of `{self.pairs}`{self.made_of and ': '}{self.made_of}. Means; in brackets "
            "the difference to the noisy recordings, and its 95 % bootstrap interval.",
            "",
        ]
        means = [[system, *(self.cell(system, m) for m in main)] for system in self.systems]
        lines += markdown_table(["system", *_titles(main)], means) if main else []
        costs = [[self.cost_text(s, name, per_mille=True) for name in self.costs] for s in self.systems]
        titles = [f"{title}, ‰" if name.endswith("rtf") else title for name, title in self.costs.items()]
        means = [[s, *(self.cell(s, m) for m in others), *cost] for s, cost in zip(self.systems, costs, strict=True)]
        lines += ["", *markdown_table(["system", *_titles(others), *titles], means)]
        lines += self._against(main)
        if self.snrs_db:
            lines += ["", "## By signal-to-noise ratio", ""]
            lines += self._broken_down("SNR", main, {f"{snr_db:g} dB": Group(snr_db) for snr_db in self.snrs_db})
        if self.rooms:
            lines += ["", "## By room", "", *self._broken_down("room", main, self.rooms)]
        if len(self.noises) > 1:
            groups = {noise: Group(noise=noise) for noise in self.noises}
            lines += ["", "## By noise", "", *self._broken_down("noise", main, groups)]
        for title, reasons in (("Not scored", self.failures), ("Left out", self.skipped), ("Notes", self.notes)):
            if reasons:
                lines += ["", f"## {title}", "", *(f"- `{name}`: {reason}" for name, reason in reasons.items())]
        versions = ", ".join(f"{name} {number}" for name, number in made_with().items())
        commands = [f"    {command}" for command in (self.command, self.evaluation_command()) if command]
        return "\n".join([*lines, "", f"Made with {versions}.", "", *commands, ""])

    def cost_text(self, system: str, name: str, *, per_mille: bool = False) -> str:
        """A cost as text; a dash for the recording itself, and where it is not known."""
        value = self.cost(system, name)
        if system == REFERENCE_SYSTEM or not np.isfinite(value):
            return "–"
        if name == "delay_ms":
            return f"{value:.1f}"
        return f"{1000 * value:.1f}" if per_mille else f"{value:.2g}"

    def cell(self, system: str, measure: str) -> str:
        """Mean and difference as text."""
        mean = format_score(measure, self.difference(system, measure).mean)
        if system == REFERENCE_SYSTEM or mean == format_score(measure, np.nan):
            return mean
        return f"{mean} ({self.difference_text(system, measure, REFERENCE_SYSTEM)})"

    def difference_text(self, system: str, measure: str, to: str) -> str:
        """Difference of a system to another one as text, with its interval."""
        result = self.difference(system, measure, to)
        numbers = (result.difference, result.low, result.high)
        difference, low, high = (format_score(measure, x, sign=True) for x in numbers)
        return f"{difference}, {low} to {high}"

    def _broken_down(self, by: str, measures: Sequence[str], groups: Mapping[str, Group]) -> list[str]:
        """A table of means, systems by groups."""
        rows = [
            [name, system, *(format_score(m, finite_mean(self.values(system, m, group))) for m in measures)]
            for name, group in groups.items()
            for system in self.systems
        ]
        return markdown_table([by, "system", *_titles(measures)], rows)

    def _against(self, measures: Sequence[str]) -> list[str]:
        """A table of how percepnet differs from each other system; empty without either."""
        others = [system for system in self.systems if not system.startswith((OWN_SYSTEM, REFERENCE_SYSTEM))]
        if OWN_SYSTEM not in self.systems or not others:
            return []
        rows = [[other, *(self.difference_text(OWN_SYSTEM, m, other) for m in measures)] for other in others]
        return ["", "## Against the others", "", *markdown_table([f"{OWN_SYSTEM} minus", *_titles(measures)], rows)]


def _titles(measures: Sequence[str]) -> list[str]:
    return [TITLES[measure] for measure in measures]


def compare(
    folder: str | Path,
    systems: Sequence[str] = DEFAULT_SYSTEMS,
    *,
    with_clean: bool = True,
    model: str | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    peers: Path | None = None,
    cache: Path | None = None,
    processes: int = PROCESSES,
    progress: Progress = lambda done, total: done,
) -> Comparison:
    """Score systems on a folder of recordings.

    Parameters
    ----------
    folder : path
        Has ``noisy/NAME.wav`` and ``clean/NAME.wav`` (or flac, ogg, …), mono, of equal length; and, where the set was
        made by ``percepnet.evaluation.heldout``, ``mixtures.json`` with the signal-to-noise ratios.
    systems : sequence of str
        Keys of ``percepnet.evaluation.peers.load_peers``. ``noisy`` is always scored. Those whose package is missing
        are left out, and named.
    with_clean : bool
        Without clean speech the folder holds the noisy recordings themselves, and measures that need no reference
        are taken.
    model : str, optional
        Name or path of the model that percepnet uses.
    metrics : sequence of str
        Keys of ``percepnet.evaluation.metrics.METRICS``. Those whose package is missing are left out, and named.
    peers : path, optional
        TOML file with further systems.
    cache : path, optional
        Folder in which scores are kept; a run that is interrupted goes on from there.
    processes : int
        How many recordings are scored at a time.
    progress : callable
        Wraps the results as they come; its second argument is their number.

    Returns
    -------
    Comparison

    Raises
    ------
    PercepNetError
        If there is no recording, none could be scored, a system or measure is unknown, or no measure can be taken.
    """
    folder = Path(folder)
    mixtures = read_mixtures(folder)
    facts = {mixture["name"]: mixture for mixture in mixtures}
    recordings = [_with_facts(r, facts.get(r.name, {})) for r in find_recordings(folder, with_clean=with_clean)]
    names, skipped = available_systems([REFERENCE_SYSTEM, *systems], model, peers)
    if not with_clean:
        metrics = [name for name in metrics if name in REFERENCE_FREE or name not in METRICS]
    measured, missing = measurable(metrics)
    skipped |= missing
    versions = {name: system_version(name, model, peers) for name in names}
    job = Job(names, measured, versions, model, peers, Cache(cache))

    work = partial(_score_recording, job=job)
    done = {d.pair.name: d for d in progress(on_each_pair(work, recordings, processes), len(recordings))}
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
            notes[recording.name] = "has no clean recording of its name: only measures without a reference"
        for system, outcome in result.items():
            if outcome.error:
                failures[f"{recording.name}, {system}"] = outcome.error
                continue
            if outcome.notes:
                said[recording.name, system] = "; ".join(outcome.notes)
            of_it = (outcome.scores, recording.noise, recording.room, outcome.costs)
            rows.append(Row(recording.name, system, recording.snr_db, *of_it))
    if not rows:
        raise PercepNetError(
            f"{folder}: none of {len(recordings)} pairs could be scored; the first: {next(iter(failures.values()))}"
        )
    return Comparison(
        folder.resolve().name,
        rows,
        failures,
        skipped,
        describe(mixtures),
        read_command(folder),
        notes | _gathered(said),
        {recording.name: recording for recording in recordings},
        job,
        "--pairs" if with_clean else "--noisy",
    )


def run_evaluation(
    folder: Path,
    systems: Sequence[str] = DEFAULT_SYSTEMS,
    *,
    with_clean: bool = True,
    model: str | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    peers: Path | None = None,
    output: Path | None = None,
    cache: Path | None = None,
    as_json: bool = False,
    clips: int = 8,
    processes: int = PROCESSES,
    paced: bool = False,
) -> Comparison:
    """The command ``percepnet evaluate``: compare, show progress, print or write the report.

    Parameters
    ----------
    folder, systems, with_clean, model, metrics, peers, processes
        As for :func:`compare`.
    output : path, optional
        File to write the report to, instead of printing it: a page for ``.html``, otherwise Markdown.
    cache : path, optional
        Folder for scores that are kept; ``.percepnet-evaluation`` beside the report where it is not given.
    as_json : bool
        JSON instead of Markdown.
    clips : int
        How many recordings can be heard in a page.
    paced : bool
        Measure, after the scores, what live use costs too.
    """
    page = output is not None and output.suffix.lower() in (".html", ".htm") and not as_json
    if page:
        from percepnet.evaluation.page import require_page_packages, write_page

        require_page_packages()
    if cache is None and output is not None and not as_json:
        cache = output.parent / FOLDER
    console = Console(stderr=True)

    def progress(done: Iterable[Done[Any, Any]], total: int) -> Iterable[Done[Any, Any]]:
        return track(done, "Scoring", total, console=console, transient=True, disable=not console.is_terminal)

    result = compare(
        folder,
        systems,
        with_clean=with_clean,
        model=model,
        metrics=metrics,
        peers=peers,
        cache=cache,
        processes=processes,
        progress=progress,
    )
    if paced:
        from percepnet.evaluation.paced import paced_factors

        result = replace(result, paced=paced_factors(result.systems, model))
    for name, reason in (result.skipped | result.failures | result.notes).items():
        console.print(f"{name}: {reason}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if output is not None:
        _make_folder(output.parent)
    if output is not None and page:
        write_page(output, result, clips=clips)
        return result
    report = result.to_json() + "\n" if as_json else result.to_markdown()
    if output is None:
        print(report, end="")
    else:
        with replacing(output) as temporary:
            temporary.write_text(report, encoding="utf-8")
    return result


@lru_cache(maxsize=32)
def _system(name: str, model: str | None, peers: Path | None = None) -> Process | Oracle:
    """One system a process: a model is loaded once."""
    return start_system(name, model, peers)


def available_systems(
    names: Iterable[str], model: str | None, peers: Path | None
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Systems that can be started, and the reasons of those that cannot."""
    available, skipped = [], {}
    for name in dict.fromkeys(names):
        if name not in load_peers(peers):
            raise PercepNetError(f"unknown system {name!r}: choose from {', '.join(load_peers(peers))}")
        try:
            _system(name, model, peers)
        except ModelError:
            raise
        except PercepNetError as error:
            skipped[name] = str(error)
        else:
            available.append(name)
    return tuple(available), skipped


def measurable(metrics: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Those whose packages are there, and the reasons of the others: before the work, not in the middle."""
    probe = np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ).astype(np.float32) * np.float32(0.1)
    check_measures(metrics)
    available, skipped = [], {}
    for name in metrics:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                score(probe, probe, SAMPLE_RATE_HZ, (name,))
        except PercepNetError as error:
            skipped[name] = str(error)
        else:
            available.append(name)
    if not available:
        raise PercepNetError(f"no measure can be taken: {'; '.join(skipped.values()) or 'none is asked for'}")
    return tuple(available), skipped


def _with_facts(recording: Recording, mixture: dict[str, Any]) -> Recording:
    noise = str((mixture.get("noise") or {}).get("category") or "")
    room = "measured" if mixture.get("room") else ""
    return Recording(recording.name, recording.noisy, recording.clean, mixture.get("snr_db"), noise, room)


def _score_recording(recording: Recording, job: Job) -> dict[str, Outcome]:
    """Outcomes by system; systems first, measures after them, whose threads would be counted otherwise."""
    digests = [file_digest(path) if path else "" for path in (recording.noisy, recording.clean)]
    keys = {s: key_of(*digests, s, job.versions.get(s, ""), *job.metrics, str(made_with())) for s in job.systems}
    outcomes = {s: Outcome(**kept) for s, key in keys.items() if (kept := job.cache.get(key)) is not None}
    missing = [system for system in job.systems if system not in outcomes]
    if not missing:
        return {system: outcomes[system] for system in job.systems}
    clean, noisy = read_recording(recording)
    enhanced = {}
    for system in missing:
        try:
            enhanced[system] = run_system(_warm(system, job.model, job.peers), noisy, clean)
        except PercepNetError as error:
            outcomes[system] = Outcome(error=str(error))
    for system, result in enhanced.items():
        costs = {
            "rtf": real_time_factor(result, len(noisy)),
            "delay_ms": 1000 * result.delay_samples / SAMPLE_RATE_HZ,
        }
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("always", module=r"percepnet\.")
            try:
                scores = score(clean, result.y, SAMPLE_RATE_HZ, job.metrics)
            except Exception as error:  # packages raise what they like on odd signals; the others are still scored
                outcomes[system] = Outcome(error=f"could not be scored: {' '.join(str(error).split())[:300]}")
                continue
        outcomes[system] = Outcome(scores, costs, list(dict.fromkeys(str(w.message) for w in caught)))
        job.cache.put(keys[system], asdict(outcomes[system]))
    return {system: outcomes[system] for system in job.systems}


@lru_cache(maxsize=32)
def _warm(system: str, model: str | None, peers: Path | None) -> Process | Oracle:
    """A system that has heard a second already: what compiles itself at the first call is not timed."""
    process = _system(system, model, peers)
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ).astype(np.float32)
    run_system(process, np.float32(0.01) * noise, noise)
    return process


def _gathered(said: dict[tuple[str, str], str]) -> dict[str, str]:
    """Notes by recording and system; one that several systems of a recording share, once."""
    notes = {}
    for (name, system), note in said.items():
        alike = [key for key, text in said.items() if key[0] == name and text == note]
        notes[name if len(alike) > 1 else f"{name}, {system}"] = note
    return notes


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PercepNetError(f"{folder}: cannot be created ({error.strerror})") from error
