"""One contract for everything that enhances a live stream: an Enhancer of either engine, and a stream of a Batch."""

import copy
import pickle
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import percepnet
from models import random_model
from percepnet import AudioError, Batch, Enhancer, ModelError, PercepNetError, native
from percepnet.engine import CORE, NUMPY

MODEL = random_model(2)
KINDS = ["enhancer on the core", "enhancer on NumPy", "stream of a batch"]


def make(kind, *arguments, **settings):
    if kind == "enhancer on NumPy":
        return Enhancer(*arguments, model=MODEL, engine=NUMPY, **settings)
    try:
        native.library()
    except native.CoreMissing as missing:
        pytest.skip(str(missing))
    if kind == "enhancer on the core":
        return Enhancer(*arguments, model=MODEL, engine=CORE, **settings)
    return Batch(MODEL).add(*arguments, **settings)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def noise(*shape):
    return np.random.default_rng(shape[-1]).uniform(-0.3, 0.3, shape).astype(np.float32)


def played(processor, x, size=None):
    size = size or max(1, x.shape[-1])
    starts = range(0, max(1, x.shape[-1]), size)  # nothing is a chunk too
    parts = [processor.process(x[..., start : start + size]) for start in starts]
    return np.concatenate([*parts, processor.flush()], axis=-1)


def late(x, processor):
    return np.concatenate([np.zeros((*x.shape[:-1], processor.latency_samples), x.dtype), x], axis=-1)


def test_is_a_processor(kind):
    processor = make(kind, 16000)
    assert isinstance(processor, percepnet.Processor)
    assert processor.inputs == ("near",)
    assert (processor.sample_rate, processor.channels, processor.latency_samples) == (16000, 1, 694)
    assert processor.model is MODEL


@pytest.mark.parametrize("rate_hz", [8000, 44101, 48000])
def test_as_long_as_the_input_and_the_delay_and_the_same_for_every_chunking(kind, rate_hz):
    x = noise(2, rate_hz // 5 + 3)
    processor = make(kind, rate_hz, 2, link_channels=False)
    whole = played(processor, x)
    assert whole.shape == (2, x.shape[1] + processor.latency_samples)
    for size in (rate_hz // 50, 333):
        np.testing.assert_array_equal(played(processor, x, size), whole)
    processor.process(x[:, :777])
    processor.reset()
    np.testing.assert_array_equal(played(processor, x), whole)


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
@settings(max_examples=25, deadline=None)
@given(
    rate_hz=st.integers(8000, 192_000),
    shape=st.tuples(st.integers(1, 3), st.integers(0, 6000)),
    link_channels=st.booleans(),
    sizes=st.lists(st.integers(0, 2500), max_size=8),
)
def test_any_rate_and_any_chunking(kind, rate_hz, shape, link_channels, sizes):
    x = noise(*shape)
    processor = make(kind, rate_hz, shape[0], link_channels=link_channels)
    whole = played(processor, x)
    assert whole.shape[1] == shape[1] + processor.latency_samples
    parts = [processor.process(part) for part in np.split(x, np.minimum(np.cumsum(sizes), shape[1]), axis=1)]
    given_back = sum(part.shape[1] for part in parts)
    assert given_back == -(-(shape[1] * 100 // rate_hz) * rate_hz // 100)
    np.testing.assert_array_equal(np.concatenate([*parts, processor.flush()], axis=1), whole)
    processor.bypass = True
    np.testing.assert_array_equal(played(processor, x), late(x, processor))


@pytest.mark.parametrize("shape", [(1000,), (1, 1000), (2, 1000)])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "f8", "f2", "<i2", ">i2"])
def test_dtype_and_axes_come_back(kind, shape, dtype):
    processor = make(kind, 16000, 1 if len(shape) == 1 else shape[0])
    x = (noise(*shape) * (32768 if "i" in dtype else 1)).astype(dtype)
    for y in (processor.process(x), processor.flush()):
        assert y.dtype == x.dtype
        assert y.ndim == x.ndim


@pytest.mark.parametrize("rate_hz", [16000, 44100, 48000])
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_bypass_is_the_input_to_the_bit(kind, rate_hz, dtype):
    x = noise(2, rate_hz // 5)
    x = (32768 * x).astype(np.int16) if dtype == np.int16 else x
    processor = make(kind, rate_hz, 2)
    processor.bypass = True
    assert processor.bypass
    np.testing.assert_array_equal(played(processor, x, 333), late(x, processor))


def test_bypass_and_limit_change_while_it_runs_without_a_click(kind):
    t = np.arange(48000) / 48000
    x = (0.2 * np.sin(2 * np.pi * 100 * t)).astype(np.float32)
    processor = make(kind)
    plain = played(processor, x)
    parts = []
    for start in range(0, 48000, 4800):
        if start == 9600:
            processor.bypass = True
        if start == 19200:
            processor.bypass = False
        if start == 28800:
            processor.attenuation_limit_db = 3
        parts.append(processor.process(x[start : start + 4800]))
    assert processor.attenuation_limit_db == 3.0
    y = np.concatenate(parts)
    np.testing.assert_array_equal(y[:9600], plain[:9600])
    np.testing.assert_array_equal(y[10080:19200], late(x, processor)[10080:19200])
    np.testing.assert_array_equal(y[19680:28800], plain[19680:28800])
    assert (y[29760:] != plain[29760:48000]).any()
    for change in (9600, 19200, 28800):
        around = slice(change - 1, change + 960)
        steepest = max(np.abs(np.diff(plain)).max(), np.abs(np.diff(x)).max())
        assert np.abs(np.diff(y[around])).max() < steepest + 0.2 / 240
    processor.attenuation_limit_db = None
    processor.reset()
    np.testing.assert_array_equal(played(processor, x), plain)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 101.0])
def test_invalid_samples_are_refused_with_their_position_and_leave_the_stream_as_it_was(kind, bad):
    x = noise(4000)
    processor = make(kind, 16000)
    expected = played(processor, x)
    parts = [processor.process(x[:2000])]
    damaged = x[2000:].copy()
    damaged[400] = bad
    with pytest.raises(AudioError, match=r"at 0\.150000 s"):
        processor.process(damaged)
    np.testing.assert_array_equal(np.concatenate([*parts, processor.process(x[2000:]), processor.flush()]), expected)


@pytest.mark.parametrize("bad", [np.nan, -np.inf, 2e4])
def test_invalid_samples_can_be_silence(kind, bad):
    x = noise(2, 4000)
    damaged, silenced = x.copy(), x.copy()
    damaged[1, 1700] = bad
    silenced[1, 1600:1760] = 0
    processor = make(kind, 16000, 2, link_channels=False, invalid="silence")
    expected = played(processor, silenced)
    parts = [processor.process(damaged)]
    assert processor.refused_hops == 1
    np.testing.assert_array_equal(np.concatenate([*parts, processor.flush()], axis=1), expected)
    assert processor.refused_hops == 0


def test_a_model_without_it_says_no_speech_probability(kind):
    processor = make(kind)
    assert processor.speech_probability is None
    processor.process(noise(4800))
    assert processor.speech_probability is None


def test_inputs_that_the_model_does_not_have_are_named(kind):
    x = noise(480)
    processor = make(kind)
    with pytest.raises(PercepNetError, match=r"the model has no input 'voice': its inputs are near"):
        processor.process(x, {"voice": x})
    with pytest.raises(PercepNetError, match=r"'near' is the chunk itself"):
        processor.process(x, {"near": x})
    with pytest.raises(PercepNetError, match=r"inputs are a str: give an array of the far end, or a dictionary"):
        processor.process(x, "far")
    for far in (x, {"far": x}):
        with pytest.raises(PercepNetError, match=r"has no far end: make it with far_end=True"):
            processor.process(x, far)
    np.testing.assert_array_equal(processor.process(x, {}), make(kind).process(x))


@pytest.mark.parametrize(
    "chunk",
    [
        *[None, "noise", 0.5, [[0.0], [0.0, 1.0]], {"x": 1}, np.array([None])],
        *[np.zeros((2, 480)), np.zeros((1, 1, 480)), np.zeros((480, 1))],
        *[np.zeros(480, np.int32), np.zeros(480, complex), np.zeros(480, bool)],
    ],
    ids=str,
)
def test_what_is_no_chunk_is_one_line(kind, chunk):
    processor = make(kind)
    with pytest.raises(AudioError) as caught:
        processor.process(chunk)
    assert "\n" not in str(caught.value)
    assert "give" in str(caught.value) or "transpose" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sample_rate": 7999}, "sample rate in Hz is 7999: it must be 8000 to 192000"),
        ({"sample_rate": "48000"}, "sample rate in Hz is '48000': give a whole number"),
        ({"sample_rate": None}, "sample rate in Hz is None: give a whole number"),
        ({"channels": 1.0}, "number of channels is 1.0: give a whole number"),
        ({"channels": 1025}, "number of channels is 1025: it must be 1 to 1024"),
        ({"attenuation_limit_db": "6"}, "attenuation limit is '6': give a number of dB, 0 or more, or None"),
        ({"attenuation_limit_db": -1}, "attenuation limit is -1 dB: it must be 0 or more, or None"),
        ({"attenuation_limit_db": np.nan}, "attenuation limit is nan dB: it must be 0 or more, or None"),
        ({"attenuation_limit_db": True}, "attenuation limit is True: give a number"),
        ({"attenuation_limit_db": [6]}, r"attenuation limit is \[6\]: give a number"),
        ({"comb_filter": 1}, "comb_filter is 1: give True or False"),
        ({"post_filter": "no"}, "post_filter is 'no': give True or False"),
        ({"link_channels": None}, "link_channels is None: give True or False"),
        ({"invalid": "ignore"}, "invalid is 'ignore': give 'raise' or 'silence'"),
        ({"invalid": ["raise"]}, r"invalid is \['raise'\]: give 'raise' or 'silence'"),
    ],
)
def test_settings_that_cannot_be_are_one_line(kind, settings, message):
    with pytest.raises(PercepNetError, match=message):
        make(kind, **settings)


def test_settings_of_other_number_types_are_taken(kind):
    processor = make(
        kind, np.int64(16000), np.uint8(2), comb_filter=np.bool_(False), attenuation_limit_db=np.float32(6)
    )
    assert (processor.sample_rate, processor.channels, processor.attenuation_limit_db) == (16000, 2, 6.0)
    processor.attenuation_limit_db = np.int16(9)
    assert processor.attenuation_limit_db == 9.0
    processor.attenuation_limit_db = np.inf
    assert processor.attenuation_limit_db is None


def test_settings_that_change_are_checked_too(kind):
    processor = make(kind)
    for limit in ("6", -1, np.nan):
        with pytest.raises(PercepNetError, match="attenuation limit is"):
            processor.attenuation_limit_db = limit
    with pytest.raises(PercepNetError, match="bypass is 1: give True or False"):
        processor.bypass = 1
    assert processor.attenuation_limit_db is None
    assert not processor.bypass


def test_copies_are_refused_with_what_to_do_instead(kind):
    processor = make(kind)
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(PercepNetError, match="cannot be copied or pickled: make another"):
            way(processor)


def test_what_has_ended_refuses_everything(kind):
    if kind == "stream of a batch":
        make(kind)  # skips without the core
        batch = Batch(MODEL)
        processor = batch.add()
        batch.remove(processor)
    else:
        with make(kind) as processor:
            processor.process(noise(480))
        processor.close()  # once more is no mistake
    calls = {
        "process": lambda: processor.process(noise(480)),
        "flush": processor.flush,
        "reset": processor.reset,
        "refused_hops": lambda: processor.refused_hops,
        "speech_probability": lambda: processor.speech_probability,
        "bypass": lambda: setattr(processor, "bypass", True),
        "limit": lambda: setattr(processor, "attenuation_limit_db", 6),
    }
    for call in calls.values():
        with pytest.raises(PercepNetError, match=r"is closed: make another|removed from its batch: add another"):
            call()
    assert processor.sample_rate == 48000
    assert "closed" in repr(processor) or "removed" in repr(processor)


def test_a_second_thread_is_refused_but_may_change_the_settings(kind):
    x = noise(48000 if kind == "enhancer on NumPy" else 48000 * 20)
    processor = make(kind)
    worker = threading.Thread(target=processor.process, args=[x])
    worker.start()
    while not processor._alone._lock.locked() and worker.is_alive():
        time.sleep(0)
    with pytest.raises(PercepNetError, match="at work in another thread"):
        processor.process(x)
    processor.bypass = True
    assert worker.is_alive()
    worker.join()
    assert processor.bypass


def test_representation_says_what_it_is(kind):
    processor = make(kind, 16000, 2)
    assert "16000 Hz" in repr(processor)
    assert "2 channels" in repr(processor)
    processor.bypass = True
    assert "bypass" in repr(processor)


def test_all_kinds_give_the_same(tmp_path):
    x = (32768 * noise(2, 8001)).astype(np.int16)
    core, batch = (played(make(k, 16000, 2, attenuation_limit_db=20), x, 320) for k in (KINDS[0], KINDS[2]))
    np.testing.assert_array_equal(core, batch)
    definition = played(make(KINDS[1], 16000, 2, attenuation_limit_db=20), x, 320)
    error = np.linalg.norm(core.astype(float) - definition)
    assert error < 0.05 * np.linalg.norm(definition.astype(float))  # 8 bits against single precision


# What only an Enhancer has.


def test_closed_enhancers_are_closed():
    enhancer = make("enhancer on NumPy")
    enhancer.close()
    with pytest.raises(PercepNetError, match="closed"), enhancer:
        pass


@pytest.mark.parametrize("model", [1, [], b"default"])
def test_a_model_is_a_name_a_path_or_a_model(model):
    with pytest.raises(ModelError, match=f"model is a {type(model).__name__}: give a name, a path or what load_model"):
        Enhancer(model=model, engine=NUMPY)


def test_engines_are_chosen_by_name():
    assert Enhancer(model=MODEL, engine=NUMPY).engine == NUMPY
    assert make("enhancer on the core").engine == CORE
    for wanted in ("gpu", "", 3, ["core"]):
        with pytest.raises(PercepNetError, match=r"engine is .*: set it to core or numpy, or None"):
            Enhancer(model=MODEL, engine=wanted)
    with pytest.raises(PercepNetError, match="engine is 'gpu'"):
        percepnet.enhance(noise(480), 48000, model=MODEL, engine="gpu")
    np.testing.assert_array_equal(
        percepnet.enhance(noise(4800), 48000, model=MODEL, engine=NUMPY),
        played(make("enhancer on NumPy"), noise(4800))[1440:],
    )
