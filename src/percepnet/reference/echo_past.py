"""The newest hops of a signal: of the far end the last half second, from which the filter hears what has an echo.

They are kept in 16 bits, each with a scale of its own, which takes half of the room of floats. What is lost lies about
100 dB below the loudest sample of its hop: far below whatever the filter leaves of an echo.
"""

import numpy as np

from percepnet.params import HOP_SAMPLES

DELAY_BLOCKS_MAX = 50  # 500 ms
PAST_BLOCKS = DELAY_BLOCKS_MAX + 2  # a frame has two hops
LARGEST = 32767
PEAK_MIN = 1e-30  # what is weaker is silence


def to_int16(x: np.ndarray) -> np.ndarray:
    """Rounded, halves away from zero, as C does it without a call.

    Parameters
    ----------
    x : np.ndarray [dtype=float32]
        Between -32767 and 32767.

    Returns
    -------
    np.ndarray [dtype=int16]
    """
    return np.trunc(x + np.copysign(np.float32(0.5), x)).astype(np.int16)


class Past:
    """The newest hops of a signal.

    Parameters
    ----------
    hops : int
        How many are kept.
    """

    def __init__(self, hops: int = PAST_BLOCKS) -> None:
        self._samples = np.zeros((hops, HOP_SAMPLES), np.int16)  # newest first
        self._scales = np.zeros((hops, 1), np.float32)

    def forget(self) -> None:
        """All of it is silence."""
        self._scales[:] = 0

    def push(self, hop: np.ndarray) -> None:
        """The next hop.

        Parameters
        ----------
        hop : np.ndarray [shape=(480,), dtype=float32]
        """
        peak = np.abs(hop).max()
        is_heard = peak > PEAK_MIN
        factor = np.float32(LARGEST) / peak if is_heard else np.float32(0)
        scale = peak / np.float32(LARGEST) if is_heard else np.float32(0)
        self._samples = np.concatenate([to_int16(factor * hop)[None], self._samples[:-1]])
        self._scales = np.concatenate([np.full((1, 1), scale, np.float32), self._scales[:-1]])

    def read(self, back: int, count: int = 2) -> np.ndarray:
        """Some hops, the latest of them so many before the newest.

        Parameters
        ----------
        back, count : int
            Their sum is at most what is kept.

        Returns
        -------
        np.ndarray [shape=(480 * count,), dtype=float32]
        """
        part = slice(back, back + count)
        hops = self._scales[part] * self._samples[part]
        return np.asarray(hops[::-1], np.float32).reshape(-1)
