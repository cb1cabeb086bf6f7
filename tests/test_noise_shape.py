"""Within a band, noise is taken where it lies, and a voice keeps its harmonics."""

import numpy as np
import pytest

import percepnet
from models import random_model
from percepnet import native
from percepnet.engine import open_stream
from percepnet.params import BINS, SAMPLE_RATE_HZ, SignalParams
from percepnet.reference import stft
from percepnet.reference.bands import bands_of
from percepnet.reference.noise_shape import LEAST, SHAPED_BINS, NoiseShape, lifted
from percepnet.reference.stream import Stream as Definition
from voices import noise, steady

BANDS = bands_of(SignalParams().band_edges)


def spectra(x):
    return stft.analysis(stft.frames(x))


def further(heard, gains):
    shape = NoiseShape(BANDS)
    return np.array([shape.push(frame[None], gain) for frame, gain in zip(spectra(heard), gains, strict=True)])


def test_a_gain_of_one_leaves_all_bins():
    x = noise(1, 9600, 0.1).astype(np.float32)
    count = len(spectra(x))
    np.testing.assert_allclose(further(x, np.ones((count, 34), np.float32)), 1, atol=1e-5)


def test_noise_between_harmonics_is_taken_further_than_the_harmonics():
    """A band of white noise for a second, and then of noise and tones 400 Hz apart, that stand in every eighth bin."""
    seconds = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tones = sum(np.cos(2 * np.pi * 400 * i * seconds + i) for i in range(1, 20)) * 0.05 * (seconds >= 1)
    x = (tones + noise(2, len(seconds), 0.02)).astype(np.float32)
    count = len(spectra(x))
    gains = np.where(np.arange(count)[:, None] < 100, 0.1, 0.8).astype(np.float32) * np.ones(34, np.float32)
    late = further(x, gains)[150:]
    on, between = late[:, 24:SHAPED_BINS:8], late[:, 28:SHAPED_BINS:8]
    assert on.mean() > 0.95
    assert between.mean() < on.mean() - 0.1


def test_what_comes_out_is_within_what_is_promised():
    x = steady(320.0) + noise(3, SAMPLE_RATE_HZ, 0.02)
    x = x.astype(np.float32)
    rng = np.random.default_rng(4)
    found = further(x, rng.uniform(0, 1, (len(spectra(x)), 34)).astype(np.float32))
    assert found.shape == (len(spectra(x)), BINS)
    assert found.min() >= LEAST
    assert found.max() <= 1
    assert np.all(found[:, SHAPED_BINS:] == 1)


@pytest.mark.parametrize("level", [1e-4, 1.0, 1e3])
def test_level_does_not_matter(level):
    x = (steady(320.0) + noise(3, SAMPLE_RATE_HZ, 0.02)).astype(np.float32)
    gains = np.full((len(spectra(x)), 34), 0.5, np.float32)
    np.testing.assert_allclose(further((level * x).astype(np.float32), gains)[5:], further(x, gains)[5:], atol=0.02)


def test_silence_is_no_number_out_of_range():
    found = further(np.zeros(9600, np.float32), np.zeros((len(spectra(np.zeros(9600))), 34), np.float32))
    assert np.isfinite(found).all()


def test_gains_are_lifted_to_the_power_of_fifteen_sixteenths():
    gains = np.array([0, 1e-4, 0.1, 0.5, 1], np.float32)
    np.testing.assert_allclose(lifted(gains), gains**0.9375, rtol=1e-5)


@pytest.mark.parametrize(("channels", "linked"), [(1, True), (2, True), (2, False)])
def test_the_core_does_as_the_definition_says(channels, linked):
    model = random_model(5)
    x = np.stack([steady(300.0 + 60 * c) + noise(c, SAMPLE_RATE_HZ, 0.05) for c in range(channels)])
    x = x.astype(np.float32)
    made = [
        kind(model, channels=channels, link_channels=linked, noise_shape=True, **more).process(x)
        for kind, more in ((Definition, {}), (native.Stream, {"exact": True}))
    ]
    assert np.abs(made[0]).max() > 1e-3
    np.testing.assert_allclose(made[1], made[0], atol=2e-4 * np.abs(made[0]).max())
    without = native.Stream(model, channels=channels, link_channels=linked, exact=True).process(x)
    assert np.abs(made[1] - without).max() > 0.01 * np.abs(without).max()


def test_any_chunks_give_the_same_bits_and_a_reset_forgets():
    model = random_model(6)
    x = noise(7, SAMPLE_RATE_HZ // 2, 0.1).astype(np.float32)[None]
    stream = native.Stream(model, noise_shape=True)
    whole = stream.process(x)
    stream.reset()
    parts = [stream.process(x[:, i : i + 700]) for i in range(0, x.shape[1], 700)]
    together = np.concatenate(parts, axis=1)
    np.testing.assert_array_equal(together, whole[:, : together.shape[1]])


@pytest.mark.parametrize(("quality", "shaped"), [("best", True), ("good", False), (None, False)])
def test_the_best_quality_does_so_and_others_do_not(monkeypatch, quality, shaped):
    asked = []

    def opened(*args, noise_shape, **settings):
        asked.append(noise_shape)
        return open_stream(*args, noise_shape=noise_shape, **settings)

    monkeypatch.setattr("percepnet.stream.open_stream", opened)
    percepnet.Enhancer(quality=quality).close()
    assert asked
    assert set(asked) == {shaped}
