import numpy as np
import pytest

from models import constant_model, random_model
from percepnet.params import HOP_SAMPLES, SignalParams
from percepnet.reference.enhancer import FrameEnhancer
from voices import glide, noise, steady

UNIFORM_48 = tuple(range(0, 480, 10))


def run(enhancer, x):
    hops = [enhancer.process(x[:, i : i + HOP_SAMPLES]) for i in range(0, x.shape[-1], HOP_SAMPLES)]
    return np.concatenate(hops, axis=-1)


def noisy_voice(seconds=1.0, channels=1):
    voice, _ = glide(7, seconds)
    return np.stack([voice + noise(c, len(voice), 0.02) for c in range(channels)]).astype(np.float32)


@pytest.mark.parametrize("lookahead", [0, 1, 2, 3])
@pytest.mark.parametrize("post_filter", [False, True])
def test_unit_gains_only_delay_by_m_plus_1_hops(lookahead, post_filter):
    params = SignalParams(lookahead)
    x = noisy_voice()
    y = run(FrameEnhancer(constant_model(1.0, 0.0, params), post_filter=post_filter), x)
    delay = (lookahead + 1) * HOP_SAMPLES
    assert params.latency_samples == delay
    np.testing.assert_allclose(y[:, :delay], 0.0, atol=1e-6)
    np.testing.assert_allclose(y[:, delay:], x[:, :-delay], atol=1e-6)


def test_measured_delay_of_a_click():
    x = np.zeros((1, 20 * HOP_SAMPLES), dtype=np.float32)
    x[0, 3000] = 0.5
    y = run(FrameEnhancer(constant_model(1.0, 0.0)), x)
    assert np.abs(y[0]).argmax() == 3000 + 3 * HOP_SAMPLES


@pytest.mark.parametrize("edges", [SignalParams().band_edges, UNIFORM_48, (0, 40, 480)])
def test_constant_gain_scales_everything_with_any_band_table(edges):
    params = SignalParams(band_edges=edges)
    x = noisy_voice(0.5)
    y = run(FrameEnhancer(constant_model(0.9, 0.0, params), post_filter=False), x)
    np.testing.assert_allclose(y[:, 1440:], 0.9**0.9375 * x[:, :-1440], atol=1e-6)


def test_zero_gain_is_silence_and_the_limit_keeps_the_dry_signal_aligned():
    x = noisy_voice(0.5)
    closed = constant_model(0.0, 0.0)
    assert np.abs(run(FrameEnhancer(closed), x)).max() < 1e-6
    y = run(FrameEnhancer(closed, attenuation_limit_db=20.0), x)
    np.testing.assert_allclose(y[:, 1440:], 0.1 * x[:, :-1440], atol=1e-6)


def test_comb_filter_takes_noise_from_a_voice_at_equal_level():
    """With full strengths and unit gains the bands keep their level, but the harmonics win."""
    voice = steady(243.7, 2.0, harmonics_to_hz=20_000)
    x = (voice + noise(1, len(voice), 0.1)).astype(np.float32)[None]
    model = constant_model(1.0, 1.0)
    combed = run(FrameEnhancer(model, post_filter=False), x)[0, 1440:]
    plain = run(FrameEnhancer(model, post_filter=False, comb_filter=False), x)[0, 1440:]
    target = voice[: len(combed)]

    def snr_db(y):
        scale = (y * target).sum() / (target * target).sum()
        return 10 * np.log10(((scale * target) ** 2).sum() / ((y - scale * target) ** 2).sum())

    assert snr_db(combed) > snr_db(plain) + 3.0


def test_reset_begins_anew():
    x = noisy_voice(0.3)
    enhancer = FrameEnhancer(random_model())
    first = run(enhancer, x)
    enhancer.reset()
    np.testing.assert_array_equal(run(enhancer, x), first)


def test_silence_stays_silence():
    x = np.zeros((2, 20 * HOP_SAMPLES), dtype=np.float32)
    assert not run(FrameEnhancer(random_model(), channels=2), x).any()


def test_linked_channels_get_one_decision():
    """A voice on the left and a tenth of it on the right stay a tenth apart."""
    left = noisy_voice()
    y = run(FrameEnhancer(random_model(3), channels=2), np.concatenate([left, 0.1 * left]))
    np.testing.assert_allclose(y[1], 0.1 * y[0], atol=1e-6)
    mono = run(FrameEnhancer(random_model(3)), left)
    assert y.shape == (2, mono.shape[-1])


def test_output_is_bounded_and_finite_for_extreme_input():
    rng = np.random.default_rng(0)
    x = np.sign(rng.standard_normal((1, 40 * HOP_SAMPLES))).astype(np.float32)
    for scale in (1e-20, 1.0, 1e4):
        y = run(FrameEnhancer(random_model()), (scale * x).astype(np.float32))
        assert np.isfinite(y).all()
        assert np.abs(y).max() <= 20 * scale
