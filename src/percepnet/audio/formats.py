"""Which suffix means which format, and what becomes of a recording's format in its output."""

import importlib.util
from pathlib import Path

from percepnet.audio.info import AudioInfo
from percepnet.errors import AudioError

# Suffix -> the container formats that it can mean (the first is the default) and the subtype of a new one.
FORMATS: dict[str, tuple[tuple[str, ...], str]] = {
    ".wav": (("WAV", "WAVEX", "RF64"), "PCM_16"),
    ".flac": (("FLAC",), "PCM_16"),
    ".ogg": (("OGG",), "VORBIS"),
    ".oga": (("OGG",), "VORBIS"),
    ".opus": (("OGG",), "OPUS"),
    ".mp3": (("MP3",), "MPEG_LAYER_III"),
    ".aiff": (("AIFF",), "PCM_16"),
    ".aif": (("AIFF",), "PCM_16"),
    ".au": (("AU",), "PCM_16"),
    ".caf": (("CAF",), "PCM_16"),
    ".w64": (("W64",), "PCM_16"),
    ".rf64": (("RF64",), "PCM_16"),
}
SUBTYPES: dict[str, str] = {name: subtype for names, subtype in FORMATS.values() for name in names} | {"OGG": "VORBIS"}
# Subtypes that are kept, by container. The others (ADPCM, GSM) come in blocks, whose padding would change the length.
_PCM = frozenset(("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"))
KEPT_SUBTYPES: dict[str, frozenset[str]] = {
    **{name: _PCM | {"PCM_U8"} for name in ("WAV", "WAVEX", "RF64", "W64")},
    **{name: _PCM | {"PCM_S8"} for name in ("AIFF", "AU", "CAF")},
    "FLAC": frozenset(("PCM_S8", "PCM_16", "PCM_24")),
    "OGG": frozenset(("VORBIS", "OPUS")),
    "MP3": frozenset(("MPEG_LAYER_III",)),
}
LOSSY = frozenset(("VORBIS", "OPUS", "MPEG_LAYER_III"))
DEEPEST_IN_FLAC = {"PCM_32": "PCM_24", "FLOAT": "PCM_24", "DOUBLE": "PCM_24"}
BYTES_A_SAMPLE = {
    **{"PCM_S8": 1, "PCM_U8": 1, "ULAW": 1, "ALAW": 1, "PCM_16": 2, "PCM_24": 3},
    **{"PCM_32": 4, "FLOAT": 4, "DOUBLE": 8},
}
BITS = {"8": "PCM_U8", "16": "PCM_16", "24": "PCM_24", "32": "PCM_32", "float": "FLOAT"}
WAV_BYTES_MAX = 0xFFFF0000  # 32-bit sizes in its header; RF64 is WAV with 64-bit ones

# What only FFmpeg reads and writes (`percepnet[media]`). Suffix -> its name of the container, and of the codec.
MEDIA: dict[str, tuple[str, str]] = {
    ".m4a": ("ipod", "aac"),
    ".m4b": ("ipod", "aac"),
    ".mp4": ("mp4", "aac"),
    ".m4v": ("mp4", "aac"),
    ".mov": ("mov", "aac"),
    ".aac": ("adts", "aac"),
    ".webm": ("webm", "libopus"),
    ".weba": ("webm", "libopus"),
    ".mkv": ("matroska", "aac"),
    ".mka": ("matroska", "flac"),
    ".wma": ("asf", "wmav2"),
    ".wmv": ("asf", "wmav2"),
    ".asf": ("asf", "wmav2"),
    ".amr": ("amr", "libopencore_amrnb"),
    ".3gp": ("3gp", "aac"),
    ".3g2": ("3g2", "aac"),
    ".ac3": ("ac3", "ac3"),
    ".eac3": ("eac3", "eac3"),
    ".mp2": ("mp2", "mp2"),
    ".mpg": ("mpeg", "mp2"),
    ".mpeg": ("mpeg", "mp2"),
    ".ts": ("mpegts", "aac"),
    ".mts": ("mpegts", "ac3"),
    ".m2ts": ("mpegts", "ac3"),
    ".avi": ("avi", "libmp3lame"),
    ".flv": ("flv", "aac"),
    ".f4v": ("mp4", "aac"),
    ".tta": ("tta", "tta"),
    ".wv": ("wv", "wavpack"),
    ".mxf": ("mxf", "pcm_s16le"),
    ".dv": ("dv", "pcm_s16le"),
}
# Read, but never written: their sound comes out as .wav.
READ_ONLY = frozenset(
    (".awb", ".ape", ".mpc", ".spx", ".dts", ".ogv", ".ogx", ".ra", ".rm", ".qcp", ".voc", ".dv", ".mxf", ".dsf")
)
ALL_SUFFIXES = (*FORMATS, *MEDIA, *sorted(READ_ONLY - MEDIA.keys()))


def has_media() -> bool:
    """Whether what only FFmpeg reads can be read here, without loading it."""
    return importlib.util.find_spec("av") is not None


def default_suffix(source: Path) -> str:
    """The suffix of an output whose name nobody chose: the input's, where it can be written."""
    suffix = source.suffix.lower()
    return ".wav" if suffix in READ_ONLY else source.suffix


def output_format(path: Path, source: AudioInfo, bits: str | None = None) -> tuple[str, str]:
    """Container format and subtype of an output: the input's, unless the suffix says another.

    Parameters
    ----------
    path : path
        Of the output.
    source : AudioInfo
        Of the input.
    bits : str, optional
        Another sample format: one of `BITS`.

    Returns
    -------
    (str, str)
        In libsndfile's names. A subtype that the container cannot hold becomes the nearest that it can.
    """
    names, subtype = FORMATS.get(path.suffix.lower(), ((source.format,), SUBTYPES.get(source.format, "PCM_16")))
    name = source.format if source.format in names else names[0]
    if name not in KEPT_SUBTYPES:
        raise AudioError(f"{path}: {name} cannot be written: give the output a suffix, for example .wav")
    if source.subtype in KEPT_SUBTYPES[name] and path.suffix.lower() != ".opus":
        subtype = source.subtype
    elif name == "FLAC":
        subtype = DEEPEST_IN_FLAC.get(source.subtype, subtype)
    elif source.subtype in _PCM and subtype in _PCM:
        subtype = source.subtype
    if bits is not None:
        subtype = _with_bits(path, name, bits)
    size = source.frames * source.channels * BYTES_A_SAMPLE.get(subtype, 4)
    if name.startswith("WAV") and size > WAV_BYTES_MAX:
        name = "RF64"
    return name, subtype


def _with_bits(path: Path, name: str, bits: str) -> str:
    subtype = BITS.get(bits)
    if subtype is None:
        raise AudioError(f"--bits {bits}: give one of {', '.join(BITS)}")
    if bits == "8" and "PCM_S8" in KEPT_SUBTYPES[name]:
        subtype = "PCM_S8"
    if subtype not in KEPT_SUBTYPES[name]:
        raise AudioError(f"{path}: {name} has no samples of {bits} bits: leave --bits out, or give another suffix")
    return subtype
