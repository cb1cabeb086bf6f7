"""Vorbis comments, in FLAC's metadata blocks and in Ogg's second packets.

Sources: the Vorbis I specification (comment header), RFC 9639 (FLAC), RFC 7845 (Opus in Ogg).
"""

import base64
import binascii
import mmap
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from percepnet.audio.ogg import FIRST, LAST, page_bytes, pages, stamped
from percepnet.audio.tags import BYTES_MAX, Picture, Tags

_STREAMINFO, _PADDING, _SEEKTABLE, _COMMENT, _PICTURE = 0, 1, 3, 4, 6
_MAGIC = {b"\x03vorbis": b"\x01", b"OpusTags": b""}  # and what ends the packet
_OGG_PICTURE = "METADATA_BLOCK_PICTURE"
VENDOR = b"percepnet"


def read_flac(file: BinaryIO) -> Tags:
    """The tags of a FLAC file; of what is none, none."""
    blocks = [block for block in _flac_blocks(file) if block[0] not in (_STREAMINFO, _PADDING, _SEEKTABLE)]
    raw = [(str(kind), content) for kind, content in blocks]
    text = [entry for kind, content in raw if int(kind) == _COMMENT for entry in _parse(content)]
    pictures = [picture for kind, content in raw if int(kind) == _PICTURE if (picture := _picture(content))]
    return Tags(tuple(text), tuple(pictures), "flac", tuple(raw))


def attach_flac(path: Path, tags: Tags, target: Path) -> None:
    """Copy a FLAC file, with tags."""
    if tags.family == "flac":
        wanted = [(int(kind), content) for kind, content in tags.raw]
    else:
        wanted = [(_COMMENT, _comments(tags.text))] + [(_PICTURE, _picture_block(p)) for p in tags.pictures]
    with path.open("rb") as file, target.open("wb") as out:
        own = list(_flac_blocks(file))
        kept = [(kind, content) for kind, content in own if kind == _STREAMINFO] + wanted
        out.write(b"fLaC")
        for index, (kind, content) in enumerate(kept):
            last = 0x80 if index == len(kept) - 1 else 0
            out.write(bytes((kind | last,)) + len(content).to_bytes(3, "big") + content)
        shutil.copyfileobj(file, out, 1 << 20)


def _flac_blocks(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Metadata blocks; the file is at its first frame afterwards."""
    file.seek(0)
    if file.read(4) != b"fLaC":
        return
    last = False
    while not last:
        head = file.read(4)
        if len(head) < 4:
            return
        last = bool(head[0] & 0x80)
        content = file.read(int.from_bytes(head[1:], "big"))
        yield head[0] & 0x7F, content


def read_ogg(file: BinaryIO) -> Tags:
    """The comments of an Ogg file's first stream."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        packet = b""
        serial = None
        for page in pages(data):
            if page.flags & FIRST:
                if serial is None:
                    serial = page.serial
                continue
            if page.serial != serial:
                continue
            table = data[page.start + 27 : page.body]
            length = 0
            for value in table:
                length += value
                if value < 255:
                    break
            packet += data[page.body : page.body + length]
            if any(value < 255 for value in table) or len(packet) > BYTES_MAX:
                break
    for magic in _MAGIC:
        if packet.startswith(magic):
            entries = _parse(packet[len(magic) :])
            pictures = []
            for name, value64 in entries:
                if name.upper() == _OGG_PICTURE:
                    try:
                        picture = _picture(base64.b64decode(value64, validate=True))
                    except binascii.Error:
                        continue
                    pictures += [picture] if picture else []
            text = tuple(entry for entry in entries if entry[0].upper() != _OGG_PICTURE)
            return Tags(text, tuple(pictures), "vorbis", (("comments", packet[len(magic) :]),))
    return Tags(family="vorbis")


def attach_ogg(path: Path, tags: Tags, target: Path) -> None:
    """Copy an Ogg file of one Vorbis or Opus stream, with tags; the pages after the headers are numbered anew."""
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        target.open("wb") as out,
    ):
        walk = pages(data)
        first = next(walk)
        out.write(data[first.start : first.end])
        headers = 1 if data[first.body : first.body + 8] == b"OpusHead" else 2
        packets, packet = [], b""
        for page in walk:
            at = page.body
            for value in data[page.start + 27 : page.body]:
                packet += data[at : at + value]
                at += value
                if value < 255:
                    packets.append(packet)
                    packet = b""
            if len(packets) >= headers:
                break
        magic = next(magic for magic in _MAGIC if packets[0].startswith(magic))
        if tags.family == "vorbis" and tags.raw:
            comments = tags.raw[0][1]
        else:
            blocks = [base64.b64encode(_picture_block(picture)).decode() for picture in tags.pictures]
            comments = _comments((*tags.text, *((_OGG_PICTURE, block) for block in blocks))) + _MAGIC[magic]
        if magic == b"\x03vorbis" and not comments.endswith(b"\x01"):
            comments += b"\x01"
        packets[0] = magic + comments
        head, sequence = page_bytes(packets[:headers], serial=first.serial, sequence=1)
        out.write(head)
        for page in walk:
            content = data[page.start : page.end]
            out.write(stamped(content[:18] + sequence.to_bytes(4, "little") + content[22:]))
            sequence += 1
            if page.flags & LAST:
                break


def _parse(content: bytes) -> list[tuple[str, str]]:
    entries = []
    try:
        at = 4 + int.from_bytes(content[:4], "little")
        count = int.from_bytes(content[at : at + 4], "little")
        at += 4
        for _ in range(min(count, 10_000)):
            length = int.from_bytes(content[at : at + 4], "little")
            if at + 4 + length > len(content):
                break
            name, _, value = content[at + 4 : at + 4 + length].decode("utf-8", "replace").partition("=")
            entries.append((name, value))
            at += 4 + length
    except IndexError:
        pass
    return entries


def _comments(text: tuple[tuple[str, str], ...]) -> bytes:
    entries = [f"{name.upper()}={value}".encode() for name, value in text if name]
    out = len(VENDOR).to_bytes(4, "little") + VENDOR + len(entries).to_bytes(4, "little")
    return out + b"".join(len(entry).to_bytes(4, "little") + entry for entry in entries)


def _picture(block: bytes) -> Picture | None:
    def take(at: int) -> tuple[bytes, int]:
        length = int.from_bytes(block[at : at + 4], "big")
        return block[at + 4 : at + 4 + length], at + 4 + length

    if len(block) < 32:
        return None
    kind = int.from_bytes(block[:4], "big")
    mime, at = take(4)
    description, at = take(at)
    data, _ = take(at + 16)
    return Picture(mime.decode("ascii", "replace"), kind, description.decode("utf-8", "replace"), data)


def _picture_block(picture: Picture) -> bytes:
    mime, description = picture.mime.encode(), picture.description.encode()
    out = picture.kind.to_bytes(4, "big") + len(mime).to_bytes(4, "big") + mime
    out += len(description).to_bytes(4, "big") + description + bytes(16)
    return out + len(picture.data).to_bytes(4, "big") + picture.data
