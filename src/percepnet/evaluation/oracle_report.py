"""The oracle on one recording: audio and scores of every step of the article, and one picture of what it decides.

A perfect network would decide as the oracle does, so this shows what each step can give at best on a recording, and
what the pitch, the comb filter and the gains look like on it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from percepnet.acoustics.resampling import resampled
from percepnet.arrays import Samples
from percepnet.atomic import refuse_existing, replacing
from percepnet.audio import AudioInfo, create_audio
from percepnet.errors import AudioError, PercepNetError
from percepnet.evaluation.numbers import format_score, to_json
from percepnet.evaluation.oracle_plot import STEPS, draw
from percepnet.evaluation.recordings import read_aligned
from percepnet.metrics.score import TITLES, Scores, score
from percepnet.params import SAMPLE_RATE_HZ, SignalParams
from percepnet.plot import require_matplotlib
from percepnet.progress import followed
from percepnet.reference.oracle import OracleResult, Pitch, oracle_steps

METRICS = ("pesq", "stoi", "si_sdr")
FIGURE = "oracle.png"


@dataclass(frozen=True)
class OracleReport:
    """What `oracle_report` wrote, and the scores of each step.

    Attributes
    ----------
    scores : dict
        Step, as in ``STEPS``, to scores.
    files : list of Path
    """

    scores: dict[str, Scores]
    files: list[Path]


def oracle_report(
    clean: Path, noisy: Path, output: Path, *, pitch: Pitch = "clean", params: SignalParams | None = None
) -> OracleReport:
    """Write every step of the oracle as audio, score it, and draw what the oracle decides.

    Parameters
    ----------
    clean, noisy : path
        Mono recordings of equal rate and length.
    output : path
        Folder, made if it is missing: ``noisy.wav``, ``bins.wav``, ``bands.wav``, ``comb.wav``, ``postfilter.wav``, of
        the rate and length of the recordings, and ``oracle.png``.
    pitch : "clean" or "noisy"
        The signal in which the pitch is found: the best case, or what a network has to live with.
    params : SignalParams, optional

    Raises
    ------
    PercepNetError
        If a recording cannot be used, the two do not fit together, a package is missing, or the folder cannot be
        written.
    """
    require_matplotlib()
    params = params or SignalParams()
    x, y, rate_hz = read_aligned(clean, noisy)
    x_48k, y_48k = (resampled(signal, rate_hz, SAMPLE_RATE_HZ) for signal in (x, y))
    result = oracle_steps(x_48k, y_48k, params, pitch)
    signals = step_signals(y_48k, result)
    scores = {
        step: score(x_48k, signal, SAMPLE_RATE_HZ, METRICS)
        for step, signal in followed(signals.items(), len(signals), "scoring every step")
    }

    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AudioError(f"{output}: cannot be created ({error.strerror})") from error
    files = []
    for step, signal in signals.items():
        original_rate = np.zeros(len(y), dtype=np.float32)
        resampled_back = resampled(signal, SAMPLE_RATE_HZ, rate_hz)[: len(y)]
        original_rate[: len(resampled_back)] = resampled_back
        files.append(output / f"{step}.wav")
        with create_audio(files[-1], AudioInfo(rate_hz, 1, len(y), "WAV", "PCM_16")) as writer:
            writer.write((y if step == "noisy" else original_rate)[None])
    files.append(output / FIGURE)
    figure = draw(
        {"clean": x_48k} | signals, result, scores, params, title=f"{noisy.name}, pitch of the {pitch} speech"
    )
    with replacing(files[-1]) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    return OracleReport(scores, files)


def step_signals(noisy: Samples, result: OracleResult) -> dict[str, Samples]:
    """The audio of every step, by its name in ``STEPS``."""
    return {"noisy": noisy} | {step: getattr(result, step) for step in STEPS if step != "noisy"}


def run_oracle(
    clean: Path,
    noisy: Path,
    output: Path,
    *,
    pitch: Pitch = "clean",
    as_json: bool = False,
    overwrite: bool = False,
) -> None:
    """The command ``percepnet oracle``: `oracle_report`, and its scores as a table, or as JSON.

    Raises
    ------
    PercepNetError
        As `oracle_report`, and without `overwrite` if one of its files exists.
    """
    files = [output / name for name in (*(f"{step}.wav" for step in STEPS), FIGURE)]
    refuse_existing(files, overwrite=overwrite)
    if inputs := {path.resolve() for path in files} & {clean.resolve(), noisy.resolve()}:
        raise PercepNetError(f"{min(inputs)}: is one of the inputs: give another -o")
    report = oracle_report(clean, noisy, output, pitch=pitch)
    if as_json:
        print(to_json({"pitch": pitch, "scores": report.scores, "files": [str(file) for file in report.files]}))
        return
    table = Table(title=f"Oracle, pitch of the {pitch} speech")
    table.add_column("step", no_wrap=True)
    for measure in report.scores["noisy"]:
        table.add_column(TITLES[measure], justify="right")
    for step, scores_of_step in report.scores.items():
        table.add_row(STEPS[step], *(format_score(m, value) for m, value in scores_of_step.items()))
    Console().print(table)
    print(f"{output}: {', '.join(file.name for file in report.files)}")
