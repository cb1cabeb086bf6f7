"""MPEG audio (mp3), frame by frame: how many there are, and where joined files begin, whatever a header says.

The decoder goes by the Xing header of the first frame, and guesses where there is none. So each part of a joined file
is given to it alone, behind a Xing header with the counted number of frames where its own is missing or untrue.
Sources: ISO/IEC 11172-3 and 13818-3 (frames), id3.org (tags), the LAME tag's description by G. Bouvigne (delays).
"""

import mmap
from dataclasses import dataclass
from typing import BinaryIO

from percepnet.audio.pieces import Pieces

_BITRATES_KBPS = {  # (MPEG-1, layer)
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = (44100, 48000, 32000)
DECODER_DELAY_SAMPLES = 529
ENCODER_DELAY_SAMPLES = 576  # of LAME
RESYNC_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Header:
    """One frame's header."""

    mpeg1: bool
    divisor: int  # 1, 2 or 4 for MPEG 1, 2 and 2.5
    layer: int
    sample_rate_hz: int
    channels: int
    frame_bytes: int
    samples: int

    @property
    def side_bytes(self) -> int:
        if self.mpeg1:
            return 17 if self.channels == 1 else 32
        return 9 if self.channels == 1 else 17

    def same_kind(self, other: "Header") -> bool:
        mine, its = ((x.divisor, x.layer, x.sample_rate_hz, x.channels) for x in (self, other))
        return mine == its


def read_header(data: bytes) -> Header | None:
    """The header of a frame in its first 4 bytes, or None if they are none."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return None
    version, layer = data[1] >> 3 & 3, 4 - (data[1] >> 1 & 3)
    bitrate_index, rate_index = data[2] >> 4, data[2] >> 2 & 3
    if version == 1 or layer == 4 or bitrate_index in (0, 15) or rate_index == 3:
        return None
    mpeg1 = version == 3
    divisor = {3: 1, 2: 2, 0: 4}[version]
    rate_hz = _RATES_HZ[rate_index] // divisor
    bitrate = _BITRATES_KBPS[mpeg1, layer][bitrate_index] * 1000
    padding = data[2] >> 1 & 1
    if layer == 1:
        size, samples = (12 * bitrate // rate_hz + padding) * 4, 384
    else:
        samples = 1152 if mpeg1 or layer == 2 else 576
        size = samples // 8 * bitrate // rate_hz + padding
    return Header(mpeg1, divisor, layer, rate_hz, 1 if data[3] >> 6 == 3 else 2, size, samples)


@dataclass
class Part:
    """A run of frames that one encoder wrote: a whole file, or one of several that were joined.

    Attributes
    ----------
    start, end : int
        Of its bytes, a Xing header's frame among them.
    frames : int
        Counted, without a Xing header's.
    promised : int or None
        Frames that its header says.
    delay, padding : int
        Samples that the encoder put before and after the sound.
    """

    header: Header
    start: int
    end: int
    frames: int = 0
    audio_start: int = 0
    tagged: bool = False
    promised: int | None = None
    delay: int | None = None
    padding: int = 0

    @property
    def missing_frames(self) -> int:
        return max(0, (self.promised or 0) - self.frames)

    @property
    def samples(self) -> int:
        total = self.frames * self.header.samples
        if self.delay is None:
            return total
        if self.missing_frames:
            return max(0, total - self.delay - DECODER_DELAY_SAMPLES)
        # an encoder that pads less than a decoder is late leaves the last samples where no decoder can give them out
        return max(0, total - self.delay - max(self.padding, DECODER_DELAY_SAMPLES))

    def open(self, file: BinaryIO) -> Pieces:
        """The part by itself, behind a header that says its true length."""
        is_true = self.tagged and self.promised == self.frames and self.delay is not None
        if self.header.layer != 3 or is_true:
            return Pieces(file, [(self.start, self.end)])
        return Pieces(file, [self._true_header(file), (self.audio_start, self.end)])

    def header_with_delays(self, file: BinaryIO, samples: int) -> bytes:
        """The frame that an encoder leaves out where its own frames are too small for it, for a recording's length."""
        self.delay = ENCODER_DELAY_SAMPLES
        self.padding = max(0, min(0xFFF, self.frames * self.header.samples - self.delay - samples))
        return self._true_header(file)

    def _true_header(self, file: BinaryIO) -> bytes:
        file.seek(self.audio_start)
        first = bytearray(file.read(4))
        first[1] |= 1  # without CRC
        for index in range(1, 15):  # the smallest frame that has room
            first[2] = (first[2] & 0x0D) | index << 4
            header = read_header(bytes(first))
            if header and header.frame_bytes >= 4 + header.side_bytes + 16 + 36:
                break
        assert header is not None
        length = header.frame_bytes
        if self.delay is None:  # without delays: where they would be, the decoder would take zeros for them
            tag = b"VBRI" + bytes((0, 1, 0, 0, 0, 0)) + (length + self.end - self.audio_start).to_bytes(4, "big")
            tag += self.frames.to_bytes(4, "big") + bytes(8)
            return (bytes(first) + bytes(32) + tag).ljust(length, b"\0")
        tag = b"Xing" + (3).to_bytes(4, "big") + self.frames.to_bytes(4, "big")
        tag += (length + self.end - self.audio_start).to_bytes(4, "big")
        padding = 0 if self.missing_frames else self.padding
        tag += b"LAME3.100" + bytes(12) + (self.delay << 12 | padding).to_bytes(3, "big")
        return (bytes(first) + bytes(header.side_bytes) + tag).ljust(length, b"\0")


@dataclass
class Walk:
    """What is in an MPEG audio file."""

    parts: list[Part]
    notes: list[str]
    cut_bytes: int = 0  # that are missing of the last frame
    bitrate_bps: int = 0
    constant_bitrate: bool = True


def walk(file: BinaryIO, start: int = 0, end: int | None = None) -> Walk | None:
    """Count all frames of a file; None if it is no MPEG audio."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _walk(data, start, len(data) if end is None else end)


def _walk(data: mmap.mmap, at: int, size: int) -> Walk | None:
    found = Walk([], [])
    part: Part | None = None
    begins_part = True
    skipped = frame_bytes = frames = 0
    kinds: set[int] = set()
    while at < size:
        header = read_header(data[at : at + 4])
        if header is None or (part and not header.same_kind(part.header) and not _follows(data, at, size, header)):
            tag = _tag_bytes(data, at, size)
            if tag:
                at += tag
                continue
            following = _next_sync(data, at + 1, size, part.header if part else None)
            if not part and following - at > RESYNC_BYTES_MAX:
                return None
            skipped += min(following, size) - at
            at = following
            continue
        tagged = _info_tag(data, at, header)
        if part is None or begins_part or tagged or not header.same_kind(part.header):
            part = Part(header, at, at, audio_start=at)
            begins_part = False
            if tagged:
                part.tagged = True
                part.promised, part.delay, part.padding = tagged
                at += header.frame_bytes
                part.audio_start = part.end = min(at, size)
                found.parts.append(part)
                continue
            found.parts.append(part)
        if at + header.frame_bytes > size:
            found.cut_bytes = at + header.frame_bytes - size
            break
        part.frames += 1
        at += header.frame_bytes
        part.end = at
        frames += 1
        frame_bytes += header.frame_bytes
        if len(kinds) < 4:
            kinds.add(data[at - header.frame_bytes + 2] >> 4)
    found.parts = [part for part in found.parts if part.frames]
    if not found.parts:
        return None
    first = found.parts[0].header
    found.bitrate_bps = round(frame_bytes * 8 * first.sample_rate_hz / (frames * first.samples))
    found.constant_bitrate = len(kinds) == 1
    if skipped > 0 and part:
        found.notes.append(f"{skipped} bytes between its frames are no sound, and were left out")
    return found


def _follows(data: mmap.mmap, at: int, size: int, header: Header) -> bool:
    """Whether a frame of another kind is one, as a second of its kind comes after it."""
    after = at + header.frame_bytes
    if after == size:
        return True
    second = read_header(data[after : after + 4])
    return second is not None and second.same_kind(header)


def _next_sync(data: mmap.mmap, at: int, size: int, kind: Header | None) -> int:
    while 0 <= (at := data.find(b"\xff", at, size)) < size:
        header = read_header(data[at : at + 4])
        if header and (kind is None or header.same_kind(kind)) and _follows(data, at, size, header):
            return at
        if _tag_bytes(data, at, size):
            return at
        at += 1
    return size


def _tag_bytes(data: mmap.mmap, at: int, size: int) -> int:
    """Length of the ID3 or APE tag at a place, or 0."""
    head = data[at : at + 32]
    if head[:3] == b"ID3" and len(head) >= 10:
        length = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        return 10 + length + (10 if head[5] & 0x10 else 0)
    if head[:3] == b"TAG" and size - at >= 128:
        return 128
    if head[:8] == b"APETAGEX" and len(head) == 32:
        return 32 + int.from_bytes(head[12:16], "little") if int.from_bytes(head[20:24], "little") >> 29 & 1 else 32
    if head[:11] == b"LYRICSBEGIN":
        stop = data.find(b"LYRICS200", at, size)
        return stop + 9 - at if stop >= 0 else 0
    return 0


def _info_tag(data: mmap.mmap, at: int, header: Header) -> tuple[int | None, int | None, int] | None:
    """Frames, delay and padding of a frame that only describes the others, or None if it is sound."""
    crc = 0 if data[at + 1] & 1 else 2
    place = at + 4 + crc + header.side_bytes
    if data[place : place + 4] in (b"Xing", b"Info"):
        flags = data[place + 7] if place + 7 < len(data) else 0
        after = place + 8
        promised = int.from_bytes(data[after : after + 4], "big") if flags & 1 else None
        after += 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
        delay, padding = None, 0
        if data[after : after + 4].strip(b"\0"):
            both = int.from_bytes(data[after + 21 : after + 24], "big")
            delay, padding = both >> 12, both & 0xFFF
        return promised, delay, padding
    if data[at + 36 : at + 40] == b"VBRI":
        return int.from_bytes(data[at + 50 : at + 54], "big"), None, 0
    return None
