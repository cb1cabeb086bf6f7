"""`percepnet live`."""

import json
import os
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from percepnet.errors import AudioError
from percepnet.live.devices import device_list
from percepnet.live.recording import Recording
from percepnet.live.session import BUFFER_S, Session, Status
from percepnet.live.view import View
from percepnet.model import shared_model

NO_OUTPUT = "none"


def live(
    list_devices: Annotated[bool, typer.Option("--list", help="List the devices, and stop.")] = False,
    source: Annotated[
        str | None, typer.Option("--in", metavar="DEVICE", help="Microphone: its number, or a part of its name.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--out", metavar="DEVICE", help="Loudspeaker, or 'none' to record only.")
    ] = None,
    record: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="RAW CLEAN", help="Write what comes in and what goes out, aligned, as .wav or .flac."),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME_OR_PATH", help="Default: the one in the package.")] = None,
    attenuation_limit: Annotated[
        float | None, typer.Option(metavar="DB", min=0.0, help="Attenuate nothing by more than this.")
    ] = None,
    post_filter: Annotated[
        bool, typer.Option("--post-filter/--no-post-filter", help="Attenuate noisy bands further; costs some clarity.")
    ] = False,
    buffer: Annotated[
        float, typer.Option(metavar="MS", min=1.0, max=1000.0, help="Less is less delay, and more dropouts.")
    ] = 1000 * BUFFER_S,
    duration: Annotated[float | None, typer.Option(metavar="SECONDS", min=0.0, help="End by itself.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures at the end as JSON.")] = False,
) -> None:
    """Enhance a microphone while you speak, to a loudspeaker (wear headphones) or to files."""
    if list_devices:
        print(device_list())
        return
    with ExitStack() as stack:
        recording = stack.enter_context(Recording(*record)) if record else None
        session = Session(
            shared_model(model),
            source,
            None if target == NO_OUTPUT else target,
            play=target != NO_OUTPUT,
            recording=recording,
            attenuation_limit_db=attenuation_limit,
            post_filter=post_filter,
            buffer_s=buffer / 1000,
        )
        session.open()
        started_cpu_s = _cpu_s()
        view = stack.enter_context(View(session))
        with suppress(KeyboardInterrupt):  # the usual end
            session.run(view.wait, duration)
    figures = _figures(session.status, started_cpu_s)
    if as_json:
        print(json.dumps(figures, indent=2))
    else:
        print(
            f"{figures['duration_s']:.1f} s, {figures['dropouts']} dropouts, delay {figures['delay_ms']:.1f} ms "
            f"({figures['enhancer_ms']:.1f} of it the enhancer's), load {100 * figures['load']:.1f} %, "
            f"processor {100 * figures['processor_running']:.1f} %",
            file=sys.stderr,
        )
    if recording is not None and recording.error:
        raise AudioError(recording.error)


def _figures(status: Status, started_cpu_s: float) -> dict[str, Any]:
    used_s = _cpu_s()
    known = status.device_max_s > 0
    seconds = status.duration_s or float("inf")
    return {
        "duration_s": status.duration_s,
        "sample_rate_hz": status.rate_hz,
        "dropouts": status.dropouts,
        "flags": dict(status.flags),
        "overloads": status.overloads,
        "reopened": status.reopened,
        "delay_ms": 1000 * status.delay_s,
        "enhancer_ms": 1000 * status.latency_s,
        "device_ms": [1000 * status.device_min_s, 1000 * status.device_max_s] if known else None,
        "load": status.load,
        "load_max": status.load_max,
        "processor_running": (used_s - started_cpu_s) / seconds,
        "processor_starting_s": started_cpu_s,
    }


def _cpu_s() -> float:
    used = os.times()
    return used.user + used.system
