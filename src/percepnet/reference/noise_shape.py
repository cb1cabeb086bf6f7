"""Within a band, noise is taken where it lies: between the harmonics of a voice, and less of it on them.

The network gives each band one gain. What it takes from a band in which there is hardly any speech tells how the
noise of that band lies over its bins, and noise keeps its shape for longer than speech does. So a bin whose share of
the noise is larger than its share of what is heard is attenuated further. Nothing is attenuated less than its band:
raised bins are heard as tones that come and go. That takes more of the whole, so gains are lifted a little in turn.
"""

import numpy as np

from percepnet.arrays import Array
from percepnet.params import BINS
from percepnet.reference.bands import Bands
from percepnet.reference.powers import powers, smoothed

SHAPED_BINS = 160  # up to 8 kHz: above, voices hiss
SMOOTHING = np.float32(0.85)  # of what is heard, from frame to frame
NOISE_SMOOTHING = np.float32(0.97)  # of the noise where there is nothing but noise; slower the more speech there is
MORE = np.float32(1.3)  # of the noise than what the gain of the band takes away: the gains are lifted
LEAST = np.float32(0.75)  # of the band's gain
SILENT = np.float32(1e-12)  # energy
TINY_GAIN = np.float32(1e-6)


class NoiseShape:
    """Knows how noise lies within bands.

    Parameters
    ----------
    bands : Bands
    """

    def __init__(self, bands: Bands) -> None:
        self._bands = bands
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._heard = np.zeros(BINS, np.float32)
        self._noise = np.zeros(BINS, np.float32)

    def push(self, noisy: np.ndarray, gains: Array) -> Array:
        """The next frame.

        Parameters
        ----------
        noisy : np.ndarray [shape=(channels, 481), complex]
        gains : np.ndarray [shape=(bands,)]
            Decided for it.

        Returns
        -------
        np.ndarray [shape=(481,), dtype=float32]
            What its bins are to be multiplied by besides: 0.75 to 1.
        """
        power = smoothed(powers(noisy))
        of_bins = np.asarray(self._bands.to_bins(gains), np.float32)
        taken = np.maximum(1 - of_bins * of_bins, 0)
        self._heard += (1 - SMOOTHING) * (power - self._heard)
        self._noise += (1 - NOISE_SMOOTHING) * (taken * taken) ** 2 * (power - self._noise)
        ratio = self._bands.sums(self._heard) / (self._bands.sums(self._noise) + SILENT)
        share = np.asarray(self._bands.to_bins(ratio), np.float32) * self._noise / (self._heard + SILENT)
        shaped = np.sqrt(np.maximum(1 - MORE * taken * share, 0)) / (of_bins + TINY_GAIN)
        further = np.clip(shaped, LEAST, 1)
        further[SHAPED_BINS:] = 1
        return np.asarray(further, np.float32)


def lifted(gains: Array) -> Array:
    """Gains of bands beside which bins are attenuated further: to the power of 15/16.

    Parameters
    ----------
    gains : np.ndarray [shape=(bands,)]

    Returns
    -------
    np.ndarray [shape=(bands,), dtype=float32]
    """
    root = np.sqrt(np.sqrt(np.sqrt(np.sqrt(np.asarray(gains, np.float32)))))
    return np.asarray(gains / np.maximum(root, TINY_GAIN), np.float32)
