import numpy as np
import pytest

from percepnet.training.measures import (
    active_level_db,
    clipped_share,
    direct_to_reverberant_db,
    frame_powers,
    noise_floor_db,
    silence_share,
)
from room_responses import exponential_room

RATE_HZ = 16000


def white(seconds, rms, seed=0):
    return (rms * np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def tone(hz, seconds=1.0, amplitude=0.5):
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def words(rms):
    """Half a second of sound, half a second of nothing, four times."""
    return white(4, rms) * np.repeat(np.tile([1.0, 0.0], 4), RATE_HZ // 2).astype(np.float32)


def powers(audio):
    return frame_powers(audio, RATE_HZ)


def test_active_level_is_of_the_words():
    assert active_level_db(powers(words(0.1))) == pytest.approx(-20, abs=0.2)
    assert active_level_db(powers(np.zeros(1000, np.float32))) == -np.inf
    assert active_level_db(powers(np.full(10, 0.1, np.float32))) == pytest.approx(-20, abs=1e-4)  # less than a frame


@pytest.mark.parametrize("snr_db", [10, 20, 30, 45, 60])
def test_noise_floor(snr_db):
    audio = words(0.1) + white(4, 0.1 * 10 ** (-snr_db / 20), seed=1)
    # the quietest tenth of noisy frames is a little below their mean
    active_db = 10 * np.log10(1 + 10 ** (-snr_db / 10)) if snr_db > 40 else 0
    expected = -snr_db if snr_db > 40 else _floor_below_mixed(snr_db)
    assert noise_floor_db(powers(audio)) == pytest.approx(expected - active_db, abs=1.5)


def _floor_below_mixed(snr_db):
    # above -40 dB the pauses count as active: the level is of half words, half noise
    noise = 10 ** (-snr_db / 10)
    return 10 * np.log10(noise / (0.5 * (1 + noise) + 0.5 * noise))


def test_noise_floor_does_not_count_digital_silence():
    noisy = words(0.1) + white(4, 0.01, seed=1)
    chained = np.concatenate([noisy, np.zeros(RATE_HZ, np.float32), noisy])
    assert noise_floor_db(powers(chained)) == pytest.approx(noise_floor_db(powers(noisy)), abs=0.3)
    assert noise_floor_db(powers(np.zeros(1000, np.float32))) == 0


def test_silence():
    assert silence_share(powers(words(0.1))) == pytest.approx(0.5, abs=0.01)
    assert silence_share(powers(words(0.1) + white(4, 0.1 * 10**-2))) == 0  # a floor of -40 dB is sound


@pytest.mark.parametrize("level", [1.0, 0.3])
def test_clipping_is_counted(level):
    audio = np.clip(tone(197.3, amplitude=1.0), -0.8, 0.8) * np.float32(level / 0.8)
    expected = 1 - 2 * np.arcsin(0.8) / np.pi
    for x in (audio, np.rint(audio * 32767).astype(np.float32) / 32768):
        assert clipped_share(x) == pytest.approx(expected, rel=0.02)


def test_one_side_is_enough():
    assert clipped_share(np.minimum(tone(197.3), np.float32(0.4))) == pytest.approx(
        0.5 - np.arcsin(0.8) / np.pi, rel=0.03
    )


@pytest.mark.parametrize("hz", [5, 20, 50, 200, 1000, 4000])
@pytest.mark.parametrize("amplitude", [0.001, 0.5, 0.9999])
def test_smooth_peaks_are_not_clipped(hz, amplitude):
    audio = np.rint(tone(hz, amplitude=amplitude) * 32767).astype(np.float32) / 32768
    assert clipped_share(audio) == 0


def test_noise_and_silence_are_not_clipped():
    assert clipped_share(np.rint(white(2, 0.1) * 32768).astype(np.float32) / 32768) == 0
    assert clipped_share(np.zeros(100, np.float32)) == 0
    assert clipped_share(np.zeros(0, np.float32)) == 0


def test_what_a_decoder_returns_above_full_scale_is_clipped():
    assert clipped_share(tone(197.3, amplitude=1.25)) == pytest.approx(1 - 2 * np.arcsin(0.8) / np.pi, rel=0.02)


@pytest.mark.parametrize("drr_db", [-5.0, 0.0, 12.0])
def test_direct_to_reverberant(drr_db):
    late = exponential_room(0.5)
    late[:200] = 0
    late *= np.float32(10 ** (-drr_db / 20) / np.sqrt(np.sum(late.astype(np.float64) ** 2)))
    assert np.abs(late).max() < 1
    response = np.concatenate([np.zeros(240, np.float32), late])
    response[240] = 1
    assert direct_to_reverberant_db(response, 48000) == pytest.approx(drr_db, abs=0.1)


def test_no_reverberation():
    response = np.zeros(1000, np.float32)
    response[100] = 1
    assert direct_to_reverberant_db(response, 48000) == 100
