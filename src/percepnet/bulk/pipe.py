"""Standard input and output: samples without a header, and WAV, as they come; other formats through a temporary file.

ffmpeg -i IN -f s16le -ar 16000 -ac 1 - | percepnet enhance - -o - --raw s16le --rate 16000 | …
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from percepnet.arrays import AnySamples, Samples, check_finite
from percepnet.atomic import why
from percepnet.audio import AudioInfo, create_audio, riff
from percepnet.audio.formats import BITS, FORMATS, MEDIA
from percepnet.audio.opening import check_form
from percepnet.audio.quantise import quantised
from percepnet.audio.tags.riff import chunk_bytes, read_wav
from percepnet.beamforming import Beamformer
from percepnet.bulk.one import Job, Settings, enhance_file, left_out_notes
from percepnet.errors import AudioError, PercepNetError, complain
from percepnet.live_stream import WHOLE_ADVICE
from percepnet.stream import Enhancer, enhance_blocks

PIPE = "-"
READ_BYTES = 1 << 16
HEADER_BYTES_MAX = 1 << 20
SIZE_UNKNOWN = 0xFFFFFFFF
SIZES_KNOWN = 0x7FFFF000  # from here on they say that nobody knows


@dataclass(frozen=True)
class Raw:
    """Samples without a header."""

    dtype: str
    width: int
    subtype: str
    zero: int = 0

    def samples(self, data: bytes, channels: int) -> AnySamples:
        """Bytes of whole frames as float32 [shape=(channels, n)] in [-1, 1]."""
        if self.width == 3:
            triples = np.frombuffer(data, np.uint8).reshape(-1, 3)
            wide = np.zeros((len(triples), 4), np.uint8)
            wide[:, 1:] = triples if self.dtype[0] == "<" else triples[:, ::-1]
            values: AnySamples = np.frombuffer(wide.tobytes(), "<i4").astype(np.float64) / 2**31
        else:
            read: AnySamples = np.frombuffer(data, self.dtype)
            if read.dtype.kind == "f":
                values = read.astype(np.float32)
            else:
                values = (read.astype(np.float64) - self.zero) / 2 ** (8 * self.width - 1)
        return np.ascontiguousarray(values.reshape(-1, channels).T, dtype=np.float32)

    def to_bytes(self, y: Samples, dither: np.random.Generator | None = None) -> bytes:
        """The inverse of `samples`, rounded and clipped."""
        values = quantised(y, self.subtype, dither).T
        if self.subtype in ("FLOAT", "DOUBLE") or self.subtype == "PCM_16":
            return values.astype(self.dtype).tobytes()
        if self.width == 3:
            order = [1, 2, 3] if self.dtype[0] == "<" else [3, 2, 1]
            return np.ascontiguousarray(values.astype("<i4")).view(np.uint8).reshape(-1, 4)[:, order].tobytes()
        if self.width == 1:
            return ((values >> 24) + self.zero).astype(self.dtype).tobytes()
        return values.astype(self.dtype).tobytes()


RAWS = {
    "u8": Raw("u1", 1, "PCM_U8", 128),
    "s8": Raw("i1", 1, "PCM_S8"),
    "s16le": Raw("<i2", 2, "PCM_16"),
    "s16be": Raw(">i2", 2, "PCM_16"),
    "s24le": Raw("<i3", 3, "PCM_24"),
    "s24be": Raw(">i3", 3, "PCM_24"),
    "s32le": Raw("<i4", 4, "PCM_32"),
    "s32be": Raw(">i4", 4, "PCM_32"),
    "f32le": Raw("<f4", 4, "FLOAT"),
    "f32be": Raw(">f4", 4, "FLOAT"),
    "f64le": Raw("<f8", 8, "DOUBLE"),
}
_OF_SUBTYPES = {"PCM_U8": "u8", "PCM_16": "s16le", "PCM_24": "s24le", "PCM_32": "s32le", "FLOAT": "f32le"}


def enhance_pipe(
    source: str,
    output: str | None,
    settings: Settings,
    *,
    raw: str | None,
    rate: int | None,
    channels: int,
    form: str | None,
) -> None:
    """Enhance from standard input, to standard output, or both.

    Raises
    ------
    PercepNetError
        If options do not fit together.
    AudioError
        If what comes cannot be read.
    """
    if output is None:
        raise PercepNetError("say where the result goes: -o - for standard output, or a file")
    if raw is not None and raw not in RAWS:
        raise PercepNetError(f"--raw {raw}: give one of {', '.join(RAWS)}")
    if raw is not None and rate is None:
        raise PercepNetError("--raw needs --rate, such as --rate 16000, and --channels where there are several")
    if raw is None and rate is not None:
        raise PercepNetError("--rate is that of --raw: add --raw s16le, or leave it out")
    if source == PIPE and raw is not None and rate is not None:
        info = AudioInfo(rate, channels, 0, "RAW", RAWS[raw].subtype, frames_exact=False)
        check_form("standard input", info)
        _live(sys.stdin.buffer, b"", RAWS[raw], info, output, settings, headless=form is None, form=form)
    elif source == PIPE:
        _from_input(output, settings, form)
    else:
        if raw is not None:
            raise PercepNetError(
                "--raw is of a pipe that comes in: percepnet enhance - -o OUT --raw s16le --rate 16000"
            )
        _through_files(Path(source), output, settings, form or Path(source).suffix[1:])


def _from_input(output: str, settings: Settings, form: str | None) -> None:
    head = _fill(sys.stdin.buffer, b"", 12)
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        header, layout = _wav_header(head)
        if layout is not None and layout.subtype in _OF_SUBTYPES:
            raw = RAWS[_OF_SUBTYPES[layout.subtype]]
            tags = read_wav(BytesIO(header), layout)
            mask = layout.channel_mask
            info = AudioInfo(
                layout.sample_rate_hz,
                layout.channels,
                0,
                "WAV" if mask is None else "WAVEX",
                layout.subtype,
                tags=tags,
                channel_mask=mask,
                frames_exact=False,
            )
            check_form("standard input", info)
            promised = layout.promised_bytes
            known = 0 < promised < SIZES_KNOWN
            if known and (behind := _bytes_behind(header, promised)):
                complain(
                    f"standard input: {behind} bytes behind its sound, such as tags, are not in the output: "
                    "give the file itself to keep them"
                )
            _live(sys.stdin.buffer, header, raw, info, output, settings, limit=promised if known else None, form=form)
            return
        head = header
    with tempfile.TemporaryDirectory(prefix="percepnet-") as folder:
        spooled = Path(folder) / "input"
        with spooled.open("wb") as file:
            file.write(head)
            shutil.copyfileobj(sys.stdin.buffer, file, READ_BYTES)
        if not spooled.stat().st_size:
            raise AudioError("standard input: is empty")
        try:
            _through_files(spooled, output, settings, form or (Path(output).suffix[1:] if output != PIPE else "wav"))
        except AudioError as error:
            raise AudioError(str(error).replace(str(spooled), "standard input")) from error


def _through_files(source: Path, output: str, settings: Settings, form: str) -> None:
    suffix = f".{form.lower()}"
    if suffix not in (*FORMATS, *MEDIA):
        suffix = ".wav"
    if output != PIPE:
        result = enhance_file(Job(source, Path(output)), settings)
        complain(result.line())
        return
    with tempfile.TemporaryDirectory(prefix="percepnet-") as folder:
        target = Path(folder) / f"output{suffix}"
        result = enhance_file(Job(source, target), settings)
        with target.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, READ_BYTES)
            sys.stdout.buffer.flush()
        complain(replace(result, output="standard output").line())


def _wav_header(head: bytes) -> tuple[bytes, riff.Layout | None]:
    """Read up to the first sample; returns all that was read but the sound, and what it says."""
    layout = riff.Layout()
    at = 12
    while at < HEADER_BYTES_MAX:
        head = _fill(sys.stdin.buffer, head, at + 8)
        if len(head) < at + 8:
            return head, None
        name, length = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"data":
            layout.data_start, layout.promised_bytes = at + 8, length
            return head, layout if layout.channels else None
        head = _fill(sys.stdin.buffer, head, at + 8 + length + length % 2)
        if name == b"fmt ":
            riff.read_format(layout, head[at + 8 : at + 8 + min(length, 40)], "<")
        layout.chunks.append((name, at + 8, length))
        at += 8 + length + length % 2
    return head, None


def _bytes_behind(header: bytes, sound_bytes: int) -> int:
    """What a WAV file says to have behind its sound. It is not waited for: who sends it may wait for the sound."""
    whole = int.from_bytes(header[4:8], "little") + 8
    return max(0, whole - len(header) - sound_bytes - sound_bytes % 2) if whole < SIZES_KNOWN else 0


def _fill(file: BinaryIO, head: bytes, size: int) -> bytes:
    while len(head) < size and (more := file.read(size - len(head))):
        head += more
    return head


def _live(
    file: BinaryIO,
    header: bytes,
    raw: Raw,
    info: AudioInfo,
    output: str,
    settings: Settings,
    *,
    limit: int | None = None,
    headless: bool = False,
    form: str | None = None,
) -> None:
    """Enhance what comes as it comes; an output that is a pipe gets it at once."""
    link = settings.link_channels if settings.link_channels is not None else True
    enhancer = settings.enhancer(info.sample_rate_hz, info.channels, link_channels=link)
    blocks = _checked(_chunks(file, raw, info.channels, limit, salvage=settings.salvage), info)
    if output != PIPE:
        headed = info.format != "RAW"
        with create_audio(
            Path(output), replace(info, format=info.format if headed else "WAV"), wishes=settings.wishes
        ) as writer:
            for y in enhance_blocks(enhancer, blocks):
                writer.write(y)
        for note in writer.notes:
            complain(f"{output}: {note}")
        _say_left_out(enhancer)
        return
    if form not in (None, "wav"):
        raise PercepNetError(f"--format {form} cannot be written as it comes: give -o a file, or --format wav")
    wishes = settings.wishes
    if wishes.bitrate_bps is not None:
        raise PercepNetError("--bitrate is of lossy formats, and standard output gets samples: leave it out")
    if headless and wishes.bits is not None:
        raise PercepNetError("samples leave as they come, with --raw: leave --bits out, or add --format wav")
    given = raw if wishes.bits is None else RAWS[_OF_SUBTYPES[BITS[wishes.bits]]]
    out = sys.stdout.buffer
    channels = 1 if wishes.mono else info.channels
    if not headless:
        out.write(_live_header(info, channels, given))
        out.flush()
    random = np.random.default_rng(0) if wishes.dither else None
    for y in enhance_blocks(enhancer, blocks):
        out.write(given.to_bytes(y.mean(axis=0, keepdims=True) if wishes.mono else y, random))
        out.flush()
    _say_left_out(enhancer)


def _say_left_out(enhancer: Enhancer | Beamformer) -> None:
    for note in left_out_notes(enhancer):
        complain(f"standard input: {note}")


def _live_header(info: AudioInfo, channels: int, raw: Raw) -> bytes:
    """A WAV header of unknown length."""
    if raw.width == 8 or raw.dtype[0] == ">":
        raise PercepNetError("--format wav has no such samples: leave it out")
    tag = riff.FLOAT if raw.subtype == "FLOAT" else riff.PCM
    form = riff.format_content(
        tag, channels, info.sample_rate_hz, raw.width, info.channel_mask if channels == info.channels else None
    )
    chunks = [chunk_bytes(b"fmt ", form)]
    chunks += [chunk_bytes(key.encode("latin-1"), content) for key, content in info.tags.raw]
    unknown = SIZE_UNKNOWN.to_bytes(4, "little")
    return b"RIFF" + unknown + b"WAVE" + b"".join(chunks) + b"data" + unknown


def _chunks(file: BinaryIO, raw: Raw, channels: int, limit: int | None, *, salvage: bool) -> Iterator[Samples]:
    """What has come, whenever something has, without waiting for more."""
    frame = raw.width * channels
    promised = limit
    rest = b""
    while limit is None or limit > 0:
        try:
            data = _available(file, READ_BYTES if limit is None else min(READ_BYTES, limit))
        except OSError as error:
            raise AudioError(f"standard input: cannot be read ({why(error)})") from error
        if not data:
            break
        if limit is not None:
            limit -= len(data)
        rest += data
        whole = len(rest) // frame * frame
        if whole:
            yield raw.samples(rest[:whole], channels)
            rest = rest[whole:]
    if promised is not None and limit:
        message = f"truncated: its header promises {promised} bytes, and only {promised - limit} came"
        if not salvage:
            raise AudioError(f"standard input: {message}")
        complain(f"standard input: {message}: what came was taken")
    if rest:
        complain(f"standard input: ended within a sample: its last {len(rest)} bytes were left out")


def _available(file: BinaryIO, size: int) -> bytes:
    """At least a byte, and no more than is there."""
    return file.read1(size)  # type: ignore[attr-defined]  # of what was read ahead with the header, too


def _checked(blocks: Iterator[Samples], info: AudioInfo) -> Iterator[Samples]:
    start = 0
    for x in blocks:
        try:
            check_finite(x, start_samples=start, sample_rate_hz=info.sample_rate_hz, advice=WHOLE_ADVICE)
        except AudioError as error:
            raise AudioError(f"standard input: {error}") from error
        start += x.shape[1]
        yield x
