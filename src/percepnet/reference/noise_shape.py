"""Within a band, noise is taken where it lies: between the harmonics of a voice, and less of it on them.

The network gives each band one gain. What it takes from a band in which there is hardly any speech tells how the
noise of that band lies over its bins, and noise keeps its shape for longer than speech does. So a bin whose share of
the noise is larger than its share of what is heard is attenuated further. Nothing is attenuated less than its band:
raised bins are heard as tones that come and go. That takes more of the whole, so all gains are lifted in turn, to the
power of 15/16.
What is heard is smoothed over frames, and would lie behind them, so two frames that come are heard too. Noise is told
by what is decided, and is heard in the decided frame.
How much noise there is, the network says, but within bounds: no less than 2.3 times what it was heard to be, so that
noise between the harmonics of a loud voice is found, and not much more, so that the pauses of clear speech are not
taken for noise.
That is a rule. A model may have a network for bins, small and the same for all of them, which corrects it: by what it
says, in proportion, within bounds. Then a bin may be attenuated less than its band, too.
"""

from typing import Protocol

import numpy as np

from percepnet.arrays import Array
from percepnet.params import BINS, SHAPED_BINS
from percepnet.reference.bands import Bands
from percepnet.reference.bin_ratios import SILENT, Heard, bin_ratios, spread, summed
from percepnet.reference.powers import powers, smoothed

AHEAD_FRAMES = 2  # by which what is heard is before what is decided, as far as there is look-ahead
SMOOTHING = np.float32(0.75)  # of what is heard, from frame to frame
NOISE_SMOOTHING = np.float32(0.97)  # of the noise where there is nothing but noise; slower the more speech there is
NOISE_LEAST = np.float32(2.3)  # times what the noise was heard to be
NOISE_MOST = np.float32(6)
LEAST = np.float32(0.67)  # of the band's gain, by the rule
CORRECTED_LEAST = np.float32(0.05)  # by what a network makes of it
CORRECTED_MOST = np.float32(1.6)
TINY_GAIN = np.float32(1e-6)


def frames_ahead(lookahead_frames: int) -> int:
    """How many frames later than the decided one what is heard is."""
    return min(AHEAD_FRAMES, lookahead_frames)


class Corrector(Protocol):
    """What corrects the rule, such as :class:`percepnet.reference.network.BinNetwork`."""

    def reset(self) -> None:
        """Begin a new stream."""

    def step(self, ratios: Array) -> Array:
        """Of the next frame, by `bin_ratios` [shape=(160, 48)]: by how much of itself each bin's factor is to change
        [shape=(160,)]."""


class NoiseShape:
    """Knows how noise lies within bands.

    Parameters
    ----------
    bands : Bands
    corrector : Corrector, optional
    """

    def __init__(self, bands: Bands, corrector: Corrector | None = None) -> None:
        self._bands = bands
        self._corrector = corrector
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._heard = np.zeros(SHAPED_BINS, np.float32)
        self._noise = np.zeros(SHAPED_BINS, np.float32)
        self._before = np.zeros(SHAPED_BINS, np.float32)
        if self._corrector:
            self._corrector.reset()

    def push(self, coming: np.ndarray, comb: np.ndarray, gains: Array, strengths: Array) -> Array:
        """The next frame.

        Parameters
        ----------
        coming : np.ndarray [shape=(frames_ahead + 1, channels, 481), complex]
            The frame that is decided, and those that come.
        comb : np.ndarray [shape=(channels, 481), complex]
            The first after the comb filter.
        gains, strengths : np.ndarray [shape=(bands,)]
            Decided for it.

        Returns
        -------
        np.ndarray [shape=(481,), dtype=float32]
            What its bins are to be multiplied by besides their gains g: by the rule 0.67 to 1, by a network 0.05 to
            1.6, times g to the power of -1/16.
        """
        unsmoothed = powers(coming[0])
        power = smoothed(unsmoothed)[:SHAPED_BINS]
        ahead = smoothed(powers(coming[-1]))[:SHAPED_BINS]
        all_bins = np.maximum(np.asarray(self._bands.to_bins(gains), np.float32), TINY_GAIN)
        of_bins = all_bins[:SHAPED_BINS]
        taken = np.maximum(1 - of_bins * of_bins, 0)
        self._heard += (1 - SMOOTHING) * (ahead - self._heard)
        self._noise += (1 - NOISE_SMOOTHING) * ((taken**2) ** 2) ** 2 * (power - self._noise)
        heard, noise = (summed(x, self._bands) for x in (self._heard, self._noise))
        ratio = spread(heard / (noise + SILENT), self._bands)
        level = np.clip(taken * ratio, NOISE_LEAST, NOISE_MOST)
        kept = np.maximum(1 - level * self._noise / (self._heard + SILENT), 0)
        further = np.ones(BINS, np.float32)
        further[:SHAPED_BINS] = rule = np.clip(np.sqrt(kept) / of_bins, LEAST, 1)
        if self._corrector:
            after, combed = (
                smoothed(powers(spectra))[:SHAPED_BINS] for spectra in (coming[min(1, len(coming) - 1)], comb)
            )
            known = Heard(
                power, self._before, after, ahead, unsmoothed[:SHAPED_BINS], combed, self._heard, self._noise,
                of_bins, spread(strengths, self._bands), rule,
            )  # fmt: skip
            change = self._corrector.step(bin_ratios(known, self._bands))
            further[:SHAPED_BINS] = np.clip(rule * (1 + change), CORRECTED_LEAST, CORRECTED_MOST)
        self._before = power
        return np.asarray(smoothed(further) / np.sqrt(np.sqrt(np.sqrt(np.sqrt(all_bins)))), np.float32)
