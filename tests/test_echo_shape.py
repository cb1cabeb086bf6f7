"""The rest of an echo lies where the echo lies: gains of bands made gains of bins."""

import numpy as np
import pytest

from percepnet.params import BINS, ERB_EDGES_34
from percepnet.reference.bands import bands_of
from percepnet.reference.echo_shape import LEAST, MOST, SHAPED_BINS, EchoShape

BANDS = bands_of(ERB_EDGES_34)
FLAT = np.full(34, 0.4, np.float32)
HARMONIC = 20  # bins apart: in the bands from 2 kHz up some bins lie between


def harmonics(between: float) -> np.ndarray:
    """A spectrum [shape=(1, 481)] of harmonics, and something between them."""
    spectrum = np.full((1, BINS), between, np.complex64)
    spectrum[:, ::HARMONIC] = 1
    return spectrum


def shape_of(left: np.ndarray, echo: np.ndarray, frames: int = 20) -> np.ndarray:
    shape = EchoShape(BANDS, 2)
    for _ in range(frames):
        shape.push(left, echo)
    return shape.gains(FLAT)


def test_an_echo_as_flat_as_what_is_left_has_the_gains_of_the_bands():
    gains = shape_of(np.full((2, BINS), 0.1 + 0j), np.full((2, BINS), 0.5 + 0j))
    np.testing.assert_allclose(gains, 0.4, rtol=2e-2)


def test_harmonics_of_the_far_end_are_turned_down_more_than_what_lies_between():
    gains = shape_of(np.full((1, BINS), 1 + 0j), harmonics(0.01))
    on, between = np.arange(80, SHAPED_BINS, HARMONIC), np.arange(90, SHAPED_BINS, HARMONIC)
    np.testing.assert_allclose(gains[on], LEAST * 0.4, rtol=1e-5)
    np.testing.assert_allclose(gains[between], MOST * 0.4, rtol=1e-5)
    np.testing.assert_allclose(gains[SHAPED_BINS:], 0.4, rtol=1e-5)


@pytest.mark.parametrize("echo", [0.0, 1e-7])
def test_where_nothing_was_taken_away_the_gain_of_the_band_holds(echo):
    gains = shape_of(np.full((1, BINS), 1 + 0j), echo * harmonics(0.01))
    np.testing.assert_allclose(gains, 0.4, rtol=1e-3)


def test_gains_are_for_the_frame_that_is_decided():
    shape = EchoShape(BANDS, 2)
    for echo in (harmonics(0.01), *[np.ones((1, BINS), np.complex64)] * 2):
        shape.push(np.full((1, BINS), 1 + 0j), echo)
    at_first = shape.gains(FLAT)
    assert at_first[70] > 1.5 * at_first[80], "the frame before the last two had harmonics"
    shape.push(np.full((1, BINS), 1 + 0j), np.ones((1, BINS), np.complex64))
    np.testing.assert_allclose(shape.gains(FLAT)[70], shape.gains(FLAT)[80], rtol=2e-2)


def test_after_a_reset_it_knows_nothing():
    shape = EchoShape(BANDS, 2)
    for _ in range(5):
        shape.push(np.full((1, BINS), 1 + 0j), harmonics(0.01))
    shape.reset()
    np.testing.assert_allclose(shape.gains(FLAT), 0.4, rtol=1e-6)


@pytest.mark.parametrize("gain", [0.0, 1.0])
def test_nothing_and_everything_stay(gain):
    shape = EchoShape(BANDS, 2)
    for _ in range(5):
        shape.push(np.full((1, BINS), 1 + 0j), harmonics(0.01))
    np.testing.assert_array_equal(shape.gains(np.full(34, gain, np.float32))[1:400], np.float32(gain))
