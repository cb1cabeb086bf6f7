"""Where in its bands the rest of an echo lies: where the echo lies that was taken away.

A voice has harmonics, and between those of the far end there is hardly any echo. A gain for all of a band takes from
the talker there, and leaves more than is needed on the harmonics. So the rest of the echo, of which the network says
how much there is in a band, is spread over the bins of the band as the echo that was taken away is. Where next to
nothing was taken away, nothing is known of that, and the band's gain is that of its bins.
"""

import numpy as np

from percepnet.arrays import Array
from percepnet.reference.bands import Bands

SHAPED_BINS = 160  # up to 8 kHz, and one more to smooth with: above, voices hiss
LEFT_SMOOTHING = np.float32(0.3)  # of what is left, from frame to frame
UNKNOWN = np.float32(0.01)  # of what is left in a band: an echo below that says nothing of where its rest lies
LEAST, MOST = np.float32(0.2), np.float32(2.0)  # of the band's gain
_SILENT = np.float32(1e-12)  # energy


class EchoShape:
    """Gains of bands made gains of bins, for the frame that is decided.

    Parameters
    ----------
    bands : Bands
    lookahead_frames : int
        By which gains come later than the frame that they are for.
    """

    def __init__(self, bands: Bands, lookahead_frames: int) -> None:
        self._bands = bands
        self._lookahead_frames = lookahead_frames
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._left = np.zeros(SHAPED_BINS, np.float32)
        self._shares = [np.ones(SHAPED_BINS, np.float32)] * (self._lookahead_frames + 1)

    def push(self, left: np.ndarray, echo: np.ndarray) -> None:
        """Hear the newest frame.

        Parameters
        ----------
        left, echo : np.ndarray [shape=(channels, 481), complex]
            Spectra of what the canceller left, and of what it took away.
        """
        power_left, power_echo = (_powers(x)[: SHAPED_BINS + 1] for x in (left, echo))
        self._left += (1 - LEFT_SMOOTHING) * (_smoothed(power_left) - self._left)
        of_left, of_echo = (self._bands.energy(x).sum(axis=0) for x in (left, echo))
        ratio = self._bands.to_bins(of_left / (of_echo + UNKNOWN * of_left + _SILENT))[:SHAPED_BINS]
        share = ratio * (power_echo[:SHAPED_BINS] / (self._left + _SILENT) + UNKNOWN)
        self._shares = [*self._shares[1:], share.astype(np.float32)]

    def gains(self, of_bands: Array) -> Array:
        """Gains of bins.

        Parameters
        ----------
        of_bands : np.ndarray [shape=(bands,)]
            0 to 1, of the frame `lookahead_frames` before the newest.

        Returns
        -------
        np.ndarray [shape=(481,), dtype=float32]
        """
        gains = np.asarray(self._bands.to_bins(of_bands), np.float32)
        rest = self._bands.to_bins(1 - of_bands * of_bands)[:SHAPED_BINS]
        flat = gains[:SHAPED_BINS]
        shaped = np.sqrt(np.maximum(1 - rest * self._shares[0], 0))
        gains[:SHAPED_BINS] = np.clip(shaped, LEAST * flat, np.minimum(MOST * flat, 1))
        return gains


def _powers(spectra: np.ndarray) -> np.ndarray:
    return np.asarray((spectra.real**2 + spectra.imag**2).sum(axis=0), np.float32)


def _smoothed(power: np.ndarray) -> np.ndarray:
    """Over neighbouring bins, without the last: the window of a frame spreads a harmonic over several."""
    below = np.concatenate([power[:1], power[:-2]])
    return np.asarray(0.25 * below + 0.5 * power[:-1] + 0.25 * power[1:], np.float32)
