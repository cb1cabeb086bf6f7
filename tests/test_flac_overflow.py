"""FLAC files with samples that their width does not hold, as libFLAC before 1.4 wrote them."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from percepnet.audio import open_audio
from percepnet.audio import opening as opening_module
from percepnet.errors import AudioError

BLOCK = 1152
RICE_BITS = 13


def crc(data: bytes, polynomial: int, bits: int) -> int:
    value = 0
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ polynomial if value >> (bits - 1) else value << 1) & ((1 << bits) - 1)
    return value


def flac_file(x: np.ndarray, *, checksum: bool = True) -> bytes:
    """FLAC of 16 bits, one channel, 16 kHz: differences of samples (RFC 9639, fixed predictor of order 1)."""
    digest = hashlib.md5(x.astype(np.int16).tobytes()).digest() if checksum else bytes(16)
    form = (16_000 << 44 | 15 << 36 | len(x)).to_bytes(8, "big")
    content = b"fLaC\x80\0\0\x22" + 2 * BLOCK.to_bytes(2, "big") + bytes(6) + form + digest
    for number, start in enumerate(range(0, len(x), BLOCK)):
        block = x[start : start + BLOCK]
        head = bytes([0xFF, 0xF8, 0x70, 0x08, number]) + (len(block) - 1).to_bytes(2, "big")
        bits = f"00010010{int(block[0]) & 0xFFFF:016b}000000{RICE_BITS:04b}"
        for step in np.diff(block):
            folded = 2 * int(step) if step >= 0 else -2 * int(step) - 1
            bits += "0" * (folded >> RICE_BITS) + f"1{folded & (1 << RICE_BITS) - 1:0{RICE_BITS}b}"
        bits += "0" * (-len(bits) % 8)
        frame = head + bytes([crc(head, 7, 8)]) + int(bits, 2).to_bytes(len(bits) // 8, "big")
        content += frame + crc(frame, 0x8005, 16).to_bytes(2, "big")
    return content


def loud(samples: int = 5000) -> np.ndarray:
    """A tone that is loudest at 32,768 and 32,770 now and then, where 16 bits end at 32,767."""
    x = np.round(32_000 * np.sin(2 * np.pi * np.arange(samples) / 80)).astype(np.int64)
    x[[2020, 2021, 4180]] = [32_768, 32_770, 32_768]
    return x


@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_beyond_full_scale_is_at_full_scale(tmp_path: Path, sign: int) -> None:
    pytest.importorskip("av")
    (tmp_path / "a.flac").write_bytes(flac_file(sign * loud()))
    with open_audio(tmp_path / "a.flac") as reader:
        blocks = list(reader.blocks(0.01))
        x = np.concatenate(blocks, axis=1)
        assert x.shape == (1, reader.info.frames)
        assert [block.shape[1] for block in blocks[:-1]] == [160] * (len(blocks) - 1)
        assert np.allclose(x[0], sign * np.minimum(loud() / 32768, 1), atol=1e-9)
        assert len(reader.notes) == 1
        assert "beyond full scale" in reader.notes[0]


def test_none_is_beyond_full_scale(tmp_path: Path) -> None:
    quieter = loud() * 7 // 8
    (tmp_path / "a.flac").write_bytes(flac_file(quieter))
    with open_audio(tmp_path / "a.flac") as reader:
        assert np.array_equal(np.concatenate(list(reader.blocks()), axis=1)[0], (quieter / 32768).astype(np.float32))
        assert reader.notes == []


@pytest.mark.parametrize("kind", ["damaged", "without a checksum", "without FFmpeg"])
def test_what_may_be_damaged_is_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    content = bytearray(flac_file(loud(), checksum=kind != "without a checksum"))
    if kind == "damaged":
        content[len(content) // 2] ^= 0xFF
    if kind == "without FFmpeg":
        monkeypatch.setattr(opening_module, "has_media", lambda: False)
    (tmp_path / "a.flac").write_bytes(content)
    with open_audio(tmp_path / "a.flac") as reader, pytest.raises(AudioError, match="damaged or truncated") as refusal:
        list(reader.blocks())
    assert ("percepnet[media]" in str(refusal.value)) == (kind == "without FFmpeg")
