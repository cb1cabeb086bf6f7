"""Levels of a batch of sounds: see `percepnet.acoustics.levels`."""

import torch
from torch import Tensor

from percepnet.acoustics.levels import ACTIVE_DB, LEVEL_FRAME_SAMPLES


def active_rms(audio: Tensor) -> Tensor:
    """Root mean square of the frames of 10 ms that are within 40 dB of the loudest; 0 for silence.

    Parameters
    ----------
    audio : Tensor [shape=(batch, n)]

    Returns
    -------
    Tensor [shape=(batch,)]
    """
    power = hop_power(audio)
    active = power >= power.amax(dim=1, keepdim=True) * 10 ** (-ACTIVE_DB / 10)
    return ((power * active).sum(dim=1) / active.sum(dim=1)).sqrt()


def hop_power(audio: Tensor) -> Tensor:
    """Mean square of each whole hop of 10 ms.

    Parameters
    ----------
    audio : Tensor [shape=(batch, n)]

    Returns
    -------
    Tensor [shape=(batch, n // 480)]
    """
    whole = audio.shape[-1] // LEVEL_FRAME_SAMPLES * LEVEL_FRAME_SAMPLES
    hops = audio[:, :whole].reshape(len(audio), -1, LEVEL_FRAME_SAMPLES)
    return torch.linalg.vector_norm(hops, dim=-1).square() / LEVEL_FRAME_SAMPLES


def rms(audio: Tensor) -> Tensor:
    """Root mean square of each sound.

    Parameters
    ----------
    audio : Tensor [shape=(batch, n)]

    Returns
    -------
    Tensor [shape=(batch,)]
    """
    return torch.linalg.vector_norm(audio, dim=-1) / audio.shape[-1] ** 0.5


def amplitude(db: Tensor) -> Tensor:
    """Factor of so many decibels."""
    return 10 ** (db / 20)
