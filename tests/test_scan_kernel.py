"""The kernels of the scan, interpreted on the processor: what they calculate, not how fast."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytest.importorskip("triton", reason="the kernels of the scan are written in Triton, which is not installed")

# Triton decides when it is imported whether it interprets.
PROGRAM = """
import torch
from percepnet.training import scan_kernel
from percepnet.training.scan import scan
assert scan_kernel.works(torch.device("cpu"))
generator = torch.Generator().manual_seed(1)
decay, addition, grads = (torch.rand(3, 17, 40, generator=generator) for _ in range(3))
before = torch.rand(3, 40, generator=generator)
inputs = [part.requires_grad_() for part in (decay, addition, before)]
expected = scan(*inputs)
expected.backward(grads)
states = scan_kernel.forward(*(part.detach() for part in inputs))
found = scan_kernel.backward(decay.detach(), before.detach(), states, grads)
torch.testing.assert_close(states, expected.detach())
for part, gradient in zip(inputs, found):
    torch.testing.assert_close(gradient, part.grad)
print("right")
"""


def test_the_kernels_are_the_scan_and_its_gradient():
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout.strip() == "right", done.stderr
