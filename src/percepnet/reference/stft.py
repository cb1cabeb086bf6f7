"""Short-time Fourier transform: 20 ms windows, 10 ms apart, that add up to the input exactly.

Frame l covers samples [(l - 1) * 480, (l + 1) * 480): it is complete as soon as hop l has arrived.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from percepnet.params import HOP_SAMPLES, WINDOW_SAMPLES


def vorbis_window(length: int = WINDOW_SAMPLES) -> np.ndarray:
    """The Vorbis power-complementary window, used both for analysis and for synthesis.

    w(n) = sin(pi/2 sin^2(pi (n + 1/2) / N)), so that w(n)^2 + w(n + N/2)^2 = 1: frames add up to the input.

    Returns
    -------
    np.ndarray [shape=(length,), dtype=float32]
    """
    n = np.arange(length)
    return np.sin(np.pi / 2 * np.sin(np.pi * (n + 0.5) / length) ** 2).astype(np.float32)


WINDOW = vorbis_window()


def frames(x: np.ndarray) -> np.ndarray:
    """The overlapping windows of a signal that begins with one hop of history.

    Parameters
    ----------
    x : np.ndarray [shape=(..., 480 + 480 * T)]

    Returns
    -------
    np.ndarray [shape=(..., T, 960)], a view
    """
    return sliding_window_view(x, WINDOW_SAMPLES, axis=-1)[..., ::HOP_SAMPLES, :]


def analysis(frame: np.ndarray) -> np.ndarray:
    """Spectrum of windowed frames.

    Parameters
    ----------
    frame : np.ndarray [shape=(..., 960)]

    Returns
    -------
    np.ndarray [shape=(..., 481), dtype=complex64], 50 Hz per bin
    """
    return np.fft.rfft(frame * WINDOW, axis=-1)


def synthesis(spectrum: np.ndarray) -> np.ndarray:
    """Windowed frames of a spectrum, ready to be overlapped and added.

    Parameters
    ----------
    spectrum : np.ndarray [shape=(..., 481)]

    Returns
    -------
    np.ndarray [shape=(..., 960), dtype=float32]
    """
    return np.fft.irfft(spectrum, n=WINDOW_SAMPLES, axis=-1) * WINDOW


def overlap_add(frame: np.ndarray) -> np.ndarray:
    """Add overlapping frames up to a signal.

    Parameters
    ----------
    frame : np.ndarray [shape=(..., T, 960)]

    Returns
    -------
    np.ndarray [shape=(..., 480 * T)]
        Sample 0 is the first sample of frame 0. The last half frame, which no later frame completes, is left out.
    """
    first, second = frame[..., :HOP_SAMPLES], frame[..., HOP_SAMPLES:]
    hops = first.copy()
    hops[..., 1:, :] += second[..., :-1, :]
    return hops.reshape(*hops.shape[:-2], -1)
