"""Held to the numbers that the Python packages of Loizou's measures give for the clips of the repository."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from percepnet.metrics import composite

soxr = pytest.importorskip("soxr", reason="the package soxr is not installed")

CLIPS = Path(__file__).parents[1] / "examples" / "clips"
# llr and wss (pysepm-evo 0.1.1, with used_for_composite), SNRseg (the same)
EXPECTED = {
    "sea_female": (1.3954977495090446, 44.0483622719211, 1.4129148714098103),
    "helicopter_male": (0.3660031845802922, 38.44612449668173, 0.9123167803561046),
}


def at_16k(kind, name):
    x, rate_hz = sf.read(CLIPS / kind / f"{name}.flac", dtype="float32")
    return soxr.resample(x, rate_hz, 16_000).astype(np.float64)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_parts_are_those_of_the_reference(name):
    x, y = at_16k("clean", name), at_16k("noisy", name)
    found = (
        composite.log_likelihood_ratio(x, y),
        composite.weighted_spectral_slope(x, y),
        composite.segmental_snr_db(x, y),
    )
    assert found == pytest.approx(EXPECTED[name], abs=1e-6)


def test_the_clean_speech_itself_is_perfect():
    x = at_16k("clean", "sea_female")
    assert composite.log_likelihood_ratio(x, x) == pytest.approx(0, abs=1e-9)
    assert composite.weighted_spectral_slope(x, x) == 0
    assert composite.composite_scores(x, x, 4.64) == (5.0, 5.0, 5.0)


def test_opinions_stay_on_their_scale():
    x = at_16k("clean", "sea_female")
    noise = np.random.default_rng(0).standard_normal(len(x))
    assert composite.composite_scores(x, noise, 1.0)[0] == 1.0
