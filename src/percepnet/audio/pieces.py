"""A file made of stretches of another and of bytes of ours, so that a faulty header can be mended without a copy."""

import bisect
import io
from collections.abc import Sequence
from typing import BinaryIO

Piece = bytes | tuple[int, int]  # bytes, or (start, end) in the file


class Pieces(io.RawIOBase):
    """Read-only concatenation of pieces.

    Parameters
    ----------
    file : file
        Opened for reading in binary mode; closed with this.
    pieces : sequence of bytes or (int, int)
        In their order; a pair is the stretch from its first byte to before its second.
    """

    def __init__(self, file: BinaryIO, pieces: Sequence[Piece]) -> None:
        super().__init__()
        self._file = file
        self._pieces = [piece for piece in pieces if _length(piece)]
        self._starts = [0]
        for piece in self._pieces:
            self._starts.append(self._starts[-1] + _length(piece))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._starts[-1] - self._at)
        size = left if size < 0 else min(size, left)
        parts = []
        while size > 0:
            index = bisect.bisect_right(self._starts, self._at) - 1
            within = self._at - self._starts[index]
            piece = self._pieces[index]
            count = min(size, _length(piece) - within)
            if isinstance(piece, bytes):
                part = piece[within : within + count]
            else:
                self._file.seek(piece[0] + within)
                part = self._file.read(count)
                if not part:
                    break
            parts.append(part)
            self._at += len(part)
            size -= len(part)
        return b"".join(parts)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
