import numpy as np
import pytest

from percepnet.params import HOP_SAMPLES
from percepnet.reference import pitch
from voices import RATE_HZ, glide, noise, steady


def track(x, lookahead=2):
    """Period and correlation of the frames l = 0 .. T - M - 1 of a signal, with M frames of look-ahead."""
    padded = np.pad(x, (pitch.HISTORY_SAMPLES, 0)).astype(np.float32)[None]
    tracker = pitch.PitchTracker(lookahead)
    steps = [tracker.step(*row) for row in zip(*pitch.cells(pitch.correlation(padded)), strict=True)]
    periods = np.array([path[0] for path, _ in steps])
    correlations = np.array([correlation for _, correlation in steps])
    return periods[lookahead:], correlations


def gross_error(snr_db, voices=10):
    """Share of voiced frames whose period is wrong by more than 20 %, octave errors included."""
    errors = []
    for seed in range(voices):
        voice, f0_hz = glide(seed)
        periods, _ = track(voice + noise(100 + seed, len(voice), 0.05 * 10 ** (-snr_db / 20)))
        frames = np.arange(5, len(periods) - 5)
        truth = RATE_HZ / f0_hz[frames * HOP_SAMPLES]
        errors.append(np.mean(np.abs(periods[frames] / truth - 1.0) > 0.2))
    return np.mean(errors)


@pytest.mark.parametrize(("snr_db", "limit"), [(10, 0.05), (0, 0.15)])
def test_gross_error_on_glides_from_60_to_480_hz(snr_db, limit):
    assert gross_error(snr_db) < limit


@pytest.mark.parametrize("period", [97.0, 133.3, 240.25, 400.7, 512.5, 740.1])
def test_period_is_fractional(period):
    periods, correlations = track(steady(period))
    assert np.abs(periods[20:] - period).max() < 0.003 * period
    assert correlations[20:].min() > 0.8


def test_lookahead_only_shortens_the_delay():
    """The look-ahead changes which frame a step speaks of; a steady voice is found with any."""
    for lookahead in range(4):
        periods, _ = track(steady(300.0), lookahead)
        np.testing.assert_allclose(periods[10:], 300.0, rtol=0.003)


def test_correlation_tells_voice_from_noise_and_silence():
    _, voiced = track(steady(300.0))
    _, unvoiced = track(noise(0, RATE_HZ, 0.1))
    _, silent = track(np.zeros(RATE_HZ))
    assert np.median(voiced[10:]) > 0.9
    assert np.median(unvoiced[10:]) < 0.5
    assert not silent.any()


def test_level_does_not_matter():
    voice, _ = glide(3, seconds=2.0)
    loud, quiet = track(voice)[0], track(1e-3 * voice)[0]
    np.testing.assert_allclose(loud, quiet, rtol=1e-3)


def test_dominant_harmonic_is_not_taken_for_the_pitch():
    """A resonance on one harmonic is what makes autocorrelation err by octaves."""
    n = np.arange(2 * RATE_HZ)
    voice = sum((8.0 if k == 4 else 1.0) * np.cos(2 * np.pi * k * n / 400.0 + k) for k in range(1, 25))
    periods, _ = track(0.02 * voice)
    np.testing.assert_allclose(periods[20:], 400.0, rtol=0.01)


def test_channels_share_one_pitch():
    voice = steady(300.0)
    both = np.stack([voice, 0.2 * noise(0, len(voice), 0.1)])
    padded = np.pad(both, ((0, 0), (pitch.HISTORY_SAMPLES, 0))).astype(np.float32)
    lags = pitch.correlation(padded)
    mono = pitch.correlation(padded[:1])
    assert lags.shape == mono.shape
    _, periods = pitch.cells(lags)
    assert np.isfinite(periods).all()
    tracker = pitch.PitchTracker(2)
    last = [tracker.step(*row)[0][0] for row in zip(*pitch.cells(lags), strict=True)][-1]
    assert last == pytest.approx(300.0, rel=0.01)
