"""Audio files in and out: every recording that people have, block by block, with nothing lost without a word."""

from percepnet.atomic import replacing
from percepnet.audio.formats import ALL_SUFFIXES, FORMATS, MEDIA, output_format
from percepnet.audio.info import AudioInfo
from percepnet.audio.opening import open_audio
from percepnet.audio.reader import AudioReader
from percepnet.audio.tags import Picture, Tags
from percepnet.audio.wishes import Wishes
from percepnet.audio.writer import AudioWriter, create_audio

__all__ = [
    "ALL_SUFFIXES",
    "FORMATS",
    "MEDIA",
    "AudioInfo",
    "AudioReader",
    "AudioWriter",
    "Picture",
    "Tags",
    "Wishes",
    "create_audio",
    "open_audio",
    "output_format",
    "replacing",
]
