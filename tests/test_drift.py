from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import percepnet
from models import constant_model
from percepnet.engine import CORE, VARIABLE, engine
from percepnet.params import HOP_SAMPLES, SAMPLE_RATE_HZ, SignalParams
from percepnet.reference.drift import (
    FUTURE_SAMPLES,
    KNOT_SAMPLES,
    KNOTS_FUTURE,
    KNOTS_PAST,
    DriftFree,
    triangle,
    weights,
)
from percepnet.reference.windows import SHIFT_SAMPLES

CLIPS = Path(__file__).parents[1] / "examples" / "clips" / "clean"


def tone(frequency_hz, hops=300):
    return np.sin(2 * np.pi * frequency_hz * np.arange(hops * HOP_SAMPLES) / SAMPLE_RATE_HZ).astype(np.float32)


def aligned(x):
    """A signal, and itself without its drift, when the beginning is over."""
    y = DriftFree(1).push(x[None])[0][0]
    settled = slice(100 * HOP_SAMPLES, 200 * HOP_SAMPLES)
    return x[settled], y[FUTURE_SAMPLES:][settled]


def test_it_is_the_weighted_mean_of_means():
    """Sample by sample, by the definition."""
    x = np.random.default_rng(0).standard_normal(20 * HOP_SAMPLES).astype(np.float32)
    y = DriftFree(1).push(x[None])[0][0, FUTURE_SAMPLES:]
    means = np.convolve(x, triangle(), "same")
    for n in (4800, 4848, 4865, 5279):
        drift = []
        for knot in (n // 48, n // 48 + 1):
            around = means[48 * np.arange(knot - KNOTS_PAST, knot + KNOTS_FUTURE + 1)]
            drift.append(around @ weights())
        assert y[n] == pytest.approx(x[n] - drift[0] - n % 48 / 48 * (drift[1] - drift[0]), abs=1e-6)


def test_any_number_of_hops_is_the_same_to_the_bit():
    x = np.random.default_rng(1).standard_normal((2, 30 * HOP_SAMPLES)).astype(np.float32) + 0.3
    apart = DriftFree(2)
    found = [apart.push(part) for part in np.split(x, [480, 1440, 9600], axis=1)]
    whole = DriftFree(2).push(x)
    apart.reset()
    for part, again, expected in zip(zip(*found, strict=True), apart.push(x), whole, strict=True):
        np.testing.assert_array_equal(np.concatenate(part, axis=1), expected)
        np.testing.assert_array_equal(again, expected)


def test_ahead_the_drift_goes_on_as_it_went_last():
    x = (tone(5, hops=40) + 0.1 * tone(300, hops=40))[None]
    free, ahead = DriftFree(1).push(x)
    known = x[:, :-FUTURE_SAMPLES] - free[:, FUTURE_SAMPLES:]  # the drift, which hop + 1 is the last to be given of
    for hop in (10, 20, 30):
        behind = slice(hop * HOP_SAMPLES, hop * HOP_SAMPLES + SHIFT_SAMPLES)
        found = x[0, behind] - ahead[0, hop + 1]
        before = known[0, hop * HOP_SAMPLES - KNOT_SAMPLES]
        expected = known[0, hop * HOP_SAMPLES] + np.arange(SHIFT_SAMPLES) / KNOT_SAMPLES * (found[0] - before)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert np.abs(found - known[0, behind]).max() < 0.02


def test_an_offset_from_the_start_is_never_heard():
    for y in DriftFree(1).push(np.full((1, 5 * HOP_SAMPLES), 0.3, np.float32)):
        np.testing.assert_allclose(y, 0, atol=1e-7)
    assert weights().sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("frequency_hz", "least_db"), [(1, 45), (4, 45), (8, 40), (10, 30), (20, 12)])
def test_infrasound_is_gone(frequency_hz, least_db):
    x, y = aligned(tone(frequency_hz))
    assert 20 * np.log10(np.std(x) / np.std(y)) > least_db


@pytest.mark.parametrize(("frequency_hz", "most"), [(60, 0.03), (80, 0.03), (110, 0.02), (300, 0.005), (5000, 0.001)])
def test_voices_stay_as_they_were(frequency_hz, most):
    """The high-pass alone turns 110 Hz by 43 degrees: an error of .7 of the tone."""
    x, y = aligned(tone(frequency_hz))
    assert np.std(y - x) < most * np.std(x)


def test_both_engines_give_the_same_up_to_the_end(monkeypatch):
    """Of a recording that ends in the middle of an offset, and of a hop."""
    if engine() != CORE:
        pytest.skip("the core is not installed")
    rng = np.random.default_rng(2)
    x = (0.1 * rng.standard_normal(24_017) + 0.3 * tone(5)[:24_017]).astype(np.float32)
    model = constant_model(0.7, 0.4, SignalParams(highpass_hz=30.0))
    found = []
    for name in (CORE, "numpy"):
        monkeypatch.setenv(VARIABLE, name)
        found.append(percepnet.enhance(x, SAMPLE_RATE_HZ, model=model))
    np.testing.assert_allclose(*found, atol=1e-5)
    assert np.abs(found[0][-480:]).max() < 0.5


def test_the_end_is_high_passed():
    """Nothing is known of what an offset does behind it: infrasound that is cut off leaves no step."""
    x = 0.4 * tone(8)[: 100 * HOP_SAMPLES]
    y = percepnet.enhance(x, SAMPLE_RATE_HZ, model=constant_model(1.0, 0.0, SignalParams(highpass_hz=30.0)))
    assert np.abs(y[-480:]).max() < 0.01


@pytest.mark.parametrize("lookahead_frames", [2, 3])
def test_speech_comes_out_as_it_went_in(lookahead_frames):
    """With decisions that change nothing; with the phases of the high-pass given back in bins there were 26.8 dB."""
    x, rate_hz = sf.read(CLIPS / "rain_kitchen_male.flac", dtype="float32")
    model = constant_model(1.0, 0.0, SignalParams(lookahead_frames, highpass_hz=30.0))
    error = percepnet.enhance(x, rate_hz, model=model) - x
    assert 10 * np.log10(np.sum(x**2) / np.sum(error**2)) > 40
