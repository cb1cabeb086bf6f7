import json

import numpy as np
import pytest
import soundfile as sf

from percepnet.errors import PercepNetError
from percepnet.evaluation import oracle_report as module
from percepnet.evaluation import oracle_table
from percepnet.evaluation.oracle_plot import STEPS
from percepnet.evaluation.oracle_report import oracle_report, run_oracle

for package in ("matplotlib", "pesq", "pystoi"):
    pytest.importorskip(package, reason=f"the package {package} is not installed")


@pytest.fixture
def pair(request, tmp_path):
    """Voiced syllables in white noise; of the rate in the parameter."""
    rate_hz = getattr(request, "param", 48_000)
    t = np.arange(int(1.5 * rate_hz) + 17) / rate_hz
    phase = 2 * np.pi * np.cumsum(130 + 10 * np.sin(2 * np.pi * t)) / rate_hz
    voice = sum(np.cos(k * phase) / (1 + ((k * 130 - 700) / 400) ** 2) for k in range(1, 40))
    clean = 0.08 * voice * np.clip(np.sin(2 * np.pi * 2 * t), 0, None)
    noise = 0.03 * np.random.default_rng(0).standard_normal(t.size)
    for kind, x in (("clean", clean), ("noisy", clean + noise)):
        (tmp_path / "pairs" / kind).mkdir(parents=True)
        sf.write(tmp_path / "pairs" / kind / "a.wav", x, rate_hz)
    return tmp_path / "pairs" / "clean" / "a.wav", tmp_path / "pairs" / "noisy" / "a.wav"


@pytest.mark.parametrize("pair", [48_000, 16_000], indirect=True)
def test_every_step_has_the_length_and_rate_of_the_input_and_is_better_than_the_noise(pair, tmp_path):
    report = oracle_report(*pair, tmp_path / "out")
    expected = sf.info(pair[1])
    assert [file.name for file in report.files] == [f"{step}.wav" for step in STEPS] + ["oracle.png"]
    for file in report.files[:-1]:
        info = sf.info(file)
        assert (info.samplerate, info.frames, info.channels) == (expected.samplerate, expected.frames, 1)
    assert (tmp_path / "out" / "oracle.png").read_bytes().startswith(b"\x89PNG")
    noisy, _ = sf.read(pair[1])
    written, _ = sf.read(tmp_path / "out" / "noisy.wav")
    np.testing.assert_allclose(written, noisy, atol=1 / 32768)
    for step in ("bins", "bands", "comb", "postfilter"):
        assert report.scores[step]["si_sdr_db"] > report.scores["noisy"]["si_sdr_db"] + 3
        assert report.scores[step]["estoi"] > report.scores["noisy"]["estoi"]


def test_json_and_table(pair, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "METRICS", ("si_sdr",))
    run_oracle(*pair, tmp_path / "out", pitch="noisy", as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["pitch"] == "noisy"
    assert set(document["scores"]) == set(STEPS)
    before = (tmp_path / "out" / "noisy.wav").read_bytes()
    with pytest.raises(PercepNetError, match=r"noisy\.wav: exists: give another -o, or --overwrite"):
        run_oracle(*pair, tmp_path / "out")
    assert (tmp_path / "out" / "noisy.wav").read_bytes() == before
    run_oracle(*pair, tmp_path / "out", overwrite=True)
    printed = capsys.readouterr().out
    assert all(title in printed for title in STEPS.values())


def test_recordings_that_do_not_fit_together_are_refused(pair, tmp_path):
    clean, noisy = pair
    x, rate_hz = sf.read(clean)
    sf.write(tmp_path / "short.wav", x[:-480], rate_hz)
    sf.write(tmp_path / "stereo.wav", np.stack([x, x], axis=-1), rate_hz)
    sf.write(tmp_path / "slow.wav", x, 44_100)
    wrong = {"short": "samples", "stereo": "2 channels", "slow": "44100 Hz", "none": "no such file"}
    for name, message in wrong.items():
        with pytest.raises(PercepNetError, match=message):
            oracle_report(tmp_path / f"{name}.wav", noisy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_table_of_a_folder_says_how_it_was_made(pair, tmp_path):
    folder, page = pair[0].parent.parent, tmp_path / "docs" / "oracle.md"
    arguments = ["--pairs", str(folder), "-o", str(page), "--processes", "1"]
    assert oracle_table.main(arguments) == 0
    text = page.read_text()
    assert f"python -m percepnet.evaluation.oracle_table {' '.join(arguments)}" in text
    for title in ("noisy", "bin magnitudes", "+ comb filter, pitch of the noisy speech"):
        assert f"| {title} |" in text


def test_the_table_of_nothing_is_an_error_on_one_line(tmp_path, capsys):
    assert oracle_table.main(["--pairs", str(tmp_path), "-o", str(tmp_path / "oracle.md")]) == 2
    assert capsys.readouterr().err.startswith("percepnet: ")
