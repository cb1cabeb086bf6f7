"""The article's storyline on a recording: noisy speech, perfect decisions one step at a time, the trained network.

`tell` makes what there is to hear, to see and to count; `percepnet.evaluation.story_page` makes a page of it, and
``examples/story.ipynb`` takes the same steps one by one.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from percepnet.acoustics.resampling import resampled
from percepnet.arrays import Samples
from percepnet.engine import analysis
from percepnet.errors import AudioError, PercepNetError
from percepnet.evaluation.clips import SECONDS_MAX
from percepnet.evaluation.recordings import audio_by_name, read_aligned
from percepnet.metrics.score import Scores, score
from percepnet.model import Model, load_model
from percepnet.params import FRAMES_PER_SECOND, HOP_SAMPLES, SAMPLE_RATE_HZ
from percepnet.reference.network import Network
from percepnet.reference.oracle import OracleResult, Pitch, oracle_steps
from percepnet.stream import enhance

PAIRS_MAX = 8
CLOSE_UP_S = 0.8
# What can be heard, in the order of the story; the keys but the last three are those of the oracle's steps.
STEPS = {
    "noisy": "noisy",
    "clean": "clean",
    "bins": "bin magnitudes (oracle)",
    "bands": "band gains (oracle)",
    "comb": "+ comb filter (oracle)",
    "postfilter": "+ post-filter (oracle)",
    "network": "trained network",
    "network_postfilter": "trained network + post-filter",
    "best": "networks from both ends",
}


@dataclass(frozen=True)
class Story:
    """All that is told of one recording.

    Attributes
    ----------
    name : str
    sounds : dict of str to np.ndarray [shape=(n,)]
        By the keys of ``STEPS``, at 48 kHz.
    scores : dict of str to Scores
        By the same keys; without the clean speech, which all are compared with.
    oracle : OracleResult
    gains, strengths : np.ndarray [shape=(T, bands)]
        The network's; rows belong to the frames of the oracle's.
    """

    name: str
    sounds: dict[str, Samples]
    scores: dict[str, Scores]
    oracle: OracleResult
    gains: Samples
    strengths: Samples


def network_decisions(noisy: Samples, model: Model) -> tuple[Samples, Samples]:
    """Gains and strengths that the network of a model finds in noisy speech.

    Parameters
    ----------
    noisy : np.ndarray [shape=(n,)]
        At 48 kHz.
    model : Model

    Returns
    -------
    gains, strengths : np.ndarray [shape=(T, bands)]
        Row l belongs to frame l, centred on sample 480 * l, as in `OracleResult`. In single precision; the core
        rounds to 8 bits inside.
    """
    padding = model.params.latency_samples + -len(noisy) % HOP_SAMPLES  # as of `oracle_steps`
    x = np.pad(noisy.astype(np.float32), (0, padding))
    gains, strengths = Network(model).run(analysis(model.params).push(x[None]).features)
    rows = slice(model.params.lookahead_frames, None)  # what is decided when hop t has arrived is of frame t - M
    return gains[rows], strengths[rows]


def voiced_stretch(correlations: Samples, seconds: float = CLOSE_UP_S) -> slice:
    """The samples of a recording at 48 kHz, about so many seconds, that are voiced most.

    Parameters
    ----------
    correlations : np.ndarray [shape=(T,)]
        Of the pitch, a row every 10 ms.
    seconds : float
    """
    frames = max(1, min(len(correlations), round(seconds * FRAMES_PER_SECOND)))
    sums = np.convolve(correlations, np.ones(frames), mode="valid")
    start = int(np.argmax(sums))
    return slice(start * HOP_SAMPLES, (start + frames) * HOP_SAMPLES)


def tell(
    name: str,
    clean: Samples,
    noisy: Samples,
    *,
    model: Model | None = None,
    pitch: Pitch = "clean",
    metrics: Sequence[str] = (),
) -> Story:
    """Take every step on one recording.

    Parameters
    ----------
    name : str
    clean, noisy : np.ndarray [shape=(n,)]
        At 48 kHz, aligned, of equal length.
    model : Model, optional
        Default: the one in the package.
    pitch : "clean" or "noisy"
        The signal in which the oracle finds the pitch.
    metrics : sequence of str
        Keys of ``percepnet.metrics.score.METRICS``.

    Raises
    ------
    PercepNetError
        If the two do not fit together, or a measure cannot be taken.
    """
    model = model or load_model()
    oracle = oracle_steps(clean, noisy, model.params, pitch)
    gains, strengths = network_decisions(noisy, model)
    sounds = {"noisy": noisy, "clean": clean}
    sounds |= {step: getattr(oracle, step) for step in ("bins", "bands", "comb", "postfilter")}
    sounds["network"] = enhance(noisy, SAMPLE_RATE_HZ, model=model)
    sounds["network_postfilter"] = enhance(noisy, SAMPLE_RATE_HZ, model=model, post_filter=True)
    sounds["best"] = enhance(noisy, SAMPLE_RATE_HZ, quality="best")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a measure that says nothing has no value, and that is seen
        scores = {s: score(clean, y, SAMPLE_RATE_HZ, metrics) for s, y in sounds.items() if s != "clean"}
    return Story(name, sounds, scores, oracle, gains, strengths)


def read_for_story(clean: Path, noisy: Path) -> tuple[Samples, Samples]:
    """The beginning of both recordings at 48 kHz, `clean, noisy`: as much as a page lets be heard.

    Raises
    ------
    AudioError
        If one cannot be read, is silent, or the two do not fit together.
    """
    x, y, rate_hz = read_aligned(clean, noisy)
    samples = round(SECONDS_MAX * rate_hz)
    for path, signal in ((clean, x[:samples]), (noisy, y[:samples])):
        if not np.any(signal):
            raise AudioError(f"{path}: is silent{f' for {SECONDS_MAX:g} s' * (len(signal) == samples)}")
    x, y = (resampled(signal[:samples], rate_hz, SAMPLE_RATE_HZ) for signal in (x, y))
    return x, y


def find_story_pairs(clean: Path, noisy: Path) -> dict[str, tuple[Path, Path]]:
    """Pairs to tell of, by name: two files, or those that two folders have under the same names.

    Raises
    ------
    PercepNetError
        If one is a file and the other a folder, there is no pair, or there are more than a page can hold.
    """
    if clean.is_dir() != noisy.is_dir():
        folder, file = (clean, noisy) if clean.is_dir() else (noisy, clean)
        raise PercepNetError(f"{folder} is a folder and {file} is not: give two files, or two folders")
    if not clean.is_dir():
        return {noisy.stem: (clean, noisy)}
    of_clean, of_noisy = (audio_by_name(folder) for folder in (clean, noisy))
    pairs = {name: (of_clean[name], path) for name, path in of_noisy.items() if name in of_clean}
    if not pairs:
        raise PercepNetError(f"{noisy}: no recording has one of the same name in {clean}")
    if len(pairs) > PAIRS_MAX:
        raise PercepNetError(f"{noisy}: has {len(pairs)} recordings, and a page holds {PAIRS_MAX}: give two files")
    return pairs
