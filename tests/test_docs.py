"""What the documentation shows works: code runs, commands have these options, links lead somewhere, the site builds."""

import ast
import doctest
import importlib
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import percepnet
from percepnet.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md"]
PAGES += sorted(path for path in (ROOT / "docs").rglob("*.md"))
GUIDES = [path for path in PAGES if "log" not in path.parts]
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\[\]]*\]\(([^()\s]+)\)")
FRAMEWORK = re.compile(r"^from percepnet\.integrations\.\w+ import", re.MULTILINE)
PREPARED = {"docs/onnx.md": (("onnx", "onnxruntime"), ["export", "small", "--onnx", "exported"])}
DOCTESTED = [
    "percepnet.stream",
    "percepnet.batch",
    "percepnet.beamforming",
    "percepnet.processor",
    "percepnet.model.file",
]


def name_of(path):
    return str(path.relative_to(ROOT))


def blocks(path):
    return [(path, match[1]) for match in CODE.finditer(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("path", [path for path in GUIDES if blocks(path)], ids=name_of)
def test_the_code_of_a_page_runs(path, tmp_path, monkeypatch):
    """All blocks, one after the other, with what they take for granted: sound, a microphone, a loudspeaker."""
    noise = 0.01 * np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
    heard = []
    names = {
        "x": noise,
        "microphone": list(noise[:9_600].reshape(-1, 480)),
        "loudspeaker": SimpleNamespace(write=heard.append),
        "packet_of_20_ms": np.zeros(160, np.int16),
        "stereo_chunk": np.zeros((2, 480), np.float32),
        "percepnet": percepnet,
    }
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    if name_of(path) in PREPARED:
        needed, command = PREPARED[name_of(path)]
        for package in needed:
            pytest.importorskip(package, reason=f"the package {package} is not installed")
        assert CliRunner().invoke(app, command).exit_code == 0
    for _, code in blocks(path):
        if FRAMEWORK.search(code):  # which nobody is connected to here; its integration has tests of its own
            compile(code, name_of(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        else:
            exec(compile(code, name_of(path), "exec"), names)
    assert not any(name in path.stem for name in ("README", "streams")) or heard


@pytest.mark.parametrize("name", DOCTESTED)
def test_examples_of_docstrings(name):
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert results.attempted > 0
    assert not results.failed


def commands(path):
    """What a page has called percepnet with, as words: lines of code, and code within a line."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^ {4}(?:.*&& )?((?:\.venv/bin/)?percepnet [a-z].*)$", text, re.MULTILINE)
    lines += re.findall(r"`(percepnet [a-z][^`]*)`", text)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("path", [path for path in GUIDES if commands(path)], ids=name_of)
def test_commands_have_the_options_that_a_page_names(path):
    for words in commands(path):
        command = typer.main.get_command(app)
        rest = words[1:]
        while rest and hasattr(command, "commands"):
            assert rest[0] in command.commands, words
            command = command.commands[rest.pop(0)]
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        used = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert used <= known | {"--help"}, words


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_to_files(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = {target.partition("#")[0] for target in LINK.findall(text) if "://" not in target}
    built = {"models/default.md", "models/small.md", "models/percepnet.md"}  # pages of the site alone
    missing = [target for target in targets if target and target not in built and not (path.parent / target).exists()]
    assert not missing


@pytest.mark.skipif(
    not find_spec("mkdocs") or not find_spec("material"), reason="needs mkdocs-material: pip install '.[docs]'"
)
def test_the_site_builds_and_asks_nobody(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "--site-dir", str(tmp_path / "site")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        asked = re.findall(
            r"<(?:script|img|iframe)[^>]*src=\"?(https?://[^\"> ]+)", text := page.read_text(encoding="utf-8")
        )
        asked += re.findall(r"<link[^>]*rel=\"?(?:stylesheet|preconnect|icon)\"?[^>]*href=\"?(https?://[^\"> ]+)", text)
        assert not asked, page.name


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120
