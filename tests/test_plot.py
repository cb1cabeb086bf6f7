import importlib.util
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from percepnet.errors import PercepNetError
from percepnet.plot import (
    COLUMNS,
    RANGE_DB,
    Spectrogram,
    erb_rate,
    erb_rate_inverse,
    over_erb,
    require_matplotlib,
    save_before_after,
)


def spectrogram(x: np.ndarray, rate_hz: int, block_samples: int) -> Spectrogram:
    result = Spectrogram(rate_hz, x.shape[1])
    for start in range(0, x.shape[1], block_samples):
        result.add(x[:, start : start + block_samples])
    result.finish()
    return result


@pytest.mark.parametrize("rate_hz", [8000, 22050, 48000])
def test_full_scale_sine_is_0_db_at_its_frequency(rate_hz: int) -> None:
    x = np.cos(2 * np.pi * 1000 * np.arange(rate_hz) / rate_hz).astype(np.float32)[None]
    power_db = spectrogram(x, rate_hz, 999).power_db()
    assert np.abs(power_db.max(axis=0)[2:-2]).max() < 0.1
    bin_hz = rate_hz / 2 / (len(power_db) - 1)
    assert np.all(np.abs(power_db.argmax(axis=0)[2:-2] * bin_hz - 1000) <= bin_hz / 2)


def test_cutting_into_blocks_does_not_matter() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (2, 20_000)).astype(np.float32)
    whole = spectrogram(x, 16000, 20_000).power_db()
    np.testing.assert_allclose(spectrogram(x, 16000, 77).power_db(), whole, atol=1e-3)


def test_events_are_where_they_happen() -> None:
    x = np.zeros((1, 480_000), np.float32)
    x[0, 240_000:245_000] = 0.5
    spectrum = spectrogram(x, 48000, 48_000).power_db()
    column = spectrum[0].argmax()
    assert column / spectrum.shape[1] == pytest.approx(0.5, abs=0.02)
    assert spectrum[:, :400].max() == pytest.approx(-200)


@pytest.mark.parametrize("samples", [1, 100, 959, 961])
def test_short_recordings(samples: int) -> None:
    power_db = spectrogram(np.full((1, samples), 0.5, np.float32), 48000, 500).power_db()
    assert np.isfinite(power_db).all()
    assert power_db.max() > -80


def test_memory_does_not_grow_with_the_length() -> None:
    peaks = []
    for seconds in (60, 600):
        tracemalloc.start()
        result = Spectrogram(8000, 8000 * seconds)
        for _ in range(seconds):
            result.add(np.zeros((1, 8000), np.float32))
        result.finish()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert result.power_db().shape == (81, COLUMNS)
    assert peaks[1] < 1.1 * peaks[0]


def test_missing_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PercepNetError, match=r"pip install percepnet\[plot\]"):
        require_matplotlib()


def test_picture_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    x = np.random.default_rng(0).uniform(-1, 1, (1, 48_000)).astype(np.float32)
    before, after = spectrogram(x, 48000, 48_000), spectrogram(x * 1e-3, 48000, 48_000)
    save_before_after(tmp_path / "a.png", before, after, "a noise")
    import matplotlib.image

    picture = matplotlib.image.imread(tmp_path / "a.png")
    assert picture.shape[0] > 500
    top, bottom = picture[200:300, 300:900, :3].mean(), picture[500:600, 300:900, :3].mean()
    assert top > bottom + 0.2  # 60 of the RANGE_DB = 90 dB darker
    assert RANGE_DB > 60
    silent = spectrogram(np.zeros((1, 100), np.float32), 48000, 100)
    save_before_after(tmp_path / "b.png", silent, silent, "silence")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_rows_on_the_scale_of_hearing_keep_level_and_energy():
    flat = np.full((481, 3), 0.25)
    np.testing.assert_allclose(over_erb(flat, 120, 24_000), flat[:120], rtol=1e-9)
    power = np.random.default_rng(0).random((481, 3))
    widths = np.diff(erb_rate_inverse(np.linspace(0, erb_rate(24_000), 121))) / 24_000 * 481
    np.testing.assert_allclose((widths[:, None] * over_erb(power, 120, 24_000)).sum(axis=0), power.sum(axis=0))


@pytest.mark.parametrize("frequency_hz", [200, 1000, 5000, 18_000])
def test_a_tone_lies_where_the_ear_has_it(frequency_hz):
    power = np.zeros((961, 1))
    power[round(frequency_hz / 24_000 * 961)] = 1.0
    row = np.argmax(over_erb(power, 120, 24_000)[:, 0])
    assert row == pytest.approx(120 * erb_rate(frequency_hz) / erb_rate(24_000), abs=2)
