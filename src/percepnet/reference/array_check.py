"""Which microphones of an array are of no use: those that say nothing, and those that say what another one says."""

import numpy as np
import numpy.typing as npt

EVERY_FRAMES = 25  # between two looks
FIRST_BIN = 10  # 500 Hz: a constant is silence, and what leaks from it; neighbours hear the same hum
DEAD_DB = -60.0  # of the loudest microphone
COPY = 1.0 - 1e-5  # of correlation: 50 dB down, where microphones of their own have noises of their own
HEARD = 1e-7  # power of a bin below which nothing can be said: about half a step of 16 bits
DEAD_REASON = "is silent"


class ArrayCheck:
    """Looks at all microphones now and then.

    Parameters
    ----------
    channels : int

    Attributes
    ----------
    used : np.ndarray [shape=(channels,), dtype=float32]
        1 for those that are used, 0 for the others; two looks have to agree.
    left_out : dict of int to str
        The others, and why.
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self.used = np.ones(self._channels, np.float32)
        self.left_out: dict[int, str] = {}
        self._seen: dict[int, str] = {}
        self._frames: list[npt.NDArray[np.complex64]] = []

    def push(self, spectra: npt.NDArray[np.complex64]) -> bool:
        """Take the spectra [shape=(channels, 481)] of the next frame in, and say whether something has changed."""
        self._frames.append(spectra[:, FIRST_BIN:].copy())
        if len(self._frames) < EVERY_FRAMES:
            return False
        x = np.concatenate(self._frames, axis=1)
        self._frames = []
        # real and imaginary parts beside one another: the real part of the inner product, as of the signals
        parts = np.concatenate([x.real, x.imag], axis=1).astype(np.float64)
        seen = _judged(parts @ parts.T / x.shape[1])
        left_out = self.left_out if seen != self._seen else seen  # what is seen twice
        changed = left_out != self.left_out
        self._seen, self.left_out = seen, left_out
        self.used = np.array([channel not in left_out for channel in range(self._channels)], np.float32)
        return changed


def _judged(products: npt.NDArray[np.float64]) -> dict[int, str]:
    """What is of no use, from inner products [shape=(channels, channels)]."""
    powers = np.diagonal(products)
    if powers.max() < HEARD:
        return {}  # silence everywhere is silence
    dead = powers < powers.max() * 10 ** (DEAD_DB / 10)
    left_out = {int(channel): DEAD_REASON for channel in np.flatnonzero(dead)}
    alike = products**2 >= COPY**2 * np.outer(powers, powers)
    for channel in range(len(products)):
        others = [c for c in range(channel) if c not in left_out and alike[channel, c]]
        if channel not in left_out and others:
            left_out[channel] = f"is a copy of channel {others[0] + 1}"
    return left_out
