import json

import numpy as np
import pytest
import soundfile as sf

from percepnet.errors import ModelError, PercepNetError
from percepnet.evaluation import compare as module
from percepnet.evaluation.cache import Cache
from percepnet.evaluation.compare import compare
from percepnet.evaluation.comparison import Comparison, Group, Row
from percepnet.evaluation.render.report import to_markdown
from percepnet.evaluation.run import run_evaluation
from percepnet.metrics.score import METRICS
from percepnet.systems import register as register_module
from percepnet.systems.register import Register
from percepnet.systems.run import run_system
from percepnet.systems.system import System

RATE_HZ = 48_000
SI_SDR = ("si_sdr",)


def halve_the_noise(x, factor=0.5):
    """A system whose gain in SI-SDR is known: 6.02 dB where speech and noise are in different halves of the band."""
    spectrum = np.fft.rfft(x)
    spectrum[len(spectrum) // 2 :] *= factor
    return np.fft.irfft(spectrum, len(x)).astype(np.float32)


def shout(x):
    raise RuntimeError("out of breath")


@pytest.fixture
def systems(monkeypatch):
    def missing(_model):
        raise PercepNetError("peer is not installed: pip install peer")

    known = {
        "noisy": register_module.SYSTEMS["noisy"],
        "half": System("", lambda _model: halve_the_noise),
        "peer": System("", missing),
        "loud": System("", lambda _model: shout),
        "short": System("", lambda _model: lambda x: x[: len(x) // 2]),
        "nan": System("", lambda _model: lambda x: x * np.nan),
    }
    monkeypatch.setattr(register_module, "SYSTEMS", known)
    return known


@pytest.fixture
def pairs(tmp_path):
    """Four pairs, speech below 12 kHz and noise above, at 0 and 6 dB, with a record of the ratios."""
    rng = np.random.default_rng(0)
    half = RATE_HZ // 4 + 1
    mixtures = []
    for kind in ("clean", "noisy"):
        (tmp_path / kind).mkdir()
    for i, snr_db in enumerate((0, 6, 0, 6)):
        low, high = rng.standard_normal((2, RATE_HZ))
        low, high = np.fft.rfft(low), np.fft.rfft(high)
        low[half - 1 :], high[:half] = 0, 0
        clean, noise = (0.05 * x / x.std() for x in (np.fft.irfft(low), np.fft.irfft(high)))
        sf.write(tmp_path / "clean" / f"{i}.wav", clean, RATE_HZ, subtype="FLOAT")
        sf.write(tmp_path / "noisy" / f"{i}.wav", clean + noise * 10 ** (-snr_db / 20), RATE_HZ, subtype="FLOAT")
        mixtures.append({"name": str(i), "snr_db": snr_db})
    (tmp_path / "mixtures.json").write_text(json.dumps({"mixtures": mixtures}))
    return tmp_path


def test_scores_and_differences_are_those_of_theory(systems, pairs):
    result = compare(pairs, ["half"], metrics=SI_SDR, processes=1)
    assert result.systems == ["noisy", "half"]
    assert result.values("noisy", "si_sdr_db") == pytest.approx([0, 6, 0, 6], abs=0.01)
    assert result.values("half", "si_sdr_db", Group(6.0)) == pytest.approx([12.02, 12.02], abs=0.01)
    difference = result.difference("half", "si_sdr_db")
    assert [difference.mean, difference.difference] == pytest.approx([9.02, 6.02], abs=0.01)
    assert difference.low == pytest.approx(difference.high, abs=0.02)


def test_the_interval_is_that_of_a_mean_of_normal_differences():
    rng = np.random.default_rng(1)
    differences = rng.normal(1.0, 0.5, 400)
    rows = [Row(str(i), s, None, {"stoi": v}) for i, d in enumerate(differences) for s, v in (("noisy", 0.0), ("x", d))]
    result = Comparison("pairs", rows).difference("x", "stoi")
    half_width = 1.96 * differences.std() / np.sqrt(differences.size)
    assert result.high - result.difference == pytest.approx(half_width, rel=0.1)
    assert result.difference - result.low == pytest.approx(half_width, rel=0.1)


def test_what_has_no_score_is_left_out_of_means():
    scores = [("0", "noisy", 1.0), ("0", "x", 2.0), ("1", "noisy", 1.0), ("1", "x", np.nan)]
    result = Comparison("pairs", [Row(name, system, None, {"pesq_wb": value}) for name, system, value in scores])
    assert result.difference("x", "pesq_wb").difference == 1.0
    assert json.loads(result.to_json())["rows"][3]["scores"] == {"pesq_wb": None}


def test_a_broken_pair_is_named_and_the_others_are_scored(systems, pairs):
    (pairs / "noisy" / "1.wav").write_bytes(b"not audio")
    clean, rate_hz = sf.read(pairs / "clean" / "2.wav")
    sf.write(pairs / "clean" / "2.wav", clean[:-1], rate_hz)
    result = compare(pairs, ["half"], metrics=SI_SDR, processes=1)
    assert [row.name for row in result.rows if row.system == "half"] == ["0", "3"]
    assert set(result.failures) == {"1", "2"}
    assert "47999 samples" in result.failures["2"]
    assert "- `1`:" in to_markdown(result)


def test_what_is_not_scored_is_said(systems, pairs, capsys):
    noisy, clean = pairs / "noisy", pairs / "clean"
    name = sorted(noisy.iterdir())[0].stem
    sf.write(noisy / f"{name}.flac", np.full(100, 0.1), RATE_HZ)
    (noisy / "phone.m4a").touch()
    (noisy / "below").mkdir()
    sf.write(noisy / "below" / "deep.wav", np.full(100, 0.1), RATE_HZ)
    sf.write(clean / "alone.wav", np.full(100, 0.1), RATE_HZ)
    run_evaluation(pairs, ["half"], metrics=SI_SDR)
    said = " ".join(capsys.readouterr().err.split())
    for words in (
        "has the same name",
        "phone.m4a: is not scored",
        "deep.wav: is not scored",
        "alone.wav: is not scored",
    ):
        assert words in said


def test_a_system_that_is_not_installed_is_left_out_with_a_word(systems, pairs):
    result = compare(pairs, ["peer"], metrics=SI_SDR, processes=1)
    assert result.systems == ["noisy"]
    assert result.skipped == {"peer": "peer is not installed: pip install peer"}


def test_the_report_has_means_and_a_breakdown(systems, pairs, tmp_path, capsys):
    run_evaluation(pairs, ["half"], metrics=SI_SDR, output=tmp_path / "new" / "report.md", processes=1)
    report = (tmp_path / "new" / "report.md").read_text()
    assert "| half | 9.0 (+6.0, +6.0 to +6.0) |" in report
    assert "| 6 dB | half | 12.0 |" in report
    assert capsys.readouterr().out == ""


def test_json_has_every_score(systems, pairs, capsys):
    run_evaluation(pairs, ["half"], metrics=SI_SDR, as_json=True, processes=1)
    document = json.loads(capsys.readouterr().out)
    assert document["recordings"] == 4
    assert document["summary"]["half"]["si_sdr_db"]["difference"] == pytest.approx(6.02, abs=0.01)
    assert len(document["rows"]) == 8


def test_two_processes_give_the_scores_of_one(pairs):
    one, two = (compare(pairs, ["noisy"], metrics=SI_SDR, processes=n) for n in (1, 2))
    assert one.rows == two.rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"systems": ["magic"]}, "unknown system 'magic'"), ({"metrics": ["mos"]}, "unknown metric 'mos'")],
)
def test_unknown_names_are_refused_before_any_work(pairs, arguments, message):
    with pytest.raises(PercepNetError, match=message):
        compare(pairs, **({"systems": ["noisy"], "metrics": SI_SDR} | arguments))


def test_a_model_that_cannot_be_loaded_is_an_error_not_a_gap(pairs):
    with pytest.raises(ModelError):
        compare(pairs, ["percepnet"], register=Register(str(pairs / "none.safetensors")), metrics=SI_SDR)


def test_a_folder_without_pairs_is_refused(tmp_path):
    with pytest.raises(PercepNetError, match="no such folder"):
        compare(tmp_path)
    (tmp_path / "clean").mkdir()
    (tmp_path / "noisy").mkdir()
    with pytest.raises(PercepNetError, match="no recording"):
        compare(tmp_path)


@pytest.mark.parametrize(("system", "message"), [("loud", "out of breath"), ("short", "shape"), ("nan", "NaN")])
def test_a_broken_system_is_named_and_the_others_are_scored(systems, pairs, system, message):
    result = compare(pairs, [system, "half"], metrics=SI_SDR, processes=1)
    assert result.systems == ["noisy", "half"]
    assert message in (result.failures | result.skipped).get(f"0, {system}", "")
    assert np.isfinite(result.difference("half", "si_sdr_db").mean)


def test_a_system_that_fails_on_one_recording_is_compared_on_the_others(systems, pairs):
    systems["picky"] = System("", lambda _model: picky)
    result = compare(pairs, ["picky"], metrics=SI_SDR, processes=1)
    assert 0 < len(result.failures) < 4
    difference = result.difference("picky", "si_sdr_db")
    assert difference.difference == pytest.approx(6.02, abs=0.01)


def picky(x):
    if np.std(x[:RATE_HZ]) > 0.06:  # the recordings at 0 dB
        raise ValueError("too loud")
    return halve_the_noise(x)


def test_a_recording_without_a_clean_one_is_scored_without(systems, pairs, monkeypatch):
    monkeypatch.setitem(METRICS, "dnsmos", lambda _reference, y, _rate: {"dnsmos_ovrl": float(np.std(y))})
    (pairs / "clean" / "3.wav").unlink()
    result = compare(pairs, ["half"], metrics=("si_sdr", "dnsmos"), processes=1)
    assert "no clean recording" in result.notes["3"]
    assert np.isnan(result.values("half", "si_sdr_db")[3])
    assert np.isfinite(result.values("half", "dnsmos_ovrl")).all()


def test_a_folder_of_noisy_recordings_is_enough(systems, pairs, monkeypatch):
    monkeypatch.setitem(METRICS, "dnsmos", lambda _reference, y, _rate: {"dnsmos_ovrl": float(np.std(y))})
    x, rate_hz = sf.read(pairs / "noisy" / "0.wav")
    (pairs / "own" / "sub").mkdir(parents=True)
    sf.write(pairs / "own" / "a.wav", x, rate_hz)
    sf.write(pairs / "own" / "sub" / "a.flac", np.resize(x, 20_000), 16_000)
    sf.write(pairs / "own" / "silent.wav", 0 * x, rate_hz)
    result = compare(pairs / "own", ["half"], with_clean=False, metrics=("pesq", "si_sdr", "dnsmos"), processes=1)
    assert result.names == ["a", "sub/a"]
    assert result.measures == ["dnsmos_ovrl"]
    assert "is silent" in result.failures["silent"]
    assert "--noisy own" in to_markdown(result)


def test_a_silent_reference_has_one_note(systems, pairs):
    x, rate_hz = sf.read(pairs / "clean" / "0.wav")
    sf.write(pairs / "clean" / "0.wav", 0 * x, rate_hz)
    result = compare(pairs, ["half"], metrics=SI_SDR, processes=1)
    assert result.notes == {"0": "SI-SDR says nothing: the reference is silent"}


def test_a_second_run_takes_the_scores_that_are_kept(systems, pairs, tmp_path, monkeypatch):
    first = compare(pairs, ["half"], metrics=SI_SDR, cache=Cache(tmp_path / "cache"), processes=1)
    (pairs / "noisy" / "1.wav").write_bytes((pairs / "noisy" / "3.wav").read_bytes())
    ran = []
    monkeypatch.setattr(module, "run_system", lambda process, *x: ran.append(1) or run_system(process, *x))
    second = compare(pairs, ["half"], metrics=SI_SDR, cache=Cache(tmp_path / "cache"), processes=1)
    assert len(ran) <= 4  # the recording that changed, by two systems, and what is warmed up for it
    assert [row for row in second.rows if row.name != "1"] == [row for row in first.rows if row.name != "1"]


def test_a_measure_whose_package_is_missing_is_left_out_with_a_word(systems, pairs, monkeypatch):
    def missing(_reference, _estimate, _rate):
        raise PercepNetError("gammatone cannot be imported")

    monkeypatch.setitem(METRICS, "srmr", missing)
    result = compare(pairs, ["half"], metrics=("si_sdr", "srmr"), processes=1)
    assert result.skipped == {"srmr": "gammatone cannot be imported"}
    with pytest.raises(PercepNetError, match="no metric can be taken"):
        compare(pairs, ["half"], metrics=("srmr",), processes=1)


def test_there_are_breakdowns_by_noise_where_it_is_known(systems, pairs):
    recipe = json.loads((pairs / "mixtures.json").read_text())
    for i, mixture in enumerate(recipe["mixtures"]):
        mixture["noise"] = {"category": ("rain", "wind")[i // 2]}
    (pairs / "mixtures.json").write_text(json.dumps(recipe))
    report = to_markdown(compare(pairs, ["half"], metrics=SI_SDR, processes=1))
    assert "| rain | half | 9.0 |" in report


def test_percepnet_is_held_against_each_other_system():
    rng = np.random.default_rng(0)
    scores = {"noisy": rng.normal(1.5, 0.1, 50), "rnnoise": rng.normal(2.0, 0.1, 50)}
    scores["percepnet"] = scores["rnnoise"] + rng.normal(0.1, 0.01, 50)
    rows = [Row(str(i), s, None, {"pesq_wb": v}) for s, values in scores.items() for i, v in enumerate(values)]
    comparison = Comparison("pairs", rows)
    result = comparison.difference("percepnet", "pesq_wb", "rnnoise")
    expected = (scores["percepnet"] - scores["rnnoise"]).mean()
    assert result.difference == pytest.approx(expected)
    assert result.low == pytest.approx(expected - 1.96 * 0.01 / np.sqrt(50), abs=1e-3)
    assert f"| rnnoise | +{expected:.2f}, +" in to_markdown(comparison)
    assert "Against the others" not in to_markdown(
        Comparison("pairs", [row for row in rows if row.system != "rnnoise"])
    )


def test_rooms_are_told_apart_where_there_are_both():
    places = (("a", "", 3.0), ("b", "measured", 1.0), ("c", "measured", 2.0))
    rows = [Row(name, "noisy", None, {"pesq_wb": score}, room=room) for name, room, score in places]
    comparison = Comparison("pairs", rows)
    assert {
        name: comparison.values("noisy", "pesq_wb", group).tolist() for name, group in comparison.rooms.items()
    } == {
        "none": [3.0],
        "measured": [1.0, 2.0],
    }
    report = to_markdown(comparison)
    assert "| measured | noisy | 1.50 |" in report
    assert "By room" not in to_markdown(Comparison("pairs", rows[1:]))
