"""Speech-to-reverberation modulation energy ratio (Falk, Zheng and Chan 2010): how dry a recording of speech is.

Syllables modulate the envelopes of speech at 4 to 18 Hz; a room fills the gaps and adds faster modulation. The ratio of
the two energies, over 23 gammatone bands, needs no reference. The measures that are packaged need a torchaudio that is
not there for every torch, so it is written out here, after the toolbox of its authors, over the filters of the package
``gammatone``.
"""

from __future__ import annotations

import importlib

import numpy as np
from numpy.typing import NDArray

from percepnet.arrays import Samples

RATE_HZ = 16_000
BANDS = 23
LOWEST_HZ = 125.0
MODULATIONS = 8
MODULATION_HZ = (4.0, 128.0)
MODULATION_Q = 2.0
WINDOW_SAMPLES = 4096  # 256 ms
HOP_SAMPLES = 1024
SLOW = 4  # the first modulation bands are those of speech
BANDWIDTH_SHARE = 0.9  # modulation faster than the band with this share of the energy can have is not counted


def speech_to_reverberation_ratio(x: Samples) -> float:
    """The ratio, about 1 in a church and 10 for dry speech.

    Parameters
    ----------
    x : np.ndarray [shape=(n,)]
        At 16 kHz, 0.26 s at least.

    Raises
    ------
    ImportError
        Without the packages ``gammatone`` and ``scipy``.
    """
    filters = importlib.import_module("gammatone.filters")
    signal = importlib.import_module("scipy.signal")

    centres_hz = filters.centre_freqs(RATE_HZ, BANDS, LOWEST_HZ)
    bands = filters.erb_filterbank(x.astype(np.float64), filters.make_erb_filters(RATE_HZ, centres_hz))
    envelopes = np.abs(signal.hilbert(bands, -(-len(x) // 16) * 16)[:, : len(x)])

    cutoffs_hz, energies = [], np.empty((BANDS, MODULATIONS))
    window = np.hamming(WINDOW_SAMPLES + 1)[:-1]
    for i, centre_hz in enumerate(np.geomspace(*MODULATION_HZ, MODULATIONS)):
        w = np.tan(np.pi * centre_hz / RATE_HZ)
        bandwidth = w / MODULATION_Q
        numerator = (bandwidth, 0.0, -bandwidth)
        denominator = (1 + bandwidth + w**2, 2 * w**2 - 2, 1 - bandwidth + w**2)
        modulation = signal.lfilter(numerator, denominator, envelopes)
        frames = np.lib.stride_tricks.sliding_window_view(modulation, WINDOW_SAMPLES, axis=-1)[:, ::HOP_SAMPLES]
        energies[:, i] = np.square(frames * window).sum(axis=-1).mean(axis=-1)
        cutoffs_hz.append(centre_hz - bandwidth * RATE_HZ / (2 * np.pi))
    return _ratio(energies, centres_hz, np.array(cutoffs_hz))


def _ratio(energies: NDArray[np.float64], centres_hz: NDArray[np.float64], cutoffs_hz: NDArray[np.float64]) -> float:
    """Energies [shape=(bands, modulations)], bands from high to low, to the ratio of slow to fast modulation."""
    from_below = np.cumsum(energies.sum(axis=-1)[::-1]) / energies.sum()
    widest = int(np.argmax(from_below > BANDWIDTH_SHARE))
    bandwidth_hz = centres_hz[::-1][widest] / 9.26449 + 24.7  # Glasberg and Moore
    fast = max(SLOW + 1, int((cutoffs_hz <= bandwidth_hz).sum()))
    per_modulation = energies.sum(axis=0)
    return float(per_modulation[:SLOW].sum() / per_modulation[SLOW:fast].sum())
