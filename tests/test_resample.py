import numpy as np
import numpy.typing as npt
import pytest
import soxr

from levels import level_db
from percepnet.reference.resample import PASSBAND, Resampler, half_width_samples

RATES_HZ = [8000, 11025, 16000, 22050, 32000, 44100, 44101, 96000, 192000]  # 44101: interpolated phases


def resample(x: npt.NDArray[np.float32], source_hz: int, target_hz: int) -> npt.NDArray[np.float32]:
    """A whole signal, without the delay of half a filter, which is a whole number of samples at 48 kHz only."""
    rate_hz = source_hz if target_hz == 48000 else target_hz
    half_width = half_width_samples(rate_hz)
    source = np.concatenate((x, np.zeros(half_width * source_hz // 48000 + 2, np.float32)))[None]
    outputs = len(x) * target_hz // source_hz
    if target_hz == 48000:
        return Resampler(source_hz, target_hz, 1).process(source, outputs + half_width)[0, half_width:]
    delay = -(-half_width * target_hz // 48000)
    start = half_width * target_hz - delay * 48000
    return Resampler(source_hz, target_hz, 1, start).process(source, outputs + delay)[0, delay:]


def band_limited_noise(rate_hz: int, edge_hz: float) -> npt.NDArray[np.float32]:
    spectrum = np.fft.rfft(np.random.default_rng(rate_hz).standard_normal(rate_hz))  # one second: 1 Hz a bin
    spectrum[int(edge_hz) :] = 0
    return np.asarray(0.1 * np.fft.irfft(spectrum, rate_hz), dtype=np.float32)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("upwards", [True, False])
def test_agrees_with_soxr(rate_hz: int, upwards: bool) -> None:
    source_hz, target_hz = (rate_hz, 48000) if upwards else (48000, rate_hz)
    x = band_limited_noise(source_hz, 0.6 * min(rate_hz, 48000) / 2)  # above, soxr itself is 75 dB off at 44.1 kHz
    ours = resample(x, source_hz, target_hz)
    reference = soxr.resample(x.astype(np.float64), source_hz, target_hz, quality="VHQ")
    middle = slice(len(ours) // 4, len(ours) // 2)
    assert level_db((ours - reference[: len(ours)])[middle]) < level_db(reference[middle]) - 95


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_passes_the_pass_band_and_nothing_beyond_the_edge(rate_hz: int) -> None:
    edge_hz = min(rate_hz, 48000) / 2
    source_hz, target_hz = (48000, rate_hz) if rate_hz < 48000 else (rate_hz, 48000)
    time_s = np.arange(source_hz) / source_hz
    middle = slice(target_hz // 4, target_hz // 2)
    for frequency_hz in (0.0, 0.3 * edge_hz, PASSBAND * edge_hz):
        y = resample(np.cos(2 * np.pi * frequency_hz * time_s).astype(np.float32), source_hz, target_hz)
        expected = np.cos(2 * np.pi * frequency_hz * np.arange(target_hz) / target_hz)
        assert level_db((y[: len(expected)] - expected[: len(y)])[middle]) < -95
    for frequency_hz in (edge_hz, min(1.2 * edge_hz, source_hz / 2)):  # would be folded back
        x = np.cos(2 * np.pi * frequency_hz * time_s + 1).astype(np.float32)
        assert level_db(resample(x, source_hz, target_hz)[middle]) < -95


def test_upsampling_invents_no_band() -> None:
    y = resample(band_limited_noise(16000, 7000), 16000, 48000)[4000:40000]
    spectrum_db = 20 * np.log10(np.abs(np.fft.rfft(y * np.blackman(len(y)))) + 1e-12)
    frequency_hz = np.fft.rfftfreq(len(y), 1 / 48000)
    assert spectrum_db[frequency_hz > 8000].max() < spectrum_db[frequency_hz < 7000].max() - 95


def test_zero_frequency_is_exact() -> None:
    y = resample(np.full(1600, 0.5, np.float32), 16000, 48000)[1000:3000]
    np.testing.assert_allclose(y, 0.5, atol=1e-6)


def test_delay_is_short() -> None:
    assert half_width_samples(48000) == 0
    assert half_width_samples(8000) / 48000 < 0.014
    assert half_width_samples(16000) / 48000 < 0.007
    assert half_width_samples(44100) / 48000 < 0.003
    assert half_width_samples(192000) == half_width_samples(96000)


def test_channels_are_independent() -> None:
    x = np.stack([band_limited_noise(8000, 3000), band_limited_noise(8000, 2000)])
    both = Resampler(8000, 48000, 2).process(x, 48000)
    for channel in range(2):
        alone = Resampler(8000, 48000, 1).process(x[channel : channel + 1], 48000)
        np.testing.assert_array_equal(both[channel], alone[0])
