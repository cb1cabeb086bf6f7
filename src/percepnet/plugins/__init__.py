"""The LADSPA plugin that comes with the package on Linux, for PipeWire, ffmpeg, GStreamer, Audacity and others."""

from pathlib import Path

from percepnet.errors import PercepNetError

LADSPA = Path(__file__).with_name("percepnet_ladspa.so")


def ladspa_path() -> Path:
    """Where the LADSPA plugin is.

    Returns
    -------
    Path

    Raises
    ------
    PercepNetError
        If this installation has none.
    """
    if not LADSPA.is_file():
        raise PercepNetError(
            "this installation has no LADSPA plugin: it comes with the wheels for Linux, and wherever pip finds a "
            "C compiler on Linux"
        )
    return LADSPA
