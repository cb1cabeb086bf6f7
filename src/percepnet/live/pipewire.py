"""Virtual devices on Linux: PipeWire's filter-chain with our LADSPA plugin, in a process of its own.

No root and no restart are needed. The process sleeps while nobody listens.
"""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from percepnet.errors import PercepNetError
from percepnet.live import autostart
from percepnet.plugins import ladspa_path

STARTED_S = 10.0
ENDED_S = 3.0
NO_LIMIT_DB = 100.0
LIMIT_PORT = "percepnet:Attenuation Limit (dB)"
BYPASS_PORT = "percepnet:Bypass"
MODELS = {"default": 0, "percepnet": 0, "small": 1}
OWN_MODEL = 2  # the file that PERCEPNET_MODEL names


@dataclass(frozen=True)
class Kind:
    """A virtual device."""

    name: str  # of what programs choose
    inner: str  # of its other end
    title: str
    media_class: str
    how: str


MICROPHONE = Kind(
    "percepnet_mic", "percepnet_mic_in", "PercepNet microphone", "Audio/Source", "choose it as your microphone"
)
SPEAKERS = Kind(
    "percepnet_speakers", "percepnet_speakers_out", "PercepNet speakers", "Audio/Sink", "choose it as your loudspeaker"
)


@dataclass(frozen=True)
class Settings:
    """What a virtual device is made with.

    Parameters
    ----------
    model : str
        "default", "small", or a file.
    attenuation_limit_db : float or None
    device : str or None
        Name of the PipeWire node that is listened to, or played to; None follows the system's choice.
    monitor : bool
        Whether the device is a loudspeaker, of which is heard what others play to it.
    """

    model: str = "default"
    attenuation_limit_db: float | None = None
    device: str | None = None
    monitor: bool = False


class VirtualDevice:
    """Starts, steers and ends one of the virtual devices.

    Parameters
    ----------
    kind : Kind
        `MICROPHONE` or `SPEAKERS`.

    Raises
    ------
    PercepNetError
        If this is no system with PipeWire.
    """

    def __init__(self, kind: Kind) -> None:
        if sys.platform != "linux":
            raise PercepNetError("percepnet mic is for Linux; docs/live.md says what to do on Windows and macOS")
        missing = [name for name in ("pipewire", "pw-cli", "pw-dump") if shutil.which(name) is None]
        if missing:
            raise PercepNetError(f"there is no {missing[0]} here: install PipeWire (apt install pipewire pipewire-bin)")
        self.kind = kind
        runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
        self._folder = Path(runtime, "percepnet")
        self._state = self._folder / f"{kind.name}.json"
        self._config = self._folder / f"{kind.name}.conf"
        self._log = self._folder / f"{kind.name}.log"

    def start(self, settings: Settings) -> None:
        """Start it, and wait until programs can choose it.

        Raises
        ------
        PercepNetError
            If it runs already, or if PipeWire does not run or refuses it.
        """
        if self._node(self.kind.name) is not None:
            raise PercepNetError(f"{self.kind.title} runs already: percepnet mic stop ends it")
        self.stop()  # one that has lost its PipeWire
        config, environment = filter_config(self.kind, settings), os.environ | model_environment(settings.model)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text(config)
        with self._log.open("w") as log:
            command = ["pipewire", "-c", str(self._config)]
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._state.write_text(json.dumps({"pid": process.pid}))
        if not _until(lambda: process.poll() is not None or self._node(self.kind.name) is not None, STARTED_S):
            self.stop()
            raise PercepNetError(f"{self.kind.title} did not appear within {STARTED_S:.0f} s: {self._last_words()}")
        if process.poll() is not None:
            self._forget()
            raise PercepNetError(f"PipeWire refuses {self.kind.title}: {self._last_words()}")

    def stop(self) -> bool:
        """End it and remove its files; whether it ran."""
        pid = self.pid()
        if pid is not None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
                if _until(lambda: self._config_of(pid) is None, ENDED_S):
                    break
        self._forget()
        self._log.unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()
        return pid is not None

    def status(self) -> dict[str, Any] | None:
        """What it does, or None if it does not run: settings, `bypass`, `pid`, `state`, and `cpu_s` so far."""
        pid = self.pid()
        config = None if pid is None else self._config_of(pid)
        if pid is None or config is None:
            return None
        node = self._node(self.kind.name)
        made = settings_of(config.read_text(), Path(f"/proc/{pid}/environ").read_bytes())
        state = {"pid": pid, **asdict(made), "bypass": False, **self._changes(pid)}
        state["state"] = node["info"]["state"] if node else "starting"
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        state["cpu_s"] = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
        return state

    def set(self, *, attenuation_limit_db: float | None = None, bypass: bool | None = None) -> None:
        """Change the limit (100 dB is none) or bypass while it runs.

        Raises
        ------
        PercepNetError
            If it does not run, or if nothing is to be changed.
        """
        if attenuation_limit_db is None and bypass is None:
            raise PercepNetError("there is nothing to set: give --attenuation-limit, --bypass or --no-bypass")
        pid = self.pid()
        if pid is None:
            raise PercepNetError(f"{self.kind.title} does not run: percepnet mic start starts it")
        ports: dict[str, float] = {}
        changes: dict[str, Any] = {}
        if attenuation_limit_db is not None:
            ports[LIMIT_PORT] = min(attenuation_limit_db, NO_LIMIT_DB)
            changes["attenuation_limit_db"] = _limit_of(ports[LIMIT_PORT])
        if bypass is not None:
            ports[BYPASS_PORT] = float(bypass)
            changes["bypass"] = bypass
        parameters = " ".join(f'"{port}" {value:.1f}' for port, value in ports.items())
        # which of its two nodes has the controls depends on PipeWire's version
        nodes = [node for name in (self.kind.name, self.kind.inner) if (node := self._node(name))]
        if not nodes:
            raise PercepNetError(f"{self.kind.title} is not there yet: try again in a moment")
        for node in nodes:
            _pw("pw-cli", "set-param", str(node["id"]), "Props", f"{{ params = [ {parameters} ] }}")
        self._folder.mkdir(parents=True, exist_ok=True)
        self._state.write_text(json.dumps({"pid": pid, **self._changes(pid), **changes}))

    def pid(self) -> int | None:
        """Of the process, if it runs, whether `start` or the session started it."""
        numbers = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())
        return next((pid for pid in numbers if self._config_of(pid) is not None), None)

    def _config_of(self, pid: int) -> Path | None:
        """The configuration that a process was started with, if it is this device: numbers of processes come again."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return None
        configs = (self._config, autostart.config_path(self.kind.name))
        given = [Path(os.fsdecode(word)) for option, word in itertools.pairwise(words) if option == b"-c"]
        return next((config for config in configs if config in given), None)

    def _changes(self, pid: int) -> dict[str, Any]:
        """What was set since the process began."""
        try:
            state: dict[str, Any] = json.loads(self._state.read_text())
        except (OSError, ValueError):
            return {}
        return state if state.pop("pid", None) == pid else {}

    def _node(self, name: str) -> dict[str, Any] | None:
        return next((node for node in _nodes() if node["info"]["props"].get("node.name") == name), None)

    def _last_words(self) -> str:
        try:
            lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            lines = []
        return lines[-1] if lines else "it said nothing"

    def _forget(self) -> None:
        self._state.unlink(missing_ok=True)
        self._config.unlink(missing_ok=True)


def model_environment(model: str) -> dict[str, str]:
    """What tells the plugin about a model that is a file.

    Raises
    ------
    PercepNetError
        If there is no such file.
    """
    if model in MODELS:
        return {}
    if not Path(model).is_file():
        raise PercepNetError(f"{model}: no such model file; give a file, or default or small")
    return {"PERCEPNET_MODEL": str(Path(model).resolve())}


def filter_config(kind: Kind, settings: Settings) -> str:
    """The configuration of a process `pipewire -c` that is a virtual device."""
    limit_db = NO_LIMIT_DB if settings.attenuation_limit_db is None else settings.attenuation_limit_db
    controls = {
        "Attenuation Limit (dB)": float(min(limit_db, NO_LIMIT_DB)),
        "Model": float(MODELS.get(settings.model, OWN_MODEL)),
    }
    is_microphone = kind is MICROPHONE
    stereo = not is_microphone
    plugin = {
        "type": "ladspa",
        "name": "percepnet",
        "plugin": str(ladspa_path()),
        "label": "percepnet_stereo" if stereo else "percepnet_mono",
        "control": controls,
    }
    inner: dict[str, Any] = {"node.name": kind.inner, "node.description": f"{kind.title}, inner end"}
    inner["node.passive"] = True  # nobody listens: neither does this
    if settings.device is not None:
        inner["target.object"] = settings.device
    if settings.monitor:
        inner["stream.capture.sink"] = True
    outer = {"node.name": kind.name, "node.description": kind.title, "media.class": kind.media_class}
    arguments = {
        "node.description": kind.title,
        "media.name": kind.title,
        "filter.graph": {"nodes": [plugin]},
        "audio.rate": 48000,
        "audio.position": ["FL", "FR"] if stereo else ["MONO"],
        "node.latency": "480/48000",
        "capture.props": inner if is_microphone else outer,
        "playback.props": outer if is_microphone else inner,
    }
    modules = [{"name": "libpipewire-module-rt", "flags": ["ifexists", "nofail"]}]
    modules += [{"name": f"libpipewire-module-{name}"} for name in ("protocol-native", "client-node", "adapter")]
    libraries = {"audio.convert.*": "audioconvert/libspa-audioconvert", "support.*": "support/libspa-support"}
    sections = {
        "context.properties": {"log.level": 1},
        "context.spa-libs": libraries,
        "context.modules": [*modules, {"name": "libpipewire-module-filter-chain", "args": arguments}],
    }
    return json.dumps(sections, indent=2)  # which PipeWire reads as well as its own form


def settings_of(config: str, environment: bytes) -> Settings:
    """The settings that `filter_config` was given, from its text and the environment of the process."""
    chain = json.loads(config)["context.modules"][-1]["args"]
    controls = chain["filter.graph"]["nodes"][0]["control"]
    ends = [chain["capture.props"], chain["playback.props"]]
    inner = next(end for end in ends if "media.class" not in end)
    names = {number: name for name, number in reversed(MODELS.items())}
    variables = dict(line.partition(b"=")[::2] for line in environment.split(b"\0"))
    model = names.get(int(controls["Model"])) or os.fsdecode(variables.get(b"PERCEPNET_MODEL", b"a file"))
    limit_db = _limit_of(controls["Attenuation Limit (dB)"])
    return Settings(model, limit_db, inner.get("target.object"), inner.get("stream.capture.sink", False))


def _limit_of(port: float) -> float | None:
    return None if port >= NO_LIMIT_DB else port


def _nodes() -> list[dict[str, Any]]:
    found = json.loads(_pw("pw-dump") or "[]")
    return [x for x in found if x.get("type") == "PipeWire:Interface:Node" and x.get("info", {}).get("props")]


def _pw(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise PercepNetError("PipeWire does not answer: is it running for this user? (systemctl --user start pipewire)")
    return done.stdout


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
