"""How well a network tells speech from everything else: the area under the receiver operating characteristic."""

import numpy as np
import numpy.typing as npt
import scipy.stats

import percepnet
from percepnet.acoustics.levels import speech_frames
from percepnet.arrays import Samples
from percepnet.model import Model
from percepnet.params import HOP_SAMPLES, SAMPLE_RATE_HZ


def area_under_curve(scores: npt.NDArray[np.floating], labels: npt.NDArray[np.bool_]) -> float:
    """Probability that a frame of speech has a higher score than one without (ties count half).

    Parameters
    ----------
    scores : np.ndarray [shape=(frames,)]
    labels : np.ndarray [shape=(frames,)]

    Returns
    -------
    float
        1 for scores that tell all frames apart, 0.5 for any that say nothing; NaN where all labels are the same.

    Examples
    --------
    >>> area_under_curve(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    positive = int(labels.sum())
    negative = len(labels) - positive
    if not positive or not negative:
        return float("nan")
    ranks = scipy.stats.rankdata(scores)
    return float((ranks[labels].sum() - positive * (positive + 1) / 2) / (positive * negative))


def speech_probabilities(noisy: Samples, model: Model) -> npt.NDArray[np.float64] | None:
    """What a stream says of each frame of a recording, in time with it.

    Parameters
    ----------
    noisy : np.ndarray [shape=(n,)]
        At 48 kHz.
    model : Model

    Returns
    -------
    np.ndarray [shape=(n // 480,)] or None
        None where the network says no probability.
    """
    late = model.params.lookahead_frames
    padded = np.concatenate([noisy, np.zeros(late * HOP_SAMPLES, np.float32)]).astype(np.float32)
    stream = percepnet.Enhancer(SAMPLE_RATE_HZ, model=model)
    found = []
    for start in range(0, len(padded) // HOP_SAMPLES * HOP_SAMPLES, HOP_SAMPLES):
        stream.process(padded[start : start + HOP_SAMPLES])
        if stream.speech_probability is None:
            return None
        found.append(stream.speech_probability)
    return np.array(found[late:])


def detection(clean: Samples, noisy: Samples, model: Model) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Probabilities of a recording and what is right, frame by frame; empty where the network says none.

    Parameters
    ----------
    clean, noisy : np.ndarray [shape=(n,)]
        At 48 kHz, aligned.
    model : Model

    Returns
    -------
    probabilities, speech : np.ndarray [shape=(n // 480,)]
    """
    found = speech_probabilities(noisy, model)
    labels = speech_frames(clean)
    return (found, labels[: len(found)]) if found is not None else (np.zeros(0), labels[:0])
