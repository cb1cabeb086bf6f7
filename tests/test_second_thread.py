"""What comes next is analysed in a second thread: what comes out is the same to the bit."""

import sys
import time

import numpy as np
import pytest
import soundfile

import percepnet
from models import random_model
from percepnet import native
from percepnet.bulk.one import Job, Settings
from percepnet.bulk.run import run
from percepnet.errors import PercepNetError
from voices import noise, steady

RATE_HZ = 48000


def recording(channels, seconds=4, rate_hz=RATE_HZ):
    x = np.stack([steady(200.0 + 40 * c, seconds) + noise(c, seconds * RATE_HZ, 0.02) for c in range(channels)])
    return x[:, :: RATE_HZ // rate_hz].astype(np.float32)


def write(path):
    soundfile.write(path, recording(1, 1)[0], RATE_HZ)


def made_of(stream, x, chunk):
    parts = [stream.process(x[:, i : i + chunk]) for i in range(0, x.shape[1], chunk)]
    return np.concatenate([*parts, stream.flush()], axis=1)


@pytest.mark.parametrize("chunk", [300, 30_000, 40_001, 1 << 20])
@pytest.mark.parametrize(("channels", "rate_hz", "linked"), [(1, 48000, True), (2, 48000, True), (2, 16000, False)])
def test_the_same_to_the_bit(chunk, channels, rate_hz, linked):
    model, x = random_model(3), recording(channels, rate_hz=rate_hz)
    expected = made_of(native.Stream(model, rate_hz, channels, link_channels=linked), x, chunk)
    threaded = native.Stream(model, rate_hz, channels, link_channels=linked)
    threaded.use_second_thread()
    for _ in range(2):  # and again from the beginning
        np.testing.assert_array_equal(made_of(threaded, x, chunk), expected)


@pytest.mark.skipif(sys.platform == "win32", reason="the core is built without threads there")
def test_a_second_thread_works():
    """What it takes of the processors is the process's, and not this thread's."""
    stream, x = native.Stream(random_model(3)), recording(1, 30)
    shares = []
    for _ in range(2):
        started = time.process_time(), time.thread_time()
        stream.process(x)
        ended = time.process_time(), time.thread_time()
        shares.append((ended[1] - started[1]) / (ended[0] - started[0]))
        stream.use_second_thread()
    assert shares[1] < min(0.9, shares[0])


def test_it_may_come_in_the_middle_of_a_stream():
    model, x = random_model(3), recording(1)
    expected = made_of(native.Stream(model), x, 96_000)
    stream = native.Stream(model)
    parts = [stream.process(x[:, :96_000])]
    stream.use_second_thread()
    parts += [stream.process(x[:, 96_000:]), stream.flush()]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), expected)


@pytest.mark.parametrize("settings", [{"quality": "best"}, {"quality": "fast"}, {"far_end": True}, {"engine": "numpy"}])
def test_every_enhancer_takes_the_wish(settings):
    x = recording(1, 1)[0]
    plain, threaded = (percepnet.Enhancer(**settings) for _ in range(2))
    threaded.use_second_thread()
    both = [np.concatenate([one.process(x), one.flush()]) for one in (plain, threaded)]
    np.testing.assert_array_equal(both[1], both[0])


def test_after_close_it_is_an_error():
    enhancer = percepnet.Enhancer()
    enhancer.close()
    with pytest.raises(PercepNetError, match="closed"):
        enhancer.use_second_thread()


@pytest.mark.parametrize("parallel", [1, 2, 3])
def test_files_take_one_where_there_are_more_processors_than_files(tmp_path, monkeypatch, parallel):
    taken = []

    def take(stream):
        taken.append(stream)

    monkeypatch.setattr(native.Stream, "use_second_thread", take)
    write(tmp_path / "a.wav")
    write(tmp_path / "b.wav")
    jobs = [Job(tmp_path / name, tmp_path / f"out_{name}") for name in ("a.wav", "b.wav")]
    outcomes = []
    run(jobs, Settings(model=random_model(3)), outcomes.append, parallel=parallel, quiet=True)
    assert [type(outcome).__name__ for outcome in outcomes] == ["Result"] * 2
    assert len(taken) == (2 if parallel > 2 else 0)
