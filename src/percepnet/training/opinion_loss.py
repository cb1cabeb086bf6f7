"""A loss by opinion: DNSMOS after P.835 (Reddy et al. 2022) predicts what listeners say, here with gradients.

It hears the enhanced sound alone, and minds noise that is left between words, which P.862 forgives. Its weights are
those that the package ``speechmos`` scores with.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from percepnet.errors import extra_packages
from percepnet.metrics.score import metric_package

FRAME_SAMPLES, HOP_SAMPLES = 320, 160  # 20 and 10 ms at 16 kHz
BINS = 161
POWER_FLOOR = 1e-12
POOLED = (2, 3, 4)  # convolutions behind the first that are followed by a maximum over two frames and two bins
# raw values to opinions, 1 to 5: factors of the square, the value and 1, for speech, background and whole
POLYNOMIALS = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)


class Opinions(NamedTuple):
    """Mean opinions, 1 to 5, of each sound; all [shape=(batch,)]."""

    speech: Tensor
    background: Tensor
    whole: Tensor


class _Weights(NamedTuple):
    window: Tensor  # (320, 322), frames to real and imaginary parts
    first: tuple[Tensor, Tensor]  # matrix of the first convolution, (channels, 9), bias
    convolutions: tuple[tuple[Tensor, Tensor], ...]  # of the others: kernel, bias
    dense: tuple[tuple[Tensor, Tensor], ...]  # matrix, bias


def opinion_weights() -> dict[str, npt.NDArray[np.float32]]:
    """The weights of DNSMOS by their names.

    Raises
    ------
    PercepNetError
        If the package ``speechmos`` or ``onnx`` is missing.
    """
    package = metric_package("speechmos.dnsmos")
    with extra_packages("onnx"):
        import onnx
        from onnx import numpy_helper

    file = Path(package.__file__).with_name("dnsmos_models") / "sig_bak_ovr.onnx"
    return {weight.name: np.array(numpy_helper.to_array(weight)) for weight in onnx.load(str(file)).graph.initializer}


@lru_cache(maxsize=2)
def _weights(device: torch.device, products: torch.dtype) -> _Weights:
    found = {name: torch.from_numpy(weight).to(device) for name, weight in opinion_weights().items()}
    kernels = tuple(f"conv2d_{number}" for number in range(1, 7))
    dense = (f"mos_estimator_logpow/{name}" for name in ("dense", "dense_1", "dense_3"))
    parts = [found[f"time2freq/stft-{part}/kernel:0"][..., 0].T for part in ("real", "imag")]
    return _Weights(
        torch.cat(parts, dim=1).contiguous(),
        (found["conv2d/kernel:0"].flatten(1).to(products), found["conv2d/bias:0"].to(products)),
        tuple(
            (
                found[f"{name}/kernel:0"].to(products).contiguous(memory_format=torch.channels_last),
                found[f"{name}/bias:0"].to(products),
            )
            for name in kernels
        ),
        tuple(
            (found[f"{name}/MatMul/ReadVariableOp/resource:0"], found[f"{name}/BiasAdd/ReadVariableOp/resource:0"])
            for name in dense
        ),
    )


def opinions(sound: Tensor, products: torch.dtype = torch.float32) -> Opinions:
    """What listeners would say of sounds, as DNSMOS predicts it.

    Parameters
    ----------
    sound : Tensor [shape=(batch, n)]
        At 16 kHz, at least 320 ms, in [-1, 1]; the level counts. DNSMOS itself hears 9.01 s at a time.
    products : torch.dtype
        What convolutions are calculated in. With ``torch.bfloat16`` opinions are right to 0.01, and gradients point
        nearly the same way: enough for a training.

    Returns
    -------
    Opinions

    Raises
    ------
    PercepNetError
        If the package ``speechmos`` or ``onnx`` is missing.
    """
    weights = _weights(sound.device, products)
    frames = sound.unfold(-1, FRAME_SAMPLES, HOP_SAMPLES) @ weights.window
    power = frames[..., :BINS].square() + frames[..., BINS:].square()
    found = _first(power.clamp(min=POWER_FLOOR).log10(), *weights.first)
    for place, (kernel, bias) in enumerate(weights.convolutions):
        found = F.conv2d(found, kernel, bias, padding=1).relu_()
        if place in POOLED:
            found = F.max_pool2d(found, 2)
    found = found.float().amax(dim=(2, 3))
    for place, (matrix, bias) in enumerate(weights.dense):
        found = found @ matrix + bias
        if place < len(weights.dense) - 1:
            found = F.relu(found)
    values = (
        square * raw.square() + linear * raw + constant
        for raw, (square, linear, constant) in zip(found.unbind(dim=-1), POLYNOMIALS, strict=True)
    )
    return Opinions(*values)


def _first(levels: Tensor, matrix: Tensor, bias: Tensor) -> Tensor:
    """The first convolution, as a product with patches: torch would turn its output of one channel's input around."""
    patches = F.pad(levels.to(matrix.dtype), (1, 1, 1, 1)).unfold(1, 3, 1).unfold(2, 3, 1)
    return F.linear(patches.flatten(3), matrix, bias).relu_().permute(0, 3, 1, 2)
