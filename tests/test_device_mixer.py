"""Mixtures made on the device: what they are put together from, and what they are like."""

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import scipy.signal

torch = pytest.importorskip("torch")

from device_corpus import recordings
from percepnet.acoustics.mixing import MixingConfig
from percepnet.acoustics.mixing import lowpass as reference_lowpass
from percepnet.acoustics.rooms import BEFORE_DIRECT_SAMPLES, direct_first, shortened
from percepnet.errors import PercepNetError
from percepnet.params import SAMPLE_RATE_HZ, SignalParams
from percepnet.training.corpus import Clip
from percepnet.training.device import source as device_source
from percepnet.training.device.config import SourceConfig
from percepnet.training.device.corpus import Pieces, Recorded
from percepnet.training.device.kept import KeptSource
from percepnet.training.device.rooms import ROOM_SAMPLES, RoomBank
from percepnet.training.device.scenes import CROWD
from percepnet.training.device.source import DeviceSource, held_out_rows
from percepnet.training.device.spectra import (
    at_speed,
    lowpass,
    microphones,
    noise_spectrum,
    smooth_length,
    speeds,
    tilts,
)  # fmt: skip
from percepnet.training.rows import RowLayout
from percepnet.training.signal import stft
from percepnet.training.signal.levels import active_rms

CPU = torch.device("cpu")
SOURCE = SourceConfig(
    device=True, segment_seconds=2.0, long_share=0, dc_share=0, hum_share=0, bank_noises=1, bank_rooms=2
)
PLAIN = MixingConfig(
    level_min_db=-20, level_max_db=-20, no_noise_share=0, no_speech_share=0, low_snr_share=0, high_snr_share=0,
    room_share=0, lowpass_share=0, own_lowpass_share=0, step_share=0, clip_share=0, rounding_share=0,
    floor_min_db=-75, floor_max_db=-70,
)  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    made = recordings(tmp_path_factory.mktemp("corpus"))
    kinds = ("speech", "noise", "rooms")
    return replace(made, **{kind: [replace(clip, split="train") for clip in getattr(made, kind)] for kind in kinds})


def mixer(corpus, mixing=PLAIN, source=SOURCE, lanes=4, seed=0):
    return device_source._mixer(replace(corpus, mixing=mixing), source, CPU, lanes, seed, "train")


class Store:
    """Recordings that are there already, one of every length."""

    def __init__(self, lengths, bandwidth_hz=24_000.0):
        self.clips = [Clip(None, n, "", "", "", bandwidth_hz - number, "train") for number, n in enumerate(lengths)]
        self.audio = np.arange(sum(lengths), dtype=np.int16)

    def decoded(self):
        return self.audio


def test_pieces_are_the_recordings_one_after_another():
    recorded = Recorded(Store([100, 50]), CPU, ["a", "b"], ["s", "s"])
    pieces = Pieces(np.array([[20, 110], [5, 5]]), np.array([[30, 60], [70, 70]]), np.zeros(2))
    sound = recorded.render(pieces, 80).numpy() * 32768
    expected = np.zeros((2, 80))
    expected[0, :30], expected[0, 30:60] = np.arange(20, 50), np.arange(110, 140)
    expected[1, :70] = np.arange(5, 75)
    np.testing.assert_array_equal(np.rint(sound), expected)


def test_stretches_are_of_one_group_and_of_the_length_that_is_wanted():
    recorded = Recorded(Store([4000, 3000, 5000]), CPU, ["a", "a", "b"], ["s", "s", "s"])
    rng = np.random.default_rng(0)
    pieces = recorded.draw(rng, np.full(20, 1500), np.zeros(20, np.int64))
    assert (pieces.ends[:, -1] == 1500).all()
    last = pieces.addresses + np.diff(pieces.ends, axis=1, prepend=0)
    assert ((pieces.addresses >= 0) & (last <= 7000)).all()  # both recordings of group a, and not beyond
    assert set(pieces.bandwidth_hz) <= {24_000.0, 23_999.0}


def test_a_short_speaker_is_followed_by_others_of_the_same_source():
    recorded = Recorded(Store([300, 300, 300, 9000]), CPU, ["a", "b", "c", "d"], ["few", "few", "few", "other"])
    pieces = recorded.draw(np.random.default_rng(0), np.full(50, 2000), np.zeros(50, np.int64))
    heard = (pieces.addresses // 300)[np.diff(pieces.ends, axis=1, prepend=0) > 0]
    assert {0, 1, 2} <= set(heard.tolist())
    assert heard.max() < 3


def test_many_speakers_with_a_sentence_each_count_for_more_than_one_with_as_many():
    groups = [*(f"speaker{number}" for number in range(250)), "reader"]
    recorded = Recorded(Store([240] * 250 + [60_000]), CPU, groups, ["s"] * 251)
    drawn = recorded.group(np.random.default_rng(0), 4000)
    reader = sorted(groups).index("reader")
    assert 0.03 < np.mean(drawn == reader) < 0.09  # sqrt(250) of 250 + sqrt(250)


def test_a_source_can_be_left_out_and_not_all():
    drawn = Recorded(Store([10, 10]), CPU, ["a", "b"], ["x", "y"], {"y": 0.0}).group(np.random.default_rng(0), 100)
    assert (drawn == 0).all()
    with pytest.raises(PercepNetError, match="no recording is left by the weights"):
        Recorded(Store([10]), CPU, ["a"], ["x"], {"x": 0.0})


def test_onwards_goes_round():
    recorded = Recorded(Store([100, 40]), CPU, ["a", "b"], ["s", "s"])
    pieces = recorded.onwards(np.array([1, 0]), np.array([30, 0]), np.array([90, 90]))
    sound = np.rint(recorded.render(pieces, 90).numpy() * 32768)
    np.testing.assert_array_equal(sound[0], 100 + (30 + np.arange(90)) % 40)
    np.testing.assert_array_equal(sound[1], np.arange(90))


def test_played_faster_a_tone_is_higher():
    length = smooth_length(20_000)
    faster = int(speeds(length, 1.2, 1.3)[0])
    tone = torch.sin(2 * math.pi * 1000 / SAMPLE_RATE_HZ * torch.arange(faster))[None]
    sound = torch.fft.irfft(at_speed(tone, faster, length // 2 + 1), n=length)
    hz = np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ)[np.abs(np.fft.rfft(sound[0].numpy())).argmax()]
    assert hz == pytest.approx(1000 * faster / length, abs=SAMPLE_RATE_HZ / length)
    assert sound.abs().max() == pytest.approx(1, abs=0.1)


def test_speeds_cover_their_range_by_lengths_that_transforms_are_fast_at():
    lengths = speeds(552_960, 0.6, 1.6)
    assert lengths[0] < 0.62 * 552_960
    assert lengths[-1] > 1.57 * 552_960
    assert np.max(lengths[1:] / lengths[:-1]) < 1.04


def test_filters_on_spectra_are_those_in_time():
    rng = np.random.default_rng(1)
    x = np.zeros(16_384, np.float32)
    x[:8000] = rng.standard_normal(8000)
    filters = np.array([[[1, 0.3, -0.2], [1, -0.35, 0.1]]], np.float32)
    response = microphones(torch.from_numpy(filters), torch.zeros(1, 10), 8193)
    found = torch.fft.irfft(torch.fft.rfft(torch.from_numpy(x)) * response[0], n=len(x))
    expected = scipy.signal.lfilter(filters[0, 0], filters[0, 1], x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    colours = torch.zeros(1, 10)
    colours[0, 3] = 6.0  # at 480 Hz
    gains_db = 20 * torch.log10(microphones(torch.from_numpy(np.float32([[[1, 0, 0]] * 2])), colours, 8193).abs())
    assert gains_db[0, round(480 / (24_000 / 8192))] == pytest.approx(6, abs=0.1)
    assert gains_db[0, round(2000 / (24_000 / 8192))] == pytest.approx(0, abs=0.1)


def test_low_pass_and_tilt():
    rng = np.random.default_rng(2)
    x = rng.standard_normal(60_000).astype(np.float32)
    response = lowpass(torch.tensor([8000.0]), 30_001)
    found = torch.fft.irfft(torch.fft.rfft(torch.from_numpy(x)) * response[0], n=len(x)).numpy()
    np.testing.assert_allclose(found[2000:-2000], reference_lowpass(x, 8000.0)[2000:-2000], atol=0.02)
    slope_db = 20 * torch.log10(tilts(torch.tensor([-6.0]), 24_001)[0])
    assert slope_db[2000] - slope_db[4000] == pytest.approx(6, abs=0.01)
    noise = torch.fft.irfft(noise_spectrum(2, 24_001, torch.Generator().manual_seed(0)), n=48_000)
    assert noise[0].std() / noise[1].std() == pytest.approx(1, abs=0.05)


def test_rooms_are_convolutions_and_their_targets_ring_for_less_long():
    rng = np.random.default_rng(3)
    response = (rng.standard_normal(40_000) * np.exp(-np.arange(40_000) / 6000)).astype(np.float32)
    response[0] = 10
    room = direct_first(response)
    bank = RoomBank([], [room], CPU)
    voice = rng.standard_normal(20_000).astype(np.float32)
    bins = smooth_length(20_000 + ROOM_SAMPLES) // 2 + 1
    spectra = bank.spectra(np.array([0]), np.ones(1, np.float32), bins)
    for spectrum, expected in zip(spectra, (room, shortened(room)), strict=True):
        found = torch.fft.irfft(torch.fft.rfft(torch.from_numpy(voice), n=2 * bins - 2) * spectrum[0])
        wanted = scipy.signal.oaconvolve(voice, expected)[BEFORE_DIRECT_SAMPLES:20_000]
        np.testing.assert_allclose(found[BEFORE_DIRECT_SAMPLES:20_000], wanted, atol=2e-4)


def test_small_rooms_are_drawn_more_than_halls():
    rng = np.random.default_rng(4)

    def ringing(rt60_s):
        n = np.arange(int(1.5 * SAMPLE_RATE_HZ))
        tail = rng.standard_normal(len(n)) * 10 ** (-3 * n / (rt60_s * SAMPLE_RATE_HZ))
        return direct_first(np.concatenate([[20.0], tail]).astype(np.float32))

    bank = RoomBank([ringing(0.3), ringing(2.0)], [ringing(0.3)], CPU)
    drawn = bank.draw(rng, 1000, 1.0)
    assert np.mean(drawn == 1) < 0.15
    assert (bank.draw(rng, 100, 0.0) == 2).all()


def test_the_same_seed_and_number_give_the_same_segment(corpus):
    first, second, other = (mixer(corpus, seed=seed).segment(3)[0] for seed in (1, 1, 2))
    assert torch.equal(first.noisy, second.noisy)
    assert torch.equal(first.clean, second.clean)
    assert not torch.equal(first.noisy, other.noisy)


def test_levels_and_signal_to_noise_ratios_are_those_of_the_settings(corpus):
    found, begins = mixer(corpus, lanes=16).segment(0)
    assert begins.all()
    level_db = 20 * torch.log10(active_rms(found.clean))
    assert (level_db + 20).abs().max() < 1.0  # less what the end of the segment, which is for the next, held
    snr_db = level_db - 20 * torch.log10(active_rms(found.noisy - found.clean))
    assert snr_db.min() > -1.5
    assert snr_db.max() < 22
    assert snr_db.std() > 3


def test_a_long_sequence_begins_with_noise_alone_and_goes_on_without_a_seam(corpus):
    source = replace(SOURCE, long_share=1.0, long_min_segments=3, long_max_segments=3, noise_alone_share=1.0)
    made = mixer(corpus, replace(PLAIN, synthetic_share=0.0, event_share=0.0), source, lanes=6)
    segments = [made.segment(number) for number in range(4)]
    assert [begins.all().item() for _, begins in segments] == [True, False, False, True]
    assert not segments[1][1].any()
    spoken_db = [20 * torch.log10(active_rms(found.clean)) for found, _ in segments[:3]]
    assert spoken_db[0].max() < -60  # room tone
    assert (spoken_db[2] > -25).all()
    noise = [(found.noisy - found.clean) for found, _ in segments[:3]]
    change_db = 20 * torch.log10(active_rms(noise[1]) / active_rms(noise[0]))
    assert change_db.abs().max() < 3  # the same noise
    seam = (segments[1][0].noisy[:, 0] - segments[0][0].noisy[:, -1]).abs()
    steps = segments[0][0].noisy.diff(dim=1).abs().amax(dim=1)
    assert (seam <= 2 * steps).all()


def test_pauses_and_distant_speech(corpus):
    still = {"no_noise_share": 1.0, "speed_share": 0.0, "equaliser_share": 0, "filter_share": 0}
    paused, _ = mixer(corpus, replace(PLAIN, **still, pause_share=1.0, pause_min_s=1.0, pause_max_s=1.0)).segment(0)
    quiet = active_rms(paused.clean)[:, None] * 10 ** (-50 / 20)
    hops = paused.clean.unfold(1, 4800, 4800).square().mean(dim=-1).sqrt()
    assert ((hops < quiet).sum(dim=1) >= 5).all()
    distant, _ = mixer(corpus, replace(PLAIN, **still, distance_share=1.0)).segment(0)
    assert distant.clean.isfinite().all()
    assert not torch.equal(distant.clean, mixer(corpus, replace(PLAIN, **still)).segment(0)[0].clean)


def test_everything_at_once_is_finite_and_within_full_scale(corpus):
    mixing = MixingConfig(
        level_min_db=-70, level_max_db=0, clip_share=0.3, step_share=0.3, room_share=0.7, pause_share=0.3,
        distance_share=0.3, second_noise_share=1.0, noise_room_share=0.5, reverse_share=0.5, clean_limit_db=8.0,
    )  # fmt: skip
    source = replace(SOURCE, long_share=0.5, dc_share=0.5, hum_share=0.5)
    made = mixer(corpus, mixing, source, lanes=12)
    for number in range(3):
        found, _ = made.segment(number)
        assert found.noisy.isfinite().all()
        assert found.clean.isfinite().all()
        assert found.noisy.abs().max() <= 1
        assert (found.limit_db >= 8).all()
        assert (found.bandwidth_hz <= found.cutoff_hz).all()


def test_without_noises_or_rooms_all_of_them_are_synthetic(corpus):
    alone = replace(corpus, noise=[], rooms=[])
    found, _ = mixer(alone, replace(PLAIN, room_share=1.0)).segment(0)
    assert active_rms(found.noisy - found.clean).min() > 0


def test_rows_and_what_is_held_out(corpus):
    params = SignalParams(feature_blocks=("relative_band_levels", "coherences", "pitch"))
    source = DeviceSource(corpus, params, SOURCE, CPU, lanes=3, seed=0, keep_spectra=True)
    rows, noisy, *_ = source.segment(0).examples
    assert rows.shape == (3, 200, RowLayout(params).count)
    assert noisy.shape == (3, 200, 481)
    assert rows.isfinite().all()
    assert (rows[..., RowLayout(params).gains] <= 1).all()
    assert held_out_rows(corpus, params, SOURCE, CPU, 0, 2) is None  # nothing is
    spoken = replace(corpus, speech=[replace(clip, split="valid") for clip in corpus.speech])
    assert held_out_rows(spoken, params, SOURCE, CPU, 0, 2).shape == (2, 200, RowLayout(params).count)
    with pytest.raises(PercepNetError, match="no speech of the split 'train'"):
        DeviceSource(spoken, params, SOURCE, CPU, lanes=3, seed=0)
    with pytest.raises(PercepNetError, match=r"segment_seconds is 0\.5"):
        DeviceSource(corpus, params, replace(SOURCE, segment_seconds=0.5), CPU, lanes=3, seed=0)


def test_backwards_is_the_same_mixture_from_its_end(corpus):
    params = SignalParams()
    sounds = []
    turned = replace(corpus, mixing=replace(PLAIN, backwards=True))
    for used in (replace(corpus, mixing=PLAIN), turned):
        made = DeviceSource(used, params, SOURCE, CPU, lanes=2, seed=0, keep_spectra=True).segment(0).examples
        sounds.append([stft.overlap_add(stft.synthesis(spectrum)) for spectrum in (made.clean, made.noisy)])
    with pytest.raises(PercepNetError, match=r"set \[source\] long_share = 0"):
        DeviceSource(turned, params, replace(SOURCE, long_share=0.5), CPU, lanes=2, seed=0)
    for usual, from_its_end in zip(*sounds, strict=True):
        again = from_its_end.flip(1)
        late = max(range(0, 9 * 480, 480), key=lambda samples: _product(usual, again, samples))
        torch.testing.assert_close(usual[:, late:], again[:, : usual.shape[1] - late], rtol=0, atol=1e-4)


def _product(x, y, late):
    return (x[:, late:] * y[:, : y.shape[1] - late]).sum().item()


def test_segments_that_are_kept_are_those_that_were_made(corpus, tmp_path):
    params = SignalParams(feature_blocks=("relative_band_levels", "coherences", "pitch"))
    settings = replace(SOURCE, long_share=0.0, kept=2)
    arguments = (corpus, params, settings, CPU)
    made = DeviceSource(*arguments, lanes=3, seed=0, keep_spectra=True)
    kept = KeptSource(*arguments, lanes=3, seed=0, keep_spectra=True, folder=tmp_path / "kept")
    first, second = (made.segment(number).examples for number in (0, 4))
    for examples, number in ((first, 0), (second, 4)):
        found = kept.segment(number)
        assert found.begins.all()
        torch.testing.assert_close(found.examples.rows, examples.rows, rtol=1e-3, atol=1e-3)
        factor = found.examples.clean.abs().sum(dim=(1, 2)) / examples.clean.abs().sum(dim=(1, 2))
        torch.testing.assert_close(found.examples.noisy, factor[:, None, None] * examples.noisy, rtol=1e-2, atol=2e-3)
    later = [kept.segment(number).examples.rows for number in range(8, 40, 4)]
    assert {round(rows.sum().item(), 1) for rows in later} == {
        round(examples.rows.half().float().sum().item(), 1) for examples in (first, second)
    }
    again = KeptSource(*arguments, lanes=3, seed=0, keep_spectra=True, folder=tmp_path / "kept")
    for number in (8, 12):  # what a run that is continued finds
        for part, was in zip(again.segment(number).examples, kept.segment(number).examples, strict=True):
            torch.testing.assert_close(part, was, rtol=0, atol=0)
    kept.forget()
    assert not list(tmp_path.iterdir())
    alone = KeptSource(*arguments, lanes=3, seed=0, folder=tmp_path / "alone").segment(0).examples
    assert alone.noisy.numel() == 0


def test_a_disk_without_room_for_what_is_kept(corpus, tmp_path, monkeypatch):
    params = SignalParams(feature_blocks=("relative_band_levels", "coherences", "pitch"))
    settings = replace(SOURCE, long_share=0.0, kept=1_000_000)
    kept = KeptSource(corpus, params, settings, CPU, lanes=3, seed=0, folder=tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12, 10**6))
    with pytest.raises(PercepNetError, match=r"1000000 segments .* GB more, and the disk has 0\.0 GB left: lower"):
        kept.segment(0)
    assert not list(tmp_path.iterdir())


def test_a_crowd_is_in_a_room_and_never_silent(corpus):
    talking = replace(PLAIN, crowd_share=1.0, reverse_share=1.0)
    scenes, _ = mixer(corpus, talking)._next_scenes(np.random.default_rng(0))
    assert (scenes.kind == CROWD).all()
    assert (scenes.room >= 0).all()
    assert not scenes.reverse.any()
    made, _ = mixer(corpus, talking, lanes=8).segment(0)
    steps = [(sound.unfold(1, 4800, 4800).square().mean(dim=2)) for sound in (made.noisy - made.clean, made.clean)]
    crowd, one = ((level < 1e-2 * level.mean(dim=1, keepdim=True)).float().mean().item() for level in steps)
    assert crowd < 0.02
    assert one > 0.1


def test_noise_is_softer_where_somebody_is_far_away_in_a_quiet_room(corpus):
    far = replace(PLAIN, distance_share=1.0)
    found = []
    for share in (0.0, 1.0):
        made, _ = mixer(corpus, replace(far, quiet_distance_share=share), lanes=24).segment(0)
        ratio_db = 20 * torch.log10(active_rms(made.clean) / active_rms(made.noisy - made.clean))
        found.append(ratio_db.mean().item())
    assert 6 < found[1] - found[0] < 18
