"""A program frozen by PyInstaller has the weights and the core."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from percepnet._pyinstaller import get_hook_dirs
from percepnet.engine import engine

PROGRAM = """
import json
import numpy as np
import percepnet
from percepnet.engine import engine
y = percepnet.enhance(np.full(4800, 0.1, np.float32), 48000, model="small")
print(json.dumps({"engine": engine(), "samples": len(y)}))
"""
NOT_NEEDED = ("torch", "matplotlib", "scipy", "librosa", "onnxruntime", "pytest", "PIL", "IPython")


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("PyInstaller"), reason="needs PyInstaller: pip install pyinstaller")
def test_a_frozen_program_enhances_on_the_core(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR"]
    command += [f"--additional-hooks-dir={folder}" for folder in get_hook_dirs()]
    command += [f"--exclude-module={name}" for name in NOT_NEEDED]
    command += ["--distpath", str(tmp_path / "dist"), "--workpath", str(tmp_path / "work"), "--specpath", str(tmp_path)]
    subprocess.run([*command, str(script)], check=True, capture_output=True, timeout=600, cwd=tmp_path)
    frozen = subprocess.run(
        [tmp_path / "dist" / "program" / "program"], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert json.loads(frozen.stdout) == {"engine": engine(), "samples": 4800}
