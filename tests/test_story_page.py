import base64
import html
import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf

from chromium import find_chromium, open_page

for package in ("matplotlib", "soxr"):
    pytest.importorskip(package, reason=f"the package {package} is not installed")

from models import random_model
from outline import assert_nothing_is_fetched, read_outline
from percepnet.errors import PercepNetError
from percepnet.evaluation import story_page as module
from percepnet.evaluation.story import STEPS
from percepnet.evaluation.story_page import run_story
from voices import glide

RATE_HZ = 48_000
NAMES = ("first", "wild <b>&\"'")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two pairs of a voice in noise, the second with a name that is hard on HTML."""
    folder = tmp_path_factory.mktemp("story")
    for i, name in enumerate(NAMES):
        voice = glide(i, 1.5)[0]
        noise = 0.03 * np.random.default_rng(i).standard_normal(voice.size)
        for kind, x in (("clean", voice), ("noisy", voice + noise)):
            (folder / kind).mkdir(exist_ok=True)
            sf.write(folder / kind / f"{name}.wav", x, RATE_HZ)
    return folder


def quick(patch):
    """An untrained network and one quick measure: the page is the same."""
    patch.setattr(module, "load_model", lambda name: random_model())
    patch.setattr(module, "paced_factors", lambda names, register: {"percepnet": 0.0123})
    patch.setattr(module, "METRICS", ("si_sdr",))


@pytest.fixture(scope="module")
def page(recordings):
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        run_story(recordings / "clean", recordings / "noisy", recordings / "story.html")
    return recordings / "story.html"


@pytest.fixture(scope="module")
def outline(page):
    return read_outline(page)


def test_nothing_is_fetched_from_elsewhere(page):
    assert_nothing_is_fetched(page)


def test_every_step_can_be_heard_of_every_recording(outline):
    assert [a["data-clip"] for a in outline.all("article")] == list(NAMES)
    assert [a["data-system"] for a in outline.all("div") if "data-system" in a] == 2 * list(STEPS.values())
    assert [a["data-track"] for a in outline.all("button") if "data-track" in a] == [str(i) for i in range(len(STEPS))]
    sounds = [sf.read(io.BytesIO(base64.b64decode(a["src"].partition(",")[2]))) for a in outline.all("audio")]
    assert {(rate_hz, x.shape) for x, rate_hz in sounds} == {(RATE_HZ, (72_000,))}


def test_everything_is_named_and_can_be_reached(outline):
    identities = [a["id"] for _, a in outline.elements if "id" in a]
    assert len(identities) == len(set(identities))
    assert {f"step-{step}" for step in STEPS} <= set(identities)
    assert {a["href"][1:] for a in outline.all("a")} <= set(identities)
    assert all(a.get("alt") for a in outline.all("img"))
    figures = [a for a in outline.all("img") if not a["alt"].startswith("Spectrogram of")]
    assert len(figures) == len(outline.all("figure")) == 7
    assert all(base64.b64decode(a["src"].partition(",")[2]).startswith(b"\x89PNG") for a in figures)


def test_the_numbers_are_those_of_the_model(outline):
    text = " ".join(outline.text)
    assert "34 gains and 34 strengths, instead of 481 magnitudes" in text
    assert "30 ms: 10 of overlap and 20 of look-ahead" in text
    assert f"{random_model().weight_count:,} (model default)" in text
    assert "1.2 % of one core" in text
    assert "6,800, instead of 48,100" in text


def test_what_exists_is_kept_unless_told(recordings, tmp_path, monkeypatch, capsys):
    quick(monkeypatch)
    pair = recordings / "clean" / "first.wav", recordings / "noisy" / "first.wav"
    target = tmp_path / "new" / "story.html"
    run_story(*pair, target, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["files"] == [str(target)]
    assert set(document["scores"]["first"]) == set(STEPS) - {"clean"}
    target.write_text("what was there")
    with pytest.raises(PercepNetError, match="--overwrite"):
        run_story(*pair, target)
    assert target.read_text() == "what was there"
    run_story(*pair, target, overwrite=True)
    assert re.fullmatch(r".*story.html: 1 recording, [\d.]+ MB\n", capsys.readouterr().out)
    assert [path.name for path in target.parent.iterdir()] == ["story.html"]
    with pytest.raises(PercepNetError, match="is not a file"):
        run_story(*pair, tmp_path / "new")


def test_a_measure_that_is_not_installed_is_left_out_with_a_word(recordings, tmp_path, monkeypatch, capsys):
    quick(monkeypatch)
    monkeypatch.setattr(module, "METRICS", ("pesq", "si_sdr"))
    monkeypatch.setitem(sys.modules, "pesq", None)
    run_story(recordings / "clean" / "first.wav", recordings / "noisy" / "first.wav", tmp_path / "story.html")
    text = (tmp_path / "story.html").read_text(encoding="utf-8")
    assert "What is missing" in text
    assert "pip install 'percepnet[eval]'" in html.unescape(text)
    assert "SI-SDR (dB)" in text
    assert "pesq" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.wav", "none.wav", "-o", "story.html"], "no such file"),
        (["none.wav", "none.wav", "-o", "folder", "--model", "tiny"], "--model is the network in a page"),
    ],
)
def test_bad_input_is_one_line(tmp_path, arguments, message):
    command = [sys.executable, "-m", "percepnet", "oracle", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed")
def test_in_a_browser_each_step_is_heard_where_the_last_one_was(page, tmp_path):
    with open_page(page.as_uri(), tmp_path / "profile") as browser:
        press = "document.querySelectorAll('button[data-track]')"
        browser.run("void (window.player = document.querySelector('.clip').player)")
        assert browser.run("player.active") == 0
        browser.run(f"{press}[3].click()")  # begins to play
        browser.wait_for("player.now() > 0.1")
        assert browser.run("player.active") == 3
        before, after = browser.run(
            f"(() => {{ const a = player.now(); {press}[4].click(); return [a, player.now()]; }})()"
        )
        assert 0 <= after - before < 0.05
        assert browser.run("[player.active, player.playing || player.now() === 0]") == [4, True]
        browser.press("8")
        assert browser.run("player.active") == 7
        browser.run("player.pause(); player.seek(1.0)")
        browser.run("document.querySelectorAll('.clip')[1].player.toggle()")
        browser.wait_for("document.querySelectorAll('.clip')[1].player.now() > 0.1")
        assert browser.run("player.now()") == 1.0
        assert browser.complaints == []
        assert [url for url in browser.requests if not url.startswith(("data:", "file:", "about:"))] == []


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed")
@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_page(page, tmp_path, width):
    with open_page(page.as_uri(), tmp_path / "profile", width=width) as browser:
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
