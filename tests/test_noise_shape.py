"""Within a band, noise is taken where it lies, and a voice keeps its harmonics."""

import numpy as np
import pytest

from models import random_model
from percepnet import native
from percepnet.params import BIN_FEATURES, BINS, SAMPLE_RATE_HZ, SHAPED_BINS, SignalParams
from percepnet.reference import stft
from percepnet.reference.bands import bands_of
from percepnet.reference.noise_shape import AHEAD_FRAMES, CORRECTED_LEAST, CORRECTED_MOST, LEAST, TINY_GAIN, NoiseShape
from percepnet.reference.stream import Stream as Definition
from voices import noise, steady

BANDS = bands_of(SignalParams().band_edges)


def spectra(x):
    return stft.analysis(stft.frames(x))


def coming(frames, by):
    """Each frame with those that are heard while it is decided; at the end there are none, and the last one stays."""
    return [frames[np.minimum(np.arange(i, i + by + 1), len(frames) - 1)] for i in range(len(frames))]


def further(heard, gains, by=AHEAD_FRAMES, corrector=None):
    """What bins lose further than their bands: 1 is nothing."""
    shape = NoiseShape(BANDS, corrector)
    frames = spectra(heard)[:, None]
    rows = zip(coming(frames, by), frames, gains, np.zeros_like(gains), strict=True)
    found = [shape.push(*row) for row in rows]
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
    gains = np.full(34, gain, np.float32)
    found = NoiseShape(BANDS).push(spectra(x)[:3, None], spectra(x)[:1], gains, np.zeros_like(gains))
    np.testing.assert_allclose(gain * found[SHAPED_BINS + 1 :], gain**0.9375, rtol=1e-5)


class Says:
    """Says the same of all bins, and keeps what it was asked."""

    def __init__(self, change):
        self.change, self.asked = change, []

    def reset(self):
        self.asked = []

    def step(self, ratios):
        self.asked.append(ratios)
        return np.full(len(ratios), self.change, np.float32)


@pytest.mark.parametrize(("change", "kept"), [(0, 0.67), (0.5, 1.005), (-0.5, 0.335), (9, 1.6), (-1, 0.05)])
def test_what_corrects_the_rule_changes_it_in_proportion_and_within_bounds(change, kept):
    """Noise alone, of which nearly all is taken: the rule takes as much further as it may."""
    x = noise(1, 48_000, 0.1).astype(np.float32)
    gains = np.full((len(spectra(x)), 34), 0.1, np.float32)
    found = further(x, gains, corrector=Says(change))[-1]
    np.testing.assert_allclose(np.median(found[1:150]), kept, rtol=1e-3)
    np.testing.assert_allclose(found[SHAPED_BINS + 1 :], 1, atol=1e-5)
    assert np.float32(0.05) == CORRECTED_LEAST
    assert np.float32(1.6) == CORRECTED_MOST


@pytest.mark.parametrize("level", [0, 1e-3, 1.0, 1e3])
def test_what_a_network_for_bins_is_given_are_shares_which_no_level_changes(level):
    x = (steady(320.0) + noise(3, SAMPLE_RATE_HZ, 0.02)).astype(np.float32)
    gains = np.full((len(spectra(x)), 34), 0.5, np.float32)
    asked, loud = Says(0), Says(0)
    further((level * x).astype(np.float32), gains, corrector=asked)
    further(x, gains, corrector=loud)
    found = np.array(asked.asked)
    assert found.shape == (len(gains), SHAPED_BINS, BIN_FEATURES)
    assert found.min() >= -0.5
    assert found.max() <= 0.5 + 1e-6
    if level:
        np.testing.assert_allclose(found[5:], np.array(loud.asked)[5:], atol=0.02)


def test_a_bin_is_given_its_neighbours_too():
    x = (steady(320.0)[:9600] + noise(3, 9600, 0.02)).astype(np.float32)
    asked = Says(0)
    further(x, np.full((len(spectra(x)), 34), 0.5, np.float32), corrector=asked)
    below, own, above = np.split(asked.asked[-1], 3, axis=1)
    np.testing.assert_array_equal(below[1:], own[:-1])
    np.testing.assert_array_equal(above[:-1], own[1:])
    assert not below[0].any()
    assert not above[-1].any()
    np.testing.assert_allclose(own[:, 5], 0)  # the gain, less a half
    np.testing.assert_allclose(own[:, 11], np.arange(SHAPED_BINS) / SHAPED_BINS - 0.5, atol=1e-6)


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
