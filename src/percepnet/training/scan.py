"""A linear recurrence over time, all frames at once."""

import torch
from torch import Tensor


def scan(decay: Tensor, addition: Tensor, before: Tensor) -> Tensor:
    """h_t = decay_t h_(t-1) + addition_t, by doubling: after k steps each frame holds what the last 2^k frames gave it.

    It takes log2(frames) steps instead of frames (Hillis and Steele 1986). There are only products and sums, as step by
    step, no divisions by products of decays, which would overflow.

    Parameters
    ----------
    decay, addition : Tensor [shape=(batch, frames, units)]
    before : Tensor [shape=(batch, units)]
        The state before the first frame.

    Returns
    -------
    Tensor [shape=(batch, frames, units)]
        The states of all frames.

    Examples
    --------
    >>> half, one = torch.full((1, 3, 1), 0.5), torch.ones(1, 3, 1)
    >>> scan(half, one, torch.full((1, 1), 4.0)).flatten().tolist()
    [3.0, 2.5, 2.25]
    """
    states = torch.cat([addition[:, :1] + decay[:, :1] * before[:, None], addition[:, 1:]], dim=1)
    frames = states.shape[1]
    distance = 1
    decay = decay[:, 1:]  # from `distance` frames ago to now, of the frames that still lack something
    while distance < frames:
        longer = states[:, distance:] + decay * states[:, :-distance]
        states = torch.cat([states[:, :distance], longer], dim=1)
        decay = decay[:, distance:] * decay[:, :-distance]
        distance *= 2
    return states
