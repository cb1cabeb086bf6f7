"""A loss on intelligibility: the correlation of envelopes (STOI, Taal et al. 2011), such that gradients flow.

Envelopes are those of windows of 32 ms, 16 ms apart, where STOI has 25.6 and 12.8; pauses weigh nothing instead of
being cut out. For a training that makes no difference, and the spectra are those of the perceptual loss.
"""

from functools import lru_cache

import torch
from torch import Tensor

from percepnet.training.perceptual_loss import TINY, WINDOW_SAMPLES, power_spectra

BANDS, LOWEST_HZ = 15, 150.0  # third octaves
BIN_HZ = 16_000 / WINDOW_SAMPLES
SEGMENT_FRAMES, SEGMENT_HOP = 24, 4  # 384 ms
CLIP_DB = 15.0  # a frame counts as at most so much too loud
PAUSE_DB = 40.0  # below the loudest frame
SPEECH_LEAST = 0.7  # of the frames of a segment that counts


@lru_cache(maxsize=4)
def _third_octaves(device: torch.device) -> Tensor:
    hz = torch.arange(WINDOW_SAMPLES // 2 + 1) * BIN_HZ
    centres = LOWEST_HZ * 2 ** (torch.arange(BANDS) / 3)
    return ((hz[:, None] >= centres * 2 ** (-1 / 6)) & (hz[:, None] < centres * 2 ** (1 / 6))).float().to(device)


def intelligibility(found: Tensor, target: Tensor) -> Tensor:
    """How well envelopes agree with those of the clean speech.

    Parameters
    ----------
    found, target : Tensor [shape=(batch, n)]
        At 16 kHz, at least 400 ms, at any level.

    Returns
    -------
    Tensor [shape=(batch,)]
        At most 1; 0 where there is no speech.
    """
    power_found, power_target = (power_spectra(sound) @ _third_octaves(sound.device) for sound in (found, target))
    loud = power_target.sum(dim=-1)
    speech = loud > 10 ** (-PAUSE_DB / 10) * loud.amax(dim=1, keepdim=True).clamp(min=TINY)
    share = speech.float().unfold(1, SEGMENT_FRAMES, SEGMENT_HOP).mean(dim=-1)
    weight = torch.where(share > SPEECH_LEAST, share, 0.0)
    y, x = ((power + TINY).sqrt().unfold(1, SEGMENT_FRAMES, SEGMENT_HOP) for power in (power_found, power_target))
    y = y * (x.norm(dim=-1, keepdim=True) / y.norm(dim=-1, keepdim=True))
    y = torch.minimum(y, x * (1 + 10 ** (CLIP_DB / 20)))
    y, x = (part - part.mean(dim=-1, keepdim=True) for part in (y, x))
    agreement = (y * x).sum(dim=-1) / ((y.square().sum(dim=-1) + TINY) * (x.square().sum(dim=-1) + TINY)).sqrt()
    return (agreement.mean(dim=-1) * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1e-3)
