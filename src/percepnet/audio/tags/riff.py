"""Chunks beside the sound, of WAV and AIFF: bext with its time reference, iXML, cue points, INFO, ID3.

Sources: EBU Tech 3285 (bext), EBU Tech 3306 (RF64), Audio Interchange File Format 1.3.
"""

import shutil
import struct
from pathlib import Path
from typing import BinaryIO

from percepnet.audio.riff import Layout, read_layout
from percepnet.audio.tags import BYTES_MAX, Picture, Tags
from percepnet.audio.tags import id3 as id3_tags

# Of the sound itself: written anew. levl is a picture of its peaks.
_SOUND = frozenset(
    ("fmt ", "data", "fact", "ds64", "PEAK", "JUNK", "junk", "PAD ", "FLLR", "levl", "COMM", "SSND", "FVER")
)
_BEFORE_SOUND = frozenset(("bext", "iXML", "cart", "umid"))
_INFO = {
    "INAM": "TITLE",
    "IART": "ARTIST",
    "IPRD": "ALBUM",
    "ICRD": "DATE",
    "IGNR": "GENRE",
    "ITRK": "TRACKNUMBER",
    "ICMT": "COMMENT",
    "ICOP": "COPYRIGHT",
    "ILNG": "LANGUAGE",
}


def read_wav(file: BinaryIO, layout: Layout) -> Tags:
    """The chunks of a WAV file whose layout is known."""
    raw, total = [], 0
    for name, start, length in layout.chunks:
        key = name.decode("latin-1")
        total += length
        if key not in _SOUND and total <= BYTES_MAX:
            file.seek(start)
            raw.append((key, file.read(length)))
    text = [entry for key, content in raw if key == "LIST" and content[:4] == b"INFO" for entry in _info(content[4:])]
    pictures: list[Picture] = []
    for key, content in raw:
        if key.lower() == "id3 " and content[:3] == b"ID3":
            more, pictures = id3_tags.parse(content)
            text += [entry for entry in more if entry[0] not in dict(text)]
    return Tags(tuple(text), tuple(pictures), "riff", tuple(raw))


def read_aiff(file: BinaryIO) -> Tags:
    """The chunks of an AIFF file."""
    file.seek(0)
    raw = []
    if file.read(12)[:4] == b"FORM":
        while len(head := file.read(8)) == 8:
            key, length = head[:4].decode("latin-1"), int.from_bytes(head[4:], "big")
            if key in _SOUND or length > BYTES_MAX:
                file.seek(length + length % 2, 1)
            else:
                raw.append((key, file.read(length)))
                file.seek(length % 2, 1)
    names = {"NAME": "TITLE", "AUTH": "ARTIST", "(c) ": "COPYRIGHT", "ANNO": "COMMENT"}
    text = [(names[key], content.decode("utf-8", "replace").strip("\0")) for key, content in raw if key in names]
    return Tags(tuple(text), (), "aiff", tuple(raw))


def attach_wav(path: Path, tags: Tags, target: Path) -> bool:
    """Copy a WAV or RF64 file, with tags; False if they do not fit into its sizes, and nothing was done."""
    with path.open("rb") as file:
        layout = read_layout(file)
        if layout is None:
            return False
        chunks = [(key, content) for key, content in tags.raw] if tags.family == "riff" else _from_others(tags)
        file.seek(0)
        head = file.read(12)
        own = [(name, start, length) for name, start, length in layout.chunks if name != b"LIST"]
        size = path.stat().st_size + sum(8 + len(content) + len(content) % 2 for _, content in chunks)
        if head[:4] == b"RIFF" and size > 0xFFFFFFFF:
            return False
        with target.open("wb") as out:
            out.write(head)
            for name, start, length in own:
                file.seek(start)
                if start < layout.data_start:
                    out.write(chunk_bytes(name, file.read(length)))
            for key, content in chunks:
                if key in _BEFORE_SOUND:
                    out.write(chunk_bytes(key.encode("latin-1"), content))
            file.seek(layout.data_start - 8)
            length = layout.data_end - layout.data_start
            out.write(file.read(8))
            _copy(file, out, length)
            out.write(b"\0" * (length % 2))
            for key, content in chunks:
                if key not in _BEFORE_SOUND:
                    out.write(chunk_bytes(key.encode("latin-1"), content))
            whole = out.tell() - 8
            if head[:4] == b"RIFF":
                out.seek(4)
                out.write(struct.pack("<I", whole))
            else:
                out.seek(20)  # ds64 is the first chunk
                out.write(struct.pack("<Q", whole))
    return True


def attach_aiff(path: Path, tags: Tags, target: Path) -> None:
    """Copy an AIFF file, with tags behind the sound."""
    if tags.family == "aiff":
        chunks = list(tags.raw)
    else:
        block = id3_tags.build(tags)
        chunks = [("ID3 ", block)] if block else []
    shutil.copyfile(path, target)
    with target.open("r+b") as out:
        out.seek(0, 2)
        if out.tell() % 2:
            out.write(b"\0")
        for key, content in chunks:
            out.write(key.encode("latin-1") + len(content).to_bytes(4, "big") + content + b"\0" * (len(content) % 2))
        whole = out.tell() - 8
        out.seek(4)
        out.write(whole.to_bytes(4, "big"))


def _from_others(tags: Tags) -> list[tuple[str, bytes]]:
    names = {name: key for key, name in _INFO.items()} | {"DESCRIPTION": "ICMT"}
    info = b"INFO"
    for name, value in tags.text:
        if name.upper() in names:
            content = value.encode() + b"\0"
            info += chunk_bytes(names[name.upper()].encode(), content)
    chunks = [("LIST", info)] if len(info) > 4 else []
    if tags.pictures or len(tags.text) > info.count(b"\0I"):
        block = id3_tags.build(tags)
        chunks += [("id3 ", block)] if block else []
    return chunks


def _info(content: bytes) -> list[tuple[str, str]]:
    text, at = [], 0
    while at + 8 <= len(content):
        key, length = content[at : at + 4].decode("latin-1"), int.from_bytes(content[at + 4 : at + 8], "little")
        if key in _INFO:
            value = content[at + 8 : at + 8 + length].rstrip(b"\0")
            text.append((_INFO[key], value.decode("utf-8", "replace")))
        at += 8 + length + length % 2
    return text


def chunk_bytes(name: bytes, content: bytes) -> bytes:
    """A chunk of a WAV file, with the byte that makes its length even."""
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _copy(file: BinaryIO, out: BinaryIO, length: int) -> None:
    while length > 0:
        block = file.read(min(length, 1 << 20))
        if not block:
            raise OSError("the file ended while it was copied")
        out.write(block)
        length -= len(block)
