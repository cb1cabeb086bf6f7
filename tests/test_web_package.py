"""The npm package in web/: built, and its own tests run, in Node and in browsers.

What is missing on a machine is named, and skipped. .ci/run installs it; by hand: `cd web && npm ci`, and Debian's
chromium, firefox-esr and pulseaudio.
"""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from percepnet.errors import PercepNetError
from percepnet.native import library

WEB = Path(__file__).resolve().parents[1] / "web"
TIMEOUT_S = 15 * 60


def missing():
    """What there is not, in words; None if all is there."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return "needs Node.js and npm"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < 20:
        return f"needs Node.js 20, this is {version.strip()}"
    if find_spec("ziglang") is None:
        return "needs ziglang: pip install '.[wheels]'"
    if not (WEB / "node_modules").is_dir():
        return "needs the package's tools: cd web && npm ci"
    try:
        library()
    except PercepNetError as error:
        return str(error)
    return None


WHY_NOT = missing()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The package, built, and what the native core makes."""
    subprocess.run([sys.executable, str(WEB / "build.py")], check=True, timeout=TIMEOUT_S)
    folder = tmp_path_factory.mktemp("reference")
    subprocess.run([sys.executable, str(WEB / "test" / "reference.py"), str(folder)], check=True, timeout=TIMEOUT_S)
    return folder


def run_tests(reference, *words, browser="chromium"):
    """How many tests of Node's runner passed, of the files and options given."""
    environment = os.environ | {
        "PERCEPNET_REFERENCE": str(reference),
        "PERCEPNET_BROWSER": browser,
        "PERCEPNET_CALL_S": os.environ.get("PERCEPNET_CALL_S", "12"),
    }
    command = ["node", "--test", "--test-reporter=tap", *words]
    done = subprocess.run(
        command, cwd=WEB, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    failed = re.findall(r"^not ok .*(?:\n  .*)*", done.stdout, re.M)
    assert done.returncode == 0, "\n".join(text for text in failed if "# TODO" not in text) or done.stderr
    return int(re.search(r"^# pass (\d+)", done.stdout, re.M)[1])


def test_types():
    subprocess.run(["npm", "run", "--silent", "check"], cwd=WEB, check=True, timeout=TIMEOUT_S)


def test_in_node(reference):
    assert run_tests(reference, "test/core.test.mjs", "test/processor.test.mjs") >= 19


def test_binaries_are_the_same_when_they_are_built_again(reference):
    names = ("percepnet.wasm", "percepnet-relaxed.wasm")
    before = [(WEB / "dist" / name).read_bytes() for name in names]
    subprocess.run([sys.executable, str(WEB / "build.py"), "--wasm"], check=True, timeout=TIMEOUT_S)
    assert [(WEB / "dist" / name).read_bytes() for name in names] == before


@pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="needs Debian's chromium")
@pytest.mark.parametrize(("file", "least"), [("browser", 24), ("demo", 4), ("package", 4)])
def test_in_chromium(reference, file, least):
    assert run_tests(reference, f"test/{file}.test.mjs") >= least


@pytest.mark.skipif(not Path("/usr/bin/firefox-esr").exists(), reason="needs Debian's firefox-esr")
def test_in_firefox(reference):
    assert run_tests(reference, "test/browser.test.mjs", browser="firefox") >= 24
