"""The echo canceller: the definition, the C core that executes it, and what both do to an echo."""

import numpy as np
import pytest

from echoes import echo, reduction_db, si_sdr_db, speech
from percepnet import native, native_echo
from percepnet.errors import AudioError, PercepNetError
from percepnet.params import HOP_SAMPLES
from percepnet.reference.echo import EchoCanceller
from percepnet.reference.echo_delay import DelayFinder
from percepnet.reference.echo_emphasis import Deemphasis, Emphasis
from percepnet.reference.echo_filter import BLOCKS, IN_FILTER, RANGES, EchoFilter
from percepnet.reference.echo_past import DELAY_BLOCKS_MAX, Past
from voices import RATE_HZ, noise

TALKER, OTHER = "sea_female", "helicopter_male"


def hops_of(x):
    return np.split(x, range(HOP_SAMPLES, x.shape[-1], HOP_SAMPLES), axis=-1)


def test_deemphasis_is_the_way_back():
    x = noise(0, RATE_HZ, 0.1)[None].astype(np.float32)
    there, back = Emphasis(1), Deemphasis(1)
    y = np.concatenate([back.push(there.push(hop)) for hop in hops_of(x)], axis=1)
    error = np.abs(np.fft.rfft(y - x)) / np.abs(np.fft.rfft(x))
    hz = np.fft.rfftfreq(x.shape[1], 1 / RATE_HZ)
    assert np.median(error[0, (hz > 100) & (hz < 200)]) < 0.03
    assert np.median(error[0, hz > 1000]) < 0.01


def test_an_offset_is_no_step():
    offset = np.full((2, HOP_SAMPLES), 0.2, np.float32)
    emphasis = Emphasis(2)
    emphasis.begin(offset)
    np.testing.assert_allclose(emphasis.push(offset), 0, atol=1e-7)


def test_what_was_played_is_remembered_in_16_bits():
    past, hops = Past(), hops_of(noise(0, (DELAY_BLOCKS_MAX + 2) * HOP_SAMPLES, 0.1).astype(np.float32))
    for level, hop in enumerate(hops):
        past.push(np.float32(10.0 ** (-level / 10)) * hop)
    for back in (0, 7, DELAY_BLOCKS_MAX):
        newest = len(hops) - 1 - back
        wanted = np.float32(10.0 ** (-newest / 10)) * hops[newest]
        error = past.read(back)[HOP_SAMPLES:] - wanted
        assert np.sqrt(np.mean(error**2)) < 1e-4 * np.sqrt(np.mean(wanted**2))
    past.push(np.zeros(HOP_SAMPLES, np.float32))
    assert not past.read(0)[HOP_SAMPLES:].any()
    past.forget()
    assert not past.read(DELAY_BLOCKS_MAX).any()


@pytest.mark.parametrize("delay_ms", [0, 120, 380, 490])
def test_the_delay_is_found(delay_ms):
    far = speech(TALKER, 3.0)
    near = echo(far, delay_ms=delay_ms) + noise(1, len(far), 0.002).astype(np.float32)
    finder, found = DelayFinder(), None
    for near_hop, far_hop in zip(hops_of(near), hops_of(far), strict=True):
        now = finder.push(near_hop, far_hop)
        found = found if now is None else now
    assert found is not None
    assert abs(found / 48 - delay_ms) < 3


def test_no_delay_is_found_in_other_speech():
    finder = DelayFinder()
    pairs = zip(hops_of(speech(OTHER, 3.0)), hops_of(speech(TALKER, 3.0)), strict=True)
    assert all(finder.push(near, far) is None for near, far in pairs)


def test_a_filter_moves_with_the_delay():
    path = EchoFilter()
    path.background[3] = IN_FILTER[3]
    path.shift(2)
    assert np.flatnonzero(path.background.any(axis=1)).tolist() == [1]
    path.shift(-4)
    assert np.flatnonzero(path.background.any(axis=1)).tolist() == [5]
    path.shift(BLOCKS)
    assert not path.background.any()


@pytest.mark.parametrize("blocks", [1, 5, -1, -5, BLOCKS - 1])
def test_each_range_of_bins_moves_by_itself(blocks):
    path = EchoFilter()
    path.background[:] = IN_FILTER * np.arange(1, BLOCKS + 1)[:, None]
    path.shift(blocks)
    assert not path.background[~IN_FILTER].any()
    for start, end, count in RANGES:
        moved = np.arange(1, count + 1) + blocks
        expected = np.where((moved >= 1) & (moved <= count), moved, 0)
        assert (path.background[:count, start:end] == expected[:, None]).all()


def test_definition_without_a_far_end_changes_nothing():
    near = speech(OTHER, 0.5)[None]
    assert EchoCanceller().process(near, np.zeros_like(near[0])).tobytes() == near.tobytes()
    assert EchoCanceller().process(near[:, :0], near[0, :0]).shape == (1, 0)


@pytest.mark.parametrize("delay_ms", [0, 120])
def test_core_is_the_definition(core, delay_ms):
    far = speech(TALKER, 2.5)
    near = np.stack([echo(far, seed, delay_ms) for seed in (1, 2)]) + 0.3 * speech(OTHER, 2.5)
    expected, found = EchoCanceller(2), native_echo.EchoCanceller(2)
    y, z = expected.process(near, far), found.process(near, far)
    assert found.delay_blocks == expected.delay_blocks == (11 if delay_ms else 0)
    error = np.sqrt(np.mean((y - z) ** 2)) / np.sqrt(np.mean(y**2))
    assert error < 1e-4


def test_chunks_and_instruction_sets_change_no_bit(core):
    far = speech(TALKER, 3.0)
    near = np.stack([echo(far, 1, 120), echo(far, 2, 120)]) + 0.5 * speech(OTHER, 3.0)
    whole = native_echo.EchoCanceller(2).process(near, far)
    for kernel in native.kernels():
        canceller, parts, start = native_echo.EchoCanceller(2, kernel=kernel), [], 0
        while start < len(far):
            end = start + HOP_SAMPLES * (1 + start % 7)
            parts.append(canceller.process(near[:, start:end], far[start:end]))
            start = end
        assert np.concatenate(parts, axis=1).tobytes() == whole.tobytes()


def test_a_reset_forgets_the_room(core):
    far = speech(TALKER, 2.0)
    near = echo(far)[None]
    canceller = native_echo.EchoCanceller()
    first = canceller.process(near, far)
    assert canceller.process(near, far).tobytes() != first.tobytes()
    canceller.reset()
    assert canceller.process(near, far).tobytes() == first.tobytes()


@pytest.mark.parametrize("delay_ms", [0, 120, 380])
def test_an_echo_on_a_linear_path_goes_away(core, delay_ms):
    far = speech(TALKER, 14.0)
    near = echo(far, delay_ms=delay_ms)
    y = native_echo.EchoCanceller().process(near[None], far)[0]
    assert reduction_db(near, y, 3, 5) > 18
    assert reduction_db(near, y, 10, 14) > 26


def test_it_follows_a_path_that_changes(core):
    far = speech(TALKER, 14.0)
    near = np.where(np.arange(len(far)) < 7 * RATE_HZ, echo(far, 1), echo(far, 5))
    y = native_echo.EchoCanceller().process(near[None], far)[0]
    assert reduction_db(near, y, 10, 14) > 18


def test_a_talker_nearby_is_kept(core):
    far, talker = speech(TALKER, 14.0), speech(OTHER, 14.0).copy()
    talker[: 5 * RATE_HZ] = 0
    near = echo(far) + talker
    y = native_echo.EchoCanceller().process(near[None], far)[0]
    late = slice(6 * RATE_HZ, None)
    assert si_sdr_db(talker[late], y[late]) > 18 + si_sdr_db(talker[late], near[late])


@pytest.mark.parametrize("ppm", [-100, 100])
def test_clocks_that_drift_do_no_harm(core, ppm):
    far = speech(TALKER, 20.0)
    heard = echo(far, delay_ms=60)
    near = np.interp(np.arange(len(far)) * (1 + ppm * 1e-6), np.arange(len(far)), heard).astype(np.float32)
    y = native_echo.EchoCanceller().process(near[None], far)[0]
    assert reduction_db(near, y, 3, 20) > 3


FAR_ENDS = {
    "of somebody else": lambda far: speech("rain_kitchen_male", 6.0),
    "much quieter": lambda far: far * np.float32(0.003),
    "much louder": lambda far: far * np.float32(100),
    "clipped": lambda far: np.clip(far, -0.02, 0.02),
    "noise": lambda far: noise(3, len(far), 0.1).astype(np.float32),
    "a click": lambda far: np.where(np.arange(len(far)) == 5000, np.float32(1), np.float32(0)),
}


@pytest.mark.parametrize("name", FAR_ENDS)
def test_no_far_end_makes_it_worse(core, name):
    far, talker = speech(TALKER, 6.0), speech(OTHER, 6.0)
    near = talker + echo(far, gain=0.1)
    y = native_echo.EchoCanceller().process(near[None], FAR_ENDS[name](far).astype(np.float32))[0]
    assert np.isfinite(y).all()
    assert si_sdr_db(talker, y) > si_sdr_db(talker, near) - 0.5


def test_the_microphone_as_far_end_is_none(core):
    near = np.stack([speech(TALKER, 1.0)] * 2)
    assert native_echo.EchoCanceller(2).process(near, near[0]).tobytes() == near.tobytes()
    assert EchoCanceller(2).process(near, near[0]).tobytes() == near.tobytes()


def test_minutes_without_a_far_end_are_left_as_they_are(core):
    far, talker = speech(TALKER, 16.0).copy(), speech(OTHER, 16.0).copy()
    far[6 * RATE_HZ : 12 * RATE_HZ] = 0
    talker[: 7 * RATE_HZ] = talker[12 * RATE_HZ :] = 0
    near = echo(far) + talker
    y = native_echo.EchoCanceller().process(near[None], far)[0]
    quiet = slice(9 * RATE_HZ, 12 * RATE_HZ)
    assert y[quiet].tobytes() == near[quiet].tobytes()
    assert reduction_db(near, y, 12.5, 16) > 20  # the room is remembered


def test_what_cannot_be_is_said(core):
    with pytest.raises(PercepNetError, match="channels is 0: give 1 to 1024"):
        native_echo.EchoCanceller(0)
    with pytest.raises(PercepNetError, match="kernel"):
        native_echo.EchoCanceller(1, kernel="abacus")
    with pytest.raises(AudioError, match=r"give \(1, n\) and \(n,\)"):
        native_echo.EchoCanceller(1).process(np.zeros((1, 480), np.float32), np.zeros(481, np.float32))
