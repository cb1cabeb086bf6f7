"""The virtual microphone and loudspeakers on a PipeWire of their own, without hardware."""

import json
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

if sys.platform != "linux":
    pytest.skip("PipeWire is for Linux", allow_module_level=True)

import percepnet
from percepnet import PercepNetError
from percepnet.live import autostart
from percepnet.live.pipewire import MICROPHONE, SPEAKERS, Settings, filter_config, settings_of
from percepnet.plugins import LADSPA
from sound_servers import pipewire

CLIP = sorted((Path(__file__).parents[1] / "examples/clips/clean").iterdir())[0]
COMMAND = (sys.executable, "-m", "percepnet", "mic")

needs_plugin = pytest.mark.skipif(
    not LADSPA.is_file(), reason="needs the LADSPA plugin in the package: pip install -e . with a C compiler"
)


def correlation(heard, sound):
    """Median over half seconds of a sound, each where it lies best in what was heard: a gap moves what comes after."""
    size = 1 << (len(heard) + len(sound)).bit_length()
    spectrum, found = np.fft.rfft(heard, size), []
    parts = [sound[start : start + 24000] for start in range(0, len(sound) - 24000, 24000)]
    for part in sorted(parts, key=lambda part: -float(np.dot(part, part)))[: len(parts) * 2 // 3]:
        lag = int(np.argmax(np.fft.irfft(spectrum * np.conj(np.fft.rfft(part, size)))[: len(heard) - len(part)]))
        found.append(np.corrcoef(heard[lag : lag + len(part)], part)[0, 1])
    return float(np.median(found))


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A file with speech in as much noise, its samples, and what they are without."""
    path = tmp_path_factory.mktemp("sound") / "noisy.wav"
    clean, _ = soundfile.read(CLIP, dtype="float32")
    level = np.sqrt(np.mean(clean**2))
    noisy = clean + np.random.default_rng(0).normal(0, level, len(clean)).astype(np.float32)
    soundfile.write(path, noisy, 48000, subtype="FLOAT")
    return path, noisy, percepnet.enhance(noisy, 48000, model="small")


def recorded(server, played, node, sink, *, capture=False):
    """What a program records of a node while a file is played to a sink."""
    path = server.folder / "recorded.wav"
    options = ["--rate", "48000", "--channels", "1", "--format", "f32"]
    options += ["-P", "{ stream.capture.sink=true }"] if capture else []
    program = server.start("pw-record", "--target", node, *options, str(path))
    time.sleep(1.5)
    server.run("pw-play", "--target", sink, str(played))
    time.sleep(0.3)
    program.terminate()
    program.wait(5)
    return soundfile.read(path, dtype="float32")[0]


@needs_plugin
def test_programs_hear_the_enhanced_microphone_and_nothing_stays(sound):
    path, noisy, clean = sound
    with pipewire() as server:
        before = sorted(path.name for path in server.folder.iterdir())
        server.run(*COMMAND, "start", "--model", "small", "--device", "fakemic", "--monitor")
        second = server.run(*COMMAND, "start", check=False)
        assert second.returncode == 2
        assert "runs already" in second.stderr

        # passive: it does not even run while nobody listens
        idle = json.loads(server.run(*COMMAND, "status", "--json").stdout)
        time.sleep(2)
        still = json.loads(server.run(*COMMAND, "status", "--json").stdout)
        assert still["state"] != "running"
        assert still["cpu_s"] - idle["cpu_s"] <= 0.02

        heard = recorded(server, path, "percepnet_mic", "fakemic")
        assert correlation(heard, clean) > 0.95
        assert correlation(heard, noisy) < 0.9

        # the strength is a control: at 0 dB it is the noisy sound
        server.run(*COMMAND, "set", "--attenuation-limit", "0")
        heard = recorded(server, path, "percepnet_mic", "fakemic")
        assert correlation(heard, noisy) > 0.95

        assert "has ended" in server.run(*COMMAND, "stop").stdout
        assert "percepnet" not in server.run("pw-dump").stdout
        left = {path.name for path in server.folder.iterdir()} - set(before)
        assert not {name for name in left if "percepnet" in name}
        assert "did not run" in server.run(*COMMAND, "stop").stdout
        assert "does not run" in server.run(*COMMAND, "set", "--bypass", check=False).stderr


@needs_plugin
def test_what_the_other_side_says_is_enhanced_too(sound):
    path, noisy, clean = sound
    with pipewire() as server:
        server.run(*COMMAND, "start", "--speakers", "--model", "small", "--device", "speaker")
        heard = recorded(server, path, "speaker", "percepnet_speakers", capture=True)
        assert correlation(heard, clean) > 0.95
        assert correlation(heard, noisy) < 0.9
        server.run(*COMMAND, "stop", "--speakers")
        assert "percepnet" not in server.run("pw-dump").stdout


SYSTEMCTL = """#!/bin/sh
case "$*" in *"enable --now"*)
    setsid $(grep ^ExecStart= "$XDG_CONFIG_HOME/systemd/user/percepnet-mic.service" | cut -d= -f2-) >/dev/null 2>&1 &
    sleep 2
esac
"""


@needs_plugin
def test_what_a_session_starts_is_seen_set_and_ended_like_what_start_starts():
    with pipewire() as server:
        systemctl = server.folder / "bin" / "systemctl"
        systemctl.parent.mkdir()
        systemctl.write_text(SYSTEMCTL)
        systemctl.chmod(0o755)
        server.environment["PATH"] = f"{systemctl.parent}{os.pathsep}{server.environment['PATH']}"
        try:
            options = ("--model", "small", "--attenuation-limit", "30")
            assert "starts with your session" in server.run(*COMMAND, "install", *options).stdout
            found = json.loads(server.run(*COMMAND, "status", "--json").stdout)
            assert (found["model"], found["attenuation_limit_db"], found["bypass"]) == ("small", 30.0, False)
            assert "runs already" in server.run(*COMMAND, "start", check=False).stderr

            server.run(*COMMAND, "set", "--attenuation-limit", "12")
            server.run(*COMMAND, "set", "--bypass")
            found = json.loads(server.run(*COMMAND, "status", "--json").stdout)
            assert (found["model"], found["attenuation_limit_db"], found["bypass"]) == ("small", 12.0, True)
            assert "bypass" in server.run(*COMMAND, "status").stdout
            nothing = server.run(*COMMAND, "set", check=False)
            assert (nothing.returncode, "nothing to set" in nothing.stderr) == (2, True)

            refused = server.run(*COMMAND, "install", "--model", "nofile.safetensors", check=False)
            assert (refused.returncode, "no such model file" in refused.stderr) == (2, True)
            assert json.loads(server.run(*COMMAND, "status", "--json").stdout)["pid"] == found["pid"]
        finally:
            ended = server.run(*COMMAND, "stop").stdout
        assert "has ended" in ended
        assert "does not run" in server.run(*COMMAND, "status").stdout
        assert "percepnet" not in server.run("pw-dump").stdout


@needs_plugin
def test_without_systemd_install_starts_it_from_any_folder():
    with pipewire() as server:
        model = server.folder / "mine.safetensors"
        shutil.copy(Path(percepnet.model.__file__).parent / "weights" / "small.safetensors", model)
        server.run(*COMMAND, "start", "--model", "small")
        server.run(*COMMAND, "install", "--model", model.name, cwd=server.folder)
        assert json.loads(server.run(*COMMAND, "status", "--json").stdout)["model"] == str(model)
        assert f"--model '{model}'" in (server.folder / "autostart/percepnet-mic.desktop").read_text()
        assert "no longer starts" in server.run(*COMMAND, "uninstall").stdout
        assert "does not run" in server.run(*COMMAND, "status").stdout


@needs_plugin
def test_without_pipewire_there_is_one_line():
    with pipewire() as server:
        pass  # it has ended
    server.folder.mkdir()
    try:
        done = server.run(*COMMAND, "start", check=False)
    finally:
        for path in sorted(server.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        server.folder.rmdir()
    assert done.returncode == 2
    assert done.stderr.startswith("percepnet: PipeWire does not answer")
    assert len(done.stderr.splitlines()) == 1


@needs_plugin
def test_the_configuration_names_plugin_model_and_device():
    found = json.loads(filter_config(MICROPHONE, Settings("small", 20.0, "usb", monitor=True)))
    chain = found["context.modules"][-1]["args"]
    assert chain["filter.graph"]["nodes"][0]["plugin"] == str(LADSPA)
    assert chain["filter.graph"]["nodes"][0]["control"] == {"Attenuation Limit (dB)": 20.0, "Model": 1.0}
    assert chain["capture.props"]["target.object"] == "usb"
    assert chain["capture.props"]["node.passive"] is True
    assert chain["playback.props"]["media.class"] == "Audio/Source"
    chain = json.loads(filter_config(SPEAKERS, Settings()))["context.modules"][-1]["args"]
    assert chain["capture.props"]["media.class"] == "Audio/Sink"
    assert "target.object" not in chain["playback.props"]
    for settings in (Settings("small", 20.0, "usb", monitor=True), Settings(), Settings("/m.safetensors")):
        for kind in (MICROPHONE, SPEAKERS):
            assert settings_of(filter_config(kind, settings), b"A=b\0PERCEPNET_MODEL=/m.safetensors\0") == settings


def test_install_without_systemd_writes_an_entry_for_the_desktop(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(autostart, "has_systemd", lambda: False)
    path = autostart.install("percepnet_mic", "Title", "conf", {}, "--model 'small'")
    assert f"Exec={sys.executable} -m percepnet mic start --model 'small'" in path.read_text()
    assert autostart.uninstall("percepnet_mic")
    assert not path.exists()
    assert not autostart.uninstall("percepnet_mic")


def test_install_with_systemd_writes_a_unit_and_enables_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(autostart, "has_systemd", lambda: True)
    asked = []
    monkeypatch.setattr(autostart, "_systemctl", lambda *arguments: asked.append(arguments))
    unit = autostart.install("percepnet_mic", "Title", "conf", {"PERCEPNET_MODEL": "/m"}, "")
    assert (tmp_path / "percepnet/percepnet_mic.conf").read_text() == "conf"
    assert 'Environment="PERCEPNET_MODEL=/m"' in unit.read_text()
    assert asked == [("daemon-reload",), ("enable", "--now", "percepnet-mic.service")]
    assert autostart.uninstall("percepnet_mic")
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_what_systemd_refuses_leaves_no_file(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise PercepNetError("systemctl: failed")

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(autostart, "has_systemd", lambda: True)
    monkeypatch.setattr(autostart, "_systemctl", refuse)
    with pytest.raises(PercepNetError, match="failed"):
        autostart.install("percepnet_mic", "Title", "conf", {}, "")
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_model_that_is_not_there_is_refused(monkeypatch):
    from percepnet.live.pipewire import model_environment

    with pytest.raises(PercepNetError, match="no such model file"):
        model_environment("/nowhere.safetensors")
