"""The constants of the C core are those of the signal path."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

CORE = Path(__file__).parents[1] / "core"
NUMBER = re.compile(r"[-+]?\b\d+(?:\.\d+)?(?:e[-+]?\d+)?f?\b")


def generator():
    module_spec = importlib.util.spec_from_file_location("generate", CORE / "generate.py")
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("file", ["constants.h", "tables.c"])
def test_generated_files_are_fresh(file):
    """To the last digit but one: transcendental functions differ in the last one between machines."""
    fresh, stored = generator().FILES[file](), (CORE / "src" / "signal" / file).read_text()
    assert NUMBER.sub("#", fresh) == NUMBER.sub("#", stored), "run core/generate.py"
    numbers = [[float(number.rstrip("f")) for number in NUMBER.findall(text)] for text in (fresh, stored)]
    assert len(numbers[0]) > 30
    np.testing.assert_allclose(*numbers, rtol=1e-5, atol=1e-7, err_msg="run core/generate.py")
