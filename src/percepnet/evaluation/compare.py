"""Scores of several systems on pairs of clean and noisy recordings, side by side.

Every system hears the same noisy recordings and is judged by the same measures, aligned in time. What counts is the
difference to the noisy recording, with a bootstrap interval that says how far it could be an accident of the set.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from percepnet.arrays import Samples
from percepnet.errors import PercepNetError
from percepnet.evaluation.heldout import describe, read_command, read_mixtures, read_snrs_db
from percepnet.evaluation.metrics import METRICS, TITLES, Scores, score
from percepnet.evaluation.recordings import Done, Pair, find_pairs, on_each_pair, read_at_48k
from percepnet.evaluation.report import finite_mean, format_score, made_with, markdown_table, to_json
from percepnet.model import load_model
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.stream import enhance

DEFAULT_SYSTEMS = ("noisy", "percepnet", "rnnoise")
REFERENCE_SYSTEM = "noisy"
PROCESSES = 2
BOOTSTRAP_DRAWS = 4000
DELAY_MAX_SAMPLES = 4800  # 100 ms


class Progress(Protocol):
    """Wraps what is being done and shows how far it is."""

    def __call__(self, done: Iterable[Done[Any]], total: int, /) -> Iterable[Done[Any]]: ...


class System(Protocol):
    """What is compared: takes a mono recording at 48 kHz and gives one of the same length, aligned in time with it."""

    def __call__(self, noisy: Samples, /) -> Samples: ...


def _noisy(_model: str | None) -> System:
    return lambda noisy: noisy


def _percepnet(model: str | None, *, comb_filter: bool = True, post_filter: bool = True) -> System:
    loaded = load_model(model)
    return lambda noisy: enhance(noisy, SAMPLE_RATE_HZ, model=loaded, comb_filter=comb_filter, post_filter=post_filter)


def _rnnoise(_model: str | None) -> System:
    try:
        from pyrnnoise import rnnoise
    except (ImportError, OSError) as error:
        raise PercepNetError(f"pyrnnoise cannot be imported ({error}): pip install pyrnnoise") from error

    def suppress(noisy: Samples) -> Samples:
        padded = np.pad(noisy, (0, DELAY_MAX_SAMPLES + -len(noisy) % rnnoise.FRAME_SIZE))
        frames = np.rint(np.clip(padded, -1.0, 1.0) * 32767).astype(np.int16).reshape(-1, rnnoise.FRAME_SIZE)
        state = rnnoise.create()
        try:
            output = np.concatenate([rnnoise.process_mono_frame(state, frame)[0] for frame in frames])
        finally:
            rnnoise.destroy(state)
        delay = measured_delay_samples(padded, output.astype(np.float32))
        return output[delay : delay + len(noisy)].astype(np.float32) / np.float32(32767)

    return suppress


SYSTEMS: dict[str, Callable[[str | None], System]] = {
    "noisy": _noisy,
    "percepnet": _percepnet,
    "percepnet-without-comb-filter": partial(_percepnet, comb_filter=False),
    "percepnet-without-post-filter": partial(_percepnet, post_filter=False),
    "rnnoise": _rnnoise,
}


def measured_delay_samples(x: Samples, delayed: Samples) -> int:
    """Delay of a system, 0 to 100 ms: the lag at which what came out correlates best with what went in.

    Parameters
    ----------
    x, delayed : np.ndarray [shape=(n,)]
    """
    size = 2 * len(x)
    correlation = np.fft.irfft(np.fft.rfft(x, size).conj() * np.fft.rfft(delayed, size), size)
    return int(np.argmax(correlation[: DELAY_MAX_SAMPLES + 1]))


@dataclass(frozen=True)
class Row:
    """Scores of one system on one recording."""

    name: str
    system: str
    snr_db: float | None
    scores: Scores


@dataclass(frozen=True)
class Difference:
    """Mean of a measure, and how much it differs from the noisy recordings, with its 95 % bootstrap interval."""

    mean: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """All scores, and what could not be scored and why."""

    pairs: str
    rows: list[Row]
    failures: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    made_of: str = ""
    command: str = ""

    @property
    def systems(self) -> list[str]:
        return list(dict.fromkeys(row.system for row in self.rows))

    @property
    def measures(self) -> list[str]:
        return [name for name in TITLES if self.rows and name in self.rows[0].scores]

    @property
    def snrs_db(self) -> list[float]:
        return sorted({row.snr_db for row in self.rows if row.snr_db is not None})

    def values(self, system: str, measure: str, snr_db: float | None = None) -> NDArray[np.float64]:
        """Scores of a system, one a recording, in the same order for every system."""
        rows = (row for row in self.rows if row.system == system and snr_db in (None, row.snr_db))
        return np.array([row.scores[measure] for row in rows])

    def difference(self, system: str, measure: str) -> Difference:
        """Mean of a system, and its mean difference to the noisy recordings (paired bootstrap, 95 %)."""
        values = self.values(system, measure)
        differences = values - self.values(REFERENCE_SYSTEM, measure)
        valid = np.isfinite(differences)
        if not valid.any():
            return Difference(np.nan, np.nan, np.nan, np.nan)
        differences = differences[valid]
        draws = np.random.default_rng(0).integers(0, len(differences), (BOOTSTRAP_DRAWS, len(differences)))
        low, high = np.percentile(differences[draws].mean(axis=-1), (2.5, 97.5))
        return Difference(float(values[valid].mean()), float(differences.mean()), float(low), float(high))

    def to_json(self) -> str:
        """Everything, for programs."""
        summary = {s: {m: vars(self.difference(s, m)) for m in self.measures} for s in self.systems}
        document = {
            "pairs": self.pairs,
            "recordings": len({row.name for row in self.rows}),
            "summary": summary,
            "rows": [vars(row) for row in self.rows],
            "failures": self.failures,
            "skipped": self.skipped,
            "versions": made_with(),
        }
        return to_json(document)

    def to_markdown(self) -> str:
        """A report: means with their difference to the noisy recordings, means by signal-to-noise ratio, gaps."""
        recordings = len({row.name for row in self.rows})
        lines = [
            "# Evaluation",
            "",
            f"{recordings} recordings of `{self.pairs}`{self.made_of and ': '}{self.made_of}. Means; in brackets the "
            "difference to the noisy recordings, and its 95 % bootstrap interval.",
            "",
        ]
        means = [[system, *(self._cell(system, m) for m in self.measures)] for system in self.systems]
        lines += markdown_table(["system", *self._titles()], means)
        if self.snrs_db:
            lines += ["", "## By signal-to-noise ratio", ""]
            keys = [(snr_db, system) for snr_db in self.snrs_db for system in self.systems]
            means = [[f"{snr_db:g} dB", system, *self._means(system, snr_db)] for snr_db, system in keys]
            lines += markdown_table(["SNR", "system", *self._titles()], means)
        for title, reasons in (("Not scored", self.failures), ("Left out", self.skipped)):
            if reasons:
                lines += ["", f"## {title}", "", *(f"- `{name}`: {reason}" for name, reason in reasons.items())]
        versions = ", ".join(f"{name} {number}" for name, number in made_with().items())
        evaluation = f"percepnet evaluate --pairs {self.pairs} --systems {','.join(self.systems)}"
        commands = [f"    {command}" for command in (self.command, evaluation) if command]
        return "\n".join([*lines, "", f"Made with {versions}.", "", *commands, ""])

    def _means(self, system: str, snr_db: float) -> list[str]:
        return [format_score(m, finite_mean(self.values(system, m, snr_db))) for m in self.measures]

    def _titles(self) -> list[str]:
        return [TITLES[measure] for measure in self.measures]

    def _cell(self, system: str, measure: str) -> str:
        result = self.difference(system, measure)
        if system == REFERENCE_SYSTEM or not np.isfinite(result.mean):
            return format_score(measure, result.mean)
        difference, low, high = (
            format_score(measure, x, sign=True) for x in (result.difference, result.low, result.high)
        )
        return f"{format_score(measure, result.mean)} ({difference}, {low} to {high})"


def compare(
    folder: str | Path,
    systems: Sequence[str] = DEFAULT_SYSTEMS,
    *,
    model: str | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    processes: int = PROCESSES,
    progress: Progress = lambda done, total: done,
) -> Comparison:
    """Score systems on a folder of pairs.

    Parameters
    ----------
    folder : path
        Has ``noisy/NAME.wav`` and ``clean/NAME.wav`` (or flac, ogg, …), mono, of equal length; and, where the set was
        made by ``percepnet.evaluation.heldout``, ``mixtures.json`` with the signal-to-noise ratios.
    systems : sequence of str
        Keys of ``SYSTEMS``. ``noisy`` is always scored. Those whose package is missing are left out, and named.
    model : str, optional
        Name or path of the model that percepnet uses.
    metrics : sequence of str
        Keys of ``percepnet.evaluation.metrics.METRICS``.
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
        If there is no pair, none could be scored, a system or measure is unknown, or a package of a measure is missing.
    """
    folder = Path(folder)
    pairs = find_pairs(folder, read_snrs_db(folder))
    names, skipped = _available([REFERENCE_SYSTEM, *systems], model)
    probe = np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ).astype(np.float32) * np.float32(0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score(
            probe, probe, SAMPLE_RATE_HZ, metrics
        )  # unknown measures and missing packages show before the work starts

    work = partial(_score_pair, systems=names, model=model, metrics=tuple(metrics))
    done = {d.pair.name: d for d in progress(on_each_pair(work, pairs, processes), len(pairs))}
    failures = {pair.name: done[pair.name].error for pair in pairs if done[pair.name].result is None}
    rows = [
        Row(pair.name, system, pair.snr_db, scores)
        for pair in pairs
        for system, scores in (done[pair.name].result or {}).items()
    ]
    if not rows:
        raise PercepNetError(
            f"{folder}: none of {len(pairs)} pairs could be scored; the first: {next(iter(failures.values()))}"
        )
    made_of = describe(read_mixtures(folder))
    return Comparison(folder.resolve().name, rows, failures, skipped, made_of, read_command(folder))


def run_evaluation(
    folder: Path,
    systems: Sequence[str] = DEFAULT_SYSTEMS,
    *,
    model: str | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    output: Path | None = None,
    as_json: bool = False,
    processes: int = PROCESSES,
) -> Comparison:
    """The command ``percepnet evaluate``: compare, show progress, print or write the report.

    Parameters
    ----------
    folder, systems, model, metrics, processes
        As for :func:`compare`.
    output : path, optional
        File to write the report to, instead of printing it.
    as_json : bool
        JSON instead of Markdown.
    """
    console = Console(stderr=True)

    def progress(done: Iterable[Done[Any]], total: int) -> Iterable[Done[Any]]:
        return track(done, "Scoring", total, console=console, transient=True, disable=not console.is_terminal)

    result = compare(folder, systems, model=model, metrics=metrics, processes=processes, progress=progress)
    for name, reason in (result.skipped | result.failures).items():
        console.print(f"{name}: {reason}", style="yellow", markup=False, highlight=False)
    report = result.to_json() + "\n" if as_json else result.to_markdown()
    if output is None:
        print(report, end="")
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(report, encoding="utf-8")
    return result


@lru_cache(maxsize=8)
def _system(name: str, model: str | None) -> System:
    """One system a process: a model is loaded once."""
    return SYSTEMS[name](model)


def _available(names: Iterable[str], model: str | None) -> tuple[tuple[str, ...], dict[str, str]]:
    available, skipped = [], {}
    for name in dict.fromkeys(names):
        if name not in SYSTEMS:
            raise PercepNetError(f"unknown system {name!r}: choose from {', '.join(SYSTEMS)}")
        try:
            _system(name, model)
        except PercepNetError as error:
            if name.startswith("percepnet"):
                raise
            skipped[name] = str(error)
        else:
            available.append(name)
    return tuple(available), skipped


def _score_pair(pair: Pair, systems: Sequence[str], model: str | None, metrics: Sequence[str]) -> dict[str, Scores]:
    clean, noisy = read_at_48k(pair)
    return {name: score(clean, _system(name, model)(noisy), SAMPLE_RATE_HZ, metrics) for name in systems}
