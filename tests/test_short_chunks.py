"""The quick way of short chunks gives what the other way gives, and refuses what that one refuses."""

import itertools

import numpy as np
import pytest

from models import random_model
from percepnet import Enhancer
from percepnet.errors import AudioError
from percepnet.live_stream import LIVE_ADVICE
from voices import glide

VOICE = (0.5 * glide(4, 0.6)[0]).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return random_model(5)


def played(enhancer, chunks):
    parts = [enhancer.process(chunk) for chunk in chunks]
    return np.concatenate([*parts, enhancer.flush()], axis=-1), parts


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
@pytest.mark.parametrize(
    ("rate_hz", "lengths"), [(48_000, (480,)), (16_000, (160, 1, 639, 640, 641)), (44_100, (0, 77, 900))]
)
def test_it_gives_the_same_to_the_bit(model, monkeypatch, dtype, rate_hz, lengths):
    voice = VOICE if dtype == np.float32 else np.int16(32767 * VOICE)
    starts = np.cumsum([0, *lengths * 3])
    chunks = [voice[start:end] for start, end in itertools.pairwise(starts)]
    quick = Enhancer(rate_hz, model=model)
    whole, parts = played(quick, chunks)
    slow = Enhancer(rate_hz, model=model)
    monkeypatch.setattr(slow, "_short", None)
    expected, others = played(slow, chunks)
    np.testing.assert_array_equal(whole, expected)
    assert [(part.dtype, part.shape) for part in parts] == [(part.dtype, part.shape) for part in others]
    again = quick.process(chunks[0])
    assert not any(np.shares_memory(again, part) for part in parts)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -101.0])
def test_what_is_no_sound_is_refused_where_it_is_and_forgotten(model, wrong):
    chunks = [VOICE[start : start + 480] for start in range(0, 4800, 480)]
    expected, _ = played(Enhancer(model=model), chunks)
    enhancer = Enhancer(model=model)
    parts = [enhancer.process(chunk) for chunk in chunks[:5]]
    broken = chunks[5].copy()
    broken[100] = wrong
    with pytest.raises(AudioError, match=r"at 0\.052083 s") as refusal:
        enhancer.process(broken)
    assert np.isfinite(wrong) or LIVE_ADVICE in str(refusal.value)
    parts += [enhancer.process(chunk) for chunk in chunks[5:]]
    np.testing.assert_array_equal(np.concatenate([*parts, enhancer.flush()]), expected)


def test_what_is_no_sound_is_silence_where_that_is_wanted(model, monkeypatch):
    chunks = [VOICE[start : start + 480].copy() for start in range(0, 4800, 480)]
    chunks[5][100], chunks[7][0] = np.nan, 1e5
    quick, slow = (Enhancer(model=model, invalid="silence") for _ in range(2))
    found, _ = played(quick, chunks)
    monkeypatch.setattr(slow, "_short", None)
    expected, _ = played(slow, chunks)
    np.testing.assert_array_equal(found, expected)
    assert np.isfinite(found).all()
    for enhancer in (quick, slow):
        for chunk in chunks:
            enhancer.process(chunk)
    assert quick.refused_hops == slow.refused_hops == 2


def test_settings_that_change_are_heard_from_the_next_chunk_on(model):
    chunks = [VOICE[start : start + 480] for start in range(0, 19_200, 480)]
    enhancer = Enhancer(model=model)
    for chunk in chunks[:10]:
        enhancer.process(chunk)
    enhancer.bypass = True
    late = np.concatenate([enhancer.process(chunk) for chunk in chunks[10:20]])
    np.testing.assert_array_equal(late[960:], VOICE[4800 + 960 - 1440 : 9600 - 1440])  # 30 ms late, after a crossfade
    enhancer.bypass = False
    enhancer.attenuation_limit_db = 0
    limited = np.concatenate([enhancer.process(chunk) for chunk in chunks[20:]])
    np.testing.assert_allclose(limited[1440:], VOICE[9600 : 19_200 - 1440], atol=2e-3)


def test_arrays_of_other_kinds_give_the_same(model):
    chunks = [VOICE[start : start + 480] for start in range(0, 4800, 480)]
    expected, _ = played(Enhancer(model=model), chunks)
    strided = [np.repeat(chunk, 2)[::2] for chunk in chunks]
    doubles = [chunk.astype(np.float64) for chunk in chunks]
    rows = [chunk[None] for chunk in chunks]
    for others in (strided, doubles, rows, [list(map(float, chunk)) for chunk in chunks]):
        found, _ = played(Enhancer(model=model), others)
        np.testing.assert_array_equal(np.ravel(np.float32(found)), expected)
