"""Ogg pages: chained recordings, the end of a file that was cut, and pages with other headers.

Source: RFC 3533.
"""

import mmap
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
FIRST, LAST, CONTINUED = 2, 4, 1
_CODECS = {
    b"\x01vorbis": "VORBIS",
    b"OpusHead": "OPUS",
    b"\x7fFLAC": "FLAC",
    b"Speex   ": "SPEEX",
}


@dataclass(frozen=True, slots=True)
class Page:
    """Where a page is, and what its header says."""

    start: int
    end: int
    body: int
    flags: int
    granule: int
    serial: int
    sequence: int


@dataclass
class Link:
    """One of the recordings that were chained.

    Attributes
    ----------
    codecs : list of str or None
        Of the streams that run beside each other in it; None for one that is no sound of a kind known here.
    ended : bool
        Whether its last page says that it is the last.
    """

    start: int
    end: int
    codecs: list[str | None] = field(default_factory=list)
    ended: bool = False


@dataclass
class Walk:
    """What is in an Ogg file."""

    links: list[Link]
    missing_bytes: int = 0  # of the last page
    skipped_bytes: int = 0


def pages(data: mmap.mmap | bytes) -> Iterator[Page]:
    """All whole pages, in their order."""
    at, size = 0, len(data)
    while 0 <= (at := data.find(b"OggS", at)) < size:
        if at + 27 > size:
            return
        segments = data[at + 26]
        body = at + 27 + segments
        end = body + sum(data[at + 27 : body])
        if end > size or data[at + 4] != 0:
            at += 4
            continue
        yield Page(
            at,
            end,
            body,
            data[at + 5],
            int.from_bytes(data[at + 6 : at + 14], "little", signed=True),
            int.from_bytes(data[at + 14 : at + 18], "little"),
            int.from_bytes(data[at + 18 : at + 22], "little"),
        )
        at = end


def walk(file: BinaryIO) -> Walk:
    """The recordings of a file, one after the other."""
    found = Walk([])
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = 0
        heads = False
        for page in pages(data):
            found.skipped_bytes += page.start - end
            end = page.end
            if page.flags & FIRST:
                if not heads:
                    found.links.append(Link(page.start, page.end))
                head = data[page.body : page.body + 8]
                codec = next((name for magic, name in _CODECS.items() if head.startswith(magic)), None)
                found.links[-1].codecs.append(codec)
            heads = bool(page.flags & FIRST)
            if found.links:
                found.links[-1].end = page.end
                found.links[-1].ended = bool(page.flags & LAST)
        rest = len(data) - end
        if rest and data[end : end + 4] == b"OggS":
            promised = 27 + (data[end + 26] if rest > 26 else 0)
            promised += sum(data[end + 27 : end + promised])
            found.missing_bytes = max(1, promised - rest)
    return found


def checksum(page: bytes) -> int:
    """The CRC of a page whose own CRC is zero: that of zlib's polynomial, but with the bits in the other order."""
    value = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)


def page_bytes(
    packets: list[bytes], *, serial: int, sequence: int, flags: int = 0, granule: int = 0
) -> tuple[bytes, int]:
    """Whole packets as pages of their own.

    Returns
    -------
    bytes, int
        The pages, and the sequence number of what comes next.
    """
    lacing: list[int] = []
    for packet in packets:
        lacing += [255] * (len(packet) // 255) + [len(packet) % 255]
    body = b"".join(packets)
    out, at = [], 0
    starts_inside = False
    while lacing:
        now, lacing = lacing[:255], lacing[255:]
        length = sum(now)
        ends_packet = any(value < 255 for value in now)
        kind = flags | (CONTINUED if starts_inside else 0)
        header = b"OggS\0" + bytes((kind,)) + (granule if ends_packet else -1).to_bytes(8, "little", signed=True)
        header += serial.to_bytes(4, "little") + sequence.to_bytes(4, "little") + bytes(4) + bytes((len(now),))
        out.append(stamped(header + bytes(now) + body[at : at + length]))
        at += length
        sequence += 1
        starts_inside = now[-1] == 255
    return b"".join(out), sequence


def stamped(page: bytes) -> bytes:
    """A page with its CRC put in."""
    bare = page[:22] + bytes(4) + page[26:]
    return page[:22] + checksum(bare).to_bytes(4, "little") + page[26:]
