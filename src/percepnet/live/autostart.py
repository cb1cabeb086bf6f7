"""Virtual devices that start with the session: a systemd unit of the user, or an entry for desktops without systemd."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from percepnet.errors import PercepNetError

UNIT = """[Unit]
Description={title}
After=pipewire.service
BindsTo=pipewire.service

[Service]
{environment}ExecStart={pipewire} -c {config}
Restart=on-failure

[Install]
WantedBy=pipewire.service
"""
DESKTOP = """[Desktop Entry]
Type=Application
Name={title}
Exec={python} -m percepnet mic start {options}
"""


def install(name: str, title: str, config: str, environment: dict[str, str], options: str) -> Path:
    """Let a virtual device start with every session.

    Parameters
    ----------
    name, title : str
    config : str
        For `pipewire -c`.
    environment : dict of str to str
    options : str
        The same for `percepnet mic start`, where there is no systemd.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    PercepNetError
        If it cannot be written.
    """
    home = _config_home()
    conf, unit, desktop = _places(name)
    try:
        if not has_systemd():
            desktop.parent.mkdir(parents=True, exist_ok=True)
            desktop.write_text(DESKTOP.format(title=title, python=sys.executable, options=options))
            return desktop
        for path in (conf, unit):
            path.parent.mkdir(parents=True, exist_ok=True)
        conf.write_text(config)
        lines = "".join(f'Environment="{key}={value}"\n' for key, value in environment.items())
        pipewire = shutil.which("pipewire")
        unit.write_text(UNIT.format(title=title, environment=lines, pipewire=pipewire, config=conf))
    except OSError as error:
        raise PercepNetError(f"{home}: cannot be written ({error.strerror})") from error
    try:
        for arguments in (("daemon-reload",), ("enable", "--now", unit.name)):
            _systemctl(*arguments)
    except PercepNetError:
        for path in (conf, unit):
            path.unlink()
        raise
    return unit


def uninstall(name: str) -> bool:
    """Undo it; whether there was anything."""
    places = [path for path in _places(name) if path.exists()]
    unit = _places(name)[1]
    if unit.exists() and has_systemd():
        _systemctl("disable", "--now", unit.name)
    for path in places:
        path.unlink()
    return bool(places)


def config_path(name: str) -> Path:
    """The configuration with which systemd starts a virtual device."""
    return _places(name)[0]


def _config_home() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _places(name: str) -> tuple[Path, Path, Path]:
    home = _config_home()
    file = name.replace("_", "-")
    return (
        home / "percepnet" / f"{name}.conf",
        home / "systemd" / "user" / f"{file}.service",
        home / "autostart" / f"{file}.desktop",
    )


def has_systemd() -> bool:
    """Whether systemd starts the programs of this user."""
    if shutil.which("systemctl") is None:
        return False
    done = subprocess.run(["systemctl", "--user", "show-environment"], capture_output=True, check=False)
    return done.returncode == 0


def _systemctl(*arguments: str) -> None:
    done = subprocess.run(["systemctl", "--user", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PercepNetError(f"systemctl --user {' '.join(arguments)}: {done.stderr.strip() or 'failed'}")
