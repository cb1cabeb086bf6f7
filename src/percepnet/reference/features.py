"""What the network sees of a frame: how loud each band is, how periodic, and its pitch (70 numbers for 34 bands).

Energies come from the newest frame, so they carry the look-ahead; coherences and the period belong to the frame that is
decided on (P21). The scaling is fixed, so that weights need no statistics of their training data to go with them.
"""

import numpy as np

from percepnet.params import WINDOW_SAMPLES
from percepnet.reference.bands import Bands
from percepnet.reference.pitch import SILENT_PERIOD_SAMPLES

_WINDOW_ENERGY = WINDOW_SAMPLES / 2  # of a window whose squares add up to one
FLOOR = np.float32(1e-10)  # -100 dB: the rounding noise of 16-bit audio
CENTRE_DB, SPAN_DB = np.float32(-60.0), np.float32(30.0)


def silent_energy(bands: Bands) -> np.ndarray:
    """Energy of a band that holds nothing but the rounding noise of 16-bit audio.

    Returns
    -------
    np.ndarray [shape=(bands,), dtype=float32]
    """
    return FLOOR * np.float32(_WINDOW_ENERGY) * bands.widths


def features(
    energies: np.ndarray, coherences: np.ndarray, periods_samples: np.ndarray, correlations: np.ndarray, bands: Bands
) -> np.ndarray:
    """The network's input, each number of the order of one.

    Parameters
    ----------
    energies : np.ndarray [shape=(T, bands)]
        Band energies of the newest frames, for samples in [-1, 1].
    coherences : np.ndarray [shape=(T, bands)]
        Band coherences of the decided frames with their comb-filtered versions.
    periods_samples : np.ndarray [shape=(T,)]
    correlations : np.ndarray [shape=(T,)]
    bands : Bands

    Returns
    -------
    np.ndarray [shape=(T, 2 * bands + 2), dtype=float32]
        Mean power of a bin as (dB + 60) / 30, coherence, log2(period / 272), 2 * correlation - 1.
    """
    level_db = 10.0 * np.log10(energies / (np.float32(_WINDOW_ENERGY) * bands.widths) + FLOOR)
    scaled = (level_db - CENTRE_DB) / SPAN_DB
    octaves = np.log2(np.asarray(periods_samples) / SILENT_PERIOD_SAMPLES)
    pitch = np.stack([octaves, 2.0 * np.asarray(correlations) - 1.0], axis=-1)
    return np.concatenate([scaled, coherences, pitch], axis=-1).astype(np.float32)
