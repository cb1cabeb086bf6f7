import numpy as np
import pytest

from percepnet.params import HOP_SAMPLES, SignalParams
from percepnet.reference import stft
from percepnet.reference.analysis import Analysis
from voices import glide, noise, steady


def noisy_voice(seconds=1.5):
    voice, _ = glide(1, seconds)
    return (voice + noise(2, len(voice), 0.02)).astype(np.float32)[None]


@pytest.mark.parametrize("lookahead", [0, 1, 2, 3])
def test_hop_by_hop_equals_all_at_once(lookahead):
    """The code that runs live makes the training features."""
    x = noisy_voice()
    whole = Analysis(SignalParams(lookahead)).push(x)
    live = Analysis(SignalParams(lookahead))
    steps = [live.push(x[:, i : i + HOP_SAMPLES]) for i in range(0, x.shape[-1], HOP_SAMPLES)]
    for field, together in zip(whole._fields, whole, strict=True):
        apart = np.concatenate([getattr(step, field) for step in steps])
        np.testing.assert_allclose(apart, together, rtol=1e-3, atol=1e-3, err_msg=field)


@pytest.mark.parametrize("lookahead", [0, 1, 2, 3])
def test_decided_frame_is_the_lookahead_before_the_newest(lookahead):
    x = noisy_voice()
    frames = Analysis(SignalParams(lookahead)).push(x)
    expected = stft.analysis(stft.frames(np.pad(x[0], (HOP_SAMPLES, 0))))
    count = len(expected) - lookahead
    np.testing.assert_allclose(frames.noisy[lookahead:, 0], expected[:count], atol=1e-4)


def test_comb_filter_finds_and_keeps_a_voice():
    """Of a voice in noise at 10 dB, the comb filter takes noise out and leaves the voice."""
    voice = steady(301.7, seconds=1.0).astype(np.float32)
    disturbance = noise(3, len(voice), 0.1 * 10 ** (-10 / 20)).astype(np.float32)
    params = SignalParams()
    found = Analysis(params).push((voice + disturbance)[None])
    kept = Analysis(params).push(voice[None], found.tap_delays)
    left = Analysis(params).push(disturbance[None], found.tap_delays)
    rows = slice(30, None)

    def gain_db(frames):
        return 10 * np.log10((np.abs(frames.comb[rows]) ** 2).sum() / (np.abs(frames.noisy[rows]) ** 2).sum())

    assert gain_db(kept) > -0.3
    assert gain_db(left) < -7.0


def test_reset_forgets_everything():
    x = noisy_voice(0.5)
    analysis = Analysis(SignalParams())
    first = analysis.push(x)
    analysis.reset()
    again = analysis.push(x)
    for field, a, b in zip(first._fields, first, again, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=field)


def test_two_equal_channels_are_one():
    x = noisy_voice(0.5)
    mono = Analysis(SignalParams()).push(x)
    stereo = Analysis(SignalParams(), channels=2).push(np.concatenate([x, x]))
    np.testing.assert_allclose(stereo.features, mono.features, atol=1e-4)
    np.testing.assert_allclose(stereo.comb[:, 1], mono.comb[:, 0], atol=1e-4)


def test_opposite_channels_do_not_cancel():
    x = noisy_voice(0.5)
    mono = Analysis(SignalParams()).push(x)
    opposite = Analysis(SignalParams(), channels=2).push(np.concatenate([x, -x]))
    np.testing.assert_allclose(opposite.features, mono.features, atol=1e-4)


def test_silence_is_finite_and_stays_silent():
    frames = Analysis(SignalParams()).push(np.zeros((1, 4800), dtype=np.float32))
    assert all(np.isfinite(values).all() for values in frames)
    assert not frames.noisy.any()
    assert not frames.comb.any()
