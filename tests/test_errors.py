import subprocess
import sys

import pytest

COMMANDS = {
    "evaluate": (["evaluate", "--pairs", "."], "soxr", "eval"),
    "oracle": (["oracle", "a.wav", "b.wav", "-o", "o"], "soxr", "eval"),
    "train": (["train", "-o", "run", "--speech", "."], "torch", "train"),
    "export": (["export", "run", "-o", "m.safetensors"], "torch", "train"),
}


@pytest.mark.parametrize(("arguments", "package", "extra"), COMMANDS.values(), ids=COMMANDS.keys())
def test_a_missing_package_is_named_with_what_installs_it(tmp_path, arguments, package, extra):
    code = f"import sys; sys.modules[{package!r}] = None; from percepnet.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    what = f"percepnet: this needs more packages ({package})"
    assert done.stderr == f"{what}: pip install 'percepnet[{extra}]', or '.[{extra}]' in its repository\n"
    assert not list(tmp_path.iterdir())
