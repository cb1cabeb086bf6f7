import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the package matplotlib is not installed")
pytest.importorskip("soxr", reason="the package soxr is not installed")

from percepnet.evaluation.oracle_plot import (
    bands_figure,
    comb_response_figure,
    comb_weights,
    decisions_figure,
    pitch_figure,
    spectrograms_figure,
)
from percepnet.params import SAMPLE_RATE_HZ, SignalParams
from percepnet.reference.comb import hann_weights


def test_comb_weights_with_enough_look_ahead_are_the_hann_weights():
    np.testing.assert_allclose(comb_weights(300.0, 10_000), hann_weights(), atol=1e-6)


def test_comb_weights_without_look_ahead_have_no_future_and_sum_to_one():
    weights = comb_weights(300.0, 0)
    assert weights.sum() == pytest.approx(1.0, abs=1e-6)
    assert np.count_nonzero(weights) == 6


def erb_rate(frequency_hz):
    """Glasberg and Moore 1990."""
    return 21.4 * np.log10(1 + 0.00437 * frequency_hz)


def test_a_spectrogram_has_a_tone_at_its_frequency_and_in_its_time():
    t = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tone = (np.sin(2 * np.pi * 2000 * t) * (t >= 0.5)).astype(np.float32)
    figure = spectrograms_figure({"tone": tone, "silence": 0 * tone}, {"tone": {"pesq_wb": 2.345}})
    image = figure.axes[0].images[0]
    level_db, (start_s, end_s, _, top) = image.get_array(), image.get_extent()
    row, column = np.unravel_index(np.argmax(level_db), level_db.shape)
    assert (row + 0.5) / level_db.shape[0] * top == pytest.approx(erb_rate(2000), abs=0.2)
    assert start_s + (column + 0.5) / level_db.shape[1] * (end_s - start_s) > 0.5
    assert figure.axes[0].get_title("left") == "tone  (PESQ-WB 2.35)"
    assert figure.axes[1].images[0].get_clim() == image.get_clim()


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_every_signal_has_its_spectrogram(columns):
    signals = {name: np.ones(SAMPLE_RATE_HZ // 10, np.float32) for name in "abcd"}
    figure = spectrograms_figure(signals, columns=columns)
    assert [axis.get_title("left") for axis in figure.axes if axis.images] == list("abcd")


def test_decisions_and_pitch_are_drawn_as_they_are():
    params = SignalParams()
    gains = np.random.default_rng(0).uniform(size=(50, params.bands))
    figure = decisions_figure({"gains": gains, "strengths": 1 - gains}, params)
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), gains.T)
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), 1 - gains.T)
    assert figure.axes[0].images[0].get_extent()[:2] == [-0.005, 0.495]  # frames are centred on multiples of 10 ms
    points = pitch_figure(np.full(50, 480.0), np.ones(50)).axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(points[-1], [0.49, 100.0])


def test_there_is_a_triangle_for_each_band_and_a_peak_for_each_harmonic():
    assert len(bands_figure(SignalParams()).axes[0].lines) == 34
    line = comb_response_figure(np.full(9, 240.0), np.ones(9)).axes[0].lines[0]  # 200 Hz
    frequencies_hz, response_db = line.get_data()
    assert response_db[np.isin(frequencies_hz, (200, 400, 600, 800))] == pytest.approx(0, abs=0.1)
    assert response_db[np.isin(frequencies_hz, (100, 300, 500, 700))].max() < -15
