"""What the echo canceller adapts on: the treble raised and DC taken away, in both signals alike; and the way back.

Speech falls by 6 dB an octave. A block without a window leaks its bass into every bin, which hides the treble of the
echo; so both signals are differentiated (above 400 Hz). Offsets and rumble of the microphone are no echo: a high-pass
of one pole keeps them out of the error that adapts. The echo that is found is turned back by the inverse, and taken
from the microphone's signal as it is.
"""

import numpy as np

from percepnet.params import HOP_SAMPLES

EMPHASIS = 0.95  # zero of the differentiator
DC_POLE = 0.998  # of the high-pass: 15 Hz
RETURN_POLE = 0.9998  # its inverse would remember for ever: this one forgets in 0.1 s, and errs below 10 Hz


def _recursion(pole: float) -> tuple[np.ndarray, np.ndarray]:
    """y[n] = x[n] + pole * y[n - 1] on a hop: what its samples, and the sample before it, contribute."""
    n = np.arange(HOP_SAMPLES)
    age = n[None, :] - n[:, None]
    return np.where(age >= 0, pole ** np.maximum(age, 0).astype(float), 0.0), pole ** (n + 1.0)


_HIGH_PASS = _recursion(DC_POLE)
_DEEMPHASIS = _recursion(EMPHASIS)
_RETURN = _recursion(RETURN_POLE)


def _run(recursion: tuple[np.ndarray, np.ndarray], x: np.ndarray, before: np.ndarray) -> np.ndarray:
    return x @ recursion[0] + before * recursion[1]


def _differences(x: np.ndarray, zero: float) -> np.ndarray:
    return x[..., 1:] - zero * x[..., :-1]


class Emphasis:
    """The way there, y = (1 - 0.95 z^-1) (1 - z^-1) / (1 - 0.998 z^-1) x.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int) -> None:
        self._input = np.zeros((channels, 1))
        self._output = np.zeros((channels, 1))

    def begin(self, hop: np.ndarray) -> None:
        """Begin with a hop as if its first sample had been there for ever: an offset is no step.

        Parameters
        ----------
        hop : np.ndarray [shape=(channels, 480)]
        """
        self._input = hop[:, :1].astype(np.float64)
        self._output = np.zeros_like(self._input)

    def push(self, hop: np.ndarray) -> np.ndarray:
        """The next hop.

        Parameters
        ----------
        hop : np.ndarray [shape=(channels, 480), dtype=float32]

        Returns
        -------
        np.ndarray [shape=(channels, 480), dtype=float32]
        """
        x = np.concatenate([self._input, hop], axis=1)
        high = np.concatenate([self._output, _run(_HIGH_PASS, _differences(x, 1.0), self._output)], axis=1)
        self._input, self._output = x[:, -1:], high[:, -1:]
        return _differences(high, EMPHASIS).astype(np.float32)


class Deemphasis:
    """The way back.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self.begin()

    def begin(self) -> None:
        """Forget everything."""
        self._flat = np.zeros((self._channels, 1))
        self._output = np.zeros((self._channels, 1))

    def push(self, hop: np.ndarray) -> np.ndarray:
        """The next hop.

        Parameters
        ----------
        hop : np.ndarray [shape=(channels, 480), dtype=float32]

        Returns
        -------
        np.ndarray [shape=(channels, 480), dtype=float32]
        """
        flat = np.concatenate([self._flat, _run(_DEEMPHASIS, hop.astype(np.float64), self._flat)], axis=1)
        y = _run(_RETURN, _differences(flat, DC_POLE), self._output)
        self._flat, self._output = flat[:, -1:], y[:, -1:]
        return y.astype(np.float32)
