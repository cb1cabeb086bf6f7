import numpy as np

from percepnet.model import block_density, dequantise, quantise


def test_quantise_by_hand():
    weight = np.array([[0.5, -0.25, 0.0], [0.0, 0.0, 0.0]], np.float32)
    integers, scale = quantise(weight)
    assert integers.tolist() == [[127, -64, 0], [0, 0, 0]]
    np.testing.assert_allclose(scale, [0.5 / 127, 0])
    np.testing.assert_allclose(dequantise(integers, scale)[0], [0.5, -64 * 0.5 / 127, 0], rtol=1e-6)


def test_rows_of_a_convolution():
    weight = np.random.default_rng(0).uniform(-3, 3, (5, 4, 3)).astype(np.float32)
    integers, scale = quantise(weight)
    assert integers.shape == weight.shape
    assert scale.shape == (5,)
    error = np.abs(dequantise(integers, scale) - weight).max(axis=(1, 2))
    assert (error <= 0.5001 * scale).all()


def test_density_counts_blocks_that_are_not_full():
    weight = np.zeros((20, 6), np.float32)
    assert block_density(weight) == 0
    weight[19, 5] = 1
    weight[0, 0] = 1
    assert block_density(weight) == 0.5
    assert block_density(np.ones((20, 6), np.float32)) == 1
