import numpy as np
import pytest

from percepnet.errors import ModelError
from percepnet.params import BAND_EDGES, BINS, ERB_EDGES_34, ERB_EDGES_48, SignalParams
from percepnet.reference.bands import Bands, bands_of, coherence

TABLES = {
    "erb34": ERB_EDGES_34,
    "erb48": ERB_EDGES_48,
    "two": (0, 400),
    "to_nyquist": (0, 3, 10, 480),
    "uniform48": tuple(range(0, 480, 10)),
}


def complex_noise(seed, shape):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


@pytest.mark.parametrize("edges", TABLES.values(), ids=TABLES.keys())
def test_bands_sum_to_one_in_every_bin(edges):
    bands = Bands(edges)
    assert bands.weights.shape == (len(edges), BINS)
    np.testing.assert_allclose(bands.weights.sum(axis=0), 1.0, atol=1e-6)
    assert bands.weights.min() >= 0.0


def test_article_has_34_bands_of_at_least_100_hz_up_to_20_khz():
    edges_hz = 50 * np.array(ERB_EDGES_34)
    assert len(edges_hz) == 34
    assert np.diff(edges_hz).min() == 100
    assert edges_hz[-1] == 20_000


def test_widths_follow_the_ear():
    """Spacing is within 60 % of the equivalent rectangular bandwidth (Glasberg and Moore) where that exceeds 150 Hz."""
    edges_hz = 50.0 * np.array(ERB_EDGES_34)
    middle = (edges_hz[1:] + edges_hz[:-1]) / 2
    erb = 24.7 * (4.37 * middle / 1000 + 1)
    wide = erb > 150
    ratio = np.diff(edges_hz)[wide] / erb[wide]
    assert ratio.min() > 0.6
    assert ratio.max() < 1.6


def test_48_bands_of_at_least_50_hz_up_to_20_khz():
    """One rule for all: 0.82 of the equivalent rectangular bandwidth, in whole bins of 50 Hz, and at least one."""
    edges_hz = 50.0 * np.array(ERB_EDGES_48)
    middle = (edges_hz[1:] + edges_hz[:-1]) / 2
    rule = np.maximum(50, 0.82 * 24.7 * (4.37 * middle / 1000 + 1))
    assert np.diff(edges_hz).min() == 50
    assert edges_hz[-1] == 20_000
    assert np.abs(np.diff(edges_hz) - rule).max() <= 50
    assert {count: len(edges) for count, edges in BAND_EDGES.items()} == {34: 34, 48: 48}


def test_each_triangle_peaks_at_its_edge_and_ends_at_its_neighbours():
    weights = bands_of(ERB_EDGES_34).weights
    for band in range(1, 33):
        assert weights[band, ERB_EDGES_34[band]] == 1.0
        assert weights[band, ERB_EDGES_34[band - 1]] == 0.0
        assert weights[band, ERB_EDGES_34[band + 1]] == 0.0


def test_energies_add_up_to_that_of_the_spectrum():
    spectrum = complex_noise(1, (3, BINS))
    energy = bands_of(ERB_EDGES_34).energy(spectrum)
    np.testing.assert_allclose(energy.sum(axis=-1), (np.abs(spectrum) ** 2).sum(axis=-1), rtol=1e-5)


def test_coherence_of_a_mixture_is_its_share_of_the_amplitude():
    bands = bands_of(ERB_EDGES_34)
    p, n = complex_noise(2, (400, BINS)), complex_noise(3, (400, BINS))
    y = 0.8 * p + 0.6 * n
    correlation = bands.correlation(y, p).sum(axis=0)
    measured = coherence(correlation, bands.energy(y).sum(axis=0), bands.energy(p).sum(axis=0))
    np.testing.assert_allclose(measured, 0.8, atol=0.04)


def test_coherence_of_silence_is_zero():
    bands = bands_of(ERB_EDGES_34)
    silence, p = np.zeros(BINS, dtype=np.complex64), complex_noise(4, BINS)
    assert not coherence(bands.correlation(silence, p), bands.energy(silence), bands.energy(p)).any()


def test_interpolation_is_linear_between_edges():
    gains = np.random.default_rng(5).uniform(0, 1, 34)
    expected = np.interp(np.arange(BINS), ERB_EDGES_34, gains)
    np.testing.assert_allclose(bands_of(ERB_EDGES_34).to_bins(gains), expected, atol=1e-6)


@pytest.mark.parametrize("edges", [(), (0,), (1, 5), (0, 5, 5), (0, 9, 3), (0, 481)])
def test_impossible_tables_are_refused(edges):
    with pytest.raises(ModelError, match="band_edges"):
        SignalParams(band_edges=edges)


@pytest.mark.parametrize("lookahead", [-1, 4])
def test_impossible_lookahead_is_refused(lookahead):
    with pytest.raises(ModelError, match="lookahead_frames"):
        SignalParams(lookahead_frames=lookahead)
