"""The definition of a stream, over systems whose output theory knows: a pure delay, at full and at half the level."""

from itertools import pairwise

import numpy as np
import pytest

from identity_system import IdentityFrameEnhancer, IdentityModel
from models import random_model
from percepnet.errors import AudioError
from percepnet.reference.stream import Stream

RATES_HZ = [8000, 11025, 16000, 44100, 44101, 48000, 96000, 192000]


class HalfFrameEnhancer(IdentityFrameEnhancer):
    def process(self, hops):
        return np.float32(0.5) * super().process(hops)


def noise(*shape):
    return np.random.default_rng(shape[-1]).uniform(-0.5, 0.5, shape).astype(np.float32)


def stream_of(*arguments, made_by=IdentityFrameEnhancer, **settings):
    return Stream(IdentityModel(), *arguments, frame_enhancer=made_by, **settings)


def run(stream, x, sizes=()):
    cuts = np.minimum(np.cumsum([0, *sizes]), x.shape[1])
    parts = [stream.process(x[:, start:end]) for start, end in pairwise([*cuts, x.shape[1]])]
    return np.concatenate([*parts, stream.flush(x.dtype)], axis=1)


def late(x, samples):
    return np.pad(x, [(0, 0), (samples, 0)])


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("link_channels", [False, True])
def test_bypass_is_the_delayed_input_to_the_bit(rate_hz, link_channels):
    x = noise(2, rate_hz // 7)
    stream = stream_of(rate_hz, 2, made_by=HalfFrameEnhancer, link_channels=link_channels, bypass=True)
    for sizes in ([], [1, 0, 333, rate_hz // 100], [7] * 99):
        np.testing.assert_array_equal(run(stream, x, sizes), late(x, stream.latency_samples))


def test_a_change_to_bypass_and_back_fades_over_one_hop():
    x = np.ones((1, 480 * 20), np.float32)
    stream = stream_of(made_by=HalfFrameEnhancer)
    parts = [stream.process(x[:, :4800])]
    stream.bypass = True
    parts.append(stream.process(x[:, 4800:5000]))  # not yet a hop
    parts.append(stream.process(x[:, 5000:7200]))
    stream.bypass = False
    y = np.concatenate([*parts, stream.process(x[:, 7200:])], axis=1)[0]
    np.testing.assert_array_equal(y[1440:4800], 0.5)
    np.testing.assert_allclose(y[4800:5280], 0.5 + np.arange(1, 481) / 960, atol=1e-6)
    np.testing.assert_array_equal(y[5280:7200], 1)
    np.testing.assert_allclose(y[7200:7680], 1 - np.arange(1, 481) / 960, atol=1e-6)
    np.testing.assert_array_equal(y[7680:], 0.5)


def test_bypass_leaves_no_trace():
    """Everything goes on running behind it."""
    x = noise(1, 16000)
    model = random_model()
    expected = run(Stream(model, 16000), x)
    stream = Stream(model, 16000)
    parts = [stream.process(x[:, :4000])]
    stream.bypass = True
    parts.append(stream.process(x[:, 4000:8000]))
    stream.bypass = False
    found = np.concatenate([*parts, stream.process(x[:, 8000:]), stream.flush()], axis=1)
    np.testing.assert_array_equal(found[:, :4000], expected[:, :4000])
    np.testing.assert_array_equal(found[:, 8160:], expected[:, 8160:])
    np.testing.assert_array_equal(found[:, 4160:8000], late(x, stream.latency_samples)[:, 4160:8000])


def test_bypass_from_the_beginning_fades_from_nothing():
    x = noise(1, 2000)
    stream = stream_of(made_by=HalfFrameEnhancer)
    stream.process(x[:, :0])
    stream.bypass = True
    stream._frame_enhancers[0].line = [np.ones((1, 480), np.float32)] * 3
    np.testing.assert_array_equal(run(stream, x), late(x, 1440))


def test_bypass_stays_over_flush_and_reset():
    x = noise(1, 5000)
    stream = stream_of(made_by=HalfFrameEnhancer)
    stream.process(x)
    stream.bypass = True
    stream.reset()
    np.testing.assert_array_equal(run(stream, x), late(x, 1440))
    np.testing.assert_array_equal(run(stream, x), late(x, 1440))


def test_limit_can_change_while_it_runs():
    x = noise(1, 480 * 60)
    model = random_model(1)
    none, limited = (run(Stream(model, attenuation_limit_db=limit), x) for limit in (None, 6.0))
    stream = Stream(model)
    first = stream.process(x[:, : 480 * 30])
    stream.attenuation_limit_db = 6.0
    found = np.concatenate([first, stream.process(x[:, 480 * 30 :]), stream.flush()], axis=1)
    np.testing.assert_array_equal(found[:, : 480 * 30], none[:, : 480 * 30])
    np.testing.assert_array_equal(found[:, 480 * 31 :], limited[:, 480 * 31 :])
    assert stream.attenuation_limit_db == 6.0
    jumps = np.abs(found[:, 480 * 30 : 480 * 31] - none[:, 480 * 30 : 480 * 31])
    assert jumps[0, 0] < 0.02 * np.abs(limited - none).max()  # goes over with the window, and does not jump


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.1e4])
@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_a_hop_that_is_no_audio_is_silence(bad, rate_hz):
    x = noise(1, rate_hz // 2)
    start, end = (-(-hop * rate_hz // 100) for hop in (20, 21))
    damaged, silenced = x.copy(), x.copy()
    damaged[0, start + 3] = bad
    silenced[0, start:end] = 0
    stream = stream_of(rate_hz)
    expected = run(stream, silenced)
    first = stream.process(damaged)
    assert stream.refused_hops == 1
    np.testing.assert_array_equal(np.concatenate([first, stream.flush()], axis=1), expected)
    assert stream.refused_hops == 0
    stream.bypass = True
    stream.reset()
    damaged_to_zero = np.where(np.abs(x - damaged) > 0, 0, x)
    damaged_to_zero[0, start + 3] = 0
    np.testing.assert_array_equal(run(stream, damaged), late(damaged_to_zero, stream.latency_samples))


def test_ten_thousand_is_audio_still():
    stream = stream_of()
    y = run(stream, np.full((1, 480), 1e4, np.float32))
    np.testing.assert_array_equal(y[0, 1440:], 1e4)


def test_unlinked_channels_are_silenced_and_counted_each_by_itself():
    x = noise(3, 4800)
    x[1, 2000] = np.nan
    linked, unlinked = (stream_of(48000, 3, link_channels=link) for link in (True, False))
    found, apart = linked.process(x), unlinked.process(x)
    assert (linked.refused_hops, unlinked.refused_hops) == (1, 1)
    assert not found[:, 1920 + 1440 : 2400 + 1440].any()
    assert not apart[1, 1920 + 1440 : 2400 + 1440].any()
    np.testing.assert_array_equal(apart[[0, 2]], late(x, 1440)[[0, 2], :4800])
    unlinked.process(np.full((3, 480), np.inf, np.float32))
    assert unlinked.refused_hops == 4


@pytest.mark.parametrize(
    ("rate_hz", "block", "reserve"),
    [
        *[(48000, 480, 0), (48000, 960, 0), (48000, 128, 448), (48000, 1, 479), (16000, 320, 0), (8000, 64, 64)],
        *[(44100, 1, 440), (44100, 441, 0), (11025, 1, 110), (11025, 441, 0), (44101, 1, 441), (44101, 512, 441)],
    ],
)
def test_blocks_give_back_what_they_take_with_the_least_delay(rate_hz, block, reserve):
    x = noise(1, 400 * block)
    plain, stream = stream_of(rate_hz), stream_of(rate_hz, block_samples=block)
    assert stream.latency_samples == plain.latency_samples + reserve
    parts = [stream.process(part) for part in np.split(x, np.arange(block, x.shape[1], block), axis=1)]
    assert {part.shape for part in parts} == {(1, block)}
    found = np.concatenate([*parts, stream.flush()], axis=1)
    np.testing.assert_array_equal(found, late(run(plain, x), reserve))


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("block", [1, 100, 160, 441])
def test_less_delay_would_not_do(rate_hz, block):
    """Over a second of blocks, the fullest moment needs all of the reserve."""
    stream = stream_of(rate_hz, block_samples=block)
    ends = np.arange(rate_hz + 1) * block
    started = -(-(ends * 100 // rate_hz) * rate_hz // 100)
    assert (ends - started).max() == stream.latency_samples - stream_of(rate_hz).latency_samples


def test_blocks_take_nothing_else():
    stream = stream_of(block_samples=64)
    with pytest.raises(AudioError, match="a chunk of 65 samples: give a multiple of 64"):
        stream.process(noise(1, 65))
    x = noise(1, 6400)
    np.testing.assert_array_equal(run(stream, x), late(x, stream.latency_samples))


def test_int16_is_rounded_to_the_nearest_halves_to_even_and_clamped():
    x = np.array([[1, 3, 5, -1, -3, 32767, -32768, 2]], np.int16)
    y = run(stream_of(made_by=HalfFrameEnhancer), x)[0, 1440:]
    assert y.dtype == np.int16
    assert y.tolist() == [0, 2, 2, 0, -2, 16384, -16384, 1]

    class Doubled(IdentityFrameEnhancer):
        def process(self, hops):
            return np.float32(2) * super().process(hops)

    assert run(stream_of(made_by=Doubled), x)[0, 1440:].tolist() == [2, 6, 10, -2, -6, 32767, -32768, 4]
    np.testing.assert_array_equal(run(stream_of(made_by=Doubled, bypass=True), x)[0, 1440:], x[0])


def test_speech_probability_is_the_largest_of_those_that_say():
    stream = stream_of(48000, 3, link_channels=False)
    assert stream.speech_probability is None
    for inside, probability in zip(stream._frame_enhancers, (0.2, None, 0.7), strict=True):
        inside.speech_probability = probability
    assert stream.speech_probability == 0.7
