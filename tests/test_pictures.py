"""Pictures, tables and cards are of the models that ship: `scripts/pictures.py` draws and marks them."""

import json
import re
from pathlib import Path

import pytest

import percepnet
from shipped import MARK, model_hashes

Image = pytest.importorskip("PIL.Image", reason="needs Pillow, which matplotlib brings")

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PICTURES = sorted(path for path in DOCS.rglob("*.png") if "log" not in path.parts)
CARDS = ROOT / "src" / "percepnet" / "model" / "weights"
HASHES = model_hashes()
SCORES = json.loads((DOCS / "quality.json").read_text(encoding="utf-8"))
ROWS = {  # of a card's scores
    "unprocessed": "noisy",
    "default": "percepnet",
    "small": "small",
    "RNNoise 0.2": "rnnoise",
    "DeepFilterNet 3": "deepfilternet3",
}


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_picture_is_of_what_ships(path):
    with Image.open(path) as picture:
        marks = json.loads(picture.info.get(MARK, "{}"))
    assert marks, f"{path.name} says nothing of its model: python scripts/pictures.py {path.stem}"
    assert marks == HASHES, f"{path.name} is of another model: python scripts/pictures.py {path.stem}"


def test_every_picture_is_shown():
    text = "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *DOCS.rglob("*.md")])
    assert not [path.name for path in PICTURES if path.name not in text]


def test_scores_are_of_what_ships():
    assert SCORES["models"] == HASHES, "measure anew, and python scripts/pictures.py --scores report.json quality"


@pytest.mark.parametrize("name", ["quality.md", "benchmarks.md"])
def test_tables_are_of_what_ships(name):
    text = (DOCS / name).read_text(encoding="utf-8")
    measured = re.search(r"<!-- measured with (.*?) -->", text)
    expected = ", ".join(f"{model} {found[:16]}" for model, found in HASHES.items())
    assert measured, f"<!-- measured with {expected} --> belongs to the beginning of {name}"
    assert measured[1] == expected, f"measure {name} anew, then name what it was measured with: {expected}"


@pytest.mark.parametrize("name", HASHES)
def test_a_card_is_of_its_model(name):
    text = (CARDS / f"{name}.md").read_text(encoding="utf-8")
    found = re.search(r"^\| file \| SHA-256 `([0-9a-f]{64})` \|$", text, re.MULTILINE)
    assert found, f"the first table of {name}.md needs: | file | SHA-256 `{HASHES[name]}` |"
    assert found[1] == HASHES[name], f"{name}.md is the card of another model"


@pytest.mark.parametrize("name", HASHES)
def test_a_card_tells_the_sizes_of_all_layers(name):
    model = percepnet.load_model(name)
    row = re.search(r"^\| architecture \|(.*)\|$", (CARDS / f"{name}.md").read_text(encoding="utf-8"), re.MULTILINE)[1]
    convolutions = [layer.units for layer in model.architecture.layers if layer.kind == "convolution"]
    told = re.search(r"convolutions (\d+) and (\d+)", row)
    assert [int(units) for units in told.groups()] == convolutions
    heads = model.architecture.heads.values()
    sizes = {layer.units for layer in model.architecture.layers if layer.units and layer.name not in heads}
    assert {int(number) for number in re.findall(r"\b(\d{2,4})\b(?! x)", row.partition(";")[2])} >= sizes
    assert f"{model.weight_count / 1e6:.2f} million weights" in row


@pytest.mark.parametrize("name", HASHES)
def test_a_card_has_the_scores_of_the_tables(name):
    text = (CARDS / f"{name}.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip(" *") for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    found = {row[0]: [float(cell.split()[0]) for cell in row[1:]] for row in rows if row[0] in ROWS and len(row) == 5}
    assert set(found) == set(ROWS)
    for label, values in found.items():
        means = SCORES["all"][ROWS[label]]
        assert values == pytest.approx([means[m] for m in ("pesq_wb", "stoi", "si_sdr_db", "dnsmos_ovrl")], abs=0.051)
