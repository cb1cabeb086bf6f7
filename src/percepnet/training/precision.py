"""What products are calculated in: single precision for the signal path, less for networks where that is faster."""

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


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether products in bfloat16 are faster than in float32; where they are emulated they are slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    can = torch.cpu.get_capabilities()
    return bool(can.get("amx_bf16") or can.get("avx512_bf16"))
