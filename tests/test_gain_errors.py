import numpy as np
import pytest

from percepnet.evaluation.gain_errors import band_gains, errors_db, summary
from percepnet.params import SignalParams
from voices import steady

PARAMS = SignalParams()


def gain_errors(signals):
    return summary([errors_db(*some, PARAMS) for some in signals])


@pytest.fixture(scope="module")
def pair():
    clean = steady(400, 2.0).astype(np.float32)
    clean[48000:] = 0
    return clean, clean + 0.01 * np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)


def test_the_input_itself_has_gains_of_one(pair):
    np.testing.assert_allclose(band_gains(pair[1], pair[1], PARAMS), 1)


def test_clean_speech_is_without_errors(pair):
    clean, noisy = pair
    found = gain_errors([(clean, clean, noisy)])
    assert found.bias_db == found.spread_db == 0
    assert found.bands > 1000


def test_an_output_that_is_softer_throughout_has_a_bias_and_no_spread(pair):
    clean, noisy = pair
    found = gain_errors([(0.5 * clean, clean, noisy)])
    assert found.bias_db == pytest.approx(-6.0, abs=0.2)
    assert found.spread_db < 0.3


def test_pauses_do_not_count(pair):
    """Noise that is left where there is no speech is another fault than speech that is lost."""
    clean, noisy = pair
    loud = clean.copy()
    loud[52800:] = noisy[52800:]
    np.testing.assert_array_equal(errors_db(loud, clean, noisy, PARAMS), errors_db(clean, clean, noisy, PARAMS))


def test_nothing_to_judge():
    silence = np.zeros(9600, np.float32)
    assert gain_errors([(silence, silence, silence)]).bands == 0
    assert np.isnan(gain_errors([]).spread_db)


def test_bands_of_which_nothing_is_known_do_not_count(pair):
    clean, noisy = pair
    known = np.arange(PARAMS.bands) < 10
    assert 0 < len(errors_db(clean, clean, noisy, PARAMS, known)) < len(errors_db(clean, clean, noisy, PARAMS))
