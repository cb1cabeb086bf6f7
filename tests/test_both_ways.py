"""Recordings heard from both ends: windows, joints, delays, and what stands behind `quality`."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

import percepnet
from models import constant_model
from percepnet.engine import open_stream
from percepnet.errors import PercepNetError
from percepnet.offline.both_ways import CONTEXT_S, WINDOW_S, BothWays
from percepnet.stream import QUALITIES
from voices import glide

RATE_HZ = 8000


class Remembers:
    """A stream that gives the sample before, late by a number of samples: what it was given before can be seen."""

    attenuation_limit_db = None
    refused_hops = 0
    latency_samples = 37

    def __init__(self):
        self.longest = 0
        self.reset()

    def reset(self):
        self._held = np.zeros((1, self.latency_samples + 1), np.float32)

    def process(self, x, far=None):
        self.longest = max(self.longest, x.shape[1])
        whole = np.concatenate([self._held, x], axis=1)
        self._held = whole[:, x.shape[1] :]
        return whole[:, : x.shape[1]]

    def flush(self, dtype=np.float32):
        return self._held[:, : self.latency_samples]

    def close(self):
        pass


def both_ways(x, chunk, stream=None):
    stream = stream or BothWays(lambda backwards: Remembers(), RATE_HZ, 1)
    parts = [stream.process(x[None, start : start + chunk]) for start in range(0, len(x), chunk)]
    y = np.concatenate([*parts, stream.flush()], axis=1)[0]
    assert len(y) == len(x) + stream.latency_samples
    assert not y[: stream.latency_samples].any()
    return y[stream.latency_samples :]


@pytest.mark.parametrize("seconds", [0.01, 3.3, WINDOW_S, WINDOW_S + 4, WINDOW_S + CONTEXT_S, 2 * WINDOW_S + 0.01, 96])
def test_each_moment_is_heard_after_what_was_before_and_after_what_comes(seconds):
    x = np.random.default_rng(0).uniform(-1, 1, round(seconds * RATE_HZ)).astype(np.float32)
    y = both_ways(x, 5000)
    np.testing.assert_allclose(y[1:-1], (2 * x[:-2] + x[2:]) / 3, atol=1e-6)


def test_cuts_change_nothing():
    x = np.random.default_rng(0).uniform(-1, 1, 70 * RATE_HZ + 3).astype(np.float32)
    whole = both_ways(x, len(x))
    for chunk in (997, 160_001):
        np.testing.assert_array_equal(both_ways(x, chunk), whole)


def test_a_stream_can_begin_anew():
    x = np.random.default_rng(0).uniform(-1, 1, 41 * RATE_HZ).astype(np.float32)
    stream = BothWays(lambda backwards: Remembers(), RATE_HZ, 1)
    expected = both_ways(x, 4000, stream)
    stream.process(x[None, :99_999])
    stream.reset()
    np.testing.assert_array_equal(both_ways(x, 4000, stream), expected)


def test_nothing_is_nothing():
    stream = BothWays(lambda backwards: Remembers(), RATE_HZ, 1)
    assert stream.process(np.zeros((1, 0), np.float32)).shape == (1, 0)
    assert not stream.flush().any()


def test_memory_does_not_grow_with_length():
    backwards = Remembers()
    stream = BothWays(lambda from_the_end: backwards if from_the_end else Remembers(), RATE_HZ, 1)
    block = np.ones((1, 10 * RATE_HZ), np.float32)
    most = []
    tracemalloc.start()
    for _ in range(2):
        for _ in range(20):
            stream.process(block)
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.reset_peak()
    tracemalloc.stop()
    assert most[1] < 1.05 * most[0]
    assert backwards.longest < (WINDOW_S + 2 * CONTEXT_S) * RATE_HZ


@pytest.mark.parametrize("rate_hz", [8000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_both_decide_alike_comes_out_once(core, rate_hz, channels):
    """In time with the recording, in every window."""
    model = constant_model(0.9, 0.0)  # of which next to nothing is taken for noise, forwards or backwards
    seconds = 66 if rate_hz == 8000 else 4
    voice = np.resize(glide(11, 3)[0], seconds * 48_000)[: seconds * rate_hz].astype(np.float32)
    x = np.stack([voice, -0.5 * voice][:channels])
    stream = BothWays(lambda backwards: open_stream(model, rate_hz, channels), rate_hz, channels)
    y = np.concatenate([stream.process(x), stream.flush()], axis=1)[:, stream.latency_samples :]
    with percepnet.Enhancer(rate_hz, channels, model=model) as enhancer:
        expected = np.concatenate([enhancer.process(x), enhancer.flush()], axis=1)[:, enhancer.latency_samples :]
    inside = slice(rate_hz // 10, -rate_hz // 10)
    np.testing.assert_allclose(y[:, inside], expected[:, inside], atol=2e-4)


@pytest.fixture(scope="module")
def recording():
    clips = Path(__file__).parents[1] / "examples" / "clips" / "noisy"
    return soundfile.read(clips / "sea_female.flac", frames=192_000, dtype="float32")[0]


def test_best_of_the_package(core, recording):
    y = percepnet.enhance(recording, 48_000, quality="best")
    assert y.shape == recording.shape
    once = percepnet.enhance(recording, 48_000, model="percepnet")
    assert np.corrcoef(y, once)[0, 1] > 0.9
    whole = percepnet.enhance((recording * 32767).astype(np.int16), 48_000, quality="best")
    assert whole.dtype == np.int16
    assert np.corrcoef(whole, y)[0, 1] > 0.999


def test_digital_silence_around_a_recording_changes_nothing(core, recording):
    """The networks would forget what they have heard in advance."""
    silence = np.zeros(9600, np.float32)
    around = percepnet.enhance(np.concatenate([silence, recording, silence]), 48_000, quality="best")
    alone = percepnet.enhance(recording, 48_000, quality="best")
    inside = slice(4800, -4800)
    np.testing.assert_allclose(around[9600:-9600][inside], alone[inside], atol=0.02)
    assert np.corrcoef(around[9600:-9600][inside], alone[inside])[0, 1] > 0.999


def test_a_recording_of_nothing_is_nothing(core):
    assert not percepnet.enhance(np.zeros(50 * 8000), 8000, quality="best").any()


def test_silence_before_a_recording_does_not_depend_on_the_cuts(core):
    x = np.concatenate([np.zeros(38 * RATE_HZ), np.random.default_rng(0).normal(0, 0.1, 40 * RATE_HZ)]).astype(
        np.float32
    )
    whole = percepnet.enhance(x, RATE_HZ, quality="best")
    with percepnet.Enhancer(RATE_HZ, quality="best") as enhancer:
        parts = [enhancer.process(x[start : start + 1111]) for start in range(0, len(x), 1111)]
        y = np.concatenate([*parts, enhancer.flush()])[enhancer.latency_samples :]
    np.testing.assert_array_equal(y, whole)
    assert len(y) == len(x)


def test_without_attenuation_it_is_the_recording(core, recording):
    y = percepnet.enhance(recording, 48_000, quality="best", attenuation_limit_db=0)
    inside = slice(4800, -4800)
    np.testing.assert_allclose(y[inside], recording[inside], atol=0.02)


def test_bypass_is_the_input_in_time(core, recording):
    with percepnet.Enhancer(48_000, quality="best") as enhancer:
        enhancer.bypass = True
        y = np.concatenate([enhancer.process(recording), enhancer.flush()])[enhancer.latency_samples :]
        np.testing.assert_array_equal(y, recording)
        enhancer.bypass = False
        late = np.concatenate([enhancer.process(recording), enhancer.flush()])[enhancer.latency_samples :]
    np.testing.assert_allclose(late, percepnet.enhance(recording, 48_000, quality="best"), atol=1e-6)


def test_streams_whose_mean_is_given_out_have_one_window_each(core, recording):
    with percepnet.Enhancer(48_000) as alone, percepnet.Enhancer(48_000, quality="best") as both:
        windows = [len(stream.inspect().unturned) for stream in (alone._stream, *both._stream._streams())]
    assert windows == [3, 1, 1, 1]


@pytest.mark.parametrize("quality", ["fast", "good"])
def test_other_qualities_are_models(core, recording, quality):
    y = percepnet.enhance(recording, 48_000, quality=quality)
    np.testing.assert_array_equal(y, percepnet.enhance(recording, 48_000, model=QUALITIES[quality]))


def test_what_cannot_be_is_refused():
    with pytest.raises(PercepNetError, match=r"quality is \[\]: give fast, good, best"):
        percepnet.Enhancer(quality=[])
    with pytest.raises(percepnet.AudioError, match="a chunk of 7 samples: give a multiple of 480"):
        percepnet.Enhancer(quality="best", block_samples=480).process(np.zeros(7, np.float32))
    with pytest.raises(PercepNetError, match=r"quality is 'better': give fast, good, best"):
        percepnet.enhance(np.zeros(100), 48_000, quality="better")
    with pytest.raises(PercepNetError, match="give one of them"):
        percepnet.enhance(np.zeros(100), 48_000, quality="best", model="small")
    with pytest.raises(PercepNetError, match="no far end"):
        percepnet.Enhancer(quality="best", far_end=True)


def test_command(core, tmp_path, recording, command):
    soundfile.write(tmp_path / "a.wav", recording, 48_000, subtype="FLOAT")
    done = command("enhance", tmp_path / "a.wav", "-o", tmp_path / "b.wav", "--quality", "best", "--json")
    assert done.code == 0
    assert json.loads(done.out)["results"][0]["samples"] == len(recording)
    y, _ = soundfile.read(tmp_path / "b.wav", dtype="float32")
    np.testing.assert_allclose(y, percepnet.enhance(recording, 48_000, quality="best"), atol=1e-6)
    for wrong in (["--quality", "better"], ["--quality", "best", "--model", "small"]):
        done = command("enhance", tmp_path / "a.wav", "-o", tmp_path / "c.wav", *wrong)
        assert done.code == 2
        assert "quality" in done.err
    assert not (tmp_path / "c.wav").exists()
