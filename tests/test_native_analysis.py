"""The C core's analysis against its definition in NumPy."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from percepnet import native
from percepnet.errors import AudioError
from percepnet.params import HOP_SAMPLES, SignalParams
from percepnet.reference.analysis import Analysis as Definition
from percepnet.reference.oracle import training_example

try:
    native.library()
except native.CoreMissing as missing:
    pytest.skip(str(missing), allow_module_level=True)

from percepnet.native_analysis import Analysis

CLIPS = Path(__file__).parents[1] / "examples" / "clips"
NAME = "helicopter_male.flac"


def clip(kind):
    x, _ = soundfile.read(CLIPS / kind / NAME, frames=3 * 48_000, dtype="float32")
    return x[None, : len(x) // HOP_SAMPLES * HOP_SAMPLES]


@pytest.mark.parametrize("params", [SignalParams(), SignalParams(0), SignalParams(3, tuple(range(0, 401, 8)))], ids=str)
def test_is_the_same_as_the_definition(params):
    x = clip("noisy")
    found, expected = Analysis(params).push(x), Definition(params).push(x)
    same = np.abs(found.periods_samples / expected.periods_samples - 1) < 1e-4
    assert same.mean() > 0.99
    np.testing.assert_allclose(found.noisy, expected.noisy, atol=1e-4)
    np.testing.assert_allclose(found.tap_delays[same], expected.tap_delays[same], atol=0.05)
    np.testing.assert_allclose(found.correlations[same], expected.correlations[same], atol=1e-3)


def test_follows_the_taps_of_another_signal():
    params = SignalParams()
    leader = Definition(params).push(clip("noisy"))
    found = Analysis(params).push(clip("clean"), leader.tap_delays)
    expected = Definition(params).push(clip("clean"), leader.tap_delays)
    np.testing.assert_array_equal(found.tap_delays, leader.tap_delays)
    for name in ("noisy", "comb", "features", "periods_samples", "correlations", "tap_weights"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=2e-4, err_msg=name)


def test_training_examples_are_the_same():
    clean, noisy, params = clip("clean")[0], clip("noisy")[0], SignalParams()
    found = training_example(clean, noisy, params, steady=True, analysis=Analysis)
    expected = training_example(clean, noisy, params, steady=True)
    features, gains, strengths = (np.abs(a - b) for a, b in zip(found, expected, strict=True))
    assert (features.max(axis=1) < 1e-3).mean() > 0.99  # all but frames of another pitch
    assert gains.max() < 1e-3
    assert np.quantile(strengths, 0.98) < 0.01


def test_pieces_are_the_whole_and_reset_begins_anew():
    params, x = SignalParams(), np.repeat(clip("noisy"), 2, axis=0)
    analysis = Analysis(params, channels=2)
    whole = analysis.push(x)
    analysis.reset()
    pieces = [analysis.push(piece) for piece in np.split(x, [480 * 7, 480 * 8, 480 * 100], axis=1)]
    for name in whole._fields:
        np.testing.assert_array_equal(np.concatenate([getattr(piece, name) for piece in pieces]), getattr(whole, name))


def test_mistakes():
    analysis = Analysis(SignalParams())
    with pytest.raises(AudioError, match=r"hops of shape \(2, 480\): give \(1, a multiple of 480\)"):
        analysis.push(np.zeros((2, 480), np.float32))
    with pytest.raises(AudioError, match=r"tap delays of shape \(1, 3\): give \(1, 11\)"):
        analysis.push(np.zeros((1, 480), np.float32), np.zeros((1, 3)))
