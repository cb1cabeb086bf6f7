"""The runs of `percepnet evaluate`: scores or curves, with progress, and where the report goes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from percepnet.atomic import replacing
from percepnet.audio.formats import ALL_SUFFIXES
from percepnet.errors import PercepNetError, complain
from percepnet.evaluation.cache import FOLDER, Cache
from percepnet.evaluation.clips import make_clips
from percepnet.evaluation.compare import PROCESSES, compare
from percepnet.evaluation.comparison import Comparison
from percepnet.evaluation.paced import paced_factors
from percepnet.evaluation.recordings import left_out
from percepnet.evaluation.render import report
from percepnet.evaluation.render import robustness as curves_report
from percepnet.evaluation.robustness import METRICS as CURVE_METRICS
from percepnet.evaluation.robustness import Curves, robustness
from percepnet.metrics.score import METRICS
from percepnet.plot import require_matplotlib
from percepnet.progress import followed
from percepnet.systems.register import Register

PAGES = (".html", ".htm")


@dataclass(frozen=True)
class Output:
    """Where a report goes: to a file, a page for ``.html`` and otherwise Markdown; or to standard output.

    Parameters
    ----------
    path : Path or None
        Appears only when it is complete.
    as_json : bool
        JSON instead of Markdown or a page.
    """

    path: Path | None = None
    as_json: bool = False

    def __post_init__(self) -> None:
        if self.path is not None and self.path.suffix.lower() in ALL_SUFFIXES:
            raise PercepNetError(f"{self.path}: is a recording's name: give -o report.html, or report.md")

    @property
    def page(self) -> bool:
        return self.path is not None and self.path.suffix.lower() in PAGES and not self.as_json

    def cache(self, folder: Path | None) -> Cache:
        """Scores are kept in a folder that is given, or beside the report."""
        if folder is None and self.path is not None and not self.as_json:
            folder = self.path.parent / FOLDER
        return Cache(folder)

    def write(self, json: Callable[[], str], markdown: Callable[[], str], page: Callable[[], str]) -> None:
        text = json() + "\n" if self.as_json else page() if self.page else markdown()
        if self.path is None:
            print(text, end="")
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PercepNetError(f"{self.path.parent}: cannot be created ({error.strerror})") from error
        with replacing(self.path) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="replace")  # names need not be UTF-8
        if self.page:
            print(f"{self.path}: {len(text.encode()) / 1e6:.1f} MB")


def run_evaluation(
    folder: Path,
    systems: Sequence[str] | None = None,
    *,
    with_clean: bool = True,
    register: Register | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    output: Path | None = None,
    cache: Path | None = None,
    as_json: bool = False,
    clips: int = 8,
    processes: int = PROCESSES,
    paced: bool = False,
    command: str = "",
) -> Comparison:
    """The command ``percepnet evaluate``: compare, show progress, print or write the report.

    Parameters
    ----------
    folder, systems, with_clean, register, metrics, processes
        As for :func:`percepnet.evaluation.compare.compare`.
    output : path, optional
        File to write the report to, instead of printing it: a page for ``.html``, otherwise Markdown.
    cache : path, optional
        Folder for scores that are kept; ``.percepnet-evaluation`` beside the report where it is not given.
    as_json : bool
        JSON instead of Markdown.
    clips : int
        How many recordings can be heard in a page, half of them the worst; 0 for none.
    paced : bool
        Measure, after the scores, what live use costs too.
    command : str
        What was typed, for the report to repeat it.
    """
    target, register = Output(output, as_json), register or Register()
    if target.page:
        require_matplotlib()
    result = compare(
        folder,
        systems,
        with_clean=with_clean,
        register=register,
        metrics=metrics,
        cache=target.cache(cache),
        processes=processes,
        follow=partial(followed, title="scoring"),
    )
    if paced:
        result = replace(result, paced=paced_factors(result.systems, register))
    for sentence in left_out(folder, with_clean=with_clean):
        complain(sentence)
    _say(result.skipped | result.failures | result.notes)
    target.write(
        result.to_json,
        lambda: report.to_markdown(result, command),
        lambda: report.to_html(result, make_clips(result, register, clips), command),
    )
    return result


def run_robustness(
    folder: Path,
    systems: Sequence[str],
    *,
    curves: Iterable[str] | None = None,
    register: Register | None = None,
    metrics: Sequence[str] = CURVE_METRICS,
    output: Path | None = None,
    cache: Path | None = None,
    as_json: bool = False,
    command: str = "",
) -> Curves:
    """The command ``percepnet evaluate --robustness``; the parameters are those of `robustness` and of above."""
    target = Output(output, as_json)
    result = robustness(
        folder,
        systems,
        curves=curves,
        register=register,
        metrics=metrics,
        cache=target.cache(cache),
        follow=partial(followed, title="scoring"),
    )
    for sentence in left_out(folder, pairs_only=True):
        complain(sentence)
    _say(result.skipped | result.failures)
    target.write(
        result.to_json,
        lambda: curves_report.to_markdown(result, command),
        lambda: curves_report.to_html(result, command),
    )
    return result


def _say(reasons: Mapping[str, Any]) -> None:
    console = Console(stderr=True)
    for name, reason in reasons.items():
        console.print(f"{name}: {reason}", style="yellow", markup=False, highlight=False, soft_wrap=True)
