"""Audio files in and out, block by block, so that memory does not grow with their length.

Reading refuses what is damaged, and says where; writing goes to a temporary file in the same folder, which takes the
place of the real one only when it is complete.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from percepnet.arrays import Samples, check_finite
from percepnet.errors import AudioError
from percepnet.live_stream import SAMPLE_RATE_MAX_HZ, SAMPLE_RATE_MIN_HZ, WHOLE_ADVICE

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
DEEPEST_IN_FLAC = {"PCM_32": "PCM_24", "FLOAT": "PCM_24", "DOUBLE": "PCM_24"}
FRAMES_UNKNOWN = 2**62  # libsndfile's answer for a flac that was written to a pipe, which it cannot read to the end
WAV_BYTES_MAX = 0xFFFF0000  # 32-bit sizes in its header; RF64 is WAV with 64-bit ones


@dataclass(frozen=True)
class AudioInfo:
    """What the header of an audio file says."""

    sample_rate_hz: int
    channels: int
    frames: int
    format: str
    subtype: str

    @property
    def duration_s(self) -> float:
        return self.frames / self.sample_rate_hz


class AudioReader:
    """An open audio file; made by `open_audio`."""

    def __init__(self, path: Path, file: soundfile.SoundFile) -> None:
        self._path = path
        self._file = file
        self.info = AudioInfo(file.samplerate, file.channels, file.frames, file.format, file.subtype)

    def blocks(self, block_samples: int | None = None) -> Iterator[Samples]:
        """The recording from its start, in blocks of about a second.

        Parameters
        ----------
        block_samples : int or None
            Length of a block; None is one second.

        Yields
        ------
        np.ndarray [shape=(channels, n)]

        Raises
        ------
        AudioError
            If the file ends early, cannot be decoded or holds NaN or infinity, with the position in seconds.
        """
        rate_hz = self.info.sample_rate_hz
        read = 0
        while read < self.info.frames:
            try:
                block = self._file.read(block_samples or rate_hz, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise AudioError(
                    f"{self._path}: damaged or truncated after {read / rate_hz:.3f} s ({_reason(error)})"
                ) from error
            if len(block) == 0:
                raise AudioError(
                    f"{self._path}: truncated: its header promises {self.info.duration_s:.3f} s, "
                    f"and only {read / rate_hz:.3f} s are there"
                )
            x = np.ascontiguousarray(block.T)
            try:
                check_finite(x, start_samples=read, sample_rate_hz=rate_hz, advice=WHOLE_ADVICE)
            except AudioError as error:
                raise AudioError(f"{self._path}: {error}") from error
            read += len(block)
            yield x


@contextmanager
def open_audio(path: str | os.PathLike[str]) -> Iterator[AudioReader]:
    """Open an audio file of any format that libsndfile reads: wav, flac, ogg (Vorbis, Opus), mp3, aiff and more.

    Parameters
    ----------
    path : str or path

    Yields
    ------
    AudioReader

    Raises
    ------
    AudioError
        If it is missing, not audio, truncated, empty, or of a sample rate that is not 8 to 192 kHz.
    """
    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path}: {'is not a file' if path.exists() else 'no such file'}")
    try:
        _refuse_short_file(path)
        file = soundfile.SoundFile(path)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror})") from error
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: not an audio file that can be read, or damaged at its start") from error
    with file:
        promised, found = _promised_bytes(file.extra_info)
        if promised > found:
            raise AudioError(f"{path}: truncated: its header promises {promised} bytes, and only {found} are there")
        if file.frames >= FRAMES_UNKNOWN:
            raise AudioError(f"{path}: its header does not say how long it is: convert it once, for example to .wav")
        if file.frames == 0:
            raise AudioError(f"{path}: holds no samples")
        if not SAMPLE_RATE_MIN_HZ <= file.samplerate <= SAMPLE_RATE_MAX_HZ:
            raise AudioError(
                f"{path}: its sample rate is {file.samplerate} Hz; "
                f"{SAMPLE_RATE_MIN_HZ} to {SAMPLE_RATE_MAX_HZ} Hz can be used, so resample it first"
            )
        yield AudioReader(path, file)


def _reason(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).removeprefix("Error : ").strip().rstrip(".")


def _promised_bytes(log: str) -> tuple[int, int]:
    """Bytes that the header promises, and that are there: libsndfile goes by the latter, and only logs the former."""
    for line in re.finditer(r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", log, re.M):
        promised, found = int(line[1]), int(line[2])
        # Written to a pipe, where the length is not known at the start: 0, the largest number, or sox's 0x7FFFF000.
        unknown = promised == 0 or promised >= 0xFFFFFF00 or 0x7FFFF000 <= promised <= 0x80000000
        if promised > found and not unknown:
            return promised, found
    return 0, 0


def _refuse_short_file(path: Path) -> None:
    """Truncation of compressed files that libsndfile does not report: a length that their own framing promises."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(10)
        if head[:4] == b"OggS":
            file.seek(max(0, size - 65_307))  # the largest page
            tail = file.read()
            page = tail[max(0, tail.rfind(b"OggS")) :]
            segments = page[26] if len(page) > 26 else 255
            promised = 27 + segments + sum(page[27 : 27 + segments])
            found = len(page)
        elif head[:3] == b"ID3" or head[:1] == b"\xff":
            start = 0
            if head[:3] == b"ID3":
                start = 10 + sum(
                    (byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False)
                )
            file.seek(start)
            first_frame = file.read(512)
            tag = max(first_frame.find(b"Xing"), first_frame.find(b"Info"))
            has_bytes = tag >= 0 and len(first_frame) >= tag + 16 and first_frame[tag + 7] & 0b11 == 0b11
            promised = int.from_bytes(first_frame[tag + 12 : tag + 16], "big") if has_bytes else 0
            found = size - start
        else:
            return
    if found < promised:
        raise AudioError(f"{path}: truncated: {promised - found} bytes are missing at its end")


def output_format(path: Path, source: AudioInfo) -> tuple[str, str]:
    """Container format and subtype of an output: the input's, unless the suffix says another.

    Parameters
    ----------
    path : path
        Of the output.
    source : AudioInfo
        Of the input.

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
    bytes_a_sample = {"PCM_S8": 1, "PCM_U8": 1, "ULAW": 1, "ALAW": 1, "PCM_16": 2, "PCM_24": 3, "DOUBLE": 8}
    if name.startswith("WAV") and source.frames * source.channels * bytes_a_sample.get(subtype, 4) > WAV_BYTES_MAX:
        name = "RF64"
    return name, subtype


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its place if all goes well, and is removed if anything does not.

    Raises
    ------
    AudioError
        If the folder cannot be written to.
    """
    target = Path(os.path.realpath(path))  # through a symbolic link the file is replaced, not the link
    temporary = target.parent / f".percepnet-{secrets.token_hex(6)}.part"
    try:
        temporary.touch(exist_ok=False)
        try:
            yield temporary
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise AudioError(f"{path}: cannot be written ({error.strerror or error})") from error


class AudioWriter:
    """An audio file that is being written; made by `create_audio`."""

    def __init__(self, file: soundfile.SoundFile) -> None:
        self._file = file

    def write(self, y: Samples) -> None:
        """Append samples [shape=(channels, n)]; what exceeds [-1, 1] is clipped unless the format holds floats."""
        self._file.write(y.T)


@contextmanager
def create_audio(path: str | os.PathLike[str], source: AudioInfo) -> Iterator[AudioWriter]:
    """Write an audio file like another, which appears under its name only when it is complete.

    Parameters
    ----------
    path : str or path
        Its suffix gives the format, as `output_format` says.
    source : AudioInfo
        Of the file that it is to be like.

    Yields
    ------
    AudioWriter

    Raises
    ------
    AudioError
        If the folder cannot be written to, or the format cannot hold this rate or number of channels.
    """
    path = Path(path)
    name, subtype = output_format(path, source)
    with replacing(path) as temporary:
        try:
            file = soundfile.SoundFile(temporary, "w", source.sample_rate_hz, source.channels, subtype, format=name)
        except (soundfile.LibsndfileError, ValueError) as error:
            reason = _reason(error) if isinstance(error, soundfile.LibsndfileError) else str(error)
            raise AudioError(
                f"{path}: {name} ({subtype}) cannot hold {source.channels} channel(s) at {source.sample_rate_hz} Hz: "
                f"give the output another suffix, for example .wav ({reason})"
            ) from error
        try:
            with file:
                yield AudioWriter(file)
        except soundfile.LibsndfileError as error:  # a full disk shows only when the last buffer is written
            raise AudioError(f"{path}: cannot be written ({_reason(error)})") from error
