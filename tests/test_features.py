import numpy as np
import pytest

from percepnet.params import ERB_EDGES_34
from percepnet.reference.bands import bands_of
from percepnet.reference.features import features
from percepnet.reference.stft import analysis

BANDS = bands_of(ERB_EDGES_34)


def of_energies(energies):
    frames = len(energies)
    return features(energies, np.zeros((frames, 34)), np.full(frames, 272.0), np.full(frames, 0.5), BANDS)


def test_there_are_70_in_the_documented_order():
    row = features(np.ones((1, 34)), np.full((1, 34), 0.25), np.array([544.0]), np.array([0.9]), BANDS)
    assert row.shape == (1, 70)
    assert row.dtype == np.float32
    np.testing.assert_allclose(row[0, 34:68], 0.25)
    assert row[0, 68] == pytest.approx(1.0)  # an octave below the middle
    assert row[0, 69] == pytest.approx(0.8)


def test_white_noise_reads_its_own_level_in_every_band():
    """Noise of -40 dB has that power in every bin of a window whose squares sum to 480."""
    x = 0.01 * np.random.default_rng(0).standard_normal((3000, 960))
    energies = BANDS.energy(analysis(x)).mean(axis=0)
    np.testing.assert_allclose(30.0 * of_energies(energies[None])[0, :34] - 60.0, -40.0, atol=0.5)


def test_silence_is_finite_and_at_the_floor():
    row = of_energies(np.zeros((1, 34)))
    np.testing.assert_allclose(row[0, :34], (-100.0 + 60.0) / 30.0, rtol=1e-5)
