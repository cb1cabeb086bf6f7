import numpy as np
import pytest

pytest.importorskip("scipy", reason="mixing needs scipy: pip install 'percepnet[train]'")
import soundfile

from percepnet.training.corpus import AudioStore, ClipPool, find_clips
from percepnet.training.mixing import (
    BEFORE_DIRECT_SAMPLES,
    Mixer,
    MixingConfig,
    active_rms,
    direct_first,
    lowpass,
    reverberation_time_s,
    shortened,
    simulated_room,
    tilted_noise,
)

NEVER = {
    "speed_share": 0,
    "no_noise_share": 1,
    "no_speech_share": 0,
    "filter_share": 0,
    "room_share": 0,
    "lowpass_share": 0,
    "own_lowpass_share": 0,
    "step_share": 0,
    "clip_share": 0,
    "rounding_share": 0,
}


def exponential_room(rt60_s, seconds=1.4, seed=0):
    time_s = np.arange(round(seconds * 48000)) / 48000
    tail = np.random.default_rng(seed).standard_normal(len(time_s)) * 10 ** (-3 * time_s / rt60_s)
    return tail.astype(np.float32)


@pytest.fixture
def places(tmp_path):
    rng = np.random.default_rng(0)
    for name, audio in {
        "speech/a/1.wav": 0.2 * np.sign(np.sin(2 * np.pi * 150 * np.arange(96000) / 48000)),
        "speech/b/2.wav": 0.2 * np.sin(2 * np.pi * 220 * np.arange(48000) / 48000),
        "noise/rain/1.wav": 0.1 * rng.standard_normal(30000),
        "noise/fan/1.wav": 0.1 * np.sin(np.arange(48000)),
        "rooms/hall.wav": 0.1 * exponential_room(0.9),
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, audio.astype(np.float32), 48000, "FLOAT")
    return tmp_path


def mixer(places, **changes):
    def store(kind):
        return AudioStore(find_clips([places / kind]), places / "cache")

    return Mixer(
        ClipPool(store("speech"), "source"),
        ClipPool(store("noise"), "category"),
        store("rooms"),
        MixingConfig(**changes),
    )


def snr_db(mixture):
    return 20 * np.log10(active_rms(mixture.clean) / active_rms(mixture.noisy - mixture.clean))


def test_reproducible_from_its_seed(places):
    first, second = mixer(places), mixer(places)
    for seed in range(12):
        one, two = first.mixture([3, seed], 1.0), second.mixture([3, seed], 1.0)
        np.testing.assert_array_equal(one.clean, two.clean)
        np.testing.assert_array_equal(one.noisy, two.noisy)
        assert one.bandwidth_hz == two.bandwidth_hz
    assert not np.array_equal(first.mixture(0, 1.0).noisy, first.mixture(1, 1.0).noisy)


def test_shape_and_range(places):
    making = mixer(places)
    for seed in range(60):
        mixture = making.mixture(seed, 0.73)
        assert mixture.clean.shape == mixture.noisy.shape == (35040,)
        assert mixture.clean.dtype == mixture.noisy.dtype == np.float32
        assert np.isfinite(mixture.clean).all()
        assert np.abs(mixture.noisy).max() <= 1.0
        assert 0 < mixture.bandwidth_hz <= 24000


def test_without_noise_nothing_is_to_be_removed(places):
    mixture = mixer(places, **NEVER).mixture(1, 1.0)
    np.testing.assert_array_equal(mixture.clean, mixture.noisy)
    assert (mixture.clean != 0).mean() > 0.99  # room tone, and no digital silence


def test_levels_and_ratios_are_in_range(places):
    never = {**NEVER, "no_noise_share": 0, "low_snr_share": 0, "high_snr_share": 0, "synthetic_share": 0}
    making = mixer(places, **never)
    for seed in range(20):
        mixture = making.mixture(seed, 1.0)
        if np.abs(mixture.noisy).max() < 0.999:  # not scaled down afterwards
            assert -46 < 20 * np.log10(active_rms(mixture.clean)) < -5
        assert -0.7 < snr_db(mixture) < 20.7  # the filtered level is measured before the sum


def test_synthetic_noise_alone(places):
    store = AudioStore(find_clips([places / "speech"]), places / "cache")
    making = Mixer(ClipPool(store, "source"))
    assert all(np.isfinite(making.mixture(seed, 0.5).noisy).all() for seed in range(30))


def test_no_speech_leaves_room_tone(places):
    mixture = mixer(places, **{**NEVER, "no_speech_share": 1, "no_noise_share": 0}).mixture(0, 1.0)
    assert 0 < active_rms(mixture.clean) < 0.1 * active_rms(mixture.noisy)


def test_lowpass_masks_what_it_removes(places):
    making = mixer(places, **{**NEVER, "no_noise_share": 0, "lowpass_share": 1})
    for seed in range(5):
        mixture = making.mixture(seed, 1.0)
        power = np.abs(np.fft.rfft(mixture.noisy * np.hanning(48000))) ** 2
        above = power[round(mixture.bandwidth_hz) + 50 :]
        assert mixture.bandwidth_hz < 16000
        assert 10 * np.log10(above.mean() / power.mean()) < -60


def test_clipping_and_rounding(places):
    mixture = mixer(places, **{**NEVER, "clip_share": 1}).mixture(0, 1.0)
    assert np.abs(mixture.noisy).max() == 1.0
    assert np.abs(mixture.clean).max() > 1.0
    rounded = mixer(places, **{**NEVER, "rounding_share": 1}).mixture(0, 1.0).noisy * 32768
    np.testing.assert_array_equal(rounded, np.rint(rounded))


def test_speed_changes_pitch_and_bandwidth(places):
    def peak_hz(audio):
        return np.argmax(np.abs(np.fft.rfft(audio * np.hanning(len(audio)))))

    usual = mixer(places, **NEVER)
    slow = mixer(places, **{**NEVER, "speed_share": 1, "speed_min": 0.8, "speed_max": 0.8000001})
    found = {peak_hz(usual.mixture(seed, 1.0).clean) for seed in range(12)}
    lowered = {peak_hz(slow.mixture(seed, 1.0).clean) for seed in range(12)}
    assert found == {150, 220}
    assert lowered == {120, 176}
    assert slow.mixture(0, 1.0).bandwidth_hz == pytest.approx(0.8 * 24000, rel=1e-5)


def test_room_keeps_the_direct_sound_in_the_target(places):
    making = mixer(places, **{**NEVER, "room_share": 1, "measured_room_share": 1})
    mixture = making.mixture(0, 2.0)
    late = mixture.noisy - mixture.clean
    assert active_rms(late) > 0.05 * active_rms(mixture.clean)
    assert np.corrcoef(mixture.clean, mixture.noisy)[0, 1] > 0.5


def test_active_rms_by_hand():
    audio = np.zeros(4800, np.float32)
    audio[:2400] = 0.5  # the silent half does not count
    assert active_rms(audio) == pytest.approx(0.5)
    assert active_rms(np.zeros(4800, np.float32)) == 0
    assert active_rms(np.full(10, 0.1, np.float32)) == pytest.approx(0.1)


@pytest.mark.parametrize("rt60_s", [0.2, 0.5, 1.0])
def test_reverberation_time_of_an_exponential_decay(rt60_s):
    assert reverberation_time_s(exponential_room(rt60_s)) == pytest.approx(rt60_s, rel=0.05)


def test_reverberation_time_of_a_click():
    assert reverberation_time_s(np.eye(1, 1000, dtype=np.float32)[0]) == 0
    assert reverberation_time_s(np.zeros(10, np.float32)) == 0


def test_shortened_room_decays_in_200_ms():
    response = exponential_room(0.8)
    target = shortened(response)
    early = round(0.020 * 48000)
    np.testing.assert_array_equal(target[:early], response[:early])
    assert reverberation_time_s(target[early:]) == pytest.approx(0.2, rel=0.07)
    dry = exponential_room(0.15)
    np.testing.assert_array_equal(shortened(dry), dry)


def test_direct_first():
    response = np.zeros(48000 * 2, np.float32)
    response[5000] = 2
    response[6000] = 1
    cut = direct_first(response)
    assert len(cut) == 72000
    assert np.argmax(cut) == BEFORE_DIRECT_SAMPLES
    assert np.sum(cut[:960] ** 2) == pytest.approx(1)


def test_simulated_rooms_are_rooms():
    for seed in range(20):
        response = simulated_room(np.random.default_rng(seed))
        assert np.argmax(np.abs(response)) == BEFORE_DIRECT_SAMPLES
        assert 0 <= reverberation_time_s(response) < 0.9


@pytest.mark.parametrize(("slope", "expected_db"), [(0, 0), (-3, -3), (-6, -6)])
def test_tilted_noise_falls_per_octave(slope, expected_db):
    audio = tilted_noise(np.random.default_rng(0), 480000, slope)
    power = np.abs(np.fft.rfft(audio)) ** 2
    bands = [power[10 * low : 20 * low].mean() for low in (500, 1000, 2000, 4000)]
    np.testing.assert_allclose(np.diff(10 * np.log10(bands)), expected_db, atol=0.4)
    assert np.sqrt(np.mean(audio**2)) == pytest.approx(1, rel=1e-3)


def test_lowpass_passes_and_stops():
    time_s = np.arange(48000) / 48000
    low, high = np.sin(2 * np.pi * 3000 * time_s), np.sin(2 * np.pi * 4200 * time_s)
    filtered = lowpass((low + high).astype(np.float32), 4000.0)
    middle = slice(4800, -4800)
    np.testing.assert_allclose(filtered[middle], low[middle], atol=3e-3)
