import base64
import io
import json

import numpy as np
import pytest
import soundfile as sf

from chromium import find_chromium, open_page

for package in ("matplotlib", "soxr"):
    pytest.importorskip(package, reason=f"the package {package} is not installed")

from outline import assert_nothing_is_fetched, read_outline
from percepnet.evaluation.clips import make_clips
from percepnet.evaluation.command import typed
from percepnet.evaluation.compare import compare
from percepnet.evaluation.render.report import to_html
from percepnet.systems import register as register_module
from percepnet.systems.register import Register
from percepnet.systems.system import System

RATE_HZ = 48_000
NAMES = ("calm", "wild <b>&\"'")
SYSTEMS = ("noisy", "percepnet", "mute half")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report on two recordings and three systems, one of which fails on the second."""
    folder = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(0)
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    voice = 0.1 * np.sin(2 * np.pi * 220 * t) * (t % 0.5 < 0.3)
    mixtures = []
    for i, name in enumerate(NAMES):
        for kind, x in (("clean", voice), ("noisy", voice + 0.01 * (i + 1) * rng.standard_normal(t.size))):
            (folder / "pairs" / kind).mkdir(parents=True, exist_ok=True)
            sf.write(folder / "pairs" / kind / f"{name.replace('/', '')}.wav", x, RATE_HZ)
        mixtures.append({"name": name, "snr_db": 5 * i, "noise": {"category": f"noise {i}"}})
    (folder / "pairs" / "mixtures.json").write_text(json.dumps({"mixtures": mixtures}))

    def soften(x):
        return (0.5 * x).astype(np.float32)

    def half(x):
        if np.std(x[RATE_HZ // 3 : RATE_HZ // 2]) > 0.015:
            raise RuntimeError("too loud <for> it")
        return soften(x)

    patch = pytest.MonkeyPatch()
    known = {"percepnet": System("", lambda _: soften), "mute half": System("", lambda _: half)}
    patch.setattr(register_module, "SYSTEMS", {"noisy": register_module.SYSTEMS["noisy"], **known})
    try:
        register = Register()
        names = ["percepnet", "mute half"]
        result = compare(folder / "pairs", names, register=register, metrics=("si_sdr",), processes=1)
        page = to_html(result, make_clips(result, register, 8))
        (folder / "report.html").write_text(page, encoding="utf-8")
    finally:
        patch.undo()
    return folder / "report.html"


@pytest.fixture(scope="module")
def outline(page):
    return read_outline(page)


def test_nothing_is_fetched_from_elsewhere(page):
    assert_nothing_is_fetched(page)


def test_every_clip_has_every_system_that_did_not_fail_on_it(outline):
    assert sorted(a["data-clip"] for a in outline.all("article")) == sorted(NAMES)
    tracks = [a["data-system"] for a in outline.all("div") if "data-system" in a]
    assert sorted(tracks) == sorted(["noisy", "percepnet", "mute half", "clean", "noisy", "percepnet", "clean"])
    text = " ".join(outline.text)
    assert "too loud <for> it" in text
    assert "wild <b>&\"', mute half" in text


def test_sounds_and_pictures_are_whole(outline):
    audios, pictures = outline.all("audio"), outline.all("img")
    assert len(audios) == len(pictures) == 7
    for audio in audios:
        head, _, data = audio["src"].partition(",")
        assert head in ("data:audio/flac;base64", "data:audio/ogg;base64")
        x, rate_hz = sf.read(io.BytesIO(base64.b64decode(data)))
        assert (rate_hz, x.shape) == (RATE_HZ, (2 * RATE_HZ,))
    for picture in pictures:
        assert base64.b64decode(picture["src"].partition(",")[2]).startswith(b"\x89PNG")


def test_everything_can_be_reached_and_is_named(outline):
    identities = [a["id"] for _, a in outline.elements if "id" in a]
    assert len(identities) == len(set(identities))
    labels = {a["for"] for a in outline.all("label")}
    assert labels == {a["id"] for a in outline.all("input", type="radio")}
    assert all(a.get("aria-label") for a in outline.all("input", type="range") + outline.all("audio"))
    assert all(a.get("alt") for a in outline.all("img"))
    assert all(a.get("aria-label") for a in outline.all("svg"))
    assert {a["href"][1:] for a in outline.all("a")} <= set(identities)
    assert outline.all("html")[0]["lang"] == "en"
    groups = {a["name"] for a in outline.all("input", type="radio")}
    assert len(groups) == len([a for a in outline.all("input", type="radio") if "checked" in a]) == 2


def test_tables_have_the_breakdowns(outline):
    captions = " ".join(outline.text)
    assert "SI-SDR (dB) by signal-to-noise ratio" in captions
    assert "SI-SDR (dB) by noise" in captions


def test_what_is_heard_comes_first_and_intervals_of_few_recordings_are_folded_away(page, outline):
    sections = [a["id"] for a in outline.all("section")]
    assert sections[:2] == ["listen", "results"]
    assert [a for a in outline.all("details", **{"class": "fold"}) if "open" not in a]
    assert ".fold:not([open]) ~ .scroll .range { display: none; }" in page.read_text(encoding="utf-8")


def test_a_report_repeats_what_was_typed(monkeypatch):
    line = ["evaluate", "--pairs", "my recordings", "--model", "x.safetensors", "-o", "a.html"]
    monkeypatch.setattr("sys.argv", ["/usr/bin/percepnet", *line])
    assert typed() == "percepnet evaluate --pairs 'my recordings' --model x.safetensors -o a.html"
    monkeypatch.setattr("sys.argv", ["/lib/percepnet/__main__.py", *line])
    assert typed().startswith("percepnet evaluate")
    monkeypatch.setattr("sys.argv", ["/usr/bin/pytest", "tests"])
    assert typed() == ""


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed")
def test_in_a_browser_it_plays_and_switching_keeps_the_position(page, tmp_path):
    with open_page(page.as_uri(), tmp_path / "profile") as browser:
        browser.run("(window.player = document.querySelector('.clip').player, player.toggle())")
        browser.wait_for("player.now() > 0.2")
        before, after = browser.run("(() => { const a = player.now(); player.select(2); return [a, player.now()]; })()")
        assert 0 <= after - before < 0.05
        assert browser.run("player.active") == 2
        assert browser.run("player.voices.length") == browser.run("player.radios.length")
        browser.wait_for(f"player.now() > {after} || !player.playing")
        browser.press("1")
        assert browser.run("player.active") == 0
        browser.run("player.pause(); player.seek(1.5)")
        assert browser.run("player.now()") == 1.5
        browser.press("j")
        assert browser.run("player.now()") == pytest.approx(0.5)
        assert browser.complaints == []
        assert [url for url in browser.requests if not url.startswith(("data:", "file:", "about:"))] == []
