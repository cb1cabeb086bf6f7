"""A recording of what a loudspeaker played, laid beside one of a microphone: same rate, same length, same time.

The echo canceller finds delays of up to half a second by itself. Two files need not begin together: their offset is
found by correlating all of both, by phases alone, and the far end is moved until the canceller can find the rest.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from percepnet.arrays import Samples
from percepnet.audio import open_audio
from percepnet.audio.reader import AudioReader
from percepnet.errors import AudioError
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.reference.resample import Resampler, half_width_samples

CORRELATED_S = 180  # of both, from their beginning
CORRELATED_HZ = 4000  # about: milliseconds are found by the canceller
BAND_HZ = (200.0, 1500.0)
PEAK_MIN = 60.0  # square of the highest correlation over their mean square; of noise it is about 30
KEPT_S = 0.4  # so much of an offset is left to the canceller
LEFT_S = 0.1  # and of a larger one so much
SILENCE = 1e-6  # -120 dBFS


class FarEnd(NamedTuple):
    """What a loudspeaker played, as long as the recording of the microphone asks for it.

    Attributes
    ----------
    samples : np.ndarray [shape=(n,), dtype=float32]
        At the rate of the microphone's recording, moved to where its echo is.
    offset_s : float or None
        By which the echo comes later in the one file than in the other; None if none was found.
    notes : list of str
        What its user should know.
    """

    samples: Samples
    offset_s: float | None
    notes: list[str]

    def line(self) -> str:
        """What was found, for a line of results."""
        if self.offset_s is None:
            return "; no echo of the far end found"
        where = "before" if self.offset_s < 0 else "after"
        return f"; echo found {1000 * abs(self.offset_s):.0f} ms {where} the far end"

    def part(self, start: int, samples: int) -> Samples:
        """A stretch of it, and silence where it is over."""
        found = self.samples[start : start + samples]
        return np.concatenate([found, np.zeros(samples - len(found), np.float32)])


def far_end_of(path: Path, near: AudioReader) -> FarEnd:
    """Read a far end, and lay it beside the recording of a microphone.

    Parameters
    ----------
    path : Path
    near : AudioReader
        Which is read from its start, once.

    Returns
    -------
    FarEnd

    Raises
    ------
    AudioError
        If it cannot be read, or is the recording itself.
    """
    rate_hz = near.info.sample_rate_hz
    with open_audio(path) as reader:
        channels, source_hz = reader.info.channels, reader.info.sample_rate_hz
        far = _mono(reader)
    notes = []
    if channels > 1:
        notes.append(f"far end: the mean of its {channels} channels is taken")
    if source_hz != rate_hz:
        notes.append(f"far end: converted from {source_hz} to {rate_hz} Hz")
        far = converted(far, source_hz, rate_hz)
    if not far.size or np.abs(far).max() < SILENCE:
        return FarEnd(np.zeros_like(far), None, [*notes, "far end: silent, so nothing is cancelled"])
    mono = _mono(near)
    if np.array_equal(mono, far):
        raise AudioError(f"{path}: is the recording itself: give what the loudspeaker played")
    if round(abs(len(mono) - len(far)) / rate_hz, 2):
        longer = "longer than the recording, and cut" if len(far) > len(mono) else "shorter, and silent behind its end"
        notes.append(f"far end: {abs(len(mono) - len(far)) / rate_hz:.2f} s {longer}")
    offset = offset_samples(mono, far, rate_hz)
    if offset is None:
        notes.append("far end: none of it is heard in the recording")
        return FarEnd(far, None, notes)
    return FarEnd(_moved(far, offset, rate_hz), offset / rate_hz, notes)


def offset_samples(near: Samples, far: Samples, rate_hz: int) -> int | None:
    """By how much later the echo of a far end comes in a recording than the far end in its own.

    Parameters
    ----------
    near, far : np.ndarray [shape=(n,), dtype=float32]
    rate_hz : int

    Returns
    -------
    int or None
        In samples, within a millisecond; negative if it comes earlier. None where nothing stands out.
    """
    factor = max(1, round(rate_hz / CORRELATED_HZ))
    low = [_means(x[: CORRELATED_S * rate_hz], factor) for x in (near, far)]
    size = 1 << (len(low[0]) + len(low[1])).bit_length()
    hz = np.fft.rfftfreq(size, factor / rate_hz)
    cross = np.fft.rfft(low[0], size) * np.conj(np.fft.rfft(low[1], size))
    cross = np.where((hz >= BAND_HZ[0]) & (hz <= BAND_HZ[1]), cross / (np.abs(cross) + 1e-12), 0)
    correlation = np.fft.irfft(cross) ** 2
    at = int(correlation.argmax())
    if correlation[at] < PEAK_MIN * correlation.mean():
        return None
    return factor * (at if at < size // 2 else at - size)


def _mono(reader: AudioReader) -> Samples:
    """All of a recording: the mean of its channels."""
    return np.concatenate([np.zeros(0, np.float32), *(block.mean(axis=0) for block in reader.blocks())])


def _means(x: Samples, factor: int) -> Samples:
    whole = x[: len(x) // factor * factor]
    return np.asarray(whole.reshape(-1, factor).mean(axis=1), np.float32)


def _moved(far: Samples, offset: int, rate_hz: int) -> Samples:
    """Later or earlier, until the canceller finds its echo; or as it is, where it does so anyway."""
    if 0 <= offset <= KEPT_S * rate_hz:
        return far
    by = offset - round(LEFT_S * rate_hz)
    return np.concatenate([np.zeros(by, np.float32), far]) if by > 0 else far[-by:]


def converted(x: Samples, source_hz: int, target_hz: int) -> Samples:
    """Another sample rate, not delayed.

    Parameters
    ----------
    x : np.ndarray [shape=(n,), dtype=float32]
    source_hz, target_hz : int

    Returns
    -------
    np.ndarray [shape=(n * target_hz / source_hz, rounded,), dtype=float32]
    """
    for rates in ((source_hz, SAMPLE_RATE_HZ), (SAMPLE_RATE_HZ, target_hz)):
        if rates[0] != rates[1]:
            x = _converted(x, *rates)
    return x


def _converted(x: Samples, source_hz: int, target_hz: int) -> Samples:
    """One of the two rates is 48 kHz; a second at a time, whose gathered windows fit into memory."""
    other_hz = source_hz if target_hz == SAMPLE_RATE_HZ else target_hz
    late = round(half_width_samples(other_hz) * target_hz / SAMPLE_RATE_HZ)  # to less than half a sample
    wanted = round(len(x) * target_hz / source_hz)
    x = np.concatenate([x, np.zeros(-(-late * source_hz // target_hz) + 2 * source_hz, np.float32)])
    resampler = Resampler(source_hz, target_hz, 1)
    parts = []
    for second in range(-(-(wanted + late) // target_hz)):
        parts.append(resampler.process(x[None, second * source_hz : (second + 1) * source_hz], target_hz)[0])
    return np.concatenate([np.zeros(0, np.float32), *parts])[late : late + wanted]
