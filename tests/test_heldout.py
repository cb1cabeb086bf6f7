import errno
import hashlib
import json
import shutil

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

from percepnet.acoustics.levels import frame_powers
from percepnet.acoustics.pairs import FRAME_SAMPLES, looped
from percepnet.cli import app
from percepnet.errors import PercepNetError
from percepnet.evaluation import heldout
from percepnet.evaluation.mixtures import read_mixtures

RATE_HZ = 48_000


def voice(f0_hz, seconds, seed):
    """Pulses through one formant, a third of the time silent."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    tone = sum(np.cos(2 * np.pi * k * f0_hz * t) / (1 + ((k * f0_hz - 600) / 300) ** 2) for k in range(1, 20))
    noise = 1e-3 * np.random.default_rng(seed).standard_normal(t.size)
    return 0.1 * (tone + noise) * ((t % 0.6) < 0.4)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Two low voices, one high, one that training has; two noises, one of them mostly silent."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    speech = {"low1": (110, "valid"), "low2": (130, "valid"), "high": (220, "valid"), "trained": (120, "train")}
    rows = []
    for i, (speaker, (f0_hz, split)) in enumerate(speech.items()):
        sf.write(folder / f"{speaker}.wav", voice(f0_hz, 3, i), RATE_HZ)
        rows.append({"path": f"{speaker}.wav", "source": "test", "speaker": speaker, "licence": "CC0", "split": split})
    (folder / "speech.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    steady = 0.05 * rng.standard_normal(RATE_HZ // 2)
    knock = np.where(np.arange(RATE_HZ) < 4800, 0.3, 0.0) * rng.standard_normal(RATE_HZ)
    rows = []
    for category, x in {"rain": steady, "knock": knock}.items():
        sf.write(folder / f"{category}.wav", x, RATE_HZ)
        rows.append({"path": f"{category}.wav", "category": category, "licence": "CC-BY", "split": "valid"})
    (folder / "noise.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    t = np.arange(RATE_HZ) / RATE_HZ
    hall = 0.2 * rng.standard_normal(RATE_HZ) * 10 ** (-3 * t / 0.8)
    hall[0] = 1.0
    sf.write(folder / "hall.wav", hall, RATE_HZ)
    (folder / "rooms.jsonl").write_text(json.dumps({"path": "hall.wav", "licence": "CC0", "split": "valid"}) + "\n")
    return folder


def test_noise_with_long_silence_is_drawn_where_it_sounds(corpus, tmp_path):
    folder = tmp_path / "corpus"
    shutil.copytree(corpus, folder)
    bark = np.zeros(5 * RATE_HZ)
    bark[: RATE_HZ // 20] = 0.3 * np.random.default_rng(0).standard_normal(RATE_HZ // 20)
    sf.write(folder / "bark.wav", bark, RATE_HZ)
    (folder / "noise.jsonl").write_text('{"path": "bark.wav", "category": "bark", "split": "valid"}')
    heldout.make_heldout(folder, tmp_path / "set", pairs=8, snrs_db=(0,), seconds=1.0)
    files = sorted((tmp_path / "set" / "noisy").iterdir())
    assert len(files) == 8
    for path in files:
        noisy, clean = (sf.read(tmp_path / "set" / kind / path.name)[0] for kind in ("noisy", "clean"))
        assert 0 < np.abs(noisy - clean).max() < 1
        assert np.abs(noisy).max() <= 0.96


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seconds": float("nan")}, "0.1 to 3600 s"),
        ({"seconds": float("inf")}, "0.1 to 3600 s"),
        ({"seconds": 0.02}, "0.1 to 3600 s"),
        ({"seed": -1}, "the seed is -1"),
        ({"snrs_db": (float("nan"),)}, "from -100 to 100 dB"),
        ({"snrs_db": (float("-inf"),)}, "from -100 to 100 dB"),
        ({"snrs_db": (5, 5), "crossed": True}, "is there twice"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_made(corpus, tmp_path, options, words):
    with pytest.raises(PercepNetError, match=words):
        heldout.make_heldout(corpus, tmp_path / "set", **({"seconds": 1.0} | options))
    assert not (tmp_path / "set").exists()


def test_a_silent_room_is_refused(corpus, tmp_path):
    folder = tmp_path / "corpus"
    shutil.copytree(corpus, folder)
    sf.write(folder / "hall.wav", np.zeros(4800), RATE_HZ)
    with pytest.raises(PercepNetError, match=r"hall\.wav: is silent, so it is no response of a room"):
        heldout.make_heldout(folder, tmp_path / "set", pairs=2, seconds=1.0, reverberant_share=1.0)
    assert not (tmp_path / "set").exists()


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(corpus, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        heldout.make_heldout(corpus, tmp_path / name, pairs=3, seconds=1.0, seed=seed)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_files_have_the_promised_ratio_format_and_record(corpus, tmp_path):
    mixtures = heldout.make_heldout(corpus, tmp_path, pairs=8, snrs_db=(0, 10), seconds=1.0)
    assert json.loads((tmp_path / "mixtures.json").read_text())["mixtures"] == mixtures
    assert read_mixtures(tmp_path).snrs_db == {m["name"]: m["snr_db"] for m in mixtures}
    for mixture in mixtures:
        clean, noisy = (sf.read(tmp_path / kind / f"{mixture['name']}.wav")[0] for kind in ("clean", "noisy"))
        info = sf.info(tmp_path / "noisy" / f"{mixture['name']}.wav")
        assert (info.samplerate, info.channels, info.subtype, info.frames) == (RATE_HZ, 1, "PCM_16", RATE_HZ)
        # The definition, written out: frames of 20 ms within 40 dB of the loudest, over all of the noise.
        powers = (clean.reshape(-1, 960) ** 2).mean(axis=1)
        active = powers[powers > 1e-4 * powers.max()].mean()
        assert 10 * np.log10(active / np.mean((noisy - clean) ** 2)) == pytest.approx(mixture["snr_db"], abs=0.1)
        assert mixture["speech"]["licence"] == "CC0"
        assert mixture["noise"]["licence"] == "CC-BY"


def test_the_command_is_kept_without_the_folders_of_the_machine(corpus, tmp_path):
    arguments = ["--corpus", str(corpus), "-o", str(tmp_path / "set"), "--pairs", "1", "--seconds", "1"]
    assert CliRunner().invoke(app, ["heldout", *arguments]).exit_code == 0
    command = read_mixtures(tmp_path / "set").command
    assert command == f"percepnet heldout --corpus {corpus.name} -o set --pairs=1 --seconds=1.0"
    assert read_mixtures(tmp_path).command == ""
    (tmp_path / "mixtures.json").write_text("{}")
    with pytest.raises(PercepNetError, match="expected mixtures"):
        read_mixtures(tmp_path)


def test_draws_are_balanced(corpus, tmp_path):
    mixtures = heldout.make_heldout(corpus, tmp_path, pairs=8, snrs_db=(0, 5), seconds=1.0)
    assert sum(m["speech"]["voice"] == "low" for m in mixtures) == 4
    assert sum(m["snr_db"] == 5 for m in mixtures) == 4
    assert sum(m["noise"]["category"] == "rain" for m in mixtures) == 4
    assert {m["speech"]["speaker"] for m in mixtures} == {"low1", "low2", "high"}


def test_crossed_mixes_each_pair_at_all_ratios(corpus, tmp_path):
    mixtures = heldout.make_heldout(corpus, tmp_path, pairs=2, snrs_db=(0, 5, 10), seconds=1.0, crossed=True)
    assert [m["snr_db"] for m in mixtures] == [0, 5, 10] * 2
    assert all(m["speech"] == mixtures[0]["speech"] for m in mixtures[:3])


def test_noises_with_pauses_can_be_left_out(corpus, tmp_path):
    mixtures = heldout.make_heldout(corpus, tmp_path, pairs=4, seconds=1.0, min_activity=0.6)
    assert {m["noise"]["category"] for m in mixtures} == {"rain"}


def test_a_set_appears_whole_and_beside_no_other(corpus, tmp_path, monkeypatch):
    def full(*_args, **_kind):
        raise OSError(errno.ENOSPC, "no space")

    heldout.make_heldout(corpus, tmp_path / "set", pairs=1, seconds=1.0)
    before = digest(tmp_path / "set")
    with pytest.raises(PercepNetError, match=r"clean: is there already: give another folder"):
        heldout.make_heldout(corpus, tmp_path / "set", pairs=1, seconds=1.0, seed=1)
    assert digest(tmp_path / "set") == before
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(heldout.sf, "write", full)
    for name in ("new", "empty"):
        with pytest.raises(PercepNetError, match=r"cannot be written \(the disk is full\)"):
            heldout.make_heldout(corpus, tmp_path / name, pairs=1, seconds=1.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "set"]
    assert not list((tmp_path / "empty").iterdir())


def test_a_category_below_another_names_a_file_and_no_folder(corpus, tmp_path):
    folder = shutil.copytree(corpus, tmp_path / "corpus")
    noises = (folder / "noise.jsonl").read_text().replace('"rain"', '"weather/heavy rain"')
    (folder / "noise.jsonl").write_text(noises.replace('"knock"', '"a:b\\\\c"'))
    mixtures = heldout.make_heldout(folder, tmp_path / "set", pairs=2, snrs_db=(5,), seconds=1.0)
    names = {path.stem for path in (tmp_path / "set" / "noisy").iterdir()}
    assert names == {m["name"] for m in mixtures}
    assert {name.split("_")[1] for name in names} == {"weather-heavy-rain", "a-b-c"}


def test_other_speakers_are_used_only_when_named(corpus, tmp_path):
    mixtures = heldout.make_heldout(corpus, tmp_path, pairs=6, seconds=1.0, also_speakers=["train*"])
    assert "trained" in {m["speech"]["speaker"] for m in mixtures}


@pytest.mark.parametrize("f0_hz", [85.0, 120.0, 210.0, 320.0])
def test_median_f0_is_the_fundamental(f0_hz):
    assert heldout.median_f0_hz(voice(f0_hz, 1.0, 0).astype(np.float32)) == pytest.approx(f0_hz, rel=0.03)


def test_a_looped_noise_keeps_its_power_at_the_seams():
    noise = np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
    powers = frame_powers(looped(noise, 480_000), FRAME_SAMPLES)
    assert powers.min() > 0.8
    assert powers.max() < 1.25


def test_a_long_noise_is_not_changed():
    noise = np.arange(1000, dtype=np.float32)
    np.testing.assert_array_equal(looped(noise, 300, start=700), noise[700:])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1"),
        ('{"path": "x.wav"}', "split"),
        ('{"path": "x.wav", "speaker": "a", "split": "train"}', "held out"),
    ],
)
def test_a_bad_manifest_is_named(tmp_path, line, message):
    (tmp_path / "speech.jsonl").write_text(line + "\n")
    with pytest.raises(PercepNetError, match=rf"speech\.jsonl.*{message}"):
        heldout.make_heldout(tmp_path, tmp_path / "out", seconds=1.0)


def test_the_command_reports_errors_on_one_line(corpus, tmp_path):
    def run(*arguments):
        return CliRunner().invoke(app, ["heldout", *arguments, "-o", str(tmp_path / "out")])

    for refused in (run("--corpus", str(tmp_path / "none")), run("--corpus", str(corpus), "--snrs-db", "5,x")):
        assert refused.exit_code == 2
        assert refused.output.startswith("percepnet: ")
        assert refused.output.count("\n") == 1
    done = run("--corpus", str(corpus), "--pairs", "2", "--seconds", "1", "--snrs-db", "5")
    assert (done.exit_code, done.output[:10]) == (0, "2 mixtures")
    assert len(list((tmp_path / "out" / "noisy").iterdir())) == 2


def test_in_a_room_the_clean_side_keeps_only_the_beginning_of_its_response(corpus, tmp_path):
    mixtures = heldout.make_heldout(corpus, tmp_path, pairs=3, snrs_db=(80,), seconds=1.0, reverberant_share=1.0)
    for mixture in mixtures:
        assert mixture["room"]["path"] == "hall.wav"
        assert mixture["room"]["rt60_s"] == pytest.approx(0.8, rel=0.15)
        clean, noisy = (sf.read(tmp_path / kind / f"{mixture['name']}.wav")[0] for kind in ("clean", "noisy"))
        late = noisy - clean
        assert 0.2 < np.std(late) / np.std(noisy) < 0.9
        # from the first sound on, nothing is missing for the 20 ms of the first reflections
        onset = int(np.argmax(np.abs(clean) > 0.05 * np.abs(clean).max()))
        early = slice(onset, onset + RATE_HZ // 70)
        assert np.std(late[early]) < 0.05 * np.std(noisy[early])
    assert "3 of them in 1 measured rooms" in read_mixtures(tmp_path).made_of


def test_rooms_change_nothing_but_the_mixtures_that_are_in_one(corpus, tmp_path):
    dry = heldout.make_heldout(corpus, tmp_path / "dry", pairs=6, seconds=1.0, seed=5)
    mixed = heldout.make_heldout(corpus, tmp_path / "mixed", pairs=6, seconds=1.0, seed=5, reverberant_share=0.5)
    untouched = [m for m in mixed if "room" not in m]
    assert 0 < len(untouched) < 6
    for mixture in untouched:
        assert mixture in dry
        names = [folder / "noisy" / f"{mixture['name']}.wav" for folder in (tmp_path / "dry", tmp_path / "mixed")]
        assert names[0].read_bytes() == names[1].read_bytes()


def test_a_share_of_rooms_out_of_range(corpus, tmp_path):
    with pytest.raises(PercepNetError, match="reverberant share"):
        heldout.make_heldout(corpus, tmp_path, reverberant_share=1.5)
