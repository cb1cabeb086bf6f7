"""Envelope post-filter: a deliberate deviation from the clean envelope that the ear takes for less noise.

Bands that are still too noisy are attenuated further, and the frame's energy is given back. Used at inference only,
never in the targets of training. It can be switched off: nothing else depends on it.
"""

import numpy as np

from percepnet.params import POSTFILTER_BETA
from percepnet.reference.bands import TINY


def postfilter(gains: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Warp the gains, g sin(pi/2 g), and scale the frame by G so that its energy is nearly kept (P20).

    G = sqrt((1 + beta) q / (1 + beta q^2)) with q = E0 / E1, the energies with the plain and with the warped gains: 1
    when nothing was attenuated, at most 5.57 dB, and less again for frames of noise alone.

    Parameters
    ----------
    gains : np.ndarray [shape=(..., bands)]
        Gains of the magnitudes; those above 1 are not warped.
    energies : np.ndarray [shape=(..., bands)]
        Energies of the noisy bands.

    Returns
    -------
    np.ndarray [shape=(..., bands)]
        Gains that may exceed 1 in the loudest bands.
    """
    warped = gains * np.sin(np.float32(np.pi / 2) * np.minimum(gains, np.float32(1.0)))
    before = (gains * gains * energies).sum(axis=-1, keepdims=True)
    after = (warped * warped * energies).sum(axis=-1, keepdims=True)
    ratio = (before + TINY * TINY) / (after + TINY * TINY)
    beta = np.float32(POSTFILTER_BETA)
    return warped * np.sqrt((1 + beta) * ratio / (1 + beta * ratio * ratio))
