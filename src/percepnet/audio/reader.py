"""Audio files in, block by block, so that memory does not grow with their length: what all of them promise."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from percepnet.arrays import Samples, check_finite
from percepnet.audio.info import AudioInfo
from percepnet.errors import AudioError
from percepnet.live_stream import WHOLE_ADVICE

BLOCK_VALUES_MAX = 1 << 22  # of all channels in a block, however many there are


class AudioReader:
    """An open audio file; made by `open_audio`.

    Attributes
    ----------
    info : AudioInfo
    notes : list of str
        What was found and mended, in words; grows while blocks are read.
    """

    def __init__(self, path: Path, info: AudioInfo, notes: Sequence[str] = (), *, salvage: bool = False) -> None:
        self.path = path
        self.info = info
        self.notes = list(notes)
        self.salvage = salvage
        self.frames_read = 0

    def blocks(self, seconds: float = 1) -> Iterator[Samples]:
        """The recording from its start, in blocks.

        Parameters
        ----------
        seconds : float
            Length of a block; of many channels it is less.

        Yields
        ------
        np.ndarray [shape=(channels, n)]

        Raises
        ------
        AudioError
            If the file ends early, cannot be decoded or holds NaN or infinity, with the position in seconds.
        """
        rate_hz = self.info.sample_rate_hz
        block_samples = max(1, min(round(seconds * rate_hz), BLOCK_VALUES_MAX // self.info.channels))
        self.frames_read = 0
        for x in self._decoded(block_samples):
            try:
                check_finite(x, start_samples=self.frames_read, sample_rate_hz=rate_hz, advice=WHOLE_ADVICE)
            except AudioError as error:
                raise AudioError(f"{self.path}: {error}") from error
            self.frames_read += x.shape[1]
            yield x
        if self.frames_read == 0:
            raise AudioError(f"{self.path}: holds no samples")

    def excerpts(self, count: int, seconds: float) -> Iterator[Samples]:
        """Short stretches, spread over the recording, to decide something from; the first ones where it cannot seek."""
        raise NotImplementedError

    def _decoded(self, block_samples: int) -> Iterator[Samples]:
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the file."""

    def _stopped(self, message: str) -> None:
        """A file that ends, or cannot be decoded, before its end: refused, or taken as far as it goes."""
        if not self.salvage or self.frames_read == 0:
            raise AudioError(f"{self.path}: {message}")
        self.notes.append(f"{message}: what is there was taken")
