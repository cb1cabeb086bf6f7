"""What only FFmpeg writes: new sound in m4a, mp4, webm and others; a film keeps its picture, subtitles and chapters."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from percepnet.arrays import Samples
from percepnet.atomic import replacing, why
from percepnet.audio.formats import MEDIA
from percepnet.audio.info import AudioInfo
from percepnet.audio.media import MediaReader, _is_cover, require_av
from percepnet.audio.reader import AudioReader
from percepnet.audio.tags import Tags
from percepnet.audio.wishes import Wishes
from percepnet.errors import AudioError

# FFmpeg's decoder -> the encoder that writes the same.
_ENCODERS = {
    "opus": "libopus",
    "mp3": "libmp3lame",
    "mp3float": "libmp3lame",
    "amrnb": "libopencore_amrnb",
    "amr_nb": "libopencore_amrnb",
    "vorbis": "libopus",  # PyAV brings no encoder of Vorbis
    "mp2float": "mp2",
    "wmapro": "wmav2",
    "wmalossless": "wmav2",
    "wmav1": "wmav2",
}
_AMR_BPS = (4750, 5150, 5900, 6700, 7400, 7950, 10200, 12200)
_DELAY_SAMPLES = {"libmp3lame": 1105, "mp2": 481, "ac3": 256, "eac3": 256, "aac": 1024}  # of FFmpeg's encoders
_LOSSLESS = frozenset(("alac", "flac", "tta", "wavpack"))
_LOSSY_DEFAULT_BPS = 96_000  # a channel, for what comes from PCM
_AAC_IN = frozenset(("ipod", "mp4", "mov", "adts", "3gp", "3g2", "mpegts", "matroska", "flv"))
_HELD_BY = {
    "alac": frozenset(("ipod", "mp4", "mov", "matroska")),
    "flac": frozenset(("matroska", "mp4")),
    "libopus": frozenset(("webm", "matroska", "mp4")),
    "libmp3lame": frozenset(("matroska", "mp4", "mov", "avi", "flv", "mpegts")),
    "ac3": frozenset(("ac3", "mpegts", "matroska", "mp4", "mov", "mpeg", "avi")),
    "eac3": frozenset(("eac3", "mpegts", "matroska", "mp4", "mov")),
    "mp2": frozenset(("mp2", "mpeg", "mpegts", "matroska", "avi")),
    "wmav2": frozenset(("asf",)),
    "libopencore_amrnb": frozenset(("amr", "3gp", "3g2")),
    "aac": _AAC_IN,
    "tta": frozenset(("tta", "matroska")),
    "wavpack": frozenset(("wv", "matroska")),
}


class MediaWriter:
    """A recording, or a film with new sound, that is being written."""

    def __init__(self, path: Path, av: Any, container: Any, source: AudioInfo, wishes: Wishes) -> None:
        self.notes: list[str] = []
        self._path = path
        self._av = av
        self._container = container
        self._source = source
        self._mono = wishes.mono
        self._channels = 1 if wishes.mono else source.channels
        self._written = 0
        self._left_out = self._owed = 0
        self._offset = 0  # of the sound's start, in samples
        self._carry = np.zeros((self._channels, 0), np.float32)

    def open_stream(self, container_name: str, default: str, wishes: Wishes, offset_s: float = 0.0) -> None:
        av, source = self._av, self._source
        wanted = _ENCODERS.get(source.subtype, source.subtype)
        held = wanted in _HELD_BY and container_name in _HELD_BY[wanted]
        if wanted.startswith("pcm_") and container_name in ("mov", "matroska", "avi", "mxf"):
            held = wanted in self._container.supported_codecs
        codec = wanted if held else default
        try:
            encoder = av.codec.Codec(codec, "w")
        except (ValueError, av.error.FFmpegError) as error:
            raise AudioError(
                f"{self._path}: this build of FFmpeg does not write {codec}: give the output another suffix, "
                "for example .m4a"
            ) from error
        rate_hz = source.sample_rate_hz
        rates = encoder.audio_rates
        if rates and rate_hz not in rates:
            rate_hz = min((rate for rate in rates if rate > rate_hz), default=max(rates))
            self.notes.append(f"{codec} has no {source.sample_rate_hz} Hz: written at {rate_hz} Hz")
        if codec == "libopencore_amrnb" and self._channels > 1:
            self._mono, self._channels = True, 1
            self._carry = np.zeros((1, 0), np.float32)
            self.notes.append("amr has one channel: written as the mean of all")
        layout = _layout(av, self._channels)
        stream = self._container.add_stream(codec, rate=rate_hz)
        context = stream.codec_context
        context.layout = layout
        formats = [name.name for name in encoder.audio_formats or ()]
        context.format = next((name for name in _preferred(wishes.bits, source) if name in formats), formats[0])
        bitrate = wishes.bitrate_bps
        if codec not in _LOSSLESS and not codec.startswith("pcm_"):
            same = _ENCODERS.get(source.subtype, source.subtype) == codec or source.has_video
            bitrate = wishes.bitrate_bps or (source.bitrate_bps if same else None)
            bitrate = bitrate or _LOSSY_DEFAULT_BPS * self._channels
        if bitrate and codec == "libopencore_amrnb":
            bitrate = min(_AMR_BPS, key=partial(_distance, bitrate))
        if bitrate:
            context.bit_rate = bitrate
        context.time_base = Fraction(1, rate_hz)
        self._stream = stream
        self._rate_hz = rate_hz
        self._offset = round(offset_s * rate_hz)
        self._resampler = av.AudioResampler(context.format.name, layout, rate_hz, frame_size=0)
        self._layout_name = layout
        try:
            context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise AudioError(
                f"{self._path}: {codec} cannot hold {self._channels} channel(s) at {rate_hz} Hz: give the output "
                f"another suffix, for example .wav ({getattr(error, 'strerror', error)})"
            ) from error
        self._frame_samples = context.frame_size or 1024
        if codec in ("wmav1", "wmav2"):  # whose decoder leaves out the first frame
            self._carry = np.zeros((self._channels, self._frame_samples), np.float32)
        elif container_name == "avi":  # which cannot say that sound begins before the picture
            self._left_out = _DELAY_SAMPLES.get(codec, 0)
            self._owed = self._left_out

    def describe_like(self, container: Any, replaced: Any) -> None:
        """Take over what a file and its track say of themselves, and its chapters."""
        out, skipped = self._container, ("major_brand", "minor_version", "compatible_brands", "encoder")
        out.metadata.update({key: value for key, value in container.metadata.items() if key not in skipped})
        with suppress(AttributeError, ValueError, TypeError):
            out.set_chapters(container.chapters())
        self._stream.metadata.update(replaced.metadata)
        with suppress(AttributeError, ValueError):
            self._stream.disposition = replaced.disposition

    def write(self, y: Samples) -> None:
        """Append samples [shape=(channels, n)]."""
        if self._mono and y.shape[0] > 1:
            y = y.mean(axis=0, keepdims=True, dtype=np.float32)
        skipped = min(self._left_out, y.shape[1])
        self._left_out -= skipped
        self._carry = np.concatenate((self._carry, np.clip(y[:, skipped:], -1, 1)), axis=1)
        whole = self._carry.shape[1] // self._frame_samples * self._frame_samples
        ready, self._carry = self._carry[:, :whole], self._carry[:, whole:]
        for start in range(0, whole, self._frame_samples):
            self._encode(ready[:, start : start + self._frame_samples])

    def finish(self) -> None:
        if self._owed:
            self.write(np.zeros((self._channels, self._owed), np.float32))
        if self._carry.shape[1]:
            self._encode(self._carry)
        for frame in self._resampler.resample(None):
            self._send(frame)
        self._mux(self._stream.encode(None))

    def _encode(self, y: Samples) -> None:
        frame = self._av.AudioFrame.from_ndarray(np.ascontiguousarray(y), format="fltp", layout=self._layout_name)
        frame.sample_rate = self._source.sample_rate_hz
        frame.pts = None
        for converted in self._resampler.resample(frame):
            self._send(converted)

    def _send(self, frame: Any) -> None:
        frame.pts = self._offset + self._written
        frame.time_base = Fraction(1, self._rate_hz)
        self._written += frame.samples
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: Any) -> None:
        for packet in packets:
            self._container.mux(packet)


class _Others:
    """A film's tracks besides the one that is replaced, copied as they are while that one is read.

    FFmpeg's muxer puts the packets of all tracks into order, as long as they are less than 10 s apart.
    """

    def __init__(self, av: Any, container: Any, out: Any, replaced: Any, notes: list[str]) -> None:
        self._out = out
        self._streams: dict[int, Any] = {}
        for stream in container.streams:
            if stream.index == replaced.index:
                continue
            try:
                target = out.add_stream_from_template(stream) if stream.type != "data" else None
            except (ValueError, av.error.FFmpegError, NotImplementedError, TypeError):
                target = None
            if target is None:
                notes.append(f"track {stream.index} ({stream.type}) cannot be in this format, and was left out")
                continue
            target.metadata.update(stream.metadata)
            with suppress(AttributeError, ValueError):
                target.disposition = stream.disposition
            self._streams[stream.index] = target

    def follow(self, reader: MediaReader) -> None:
        """Copy what a reader comes by from here on."""
        reader.pass_on(self._streams, self._copy)

    def _copy(self, packet: Any) -> None:
        if packet.dts is None:  # the end of a track
            return
        packet.stream = self._streams[packet.stream.index]
        self._out.mux(packet)


@contextmanager
def create_media(
    path: Path,
    source: AudioInfo,
    *,
    wishes: Wishes,
    original: AudioReader | None,
) -> Iterator[MediaWriter]:
    """Write a recording or a film through FFmpeg; what `percepnet.audio.create_audio` does for such suffixes."""
    av = require_av(path)
    container_name, default = MEDIA[path.suffix.lower()]
    with replacing(path) as temporary, ExitStack() as stack:
        raw = stack.enter_context(temporary.open("r+b"))
        try:
            options = {}
            if container_name in ("mp4", "mov", "ipod", "3gp", "3g2"):
                # times in samples, as a start in milliseconds would be up to half of one off
                options = {"movflags": "use_metadata_tags", "movie_timescale": str(source.sample_rate_hz)}
            out = av.open(raw, "w", format=container_name, options=options)
            try:
                writer = MediaWriter(path, av, out, source, wishes)
                if isinstance(original, MediaReader):
                    with original.container() as (container, replaced):
                        has_picture = source.has_video or any(_is_cover(av, s) for s in container.streams.video)
                        others = _Others(av, container, out, replaced, writer.notes) if has_picture else None
                        writer.open_stream(container_name, default, wishes, source.start_s if source.has_video else 0.0)
                        writer.describe_like(container, replaced)
                    if others:
                        others.follow(original)
                else:
                    writer.open_stream(container_name, default, wishes)
                    _describe(out, source.tags)
                yield writer
                writer.finish()
            finally:
                out.close()
        except av.error.FFmpegError as error:
            said = why(OSError(error.errno, error.strerror)) if error.errno else str(error)
            raise AudioError(f"{path}: cannot be written ({said})") from error


def _describe(out: Any, tags: Tags) -> None:
    names = {"TRACKNUMBER": "track", "ALBUMARTIST": "album_artist", "DISCNUMBER": "disc"}
    out.metadata.update({names.get(key.upper(), key.lower()): value for key, value in tags.text})


def _layout(av: Any, channels: int) -> str:
    return {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}.get(
        channels, f"{channels} channels"
    )


def _distance(wanted: int, other: int) -> int:
    return abs(other - wanted)


def _preferred(bits: str | None, source: AudioInfo) -> list[str]:
    deep = bits in ("24", "32") or source.subtype in ("PCM_24", "PCM_32", "FLOAT")
    return ["fltp", "flt", *(("s32p", "s32") if deep else ()), "s16p", "s16", "s32p", "s32"]
