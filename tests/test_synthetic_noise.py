import numpy as np
import pytest

pytest.importorskip("scipy", reason="training needs scipy: pip install 'percepnet[train]'")

from percepnet.acoustics.synthetic_noise import calls, equalised, fan, hum, knocks, tilted_noise

MAKERS = [knocks, calls, hum, fan]


@pytest.mark.parametrize(("slope", "expected_db"), [(0, 0), (-3, -3), (-6, -6)])
def test_tilted_noise_falls_per_octave(slope, expected_db):
    audio = tilted_noise(np.random.default_rng(0), 480000, slope)
    power = np.abs(np.fft.rfft(audio)) ** 2
    bands = [power[10 * low : 20 * low].mean() for low in (500, 1000, 2000, 4000)]
    np.testing.assert_allclose(np.diff(10 * np.log10(bands)), expected_db, atol=0.4)
    assert np.sqrt(np.mean(audio**2)) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
@pytest.mark.parametrize("samples", [480_000, 4_801, 100])
def test_length_and_reproducibility(maker, samples):
    for seed in range(4):
        audio = maker(np.random.default_rng(seed), samples)
        assert audio.shape == (samples,)
        assert audio.dtype == np.float32
        assert np.isfinite(audio).all()
        np.testing.assert_array_equal(audio, maker(np.random.default_rng(seed), samples))


def crest_db(audio):
    return 20 * np.log10(np.abs(audio).max() / np.sqrt(np.mean(audio**2)))


def test_knocks_are_short_and_loud():
    crests = [crest_db(knocks(np.random.default_rng(seed), 480_000)) for seed in range(8)]
    assert np.median(crests) > 18  # steady noise has 12


def test_calls_come_and_go():
    for seed in range(8):
        audio = calls(np.random.default_rng(seed), 480_000)
        loud = np.sqrt((audio.reshape(-1, 480) ** 2).mean(axis=1)) > 0.01
        assert 0.05 < loud.mean() < 0.98


def test_equalised_changes_the_spectrum_smoothly():
    click = np.zeros(48_000, np.float32)
    click[24_000] = 1
    gain_db = 20 * np.log10(np.abs(np.fft.rfft(equalised(np.random.default_rng(0), click, 5.0))))
    octaves = gain_db[[60, 120, 240, 480, 960, 1920, 3840, 7680, 15360]]
    assert 2 < octaves.std() < 10
    between = gain_db[[round(960 * 2**0.5)]]
    assert min(octaves[4:6]) - 0.1 <= between[0] <= max(octaves[4:6]) + 0.1
    np.testing.assert_allclose(equalised(np.random.default_rng(0), click, 0.0), click, atol=1e-5)
