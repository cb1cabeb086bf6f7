"""FLAC files whose loudest samples overflow: older encoders took +1.0 for 32,768, which 16 bits do not hold.

libFLAC before 1.4 wrote them, later ones refuse them as damaged. FFmpeg decodes them; the samples have wrapped around,
and become full scale again here. That a file is whole follows from the checksum of its sound, which the encoder had
taken of what wrapped around, too (RFC 9639, section 8.2: the MD5 of the unencoded samples).
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from percepnet.arrays import Samples
from percepnet.audio.info import AudioInfo
from percepnet.audio.media import MediaReader, open_media, require_av
from percepnet.errors import AudioError

_HEADER_BYTES = 42  # up to the end of STREAMINFO, of which the last 16 are the checksum
BEYOND_MAX = 1 / 16  # by which samples were above full scale
BEFORE_MIN = 0.5  # of the sample before one that wrapped around


def read_overflowing(path: Path, info: AudioInfo, block_samples: int) -> Iterator[Samples] | None:
    """The whole recording in blocks, if its checksum says that FFmpeg decodes all of it.

    Parameters
    ----------
    path : Path
    info : AudioInfo
        What libsndfile says of it.
    block_samples : int

    Returns
    -------
    iterator of np.ndarray [shape=(channels, n), dtype=float32], or None
        None if the file is damaged, or has no checksum.

    Raises
    ------
    PercepNetError
        Without the package av.
    """
    with path.open("rb") as file:
        wanted = file.read(_HEADER_BYTES)[-16:]
    if not any(wanted):
        return None
    try:
        reader = open_media(path, salvage=False, track=None)
    except AudioError:
        return None
    if _checksum(reader, info.subtype) != wanted:
        return None
    return _unwrapped(reader.blocks(block_samples / info.sample_rate_hz))


def unwrap(x: Samples, before: Samples) -> Samples:
    """Samples that wrapped around, at full scale.

    Parameters
    ----------
    x : np.ndarray [shape=(channels, n), dtype=float32]
        In [-1, 1).
    before : np.ndarray [shape=(channels,), dtype=float32]
        The samples before them, unwrapped.

    Returns
    -------
    np.ndarray [shape=(channels, n), dtype=float32]
    """
    x = x.copy()
    for channel, at in zip(*np.nonzero(np.abs(x) >= 1 - BEYOND_MAX), strict=True):
        previous = x[channel, at - 1] if at else before[channel]
        if previous * x[channel, at] < 0 and abs(previous) >= BEFORE_MIN:
            x[channel, at] = np.sign(previous)
    return x


def _unwrapped(blocks: Iterator[Samples]) -> Iterator[Samples]:
    before = None
    for wrapped in blocks:
        x = unwrap(wrapped, np.zeros(len(wrapped), np.float32) if before is None else before)
        before = x[:, -1]
        yield x


def _checksum(reader: MediaReader, subtype: str) -> bytes | None:
    """MD5 of the decoded samples as FLAC counts it, or None if a part of them cannot be decoded."""
    width = {"PCM_S8": 1, "PCM_16": 2, "PCM_24": 3}[subtype]
    found = hashlib.md5(usedforsecurity=False)
    with suppress(require_av(reader.path).error.FFmpegError), reader.container() as (container, stream):
        for frame in container.decode(stream):
            samples = frame.to_ndarray().reshape(-1, 1)  # interleaved, the value in the uppermost bits
            as_bytes = samples.astype(samples.dtype.newbyteorder("<")).view(np.uint8)
            found.update(as_bytes[:, -width:].tobytes())
        return found.digest()
    return None
