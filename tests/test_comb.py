import numpy as np
import pytest

from percepnet.params import COMB_TAPS, HOP_SAMPLES, WINDOW_SAMPLES
from percepnet.reference import comb
from voices import RATE_HZ, glide, noise, steady

FAR = 10**6


def filter_frames(x, period, future_samples=FAR, frames=20):
    """Comb-filter windows in the middle of a signal with taps at multiples of one period."""
    fine = comb.upsample(x[None].astype(np.float32))
    starts = 4800 + HOP_SAMPLES * np.arange(frames)
    delays = np.tile(period * np.arange(-COMB_TAPS, COMB_TAPS + 1), (frames, 1))
    filtered, weights = comb.comb_filter(fine, starts, delays, future_samples)
    windows = np.stack([x[s + 7 : s + 7 + WINDOW_SAMPLES] for s in starts])
    return filtered[:, 0], windows, weights


def test_weights_are_a_hann_window_with_the_noise_gain_of_theory():
    for taps in range(1, 7):
        weights = comb.hann_weights(taps).astype(np.float64)
        assert weights.sum() == pytest.approx(1.0, abs=1e-6)
        assert (weights**2).sum() == pytest.approx(3 / (4 * (taps + 1)), rel=1e-5)


def test_all_taps_bring_white_noise_down_by_9_db():
    x = noise(0, 200_000, 0.1)
    filtered, windows, weights = filter_frames(x, 200.0, frames=300)
    assert 10 * np.log10((weights[0] ** 2).sum()) == pytest.approx(-9.03, abs=0.005)
    assert 10 * np.log10((filtered**2).mean() / (windows**2).mean()) == pytest.approx(-9.03, abs=0.1)


@pytest.mark.parametrize("period", [200.0, 301.25, 444.5])
def test_periodic_sound_passes_unchanged(period):
    x = steady(period, seconds=1.0)
    filtered, windows, _ = filter_frames(x, period)
    assert np.sqrt(np.mean((filtered - windows) ** 2)) < 0.003 * np.sqrt(np.mean(windows**2))


def test_sound_between_the_harmonics_is_attenuated_by_the_filters_response():
    """At an odd multiple of half the pitch, the taps alternate in sign."""
    period, n = 240.0, np.arange(RATE_HZ)
    x = np.cos(2 * np.pi * 2.5 * n / period)
    filtered, windows, weights = filter_frames(x, period)
    expected = abs((weights[0] * (-1.0) ** np.arange(-5, 6)).sum())
    assert np.sqrt((filtered**2).mean() / (windows**2).mean()) == pytest.approx(expected, abs=0.003)


@pytest.mark.parametrize(
    ("period", "lookahead", "gain_db"),
    [(120.0, 2, -9.03), (200.0, 2, -8.94), (400.0, 2, -8.08), (600.0, 2, -7.35), (400.0, 1, -7.35)],
)
def test_truncated_to_the_lookahead_it_keeps_most_of_the_gain(period, lookahead, gain_db):
    _, _, weights = filter_frames(noise(1, 60_000, 0.1), period, future_samples=lookahead * HOP_SAMPLES)
    assert 10 * np.log10((weights[0] ** 2).sum()) == pytest.approx(gain_db, abs=0.01)
    assert weights.sum(axis=-1) == pytest.approx(1.0, abs=1e-6)


def test_no_sample_beyond_the_lookahead_is_used():
    x = noise(2, 60_000, 0.1)
    future = 960
    last_start = 4800 + HOP_SAMPLES * 19
    cut = x.copy()
    cut[7 + last_start + WINDOW_SAMPLES + future :] = np.nan
    full, _, _ = filter_frames(x, 250.0, future)
    short, _, _ = filter_frames(cut, 250.0, future)
    np.testing.assert_array_equal(full, short)


def test_upsampled_sine_lies_on_the_curve():
    n = np.arange(2000)
    fine = comb.upsample(np.cos(2 * np.pi * 5000 * n / RATE_HZ)[None].astype(np.float32))[0]
    at = 7 + np.arange(len(fine)) / comb.PHASES
    np.testing.assert_allclose(fine, np.cos(2 * np.pi * 5000 * at / RATE_HZ), atol=2e-3)


def test_taps_of_a_steady_pitch_are_its_multiples():
    delays = comb.tap_delays(np.full(11, 345.6), 8)
    np.testing.assert_allclose(delays, 345.6 * np.arange(-5, 6), rtol=1e-9)


def test_taps_follow_the_contour():
    """With the true contour of a glide, the taps lie where its phase has turned by whole periods."""
    _, f0_hz = glide(4, seconds=2.0, low_hz=150, high_hz=300)
    cycles = np.cumsum(f0_hz) / RATE_HZ
    for frame in range(60, 120, 10):
        around = np.arange(frame - comb.PAST_FRAMES, frame + 9)
        delays = comb.tap_delays(RATE_HZ / f0_hz[around * HOP_SAMPLES], comb.PAST_FRAMES)
        turned = cycles[(frame * HOP_SAMPLES + np.round(delays)).astype(int)] - cycles[frame * HOP_SAMPLES]
        np.testing.assert_allclose(turned, np.arange(-5, 6), atol=0.03)


def test_following_the_contour_keeps_more_of_a_gliding_voice():
    voice, f0_hz = glide(5, seconds=2.0, low_hz=120, high_hz=400)
    fine = comb.upsample(voice[None].astype(np.float32))
    frames = np.arange(40, 150)
    starts = (frames - 1) * HOP_SAMPLES - 7
    periods = RATE_HZ / f0_hz[::HOP_SAMPLES]
    followed = np.array([comb.tap_delays(periods[f - 8 : f + 9], 8) for f in frames])
    straight = periods[frames, None] * np.arange(-5, 6)
    target = np.stack([voice[s + 7 : s + 7 + WINDOW_SAMPLES] for s in starts])
    error = [np.mean((comb.comb_filter(fine, starts, d, FAR)[0][:, 0] - target) ** 2) for d in (followed, straight)]
    assert error[0] < 0.5 * error[1]
