"""Titles, covers, chapters, loudness and time codes: what comes with the sound of a file, and stays with it.

Within a family of formats everything is kept as it is, byte by byte, what nobody here knows of included; from one
family to another go the texts and the pictures.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """A cover or another picture; `kind` is the number that FLAC and ID3 share (3: front cover)."""

    mime: str
    kind: int
    description: str
    data: bytes


@dataclass(frozen=True)
class Tags:
    """What comes with the sound.

    Attributes
    ----------
    text : tuple of (str, str)
        Names as Vorbis comments spell them (TITLE, ARTIST, …), and texts. A name may come twice.
    pictures : tuple of Picture
    family : str
        "riff", "aiff", "flac", "vorbis", "id3", or "media" for what FFmpeg reads.
    raw : tuple of (str, bytes)
        The family's own blocks, by their names.
    """

    text: tuple[tuple[str, str], ...] = ()
    pictures: tuple[Picture, ...] = ()
    family: str = ""
    raw: tuple[tuple[str, bytes], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.text or self.pictures or self.raw)

    def first(self, name: str) -> str | None:
        """The first text of a name."""
        return next((value for key, value in self.text if key.upper() == name), None)


BYTES_MAX = 64 << 20  # of one file's tags; what is larger is no tag
