"""The OBS filter in a real libobs, and the LV2 plugin in lilv's host, against the core."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("hatchling", reason="plugins are built with the flags of the wheels: pip install hatchling")
if sys.platform != "linux":
    pytest.skip("these plugins are built for Linux", allow_module_level=True)

from percepnet import Enhancer, native
from plugins import build as plugin_build
from voices import glide, noise

PLUGINS = Path(plugin_build.__file__).parent

try:
    native.library()
except native.CoreMissing as missing:
    pytest.skip(str(missing), allow_module_level=True)


def built(kind, folder):
    try:
        return plugin_build.build(kind, None, folder / "linux")
    except plugin_build.Skipped as reason:
        pytest.skip(str(reason))


def voice(channels=1):
    x, _ = glide(1, 0.7)
    return np.stack([x / (1 + c) + noise(c, len(x), 0.02) for c in range(channels)]).astype(np.float32)


@pytest.fixture(scope="module")
def obs(tmp_path_factory):
    """The plugin, and a program that runs samples through it."""
    folder = tmp_path_factory.mktemp("obs")
    if not (shutil.which("xvfb-run") and shutil.which("cc")):
        pytest.skip("needs xvfb-run and cc: apt install xvfb xauth gcc")
    library = built("obs", folder)
    host = folder / "host"
    source = str(PLUGINS / "tests/obs_host.c")
    subprocess.run(["cc", "-std=gnu11", source, "-o", str(host), "-lobs"], check=True)
    return library, host


@pytest.mark.parametrize(("rate_hz", "channels", "limit_db", "block"), [(48000, 2, 100, 1024), (44100, 1, 12, 333)])
def test_obs_gives_the_cores_bits_and_keeps_picture_and_sound_together(obs, rate_hz, channels, limit_db, block):
    library, host = obs
    x = voice(channels)
    command = ["xvfb-run", "-a", str(host), str(library), str(rate_hz), str(channels), "1", str(limit_db), str(block)]
    done = subprocess.run(command, input=np.ascontiguousarray(x.T).tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    y = np.frombuffer(done.stdout, np.float32).reshape(-1, channels).T
    limit = None if limit_db == 100 else float(limit_db)
    enhancer = Enhancer(rate_hz, channels, model="small", block_samples=1, attenuation_limit_db=limit)
    np.testing.assert_array_equal(y, enhancer.process(x))
    found = re.search(rb"limit there, delay (\d+)", done.stderr)
    assert found, done.stderr
    assert abs(int(found[1]) - enhancer.latency_samples) <= 1


def test_lv2_gives_the_cores_sound(tmp_path):
    if not shutil.which("lv2apply"):
        pytest.skip("needs lv2apply: apt install lilv-utils")
    bundle = built("lv2", tmp_path).parent
    environment = {"LV2_PATH": f"{bundle.parent}:/usr/lib/lv2", "PATH": "/usr/bin:/bin"}
    x = voice(2)
    soundfile.write(tmp_path / "x.wav", x.T, 48000, subtype="FLOAT")
    command = ["lv2apply", "-i", "x.wav", "-o", "y.wav", "-c", "model", "1", "urn:percepnet:stereo"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    y, _ = soundfile.read(tmp_path / "y.wav", dtype="float32", always_2d=True)
    expected = Enhancer(channels=2, model="small", block_samples=1).process(x)
    np.testing.assert_allclose(y.T, expected, atol=2 / 32768)
    checked = subprocess.run(
        ["lv2info", "urn:percepnet:mono"], env=environment, capture_output=True, text=True, check=True
    )
    assert "Has latency:       yes" in checked.stdout
