import numpy as np
import pytest

pytest.importorskip("scipy", reason="mixing needs scipy: pip install 'percepnet[train]'")
import soundfile

from percepnet.acoustics.levels import active_rms
from percepnet.acoustics.mixing import Mixer, MixingConfig, attenuation_limit_db, lowpass
from percepnet.training.corpus import find_clips
from percepnet.training.sampling import ClipPool
from percepnet.training.store import AudioStore
from room_responses import exponential_room

NEVER = {
    "speed_share": 0,
    "no_noise_share": 1,
    "no_speech_share": 0,
    "filter_share": 0,
    "equaliser_share": 0,
    "room_share": 0,
    "lowpass_share": 0,
    "own_lowpass_share": 0,
    "step_share": 0,
    "clip_share": 0,
    "rounding_share": 0,
}


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


def test_a_crowd_is_there_without_a_pause(places):
    alone = {**NEVER, "no_noise_share": 0, "no_speech_share": 1, "low_snr_share": 1, "high_snr_share": 0}
    making = mixer(places, **alone, crowd_share=1, second_noise_share=0)
    for seed in range(5):
        made = making.mixture(seed, 3.0)
        power = (made.noisy - made.clean).reshape(-1, 2400).astype(float) ** 2
        level = power.mean(axis=1)
        assert level.min() > 1e-3 * level.mean() > 0


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


def test_bandwidth_of_the_speech_and_cutoff_of_both(places):
    whole = mixer(places, **NEVER).mixture(0, 1.0)
    assert whole.bandwidth_hz == whole.cutoff_hz == 24000
    cut = mixer(places, **{**NEVER, "lowpass_share": 1}).mixture(0, 1.0)
    assert cut.bandwidth_hz == cut.cutoff_hz < 16000


def test_events_are_the_loudest_moments(places):
    """A click in a long silence is found, and comes again."""
    audio = np.zeros(480_000, np.float32)
    audio[300_000] = 0.5
    (places / "clicks").mkdir()
    soundfile.write(places / "clicks" / "click.wav", audio, 48000, "FLOAT")
    making = mixer(places, **{**NEVER, "event_share": 1, "noise_speed_share": 0})
    pool = ClipPool(AudioStore(find_clips([places / "clicks"]), places / "cache"), "category")
    found = [making._events(np.random.default_rng(seed), pool, 240_000) for seed in range(6)]
    assert all(noise.shape == (240_000,) for noise in found)
    assert max(np.abs(noise).max() for noise in found) == pytest.approx(1.0, abs=0.75)
    assert max((np.abs(noise) > 0.1).sum() for noise in found) > 1


def test_room_keeps_the_direct_sound_in_the_target(places):
    making = mixer(places, **{**NEVER, "room_share": 1, "measured_room_share": 1})
    mixture = making.mixture(0, 2.0)
    late = mixture.noisy - mixture.clean
    assert active_rms(late) > 0.05 * active_rms(mixture.clean)
    assert np.corrcoef(mixture.clean, mixture.noisy)[0, 1] > 0.5


def test_lowpass_passes_and_stops():
    time_s = np.arange(48000) / 48000
    low, high = np.sin(2 * np.pi * 3000 * time_s), np.sin(2 * np.pi * 4200 * time_s)
    filtered = lowpass((low + high).astype(np.float32), 4000.0)
    middle = slice(4800, -4800)
    np.testing.assert_allclose(filtered[middle], low[middle], atol=3e-3)


def test_what_is_nearly_clean_need_not_be_attenuated_much(places):
    noisy = NEVER | {"no_noise_share": 0, "floor_min_db": -90, "floor_max_db": -90, "clean_limit_db": 5.0}
    for seed in range(20):
        mixture = mixer(places, **noisy).mixture(seed, 1.0)
        expected = 5 + 1.5 * max(0.0, 40 - snr_db(mixture))
        assert mixture.limit_db == pytest.approx(expected, abs=0.1)
    assert mixer(places, **NEVER, clean_limit_db=5.0).mixture(0, 1.0).limit_db == 5
    assert mixer(places, **NEVER).mixture(0, 1.0).limit_db == np.inf


def test_backwards_is_the_same_mixture_from_its_end(places):
    usual, turned = (mixer(places, backwards=backwards).mixture(3, 1.0) for backwards in (False, True))
    np.testing.assert_array_equal(turned.clean, usual.clean[::-1])
    np.testing.assert_array_equal(turned.noisy, usual.noisy[::-1])
    assert turned[2:] == usual[2:]


def test_noise_alone_has_no_limit():
    noise = np.ones(4800, np.float32)
    assert attenuation_limit_db(np.zeros_like(noise), noise, 5.0) == np.inf
    assert attenuation_limit_db(np.zeros_like(noise), np.zeros_like(noise), 5.0) == 5


def test_pauses_are_silent_in_speech_and_not_in_noise(places):
    m = mixer(
        places, **NEVER | {"no_noise_share": 0}, pause_share=1, pause_min_s=1.0, pause_max_s=1.5, floor_max_db=-60
    )
    for seed in range(4):
        mixture = m.mixture(seed, 4.0)
        hops = mixture.clean[:192000].reshape(-1, 480)
        power = np.mean(hops**2, axis=1)
        quiet = power < 1e-4 * power.max()
        longest = max(len(run) for run in "".join("1" if hop else "0" for hop in quiet).split("0"))
        at_end = quiet[-1]
        assert 95 <= longest <= 155 or at_end  # hops of 10 ms; one that begins late may be cut
        noise = (mixture.noisy - mixture.clean)[:192000].reshape(-1, 480)
        assert np.mean(noise[quiet] ** 2) > 0.01 * np.mean(noise**2)


def test_a_distant_stretch_keeps_its_level_below_the_rest(places):
    m = mixer(places, **NEVER, distance_share=1, distance_max_db=6.0, floor_min_db=-100, floor_max_db=-100)
    for seed in range(4):
        power = np.mean(m.mixture(seed, 4.0).clean[:192000].reshape(-1, 4800) ** 2, axis=1)
        spread = 10 * np.log10(power.max() / power[power > 0].min())
        assert 4 < spread < 12  # some of it from the two voices themselves


def test_noise_is_softer_where_somebody_is_far_away_in_a_quiet_room(places):
    far = {
        **NEVER,
        "no_noise_share": 0,
        "distance_share": 1,
        "distance_max_db": 40,
        "low_snr_share": 0,
        "high_snr_share": 0,
    }
    usual, quiet = (mixer(places, **far, quiet_distance_share=share) for share in (0.0, 1.0))
    found = [np.mean([snr_db(making.mixture(seed, 2.0)) for seed in range(30)]) for making in (usual, quiet)]
    assert 6 < found[1] - found[0] < 18  # half of 6 to 40 dB, on average


def test_shares_of_nothing_leave_the_mixtures_of_a_seed_as_they_were(places):
    one = mixer(places).mixture(3, 1.0)
    other = mixer(places, pause_max_s=2.0, distance_max_db=10.0).mixture(3, 1.0)
    np.testing.assert_array_equal(one.noisy, other.noisy)
