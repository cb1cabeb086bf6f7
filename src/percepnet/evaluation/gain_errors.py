"""How far the decisions of a system are from the best ones: band gains in decibels against the oracle's.

Any system can be judged: what it did to a band is the energy of its output there over that of its input. Its phase, and
what it did within a band, are left out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from percepnet.acoustics.levels import speech_frames
from percepnet.arrays import Samples
from percepnet.params import HOP_SAMPLES, SignalParams
from percepnet.reference import stft
from percepnet.reference.bands import bands_of

Gains = npt.NDArray[np.float64]

HEARD_GAIN = 0.05  # bands that the oracle turns down further hold no speech to be right or wrong about
GAIN_FLOOR = 1e-3
SILENT_ENERGY = 1e-12


class GainErrors(NamedTuple):
    """Errors of band gains in frames of speech.

    Parameters
    ----------
    bias_db : float
        Mean error; below 0 where speech is turned down too far.
    spread_db : float
        Standard deviation of the errors.
    bands : int
        Bands of frames that are in it.
    """

    bias_db: float
    spread_db: float
    bands: int


def band_gains(output: Samples, noisy: Samples, params: SignalParams) -> Gains:
    """What a system did to each band of each frame: the root of its energy over that of the input, at most 1.

    Parameters
    ----------
    output, noisy : np.ndarray [shape=(n,)]
        At 48 kHz, aligned.
    params : SignalParams
        Of which the bands count.

    Returns
    -------
    np.ndarray [shape=(n // 480, bands)]
    """
    after, before = (_band_energies(x, params) for x in (output, noisy))
    return np.minimum(np.sqrt((after + SILENT_ENERGY) / (before + SILENT_ENERGY)), 1.0)


def errors_db(
    enhanced: Samples,
    clean: Samples,
    noisy: Samples,
    params: SignalParams,
    known: npt.NDArray[np.bool_] | None = None,
) -> Gains:
    """Errors of all bands of the frames of speech in which the oracle leaves something, in decibels.

    Parameters
    ----------
    enhanced, clean, noisy : np.ndarray [shape=(n,)]
        At 48 kHz, aligned.
    params : SignalParams
    known : np.ndarray [shape=(bands,)], optional
        Bands in which the clean speech is known; default: all.

    Returns
    -------
    np.ndarray [shape=(bands of frames,)]
    """
    found, wanted = band_gains(enhanced, noisy, params), band_gains(clean, noisy, params)
    counts = speech_frames(clean)[: len(wanted), None] & (wanted > HEARD_GAIN)
    if known is not None:
        counts &= known
    return 20 * np.log10((found[counts] + GAIN_FLOOR) / (wanted[counts] + GAIN_FLOOR))


def summary(errors: Sequence[Gains]) -> GainErrors:
    """Errors of a system over recordings.

    Parameters
    ----------
    errors : sequence of np.ndarray
        Of each recording, as from `errors_db`.

    Returns
    -------
    GainErrors
        NaN where there is nothing to judge.
    """
    found = np.concatenate([*errors, np.zeros(0)])
    if not found.size:
        return GainErrors(float("nan"), float("nan"), 0)
    return GainErrors(float(found.mean()), float(found.std()), len(found))


def _band_energies(x: Samples, params: SignalParams) -> Gains:
    whole = np.concatenate([np.zeros(HOP_SAMPLES), x[: len(x) // HOP_SAMPLES * HOP_SAMPLES]])
    return bands_of(params.band_edges).energy(stft.analysis(stft.frames(whole))).astype(np.float64)
