"""How much a recording is lifted before a network hears its levels, so that a quiet one is heard as a loud one is.

A network takes what is as quiet as noise for noise: speech of -70 dB, of a microphone whose gain is low, would go. The
gain follows the loudest frames, at once upwards, and seconds later and slowly downwards: a pause is not lifted, and
what is louder than -40 dB is heard as it is. Only the network's input is lifted, never the sound.
"""

import numpy as np

from percepnet.params import BINS, FRAMES_PER_SECOND

_FULL_SCALE = np.float32((BINS - 1) ** 2)  # energy of a frame whose mean square is 1

TARGET = np.float32(1e-4)  # mean square, -40 dB, of the loudest frames: what is above is left alone
START = np.float32(1e-5)  # -50 dB, expected until something louder is heard
GAIN_MAX_DB = 45.0
PEAK_MIN = np.float32(1e-4 / 10 ** (GAIN_MAX_DB / 10))
HOLD_FRAMES = 4 * FRAMES_PER_SECOND  # longer than most pauses
RELEASE = np.float32(10 ** (-10 / 10 / FRAMES_PER_SECOND))  # 10 dB a second
RELEASE_AT_FIRST = np.float32(10 ** (-30 / 10 / FRAMES_PER_SECOND))  # until anything was louder than START


class GainControl:
    """The gain of a stream, frame by frame."""

    def __init__(self) -> None:
        self._peak = START
        self._held = 0
        self._has_begun = False

    def push(self, energies: np.ndarray, silent: np.ndarray) -> np.ndarray:
        """The next frames.

        Parameters
        ----------
        energies : np.ndarray [shape=(T,)]
            Of whole frames, for samples in [-1, 1].
        silent : np.ndarray [shape=(T,), dtype=bool]
            Digital silence, which is not lifted, and says nothing about how loud speech will be.

        Returns
        -------
        np.ndarray [shape=(T,), dtype=float32]
            What powers are multiplied by, at least 1.
        """
        gains = np.ones(len(energies), np.float32)
        for frame, power in enumerate(np.asarray(energies, np.float32) / _FULL_SCALE):
            if not silent[frame]:
                self._follow(power)
                gains[frame] = max(TARGET / self._peak, np.float32(1))
        return gains

    def _follow(self, power: np.float32) -> None:
        if power > self._peak:
            self._peak, self._held, self._has_begun = power, HOLD_FRAMES, True
        elif self._held:
            self._held -= 1
        else:
            self._peak = max(self._peak * (RELEASE if self._has_begun else RELEASE_AT_FIRST), PEAK_MIN)
