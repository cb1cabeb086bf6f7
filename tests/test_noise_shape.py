"""Within a band, noise is taken where it lies, and a voice keeps its harmonics."""

import numpy as np
import pytest

from models import random_model
from percepnet import native
from percepnet.params import BINS, SAMPLE_RATE_HZ, SignalParams
from percepnet.reference import stft
from percepnet.reference.bands import bands_of
from percepnet.reference.noise_shape import AHEAD_FRAMES, LEAST, SHAPED_BINS, TINY_GAIN, NoiseShape
from percepnet.reference.stream import Stream as Definition
from voices import noise, steady

BANDS = bands_of(SignalParams().band_edges)


def spectra(x):
    return stft.analysis(stft.frames(x))


def later(frames, by):
    """The frame that is heard while one is decided; at the end there is none, and the last one stays."""
    return frames[np.minimum(np.arange(len(frames)) + by, len(frames) - 1)]


def further(heard, gains, by=AHEAD_FRAMES):
    """What bins lose further than their bands: 1 is nothing."""
    shape = NoiseShape(BANDS)
    frames = spectra(heard)[:, None]
    found = [shape.push(*frame, gain) for *frame, gain in zip(frames, later(frames, by), gains, strict=True)]
    return np.array(found) * np.maximum([BANDS.to_bins(gain) for gain in gains], TINY_GAIN) ** 0.0625


def tones_late(hiss):
    """A second of white noise, and then one of noise and tones 400 Hz apart, that stand in every eighth bin."""
    seconds = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tones = sum(np.cos(2 * np.pi * 400 * i * seconds + i) for i in range(1, 20)) * 0.05 * (seconds >= 1)
    return (tones + noise(2, len(seconds), hiss)).astype(np.float32)


def taken_late(x, gain):
    """Nearly all is taken until shortly before the tones begin, so that nothing of them is heard as noise."""
    gains = np.where(np.arange(len(spectra(x))) < 95, 0.1, gain).astype(np.float32)
    return np.repeat(gains[:, None], 34, axis=1)


def test_a_gain_of_one_leaves_all_bins():
    x = noise(1, 9600, 0.1).astype(np.float32)
    count = len(spectra(x))
    np.testing.assert_allclose(further(x, np.ones((count, 34), np.float32)), 1, atol=1e-5)


def test_noise_between_harmonics_is_taken_further_than_the_harmonics():
    x = tones_late(0.02)
    gains = taken_late(x, 0.8)
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
    assert found.min() >= LEAST - 1e-6
    assert found.max() <= 1 + 1e-6
    np.testing.assert_allclose(found[:, SHAPED_BINS + 1 :], 1, atol=1e-6)


def test_the_pauses_of_clear_speech_are_not_taken_for_noise():
    """A network takes a little of clear speech too. Between its words there is hardly any noise, whose shape says
    nothing of what is taken from them."""
    x = tones_late(1e-4)
    gains = taken_late(x, 0.95)
    late = further(x, gains)[150:]
    assert late[:, 24:SHAPED_BINS:8].min() > 0.99
    assert late[:, 28:152:8].min() > 0.99  # the last tone is in bin 152


def test_noise_that_was_heard_is_found_where_a_gain_takes_nothing():
    """A loud voice: its band passes as it is, and the noise between its harmonics is as it was heard to be."""
    x = tones_late(0.02)
    gains = taken_late(x, 1)
    late = further(x, gains)[150:]
    assert late[:, 28:SHAPED_BINS:8].mean() < 0.9 < late[:, 24:SHAPED_BINS:8].mean()


@pytest.mark.parametrize("level", [1e-4, 1.0, 1e3])
def test_level_does_not_matter(level):
    x = (steady(320.0) + noise(3, SAMPLE_RATE_HZ, 0.02)).astype(np.float32)
    gains = np.full((len(spectra(x)), 34), 0.5, np.float32)
    np.testing.assert_allclose(further((level * x).astype(np.float32), gains)[5:], further(x, gains)[5:], atol=0.02)


def test_tones_are_kept_from_their_first_frame_on():
    """Two frames that come are known. Without look-ahead the tones would still be taken for noise."""
    x = tones_late(0.1)
    gains = taken_late(x, 0.8)
    kept, late = (further(x, gains, by)[99, 24:SHAPED_BINS:8].mean() for by in (AHEAD_FRAMES, 0))
    assert kept > 0.98
    assert late < 0.7


def test_silence_is_no_number_out_of_range():
    found = further(np.zeros(9600, np.float32), np.zeros((len(spectra(np.zeros(9600))), 34), np.float32))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("gain", [1e-4, 0.1, 0.5, 1])
def test_gains_are_lifted_to_the_power_of_fifteen_sixteenths(gain):
    """Above 8 kHz nothing else is done."""
    x = noise(9, 9600, 0.1).astype(np.float32)
    found = NoiseShape(BANDS).push(spectra(x)[:1], spectra(x)[2:3], np.full(34, gain, np.float32))
    np.testing.assert_allclose(gain * found[SHAPED_BINS + 1 :], gain**0.9375, rtol=1e-5)


@pytest.mark.parametrize(("channels", "linked"), [(1, True), (2, True), (2, False)])
def test_the_core_does_as_the_definition_says(channels, linked):
    model = random_model(5)
    x = np.stack([steady(300.0 + 60 * c) + noise(c, SAMPLE_RATE_HZ, 0.05) for c in range(channels)])
    x = x.astype(np.float32)
    made = [
        kind(model, channels=channels, link_channels=linked, **more).process(x)
        for kind, more in ((Definition, {}), (native.Stream, {"exact": True}))
    ]
    assert np.abs(made[0]).max() > 1e-3
    np.testing.assert_allclose(made[1], made[0], atol=2e-4 * np.abs(made[0]).max())


def test_any_chunks_give_the_same_bits_and_a_reset_forgets():
    model = random_model(6)
    x = noise(7, SAMPLE_RATE_HZ // 2, 0.1).astype(np.float32)[None]
    stream = native.Stream(model)
    whole = stream.process(x)
    stream.reset()
    parts = [stream.process(x[:, i : i + 700]) for i in range(0, x.shape[1], 700)]
    together = np.concatenate(parts, axis=1)
    np.testing.assert_array_equal(together, whole[:, : together.shape[1]])
