"""The LADSPA plugin: the core's bits at any rate and in any blocks, in hosts that behave, and in those that do not."""

import os
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
    pytest.skip("LADSPA is for Linux", allow_module_level=True)

import hatch_build
from ladspa_plugins import AUDIO, BYPASS, LIMIT, Plugin
from percepnet import Enhancer, native
from voices import glide, noise

ROOT = Path(hatch_build.__file__).parent
PLUGINS = ROOT / "plugins"
WEIGHTS = ROOT / "src/percepnet/model/weights"
BLOCKS = [32, 480, 500, 1024, 8192]
SANITIZED = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

try:
    native.library()
except native.CoreMissing as missing:
    pytest.skip(str(missing), allow_module_level=True)


def compiler():
    found = hatch_build.compiler_here()
    if found is None:
        pytest.skip("needs a C compiler")
    return found


@pytest.fixture(scope="module", autouse=True)
def _models():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PERCEPNET_MODELS", str(WEIGHTS))
        monkeypatch.delenv("PERCEPNET_MODEL", raising=False)
        yield


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("ladspa") / "percepnet_ladspa.so"
    hatch_build.compile_plugin(compiler(), ROOT, "ladspa", path)
    return path


def voice(rate_hz=48000, channels=1, seconds=0.7):
    x, _ = glide(1, seconds)
    x = np.stack([x / (1 + c) + noise(c, len(x), 0.02) for c in range(channels)])
    return x[:, : int(seconds * rate_hz)].astype(np.float32)


def expected(x, rate_hz, **settings):
    enhancer = Enhancer(rate_hz, len(x), model="small", block_samples=1, **settings)
    return enhancer.process(x), enhancer.latency_samples


@pytest.mark.parametrize("rate_hz", [8000, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_and_any_blocks_give_the_cores_bits(library, rate_hz, channels):
    x = voice(rate_hz, channels)
    y, latency = expected(x, rate_hz)
    for number, block in enumerate(BLOCKS):
        plugin = Plugin(library, rate_hz, index=channels - 1)
        plugin.activate()
        assert plugin.latency == latency
        np.testing.assert_array_equal(plugin.run(x, block, in_place=number % 2 == 0), y)
        plugin.close()


@pytest.mark.parametrize("rate_hz", [44100, 48000])
def test_a_far_end_gives_the_cores_bits(library, rate_hz):
    near = voice(rate_hz, seconds=1.5)
    far = np.ascontiguousarray(np.roll(near[0], 3000)[::-1])
    x = near + 0.5 * np.roll(far, 700)
    enhancer = Enhancer(rate_hz, model="small", block_samples=1, far_end=True)
    wanted = enhancer.process(x, far)
    for block in (333, 1024):
        plugin = Plugin(library, rate_hz, index=2)
        plugin.activate()
        np.testing.assert_array_equal(plugin.run(x, block, far=far), wanted)
        assert plugin.latency == enhancer.latency_samples
        plugin.close()


def test_a_far_end_that_nobody_connects_is_silent(library):
    x = voice()
    plugin = Plugin(library, index=2)
    plugin.activate()
    np.testing.assert_array_equal(plugin.run(x, 480), expected(x, 48000)[0])
    plugin.close()


def test_without_the_network_for_it_the_rest_of_an_echo_stays(library, tmp_path, monkeypatch, capfd):
    shutil.copy(WEIGHTS / "small.safetensors", tmp_path)
    monkeypatch.setenv("PERCEPNET_MODELS", str(tmp_path))
    x = voice()
    plugin = Plugin(library, index=2)
    plugin.activate()
    y = plugin.run(x, 480, far=np.ascontiguousarray(x[0]))
    assert np.isfinite(y).all()
    assert plugin.latency > 0
    said = capfd.readouterr().err
    assert said.startswith("percepnet: what is left of an echo stays: cannot open the model")
    assert "echo/residual.safetensors" in said
    plugin.close()


def test_controls_act_while_it_runs(library):
    x = voice()
    plugin = Plugin(library)
    plugin.controls[LIMIT] = 6
    plugin.activate()
    np.testing.assert_array_equal(plugin.run(x, 333), expected(x, 48000, attenuation_limit_db=6.0)[0])
    plugin.controls[BYPASS] = 1
    y = plugin.run(x, 333)[0]
    fade = 960
    np.testing.assert_array_equal(y[plugin.latency + fade :], x[0, fade : len(y) - plugin.latency])
    plugin.controls[:2] = np.nan, 1
    plugin.controls[BYPASS] = 0
    plugin.activate()
    np.testing.assert_array_equal(plugin.run(x, 333), expected(x, 48000)[0])
    plugin.close()


def test_models_are_chosen_by_number(library, monkeypatch):
    x = voice()
    monkeypatch.setenv("PERCEPNET_MODEL", str(WEIGHTS / "small.safetensors"))
    by_number = []
    for model in range(3):
        plugin = Plugin(library, model=model)
        plugin.activate()
        by_number.append(plugin.run(x, 480))
        plugin.close()
    np.testing.assert_array_equal(by_number[1], by_number[2])
    assert np.abs(by_number[0] - by_number[1]).max() > 1e-3
    default = Enhancer(block_samples=1)
    np.testing.assert_array_equal(by_number[0], default.process(x))


@pytest.mark.parametrize(
    ("rate_hz", "model", "words"),
    [(4000, 1, "sample_rate_hz is 4000"), (400000, 1, "400000"), (48000, 2, "PERCEPNET_MODEL"), (48000, 0, "nowhere")],
)
def test_what_cannot_be_enhanced_passes_through_with_one_line(library, monkeypatch, capfd, rate_hz, model, words):
    if model == 0:
        monkeypatch.setenv("PERCEPNET_MODELS", "/nowhere")
    x = voice()
    plugin = Plugin(library, rate_hz, model=model)
    plugin.activate()
    np.testing.assert_array_equal(plugin.run(x, 100), x)
    assert plugin.latency == 0
    plugin.close()
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("percepnet: the sound passes through unchanged: ")
    assert words in lines[0]


def test_run_before_activate_works(library):
    x = voice()
    plugin = Plugin(library)
    np.testing.assert_array_equal(plugin.run(x, 480), expected(x, 48000)[0])
    plugin.close()


def test_nan_is_silence_and_does_not_stay(library):
    x = voice(seconds=1.0)
    plugin = Plugin(library)
    plugin.activate()
    broken = x.copy()
    broken[0, 5000] = np.nan
    assert np.isfinite(plugin.run(broken, 64)).all()
    plugin.close()


def test_ports_that_nobody_connects_are_silence(library):
    plugin = Plugin(library, index=1)
    plugin.activate()
    y = np.ones(4800, np.float32)
    plugin.connect(AUDIO + 2, y)
    plugin.descriptor.run(plugin.handle, 4800)
    np.testing.assert_array_equal(y, 0)
    plugin.close()


def test_models_are_found_near_the_plugin(library, tmp_path, monkeypatch, capfd):
    monkeypatch.delenv("PERCEPNET_MODELS")
    x = voice()
    for folder in ("package/plugins", "prefix/lib/ladspa"):
        (tmp_path / folder).mkdir(parents=True)
        shutil.copy(library, tmp_path / folder / "p.so")
    for folder in ("package/model/weights", "prefix/share/percepnet"):
        (tmp_path / folder).mkdir(parents=True)
        shutil.copy(WEIGHTS / "small.safetensors", tmp_path / folder)
    for path in (tmp_path / "package/plugins/p.so", tmp_path / "prefix/lib/ladspa/p.so"):
        plugin = Plugin(path)
        plugin.activate()
        assert plugin.latency > 0
        np.testing.assert_array_equal(plugin.run(x, 480), expected(x, 48000)[0])
        plugin.close()
    assert not capfd.readouterr().err


def test_it_follows_the_standard(tmp_path):
    if not Path("/usr/include/ladspa.h").is_file():
        pytest.skip("needs <ladspa.h>: apt install ladspa-sdk")
    ours = (PLUGINS / "ladspa/abi.h").read_text()
    names = re.findall(r"\b(LADSPA_(?:PROPERTY|PORT|HINT)_\w+) = (\w+)", ours)
    members = ["UniqueID", *re.findall(r"^    (?:[\w ]+[ *])(\w+);", ours, re.M), "instantiate", "run", "cleanup"]
    members = [name for name in members if name not in ("HintDescriptor", "LowerBound", "UpperBound")]
    assert len(names) >= 11
    assert len(members) >= 12

    def values(header):
        lines = [f'printf("%d ", (int){name});' for name, _ in names]
        lines += [f'printf("%zu ", offsetof(LADSPA_Descriptor, {name}));' for name in members]
        lines.append('printf("%zu %zu", sizeof(LADSPA_Descriptor), sizeof(LADSPA_PortRangeHint));')
        source = tmp_path / "values.c"
        source.write_text(
            f"#include {header}\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {{\n{''.join(lines)}\n}}\n"
        )
        program = tmp_path / "values"
        subprocess.run([*compiler(), f"-I{PLUGINS}", str(source), "-o", str(program)], check=True)
        return subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout

    assert values('"ladspa/abi.h"') == values("<ladspa.h>")


def build_host(folder, flags):
    host = folder / "host"
    source = PLUGINS / "tests/ladspa_host.c"
    subprocess.run(
        [*compiler(), "-std=c11", *flags, f"-I{PLUGINS}", str(source), "-o", str(host), "-ldl", "-lm"], check=True
    )
    return host


def test_a_hundred_instances_under_sanitizers(tmp_path):
    library = tmp_path / "sanitized.so"
    try:
        hatch_build.compile_plugin(compiler(), ROOT, "ladspa", library, SANITIZED)
        host = build_host(tmp_path, SANITIZED)
    except subprocess.CalledProcessError:
        pytest.skip("this compiler has no address sanitizer")
    done = subprocess.run([str(host), str(library), "100"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "100 instances, 0 failures\n"


def test_ten_instances_under_valgrind(tmp_path, library):
    if not shutil.which("valgrind"):
        pytest.skip("needs valgrind")
    host = build_host(tmp_path, ["-g"])
    checks = ["--leak-check=full", "--errors-for-leak-kinds=definite,possible", "--error-exitcode=9", "-q"]
    done = subprocess.run(
        ["valgrind", *checks, str(host), str(library), "10"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_analyseplugin_and_applyplugin(library, tmp_path):
    if not shutil.which("applyplugin"):
        pytest.skip("needs analyseplugin and applyplugin: apt install ladspa-sdk")
    environment = os.environ | {"LADSPA_PATH": str(library.parent)}
    run = {"env": environment, "capture_output": True, "text": True}
    listed = subprocess.run(["analyseplugin", library.name], check=True, **run).stdout
    assert '"percepnet_mono"' in listed
    assert '"percepnet_stereo"' in listed
    assert '"latency" output, control' in listed
    x = np.round(voice()[0] * 32767) / 32768
    soundfile.write(tmp_path / "x.wav", x, 48000, subtype="PCM_16")
    command = ["applyplugin", "x.wav", "y.wav", library.name, "percepnet_mono", "100", "1", "0"]
    subprocess.run(command, cwd=tmp_path, check=True, **run)
    y, _ = soundfile.read(tmp_path / "y.wav", dtype="float32")
    assert np.abs(y[: len(x)] - expected(x[None].astype(np.float32), 48000)[0][0][: len(y)]).max() < 2 / 32768


@pytest.mark.parametrize("rate_hz", [44100, 48000])
def test_ffmpeg_gives_the_cores_bits(library, tmp_path, rate_hz):
    if not shutil.which("ffmpeg"):
        pytest.skip("needs ffmpeg")
    x = voice(rate_hz)
    soundfile.write(tmp_path / "x.wav", x[0], rate_hz, subtype="FLOAT")
    graph = f"ladspa=file={library}:plugin=percepnet_mono:controls=c1=1"
    command = ["ffmpeg", "-v", "error", "-i", "x.wav", "-af", graph, "-c:a", "pcm_f32le", "y.wav"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    y, found_hz = soundfile.read(tmp_path / "y.wav", dtype="float32")
    assert found_hz == rate_hz
    np.testing.assert_array_equal(y, expected(x, rate_hz)[0][0])


def test_gstreamer_runs_it(library, tmp_path):
    if not shutil.which("gst-launch-1.0"):
        pytest.skip("needs gst-launch-1.0: apt install gstreamer1.0-tools gstreamer1.0-plugins-bad")
    environment = os.environ | {"LADSPA_PATH": str(library.parent), "GST_REGISTRY": str(tmp_path / "registry")}
    element = "ladspa-percepnet-ladspa-so-percepnet-mono"
    run = {"env": environment, "cwd": tmp_path, "capture_output": True, "text": True}
    if subprocess.run(["gst-inspect-1.0", element], check=False, **run).returncode:
        pytest.skip("this GStreamer has no LADSPA: apt install gstreamer1.0-plugins-bad")
    x = voice()
    soundfile.write(tmp_path / "x.wav", x[0], 48000, subtype="FLOAT")
    pipeline = (
        f"filesrc location=x.wav ! wavparse ! audioconvert ! {element} model=1 ! wavenc ! filesink location=y.wav"
    )
    done = subprocess.run(["gst-launch-1.0", "-q", *pipeline.split()], check=False, **run)
    assert done.returncode == 0, done.stderr
    y, _ = soundfile.read(tmp_path / "y.wav", dtype="float32")
    np.testing.assert_array_equal(y, expected(x, 48000)[0][0])
