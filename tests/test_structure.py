"""What the structure promises a newcomer: packages that build upon one another, and files that can be read."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import percepnet

ROOT = Path(percepnet.__file__).parent
LINES_MAX = 500


def part(module):
    """The package or file that a module is in, of those directly under `percepnet`."""
    names = module.split(".")
    return names[1] if len(names) > 1 else "percepnet"


def imported(path):
    """Modules of the project that a file imports, also within functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "percepnet":
            yield from (f"percepnet.{alias.name}" if (ROOT / alias.name).with_suffix(".py").exists()
                        or (ROOT / alias.name).is_dir() else "percepnet" for alias in node.names)  # fmt: skip
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("percepnet."):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("percepnet"))


def module_of(path):
    names = ("percepnet", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def test_no_package_looks_back():
    graph = {}
    for path in ROOT.rglob("*.py"):
        here = part(module_of(path))
        graph.setdefault(here, set()).update({part(module) for module in imported(path)} - {here})
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
    assert order.index("params") < order.index("reference") < order.index("model") < order.index("percepnet")


def test_files_can_be_read_at_once():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    assert {name: lines for name, lines in lengths.items() if lines > LINES_MAX} == {}
