"""What is measured of a recording before anybody trains on it: levels, noise, clipping, and the sound of a room."""

import numpy as np
import numpy.typing as npt

from percepnet.acoustics import levels
from percepnet.acoustics.levels import active_level_db, power_db
from percepnet.arrays import Array

FRAME_S = 0.020
DIGITAL_SILENCE_DB = -90.0  # relative to full scale; what rounding to 16 bits leaves is at -101 dB
SILENCE_DB = -50.0  # relative to the active level
QUIETEST_SHARE = 0.1  # of the frames, from which the noise floor is taken
FLAT = 1.5 / 32768  # clipped samples are equal but for rounding to 16 bits
CLIPPED_RUN_SAMPLES = 3
DIRECT_S = 0.0025  # on either side of a response's peak


def frame_powers(audio: Array, sample_rate_hz: int) -> npt.NDArray[np.float64]:
    """Mean squares of the frames of 20 ms; of the whole where it is shorter.

    Parameters
    ----------
    audio : np.ndarray [shape=(n,)]
    sample_rate_hz : int

    Returns
    -------
    np.ndarray [shape=(frames,)]
    """
    return levels.frame_powers(audio, round(FRAME_S * sample_rate_hz))


def noise_floor_db(powers: npt.NDArray[np.float64]) -> float:
    """Level of the quietest tenth of the frames, relative to the active level.

    Frames of digital silence are not counted: they stand between recordings, and say nothing of them. Of speech without
    a pause, or whose pauses are all digital silence, this is the level of its softest sounds: no less than the floor.

    Parameters
    ----------
    powers : np.ndarray [shape=(frames,)]
        As from `frame_powers`.

    Returns
    -------
    float
        0 or less.
    """
    counted = np.sort(powers[powers > 10 ** (DIGITAL_SILENCE_DB / 10)])
    if not counted.size:
        return 0.0
    quietest = counted[: max(1, round(QUIETEST_SHARE * len(counted)))]
    return min(0.0, power_db(float(quietest.mean())) - active_level_db(powers))


def silence_share(powers: npt.NDArray[np.float64]) -> float:
    """Share of the frames that are 50 dB below the active level, or digital silence.

    Parameters
    ----------
    powers : np.ndarray [shape=(frames,)]
        As from `frame_powers`.
    """
    limit_db = max(DIGITAL_SILENCE_DB, active_level_db(powers) + SILENCE_DB)
    return float(np.mean(powers < 10 ** (limit_db / 10)))


def clipped_share(audio: Array) -> float:
    """Share of the samples that are in clipped runs.

    A run is three samples or more at the recording's own extreme, on either side, wherever that is: what was clipped
    and turned down later is found, what was resampled or coded with loss after clipping is not. The signal must fall
    away from a run more steeply than it could from a smooth peak that looks as flat: from a parabola within d of its
    top over three samples or more, the next sample is less than 3 d below.

    Parameters
    ----------
    audio : np.ndarray [shape=(n,)]
        What exceeds [-1, 1], as decoders may return it, counts as clipped.

    Returns
    -------
    float
        From 0 to 1.
    """
    if not len(audio):
        return 0.0
    clipped = 0
    for side in (np.clip(audio, -1, 1), -np.clip(audio, -1, 1)):
        top = float(side.max())
        if top <= 0:
            continue
        at_top = np.concatenate([[False], side >= top - FLAT, [False]])
        changes = np.flatnonzero(at_top[1:] != at_top[:-1])
        starts, ends = changes[::2], changes[1::2]
        around = np.concatenate([[top], side, [top]])
        fall = top - np.minimum(around[starts], around[ends + 1])
        counted = (ends - starts >= CLIPPED_RUN_SAMPLES) & (fall > 10 * FLAT)
        clipped += int(np.sum((ends - starts)[counted]))
    return clipped / len(audio)


def direct_to_reverberant_db(response: Array, sample_rate_hz: int) -> float:
    """Energy of a response's direct sound, within 2.5 ms of its peak, over that of all that follows.

    Parameters
    ----------
    response : np.ndarray [shape=(n,)]
    sample_rate_hz : int

    Returns
    -------
    float
        In dB; at most 100, for a response without reverberation.
    """
    peak = int(np.argmax(np.abs(response)))
    width = round(DIRECT_S * sample_rate_hz)
    energy = response.astype(np.float64) ** 2
    direct = float(energy[max(0, peak - width) : peak + width + 1].sum())
    reverberant = float(energy[peak + width + 1 :].sum())
    return min(100.0, power_db(direct) - power_db(reverberant)) if direct > 0 else 0.0
