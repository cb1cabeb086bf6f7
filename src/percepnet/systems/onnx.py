"""Any network in an ONNX file: a waveform in and out, or a spectrum frame by frame with the states of a stream."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from percepnet.arrays import Samples
from percepnet.errors import PercepNetError
from percepnet.systems.system import Process

Spectrum = NDArray[np.complexfloating]


def onnx_process(path: Path) -> Process:
    """A network as a system, at whatever rate it was trained for.

    If its first input is [1, bins, 1, 2] (real and imaginary part of a frame), as of GTCRN and UL-UNAS for streams, it
    is given frame by frame the spectrum over 2 (bins - 1) samples, every half of that, with the square root of a Hann
    window on either side; what its other inputs are called are states, which begin with zeros, and each is followed by
    the output at the same place. Any other network is given the whole waveform.

    Parameters
    ----------
    path : Path

    Raises
    ------
    PercepNetError
        If there is no such file, or it has inputs that are neither.
    """
    import onnxruntime

    if not path.is_file():
        raise PercepNetError(f"{path}: no such file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    first, *states = session.get_inputs()
    shape = list(first.shape)
    if len(shape) == 4 and isinstance(shape[1], int) and shape[2:] == [1, 2]:
        if len(session.get_outputs()) != 1 + len(states):
            raise PercepNetError(f"{path}: has {len(states)} states, and not as many outputs after the first")
        return spectrum_process(session, shape[1])
    if states:
        raise PercepNetError(f"{path}: has {1 + len(states)} inputs: expected one waveform, or a frame [1, bins, 1, 2]")

    def run(noisy: Samples) -> Samples:
        x = noisy.reshape((1,) * (len(shape) - 1) + (-1,))
        return np.asarray(session.run(None, {first.name: x})[0], np.float32).reshape(-1)

    return run


def spectrum_process(session: Any, bins: int) -> Process:
    """A network that takes the spectrum of a stream frame by frame, each recording from its beginning."""
    window_samples = 2 * (bins - 1)
    hop_samples = window_samples // 2
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window_samples) / window_samples)).astype(np.float32)
    first, *others = session.get_inputs()

    def stream() -> Callable[[Spectrum], Spectrum]:
        states = {entry.name: np.zeros(entry.shape, np.float32) for entry in others}

        def step(spectrum: Spectrum) -> Spectrum:
            frame = np.stack([spectrum.real, spectrum.imag], axis=-1).astype(np.float32)[None, :, None]
            enhanced, *after = session.run(None, {first.name: frame, **states})
            states.update(zip(states, after, strict=True))
            return np.asarray(enhanced[0, :, 0, 0] + 1j * enhanced[0, :, 0, 1])

        return step

    def run(noisy: Samples) -> Samples:
        step = stream()
        hops = -(-len(noisy) // hop_samples)
        padded = np.pad(noisy, (hop_samples, (hops + 1) * hop_samples - len(noisy)))
        y = np.zeros(len(padded), np.float32)
        for start in range(0, len(padded) - hop_samples, hop_samples):
            frame = slice(start, start + window_samples)
            y[frame] += np.fft.irfft(step(np.fft.rfft(window * padded[frame])), window_samples) * window
        return y[: len(noisy)]  # late by half a window, as a stream is

    return run
