"""`percepnet plugin-path`."""

from typing import Annotated

import typer

from percepnet.plugins import ladspa_path


def plugin_path(
    folder: Annotated[bool, typer.Option("--folder", help="Print the folder that it is in, for LADSPA_PATH.")] = False,
) -> None:
    """Print where the LADSPA plugin is, for ffmpeg, GStreamer, Audacity and other hosts."""
    path = ladspa_path()
    print(path.parent if folder else path)
