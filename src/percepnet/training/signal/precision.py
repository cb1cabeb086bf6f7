"""Full single precision for the signal path, whatever the network is trained in."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_precision() -> Iterator[None]:
    """Products in float32 proper while the context lasts.

    TF32, which trainings of networks are run in on GPUs, keeps ten bits of a number: too few for a spectrum whose
    bands lie 60 dB apart.
    """
    matmul, convolution = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = convolution
