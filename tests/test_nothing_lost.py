"""Files of users that commands do not write over, nor add to."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from percepnet.cli import app


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 4800), 48000)
    return tmp_path / "a.wav"


def refused(arguments: list[str], kept: Path, words: str) -> None:
    before = kept.read_bytes()
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2, done.output
    assert words in " ".join(done.stderr.split())
    assert kept.read_bytes() == before


def test_a_report_is_not_added_to_what_is_none(recording: Path) -> None:
    common = ["enhance", str(recording), "-o", str(recording.with_name("b.wav")), "--model", "small"]
    refused([*common, "--report", str(recording)], recording, "a.wav: is no report of enhance")
    notes = recording.with_name("notes.txt")
    notes.write_text("mine")
    refused([*common, "--report", str(notes)], notes, "notes.txt: is no report of enhance")
    lines = recording.with_name("report.jsonl")
    for count in (1, 2):
        assert CliRunner().invoke(app, [*common, "--overwrite", "--report", str(lines)]).exit_code == 0
        assert len(lines.read_text().splitlines()) == count


def test_a_page_is_not_written_over_a_recording(recording: Path) -> None:
    pytest.importorskip("soxr")
    refused(
        ["evaluate", "--noisy", str(recording.parent), "--systems", "noisy", "-o", str(recording)],
        recording,
        "a.wav: is a recording's name: give -o report.html",
    )


def test_a_model_is_replaced_where_it_is_asked_for(recording: Path) -> None:
    pytest.importorskip("torch")
    refused(["export", "small", "-o", str(recording)], recording, "a.wav: exists: give another name, or --overwrite")
    card = recording.with_name("card.md")
    card.write_text("mine")
    model = str(recording.with_name("m.safetensors"))
    refused(["export", "small", "-o", model, "--card", str(card)], card, "card.md: exists")
    assert CliRunner().invoke(app, ["export", "small", "-o", model]).exit_code == 0
    assert CliRunner().invoke(app, ["export", "small", "-o", model]).exit_code == 2
    assert CliRunner().invoke(app, ["export", "small", "-o", model, "--overwrite"]).exit_code == 0
