"""ID3 tags, of mp3 files and inside WAV and AIFF.

Sources: id3.org's ID3 tag version 2.3.0 and 2.4.0 (structure, native frames).
"""

import shutil
from pathlib import Path
from typing import BinaryIO

from percepnet.audio.tags import BYTES_MAX, Picture, Tags

_NAMES = {
    "TIT2": "TITLE",
    "TPE1": "ARTIST",
    "TPE2": "ALBUMARTIST",
    "TALB": "ALBUM",
    "TDRC": "DATE",
    "TYER": "DATE",
    "TCON": "GENRE",
    "TRCK": "TRACKNUMBER",
    "TPOS": "DISCNUMBER",
    "TCOM": "COMPOSER",
    "TCOP": "COPYRIGHT",
    "TPUB": "PUBLISHER",
    "TLAN": "LANGUAGE",
    "TSRC": "ISRC",
    "TENC": "ENCODED-BY",
    "COMM": "COMMENT",
    "USLT": "LYRICS",
}
_FRAMES = {name: frame for frame, name in _NAMES.items() if frame != "TYER"} | {"DESCRIPTION": "COMM"}
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")


def read_mp3(file: BinaryIO) -> Tags:
    """The tags around the frames of an mp3 file."""
    raw: list[tuple[str, bytes]] = []
    file.seek(0)
    head = file.read(10)
    if head[:3] == b"ID3" and len(head) == 10:
        length = 10 + _synchsafe(head[6:10])
        if length <= BYTES_MAX:
            raw.append(("id3v2", head + file.read(length - 10)))
    file.seek(0, 2)
    end = file.tell()
    tail = []
    if end >= 128:
        file.seek(end - 128)
        block = file.read(128)
        if block[:3] == b"TAG":
            tail.append(("id3v1", block))
            end -= 128
    if end >= 32:
        file.seek(end - 32)
        footer = file.read(32)
        if footer[:8] == b"APETAGEX":
            length = int.from_bytes(footer[12:16], "little")
            length += 32 if int.from_bytes(footer[20:24], "little") >> 31 else 0
            if length <= min(end, BYTES_MAX):
                file.seek(end - length)
                tail.insert(0, ("ape", file.read(length)))
    text, pictures = parse(raw[0][1]) if raw else ([], [])
    return Tags(tuple(text), tuple(pictures), "id3", (*raw, *tail))


def attach_mp3(path: Path, tags: Tags, target: Path) -> None:
    """Copy an mp3 file without tags, with tags."""
    blocks = dict(tags.raw) if tags.family == "id3" else {"id3v2": build(tags)}
    with path.open("rb") as file, target.open("wb") as out:
        out.write(blocks.get("id3v2", b""))
        shutil.copyfileobj(file, out, 1 << 20)
        out.write(blocks.get("ape", b"") + blocks.get("id3v1", b""))


def parse(tag: bytes) -> tuple[list[tuple[str, str]], list[Picture]]:
    """Texts and pictures of an ID3v2 tag of version 2.3 or 2.4."""
    text: list[tuple[str, str]] = []
    pictures: list[Picture] = []
    version, flags = tag[3], tag[5]
    if version not in (3, 4):
        return text, pictures
    content = tag[10:]
    if flags & 0x80 and version == 3:
        content = content.replace(b"\xff\x00", b"\xff")
    at = 0
    if flags & 0x40:
        at = _synchsafe(content[:4]) if version == 4 else 4 + int.from_bytes(content[:4], "big")
    while at + 10 <= len(content) and content[at : at + 4].strip(b"\0"):
        name = content[at : at + 4].decode("latin-1")
        size = content[at + 4 : at + 8]
        length = _synchsafe(size) if version == 4 else int.from_bytes(size, "big")
        frame, frame_flags = content[at + 10 : at + 10 + length], content[at + 9]
        at += 10 + length
        if version == 4 and frame_flags & 2:
            frame = frame.replace(b"\xff\x00", b"\xff")
        if version == 4 and frame_flags & 1:
            frame = frame[4:]
        if len(frame) < 2 or frame[0] > 3 or frame_flags & (0x0C if version == 4 else 0xC0):  # packed, or encrypted
            continue
        if name == "APIC":
            pictures += _picture(frame)
        elif name == "TXXX":
            key, value = _split(frame[1:], frame[0])
            text.append((key, value))
        elif name in ("COMM", "USLT"):
            _, value = _split(frame[4:], frame[0])
            text.append((_NAMES[name], value))
        elif name in _NAMES:
            value = _decode(frame[1:], frame[0]).strip("\0")
            text += [(_NAMES[name], part) for part in value.split("\0")]
    return text, pictures


def build(tags: Tags) -> bytes:
    """An ID3v2.4 tag of texts and pictures; empty for none."""
    frames = b""
    for key, value in tags.text:
        name = _FRAMES.get(key.upper())
        if name in ("COMM", "USLT"):
            frames += _frame(name, b"\x03und\0" + value.encode())
        elif name:
            frames += _frame(name, b"\x03" + value.encode())
        else:
            frames += _frame("TXXX", b"\x03" + key.encode() + b"\0" + value.encode())
    for picture in tags.pictures:
        head = b"\x03" + picture.mime.encode("latin-1", "replace") + b"\0" + bytes((picture.kind & 0xFF,))
        frames += _frame("APIC", head + picture.description.encode() + b"\0" + picture.data)
    return b"ID3\x04\0\0" + _to_synchsafe(len(frames)) + frames if frames else b""


def _frame(name: str, content: bytes) -> bytes:
    return name.encode() + _to_synchsafe(len(content)) + b"\0\0" + content


def _synchsafe(data: bytes) -> int:
    return sum((byte & 0x7F) << shift for byte, shift in zip(data, (21, 14, 7, 0), strict=False))


def _to_synchsafe(value: int) -> bytes:
    return bytes(value >> shift & 0x7F for shift in (21, 14, 7, 0))


def _decode(data: bytes, encoding: int) -> str:
    return data.decode(_ENCODINGS[encoding], "replace")


def _split(data: bytes, encoding: int) -> tuple[str, str]:
    """What is before and after the first end mark."""
    wide = encoding in (1, 2)
    at = data.find(b"\0\0" if wide else b"\0")
    if wide and at % 2:
        at = data.find(b"\0\0", at + 1)
    if at < 0:
        return "", _decode(data, encoding)
    return _decode(data[:at], encoding), _decode(data[at + (2 if wide else 1) :], encoding).rstrip("\0")


def _picture(frame: bytes) -> list[Picture]:
    mime, mark, rest = frame[1:].partition(b"\0")
    if not mark or not rest:
        return []
    wide = frame[0] in (1, 2)
    end = rest.find(b"\0\0" if wide else b"\0", 1)
    while wide and end > 0 and (end - 1) % 2:
        end = rest.find(b"\0\0", end + 1)
    if end < 0:
        return []
    description = _decode(rest[1:end], frame[0])
    return [Picture(mime.decode("latin-1"), rest[0], description, rest[end + (2 if wide else 1) :])]
