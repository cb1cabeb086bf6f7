"""Sound devices by PortAudio, and what is wrong with them in one line."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from percepnet.errors import AudioError, extra_packages
from percepnet.live_stream import SAMPLE_RATE_MAX_HZ, SAMPLE_RATE_MIN_HZ
from percepnet.params import FRAMES_PER_SECOND, SAMPLE_RATE_HZ

IN, OUT = "input", "output"


class Device(NamedTuple):
    """A device of a computer."""

    number: int
    name: str
    rate_hz: int  # its own


def portaudio() -> Any:
    """The module sounddevice.

    Raises
    ------
    PercepNetError
        If it is not installed.
    AudioError
        If PortAudio itself is missing.
    """
    with extra_packages("live"):
        try:
            import sounddevice
        except OSError as error:
            raise AudioError(f"{error}: install it, on Debian and Ubuntu with apt install libportaudio2") from error
    return sounddevice


@contextmanager
def refusals() -> Iterator[None]:
    """Around calls of PortAudio: what it refuses becomes an AudioError."""
    try:
        yield
    except (portaudio().PortAudioError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise AudioError(f"{first}: percepnet live --list shows the devices") from error


def find_device(kind: str, wanted: str | None) -> Device:
    """A device by its number, a part of its name, or None for the system's own choice.

    Parameters
    ----------
    kind : str
        "input" or "output".
    wanted : str or None

    Raises
    ------
    AudioError
        If there is none, or several of the name.
    """
    sd = portaudio()
    choice = int(wanted) if wanted is not None and wanted.isdecimal() else wanted
    with refusals():
        if choice is None and not any(found[f"max_{kind}_channels"] for found in sd.query_devices()):
            raise AudioError(f"this system has no {kind} device: plug one in, or start its sound server")
        found = sd.query_devices(choice, kind)
    if not found[f"max_{kind}_channels"]:
        raise AudioError(f"{found['name']} is no {kind} device: percepnet live --list shows the devices")
    return Device(found["index"], found["name"], int(found["default_samplerate"]))


def device_list() -> str:
    """All devices, as a table for people: > marks an input and < an output that is the system's choice."""
    sd = portaudio()
    with refusals():
        return str(sd.query_devices()) or "no device: plug one in, or start this system's sound server"


def choose_rate_hz(source: Device, target: Device | None) -> int:
    """48 kHz where the devices take it, and otherwise the input's own rate.

    Raises
    ------
    AudioError
        If the devices have no rate in common that can be enhanced.
    """
    sd = portaudio()
    for rate_hz in dict.fromkeys((SAMPLE_RATE_HZ, source.rate_hz)):
        if not SAMPLE_RATE_MIN_HZ <= rate_hz <= SAMPLE_RATE_MAX_HZ:
            continue
        try:
            sd.check_input_settings(source.number, 1, "float32", samplerate=rate_hz)
            if target is not None:
                sd.check_output_settings(target.number, 1, "float32", samplerate=rate_hz)
        except (sd.PortAudioError, ValueError) as error:
            refusal = str(error).splitlines()[0]
        else:
            return rate_hz
    where = f"{source.name} and {target.name}" if target else source.name
    raise AudioError(f"{where} cannot be opened ({refusal}): is another program using it?")


def block_samples(rate_hz: int) -> int:
    """Samples of a block: 10 ms, or the first multiple of it that is a whole number of samples."""
    return rate_hz // math.gcd(rate_hz, FRAMES_PER_SECOND)
