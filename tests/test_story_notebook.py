"""`examples/story.ipynb` runs from the root of the repository and from its own folder, and is kept without outputs."""

from pathlib import Path

import pytest

for package in ("nbclient", "nbformat", "ipykernel", "matplotlib", "pesq", "pystoi"):
    pytest.importorskip(package, reason=f"the package {package} is not installed")

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "story.ipynb"


def test_it_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert max(len(cell.source.splitlines()) for cell in code) < 20


@pytest.mark.slow
@pytest.mark.parametrize("folder", [ROOT, NOTEBOOK.parent])
def test_it_runs_and_shows_what_it_tells(folder):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    if folder == ROOT:  # which is all that differs
        wanted = next(i for i, cell in enumerate(notebook.cells) if "hear(noisy)" in cell.source)
        notebook.cells = notebook.cells[: wanted + 1]
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    shown = [set(output.data) for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    sources = "".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    if folder == ROOT:
        assert any("text/html" in kinds for kinds in shown)
        return
    pictures = sources.count("_figure(")
    sounds = sources.count("hear(") - sources.count("def hear(")
    assert sum("image/png" in kinds for kinds in shown) == pictures >= 7
    assert sum("text/html" in kinds for kinds in shown) == sounds >= 8
    printed = "".join(output.text for cell in notebook.cells for output in cell.get("outputs", ()) if "text" in output)
    assert printed.count("pesq_wb") == 7
