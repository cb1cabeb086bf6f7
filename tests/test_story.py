import numpy as np
import pytest
import soundfile as sf
from numpy.lib.stride_tricks import sliding_window_view

pytest.importorskip("soxr", reason="the package soxr is not installed")

import percepnet
from models import constant_model, random_model
from percepnet.engine import CORE, VARIABLE, engine
from percepnet.errors import AudioError, PercepNetError
from percepnet.evaluation import story as module
from percepnet.evaluation.story import find_story_pairs, network_decisions, read_for_story, tell, voiced_stretch
from percepnet.params import SAMPLE_RATE_HZ, SignalParams
from percepnet.reference import stft
from percepnet.reference.analysis import Analysis
from percepnet.reference.bands import bands_of
from percepnet.reference.mix import enhance_spectrum
from percepnet.reference.noise_shape import NoiseShape
from voices import glide

SAMPLES = 24_017  # no whole number of frames


@pytest.fixture(scope="module")
def pair():
    voice = glide(3, 1.0)[0][:SAMPLES].astype(np.float32)
    noise = 0.03 * np.random.default_rng(0).standard_normal(SAMPLES).astype(np.float32)
    return voice, voice + noise


@pytest.mark.parametrize("lookahead_frames", [0, 2])
def test_the_decisions_shown_are_those_that_make_the_sound(pair, monkeypatch, lookahead_frames):
    monkeypatch.setenv(VARIABLE, "numpy")
    params = SignalParams(lookahead_frames=lookahead_frames)
    model = random_model(params=params)
    gains, strengths = network_decisions(pair[1], model)
    # put together frame by frame: row l of the decisions with the spectrum that is centred on sample 480 * l
    padding = params.latency_samples + 480 * lookahead_frames + -SAMPLES % 480
    frames = Analysis(params).push(np.pad(pair[1], (0, padding))[None])
    decided = slice(lookahead_frames, lookahead_frames + len(gains))
    noisy, comb = (spectra[decided] for spectra in (frames.noisy, frames.comb))
    bands = bands_of(params.band_edges)
    shape = NoiseShape(bands)
    first = np.ones((lookahead_frames, params.bands), np.float32)
    coming = sliding_window_view(frames.noisy, lookahead_frames + 1, axis=0).transpose(0, 3, 1, 2)
    rows = zip(coming, frames.comb, np.concatenate([first, gains]), np.concatenate([first, strengths]), strict=False)
    further = np.array([shape.push(*row) for row in rows])[lookahead_frames:]
    spectrum = further * enhance_spectrum(noisy, comb, gains, strengths, bands, post_filter=False)[:, 0]
    y = stft.overlap_add(stft.synthesis(spectrum))[480:][:SAMPLES]
    np.testing.assert_allclose(y, percepnet.enhance(pair[1], SAMPLE_RATE_HZ, model=model), atol=2e-5)


def test_both_engines_show_the_same(pair, monkeypatch):
    if engine() != CORE:
        pytest.skip("the core is not installed")
    decisions = []
    for name in ("core", "numpy"):
        monkeypatch.setenv(VARIABLE, name)
        decisions.append(network_decisions(pair[1], random_model()))
    np.testing.assert_allclose(decisions[0], decisions[1], atol=0.02)


def test_with_gains_of_one_the_trained_network_leaves_everything_as_it_was(pair):
    clean, noisy = pair
    told = tell("a", clean, noisy, model=constant_model(1.0, 0.0), metrics=("si_sdr",))
    assert list(told.sounds) == list(module.STEPS)
    assert {x.shape for x in told.sounds.values()} == {(SAMPLES,)}
    np.testing.assert_allclose(told.sounds["network"], noisy, atol=2e-3)
    assert told.scores["network"]["si_sdr_db"] == pytest.approx(told.scores["noisy"]["si_sdr_db"], abs=0.1)
    assert told.scores["comb"]["si_sdr_db"] > told.scores["bands"]["si_sdr_db"] > told.scores["noisy"]["si_sdr_db"] + 3
    assert "clean" not in told.scores
    assert told.gains.shape == told.oracle.gains.shape
    assert told.gains.min() > 0.99


def test_the_close_up_is_where_the_voice_is():
    correlations = np.zeros(500)
    correlations[300:380] = 0.9
    assert voiced_stretch(correlations, 0.8) == slice(300 * 480, 380 * 480)
    assert voiced_stretch(correlations[:20], 0.8) == slice(0, 20 * 480)


def write(path, x, rate_hz=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, x, rate_hz)
    return path


def test_only_as_much_is_read_as_can_be_heard(tmp_path):
    x = 0.1 * np.random.default_rng(0).standard_normal(25 * 16_000)
    clean, noisy = (write(tmp_path / f"{name}.wav", x) for name in "xy")
    assert [signal.shape for signal in read_for_story(clean, noisy)] == [(20 * SAMPLE_RATE_HZ,)] * 2
    x[: 20 * 16_000] = 0
    with pytest.raises(AudioError, match="is silent for 20 s"):
        read_for_story(write(clean, x), noisy)
    with pytest.raises(AudioError, match=r"is silent$"):
        read_for_story(write(clean, x[:16_000]), write(noisy, x[:16_000]))


def test_pairs_are_two_files_or_what_two_folders_share(tmp_path):
    for kind, names in (("clean", "abc"), ("noisy", "bcd")):
        for name in names:
            write(tmp_path / kind / f"{name}.wav", np.ones(100))
    clean, noisy = tmp_path / "clean", tmp_path / "noisy"
    assert list(find_story_pairs(clean, noisy)) == ["b", "c"]
    assert find_story_pairs(clean / "a.wav", noisy / "d.wav") == {"d": (clean / "a.wav", noisy / "d.wav")}
    with pytest.raises(PercepNetError, match="two files, or two folders"):
        find_story_pairs(clean / "a.wav", noisy)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PercepNetError, match="no recording has one of the same name"):
        find_story_pairs(tmp_path / "empty", noisy)
    for i in range(7):
        write(clean / f"{i}.wav", np.ones(100))
        write(noisy / f"{i}.wav", np.ones(100))
    with pytest.raises(PercepNetError, match="has 9 recordings, and a page holds 8"):
        find_story_pairs(clean, noisy)
