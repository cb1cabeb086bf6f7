"""Where the spectrum of a recording ends, whatever its sample rate promises.

Files at 48 kHz are often less: decoded from MP3 or Opus, which cut the treble off, or converted from a telephone's
8 kHz. Above such a wall nothing is known of the sound: a network taught silence there would learn to cut treble.
"""

import numpy as np
import numpy.typing as npt
import scipy.ndimage
import scipy.signal

from percepnet.acoustics.levels import active
from percepnet.arrays import Array
from percepnet.params import SAMPLE_RATE_HZ, WINDOW_SAMPLES, SignalParams

WINDOW_S = 0.040  # bins of 25 Hz
FRAMES_MAX = 4000  # spread over a long recording
PERCENTILE = 95.0  # of a bin's level over these frames: fricatives count, the odd click does not
TONE_HZ = 300.0  # what is narrower is taken for a tone when a wall is looked for
WALL_MIN_HZ = 2_900.0  # no converter or codec cuts lower; the spectra of rumble are steep by nature
WALL_BROAD_HZ = 2_500.0  # of spectrum below a wall, all of which is above what follows: a loud whistle is no wall
# Half the width of a wall, and its height: the filters of converters and codecs; and the last bands of Opus, in which
# noise stands for what little of the source was in them, and which therefore begin with a lower but sharper step.
# Sound that nothing has cut falls by at most 3 dB in 200 Hz for good (-9 to 3 dB an octave, from 0.3 s on: measured).
WALLS = ((400.0, 15.0), (100.0, 7.0))
FORMANTS_HZ, FORMANTS_DB = 5_000.0, 5.0  # up to where vowels have slopes of their own, and how much higher walls are
WALL_SHARPNESS = 0.6  # of the fall within three times the width; the slopes of vowels go on
EDGE_DB = 6.0  # below what is under the wall: there the spectrum ends
DEPTH_DB = 90.0  # below the strongest frequency nothing is counted
ROUNDING_DB = 10 * np.log10(2.0**-30 / 12)  # power of rounding to 16 bits: training's samples have no more
ABOVE_ROUNDING_DB = 12.0  # its 95th percentile is 5 dB above its mean, and that of the highest of 1000 bins is 9


def bandwidth_hz(audio: Array, sample_rate_hz: int) -> float:
    """Where the spectrum of a recording ends.

    That is a wall, where there is one: the lowest place from which on the level falls by 15 dB within 800 Hz, or by
    7 dB within 200 Hz (below 5 kHz, 5 dB more), more steeply than on either side of it, and never comes back. Without a
    wall it is the highest frequency whose level is within 90 dB of the strongest and 12 dB above what rounding to
    16 bits leaves. The level of a frequency is the 95th percentile over the frames of 40 ms that are within 40 dB of
    the loudest. Tones above a wall (spurious ones of converters) are not counted.

    Parameters
    ----------
    audio : np.ndarray [shape=(n,)]
    sample_rate_hz : int

    Returns
    -------
    float
        In Hz, at most half the sample rate; 0 for silence.
    """
    level_db = loud_spectrum_db(audio, sample_rate_hz)
    if level_db is None:
        return 0.0
    nyquist_hz = sample_rate_hz / 2
    step_hz = nyquist_hz / (len(level_db) - 1)
    wall_hz = _wall_hz(level_db, step_hz)
    if wall_hz is not None:
        return min(wall_hz, nyquist_hz)
    loud = np.flatnonzero(level_db > max(level_db.max() - DEPTH_DB, ROUNDING_DB + ABOVE_ROUNDING_DB))
    if not loud.size:
        return 0.0
    end_hz = float(loud[-1] * step_hz)
    # the window spreads what is at an edge over a few bins
    return nyquist_hz if end_hz > nyquist_hz - 8 * step_hz else end_hz


def loud_spectrum_db(audio: Array, sample_rate_hz: int) -> Array | None:
    """Level of each frequency in a recording's loud moments.

    Parameters
    ----------
    audio : np.ndarray [shape=(n,)]
    sample_rate_hz : int

    Returns
    -------
    np.ndarray [shape=(bins,)] or None
        From 0 Hz to half the sample rate, such that white noise of power P has 10 log10(P) everywhere, give or take
        the few dB between a percentile and a mean; None for silence.
    """
    length = round(WINDOW_S * sample_rate_hz)
    if len(audio) < length:
        audio = np.concatenate([audio, np.zeros(length - len(audio), np.float32)])
    # side lobes of -92 dB: a loud voice must not fill the treble
    window = scipy.signal.windows.blackmanharris(length, sym=False).astype(np.float32)
    hop = max(length // 2, (len(audio) - length) // FRAMES_MAX + 1)
    frames = np.lib.stride_tricks.sliding_window_view(audio, length)[::hop]
    power = np.mean(frames * frames, axis=1)
    if not power.max() > 0:
        return None
    spectra = np.abs(np.fft.rfft(frames[active(power)] * window, axis=1)) ** 2 / np.sum(window.astype(np.float64) ** 2)
    return np.asarray(10 * np.log10(np.percentile(spectra, PERCENTILE, axis=0) + 1e-30), np.float32)


def known_bands(params: SignalParams, bandwidth_hz: float) -> npt.NDArray[np.bool_]:
    """Which bands are centred within a bandwidth.

    Returns
    -------
    np.ndarray [shape=(bands,)]

    Examples
    --------
    >>> known_bands(SignalParams(band_edges=(0, 80, 160)), 4000.0).tolist()
    [True, True, False]
    """
    return np.array(params.band_edges) * (SAMPLE_RATE_HZ / WINDOW_SAMPLES) <= bandwidth_hz


def _wall_hz(level_db: Array, step_hz: float) -> float | None:
    """The lowest wall: what is above it is less than what the recording had, whatever a codec made of it."""
    smooth = scipy.ndimage.median_filter(level_db, round(TONE_HZ / step_hz) | 1, mode="nearest")
    smooth = np.maximum(smooth, ROUNDING_DB)
    loudest_above = np.maximum.accumulate(smooth[::-1])[::-1]
    broad = round(WALL_BROAD_HZ / step_hz)
    # at bin k the lowest of the bins k - broad to k
    lowest_below = scipy.ndimage.minimum_filter1d(smooth, broad + 1, origin=broad // 2, mode="nearest")
    walls_hz = []
    for half_width_hz, height_db in WALLS:
        half = round(half_width_hz / step_hz)
        at = np.arange(round(WALL_MIN_HZ / step_hz), len(smooth) - half)
        if not at.size:
            continue
        fall_db = lowest_below[at - half] - loudest_above[at + half]
        around_db = smooth[at - 3 * half] - smooth[np.minimum(at + 3 * half, len(smooth) - 1)]
        least_db = height_db + np.where(at * step_hz < FORMANTS_HZ, FORMANTS_DB, 0)
        is_wall = (fall_db >= least_db) & (smooth[at - half] - smooth[at + half] >= WALL_SHARPNESS * around_db)
        if not is_wall.any():
            continue
        # one wall is seen from several places, best from its middle
        first = int(np.argmax(is_wall))
        nearby = fall_db[first : first + 2 * half]
        middle = int(at[first + int(np.argmax(nearby))])
        # the edge is where the level has left for good what is just below the wall
        around = smooth[middle - half : middle + half]
        walls_hz.append(float((middle - half + np.flatnonzero(around >= around[0] - EDGE_DB)[-1]) * step_hz))
    return min(walls_hz, default=None)
