import numpy as np
import pytest

from percepnet.errors import AudioError
from percepnet.params import HOP_SAMPLES, SignalParams
from percepnet.reference.oracle import (
    exact_strength,
    extra_attenuation,
    oracle_steps,
    published_strength,
    training_example,
)
from voices import glide, noise


def cosine(a, b):
    return (a * b).sum(axis=-1) / np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))


def random_bands(seed=0, cases=5000, size=12):
    """Vectors x, y, p and p_hat as they occur: y is noisier than x, p_hat closer to p than y."""
    rng = np.random.default_rng(seed)
    p, n, m = rng.standard_normal((3, cases, size))
    x = p + rng.uniform(0, 1, (cases, 1)) * n
    y = x + rng.uniform(0, 3, (cases, 1)) * m
    p_hat = p + rng.uniform(0, 0.5, (cases, 1)) * (y - p)
    return x, y, p, p_hat


def test_exact_strength_reproduces_the_clean_coherence():
    x, y, p, p_hat = random_bands()
    q_x, q_y, q_p, c = cosine(x, p), cosine(y, p), cosine(p_hat, p), cosine(y, p_hat)
    d = np.linalg.norm(p_hat, axis=-1) / np.linalg.norm(y, axis=-1)
    r = exact_strength(q_x, q_y, q_p, c, d)
    reachable = (q_x > q_y) & (q_x < q_p) & (q_y > 0)
    assert reachable.sum() > 1000
    z = (1 - r[:, None]) * y + r[:, None] * p_hat
    np.testing.assert_allclose(cosine(z, p)[reachable], q_x[reachable], atol=1e-9)
    assert ((r >= 0) & (r <= 1)).all()


def test_strength_at_its_ends():
    one = np.ones(1)
    assert exact_strength(0.5 * one, 0.6 * one, 0.9 * one, 0.8 * one, one) == 0.0  # already periodic
    assert exact_strength(0.95 * one, 0.5 * one, 0.9 * one, 0.8 * one, one) == 1.0  # beyond the filter
    assert exact_strength(-0.1 * one, 0.5 * one, 0.9 * one, 0.8 * one, one) == 0.0  # clean speech is not periodic
    assert exact_strength(0.0 * one, 0.0 * one, 0.0 * one, 0.0 * one, 0.0 * one) == 0.0  # silence


def test_published_strength_is_smaller_than_the_exact_one():
    """Values of the derivation for five taps: q_x = .95 at 5 dB, .9 at 0 dB, .7 at -5 dB."""
    for q_x, snr_db, published, exact in ((0.95, 5, 0.52, 0.675), (0.9, 0, 0.60, 0.84), (0.7, -5, 0.57, 0.91)):
        share = 1 / (1 + 10 ** (-snr_db / 10))
        q_y, s2, w0 = np.array([q_x * np.sqrt(share)]), 0.125, 1 / 6
        d = np.sqrt(q_y**2 + s2 * (1 - q_y**2))
        c = (q_y**2 + w0 * (1 - q_y**2)) / d
        q_p = q_y / np.sqrt((1 - s2) * q_y**2 + s2)
        assert published_strength(np.array([q_x]), q_y, np.array([s2])) == pytest.approx(published, abs=0.02)
        assert exact_strength(np.array([q_x]), q_y, q_p, c, d) == pytest.approx(exact, abs=0.02)


def test_extra_attenuation_is_15_db_at_most():
    assert 20 * np.log10(extra_attenuation(np.ones(1), np.zeros(1))) == pytest.approx(-15.4, abs=0.05)
    assert extra_attenuation(np.full(1, 0.4), np.full(1, 0.8)) == 1.0


def test_targets_belong_to_the_frame_m_before_their_row():
    """A click that only the noisy signal has closes the gains of its own frame, M rows later."""
    clean = noise(0, 100 * HOP_SAMPLES, 0.01)
    noisy = clean.copy()
    noisy[60 * HOP_SAMPLES + 200 : 60 * HOP_SAMPLES + 220] += 0.9
    for lookahead in range(4):
        features, gains, strengths = training_example(clean, noisy, SignalParams(lookahead))
        assert features.shape == (100, 70)
        assert gains.shape == strengths.shape == (100, 34)
        closed = np.flatnonzero(gains[10:].mean(axis=-1) < 0.5) + 10
        assert set(closed) == {60 + lookahead, 61 + lookahead}


def test_clean_input_is_left_alone():
    voice, _ = glide(2, seconds=1.0)
    steps = oracle_steps(voice, voice)
    for audio in (steps.bins, steps.bands, steps.comb, steps.postfilter):
        np.testing.assert_allclose(audio, voice, atol=2e-5)
    assert not steps.strengths.any()


def test_each_step_brings_the_voice_closer():
    """Distance of the magnitudes of harmonics and gaps falls with the comb filter, with either pitch."""
    voice, _ = glide(3, seconds=2.0, low_hz=120, high_hz=300)
    noisy = voice + noise(4, len(voice), 0.05 * 10 ** (-5 / 20))

    def distance(x):
        def spectrogram(s):
            frames = np.lib.stride_tricks.sliding_window_view(s, 4096)[4800::1024]
            return np.log10(np.abs(np.fft.rfft(frames * np.hanning(4096)))[:, 10:500] + 1e-2)

        return np.abs(spectrogram(x) - spectrogram(voice)).mean()

    for pitch in ("clean", "noisy"):
        steps = oracle_steps(voice, noisy, pitch=pitch)
        assert distance(steps.bands) < distance(noisy)
        assert distance(steps.comb) < 0.9 * distance(steps.bands)


def test_audio_has_the_length_and_the_timing_of_the_input():
    clean = np.zeros(4801)
    clean[2400] = 0.5
    steps = oracle_steps(clean, clean)
    assert steps.postfilter.shape == (4801,)
    assert np.abs(steps.postfilter).argmax() == 2400


def test_unequal_lengths_are_refused():
    with pytest.raises(AudioError, match="equal length"):
        oracle_steps(np.zeros(100), np.zeros(101))
