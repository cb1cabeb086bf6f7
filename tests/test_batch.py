"""Many streams at once against each of them alone."""

import contextlib
import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

import percepnet
from models import random_model
from percepnet import Batch, native, native_model
from percepnet.errors import AudioError, PercepNetError
from percepnet.params import HOP_SAMPLES, SignalParams
from voices import glide, noise

try:
    native.library()
except native.CoreMissing as missing:
    pytest.skip(str(missing), allow_module_level=True)


def voice(seed, channels=1, hops=60):
    x, _ = glide(seed, 1.0)
    x = x[: hops * HOP_SAMPLES]
    return np.stack([x / (1 + c) + noise(seed + c, len(x), 0.01) for c in range(channels)]).astype(np.float32)


def hop_of(x, i):
    return x[:, i * HOP_SAMPLES : (i + 1) * HOP_SAMPLES]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("count", [1, 2, 7, 33])
def test_same_bits_as_alone(count, exact):
    model = random_model(1, preset="small")
    xs = [voice(seed) for seed in range(count)]
    expected = [native.FrameEnhancer(model, exact=exact).process(x) for x in xs]
    streams = [native.FrameEnhancer(model, exact=exact) for _ in xs]
    batch = native.Batch(model, 8, exact=exact)
    hops = [np.concatenate(batch.process(streams, [hop_of(x, i) for x in xs])) for i in range(60)]
    np.testing.assert_array_equal(np.concatenate(hops, axis=1), np.concatenate(expected))


def test_streams_come_go_rest_and_differ_in_channels_and_settings():
    model = random_model(2, SignalParams(3))
    settings = [{}, {"post_filter": True}, {"comb_filter": False}, {"attenuation_limit_db": 9.0}, {}]
    xs = [voice(seed, channels) for seed, channels in enumerate((1, 2, 1, 3, 1))]
    expected = [native.FrameEnhancer(model, len(x), **s).process(x) for x, s in zip(xs, settings, strict=True)]
    batch = Batch(model)
    assert batch.latency_samples == native.FrameEnhancer(model).latency_samples
    streams, done, outputs = {}, [0] * 5, [[] for _ in xs]
    rng = np.random.default_rng(3)
    for turn in range(300):
        if turn % 3 == 0 and len(streams) < len(xs):
            number = len(streams)
            streams[number] = batch.add(channels=len(xs[number]), **settings[number])
        at_work = [n for n in streams if rng.random() < 0.7 and done[n] < 60]
        found = batch.process({streams[n]: hop_of(xs[n], done[n]) for n in at_work})
        assert list(found) == [streams[n] for n in at_work]
        for n in at_work:
            outputs[n].append(found[streams[n]])
            done[n] += 1
        if turn % 50 == 40:
            batch.remove(batch.add())
    assert min(done) == 60
    for parts, y in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), y)


def test_same_as_the_enhancer_for_users():
    x = voice(4)
    batch = Batch()
    stream = batch.add()
    found = [batch.process({stream: hop_of(x, i)[0]})[stream] for i in range(60)]
    expected = percepnet.Enhancer().process(x[0])
    np.testing.assert_array_equal(np.concatenate(found), expected)
    assert expected.std() > 0


def test_form_of_what_went_in_comes_out():
    batch = Batch(random_model())
    mono, stereo = batch.add(), batch.add(channels=2)
    hops = {mono: np.ones(480, np.int16), stereo: np.ones((2, 480), np.float64)}
    found = batch.process(hops)
    assert [(y.shape, y.dtype) for y in found.values()] == [(x.shape, x.dtype) for x in hops.values()]
    assert batch.process({}) == {}
    assert len(batch) == 2


def test_reset_begins_anew():
    x = voice(5)
    batch = Batch(random_model())
    stream, other = batch.add(), batch.add()
    first = [batch.process({stream: hop_of(x, i), other: hop_of(x, i)}) for i in range(60)]
    stream.reset()
    second = [batch.process({stream: hop_of(x, i)})[stream] for i in range(60)]
    np.testing.assert_array_equal([hops[stream] for hops in first], second)


def test_hop_that_is_no_audio_is_silence_of_that_stream_alone():
    x, bad = voice(6), np.full((1, HOP_SAMPLES), np.nan)
    batch = Batch(random_model())
    good, damaged = batch.add(invalid="silence"), batch.add(invalid="silence")
    expected = native.FrameEnhancer(batch.model).process(x)
    found = [batch.process({damaged: bad, good: hop_of(x, i)}) for i in range(60)]
    np.testing.assert_array_equal(np.concatenate([hops[good] for hops in found], axis=1), expected)
    assert (good.refused_hops, damaged.refused_hops) == (0, 60)
    assert all(np.isfinite(hops[damaged]).all() for hops in found)


def test_memory_of_a_stream():
    for preset in ("small", "percepnet"):
        assert 0 < Batch(random_model(preset=preset)).add().memory_bytes <= 256 * 1024


def test_errors_leave_the_streams_as_they_were():
    x = voice(7)
    batch = Batch(random_model())
    stream, stereo = batch.add(), batch.add(channels=2)
    expected = native.FrameEnhancer(batch.model).process(x)
    found = []
    for i in range(60):
        for bad in (np.zeros((2, 480)), np.zeros((480, 1)), np.zeros((1, 1, 480))):
            with pytest.raises(AudioError, match="shape"):
                batch.process({stereo: np.zeros((2, 480)), stream: bad})
        with pytest.raises(AudioError, match="type"):
            batch.process({stream: np.zeros(480, np.int32)})
        found.append(batch.process({stream: hop_of(x, i)})[stream])
    np.testing.assert_array_equal(np.concatenate(found, axis=1), expected)


def test_removed_and_foreign_streams_are_refused():
    model = random_model()
    batch, other = Batch(model), Batch(model)
    gone, foreign = batch.add(), other.add()
    batch.remove(gone)
    for call in (
        lambda: batch.process({gone: np.zeros(480)}),
        lambda: batch.remove(gone),
        gone.reset,
        lambda: gone.refused_hops,
    ):
        with pytest.raises(PercepNetError, match="removed"):
            call()
    for call in (lambda: batch.process({foreign: np.zeros(480)}), lambda: batch.remove(foreign)):
        with pytest.raises(PercepNetError, match="another batch"):
            call()
    with pytest.raises(PercepNetError, match="limit"):
        batch.add(attenuation_limit_db=-1)
    with pytest.raises(PercepNetError, match="number of channels is 0"):
        batch.add(channels=0)
    with pytest.raises(PercepNetError, match="'stream' is no stream of this batch: give what add"):
        batch.process({"stream": np.zeros(480)})
    with pytest.raises(PercepNetError, match="chunks are a list: give a dictionary"):
        batch.process([np.zeros(480)])
    assert len(batch) == 0


def test_second_thread_is_refused_and_disturbs_nothing():
    x = np.tile(voice(8), 20)
    batch = Batch(random_model())
    streams = [batch.add() for _ in range(40)]
    expected = native.FrameEnhancer(batch.model).process(x)
    outputs = []

    messages = set()

    def work():
        while len(outputs) < 300:
            with contextlib.suppress(PercepNetError):  # where the other thread came first
                i = len(outputs)
                outputs.append(batch.process({stream: hop_of(x, i) for stream in streams})[streams[-1]])

    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():
        try:
            len([stream.refused_hops for stream in streams])
        except PercepNetError as error:
            messages.add(str(error))
    assert messages == {"this batch is at work in another thread: give each thread its own"}
    np.testing.assert_array_equal(np.concatenate(outputs, axis=1), expected[:, : 300 * HOP_SAMPLES])


def test_model_goes_with_the_last_stream():
    before = len(native_model._models)
    batch = Batch(random_model(9))
    streams = [batch.add() for _ in range(3)]
    assert len(native_model._models) == before + 1
    del batch, streams
    gc.collect()
    assert len(native_model._models) == before


# Any rates, lengths and types at once, to the bit what each is of an Enhancer.


def test_telephones_and_studios_in_one_call():
    model = random_model(10)
    kinds = [
        {"sample_rate": 8000},
        {"sample_rate": 16000, "post_filter": True},
        {"sample_rate": 48000, "channels": 3, "link_channels": False},
        {"sample_rate": 44101, "channels": 2, "attenuation_limit_db": 12.0},
    ]
    rng = np.random.default_rng(11)
    batch, packets_s = Batch(model), 0.02
    signals = []
    for number, kind in enumerate(kinds):
        x = rng.uniform(-0.3, 0.3, (kind.get("channels", 1), kind["sample_rate"])).astype(np.float32)
        signals.append((32768 * x).astype(np.int16) if number % 2 else x)
    streams = [batch.add(**kind) for kind in kinds]
    enhancers = [percepnet.Enhancer(model=model, **kind) for kind in kinds]
    assert [s.latency_samples for s in streams] == [e.latency_samples for e in enhancers]
    found = [[] for _ in kinds]
    for packet in range(round(1 / packets_s)):
        cuts = [np.array([packet, packet + 1]) * round(x.shape[1] * packets_s) for x in signals]
        call = {s: x[:, a:b] for s, x, (a, b) in zip(streams, signals, cuts, strict=True)}
        for parts, y in zip(found, batch.process(call).values(), strict=True):
            parts.append(y)
    for parts, stream, enhancer, x in zip(found, streams, enhancers, signals, strict=True):
        taken = x[:, : len(parts) * round(x.shape[1] * packets_s)]
        expected = np.concatenate([enhancer.process(taken), enhancer.flush()], axis=1)
        np.testing.assert_array_equal(np.concatenate([*parts, stream.flush()], axis=1), expected)
    assert {part.shape for part in found[0]} == {(1, 160)}


@pytest.mark.parametrize("rate_hz", [48000, 16000])
def test_an_idle_stream_is_the_input_and_comes_back(rate_hz):
    hop, x = rate_hz // 100, noise(0, rate_hz * 2, 0.1).astype(np.float32)
    model = random_model(1, preset="small")
    batch = Batch(model)
    stream, other = batch.add(rate_hz), batch.add(rate_hz)
    late = stream.latency_samples
    given = []
    for number in range(200):
        stream.idle = 30 <= number < 100
        part = x[number * hop : (number + 1) * hop]
        done = batch.process({stream: part, other: part})
        given.append(done[stream])
        assert (stream.speech_probability is None) == (31 <= number < 100)
    y = np.concatenate(given)
    dry, wet = np.pad(x, (late, 0))[: len(y)], percepnet.Enhancer(rate_hz, model=model).process(x)
    change, awake = 30 * hop, 150 * hop
    np.testing.assert_array_equal(y[:change], wet[:change])
    np.testing.assert_array_equal(y[change + hop : awake], dry[change + hop : awake])
    assert np.mean((y[awake + hop :] - dry[awake + hop :]) ** 2) > 1e-5
    with pytest.raises(PercepNetError, match="idle is 1: give True or False"):
        stream.idle = 1
    batch.remove(stream)
    with pytest.raises(PercepNetError, match="removed from its batch"):
        stream.idle = False


def test_one_stream_is_bypassed_and_flushed_by_itself():
    x = voice(12)
    batch = Batch(random_model(12))
    stream, other = batch.add(), batch.add()
    expected = native.FrameEnhancer(batch.model).process(x)
    stream.bypass = True
    found = [batch.process({stream: hop_of(x, i), other: hop_of(x, i)}) for i in range(60)]
    np.testing.assert_array_equal(np.concatenate([hops[other] for hops in found], axis=1), expected)
    whole = np.concatenate([*(hops[stream] for hops in found), stream.flush()], axis=1)
    np.testing.assert_array_equal(whole, np.pad(x, [(0, 0), (1440, 0)]))


def test_a_bad_chunk_of_one_stream_leaves_all_as_they_were():
    x = voice(13)
    batch = Batch(random_model())
    first, second = batch.add(), batch.add()
    expected = native.FrameEnhancer(batch.model).process(x)
    found = []
    for i in range(20):
        with pytest.raises(AudioError, match=f"NaN or infinity at {i / 100:.6f} s"):
            batch.process({first: hop_of(x, i), second: np.full((1, 480), np.nan)})
        found.append(batch.process({first: hop_of(x, i), second: hop_of(x, i)}))
    for stream in (first, second):
        np.testing.assert_array_equal(np.concatenate([y[stream] for y in found], axis=1), expected[:, : 20 * 480])


def test_copies_are_refused():
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(PercepNetError, match="cannot be copied or pickled: make another Batch"):
            way(Batch(random_model()))


def test_streams_go_with_their_last_name():
    """Also without the garbage collector: nothing of a batch holds itself."""
    model = random_model(14)
    batch = Batch(model)
    ends = [weakref.ref(batch.add()), weakref.ref(batch)]
    gc.disable()
    try:
        del batch
        assert [end() for end in ends] == [None, None]
    finally:
        gc.enable()


def test_needs_the_core(monkeypatch):
    def refuse():
        raise native.CoreMissing("_core.so: not built")

    monkeypatch.setattr(native, "library", refuse)
    with pytest.raises(native.CoreMissing, match="not built"):
        Batch(random_model())
