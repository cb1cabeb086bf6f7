"""Audio files out: rounded, with the input's tags and bitrate, under their name only when they are complete."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import soundfile

from percepnet.arrays import Samples
from percepnet.atomic import replacing, why
from percepnet.audio import mpeg
from percepnet.audio import riff as riff_layout
from percepnet.audio.formats import BYTES_A_SAMPLE, LOSSY, MEDIA, output_format
from percepnet.audio.info import AudioInfo
from percepnet.audio.opening import reason
from percepnet.audio.quantise import quantised
from percepnet.audio.reader import AudioReader
from percepnet.audio.tags import Tags, id3, riff, vorbis
from percepnet.audio.wishes import Wishes
from percepnet.errors import AudioError


class AudioWriter(Protocol):
    """An audio file that is being written; made by `create_audio`.

    Attributes
    ----------
    notes : list of str
        What the output could not keep, in words.
    """

    notes: list[str]

    def write(self, y: Samples) -> None:
        """Append samples [shape=(channels, n)]; what exceeds [-1, 1] is clipped unless the format holds floats."""


class _Guarded:
    """A file for libsndfile, which does not pass on in all formats that a disk is full: what happened is kept here."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.error is None:
            try:
                return self._file.write(data)
            except OSError as error:
                self.error = error
        return 0

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            self.error = self.error or error
            return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        pass


class _SoundFileWriter:
    def __init__(self, path: Path, guarded: _Guarded, file: soundfile.SoundFile, wishes: Wishes) -> None:
        self.notes: list[str] = []
        self._path = path
        self._guarded = guarded
        self._file = file
        self._subtype: str = file.subtype
        self._mono = wishes.mono
        self.written = 0
        self._dither = np.random.default_rng(0) if wishes.dither else None

    def write(self, y: Samples) -> None:
        if self._mono and y.shape[0] > 1:
            y = y.mean(axis=0, keepdims=True, dtype=np.float32)
        self.written += y.shape[1]
        if y.shape[1]:
            try:
                self._file.write(quantised(y, self._subtype, self._dither).T)
            except (AssertionError, soundfile.LibsndfileError) as error:  # less was written than given
                self.check()
                raise AudioError(f"{self._path}: cannot be written ({error})") from error
        self.check()

    def check(self) -> None:
        if self._guarded.error is not None:
            raise AudioError(f"{self._path}: cannot be written ({why(self._guarded.error)})") from self._guarded.error


@contextmanager
def create_audio(
    path: str | os.PathLike[str],
    source: AudioInfo,
    *,
    wishes: Wishes | None = None,
    original: AudioReader | None = None,
) -> Iterator[AudioWriter]:
    """Write an audio file like another, which appears under its name only when it is complete.

    Parameters
    ----------
    path : str or path
        Its suffix gives the format, as `output_format` says.
    source : AudioInfo
        Of the file that it is to be like.
    wishes : Wishes, optional
        Where it is not.
    original : AudioReader, optional
        That file, open. Where both are films its picture, chapters and other tracks are kept, while its blocks are
        read.

    Yields
    ------
    AudioWriter

    Raises
    ------
    AudioError
        If the folder cannot be written to, the disk is full, or the format cannot hold this rate or number of channels.
    """
    path = Path(path)
    wishes = wishes or Wishes()
    if path.suffix.lower() in MEDIA:
        from percepnet.audio.media_writer import create_media

        with create_media(path, source, wishes=wishes, original=original) as media:
            yield media
        return
    name, subtype = output_format(path, source, wishes.bits)
    channels = 1 if wishes.mono else source.channels
    _refuse_full_disk(path, source, channels, subtype)
    with replacing(path) as temporary:
        with temporary.open("r+b", buffering=0) as raw:
            guarded = _Guarded(raw)
            try:
                file = soundfile.SoundFile(
                    guarded,
                    "w",
                    source.sample_rate_hz,
                    channels,
                    subtype,
                    format=name,
                    **_rate_control(source, channels, subtype, wishes),
                )
            except (soundfile.LibsndfileError, ValueError) as error:
                if guarded.error is not None:
                    raise AudioError(f"{path}: cannot be written ({why(guarded.error)})") from error
                said = reason(error) if isinstance(error, soundfile.LibsndfileError) else str(error)
                raise AudioError(
                    f"{path}: {name} ({subtype}) cannot hold {channels} channel(s) at {source.sample_rate_hz} Hz: "
                    f"give the output another suffix, for example .wav ({said})"
                ) from error
            writer = _SoundFileWriter(path, guarded, file, wishes)
            if original is not None and wishes.bits is None and _is_other(original, path, subtype):
                writer.notes.append(f"{source.subtype} is not written in {name}: the output has {subtype}")
            try:
                with file:
                    yield writer
            except soundfile.LibsndfileError as error:
                writer.check()
                raise AudioError(f"{path}: cannot be written ({reason(error)})") from error
            writer.check()  # the last buffer is written when it closes
        if name == "MP3":
            _describe_mp3(temporary, writer.written)
        if source.channel_mask is not None and channels == source.channels and name in ("WAV", "WAVEX", "RF64"):
            riff_layout.set_channel_mask(temporary, source.channel_mask)
        if source.tags:
            _attach(temporary, name, subtype, source.tags, writer.notes)


def _is_other(original: AudioReader, path: Path, subtype: str) -> bool:
    """Whether an output of the same suffix has another codec than its input."""
    found = original.info.subtype
    is_same = found == subtype or (found.startswith("pcm_") and subtype not in LOSSY)
    return original.path.suffix.lower() == path.suffix.lower() and not is_same


def _refuse_full_disk(path: Path, source: AudioInfo, channels: int, subtype: str) -> None:
    """Refuse a recording that cannot fit, before hours of work: small files can hold days of silence."""
    needed = source.frames * channels * BYTES_A_SAMPLE.get(subtype, 0)
    if needed < 1 << 20:
        return
    try:
        free = shutil.disk_usage(path.absolute().parent).free
    except OSError:
        return
    if needed > free:
        raise AudioError(
            f"{path}: cannot be written: needs {needed / 1e9:.2f} GB, and only {free / 1e9:.2f} GB are free"
        )


def _rate_control(source: AudioInfo, channels: int, subtype: str, wishes: Wishes) -> dict[str, object]:
    """libsndfile's settings for a bitrate: the one wanted, or the input's if it has the same codec.

    libsndfile takes a number from 0 to 1; how it becomes a bitrate is in its src/mpeg_l3_encode.c, ogg_opus.c and
    ogg_vorbis.c.
    """
    bitrate = wishes.bitrate_bps
    if bitrate is None and source.subtype == subtype and source.bitrate_bps:
        bitrate = source.bitrate_bps
    if bitrate is None:
        return {}
    if subtype == "MPEG_LAYER_III":
        top = 320_000 if source.sample_rate_hz >= 32000 else 160_000 if source.sample_rate_hz >= 16000 else 64_000
        low = 32_000 if source.sample_rate_hz >= 32000 else 8_000
        mode = "CONSTANT" if wishes.bitrate_bps or source.constant_bitrate else "AVERAGE"
        return {"bitrate_mode": mode, "compression_level": _share(top - bitrate, top - low)}
    if subtype == "OPUS":
        return {"compression_level": _share(256_000 * channels - bitrate, 250_000 * channels)}
    if subtype == "VORBIS":  # nominal bitrates of libvorbis' qualities 0 to 10, at 44.1 and 48 kHz, for each channel
        qualities = np.array([32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 250]) * 1000
        qualities = qualities * min(1.0, source.sample_rate_hz / 44100)
        quality = float(np.interp(bitrate / channels, qualities, np.arange(11)))
        return {"compression_level": 1 - quality / 10}
    return {}


def _share(part: float, whole: float) -> float:
    return float(min(1.0, max(0.0, part / whole)))


def _attach(temporary: Path, name: str, subtype: str, tags: Tags, notes: list[str]) -> None:
    """Put tags into a file that libsndfile has written."""
    tagged = temporary.with_name(temporary.name.removesuffix(".part") + "0.part")
    try:
        done = True
        if name in ("WAV", "WAVEX", "RF64"):
            done = riff.attach_wav(temporary, tags, tagged)
        elif name == "FLAC":
            vorbis.attach_flac(temporary, tags, tagged)
        elif name == "OGG" and subtype in ("VORBIS", "OPUS"):
            vorbis.attach_ogg(temporary, tags, tagged)
        elif name == "MP3":
            id3.attach_mp3(temporary, tags, tagged)
        elif name == "AIFF":
            riff.attach_aiff(temporary, tags, tagged)
        else:
            done = False
        if done:
            os.replace(tagged, temporary)
        else:
            notes.append(f"{name} keeps no tags: those of the input are not in the output")
    finally:
        tagged.unlink(missing_ok=True)


def _describe_mp3(temporary: Path, samples: int) -> None:
    """LAME writes its delays into a frame of the stream's own size; at low bitrates it has no room, and is left out."""
    with temporary.open("rb") as file:
        walk = mpeg.walk(file) if temporary.stat().st_size else None
        if walk is None or walk.parts[0].tagged:
            return
        header = walk.parts[0].header_with_delays(file, samples)
        file.seek(0)
        tagged = temporary.with_name(temporary.name.removesuffix(".part") + "0.part")
        try:
            with tagged.open("wb") as out:
                out.write(header)
                shutil.copyfileobj(file, out, 1 << 20)
            os.replace(tagged, temporary)
        finally:
            tagged.unlink(missing_ok=True)


def is_full(error: OSError) -> bool:
    """Whether a disk, or what someone may use of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
