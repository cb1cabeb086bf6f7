"""The tables of the documentation and the cards: made from evaluations, without touching what is written by hand."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("PIL", reason="needs Pillow, which matplotlib brings")

import report_tables
from report_tables import DOCS, WEIGHTS, WHOLE

MEASURES = (*report_tables.TITLES, "dnsmos_p808")
MEANS = {"noisy": 1.0, "percepnet": 2.0, "small": 1.5, "rnnoise": 1.25, "gtcrn": 1.75, "deepfilternet3": 2.25}
MEANS |= {"best": 3.0}
SET = "2 recordings of `cross-test`: speech."


@pytest.fixture
def report(tmp_path):
    """Two recordings, one of them in a room; each system has the same score by all measures."""
    for name, (_, model, systems, _) in report_tables.EVALUATIONS.items():
        rows = [
            {
                "name": f"{place or 'dry'}.wav",
                "system": system,
                "snr_db": 5.0,
                "noise": "rain",
                "room": place,
                "costs": {},
                "scores": dict.fromkeys(MEASURES, MEANS[system] + (0.5 if model else 0) + (0.25 if place else 0)),
            }
            for place in ("", "measured")
            for system in systems
        ]
        (tmp_path / f"{name}.json").write_text(json.dumps({"rows": rows}))
    table = "| system | PESQ-WB |\n| --- | --- |\n| new | 4.00 |\n"
    (tmp_path / "cross.md").write_text(f"# cross-test\n\n{SET}\n\n{table}\n    percepnet\n")
    (tmp_path / "decisions.md").write_text(table)
    return tmp_path


def tables(text):
    return [line for line in text.split("\n") if line.startswith("|")]


def prose(text):
    return [line for line in text.split("\n") if not line.startswith(("|", "<!--"))]


def test_quality_has_the_new_tables_and_the_prose_of_before(report, tmp_path):
    page = tmp_path / "quality.md"
    shutil.copy(DOCS / "quality.md", page)
    before = page.read_text()
    report_tables.write_quality(report, page)
    after = page.read_text()
    assert after.count("| new | 4.00 |") == 2
    assert (
        "| best | 3.12 (+2.00, +2.00 to +2.00) | 3.125 (+2.000, +2.000 to +2.000) | 3.1 (+2.0, +2.0 to +2.0) |" in after
    )
    begin, end = before.index(" recordings of `cross-test`"), before.index("## VoiceBank+DEMAND")
    hand = [line for line in prose(before[: begin - 4] + before[end:]) if line]
    assert hand == [line for line in prose(after) if line and line not in (SET, "    percepnet")]


def test_best_and_its_others(report, tmp_path):
    page = tmp_path / "best.md"
    shutil.copy(DOCS / "best.md", page)
    before = page.read_text()
    report_tables.write_best(report_tables.read_comparison(report, "cross", "whole", "best"), page)
    after = page.read_text()
    assert prose(after) == prose(before)
    assert "| `--model percepnet` | 2.62 | 2.625 | 2.6 | 2.62 |" in after
    assert "| DeepFilterNet 3, the 1 in rooms | +.75 (.75 to .75) | +.750 (.750 to .750) | +.8 (.8 to .8) |" in after
    assert len(tables(after)) == len(tables(before))


@pytest.mark.parametrize("name", ["default", "small", "percepnet", "offline/backward"])
def test_a_card_has_the_scores(report, tmp_path, name):
    card = tmp_path / f"{Path(name).name}.md"
    shutil.copy(WEIGHTS / f"{name}.md", card)
    before = card.read_text()
    cross = report_tables.read_comparison(report, "cross", "whole", "best")
    report_tables.write_card(card, WEIGHTS / f"{name}.safetensors", cross)
    after = card.read_text()
    changed = [line for line, was in zip(after.split("\n"), before.split("\n"), strict=True) if line != was]
    assert "| unprocessed | 1.12 | 1.125 | 1.1 | 1.12 |" in changed
    own = {"default": "percepnet", "percepnet": WHOLE, "offline/backward": "best"}.get(name, name)
    assert any(f"{cross.difference(own, 'stoi').mean:.3f}" in line for line in changed)
    assert all(line.count("|") == 6 for line in changed)


def test_a_report_that_was_not_measured_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"vbd\.json is missing"):
        report_tables.read_comparison(tmp_path, "vbd")


def test_a_page_without_the_table_is_named():
    with pytest.raises(SystemExit, match="no table behind '## Scores'"):
        report_tables.with_table("## Score\n\n| a |\n|---|\n| b |\n", "## Scores", [])
