"""Three windows for each decision: of the frame, and a third of a hop before it and behind.

Decisions come every 10 ms. Gains that change from one window to the next leave traces of the windows in what comes out,
and leave fewer with windows that follow each other every 3.3 ms: the same decisions, more windows. Each has a comb
filter and levels of its own; with those of the decided frame there would be next to no gain.

There is no more delay. Nothing is given out before all windows over it are decided, and the next decision's early
window begins 3.3 ms before the hop ends. So it fades in when that has ended, and the one before it fades out as late.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from percepnet.arrays import Samples
from percepnet.params import HOP_SAMPLES, WINDOW_SAMPLES
from percepnet.reference import stft

SHIFT_SAMPLES = HOP_SAMPLES // 3
AROUND = (-SHIFT_SAMPLES, 0, SHIFT_SAMPLES)  # from the decided frame
ALONE = (0,)
TAIL_SAMPLES = WINDOW_SAMPLES + SHIFT_SAMPLES - HOP_SAMPLES  # behind the hop that a decision completes


def _early() -> np.ndarray:
    """The early window's fade over the window of its analysis."""
    hops = (np.arange(WINDOW_SAMPLES) + 0.5) / HOP_SAMPLES
    late = SHIFT_SAMPLES / HOP_SAMPLES
    faded = np.clip(np.where(hops < 1, hops - late, 2 - hops) / (1 - late), 0, 1)
    fade, window = (np.sin(np.pi / 2 * np.sin(np.pi / 2 * x) ** 2) for x in (faded, hops))
    return np.asarray(fade**2 / window, np.float32)


_SYNTHESIS = {
    ALONE: stft.WINDOW[None],
    AROUND: np.stack([_early(), stft.WINDOW, stft.WINDOW]) / np.float32(len(AROUND)),
}


def frames(x: np.ndarray, starts: np.ndarray, shifts: tuple[int, ...]) -> np.ndarray:
    """The windows of decided frames.

    Parameters
    ----------
    x : np.ndarray [shape=(channels, n)]
    starts : np.ndarray [shape=(T,), dtype=int]
        Where the frames begin.
    shifts : tuple of int
        By which their windows begin later.

    Returns
    -------
    np.ndarray [shape=(T, windows, channels, 960)]
    """
    at = starts[:, None] + np.array(shifts)
    return np.asarray(sliding_window_view(x, WINDOW_SAMPLES, axis=-1)[:, at].transpose(1, 2, 0, 3))


class OverlapAdd:
    """From spectra of the windows of decided frames to hops.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int) -> None:
        self._tail = np.zeros((channels, TAIL_SAMPLES), np.float32)

    def push(self, spectra: np.ndarray) -> Samples:
        """The next frame.

        Parameters
        ----------
        spectra : np.ndarray [shape=(windows, channels, 481), complex]
            Of the frame alone, or of those around it too.

        Returns
        -------
        np.ndarray [shape=(channels, 480), dtype=float32]
        """
        shifts = ALONE if len(spectra) == len(ALONE) else AROUND
        parts = np.fft.irfft(spectra, n=WINDOW_SAMPLES, axis=-1) * _SYNTHESIS[shifts][:, None]
        out = np.pad(self._tail, ((0, 0), (0, HOP_SAMPLES)))
        for shift, part in zip(shifts, parts, strict=True):
            begin = max(-shift, 0)
            out[:, begin + shift : WINDOW_SAMPLES + shift] += part[:, begin:]
        self._tail = out[:, HOP_SAMPLES:]
        return out[:, :HOP_SAMPLES]


def overlap_add(spectra: np.ndarray) -> Samples:
    """All hops of a recording.

    Parameters
    ----------
    spectra : np.ndarray [shape=(T, windows, channels, 481), complex]

    Returns
    -------
    np.ndarray [shape=(channels, 480 * T), dtype=float32]
    """
    frames_to_hops = OverlapAdd(spectra.shape[2])
    return np.concatenate([frames_to_hops.push(windows) for windows in spectra], axis=1)
