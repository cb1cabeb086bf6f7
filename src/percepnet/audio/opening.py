"""Audio files opened by what is in them, not by their names.

The length of a recording is what decodes. Reading refuses what is damaged, and says where; with `salvage` it takes
what is there, and says so.
"""

import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from percepnet.arrays import CHANNELS_MAX, Samples
from percepnet.atomic import why
from percepnet.audio import flac, mpeg, ogg, riff
from percepnet.audio.formats import LOSSY, MEDIA, READ_ONLY, has_media
from percepnet.audio.info import AudioInfo
from percepnet.audio.pieces import Pieces
from percepnet.audio.reader import AudioReader
from percepnet.audio.tags import Tags
from percepnet.audio.tags import id3 as id3_tags
from percepnet.audio.tags import riff as riff_tags
from percepnet.audio.tags import vorbis as vorbis_tags
from percepnet.errors import AudioError, installing
from percepnet.live_stream import SAMPLE_RATE_MAX_HZ, SAMPLE_RATE_MIN_HZ

FRAMES_UNKNOWN = 2**62  # libsndfile's answer where a header does not say
OF_FFMPEG = {"vorbis": "VORBIS", "opus": "OPUS"}  # libsndfile's names of what both read
FLAC_BITS = (8, 16, 24)  # of a sample, that libsndfile takes
Opener = Callable[[], soundfile.SoundFile]


class _SoundFileReader(AudioReader):
    """What libsndfile decodes: one stream, or several that were joined."""

    def __init__(
        self,
        path: Path,
        openers: Sequence[Opener],
        info: AudioInfo,
        notes: Sequence[str],
        *,
        salvage: bool,
        counts: Sequence[int],
    ) -> None:
        super().__init__(path, info, notes, salvage=salvage)
        self._openers = openers
        self._counts = counts

    def _decoded(self, block_samples: int) -> Iterator[Samples]:
        for opener, count in zip(self._openers, self._counts, strict=True):
            with opener() as file:
                yield from self._part(file, block_samples, count)

    def _part(self, file: soundfile.SoundFile, block_samples: int, count: int) -> Iterator[Samples]:
        rate_hz = self.info.sample_rate_hz
        read = 0
        while read < count:
            try:
                block = file.read(min(block_samples, count - read), dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                if count >= FRAMES_UNKNOWN and read:  # what is after the last sample cannot be told from damage
                    return
                rest = self._otherwise(block_samples)
                if rest is not None:
                    yield from rest
                    return
                position_s = self.frames_read / rate_hz
                self._stopped(f"damaged or truncated after {position_s:.3f} s ({self._why(error)})")
                return
            if len(block) == 0:
                if count < FRAMES_UNKNOWN:
                    self._stopped(
                        f"truncated: {self.info.duration_s:.3f} s were promised, "
                        f"and only {self.frames_read / rate_hz:.3f} s are there"
                    )
                return
            read += len(block)
            yield np.ascontiguousarray(block.T)

    def _otherwise(self, block_samples: int) -> Iterator[Samples] | None:
        """What comes after the samples that have been read, from another decoder; None if there is none."""
        return None

    def _why(self, error: soundfile.LibsndfileError) -> str:
        return reason(error)

    def excerpts(self, count: int, seconds: float) -> Iterator[Samples]:
        rate_hz, frames = self.info.sample_rate_hz, self.info.frames
        length = int(seconds * rate_hz)
        if len(self._openers) > 1 or frames <= 2 * count * length or not self.info.frames_exact:
            left = 2 * count * length
            for block in self._decoded(length):
                yield block
                left -= block.shape[1]
                if left <= 0:
                    return
            return
        with self._openers[0]() as file, suppress(soundfile.LibsndfileError):
            for index in range(count):
                file.seek(int((frames - length) * index / max(1, count - 1)))
                yield np.ascontiguousarray(file.read(length, dtype="float32", always_2d=True).T)


class _FlacReader(_SoundFileReader):
    """A FLAC file, of which FFmpeg decodes what libsndfile refuses."""

    def _otherwise(self, block_samples: int) -> Iterator[Samples] | None:
        if not has_media():
            return None
        from percepnet.audio.flac_overflow import read_overflowing

        whole = read_overflowing(self.path, self.info, block_samples)
        return None if whole is None else self._behind(whole, self.frames_read)

    def _why(self, error: soundfile.LibsndfileError) -> str:
        return reason(error) if has_media() else f"{reason(error)}; if it plays elsewhere: {installing('media')}"

    def _behind(self, whole: Iterator[Samples], frames: int) -> Iterator[Samples]:
        self.notes.append("has samples beyond full scale: FFmpeg has decoded it, and they are at full scale")
        for x in whole:
            if x.shape[1] > frames:
                yield x[:, frames:]
            frames = max(0, frames - x.shape[1])


@contextmanager
def open_audio(
    path: str | os.PathLike[str], *, salvage: bool = False, track: int | None = None
) -> Iterator[AudioReader]:
    """Open a recording: what libsndfile reads in the base installation, and what FFmpeg reads with `percepnet[media]`.

    Parameters
    ----------
    path : str or path
    salvage : bool
        Take what is there of a truncated or damaged file, and say so in `notes`.
    track : int, optional
        Which of several audio tracks, counted from 1.

    Yields
    ------
    AudioReader

    Raises
    ------
    AudioError
        If it is missing, not audio, truncated, empty, encrypted, or of a rate or a number of channels out of range.
    """
    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path}: {'is not a file' if path.exists() else 'no such file'}")
    try:
        reader = _open(path, salvage=salvage, track=track)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({why(error)})") from error
    try:
        check_form(path, reader.info)
        yield reader
    finally:
        reader.close()


def check_form(path: Path | str, info: AudioInfo) -> None:
    """Refuse rates and numbers of channels out of range, before memory is taken for them."""
    if info.frames == 0 and info.frames_exact:
        raise AudioError(f"{path}: holds no samples")
    if not SAMPLE_RATE_MIN_HZ <= info.sample_rate_hz <= SAMPLE_RATE_MAX_HZ:
        raise AudioError(
            f"{path}: its sample rate is {info.sample_rate_hz} Hz; "
            f"{SAMPLE_RATE_MIN_HZ} to {SAMPLE_RATE_MAX_HZ} Hz can be used, so resample it first"
        )
    if not 1 <= info.channels <= CHANNELS_MAX:
        raise AudioError(f"{path}: has {info.channels} channels; 1 to {CHANNELS_MAX} can be used")


def _open(path: Path, *, salvage: bool, track: int | None) -> AudioReader:
    with path.open("rb") as file:
        head = file.read(64)
        if head[:4] == b"OggS":
            reader = _open_ogg(path, file, salvage=salvage)
        elif head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
            reader = _open_wav(path, file, salvage=salvage)
        elif head[:4] == b"fLaC":
            reader = _open_flac(path, file, salvage=salvage)
        elif _may_be_mpeg(path, head):
            reader = _open_mpeg(path, file, 0, None, id3_tags.read_mp3(file), salvage=salvage)
        elif head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            reader = _open_plain(path, riff_tags.read_aiff(file), salvage=salvage)
        elif head[:4] in (b".snd", b"dns.", b"caff", b"riff"):
            reader = _open_if_known(path, salvage=salvage)
        else:
            reader = None
    if reader is not None:
        if track not in (None, 1):
            reader.close()
            raise AudioError(f"{path}: has no audio track {track}, as it has one: leave --track out")
        return reader
    several = head[:4] == b"OggS" and has_media()  # streams side by side
    if path.suffix.lower() not in {*MEDIA, *READ_ONLY} and not _looks_like_media(head) and not several:
        with suppress(AudioError):
            plain = _open_plain(path, Tags(), salvage=salvage)
            if head[:4] == b"OggS":
                plain.notes.append(f"may hold other streams, of which nothing was taken: {installing('media')}")
            return plain
        if not head.strip(b"\0") or head[:32].isascii():
            raise AudioError(f"{path}: not an audio file that can be read, or damaged at its start")
    return _open_media(path, head, salvage=salvage, track=track)


def _open_media(path: Path, head: bytes, *, salvage: bool, track: int | None) -> AudioReader:
    from percepnet.audio.media import open_media  # loads FFmpeg

    media = open_media(path, salvage=salvage, track=track)
    if head[:4] == b"OggS" and media.info.subtype in OF_FFMPEG:
        media.info = replace(media.info, format="OGG", subtype=OF_FFMPEG[media.info.subtype])
    return media


def _open_if_known(path: Path, *, salvage: bool) -> AudioReader | None:
    try:
        return _open_plain(path, Tags(), salvage=salvage)
    except AudioError as error:
        with path.open("rb") as file:
            kind = file.read(32)[28:]
        if "truncated" in str(error) or kind in (b"lpcm", b"ulaw", b"alaw"):
            raise
        return None  # ALAC in CAF, for example


def _may_be_mpeg(path: Path, head: bytes) -> bool:
    if head[:3] == b"ID3":
        return path.suffix.lower() not in (".aac", ".flac", ".wav", ".tta", ".ape", ".aiff", ".aif")
    header = mpeg.read_header(head)
    return path.suffix.lower() == ".mp3" or (header is not None and header.layer == 3)


def _looks_like_media(head: bytes) -> bool:
    return head[4:8] in (b"ftyp", b"moov", b"wide", b"mdat") or head[:4] in (
        b"\x1aE\xdf\xa3",  # Matroska, WebM
        b"0&\xb2u",  # ASF
        b"#!AM",
        b"FLV\x01",
        b"RIFF",  # AVI
    )


def reason(error: soundfile.LibsndfileError) -> str:
    """libsndfile's words, as part of a sentence."""
    return str(error.error_string).removeprefix("Error : ").strip().rstrip(".")


def _opener(path: Path) -> Opener:
    return lambda: soundfile.SoundFile(path if os.name == "nt" else os.fsencode(path))


def _pieces_opener(path: Path, make: Callable[[BinaryIO], io.RawIOBase], **form: object) -> Opener:
    return lambda: _Owned(make(path.open("rb")), **form)


def _window(start: int, end: int) -> Callable[[BinaryIO], io.RawIOBase]:
    return lambda file: Pieces(file, [(start, end)])


class _Owned(soundfile.SoundFile):  # type: ignore[misc]
    """A SoundFile that closes the file object it reads from."""

    def __init__(self, file: io.RawIOBase, **form: object) -> None:
        self._below = file
        try:
            super().__init__(file, **form)
        except BaseException:
            file.close()
            raise

    def close(self) -> None:
        super().close()
        self._below.close()


def _first(path: Path, opener: Opener) -> AudioInfo:
    """What libsndfile says of a stream."""
    try:
        with opener() as file:
            return AudioInfo(file.samplerate, file.channels, file.frames, file.format, file.subtype)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: not an audio file that can be read, or damaged at its start") from error


def _open_plain(path: Path, tags: Tags, *, salvage: bool, sizes_are_known: bool = False) -> AudioReader:
    opener = _opener(path)
    info = _first(path, opener)
    with opener() as file:
        promised, found = (0, 0) if sizes_are_known else _promised_bytes(file.extra_info)
    notes = []
    if promised > found:
        message = f"truncated: its header promises {promised} bytes, and only {found} are there"
        if not salvage:
            raise AudioError(f"{path}: {message}")
        notes.append(f"{message}: what is there was taken")
    exact = info.frames < FRAMES_UNKNOWN
    info = replace(info, tags=tags, frames=info.frames if exact else 0, frames_exact=exact)
    return _SoundFileReader(
        path, [opener], info, notes, salvage=salvage, counts=[info.frames if exact else FRAMES_UNKNOWN]
    )


def _promised_bytes(log: str) -> tuple[int, int]:
    """Bytes that a header promises, and that are there: libsndfile goes by the latter, and only logs the former."""
    for line in re.finditer(r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", log, re.M):
        promised, found = int(line[1]), int(line[2])
        unknown = promised == 0 or promised >= 0xFFFFFF00 or 0x7FFFF000 <= promised <= 0x80000000
        if promised > found and not unknown:
            return promised, found
    return 0, 0


def _open_wav(path: Path, file: BinaryIO, *, salvage: bool) -> AudioReader | None:
    layout = riff.read_layout(file)
    if layout is None:
        raise AudioError(f"{path}: not an audio file that can be read, or damaged at its start")
    tags = riff_tags.read_wav(file, layout)
    notes = [layout.note] if layout.note else []
    if layout.missing_bytes:
        found = layout.promised_bytes - layout.missing_bytes
        message = f"truncated: its header promises {layout.promised_bytes} bytes, and only {found} are there"
        if not salvage:
            raise AudioError(f"{path}: {message}")
        notes.append(f"{message}: what is there was taken")
    if layout.tag in (riff.MPEG, riff.MPEG_LAYER_3):
        return _open_mpeg(path, file, layout.data_start, layout.data_end, tags, salvage=salvage)
    length = layout.data_end - layout.data_start
    subtype = layout.subtype
    if subtype is None:
        try:
            reader = _open_plain(path, tags, salvage=salvage, sizes_are_known=True)
        except AudioError:
            return None  # kinds that only FFmpeg knows
        reader.notes += notes
        return reader
    check_form(path, AudioInfo(layout.sample_rate_hz, layout.channels, 1, "WAV", subtype))
    opener = _opener(path)
    frames = length // layout.block_bytes
    with suppress(soundfile.LibsndfileError), opener() as plain:
        read = (plain.samplerate, plain.channels, plain.frames, plain.format, plain.subtype)
        info = AudioInfo(*read, tags=tags, channel_mask=layout.channel_mask)
        if plain.frames == frames:
            return _SoundFileReader(path, [opener], info, notes, salvage=salvage, counts=[frames])
    form = {
        "samplerate": layout.sample_rate_hz,
        "channels": layout.channels,
        "subtype": subtype,
        "format": "RAW",
        "endian": "BIG" if layout.big_endian else "LITTLE",
    }
    stretch = (layout.data_start, layout.data_start + frames * layout.block_bytes)
    opener = _pieces_opener(path, lambda raw: Pieces(raw, [stretch]), **form)
    info = AudioInfo(layout.sample_rate_hz, layout.channels, frames, "WAV", subtype, tags=tags)
    return _SoundFileReader(path, [opener], info, notes, salvage=salvage, counts=[frames])


def _open_flac(path: Path, file: BinaryIO, *, salvage: bool) -> AudioReader:
    tags = vorbis_tags.read_flac(file)
    bits = flac.sample_bits(file)
    if bits is not None and bits not in FLAC_BITS:  # 20 from a DAT, for example, which libsndfile does not know
        from percepnet.audio.media import open_media

        media = open_media(path, salvage=salvage, track=None)
        media.info = replace(media.info, format="FLAC", subtype="PCM_16" if bits < 16 else "PCM_24", tags=tags)
        return media
    info = _first(path, _opener(path))
    if info.frames < FRAMES_UNKNOWN:
        opener = _opener(path)
        info = replace(info, tags=tags)
        return _FlacReader(path, [opener], info, [], salvage=salvage, counts=[info.frames])
    frames = flac.count_samples(file)  # written to a pipe
    if frames is None:
        raise AudioError(f"{path}: its header does not say how long it is: convert it once, for example to .wav")
    mended = flac.with_length(file, frames)
    opener = _pieces_opener(path, lambda raw: Pieces(raw, mended))
    info = replace(info, frames=frames, tags=tags)
    return _SoundFileReader(path, [opener], info, [], salvage=salvage, counts=[frames])


def _open_mpeg(
    path: Path, file: BinaryIO, start: int, end: int | None, tags: Tags, *, salvage: bool
) -> AudioReader | None:
    walk = mpeg.walk(file, start, end)
    if walk is None:
        file.seek(0)
        head = file.read(10)
        size = file.seek(0, 2)
        if head[:3] == b"ID3" and size <= 10 + sum(
            byte << 7 * place for place, byte in enumerate(reversed(head[6:10]))
        ):
            raise AudioError(f"{path}: truncated: there is nothing after its tag")
        return None
    notes = list(walk.notes)
    first = walk.parts[0]
    missing = sum(part.missing_frames for part in walk.parts)
    if missing:
        seconds = missing * first.header.samples / first.header.sample_rate_hz
        message = f"truncated: {seconds:.2f} s are missing at its end"
        if not salvage:
            raise AudioError(f"{path}: {message}")
        notes.append(f"{message}: what is there was taken")
    elif walk.cut_bytes:
        notes.append(f"its last frame is incomplete ({walk.cut_bytes} bytes are missing), and was left out")
    for part in walk.parts[1:]:
        if (part.header.sample_rate_hz, part.header.channels) != (first.header.sample_rate_hz, first.header.channels):
            raise AudioError(
                f"{path}: is joined from recordings of {first.header.sample_rate_hz} Hz, {first.header.channels} "
                f"channel(s) and {part.header.sample_rate_hz} Hz, {part.header.channels} channel(s): take it apart"
            )
    if len(walk.parts) > 1:
        notes.append(f"is joined from {len(walk.parts)} recordings: all were taken")
    openers: list[Opener] = [_pieces_opener(path, part.open) for part in walk.parts]
    counts = [part.samples for part in walk.parts]
    info = _first(path, openers[0])
    bitrate = walk.bitrate_bps
    info = replace(info, frames=sum(counts), tags=tags, bitrate_bps=bitrate, constant_bitrate=walk.constant_bitrate)
    return _SoundFileReader(path, openers, info, notes, salvage=salvage, counts=counts)


def _open_ogg(path: Path, file: BinaryIO, *, salvage: bool) -> AudioReader | None:
    walk = ogg.walk(file)
    notes = []
    if walk.missing_bytes:
        message = f"truncated: {walk.missing_bytes} bytes are missing at its end"
        if not salvage or not walk.links:
            raise AudioError(f"{path}: {message}")
        notes.append(f"{message}: what is there was taken")
    if not walk.links:
        raise AudioError(f"{path}: not an audio file that can be read, or damaged at its start")
    if any(len(link.codecs) != 1 or link.codecs[0] not in ("VORBIS", "OPUS", "FLAC") for link in walk.links):
        return None
    if walk.skipped_bytes:
        notes.append(f"{walk.skipped_bytes} bytes between its pages are no sound, and were left out")
    if not walk.links[-1].ended and not walk.missing_bytes:
        notes.append("its end is not marked, so it may have been cut: all that is there was taken")
    tags = vorbis_tags.read_ogg(file)
    if len(walk.links) == 1 and not walk.skipped_bytes:
        openers = [_opener(path)]
    else:
        openers = [_pieces_opener(path, _window(link.start, link.end)) for link in walk.links]
    infos = _infos_of_links(path, openers, walk)
    if infos is None:
        return None
    first = infos[0]
    if len(infos) > 1:
        notes.append(f"is chained from {len(infos)} recordings: all were taken")
    frames = sum(info.frames for info in infos)
    file.seek(0, 2)
    bitrate = round(8 * file.tell() * first.sample_rate_hz / frames) if frames and first.subtype in LOSSY else None
    info = replace(first, frames=frames, tags=tags, bitrate_bps=bitrate)
    return _SoundFileReader(path, openers, info, notes, salvage=salvage, counts=[info.frames for info in infos])


def _infos_of_links(path: Path, openers: Sequence[Opener], walk: ogg.Walk) -> list[AudioInfo] | None:
    """What libsndfile says of chained recordings; None for FLAC that it does not read."""
    try:
        infos = [_first(path, opener) for opener in openers]
    except AudioError:
        if all(link.codecs == ["FLAC"] for link in walk.links):
            return None
        raise
    first = infos[0]
    for other in infos[1:]:
        if (other.sample_rate_hz, other.channels) != (first.sample_rate_hz, first.channels):
            raise AudioError(
                f"{path}: is chained from recordings of {first.sample_rate_hz} Hz, {first.channels} channel(s) and "
                f"{other.sample_rate_hz} Hz, {other.channels} channel(s): take it apart"
            )
    return infos
