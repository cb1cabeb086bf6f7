"""WAV files whose header is not true: recorders that crashed, sizes that are too large, files beyond 4 GiB.

The layout is read from the file's own bytes; what the header says of the data's size is held against what is there.
Sources: EBU Tech 3285 (BWF), EBU Tech 3306 (RF64), Microsoft's Multimedia Programming Interface 1.0 (RIFF).
"""

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

PCM, FLOAT, ALAW, MULAW, MPEG, MPEG_LAYER_3, EXTENSIBLE = 1, 3, 6, 7, 0x50, 0x55, 0xFFFE
SUBFORMAT_REST = bytes.fromhex("000000001000800000aa00389b71")  # of the GUIDs of all formats that have a tag
PADDING_BYTES_MAX = 1 << 20


@dataclass
class Layout:
    """Where things are in a WAV file.

    Attributes
    ----------
    data_start, data_end : int
        Of the sound that is there, whole frames of it.
    missing_bytes : int
        What a header that can be believed promises beyond the end of the file.
    note : str
        What was mended, or "".
    channel_mask : int or None
        Which loudspeakers the channels are of, of an extensible format.
    chunks : list of (bytes, int, int)
        All but the sound: name, start and length of the content.
    """

    tag: int = 0
    channels: int = 0
    sample_rate_hz: int = 0
    block_bytes: int = 0
    bits: int = 0
    data_start: int = 0
    data_end: int = 0
    missing_bytes: int = 0
    promised_bytes: int = 0
    note: str = ""
    big_endian: bool = False
    channel_mask: int | None = None
    chunks: list[tuple[bytes, int, int]] = field(default_factory=list)

    @property
    def subtype(self) -> str | None:
        """libsndfile's name of a kind of samples that can be read without the header, or None."""
        if self.channels < 1 or self.block_bytes % self.channels:
            return None
        width = self.block_bytes // self.channels
        if self.tag == PCM:
            return {1: "PCM_U8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}.get(width)
        if self.tag == FLOAT:
            return {4: "FLOAT", 8: "DOUBLE"}.get(width)
        return {ALAW: "ALAW", MULAW: "ULAW"}.get(self.tag) if width == 1 else None


def read_layout(file: BinaryIO) -> Layout | None:
    """The layout of a WAV file, or None if it is none or has no sound.

    Parameters
    ----------
    file : file
        In binary mode.
    """
    file.seek(0, 2)
    size = file.tell()
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64", b"BW64") or head[8:12] != b"WAVE":
        return None
    layout = Layout(big_endian=head[:4] == b"RIFX")
    order = ">" if layout.big_endian else "<"
    large: int | None = None
    at = 12
    while at + 8 <= size:
        file.seek(at)
        name, length = struct.unpack(order + "4sI", file.read(8))
        start = at + 8
        if name == b"ds64" and length >= 24:
            large = struct.unpack(order + "QQ", file.read(16))[1]
        elif name == b"fmt " and length >= 16:
            read_format(layout, file.read(min(length, 40)), order)
        elif name == b"data":
            end = _find_end(layout, file, start, large if length == 0xFFFFFFFF and large else length, size)
            at = end + (end - start) % 2
            continue
        if not _is_name(name):
            break
        layout.chunks.append((name, start, min(length, size - start)))
        at = start + length + length % 2
    return layout if layout.data_start and layout.channels else None


def read_format(layout: Layout, content: bytes, order: str) -> None:
    """Take over what a "fmt " chunk says."""
    tag, channels, rate_hz, _, block, bits = struct.unpack(order + "HHIIHH", content[:16])
    if tag == EXTENSIBLE and len(content) >= 26:
        layout.channel_mask = struct.unpack(order + "I", content[20:24])[0]
        tag = struct.unpack(order + "H", content[24:26])[0]
    layout.tag, layout.channels, layout.sample_rate_hz, layout.block_bytes, layout.bits = (
        tag,
        channels,
        rate_hz,
        block,
        bits,
    )


def format_content(tag: int, channels: int, sample_rate_hz: int, width: int, channel_mask: int | None = None) -> bytes:
    """What a "fmt " chunk says of samples of `width` bytes; with a channel mask, of extensible format."""
    block = channels * width
    extended = channel_mask is not None
    content = struct.pack(
        "<HHIIHH", EXTENSIBLE if extended else tag, channels, sample_rate_hz, sample_rate_hz * block, block, 8 * width
    )
    if extended:
        content += struct.pack("<HHIH", 22, 8 * width, channel_mask, tag) + SUBFORMAT_REST
    return content


def set_channel_mask(path: Path, mask: int) -> None:
    """Say which loudspeakers the channels of a WAV file of extensible format are of; another stays as it is."""
    with path.open("r+b") as file:
        layout = read_layout(file)
        place = next((start for name, start, _ in layout.chunks if name == b"fmt "), None) if layout else None
        if layout is None or layout.channel_mask is None or place is None:
            return
        file.seek(place + 20)
        file.write(struct.pack("<I", mask))


def _find_end(layout: Layout, file: BinaryIO, start: int, promised: int, size: int) -> int:
    """Settle where the sound ends; returns where the next chunk may be."""
    if layout.data_start:  # a second one: rare, and read by nobody
        layout.note = layout.note or "has a second chunk of sound, which was left out, as everywhere"
        return min(start + promised, size)
    found = size - start
    block = max(1, layout.block_bytes)
    layout.data_start = start
    layout.promised_bytes = promised
    unknown = promised == 0 or promised >= 0xFFFFFF00 or 0x7FFFF000 <= promised <= 0x80000000
    # some write the size of the whole file, or of the RIFF chunk, where that of the sound belongs
    whole_file = promised in (size, size - 8)
    end = start + min(promised, found)
    if promised > found and not unknown and not whole_file:
        layout.missing_bytes = promised - found
    elif promised > found or (
        promised == 0 and found >= block and not _chunk_follows(file, start, size, padding=False)
    ):
        end = size
        if whole_file or promised == 0:
            said = "no sound" if promised == 0 else f"{promised - found} bytes too many"
            layout.note = f"its header says {said}: all the sound that is there was taken"
    elif found - promised >= block and not _chunk_follows(file, start + promised, size, padding=True):
        end = size
        layout.note = f"its header leaves out the last {found - promised} bytes of the sound: they were taken too"
    layout.data_end = start + (end - start) // block * block
    return max(end, start)


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name) and name.strip() != b""


def _chunk_follows(file: BinaryIO, at: int, size: int, *, padding: bool) -> bool:
    """Whether what is at a place is a chunk, a tag, or padding: anything but sound."""
    for place in (at, at + at % 2):
        file.seek(place)
        head = file.read(64)
        if len(head) < 8:
            return True
        if not any(head) and padding:
            file.seek(place)
            return not any(file.read(PADDING_BYTES_MAX))  # digital silence begins alike, and ends
        if head[:3] in (b"TAG", b"ID3") or head[:8] == b"APETAGEX":
            return True
        if _is_name(head[:4]) and place + 8 + int.from_bytes(head[4:8], "little") <= size + 1:
            return True
    return False
