"""What the header of a FLAC file says, and the length of files from a pipe, whose header does not say it.

Source: RFC 9639 (frame header, STREAMINFO).
"""

import mmap
from typing import BinaryIO

from percepnet.audio.pieces import Piece

_TOTAL_AT = 21  # in the file: the byte whose lower half begins the 36 bits that count samples


def sample_bits(file: BinaryIO) -> int | None:
    """Bits of a sample, 4 to 32, or None if the file does not begin as it should."""
    file.seek(0)
    head = file.read(22)
    whole = len(head) == 22 and head[:4] == b"fLaC" and head[4] & 0x7F == 0  # STREAMINFO comes first
    return ((head[20] & 1) << 4 | head[21] >> 4) + 1 if whole else None


def count_samples(file: BinaryIO) -> int | None:
    """Samples a channel up to the end of the last whole frame header, or None if no frame is found."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = len(data)
        while (at := data.rfind(b"\xff", 42, at)) >= 0:
            counted = _frame_end(data[at : at + 16], int.from_bytes(data[8:10], "big"))
            if counted is not None:
                return counted
    return None


def with_length(file: BinaryIO, frames: int) -> list[Piece]:
    """The file with a length in its header."""
    file.seek(0)
    head = bytearray(file.read(26))
    head[_TOTAL_AT] = head[_TOTAL_AT] & 0xF0 | frames >> 32 & 0x0F
    head[_TOTAL_AT + 1 : 26] = (frames & 0xFFFFFFFF).to_bytes(4, "big")
    file.seek(0, 2)
    return [bytes(head), (26, file.tell())]


def _frame_end(header: bytes, block_samples: int) -> int | None:
    """Number of the sample after a frame, from its header; None if its CRC-8 says that it is none."""
    if len(header) < 6 or header[0] != 0xFF or header[1] & 0xFE != 0xF8:
        return None
    variable = header[1] & 1
    size_code, rate_code = header[2] >> 4, header[2] & 0x0F
    length = 1 if header[4] < 0x80 else 8 - (header[4] ^ 0xFF).bit_length()
    if length in (8,) or (length == 1 and header[4] >= 0x80) or size_code == 0 or rate_code == 15:
        return None
    number = header[4] if length == 1 else header[4] & (0x7F >> length)
    for byte in header[5 : 4 + length]:
        if byte & 0xC0 != 0x80:
            return None
        number = number << 6 | byte & 0x3F
    at = 4 + length
    if size_code == 6:
        samples, at = header[at] + 1, at + 1
    elif size_code == 7:
        samples, at = int.from_bytes(header[at : at + 2], "big") + 1, at + 2
    else:
        samples = {1: 192}.get(size_code, 576 << (size_code - 2) if size_code < 6 else 256 << (size_code - 8))
    at += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if at >= len(header) or _crc8(header[:at]) != header[at]:
        return None
    return number + samples if variable else number * block_samples + samples


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07) & 0xFF if value & 0x80 else value << 1
    return value
