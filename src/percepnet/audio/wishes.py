"""What users may wish of an output."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wishes:
    """What an output is to be, where it is not to be like its input.

    Attributes
    ----------
    bits : str or None
        Of PCM: "8", "16", "24", "32" or "float".
    bitrate_bps : int or None
        Of a lossy codec.
    mono : bool
        The mean of all channels.
    dither : bool
        Before rounding to integers.
    """

    bits: str | None = None
    bitrate_bps: int | None = None
    mono: bool = False
    dither: bool = False
