import numpy as np
import pytest

from percepnet.params import BINS, ERB_EDGES_34
from percepnet.reference.bands import bands_of
from percepnet.reference.mix import enhance_spectrum, mix

BANDS = bands_of(ERB_EDGES_34)


def spectra(seed, channels=1):
    rng = np.random.default_rng(seed)
    shape = (4, channels, BINS)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def flat(value):
    return np.full((4, 34), value, dtype=np.float32)


def test_strength_0_keeps_the_noisy_speech_and_1_the_filtered():
    y, p = spectra(0), spectra(1)
    np.testing.assert_array_equal(mix(y, p, flat(0.0), BANDS), y)
    np.testing.assert_allclose(mix(y, p, flat(1.0), BANDS), p, atol=1e-6)


def test_unit_gains_without_strength_change_nothing():
    y, p = spectra(0), spectra(1)
    for post_filter in (False, True):
        np.testing.assert_allclose(
            enhance_spectrum(y, p, flat(1.0), flat(0.0), BANDS, post_filter=post_filter), y, atol=1e-5
        )


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_bands_are_rescaled_to_the_wanted_magnitude(strength):
    """A uniform gain changes the band energies by its square, whatever the comb filter took out."""
    y = spectra(2)
    p = 0.4 * y + 0.3 * spectra(3)
    z = enhance_spectrum(y, p, flat(0.5), flat(strength), BANDS, post_filter=False)
    np.testing.assert_allclose(BANDS.energy(z).sum(), 0.25 * BANDS.energy(y).sum(), rtol=0.05)


def test_post_filter_spares_what_the_comb_filter_cleaned():
    """Where the gain is only what the comb filter has already done, there is nothing left to attenuate."""
    y = spectra(4)
    p = 0.5 * y
    with_filter = enhance_spectrum(y, p, flat(0.5), flat(1.0), BANDS, post_filter=True)
    np.testing.assert_allclose(with_filter, p, atol=1e-4)


def level_difference_db(z):
    return 10 * np.log10(BANDS.energy(z[:, 0]) / BANDS.energy(z[:, 1]))


def test_stereo_image_stays_where_it_was():
    """One source at -12 dB on the right stays exactly there; independent noise on both sides moves bands little."""
    gains = np.random.default_rng(7).uniform(0.1, 1, (4, 34)).astype(np.float32)
    pan = np.array([1.0, 0.25], dtype=np.float32)[:, None]
    y = spectra(5) * pan
    p = 0.7 * y + 0.3 * spectra(6) * pan
    panned = enhance_spectrum(y, p, gains, flat(0.7), BANDS)
    np.testing.assert_allclose(level_difference_db(panned), 20 * np.log10(4.0), atol=1e-3)
    y += 0.1 * spectra(8, channels=2) * pan
    apart = enhance_spectrum(y, p, gains, flat(0.7), BANDS)
    assert np.abs(level_difference_db(apart) - level_difference_db(y)).mean() < 0.5


def test_silence_stays_silence():
    silence = np.zeros((4, 1, BINS), dtype=np.complex64)
    assert not enhance_spectrum(silence, silence, flat(0.5), flat(0.5), BANDS).any()


def test_a_cancelled_band_is_not_blown_up():
    y = spectra(8)
    z = enhance_spectrum(y, 1e-6 * y, flat(1.0), flat(1.0), BANDS, post_filter=False)
    assert np.abs(z).max() < 1e-3 * np.abs(y).max()


def energies(x):
    return BANDS.energy(x).astype(np.float64)


def test_windows_have_levels_of_their_own_but_the_lowest_bands():
    """Of which the network hears less than is given out."""
    y, p = spectra(9), spectra(10)
    windows = np.stack([spectra(11), 3 * spectra(12)], axis=1)
    combed = 0.5 * windows
    z = enhance_spectrum(y, p, flat(0.5), flat(1.0), BANDS, post_filter=False, unturned=(windows, combed))
    assert z.shape == (4, 2, 1, BINS)
    above = slice(BANDS.edges[3], None)  # bins of no other band
    np.testing.assert_allclose(z[..., above], 0.5 * windows[..., above], atol=1e-5)
    heard = 0.5 * np.sqrt(energies(y) / energies(p))[:, 0, 0]
    np.testing.assert_allclose(z[:, 0, 0, 0], heard * combed[:, 0, 0, 0], rtol=1e-4)


def test_the_frame_itself_as_a_window_is_enhanced_as_it_is():
    y, p = spectra(13, channels=2), spectra(14, channels=2)
    gains = np.random.default_rng(15).uniform(0.1, 1, (4, 34)).astype(np.float32)
    for post_filter in (False, True):
        alone = enhance_spectrum(y, p, gains, flat(0.6), BANDS, post_filter=post_filter)
        windows = enhance_spectrum(
            y, p, gains, flat(0.6), BANDS, post_filter=post_filter, unturned=(y[:, None], p[:, None])
        )
        np.testing.assert_allclose(windows[:, 0], alone, atol=1e-6)
