import numpy as np
import pytest

from percepnet.errors import ModelError
from percepnet.params import HOP_SAMPLES, SignalParams
from percepnet.reference import stft
from percepnet.reference.highpass import Highpass, beginning, recursion, sections, undo_phase

scipy_signal = pytest.importorskip("scipy.signal")
CORNER_HZ = 30.0


def test_it_is_the_butterworth_filter_of_the_textbook():
    expected = scipy_signal.butter(4, CORNER_HZ, "highpass", fs=48_000, output="sos")
    frequencies = np.array([0.0, 8.0, 30.0, 100.0, 1000.0, 20_000.0])
    _, response = scipy_signal.sosfreqz(expected, frequencies, fs=48_000)
    ours = np.array([[s.b0, s.b1, s.b2, 1.0, s.a1, s.a2] for s in sections(CORNER_HZ)])
    _, found = scipy_signal.sosfreqz(ours, frequencies, fs=48_000)
    np.testing.assert_allclose(found, response, atol=1e-9)
    assert abs(found[2]) == pytest.approx(np.sqrt(0.5))


def test_recursion_is_that_of_scipy():
    x = np.random.default_rng(0).standard_normal((2, 2000))
    sos = np.array([[s.b0, s.b1, s.b2, 1.0, s.a1, s.a2] for s in sections(CORNER_HZ)])
    y, state = recursion(CORNER_HZ, x, np.zeros((2, 4)))
    np.testing.assert_allclose(y, scipy_signal.sosfilt(sos, x), atol=1e-12)
    again, _ = recursion(CORNER_HZ, x, state)
    np.testing.assert_allclose(again, scipy_signal.sosfilt(sos, np.tile(x, 2))[:, 2000:], atol=1e-12)


def test_hops_are_the_recursion():
    x = np.random.default_rng(1).standard_normal((2, 7 * HOP_SAMPLES)).astype(np.float32) + 0.5
    expected, _ = recursion(CORNER_HZ, x.astype(np.float64), beginning(CORNER_HZ, x[:, :HOP_SAMPLES]))
    highpass = Highpass(CORNER_HZ)
    found = np.concatenate([highpass.push(part) for part in np.split(x, [960, 1440], axis=1)], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_an_offset_from_the_start_is_never_heard():
    y = Highpass(CORNER_HZ).push(np.full((1, 5 * HOP_SAMPLES), 0.3, np.float32))
    np.testing.assert_allclose(y, 0, atol=1e-7)


def test_zero_is_no_filter():
    x = np.ones((1, HOP_SAMPLES), np.float32)
    assert Highpass(0.0).push(x) is x
    np.testing.assert_array_equal(undo_phase(0.0), 1)


def through(x, corner_hz):
    """The signal path with decisions that change nothing."""
    spectra = stft.analysis(stft.frames(Highpass(corner_hz).push(x[None])))
    return stft.overlap_add(stft.synthesis(spectra * undo_phase(corner_hz)))[0]


@pytest.mark.parametrize(("frequency_hz", "most_degrees"), [(80, 15), (110, 10), (200, 5), (1000, 1)])
def test_phase_is_given_back(frequency_hz, most_degrees):
    """The filter alone turns 110 Hz by 43 degrees."""
    x = np.sin(2 * np.pi * frequency_hz * np.arange(100 * HOP_SAMPLES) / 48_000).astype(np.float32)
    settled = slice(50 * HOP_SAMPLES, 90 * HOP_SAMPLES)
    found, expected = (scipy_signal.hilbert(through(x, corner_hz)[settled]) for corner_hz in (CORNER_HZ, 0.0))
    assert abs(np.rad2deg(np.angle(np.vdot(expected, found)))) < most_degrees
    alone = scipy_signal.hilbert(Highpass(CORNER_HZ).push(x[None])[0][settled])
    angle = np.rad2deg(np.angle(np.vdot(scipy_signal.hilbert(x[settled]), alone)))
    assert angle > (40 if frequency_hz == 110 else 0)


def test_dc_and_infrasound_are_gone():
    t = np.arange(300 * HOP_SAMPLES) / 48_000
    for x in (np.full(len(t), 0.3), 0.4 * np.sin(2 * np.pi * 8 * t)):
        assert np.abs(through(x.astype(np.float32), CORNER_HZ)[100 * HOP_SAMPLES :]).max() < 0.01


def test_corner_has_limits():
    with pytest.raises(ModelError, match="highpass_hz is 101"):
        SignalParams(highpass_hz=101.0)
