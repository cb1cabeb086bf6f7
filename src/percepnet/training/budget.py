"""A training within a budget of minutes, from unpacking to scores, on a machine that is lent for so long.

What comes out is few files of limited size: the model, the log, the scores, and the checkpoint in pieces, from which
another call goes on.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile

from percepnet.errors import PercepNetError
from percepnet.processors import processors
from percepnet.training.callbacks import LOG_NAME
from percepnet.training.checkpoint import CHECKPOINT_NAME, read_checkpoint
from percepnet.training.config import SETTINGS_NAME, Config
from percepnet.training.pack import unpack
from percepnet.training.progress import Progress
from percepnet.training.run import prepare, run_training
from percepnet.training.trainer import MODEL_NAME
from percepnet.training.validation_audio import available_scores

PIECE_BYTES = 15 * 2**20
SCORES_NAME = "scores.json"
PACKS = "packs"  # in the run's folder
FINISH_S = 10.0  # for the last batch, and to write what is brought home
SHORTEST_S = 5.0  # of training that is worth a start


class Clock:
    """What is left of a budget.

    Parameters
    ----------
    minutes : float
    say : callable, optional
        Gets a line about every stage, with the seconds since the beginning.
    """

    def __init__(self, minutes: float, say: Callable[[str], None] = print) -> None:
        self._begin = time.monotonic()
        self._seconds = 60 * minutes
        self._say = say

    @property
    def left_s(self) -> float:
        return self._begin + self._seconds - time.monotonic()

    def say(self, what: str) -> None:
        self._say(f"[{time.monotonic() - self._begin:6.1f} s] {what}")


def train_within(
    config: Config,
    packs: Sequence[Path],
    out: Path,
    *,
    minutes: float,
    pairs: Path | None = None,
    score_seconds: float = 45.0,
    earlier: Path | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Unpack, train, export and score.

    Parameters
    ----------
    config : Config
        Of the run; its folder keeps what was unpacked and decoded. Its limits are not used.
    packs : sequence of Path
        Of `percepnet.training.pack.pack`.
    out : Path
        Folder for what is to be brought home.
    minutes : float
        For everything.
    pairs : Path, optional
        A folder with `clean` and `noisy`, of files of the same names, to score the model on.
    score_seconds : float
        Of the budget, kept for scores; not used without pairs.
    earlier : Path, optional
        What an earlier call brought home, to go on from. A run that is in the folder already goes on without.
    say : callable

    Returns
    -------
    Path
        The model.

    Raises
    ------
    PercepNetError
        If packs or pairs are missing, or nothing is left of the budget to train in.
    """
    clock, run = Clock(minutes, say), Path(config.out)
    names = _pair_names(pairs) if pairs else []
    out.mkdir(parents=True, exist_ok=True)
    found = unpack(packs, run / PACKS)
    clock.say(f"unpacked {', '.join(f'{len(paths)} manifests of {kind}' for kind, paths in found.items())}")
    config = replace(config, speech=found["speech"], noise=found["noise"], rooms=found["rooms"])
    if earlier is not None:
        join_checkpoint(earlier, run)
    if (run / CHECKPOINT_NAME).exists():
        config = replace(config, resume=True)
        _repoint(run, found)
        before_s = float(read_checkpoint(run / CHECKPOINT_NAME)["trained_s"])
        clock.say(f"going on after {before_s / 60:.1f} minutes of training")
    prepare(config)
    clock.say("decoded the recordings, made rooms and noises")
    left_s = clock.left_s - FINISH_S - (score_seconds if names else 0.0)
    if left_s < SHORTEST_S:
        raise PercepNetError(f"of {minutes:g} minutes {max(0.0, left_s):.0f} s are left to train in: give more")

    def report(progress: Progress) -> None:
        clock.say(progress.line().strip())

    # nothing is held out: that would cost minutes, and the pairs tell more
    model = run_training(config, report, validate=False, deadline=time.monotonic() + left_s)
    bring_home(run, out)
    clock.say(f"trained; wrote {', '.join(sorted(path.name for path in out.iterdir()))}")
    if names:
        assert pairs is not None
        means = score_pairs(model, pairs, names, out / SCORES_NAME, max(1.0, clock.left_s - 2.0))
        clock.say(f"scores: {json.dumps(means)}")
    return out / MODEL_NAME


def bring_home(run: Path, out: Path) -> None:
    """Copy a run's model, log, settings and checkpoint, this one in pieces.

    Parameters
    ----------
    run, out : Path
    """
    for name in (MODEL_NAME, LOG_NAME, SETTINGS_NAME):
        with suppress(FileNotFoundError):
            shutil.copyfile(run / name, out / name)
    for stale in out.glob(f"{CHECKPOINT_NAME}.*"):
        stale.unlink()
    data = (run / CHECKPOINT_NAME).read_bytes()
    for number, start in enumerate(range(0, len(data), PIECE_BYTES)):
        (out / f"{CHECKPOINT_NAME}.{number:02d}").write_bytes(data[start : start + PIECE_BYTES])


def join_checkpoint(earlier: Path, run: Path) -> None:
    """Put a checkpoint's pieces together again, where the run has none of its own.

    Parameters
    ----------
    earlier, run : Path

    Raises
    ------
    PercepNetError
        If there are no pieces, or no settings beside them.
    """
    pieces = sorted(earlier.glob(f"{CHECKPOINT_NAME}.*"))
    if not pieces or not (earlier / SETTINGS_NAME).exists():
        raise PercepNetError(f"{earlier}: no {CHECKPOINT_NAME}.00 and {SETTINGS_NAME} to go on from")
    if (run / CHECKPOINT_NAME).exists():
        return
    run.mkdir(parents=True, exist_ok=True)
    (run / CHECKPOINT_NAME).write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    for name in (SETTINGS_NAME, LOG_NAME):
        with suppress(FileNotFoundError):
            shutil.copyfile(earlier / name, run / name)


def score_pairs(model: Path, pairs: Path, names: Sequence[str], target: Path, seconds: float) -> dict[str, float]:
    """Enhance noisy recordings and compare them with the clean ones, by all processors, as long as there is time.

    Parameters
    ----------
    model : Path
    pairs : Path
        A folder with `clean` and `noisy`.
    names : sequence of str
        Of the files.
    target : Path
        For the scores, as JSON.
    seconds : float
        After which no more are waited for.

    Returns
    -------
    dict of str to float
        Means, how many recordings they are of (`count`), and how many were not reached (`left_out`).
    """
    rows: dict[str, dict[str, float]] = {}
    until = time.monotonic() + seconds
    pool = ProcessPoolExecutor(min(processors(), len(names)), mp_context=get_context("spawn"))
    try:
        futures = {pool.submit(_score_pair, model, pairs, name): name for name in names}
        with suppress(TimeoutError):
            for future in as_completed(futures, max(0.0, until - time.monotonic())):
                rows[futures[future]] = future.result()
    finally:
        processes = list(pool._processes.values())
        pool.shutdown(wait=False, cancel_futures=True)
        if len(rows) < len(names):
            for process in processes:
                process.terminate()
    measures = sorted({measure for row in rows.values() for measure in row})
    values = {measure: [row[measure] for row in rows.values() if np.isfinite(row[measure])] for measure in measures}
    means = {measure: round(float(np.mean(found)), 4) for measure, found in values.items() if found}
    means |= {"count": len(rows), "left_out": len(names) - len(rows)}
    target.write_text(json.dumps({"means": means, "recordings": dict(sorted(rows.items()))}, indent=1))
    return means


def _score_pair(model: Path, pairs: Path, name: str) -> dict[str, float]:
    from percepnet.metrics.score import score
    from percepnet.stream import enhance

    clean, rate_hz = soundfile.read(str(pairs / "clean" / name), dtype="float32")
    noisy, _ = soundfile.read(str(pairs / "noisy" / name), dtype="float32")
    length = min(len(clean), len(noisy))
    enhanced = np.asarray(enhance(noisy[:length], rate_hz, model=str(model)), np.float32)
    measures = available_scores()
    found = score(clean[:length], enhanced, rate_hz, list(measures))
    before = score(clean[:length], noisy[:length], rate_hz, list(measures))
    return {name: found[name] for name in measures.values()} | {
        f"noisy_{name}": before[name] for name in measures.values()
    }


def _repoint(run: Path, found: Mapping[str, Sequence[str]]) -> None:
    """Let a run go on with the manifests that are there now: more packs may have come since."""
    settings = json.loads((run / SETTINGS_NAME).read_text())
    (run / SETTINGS_NAME).write_text(json.dumps(settings | found, indent=1))


def _pair_names(pairs: Path) -> list[str]:
    names = sorted(
        {path.name for path in (pairs / "clean").glob("*")} & {path.name for path in (pairs / "noisy").glob("*")}
    )
    if not names:
        raise PercepNetError(f"{pairs}: no files of the same names in its folders clean and noisy")
    return names
