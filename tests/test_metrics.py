import importlib
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from percepnet.errors import PercepNetError
from percepnet.metrics import score as metrics

RATE_HZ = 48_000
CLIPS = Path(__file__).parents[1] / "examples" / "clips"


@pytest.fixture(scope="module")
def speech():
    """Two seconds of syllables: a pulse train through formants, with pauses."""
    rng = np.random.default_rng(0)
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t)) / RATE_HZ
    voice = sum(np.cos(k * phase) / (1 + ((k * 120 - 700) / 400) ** 2) for k in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * 3 * t), 0, None)
    return (0.1 * (voice + 0.05 * rng.standard_normal(t.size)) * syllables).astype(np.float32)


@pytest.fixture(scope="module")
def noise(speech):
    return (0.02 * np.random.default_rng(1).standard_normal(speech.size)).astype(np.float32)


def test_si_sdr_is_the_ratio_of_a_signal_to_noise_orthogonal_to_it(speech, noise):
    x = speech - speech.mean()
    n = noise - noise.mean()
    n -= x * (n @ x) / (x @ x)
    for expected_db in (-5.0, 0.0, 12.5):
        y = x + n * np.sqrt((x @ x) / (n @ n)) * 10 ** (-expected_db / 20)
        assert metrics.si_sdr(x, y, RATE_HZ)["si_sdr_db"] == pytest.approx(expected_db, abs=1e-3)


def test_si_sdr_ignores_scale_and_offset(speech, noise):
    expected_db = metrics.si_sdr(speech, speech + noise, RATE_HZ)["si_sdr_db"]
    assert metrics.si_sdr(speech, 0.3 * (speech + noise) + 0.1, RATE_HZ)["si_sdr_db"] == pytest.approx(
        expected_db, abs=1e-3
    )
    assert metrics.si_sdr(7 * speech, speech + noise, RATE_HZ)["si_sdr_db"] == pytest.approx(expected_db, abs=1e-3)


def test_pesq_of_the_reference_itself_is_its_maximum(speech, noise):
    pytest.importorskip("pesq", reason="the package pesq is not installed")
    # The mappings of P.862.2 and P.862.1 at a raw score of 4.5.
    assert metrics.pesq(speech, speech, RATE_HZ) == pytest.approx({"pesq_wb": 4.644, "pesq_nb": 4.549}, abs=1e-3)
    assert metrics.pesq(speech, speech + noise, RATE_HZ)["pesq_wb"] < 4.0


def test_stoi_of_less_than_a_window_says_nothing():
    pytest.importorskip("pystoi", reason="the package pystoi is not installed")
    x = np.full(100, 0.1, np.float32)
    with pytest.warns(UserWarning, match="STOI needs"):
        assert np.isnan(metrics.stoi(x, x, 48000)["stoi"])


def test_stoi_of_the_reference_itself_is_one(speech, noise):
    pytest.importorskip("pystoi", reason="the package pystoi is not installed")
    assert metrics.stoi(speech, speech, RATE_HZ) == pytest.approx({"stoi": 1.0, "estoi": 1.0}, abs=1e-6)
    assert metrics.stoi(speech, 0.2 * speech, RATE_HZ)["stoi"] == pytest.approx(1.0, abs=1e-6)
    assert metrics.stoi(speech, speech + 5 * noise, RATE_HZ)["estoi"] < 0.9


def heard_once(x, rate_hz):
    """A signal repeated to 9.5 s: one window of DNSMOS. It hears shorter ones as often as seven times over."""
    return np.tile(x, 5)[: round(9.5 * rate_hz)]


def test_dnsmos_hears_less_background_without_noise(speech, noise):
    pytest.importorskip("speechmos", reason="the package speechmos is not installed")
    clean, noisy = (metrics.dnsmos(None, heard_once(y, RATE_HZ), RATE_HZ) for y in (speech, speech + 5 * noise))
    assert set(clean) == {"dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl", "dnsmos_p808"}
    assert all(1.0 <= value <= 5.0 for value in (*clean.values(), *noisy.values()))
    assert clean["dnsmos_bak"] > noisy["dnsmos_bak"] + 0.5


@pytest.mark.parametrize(("metric", "package"), [("pesq", "pesq"), ("stoi", "pystoi"), ("si_sdr", "numpy")])
def test_silence_gives_nan_and_a_warning(metric, package, speech):
    pytest.importorskip(package, reason=f"the package {package} is not installed")
    silence = np.zeros_like(speech)
    for reference, estimate, which in ((silence, speech, "reference"), (speech, silence, "estimate")):
        with pytest.warns(UserWarning, match=f"the {which} is silent"):
            assert np.isnan(list(metrics.METRICS[metric](reference, estimate, RATE_HZ).values())).all()


@pytest.mark.parametrize(("metric", "package"), [("pesq", "pesq"), ("stoi", "pystoi")])
def test_a_clip_too_short_to_judge_gives_nan_and_a_warning(metric, package, speech):
    pytest.importorskip(package, reason=f"the package {package} is not installed")
    short = speech[3000:7800]
    with pytest.warns(UserWarning, match="speech"):
        assert np.isnan(list(metrics.METRICS[metric](short, short, RATE_HZ).values())).all()


@pytest.mark.parametrize(("metric", "package"), [("pesq", "pesq"), ("stoi", "pystoi"), ("si_sdr", "numpy")])
def test_signals_of_different_length_are_refused(metric, package, speech):
    pytest.importorskip(package, reason=f"the package {package} is not installed")
    with pytest.raises(PercepNetError, match=r"equal length.*\(96000,\).*\(95999,\)"):
        metrics.METRICS[metric](speech, speech[:-1], RATE_HZ)


@pytest.mark.parametrize("metric", ["pesq", "stoi", "dnsmos"])
def test_a_missing_package_names_the_extra_to_install(metric, monkeypatch, speech):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(PercepNetError, match=r"pip install 'percepnet\[eval\]'"):
        metrics.METRICS[metric](speech, speech, RATE_HZ)


def test_score_collects_the_measures_asked_for(speech, noise):
    assert set(metrics.score(speech, speech + noise, RATE_HZ, ("si_sdr",))) == {"si_sdr_db"}
    with pytest.raises(PercepNetError, match="unknown metric 'mos'"):
        metrics.score(speech, speech, RATE_HZ, ("mos",))


def test_without_a_reference_only_measures_that_need_none_are_taken(speech):
    assert metrics.score(None, speech, RATE_HZ, ("pesq", "stoi", "si_sdr", "composite")) == {}


def test_composite_opinions_are_highest_for_the_reference_itself_and_fall_with_noise(speech, noise):
    pytest.importorskip("pesq", reason="the package pesq is not installed")
    clean = metrics.composite(speech, speech, RATE_HZ)
    # cbak counts the signal-to-noise ratio of each segment, which by definition is -10 dB for digital silence
    assert clean == pytest.approx({"csig": 5.0, "cbak": 4.9325, "covl": 5.0}, abs=1e-3)
    noisy = metrics.composite(speech, speech + noise, RATE_HZ)
    assert all(1.0 <= noisy[name] < clean[name] for name in clean)
    assert metrics.score(speech, speech + noise, RATE_HZ, ("pesq", "composite"))["covl"] == noisy["covl"]


def clips():
    """Three pairs at 16 kHz: both clips of the repository, and one of them with less noise."""
    soxr = pytest.importorskip("soxr", reason="the package soxr is not installed")
    for name, share in (("sea_female", 1.0), ("helicopter_male", 1.0), ("sea_female", 0.3)):
        clean, noisy = (sf.read(CLIPS / kind / f"{name}.flac", dtype="float32")[0] for kind in ("clean", "noisy"))
        clean, noisy = (soxr.resample(x[: 4 * RATE_HZ], RATE_HZ, 16_000) for x in (clean, noisy))
        yield clean, clean + np.float32(share) * (noisy - clean)


def test_pesq_is_what_the_package_gives_as_its_readme_calls_it():
    pesq = pytest.importorskip("pesq", reason="the package pesq is not installed").pesq
    for clean, noisy in clips():
        assert metrics.pesq(clean, noisy, 16_000)["pesq_wb"] == pytest.approx(
            pesq(16_000, clean, noisy, "wb"), abs=1e-6
        )


def test_stoi_is_what_the_package_gives_as_its_readme_calls_it():
    stoi = pytest.importorskip("pystoi", reason="the package pystoi is not installed").stoi
    for clean, noisy in clips():
        expected = {"stoi": stoi(clean, noisy, 16_000), "estoi": stoi(clean, noisy, 16_000, extended=True)}
        assert metrics.stoi(clean, noisy, 16_000) == pytest.approx(expected, abs=1e-6)


def test_dnsmos_is_what_the_package_gives_as_its_readme_calls_it():
    dnsmos = pytest.importorskip("speechmos.dnsmos", reason="the package speechmos is not installed")
    for _, noisy in clips():
        y = heard_once(noisy, 16_000)
        found, expected = metrics.dnsmos(None, y, 16_000), dnsmos.run(y, sr=16_000)
        for part in ("sig", "bak", "ovrl", "p808"):
            assert found[f"dnsmos_{part}"] == pytest.approx(expected[f"{part}_mos"], abs=1e-6)


def test_si_sdr_is_that_of_torchmetrics():
    torch = pytest.importorskip("torch", reason="the package torch is not installed")
    audio = pytest.importorskip("torchmetrics.functional.audio", reason="the package torchmetrics is not installed")
    for clean, noisy in clips():
        x, y = (torch.from_numpy(signal.astype(np.float64)) for signal in (clean, noisy))
        expected = float(audio.scale_invariant_signal_distortion_ratio(y, x, zero_mean=True))
        assert metrics.si_sdr(clean, noisy, 16_000)["si_sdr_db"] == pytest.approx(expected, abs=1e-6)


def test_srmr_of_silence_is_nan_with_a_warning(speech):
    pytest.importorskip("gammatone", reason="the package gammatone is not installed")
    with pytest.warns(UserWarning, match="SRMR says nothing"):
        assert np.isnan(metrics.srmr(None, np.zeros_like(speech), RATE_HZ)["srmr"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metrics.srmr(None, speech, RATE_HZ)["srmr"] > 0
