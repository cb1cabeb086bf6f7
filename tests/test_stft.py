import numpy as np

from percepnet.params import HOP_SAMPLES, WINDOW_SAMPLES
from percepnet.reference import stft


def test_window_is_power_complementary():
    window = stft.vorbis_window().astype(np.float64)
    np.testing.assert_allclose(window[:HOP_SAMPLES] ** 2 + window[HOP_SAMPLES:] ** 2, 1.0, atol=1e-6)


def test_unit_gains_reconstruct_the_input():
    x = np.random.default_rng(0).uniform(-1, 1, (2, 50 * HOP_SAMPLES)).astype(np.float32)
    padded = np.pad(x, ((0, 0), (HOP_SAMPLES, 0)))
    y = stft.overlap_add(stft.synthesis(stft.analysis(stft.frames(padded))))
    np.testing.assert_allclose(y[:, HOP_SAMPLES:], x[:, :-HOP_SAMPLES], atol=1e-6)


def test_spectrum_is_the_windowed_transform_50_hz_a_bin():
    n = np.arange(WINDOW_SAMPLES)
    spectrum = stft.analysis(np.cos(2 * np.pi * 1000 * n / 48_000).astype(np.float32))
    assert spectrum.shape == (481,)
    assert np.abs(spectrum).argmax() == 20
    expected = np.fft.fft(np.cos(2 * np.pi * 1000 * n / 48_000) * stft.vorbis_window())[:481]
    np.testing.assert_allclose(spectrum, expected, atol=1e-3)


def test_frame_l_covers_hops_l_minus_1_and_l():
    x = np.repeat(np.arange(5, dtype=np.float32), HOP_SAMPLES)
    frames = stft.frames(x)
    assert frames.shape == (4, WINDOW_SAMPLES)
    assert set(frames[2]) == {2.0, 3.0}
