import io

import numpy as np
import pytest
import scipy.signal
import soundfile

soxr = pytest.importorskip("soxr", reason="training needs soxr: pip install 'percepnet[train]'")

from percepnet.acoustics.bandwidth import bandwidth_hz
from voices import glide

RATE_HZ = 48000


def white(seconds=2.0, rate_hz=RATE_HZ, seed=0, rms=0.05):
    return (rms * np.random.default_rng(seed).standard_normal(round(seconds * rate_hz))).astype(np.float32)


def tone(hz, seconds=2.0, amplitude=0.3, rate_hz=RATE_HZ):
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def low_passed(audio, cutoff_hz, rate_hz=RATE_HZ):
    response = scipy.signal.firwin(801, cutoff_hz, fs=rate_hz, window=("kaiser", 10))
    return scipy.signal.oaconvolve(audio, response, mode="same").astype(np.float32)


def tilted(db_per_octave, seconds=2.0, seed=1):
    spectrum = np.fft.rfft(white(seconds, seed=seed))
    octaves = np.log2(np.maximum(np.arange(len(spectrum)) / seconds, 50) / 1000)
    audio = np.fft.irfft(spectrum * 10 ** (db_per_octave * octaves / 20))
    return (0.05 * audio / np.sqrt(np.mean(audio**2))).astype(np.float32)


def rounded(audio):
    return np.rint(audio * 32768).astype(np.float32) / 32768


def syllables(audio):
    """The sound coming and going, four times a second."""
    return audio * np.maximum(0, np.sin(2 * np.pi * 4 * np.arange(len(audio)) / RATE_HZ)).astype(np.float32) ** 2


def coded(audio, format_, subtype, rate_hz=RATE_HZ):
    file = io.BytesIO()
    soundfile.write(file, audio, rate_hz, format=format_, subtype=subtype)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


@pytest.mark.parametrize("cutoff_hz", [3400, 5500, 8000, 11000, 16000, 20000])
def test_low_passed_noise(cutoff_hz):
    for audio in (low_passed(white(), cutoff_hz), syllables(low_passed(tilted(-6), cutoff_hz))):
        assert bandwidth_hz(rounded(audio), RATE_HZ) == pytest.approx(cutoff_hz, abs=150)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 44100, 48000, 96000])
def test_full_band_noise_ends_at_half_the_rate(rate_hz):
    assert bandwidth_hz(rounded(white(rate_hz=rate_hz)), rate_hz) == rate_hz / 2


@pytest.mark.parametrize("db_per_octave", [-6, -3, 3])
def test_natural_slopes_are_no_walls(db_per_octave):
    for seed in range(4):
        assert bandwidth_hz(rounded(tilted(db_per_octave, 2.0, seed)), RATE_HZ) == 24000


def test_what_sinks_into_the_rounding_ends_there():
    # -24 dB an octave above 1 kHz: where this meets the rounding noise is known
    audio = scipy.signal.sosfilt(scipy.signal.butter(4, 1000, fs=RATE_HZ, output="sos"), white(rms=0.01))
    rounding_db = 10 * np.log10(2.0**-30 / 12)
    crossing_hz = 1000 * 10 ** ((20 * np.log10(0.01) - rounding_db) / 80)
    assert bandwidth_hz(rounded(audio), RATE_HZ) == pytest.approx(crossing_hz, rel=0.25)


@pytest.mark.parametrize(("source_hz", "low"), [(8000, 3500), (16000, 7200), (22050, 10000), (32000, 14500)])
@pytest.mark.parametrize("quality", ["HQ", "LQ"])
def test_upsampled(source_hz, low, quality):
    audio = soxr.resample(white(rate_hz=source_hz), source_hz, RATE_HZ, quality=quality)
    assert 0.8 * low <= bandwidth_hz(rounded(audio), RATE_HZ) <= source_hz / 2 + 100
    if quality == "HQ":
        assert bandwidth_hz(rounded(audio), RATE_HZ) >= low


@pytest.mark.parametrize("hz", [440, 1000, 7000, 15000])
def test_tones(hz):
    assert bandwidth_hz(rounded(tone(hz)), RATE_HZ) == pytest.approx(hz, abs=200)
    assert bandwidth_hz(tone(hz) + white(rms=0.3e-3), RATE_HZ) == 24000  # in hiss, which is sound too


def test_a_band_of_its_own_in_hiss_is_no_wall():
    whistle = scipy.signal.sosfilt(scipy.signal.butter(4, (3500, 4500), "band", fs=RATE_HZ, output="sos"), white())
    assert bandwidth_hz(whistle.astype(np.float32) + white(rms=1e-3, seed=1), RATE_HZ) == 24000


def test_tones_above_a_wall_do_not_count():
    audio = rounded(low_passed(white(), 8000) + tone(15625, amplitude=1e-3))
    assert bandwidth_hz(audio, RATE_HZ) == pytest.approx(8000, abs=150)


def test_a_click_does_not_count():
    audio = low_passed(white(), 8000)
    audio[70_000] += 0.5
    assert bandwidth_hz(rounded(audio), RATE_HZ) == pytest.approx(8000, abs=150)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_voice(seed):
    # its harmonics end at 8 kHz
    voice = rounded(glide(seed, 2.0)[0].astype(np.float32))
    assert bandwidth_hz(voice, RATE_HZ) == pytest.approx(8000, abs=400)
    hiss = syllables(low_passed(white(rms=0.003), 13000))
    assert bandwidth_hz(rounded(voice + hiss), RATE_HZ) == pytest.approx(13000, abs=200)


@pytest.mark.parametrize(("format_", "subtype", "rate_hz"), [("OGG", "OPUS", 48000), ("MP3", "MPEG_LAYER_III", 44100)])
def test_codecs_keep_the_wall_that_was_there(format_, subtype, rate_hz):
    for cutoff_hz in (4000, 8000):
        audio = syllables(low_passed(tilted(-3, 3.0), cutoff_hz, rate_hz))
        assert bandwidth_hz(coded(audio, format_, subtype, rate_hz), rate_hz) == pytest.approx(cutoff_hz, abs=800)


def test_codecs_own_walls():
    assert bandwidth_hz(coded(syllables(tilted(-3)), "OGG", "OPUS"), RATE_HZ) == pytest.approx(20000, abs=200)
    assert bandwidth_hz(coded(syllables(tilted(-3)), "MP3", "MPEG_LAYER_III", 44100), 44100) < 21000


def test_short_and_silent():
    assert bandwidth_hz(np.zeros(48000, np.float32), RATE_HZ) == 0
    assert bandwidth_hz(white(0.01), RATE_HZ) == 24000
    assert bandwidth_hz(low_passed(white(0.3), 8000), RATE_HZ) == pytest.approx(8000, abs=300)
