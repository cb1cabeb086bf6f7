"""`percepnet mic`: a virtual microphone, and virtual loudspeakers for what the other side says."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from percepnet.errors import PercepNetError
from percepnet.live import autostart
from percepnet.live.pipewire import (
    MICROPHONE,
    NO_LIMIT_DB,
    SPEAKERS,
    Kind,
    Settings,
    VirtualDevice,
    filter_config,
    model_environment,
)
from percepnet.model import load_model

mic = typer.Typer(
    help="A virtual microphone (Linux, PipeWire): any program can choose it, and hears you without noise.",
    no_args_is_help=True,
)

Speakers = Annotated[
    bool, typer.Option("--speakers", help="The same for what you hear: a loudspeaker to choose in programs.")
]
Model = Annotated[str, typer.Option(metavar="NAME_OR_PATH", help="default, small, or a model file.")]
Limit = Annotated[
    float | None, typer.Option("--attenuation-limit", metavar="DB", min=0.0, help="Attenuate nothing by more.")
]
Device = Annotated[
    str | None, typer.Option(metavar="NODE", help="The microphone or loudspeaker behind it; default: the system's.")
]
Monitor = Annotated[bool, typer.Option("--monitor", help="--device is a loudspeaker: hear what is played to it.")]


def _kind(speakers: bool) -> Kind:
    return SPEAKERS if speakers else MICROPHONE


def _settings(model: str, limit: float | None, device: str | None, monitor: bool) -> Settings:
    if model_environment(model):
        load_model(model)  # a file that is no model is refused here, and not in silence
        model = str(Path(model).resolve())  # a session starts in another folder
    return Settings(model, limit, device, monitor)


@mic.command()
def start(
    model: Model = "default",
    attenuation_limit: Limit = None,
    device: Device = None,
    monitor: Monitor = False,
    speakers: Speakers = False,
) -> None:
    """Start it; it sleeps while nobody listens."""
    kind = _kind(speakers)
    VirtualDevice(kind).start(_settings(model, attenuation_limit, device, monitor))
    print(f"{kind.title} is there: {kind.how}. percepnet mic stop ends it.")


@mic.command()
def stop(speakers: Speakers = False) -> None:
    """End it, and leave nothing behind."""
    kind = _kind(speakers)
    print(f"{kind.title} {'has ended' if VirtualDevice(kind).stop() else 'did not run'}.")


@mic.command()
def status(
    speakers: Speakers = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say whether it runs, and what it does."""
    kind = _kind(speakers)
    found = VirtualDevice(kind).status()
    if as_json:
        print(json.dumps(found))
    elif found is None:
        print(f"{kind.title} does not run.")
    else:
        limit_db = found["attenuation_limit_db"]
        limit = "bypass" if found["bypass"] else "no limit" if limit_db is None else f"at most {limit_db:g} dB"
        use = "somebody listens" if found["state"] == "running" else "nobody listens"
        print(f"{kind.title} runs: model {found['model']}, {limit}; {use}; {found['cpu_s']:.1f} s of processor so far.")


@mic.command("set")
def set_(
    attenuation_limit: Annotated[
        float | None, typer.Option(metavar="DB", min=0.0, help=f"{NO_LIMIT_DB:.0f} is no limit.")
    ] = None,
    bypass: Annotated[bool | None, typer.Option("--bypass/--no-bypass", help="The sound as it is.")] = None,
    speakers: Speakers = False,
) -> None:
    """Change the strength while it runs."""
    VirtualDevice(_kind(speakers)).set(attenuation_limit_db=attenuation_limit, bypass=bypass)


@mic.command()
def install(
    model: Model = "default",
    attenuation_limit: Limit = None,
    device: Device = None,
    monitor: Monitor = False,
    speakers: Speakers = False,
) -> None:
    """Let it start with every session of yours, and now."""
    kind = _kind(speakers)
    virtual = VirtualDevice(kind)
    settings = _settings(model, attenuation_limit, device, monitor)
    options = [f"--model '{settings.model}'"]
    options += [f"--attenuation-limit {attenuation_limit}"] if attenuation_limit is not None else []
    options += [f"--device '{device}'"] if device is not None else []
    options += ["--monitor"] * monitor + ["--speakers"] * speakers
    config, environment = filter_config(kind, settings), model_environment(settings.model)
    virtual.stop()  # only what can be replaced is ended
    if not autostart.has_systemd():  # which would start it
        virtual.start(settings)
    path = autostart.install(kind.name, kind.title, config, environment, " ".join(options))
    print(f"wrote {path}: {kind.title} starts with your session. percepnet mic uninstall undoes it.")


@mic.command()
def uninstall(speakers: Speakers = False) -> None:
    """Undo install."""
    kind = _kind(speakers)
    installed = autostart.uninstall(kind.name)
    if installed:
        with suppress(PercepNetError):  # without PipeWire nothing runs
            VirtualDevice(kind).stop()
    print(f"{kind.title} {'no longer starts' if installed else 'was not installed'}.")
