import json

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

for package in ("soxr", "pystoi"):
    pytest.importorskip(package, reason=f"the package {package} is not installed")

from levels import level_db
from percepnet.acoustics.pairs import speech_level_db
from percepnet.cli import app
from percepnet.errors import PercepNetError
from percepnet.evaluation import robustness as module
from percepnet.evaluation import scenes
from percepnet.evaluation.cache import Cache
from percepnet.evaluation.robustness import CURVES, robustness
from percepnet.evaluation.run import run_robustness

RATE_HZ = 48_000


@pytest.fixture(scope="module")
def speech_and_noise():
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    voice = sum(np.cos(2 * np.pi * 150 * k * t) / k for k in range(1, 60)) * (t % 0.4 < 0.25)
    noise = np.random.default_rng(0).standard_normal(t.size)
    return (0.05 * voice).astype(np.float32), (0.01 * noise).astype(np.float32)


def test_the_ratio_is_what_it_says(speech_and_noise):
    for snr_db in (-5, 20):
        scene = scenes.at_snr(*speech_and_noise, snr_db)
        found_db = speech_level_db(scene.reference) - level_db(scene.noisy - scene.reference)
        assert found_db == pytest.approx(snr_db, abs=0.01)


def test_the_level_is_what_it_says(speech_and_noise):
    for peak_dbfs in (-50, 0):
        scene = scenes.at_level(*speech_and_noise, peak_dbfs)
        assert 20 * np.log10(np.max(np.abs(scene.noisy))) == pytest.approx(peak_dbfs, abs=1e-3)


def test_noise_alone_has_its_level_and_no_reference(speech_and_noise):
    scene = scenes.alone(*speech_and_noise, -30.0)
    assert 20 * np.log10(np.abs(scene.noisy).max()) == pytest.approx(-30.0, abs=1e-4)
    assert not scene.reference.any()


def test_the_attenuation_is_that_of_theory():
    x = np.random.default_rng(0).standard_normal(1000)
    assert module.attenuation_db(x, 0.01 * x) == pytest.approx(40.0)
    assert module.attenuation_db(x, 0 * x) == 100.0
    assert np.isnan(module.attenuation_db(0 * x, x))


def test_another_rate_ends_the_band(speech_and_noise):
    scene = scenes.at_rate(*speech_and_noise, 8)
    spectrum = np.abs(np.fft.rfft(scene.noisy * np.hanning(len(scene.noisy)))) ** 2
    above = int(len(spectrum) * 4.2 / 24)
    assert spectrum[above:].sum() < 1e-6 * spectrum.sum()
    whole = scenes.at_rate(*speech_and_noise, 48)
    np.testing.assert_allclose(whole.noisy, sum(speech_and_noise), atol=1e-4)


def test_clipping_cuts_the_input_alone(speech_and_noise):
    scene = scenes.clipped(*speech_and_noise, 6)
    whole = np.max(np.abs(sum(speech_and_noise)))
    assert np.max(np.abs(scene.noisy)) == pytest.approx(whole * 10 ** (-6 / 20), rel=1e-4)
    np.testing.assert_array_equal(scene.reference, speech_and_noise[0])


def test_the_step_is_in_the_middle_and_in_both(speech_and_noise):
    scene = scenes.with_gain_step(*speech_and_noise, -12)
    middle = len(scene.noisy) // 2
    for part, whole in ((scene.reference, speech_and_noise[0]), (scene.noisy, sum(speech_and_noise))):
        assert level_db(part[middle:]) - level_db(whole[middle:]) == pytest.approx(-12, abs=1e-3)
        assert level_db(part[:middle]) == pytest.approx(level_db(whole[:middle]), abs=1e-3)


def test_a_room_decays_as_long_as_it_says():
    click = np.zeros(RATE_HZ, np.float32)
    click[100] = 0.1
    scene = scenes.in_room(click, np.zeros_like(click), 0.4)
    tail = scene.noisy[100 + 200 :]
    fall_db = level_db(tail[:960]) - level_db(tail[9600:10560])
    assert fall_db == pytest.approx(60 * 0.2 / 0.4, abs=2)
    dry = scenes.in_room(click, np.zeros_like(click), 0)
    np.testing.assert_array_equal(dry.noisy, dry.reference)


def test_a_pause_holds_noise_alone(speech_and_noise):
    scene = scenes.after_pause(*speech_and_noise, 1)
    assert scene.start == RATE_HZ
    assert len(scene.noisy) == len(scene.reference) == 3 * RATE_HZ
    assert not scene.reference[: scene.start].any()
    assert level_db(scene.noisy[: scene.start]) == pytest.approx(level_db(speech_and_noise[1]), abs=0.5)


@pytest.fixture
def pairs(tmp_path, speech_and_noise, monkeypatch):
    clean, noise = speech_and_noise
    for kind, x in (("clean", clean), ("noisy", clean + noise)):
        (tmp_path / "pairs" / kind).mkdir(parents=True)
        sf.write(tmp_path / "pairs" / kind / "a.wav", x, RATE_HZ, subtype="FLOAT")
    for name, curve in list(CURVES.items()):
        if name in ("snr", "noise", "pause"):
            monkeypatch.setitem(CURVES, name, curve._replace(values=curve.values[:2]))
        else:
            monkeypatch.delitem(CURVES, name)
    return tmp_path / "pairs"


def test_less_noise_scores_higher_and_a_second_run_takes_what_is_kept(pairs, tmp_path, monkeypatch):
    arguments = {"curves": ("snr",), "metrics": ("si_sdr",), "cache": Cache(tmp_path / "cache"), "processes": 1}
    first = robustness(pairs, ("noisy",), **arguments)
    low, high = first.means["snr"]["noisy"]["si_sdr_db"]
    assert high - low == pytest.approx(5, abs=0.1)

    def fail(*_):
        raise AssertionError("scored again")

    monkeypatch.setattr(module, "score", fail)
    assert robustness(pairs, ("noisy",), **arguments).means == first.means


def test_tables_pages_and_json(pairs, tmp_path, capsys):
    run_robustness(pairs, ("noisy",), metrics=("stoi",))
    assert "| STOI | noisy |" in capsys.readouterr().out
    run_robustness(pairs, ("noisy",), metrics=("stoi",), as_json=True)
    assert len(json.loads(capsys.readouterr().out)["curves"]["snr"]["means"]["noisy"]["stoi"]) == 2
    run_robustness(pairs, ("noisy",), metrics=("stoi",), output=tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert text.count("<svg") == 3
    assert text.count("attenuation (dB)") > 0
    assert "http" not in text.replace("http-equiv", "")


def test_the_command_repeats_what_was_chosen(pairs, tmp_path):
    options = "--robustness --curves snr --systems noisy --metrics si_sdr,stoi"
    report = tmp_path / "report.md"
    sf.write(pairs / "noisy" / "alone.wav", np.full(4800, 0.1), RATE_HZ)
    result = CliRunner().invoke(app, ["evaluate", "--pairs", str(pairs), *options.split(), "-o", str(report)])
    assert result.exit_code == 0, result.output
    assert "alone.wav: is not scored" in " ".join(result.stderr.split())
    assert f"percepnet evaluate --pairs pairs {options}\n" in report.read_text()
    refused = CliRunner().invoke(app, ["evaluate", "--pairs", str(pairs), "--curves", "snr"])
    assert refused.exit_code == 2
    assert "those of --robustness" in refused.output


def test_unknown_names_are_refused(pairs):
    with pytest.raises(PercepNetError, match="unknown metric 'taste'"):
        robustness(pairs, ("noisy",), metrics=("taste",))
    with pytest.raises(PercepNetError, match="unknown curve 'wind'"):
        robustness(pairs, ("noisy",), curves=("wind",))
    with pytest.raises(PercepNetError, match="unknown system 'magic'"):
        robustness(pairs, ("magic",), curves=("snr",))
