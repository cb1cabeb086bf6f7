"""Short-time Fourier transform of a batch: see `percepnet.reference.stft`."""

from functools import lru_cache

import torch
from torch import Tensor

from percepnet.params import HOP_SAMPLES, WINDOW_SAMPLES
from percepnet.reference import stft

NARROW_STEP = 3  # samples at 48 kHz for one at 16 kHz
NARROW_SAMPLES = WINDOW_SAMPLES // NARROW_STEP


@lru_cache(maxsize=8)
def window(device: torch.device) -> Tensor:
    """The Vorbis window on a device."""
    return torch.from_numpy(stft.WINDOW).to(device)


def frames(x: Tensor) -> Tensor:
    """The overlapping windows of signals that begin with one hop of history.

    Parameters
    ----------
    x : Tensor [shape=(batch, 480 + 480 * T)]

    Returns
    -------
    Tensor [shape=(batch, T, 960)], a view
    """
    return x.unfold(-1, WINDOW_SAMPLES, HOP_SAMPLES)


def analysis(frame: Tensor) -> Tensor:
    """Spectrum of windowed frames.

    Parameters
    ----------
    frame : Tensor [shape=(..., 960)]

    Returns
    -------
    Tensor [shape=(..., 481), dtype=complex64]
    """
    return torch.fft.rfft(frame * window(frame.device))


def synthesis(spectrum: Tensor) -> Tensor:
    """Windowed frames of a spectrum, ready to be overlapped and added.

    Parameters
    ----------
    spectrum : Tensor [shape=(..., 481)]

    Returns
    -------
    Tensor [shape=(..., 960)]
    """
    return torch.fft.irfft(spectrum, n=WINDOW_SAMPLES) * window(spectrum.device)


def narrow_synthesis(spectrum: Tensor) -> Tensor:
    """As `synthesis`, at 16 kHz.

    Parameters
    ----------
    spectrum : Tensor [shape=(..., bins)]
        At least the 161 bins up to 8 kHz; those above are not heard.

    Returns
    -------
    Tensor [shape=(..., 320)]
    """
    frame = torch.fft.irfft(spectrum[..., : NARROW_SAMPLES // 2 + 1], n=NARROW_SAMPLES) / NARROW_STEP
    return frame * window(spectrum.device)[::NARROW_STEP]


def overlap_add(frame: Tensor) -> Tensor:
    """Add overlapping frames up to signals.

    Parameters
    ----------
    frame : Tensor [shape=(batch, T, 960)]
        Or of another even length.

    Returns
    -------
    Tensor [shape=(batch, 480 * T)]
        As of `percepnet.reference.stft.overlap_add`: the first hop is that of frame 0 alone.
    """
    first, second = frame.chunk(2, dim=-1)
    hops = torch.cat([first[:, :1], first[:, 1:] + second[:, :-1]], dim=1)
    return hops.flatten(1)
