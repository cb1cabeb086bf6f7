"""How quality holds up as the input gets harder: noise, level, bandwidth, clipping, jumps of gain, rooms, long pauses.

Every pair is taken apart into speech and noise and put together again under one condition at a time; the systems hear
the result and are scored against the speech. A system that is robust has flat curves; where one bends is what it was
not made for.

    percepnet evaluate --pairs examples/clips --robustness -o robustness.html
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from percepnet.acoustics.pairs import PEAK_MAX, looped, speech_level_db
from percepnet.arrays import Samples
from percepnet.audio import replacing
from percepnet.errors import PercepNetError
from percepnet.evaluation.cache import FOLDER, Cache, file_digest, key_of
from percepnet.evaluation.compare import REFERENCE_SYSTEM, Progress, available_systems
from percepnet.evaluation.curve_plot import curve_plot
from percepnet.evaluation.metrics import TITLES, Scores, check_measures, score
from percepnet.evaluation.peers import Oracle, Process, run_system, start_system, system_version
from percepnet.evaluation.recordings import Pair, find_pairs, on_each_pair, read_at_48k, resampled
from percepnet.evaluation.report import finite_mean, format_score, made_with, markdown_table, to_json
from percepnet.params import SAMPLE_RATE_HZ

METRICS = ("pesq", "stoi", "dnsmos")
ATTENUATION = "attenuation_db"
SHOWN = ("pesq_wb", "stoi", "dnsmos_ovrl", ATTENUATION)
MEASURES = TITLES | {ATTENUATION: "attenuation (dB)"}
SETTLING_S = 1.0  # in which a system finds out that there is no speech
PROCESSES = 2
ROOM_FIRST_S = 0.002  # from the direct sound to the first reflection


class Scene(NamedTuple):
    """What a system hears, what it should give, and the sample from which it is judged.

    Where it should give nothing, the one measure is how much less it gives than it hears.
    """

    reference: Samples
    noisy: Samples
    start: int = 0


class Curve(NamedTuple):
    """A property of the input, and a way to give it to a pair of speech and noise [shape=(n,) each, 48 kHz]."""

    title: str
    unit: str
    values: tuple[float, ...]
    scene: Callable[[Samples, Samples, float], Scene]


def at_snr(speech: Samples, noise: Samples, snr_db: float) -> Scene:
    """Active speech level over the mean level of the noise."""
    noise_db = 10 * np.log10(np.mean(np.square(noise, dtype=np.float64)) + 1e-20)
    gain = np.float32(10 ** ((speech_level_db(speech) - noise_db - snr_db) / 20))
    return _within_range(speech, speech + gain * noise)


def at_level(speech: Samples, noise: Samples, peak_dbfs: float) -> Scene:
    """Both at another level; the value is that of the peak."""
    gain = np.float32(10 ** (peak_dbfs / 20) / np.max(np.abs(speech + noise)))
    return Scene(gain * speech, gain * (speech + noise))


def at_rate(speech: Samples, noise: Samples, rate_khz: float) -> Scene:
    """Both through another rate, which ends the band at half of it."""
    rate_hz = round(1000 * rate_khz)
    narrow = [resampled(resampled(x, SAMPLE_RATE_HZ, rate_hz), rate_hz, SAMPLE_RATE_HZ) for x in (speech, noise)]
    speech, noise = (np.resize(np.pad(x, (0, 8)), len(speech)) for x in narrow)
    return _within_range(speech, speech + noise)


def clipped(speech: Samples, noise: Samples, depth_db: float) -> Scene:
    """The input cut off so far below its peak; the reference is whole."""
    limit = np.float32(np.max(np.abs(speech + noise)) * 10 ** (-depth_db / 20))
    return Scene(speech, np.clip(speech + noise, -limit, limit))


def with_gain_step(speech: Samples, noise: Samples, step_db: float) -> Scene:
    """Louder or softer from the middle on, speech and noise alike."""
    gain = np.ones(len(speech), np.float32)
    gain[len(gain) // 2 :] = 10 ** (step_db / 20)
    return _within_range(gain * speech, gain * (speech + noise))


def in_room(speech: Samples, noise: Samples, rt60_s: float) -> Scene:
    """Speech with the tail of a room, as strong as the direct sound at 1 s, weaker in shorter rooms; noise as it is."""
    if rt60_s <= 0:
        return _within_range(speech, speech + noise)
    t = np.arange(round(rt60_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = np.random.default_rng(0).standard_normal(len(t)) * 10 ** (-3 * t / rt60_s) * (t >= ROOM_FIRST_S)
    tail *= np.sqrt(rt60_s / np.sum(tail**2))
    size = len(speech) + len(tail)
    reverberant = np.fft.irfft(np.fft.rfft(speech, size) * np.fft.rfft(tail, size), size)[: len(speech)]
    return _within_range(speech, (speech + noise + reverberant).astype(np.float32))


def after_pause(speech: Samples, noise: Samples, pause_s: float) -> Scene:
    """A pause with noise alone before the speech; what is judged is the speech."""
    pause = round(pause_s * SAMPLE_RATE_HZ)
    whole = looped(noise, pause + len(noise))
    reference = np.pad(speech, (pause, 0))
    return _within_range(reference, reference + whole, pause)


def alone(speech: Samples, noise: Samples, peak_dbfs: float) -> Scene:
    """Nobody speaks; the value is the peak of the noise."""
    gain = np.float32(10 ** (peak_dbfs / 20) / np.max(np.abs(noise)))
    return Scene(np.zeros_like(noise), gain * noise, round(SETTLING_S * SAMPLE_RATE_HZ))


def attenuation_db(noisy: Samples, y: Samples) -> float:
    """By how much a result is softer than what was heard, 100 dB at most.

    Parameters
    ----------
    noisy, y : np.ndarray [shape=(n,)]
    """
    heard, given = (float(np.mean(np.square(x, dtype=np.float64))) for x in (noisy, y))
    return float(10 * np.log10(heard / max(given, 1e-10 * heard))) if heard > 0 else np.nan


CURVES: dict[str, Curve] = {
    "snr": Curve("Signal-to-noise ratio", "dB", (-5, 0, 5, 10, 15, 20, 30, 45), at_snr),
    "noise": Curve("Noise alone, level of its peak", "dBFS", (-50, -30, -10), alone),
    "level": Curve("Level of the input's peak", "dBFS", (-50, -40, -30, -20, -10, 0), at_level),
    "rate": Curve("Sample rate of the source", "kHz", (8, 12, 16, 24, 32, 48), at_rate),
    "clipping": Curve("Clipping below the peak", "dB", (0, 3, 6, 12, 18), clipped),
    "gain": Curve("Step of gain in the middle", "dB", (-24, -12, 0, 12, 24), with_gain_step),
    "room": Curve("Reverberation time, simulated", "s", (0, 0.2, 0.4, 0.8, 1.2), in_room),
    "pause": Curve("Pause before the speech", "s", (0, 1, 5, 15), after_pause),
}


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

    def to_markdown(self) -> str:
        """A table for each curve."""
        lines = ["# Robustness", "", f"Means of {self.recordings} recordings of `{self.pairs}`.", ""]
        for name, means in self.means.items():
            curve = CURVES[name]
            lines += [f"## {curve.title}", ""]
            header = ["measure", "system", *(f"{value:g} {curve.unit}" for value in curve.values)]
            lines += [*markdown_table(header, self._rows(means)), ""]
        for title, reasons in (("Not scored", self.failures), ("Left out", self.skipped)):
            if reasons:
                lines += [f"## {title}", "", *(f"- `{name}`: {reason}" for name, reason in reasons.items()), ""]
        return "\n".join([*lines, f"    {self.command()}", ""])

    def _rows(self, means: dict[str, dict[str, list[float]]]) -> list[list[str]]:
        measures = [m for m in SHOWN if any(m in of_system for of_system in means.values())]
        return [
            [MEASURES[m], system, *(format_score(m, v) for v in of_system.get(m, []))]
            for m in measures
            for system, of_system in means.items()
        ]

    def to_html(self) -> str:
        """A page with plots and tables."""
        from percepnet.evaluation.page import gaps_html, page_html, table_html

        sections = {}
        for name, means in self.means.items():
            curve = CURVES[name]
            measures = [m for m in SHOWN if any(m in of_system for of_system in means.values())]
            plots, tables = [], []
            for m in measures:
                lines = {system: of_system[m] for system, of_system in means.items() if m in of_system}
                plots.append(f"<figure>{curve_plot(curve.values, lines, MEASURES[m], curve.unit)}</figure>")
                rows = [(system, [format_score(m, v) for v in values]) for system, values in lines.items()]
                tables.append(table_html(MEASURES[m], ["system", *(f"{v:g} {curve.unit}" for v in curve.values)], rows))
            drawn = f'<div class="plots">{"".join(plots)}</div>'
            sections[name] = (curve.title, f"{drawn}<details><summary>Tables</summary>{''.join(tables)}</details>")
        sections["gaps"] = ("What is missing", gaps_html({"Not scored": self.failures, "Left out": self.skipped}))
        sections["made"] = ("How it was made", f"<pre>{self.command()}</pre>")
        return page_html(f"Robustness on {self.pairs}", f"Means of {self.recordings} recordings", sections)


def robustness(
    folder: str | Path,
    systems: Sequence[str] = (REFERENCE_SYSTEM, "percepnet"),
    *,
    curves: Iterable[str] | None = None,
    metrics: Sequence[str] = METRICS,
    model: str | None = None,
    peers: Path | None = None,
    cache: Path | None = None,
    processes: int = PROCESSES,
    progress: Progress = lambda done, total: done,
) -> Curves:
    """Scores of systems over conditions of the input.

    Parameters
    ----------
    folder : path
        Has ``noisy`` and ``clean``, as for ``percepnet.evaluation.compare.compare``.
    systems, metrics, model, peers, cache, processes, progress
        As there.
    curves : iterable of str, optional
        Keys of ``CURVES``; default: all.

    Raises
    ------
    PercepNetError
        If there is no pair, none could be scored, or a system or curve is unknown.
    """
    folder, curves = Path(folder), tuple(CURVES if curves is None else curves)
    if unknown := set(curves) - set(CURVES):
        raise PercepNetError(f"unknown curve {sorted(unknown)[0]!r}: choose from {', '.join(CURVES)}")
    check_measures(metrics)
    names, skipped = available_systems(systems, model, peers)
    pairs = find_pairs(folder)
    conditions = [Condition(pair, c, value) for pair in pairs for c in curves for value in CURVES[c].values]
    versions = {name: system_version(name, model, peers) for name in names}
    work = partial(_score, versions=versions, metrics=tuple(metrics), model=model, peers=peers, cache=Cache(cache))
    done = {d.pair: d for d in progress(on_each_pair(work, conditions, processes), len(conditions))}
    failures: dict[str, str] = {}
    means: dict[str, dict[str, dict[str, list[float]]]] = {}
    for curve in curves:
        for value in CURVES[curve].values:
            results = [done[condition] for condition in conditions if condition[1:] == (curve, value)]
            failures |= {d.pair.name: d.error for d in results if d.result is None}
            scored = [d.result for d in results if d.result is not None]
            for name in names:
                of_system = means.setdefault(curve, {}).setdefault(name, {})
                for measure in [m for m in MEASURES if any(m in r.get(name, {}) for r in scored)]:
                    values = [r[name].get(measure, np.nan) for r in scored if name in r]
                    of_system.setdefault(measure, []).append(finite_mean(values))
    if len(failures) == len(conditions):
        raise PercepNetError(f"{folder}: no pair could be scored; the first: {next(iter(failures.values()))}")
    return Curves(folder.resolve().name, len(pairs), means, failures, skipped, tuple(metrics))


def run_robustness(
    folder: Path,
    systems: Sequence[str],
    *,
    curves: Iterable[str] | None = None,
    metrics: Sequence[str] = METRICS,
    peers: Path | None = None,
    model: str | None = None,
    output: Path | None = None,
    cache: Path | None = None,
    as_json: bool = False,
) -> Curves:
    """The command ``percepnet evaluate --robustness``: a page for ``.html``, otherwise Markdown, or JSON."""
    console = Console(stderr=True)
    if cache is None and output is not None and not as_json:
        cache = output.parent / FOLDER
    result = robustness(
        folder,
        systems,
        curves=curves,
        metrics=metrics,
        model=model,
        peers=peers,
        cache=cache,
        progress=lambda done, total: track(
            done, "Scoring", total, console=console, transient=True, disable=not console.is_terminal
        ),
    )
    for name, reason in (result.skipped | result.failures).items():
        console.print(f"{name}: {reason}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    page = output is not None and output.suffix.lower() in (".html", ".htm")
    text = result.to_json() + "\n" if as_json else result.to_html() if page else result.to_markdown()
    if output is None:
        print(text, end="")
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(output) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return result


def _within_range(reference: Samples, noisy: Samples, start: int = 0) -> Scene:
    """Both lowered together where the input would pass full scale."""
    gain = np.float32(min(1.0, PEAK_MAX / max(float(np.max(np.abs(noisy))), 1e-9)))
    return Scene(gain * reference, gain * noisy, start)


@lru_cache(maxsize=4)
def _speech_and_noise(pair: Pair) -> tuple[Samples, Samples]:
    clean, noisy = read_at_48k(pair)
    if not np.any(clean) or not np.any(noisy - clean):
        raise PercepNetError(f"{pair.name}: has no speech, or no noise")
    return clean, noisy - clean


@lru_cache(maxsize=32)
def _system(name: str, model: str | None, peers: Path | None) -> Process | Oracle:
    return start_system(name, model, peers)


def _score(
    condition: Condition,
    versions: dict[str, str],
    metrics: tuple[str, ...],
    model: str | None,
    peers: Path | None,
    cache: Cache,
) -> dict[str, Scores]:
    """Scores by system."""
    pair, curve, value = condition
    digests = [file_digest(path) for path in (pair.noisy, pair.clean)]
    key = key_of("robustness", *digests, curve, repr(value), str(versions), *metrics, str(made_with()))
    if (kept := cache.get(key)) is not None:
        return {system: dict(scores) for system, scores in kept.items()}
    scene = CURVES[curve].scene(*_speech_and_noise(pair), value)
    results = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nan says it too
        for name in versions:
            try:
                y = run_system(_system(name, model, peers), scene.noisy, scene.reference).y
                reference, x, y = (signal[scene.start :] for signal in (scene.reference, scene.noisy, y))
                if np.any(reference):
                    results[name] = score(reference, y, SAMPLE_RATE_HZ, metrics)
                else:
                    results[name] = {ATTENUATION: attenuation_db(x, y)}
            except PercepNetError as error:
                raise PercepNetError(f"{name}: {error}") from error
    cache.put(key, results)
    return results
