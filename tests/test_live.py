"""`percepnet live` on sound servers of its own, without hardware."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

import percepnet
from percepnet import AudioError

try:
    from percepnet.live.devices import block_samples, portaudio

    portaudio()
except percepnet.PercepNetError as missing:
    pytest.skip(str(missing), allow_module_level=True)

from percepnet.live import session as live_session
from percepnet.live.recording import Recording
from percepnet.live.session import Session
from percepnet.live.view import View
from percepnet.model import load_model
from sound_servers import pipewire, pulseaudio, start_pulse

CLIP = Path(__file__).parents[1] / "examples/clips/noisy/helicopter_male.flac"
COMMAND = (sys.executable, "-m", "percepnet", "live", "--model", "small", "--json")
linux = pytest.mark.skipif(sys.platform != "linux", reason="starts Linux' sound servers")


def correlation(heard, sound):
    from test_mic import correlation as found

    return found(heard, sound)


def started(server, *options):
    files = [str(server.folder / name) for name in ("raw.wav", "clean.wav")]
    command = [*COMMAND, "--record", *files, *options]
    with (server.folder / "errors.txt").open("w") as errors:
        process = server.start(*command, stdout=subprocess.PIPE, stderr=errors, text=True)
    end = time.monotonic() + 20
    while not (server.folder / "raw.wav").exists() and time.monotonic() < end and process.poll() is None:
        time.sleep(0.1)
    time.sleep(3)
    return process


def ended(server, process):
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    errors = (server.folder / "errors.txt").read_text()
    assert process.returncode == 0, errors
    recorded = [soundfile.read(server.folder / name, dtype="float32")[0] for name in ("raw.wav", "clean.wav")]
    return json.loads(output), errors, *recorded


def wait_for(server, message):
    """Until the program says something; a busy computer takes its time."""
    end = time.monotonic() + 60
    while message not in (server.folder / "errors.txt").read_text() and time.monotonic() < end:
        time.sleep(0.2)


def check_sound(raw, clean):
    """What was recorded is aligned, and is what an enhancer makes of what came in."""
    assert len(raw) == len(clean)
    expected = percepnet.Enhancer(model="small")
    y = np.concatenate([expected.process(raw), expected.flush()])[expected.latency_samples :]
    assert np.abs(y).max() > 0.01
    # 24 bits of what came in, and of what went out
    np.testing.assert_allclose(clean, y, atol=1e-3)


@linux
@pytest.mark.parametrize(
    ("make", "buffer_ms"),
    [(pulseaudio, 100), (lambda: pipewire(pulse=True), 50)],
    ids=["pulseaudio", "pipewire"],
)
def test_a_microphone_is_enhanced_recorded_and_played(make, buffer_ms):
    with make() as server:
        process = started(server, "--buffer", str(buffer_ms))
        played = server.start("parec", "-d", "speaker.monitor", "--rate=48000", "--channels=1", "--format=float32le",
                              "--file-format=wav", str(server.folder / "played.wav"))  # fmt: skip
        time.sleep(1)
        server.run("paplay", "-d", "fakemic", str(CLIP))
        time.sleep(1.5)
        played.terminate()
        played.wait(5)
        figures, errors, raw, clean = ended(server, process)
        troubles = {name: figures[name] for name in ("dropouts", "overloads", "reopened")}
        if any(troubles.values()):
            pytest.skip(f"this computer was too busy for a sound server: {troubles}")
        check_sound(raw, clean)
        noisy, _ = soundfile.read(CLIP, dtype="float32")
        assert correlation(raw, noisy) > 0.95
        heard, _ = soundfile.read(server.folder / "played.wav", dtype="float32")
        likeness = correlation(heard, percepnet.enhance(noisy, 48000, model="small"))
        if 0.8 < likeness <= 0.95 and os.getloadavg()[0] > 0.4 * (os.cpu_count() or 1):
            pytest.skip(f"this computer was too busy for a sound server: correlation {likeness:.3f}")
        assert likeness > 0.95
    assert figures["sample_rate_hz"] == 48000
    assert figures["enhancer_ms"] == 30.0
    assert 30 < figures["delay_ms"] < 400
    assert "Traceback" not in errors


@linux
def test_a_device_that_goes_away_is_opened_again():
    with pulseaudio() as server:
        process = started(server)
        server.processes[0].terminate()
        server.processes[0].wait(5)
        (server.folder / "pulse.sock").unlink(missing_ok=True)
        wait_for(server, "the device is gone")
        assert process.poll() is None
        start_pulse(server)
        wait_for(server, "the device is back")
        time.sleep(2)
        server.run("paplay", "-d", "fakemic", str(CLIP))
        time.sleep(1)
        figures, errors, raw, _ = ended(server, process)
    assert figures["reopened"] >= 1
    assert "percepnet: the device is gone: waiting for it" in errors
    assert "percepnet: the device is back" in errors
    assert np.abs(raw).max() > 0.01


@linux
def test_without_a_sound_server_there_is_one_line(tmp_path):
    environment = os.environ | {
        "HOME": str(tmp_path),
        "PULSE_SERVER": "unix:/nowhere",
        "XDG_RUNTIME_DIR": str(tmp_path),
    }
    done = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("percepnet: ")] == done.stderr.splitlines()[
        -1:
    ]
    assert "Traceback" not in done.stderr


class Driver:
    """Calls a session's callback as a device does, without one."""

    def __init__(self, **settings):
        self.session = Session(load_model("small"), **settings)
        self.session._prepare(48000, 480)

    def block(self, x, flags=""):
        self.session._note_flags(flags)
        return self.session._block(x)

    def blocks(self, x):
        return np.concatenate([self.block(part) for part in x.reshape(-1, 480)])


def speech():
    return soundfile.read(CLIP, dtype="float32")[0][: 480 * 300]


def test_the_callback_gives_what_an_enhancer_gives():
    driver, x = Driver(), speech()
    enhancer = percepnet.Enhancer(model="small")
    np.testing.assert_array_equal(driver.blocks(x), enhancer.process(x))
    assert driver.session.status.blocks == 300
    assert driver.session.status.dropouts == 0
    driver.block(x[:480], "output underflow")
    assert driver.session.status.dropouts == 1


def test_keys_bypass_and_limit():
    driver, x = Driver(), speech()
    view = View(driver.session)
    assert view._obey("b")
    y = driver.blocks(x)
    np.testing.assert_array_equal(y[480 * 10 :], x[480 * 7 : -480 * 3])
    assert view._obey("b")
    limits = []
    for key in "--+++++++":
        view._obey(key)
        limits.append(driver.session.attenuation_limit_db)
    assert limits == [40.0, 30.0, 40.0, None, None, None, None, None, None]
    assert not view._obey("q")
    assert "delay 30 ms" in view.line()


def test_a_computer_that_is_too_slow_hears_itself_as_late_as_ever(monkeypatch):
    driver, x = Driver(), speech()
    monkeypatch.setattr(live_session, "PASS_S", 0.2)
    clock = [0.0]
    monkeypatch.setattr(live_session.time, "perf_counter", lambda: clock[0])
    slow = driver.session._enhancer.process

    def process(block):
        clock[0] += 0.02 if clock[0] < 0.3 else 0.001
        return slow(block)

    monkeypatch.setattr(driver.session._enhancer, "process", process)
    y = []
    for part in x.reshape(-1, 480):
        y.append(driver.block(part))
        clock[0] += 0.005
    y, status = np.concatenate(y), driver.session.status
    assert status.overloads == 1
    assert not status.passing
    assert "too slow" in status.message
    late = 480 * live_session.OVERLOAD_BLOCKS + 480
    np.testing.assert_array_equal(y[late : late + 480 * 20], x[late - 1440 : late - 1440 + 480 * 20])
    expected = percepnet.Enhancer(model="small").process(x)
    np.testing.assert_allclose(y[-480 * 50 :], expected[-480 * 50 :], atol=0.05)


def test_a_stream_whose_driver_never_returned_is_not_heard_after_the_next_was_opened():
    session, played = Driver().session, np.ones((480, 1), np.float32)
    session._hear(session._opening - 1, played, 480, None, "")
    assert session.status.blocks == 0
    session._speak(session._opening - 1, played, 480, None, "")
    assert not played.any()


def test_blocks_are_whole_steps_at_every_rate():
    assert [block_samples(rate) for rate in (48000, 44100, 16000, 11025)] == [480, 441, 160, 441]


def test_recordings_never_replace_a_file(tmp_path):
    raw, clean = tmp_path / "raw.wav", tmp_path / "clean.flac"
    raw.write_bytes(b"mine")
    with pytest.raises(AudioError, match=r"raw\.wav: exists"):
        Recording(raw, clean)
    with pytest.raises(AudioError, match="two different files"):
        Recording(clean, clean)
    with pytest.raises(AudioError, match=r"\.wav or \.flac"):
        Recording(tmp_path / "raw.mp3", clean)
    assert raw.read_bytes() == b"mine"


def test_recordings_where_nothing_can_be_written_are_refused_at_once(tmp_path, command):
    done = command("live", "--out", "none", "--record", tmp_path / "nowhere/raw.wav", tmp_path / "clean.wav")
    assert done.code == 2
    assert "there is no folder" in done.err
    assert not list(tmp_path.iterdir())


class Microphone:
    """PortAudio with one microphone, which brings sound when it is told to."""

    rate_hz = 48000
    refuses = False
    stream = None

    class PortAudioError(Exception):
        pass

    def query_devices(self, choice=None, kind=None):
        found = {"max_input_channels": 1, "index": 0, "name": "usb", "default_samplerate": self.rate_hz}
        return [found] if kind is None else found

    def check_input_settings(self, number, channels, dtype, samplerate):
        if samplerate != self.rate_hz:
            raise self.PortAudioError("Invalid sample rate")

    def InputStream(self, *, callback, blocksize, **settings):
        if self.refuses:
            raise self.PortAudioError("Device unavailable")
        self.stream = SimpleNamespace(active=True, callback=callback, size=blocksize, start=lambda: None)
        self.stream.abort = self.stream.close = lambda **ignore: None
        return self.stream

    def bring(self, blocks):
        times = SimpleNamespace(currentTime=0, inputBufferAdcTime=0)
        for _ in range(blocks):
            self.stream.callback(np.full((self.stream.size, 1), 0.1, np.float32), self.stream.size, times, "")

    def _terminate(self):
        pass

    _initialize = _terminate


@pytest.fixture
def microphone(monkeypatch):
    found = Microphone()
    monkeypatch.setitem(sys.modules, "sounddevice", found)
    return found


def test_a_session_that_cannot_start_leaves_no_recording(microphone, tmp_path, command):
    microphone.refuses = True
    files = tmp_path / "raw.wav", tmp_path / "clean.wav"
    done = command("live", "--model", "small", "--out", "none", "--record", *files, "--duration", "1")
    assert done.code == 2
    assert "Device unavailable" in done.err
    assert not list(tmp_path.iterdir())


def test_a_recording_that_ends_early_says_so_and_fails(microphone, tmp_path, monkeypatch, command):
    waits = []

    def wait(view, seconds):
        waits.append(view._session.status.message)
        if len(waits) == 1:
            microphone.bring(50)
            microphone.stream.active, microphone.rate_hz = False, 16000
        return len(waits) < 6

    monkeypatch.setattr(View, "wait", wait)
    files = tmp_path / "raw.wav", tmp_path / "clean.wav"
    done = command("live", "--model", "small", "--out", "none", "--record", *files)
    assert done.code == 2
    assert "the devices are at 16000 Hz now, and the recording ends" in done.err
    assert any("the recording ends" in message for message in waits)
    assert [soundfile.info(path).frames for path in files] == [48000, 48000]  # what came until then, whole


def test_a_recording_of_which_one_file_cannot_be_made_leaves_none(tmp_path):
    raw, clean = tmp_path / "raw.wav", tmp_path / "clean.wav"
    with Recording(raw, clean) as recording:
        recording.prepare(48000, 1440)
        clean.mkdir()
        recording.start()
    assert "cannot be written" in recording.error
    assert not raw.exists()
