"""What kind of recording it is, from excerpts: a microphone a channel or a stereo image, speech or music."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from percepnet.arrays import Samples

EXCERPTS, EXCERPT_S = 20, 1.5
_WINDOW_S = 0.064
_ACTIVE_DB = 25.0  # below the loudest frames
_SEGMENT = 8  # frames over which a coherence is estimated
_LOW_COHERENCE = 0.35
_TOGETHER = 0.6
_APART_DB = 9.0
_SHARE = 0.6


@dataclass(frozen=True)
class Content:
    """What excerpts say of a recording.

    Attributes
    ----------
    independent : bool
        Whether the channels are microphones of their own, rather than one image.
    apart : float
        Share of the active frames in which the channels have little in common.
    music : bool
        Whether it looks like music.
    tonality : float
        What that was decided by.
    """

    independent: bool
    apart: float
    music: bool
    tonality: float


def look_into(excerpts: Iterable[Samples], sample_rate_hz: int) -> Content:
    """Decide from excerpts.

    Parameters
    ----------
    excerpts : iterable of np.ndarray [shape=(channels, n)]
    sample_rate_hz : int
    """
    apart: list[float] = []
    tones: list[float] = []
    for x in excerpts:
        if x.shape[0] > 1:
            apart += _apart(x, sample_rate_hz)
        tones += _tonality(x.mean(axis=0), sample_rate_hz)
    share = float(np.mean(apart)) if apart else 0.0
    tonality = float(np.median(tones)) if tones else 0.0
    return Content(share > _SHARE, share, tonality > MUSIC_TONALITY, tonality)


def _spectra(x: Samples, sample_rate_hz: int) -> npt.NDArray[np.complex64]:
    """Spectra of half-overlapping windows [shape=(channels, frames, bins)], between 100 Hz and 4 kHz."""
    size = round(sample_rate_hz * _WINDOW_S / 2) * 2
    if x.shape[1] < size:
        return np.zeros((x.shape[0], 0, 0), np.complex64)
    frames = np.lib.stride_tricks.sliding_window_view(x, size, axis=1)[:, :: size // 2]
    low, high = round(100 * size / sample_rate_hz), round(4000 * size / sample_rate_hz)
    return np.fft.rfft(frames * np.hanning(size).astype(np.float32), axis=2)[..., low:high].astype(np.complex64)


def _apart(x: Samples, sample_rate_hz: int) -> list[float]:
    """For each stretch in which someone speaks: 1 if no pair of channels shares it, and 0 if one does.

    Channels share a stretch when they are about as loud as each other, and either coherent or, as reverberation undoes
    coherence, rise and fall together. A voice that reaches another's microphone does so too, but is far softer there.
    """
    spectra = _spectra(x, sample_rate_hz)
    count = spectra.shape[1] // _SEGMENT
    if not count:
        return []
    envelopes = np.log10(np.square(np.abs(spectra)).sum(axis=2) + 1e-9)
    spectra = spectra[:, : count * _SEGMENT].reshape(spectra.shape[0], count, _SEGMENT, -1)
    power = np.square(np.abs(spectra)).sum(axis=2)  # (channels, stretches, bins)
    level = power.sum(axis=2)
    loudest = level.max(axis=0)
    active = loudest > loudest.max() * 10 ** (-_ACTIVE_DB / 10)
    shared = np.zeros(count, bool)
    dominant = level.argmax(axis=0)
    for first in range(spectra.shape[0]):
        for second in range(first):
            either = (dominant == first) | (dominant == second)
            cross = np.abs((spectra[first] * spectra[second].conj()).sum(axis=1)) ** 2
            weight = np.maximum(power[first], power[second])
            coherence = cross / np.maximum(power[first] * power[second], 1e-20)
            mean = (coherence * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-20)
            ratio_db = 10 * np.abs(np.log10((level[first] + 1e-12) / (level[second] + 1e-12)))
            together = _correlation(envelopes[first], envelopes[second]) > _TOGETHER
            shared |= either & ((mean > _LOW_COHERENCE) | together) & (ratio_db < _APART_DB)
    return [float(not value) for value in shared[active]]


def _correlation(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> float:
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / max(1e-12, float(np.sqrt((x * x).sum() * (y * y).sum()))))


MUSIC_TONALITY = 0.35
_MUSIC_WINDOW_S = 0.093
_STABLE_FRAMES = 9


def _tonality(x: npt.NDArray[np.float32], sample_rate_hz: int) -> list[float]:
    """For an excerpt: the share of its loud spectral peaks that stay where they are for over 0.4 s.

    Tones of music are held and start on a grid of pitches; those of speech glide. Steady hum is not counted: a peak
    that lasts through the whole excerpt is none of a melody.
    """
    size = round(sample_rate_hz * _MUSIC_WINDOW_S / 2) * 2
    hop = size // 2
    if len(x) < size * 8:
        return []
    frames = np.lib.stride_tricks.sliding_window_view(x, size)[::hop]
    level = np.log10(np.square(np.abs(np.fft.rfft(frames * np.hanning(size)))) + 1e-12)
    high = round(4000 * size / sample_rate_hz)
    level = level[:, 5:high]
    if level.max() < -4:
        return []
    width = 10
    padded = np.pad(level, ((0, 0), (width, width)), mode="edge")
    local = np.lib.stride_tricks.sliding_window_view(padded, 2 * width + 1, axis=1).mean(axis=2)
    peaks = (level > local + 0.8) & (level > level.max() - 4.5)
    peaks[:, 1:-1] &= (level[:, 1:-1] >= level[:, :-2]) & (level[:, 1:-1] >= level[:, 2:])
    near = peaks.copy()
    near[:, 1:] |= peaks[:, :-1]
    near[:, :-1] |= peaks[:, 1:]
    run = np.zeros(near.shape, int)
    for index in range(len(near)):
        run[index] = np.where(near[index], (run[index - 1] if index else 0) + 1, 0)
    for index in range(len(near) - 2, -1, -1):
        run[index] = np.where(near[index] & near[index + 1], run[index + 1], run[index])
    held = peaks & (run >= _STABLE_FRAMES) & (run < len(near) - 1)
    changing = peaks & (run < len(near) - 1)
    total = int(changing.sum())
    return [float(held.sum()) / total] if total > 2 * len(near) else [0.0]
