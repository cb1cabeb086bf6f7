"""How well echo is taken out of recordings of a microphone and of what a loudspeaker played meanwhile.

Files are named as in the AEC challenges: `NAME_mic.wav` and `NAME_lpb.wav` (or `_ref`, `_far`); a name that contains
`farend_singletalk` or `nearend_singletalk` says who speaks, all others are double talk. Further files `NAME_other.wav`
are results of other programs, which are scored beside ours.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np

from percepnet.acoustics.resampling import resampled
from percepnet.arrays import Samples
from percepnet.audio.search import find_audio
from percepnet.errors import AudioError, PercepNetError
from percepnet.evaluation.numbers import finite_mean, format_score, markdown_table, to_json
from percepnet.evaluation.recordings import read_mono
from percepnet.metrics.echo import Scenario, aecmos, reduction
from percepnet.metrics.score import dnsmos
from percepnet.model import Model
from percepnet.progress import followed
from percepnet.stream import Enhancer, enhance_blocks

MICROPHONE = "mic"
FAR_ENDS = ("lpb", "ref", "far")
BLOCK_S = 0.01  # as in a call
UNPROCESSED, OURS, WITHOUT = "unprocessed", "percepnet", "percepnet-without-far-end"
TITLES = {
    "aecmos_echo": "AECMOS echo",
    "aecmos_other": "AECMOS other",
    "reduction_db": "level down (dB)",
    "dnsmos_ovrl": "DNSMOS OVRL",
}
_NAME = re.compile(r"(?P<name>.+?)_+(?P<what>[A-Za-z0-9-]+)")


@dataclass(frozen=True)
class EchoClip:
    """A microphone and its far end.

    Parameters
    ----------
    name : str
    scenario : str
        Who speaks, as `percepnet.metrics.echo.Scenario`.
    microphone, far_end : Path
    others : dict of str to Path
        Results of other programs, by their names.
    """

    name: str
    scenario: Scenario
    microphone: Path
    far_end: Path
    others: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class EchoScores:
    """Scores of one system on one clip."""

    name: str
    scenario: Scenario
    system: str
    scores: dict[str, float]


def find_echo_clips(folder: Path) -> tuple[list[EchoClip], list[str]]:
    """The clips of a folder and its subfolders, sorted.

    Returns
    -------
    clips : list of EchoClip
    left_out : list of str
        A sentence for each microphone without a far end.

    Raises
    ------
    PercepNetError
        If there are none.
    """
    files: dict[tuple[Path, str], dict[str, Path]] = defaultdict(dict)
    for path in find_audio(folder).audio:
        if found := _NAME.fullmatch(path.stem):
            files[path.parent, found["name"]][found["what"]] = path
    clips, left_out = [], []
    for (_, name), there in sorted(files.items()):
        microphone = there.pop(MICROPHONE, None)
        if microphone is None:
            continue
        far = next((kind for kind in FAR_ENDS if kind in there), None)
        if far is None:
            left_out.append(f"{microphone}: has no far end beside it: {name}_lpb{microphone.suffix} is missing")
            continue
        clips.append(EchoClip(name, _scenario(name), microphone, there.pop(far), there))
    if not clips:
        if left_out:
            raise PercepNetError(left_out[0])
        raise PercepNetError(f"{folder}: no recordings there named NAME_mic.wav, with NAME_lpb.wav beside them")
    return clips, left_out


def score_echo(clips: list[EchoClip], model: Model | str | None) -> tuple[list[EchoScores], list[str]]:
    """Score the microphones as they are, ours with and without the far end, and what other programs made of them.

    Parameters
    ----------
    clips : list of EchoClip
    model : Model or str, optional

    Returns
    -------
    rows : list of EchoScores
    left_out : list of str
        A sentence for each clip of which a recording cannot be read, or is not mono.
    """
    rows, left_out = [], []
    for clip in followed(clips, len(clips), "scoring echo"):
        try:
            rows += _scores(clip, model)
        except AudioError as error:
            left_out.append(str(error))
    return rows, left_out


def _scores(clip: EchoClip, model: Model | str | None) -> list[EchoScores]:
    near, rate_hz = read_mono(clip.microphone)
    far = _beside(clip.far_end, near, rate_hz)
    results = {UNPROCESSED: near} | {system: _beside(path, near, rate_hz) for system, path in clip.others.items()}
    results |= {OURS: _enhanced(near, far, rate_hz, model), WITHOUT: _enhanced(near, None, rate_hz, model)}
    rows = []
    for system in (UNPROCESSED, OURS, WITHOUT, *clip.others):
        y = results[system]
        scores = aecmos(near, far, y, rate_hz, clip.scenario) | reduction(near, y)
        if clip.scenario != "farend_singletalk":  # there is no speech that could be good
            scores["dnsmos_ovrl"] = dnsmos(None, y, rate_hz)["dnsmos_ovrl"]
        rows.append(EchoScores(clip.name, clip.scenario, system, scores))
    return rows


def echo_table(rows: list[EchoScores]) -> list[str]:
    """Means by scenario and system, as the lines of a Markdown table."""
    groups: dict[tuple[str, str], list[EchoScores]] = defaultdict(list)
    for row in rows:
        groups[row.scenario, row.system].append(row)
    cells = []
    for scenario in get_args(Scenario):
        for (found, system), those in groups.items():
            if found == scenario:
                means = {name: finite_mean([row.scores.get(name, np.nan) for row in those]) for name in TITLES}
                written = [format_score(name, value) for name, value in means.items()]
                cells.append((scenario, system, str(len(those)), *written))
    return markdown_table(("scenario", "system", "clips", *TITLES.values()), cells)


def run_echo(folder: Path, *, model: str | None = None, as_json: bool = False) -> list[str]:
    """Score the clips of a folder, and print a table, or every score as JSON.

    Returns
    -------
    list of str
        A sentence for each clip that was left out.

    Raises
    ------
    PercepNetError
        If no recording, or the model or a package cannot be used.
    """
    clips, left_out = find_echo_clips(folder)
    rows, more = score_echo(clips, model)
    left_out += more
    if not rows:
        raise PercepNetError(left_out[0])
    if as_json:
        print(
            to_json([{"name": row.name, "scenario": row.scenario, "system": row.system} | row.scores for row in rows])
        )
    else:
        print("\n".join(echo_table(rows)))
    return left_out


def _scenario(name: str) -> Scenario:
    return next((one for one in get_args(Scenario) if one in name), "doubletalk")


def _beside(path: Path, near: Samples, near_hz: int) -> Samples:
    """A recording as long as the microphone's, and at its rate."""
    x, rate_hz = read_mono(path)
    x = resampled(x, rate_hz, near_hz)[: len(near)]
    return np.pad(x, (0, len(near) - len(x)))


def _enhanced(near: Samples, far: Samples | None, rate_hz: int, model: Model | str | None) -> Samples:
    enhancer = Enhancer(rate_hz, model=model, far_end=far is not None)
    size = round(BLOCK_S * rate_hz)
    blocks = (near[start : start + size] for start in range(0, len(near), size))
    played = None if far is None else lambda start, samples: far[start : start + samples]
    return np.concatenate(list(enhance_blocks(enhancer, blocks, played)))
