"""Matrices in 8 bits: integers with one scale for each row."""

import numpy as np
import numpy.typing as npt

from percepnet.arrays import Array

INT8_MAX = 127  # symmetric, so that |weight * activation| pairs fit 16 bits: 2 * 127 * 127 < 32768
FLOAT_DIGITS = 23  # of the mantissa of a float32
BLOCK_OUTPUTS, BLOCK_INPUTS = 16, 4  # of the blocks of 8-bit weights that the core leaves out where all are zero


def block_density(weight: Array) -> float:
    """Share of the blocks of a matrix, 16 outputs by 4 inputs, that hold a weight other than zero.

    Parameters
    ----------
    weight : np.ndarray [shape=(outputs, inputs) or (outputs, inputs, taps)]
        The inputs of a block are of the same tap.

    Examples
    --------
    >>> weight = np.zeros((32, 8), np.float32)
    >>> weight[20, 3] = 1.0
    >>> block_density(weight)
    0.25
    """
    if weight.ndim == 3:
        weight = weight.transpose(0, 2, 1).reshape(len(weight), -1)
    outputs, inputs = weight.shape
    padded = np.pad(weight != 0, ((0, -outputs % BLOCK_OUTPUTS), (0, -inputs % BLOCK_INPUTS)))
    blocks = padded.reshape(len(padded) // BLOCK_OUTPUTS, BLOCK_OUTPUTS, -1, BLOCK_INPUTS)
    return float(blocks.any(axis=(1, 3)).mean())


def quantise(weight: Array) -> tuple[npt.NDArray[np.int8], Array]:
    """Round a matrix to 8 bits with one scale a row, such that the largest weight of a row is 127.

    Parameters
    ----------
    weight : np.ndarray [shape=(outputs, ...)]

    Returns
    -------
    integers : np.ndarray [shape=(outputs, ...), dtype=int8]
        From -127 to 127.
    scale : np.ndarray [shape=(outputs,), dtype=float32]
        `integers * scale` is the matrix again, to half a step; 0 for a row of zeros.

    Examples
    --------
    >>> integers, scale = quantise(np.array([[0.25, -0.5]], np.float32))
    >>> integers.tolist(), round(float(scale[0]) * 127, 6)
    ([[64, -127]], 0.5)
    """
    rows = weight.reshape(len(weight), -1)
    scale = (np.abs(rows).max(axis=1) / np.float32(INT8_MAX)).astype(np.float32)
    divisor = np.where(scale > 0, scale, np.float32(1))
    integers = np.clip(np.rint(rows / divisor[:, None]), -INT8_MAX, INT8_MAX).astype(np.int8)
    return integers.reshape(weight.shape), scale


def rounded(weight: Array, digits: int) -> Array:
    """Numbers of single precision with fewer binary digits: they take as much memory, and compress.

    Parameters
    ----------
    weight : np.ndarray [dtype=float32]
    digits : int
        Behind the first one, 1 to 23; the error is at most 2 ** -(digits + 1) of each number.

    Examples
    --------
    >>> rounded(np.array([0.3, -1.0], np.float32), 4).tolist()
    [0.296875, -1.0]
    """
    if digits >= FLOAT_DIGITS:
        return weight
    left_out = FLOAT_DIGITS - digits
    bits = np.ascontiguousarray(weight, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + (1 << (left_out - 1))) >> left_out << left_out).astype(np.uint32).view(np.float32)


def dequantise(integers: npt.NDArray[np.int8], scale: Array) -> Array:
    """The float32 matrix that `quantise` stored."""
    return integers.astype(np.float32) * scale.reshape(-1, *([1] * (integers.ndim - 1)))
