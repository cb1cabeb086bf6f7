import numpy as np
import pytest

from percepnet.reference.postfilter import postfilter


def test_nothing_happens_when_nothing_is_attenuated():
    """E0 = E1 gives G = 1."""
    np.testing.assert_allclose(postfilter(np.ones((1, 34)), np.full((1, 34), 3.0)), 1.0, rtol=1e-6)


def test_nothing_happens_to_a_frame_that_is_all_closed():
    assert not postfilter(np.zeros((1, 34)), np.ones((1, 34))).any()


def test_formula_of_a_uniform_gain():
    g = 0.6
    warped = g * np.sin(np.pi / 2 * g)
    q = (g / warped) ** 2
    expected = warped * np.sqrt(1.02 * q / (1 + 0.02 * q * q))
    np.testing.assert_allclose(postfilter(np.full((1, 5), g), np.ones((1, 5))), expected, rtol=1e-6)


def test_global_gain_is_at_most_5_57_db_at_its_peak_and_falls_beyond():
    gains = np.linspace(0.01, 1.0, 2000)[:, None]
    compensation = postfilter(gains, np.ones_like(gains)) / (gains * np.sin(np.pi / 2 * gains))
    assert 20 * np.log10(compensation.max()) == pytest.approx(5.57, abs=0.01)
    assert compensation[0] < 1.0  # a frame of noise is attenuated further


def test_weaker_bands_lose_more_than_stronger_ones():
    gains = np.array([[0.9, 0.5, 0.2]])
    change = postfilter(gains, np.ones((1, 3))) / gains
    assert change[0, 0] > change[0, 1] > change[0, 2]


def test_silence_is_finite():
    assert np.isfinite(postfilter(np.full((2, 34), 0.5), np.zeros((2, 34)))).all()
