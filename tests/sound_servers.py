"""Private sound servers without any hardware, started and ended by tests and benchmarks."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ALSA_TO_PULSE = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"


SERVERS = ("pulseaudio", "pipewire", "wireplumber", "pipewire-pulse", "dbus-daemon", "pw-record", "parec")


def _priority(command: tuple[str, ...]) -> list[str]:
    """Servers run in real time, as on desktops, and the rest before others, where this user may: otherwise a busy
    computer tears the sound."""
    prefix = ["chrt", "-f", "10"] if command[0] in SERVERS else ["nice", "-n", "-15"]
    try:
        tried = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    except OSError:
        return []
    return prefix if tried.returncode == 0 and not tried.stderr else []


class Server:
    """A sound server's environment and the processes that belong to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen] = []
        keep = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV", "LANG", "PYTHONPATH") if name in os.environ}
        self.environment = keep | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "XDG_CONFIG_HOME": str(folder)}

    def start(self, *command: str, **options) -> subprocess.Popen:
        """A process that ends with the server."""
        log = (self.folder / f"server{len(self.processes)}.log").open("w")
        settings = {"env": self.environment, "stdout": log, "stderr": log} | options
        process = subprocess.Popen([*_priority(command), *command], **settings)
        self.processes.append(process)
        return process

    def run(self, *command: str, check: bool = True, **options) -> subprocess.CompletedProcess:
        settings = {"env": self.environment, "capture_output": True, "text": True, "timeout": 120} | options
        return subprocess.run([*_priority(command), *command], check=check, **settings)

    def until(self, *command: str, shows: str = "", seconds: float = 10) -> None:
        """Wait until a command succeeds, and its output has a text."""
        end = time.monotonic() + seconds
        while True:
            done = self.run(*command, check=False)
            if done.returncode == 0 and shows in done.stdout:
                return
            if time.monotonic() > end:
                raise TimeoutError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
            time.sleep(0.1)

    def end(self) -> None:
        for state in self.folder.glob("percepnet/*.json"):  # virtual devices that a failed test has left
            with suppress(ProcessLookupError):
                os.kill(json.loads(state.read_text())["pid"], signal.SIGTERM)
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def need(*programs: str) -> None:
    """Skip without them."""
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"needs {program}")


def start_pulse(server: Server) -> subprocess.Popen:
    socket = server.folder / "pulse.sock"
    null = "module-null-sink rate=48000 channels=1 format=float32le"
    process = server.start(
        "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes",
        "-L", f"module-native-protocol-unix socket={socket}", "-L", f"{null} sink_name=fakemic",
        "-L", f"{null} sink_name=speaker",
    )  # fmt: skip
    server.environment["PULSE_SERVER"] = f"unix:{socket}"
    server.until("pactl", "info")
    server.run("pactl", "set-default-source", "fakemic.monitor")
    server.run("pactl", "set-default-sink", "speaker")
    return process


@contextmanager
def pulseaudio():
    """PulseAudio with the sinks "fakemic", whose monitor is the microphone, and "speaker"; ALSA leads to it."""
    need("pulseaudio", "pactl", "paplay", "parec")
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        (server.folder / ".asoundrc").write_text(ALSA_TO_PULSE)
        try:
            start_pulse(server)
            yield server
        finally:
            server.end()


@contextmanager
def pipewire(*, pulse: bool = False):
    """PipeWire with a null sink "fakemic", whose monitor is the microphone, and the sink "speaker"."""
    need("pipewire", "wireplumber", "pw-cli", "pw-record", "pw-play", "pw-dump", "dbus-daemon")
    if pulse:
        need("pipewire-pulse", "pactl")
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        server.environment["PIPEWIRE_RUNTIME_DIR"] = folder
        server.environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={folder}/bus"
        (server.folder / ".asoundrc").write_text(ALSA_TO_PULSE)
        try:
            server.start("dbus-daemon", "--session", "--nofork", f"--address=unix:path={folder}/bus")
            server.start("pipewire")
            server.until("pw-cli", "info", "0")
            server.start("wireplumber")
            for name in ("fakemic", "speaker"):
                properties = (
                    f"{{ factory.name=support.null-audio-sink node.name={name} node.description={name} "
                    "media.class=Audio/Sink audio.position=[MONO] object.linger=true audio.rate=48000 }"
                )
                server.run("pw-cli", "create-node", "adapter", properties)
            server.until("pw-dump", shows='"speaker"')
            if pulse:
                server.start("pipewire-pulse")
                server.until("pactl", "set-default-source", "fakemic.monitor")
                server.run("pactl", "set-default-sink", "speaker")
            time.sleep(0.5)  # until the session manager has seen them
            yield server
        finally:
            server.end()
