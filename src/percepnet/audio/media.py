"""What only FFmpeg reads: phone recordings, films, podcasts and old formats, through PyAV (`percepnet[media]`)."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from percepnet.arrays import Samples
from percepnet.audio.info import AudioInfo
from percepnet.audio.reader import AudioReader
from percepnet.audio.tags import Tags
from percepnet.errors import AudioError, PercepNetError, installing

_CONTENT_ENCRYPTION = bytes.fromhex("fbb31122 23bd d211 b4b7 00a0c955fc6e".replace(" ", ""))  # of ASF
_ENCRYPTED_TAGS = ("enca", "drms", "encv", "drmi")
SLACK_S = 0.15  # by which headers of whole files are wrong
BAD_PACKETS_MAX = 0.5  # of all, before it is no longer a recording with faults
GAP_S = 0.03  # of timestamps that jump by more, a film gets silence


def require_av(path: Path | str) -> Any:
    """The package av, or a PercepNetError that says how to install it."""
    try:
        import av
    except ImportError as error:
        raise PercepNetError(f"{path}: this kind of file needs FFmpeg's libraries: {installing('media')}") from error
    av.logging.set_level(None)
    return av


class MediaReader(AudioReader):
    """A recording that FFmpeg decodes."""

    def __init__(self, path: Path, av: Any, track: int | None, *, salvage: bool) -> None:
        self._av = av
        self._track = track
        self.path = path
        with self.container() as (container, stream):  # closed again, as it holds the index of the whole film
            info, notes = self._look(container, stream)
        super().__init__(path, info, notes, salvage=salvage)
        self.first_pts_s: float | None = None
        self._others: frozenset[int] = frozenset()
        self._take: Callable[[Any], None] = _leave

    @contextmanager
    def container(self) -> Iterator[tuple[Any, Any]]:
        """The file anew, and of it the track that is read."""
        container = _open_container(self._av, self.path)
        try:
            yield container, _choose(self.path, container, self._track)
        finally:
            container.close()

    def pass_on(self, tracks: Iterable[int], take: Callable[[Any], None]) -> None:
        """Let someone take the packets of other tracks, by their indices, as the file's blocks are read.

        One walk through the file serves both, as every open container holds the index of the whole film.
        """
        self._others = frozenset(tracks)
        self._take = take

    def _look(self, container: Any, stream: Any) -> tuple[AudioInfo, list[str]]:
        """What the first frame and the header say."""
        first = None
        for number, packet in enumerate(container.demux(stream)):
            with suppress(self._av.error.FFmpegError):
                for frame in packet.decode():
                    first = frame
                    break
            if first is not None or number > 500:
                break
        if first is None:
            raise AudioError(f"{self.path}: its sound cannot be decoded: damaged, or encrypted")
        rate_hz, channels = first.sample_rate, len(first.layout.channels)
        has_video = not all(_is_cover(self._av, video) for video in container.streams.video)
        promised_s = self._promised_s = self._promise(container, stream, has_video=has_video)
        self._layout = str(stream.codec_context.layout.name)
        notes = []
        tracks = len(container.streams.audio)
        if tracks > 1 and self._track is None:
            notes.append(f"has {tracks} audio tracks: the first was taken (--track 2 takes the next)")
        bitrate = stream.codec_context.bit_rate or stream.bit_rate or None
        info = AudioInfo(
            rate_hz,
            channels,
            round((promised_s or 0) * rate_hz),
            container.format.name,
            stream.codec_context.name,
            frames_exact=False,
            bitrate_bps=bitrate,
            tags=_tags(container),
            has_video=has_video,
            start_s=float(first.time or 0.0),
        )
        return info, notes

    def _promise(self, container: Any, stream: Any, *, has_video: bool) -> float | None:
        """Length that the header promises for this track, or None if it says nothing of it."""
        if stream.duration:
            return float(stream.duration * stream.time_base)
        if container.duration and not has_video:
            return float(container.duration) / self._av.time_base
        return None

    def _decoded(self, block_samples: int) -> Iterator[Samples]:
        with self.container() as (container, stream):
            yield from _in_blocks(self._frames(container, stream), block_samples)
        self._check_length()

    def _frames(self, container: Any, stream: Any) -> Iterator[Samples]:
        rate_hz, channels = self.info.sample_rate_hz, self.info.channels
        fill = self.info.has_video
        packets = bad = 0
        position = 0  # in samples
        error_text = ""
        resampler = None
        for packet in self._packets(container, stream):
            packets += 1
            try:
                frames = packet.decode()
            except self._av.error.FFmpegError as error:
                bad += 1
                error_text = str(error.strerror)
                continue
            for frame in frames:
                if (frame.sample_rate, len(frame.layout.channels)) != (rate_hz, channels):
                    if resampler is None:
                        at_s = position / rate_hz
                        self.notes.append(f"its form changes at {at_s:.2f} s: all of it has the form of its beginning")
                        resampler = self._av.AudioResampler("fltp", self._layout, rate_hz)
                    converted = resampler.resample(frame)
                else:
                    converted = [frame]
                time_s = frame.time
                if self.first_pts_s is None:
                    self.first_pts_s = time_s or 0.0
                gap = round(((time_s or 0.0) - self.first_pts_s) * rate_hz) - position if time_s is not None else 0
                if fill and gap > GAP_S * rate_hz:
                    self.notes.append(
                        f"{gap / rate_hz:.2f} s are missing at {position / rate_hz:.2f} s: silence was put there"
                    )
                    position += gap
                    while gap > 0:
                        yield np.zeros((channels, min(gap, rate_hz)), np.float32)
                        gap -= rate_hz
                for part in converted:
                    x = to_float(part)
                    position += x.shape[1]
                    yield x
        if bad and (packets == 0 or bad > BAD_PACKETS_MAX * packets):
            self._stopped(f"its sound cannot be decoded ({error_text})")
        elif bad:
            self.notes.append(f"{bad} of {packets} packets could not be decoded ({error_text})")

    def _packets(self, container: Any, stream: Any) -> Iterator[Any]:
        """Those of the sound; others go to whom they were promised."""
        walk = container.demux(*[container.streams[index] for index in {stream.index, *self._others}])
        while True:
            try:
                packet = next(walk)
            except StopIteration:
                return
            except self._av.error.FFmpegError as error:
                self._stopped(f"damaged or truncated ({error.strerror})")
                return
            if packet.stream.index == stream.index:
                yield packet
            else:
                self._take(packet)

    def _check_length(self) -> None:
        promised_s = self._promised_s
        if promised_s is None:
            return
        found_s = self.frames_read / self.info.sample_rate_hz
        if promised_s - found_s > SLACK_S + 0.002 * min(promised_s, 60):
            self._stopped(f"truncated: its header promises {promised_s:.2f} s, and only {found_s:.2f} s are there")

    def excerpts(self, count: int, seconds: float) -> Iterator[Samples]:
        length = int(seconds * self.info.sample_rate_hz)
        with self.container() as (container, stream):
            spread = self.info.frames > 2 * count * length and container.duration
            for index in range(count if spread else 1):
                if spread:
                    with suppress(self._av.error.FFmpegError):
                        container.seek(int(container.duration * index / count))
                left = length if spread else 2 * count * length
                with suppress(self._av.error.FFmpegError):
                    for frame in container.decode(stream):
                        if len(frame.layout.channels) == self.info.channels:
                            x = to_float(frame)
                            yield x[:, :left]
                            left -= x.shape[1]
                        if left <= 0:
                            break


def open_media(path: Path, *, salvage: bool, track: int | None) -> MediaReader:
    """Open a recording with FFmpeg.

    Raises
    ------
    AudioError
        If it cannot be read, has no sound, is encrypted or damaged.
    PercepNetError
        Without the package av.
    """
    return MediaReader(path, require_av(path), track, salvage=salvage)


def _open_container(av: Any, path: Path) -> Any:
    try:
        # by our own hand, as names need not be UTF-8, and "-" and "http:" are names too
        return av.open(path.open("rb"), metadata_errors="replace")
    except av.error.FFmpegError as error:
        head = path.open("rb").read(1 << 16)
        if b"ftyp" in head[:16]:
            raise AudioError(f"{path}: damaged or truncated: its index is missing") from error
        raise AudioError(f"{path}: not an audio file that can be read, or damaged at its start") from error


def _choose(path: Path, container: Any, track: int | None) -> Any:
    streams = container.streams.audio
    if not streams:
        kinds = sorted({stream.type for stream in container.streams})
        raise AudioError(f"{path}: has no audio track" + (f", only {' and '.join(kinds)}" if kinds else ""))
    if track is not None and not 1 <= track <= len(streams):
        raise AudioError(f"{path}: has no audio track {track}: it has {len(streams)}")
    stream = streams[(track or 1) - 1]
    if stream.codec_context is None or not stream.codec_context.name:
        raise AudioError(f"{path}: its sound is of a kind that is not known")
    encrypted = _codec_tag(stream) in _ENCRYPTED_TAGS
    if container.format.name == "asf":
        with path.open("rb") as file:
            encrypted = encrypted or _CONTENT_ENCRYPTION in file.read(1 << 16)
    if encrypted:
        raise AudioError(f"{path}: is encrypted: give a copy without protection")
    stream.thread_type = "NONE"
    return stream


def _codec_tag(stream: Any) -> str:
    """The four characters by which a container names a codec; empty where they are numbers, as in AVI and WAV."""
    try:
        return str(stream.codec_context.codec_tag)
    except UnicodeDecodeError:
        return ""


def _leave(packet: Any) -> None:
    """Nobody wants it."""


def _is_cover(av: Any, stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _tags(container: Any) -> Tags:
    names = {"track": "TRACKNUMBER", "album_artist": "ALBUMARTIST", "disc": "DISCNUMBER"}
    merged = dict(container.metadata)
    skipped = re.compile(r"major_brand|minor_version|compatible_brands|encoder|DURATION|handler_name", re.I)
    text = [(names.get(key.lower(), key.upper()), value) for key, value in merged.items() if not skipped.fullmatch(key)]
    return Tags(tuple(text), (), "media")


def to_float(frame: Any) -> Samples:
    """Samples of a decoded frame [shape=(channels, n)] in [-1, 1]."""
    if frame.format.name in ("s64", "s64p"):  # which PyAV gives to no array
        count = frame.samples * (1 if frame.format.is_planar else len(frame.layout.channels))
        x = np.stack([np.frombuffer(plane, np.int64, count) for plane in frame.planes])
    else:
        x = frame.to_ndarray()
    if not frame.format.is_planar:
        x = x.reshape(-1, len(frame.layout.channels)).T
    if x.dtype == np.uint8:
        return ((x.astype(np.float32) - 128) / 128).astype(np.float32)
    if x.dtype.kind == "i":
        return (x / np.float32(-float(np.iinfo(x.dtype).min))).astype(np.float32)
    return np.ascontiguousarray(x, dtype=np.float32)


def _in_blocks(parts: Iterator[Samples], block_samples: int) -> Iterator[Samples]:
    held: list[Samples] = []
    count = 0
    for part in parts:
        held.append(part)
        count += part.shape[1]
        if count >= block_samples:
            joined = np.concatenate(held, axis=1)
            whole = count // block_samples * block_samples
            for start in range(0, whole, block_samples):
                yield joined[:, start : start + block_samples]
            held, count = [joined[:, whole:]], count - whole
    if count:
        yield np.concatenate(held, axis=1)
