"""What can be heard and seen in a report: a few recordings, the worst and the best, as every system leaves them."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import soundfile

from percepnet.arrays import Samples
from percepnet.errors import PercepNetError
from percepnet.evaluation.comparison import Comparison
from percepnet.evaluation.recordings import read_recording
from percepnet.metrics.score import Scores
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.plot import Spectrogram, over_erb
from percepnet.systems.register import Register
from percepnet.systems.run import run_system
from percepnet.systems.system import OWN_SYSTEM, REFERENCE_SYSTEM

CLEAN = "clean"
RANKED_BY = ("pesq_wb", "dnsmos_ovrl", "si_sdr_db", "srmr")
SECONDS_MAX = 20.0
LOSSLESS_BYTES_MAX = 12_000_000  # of all sound in a page; more is coded with loss
PICTURE_COLUMNS, PICTURE_ROWS = 640, 120
PICTURE_COLOURS = 64
PICTURE_WINDOW_S = 0.04  # harmonics of low voices stand apart
LEVEL_RANGE_DB = 80.0


class Track(NamedTuple):
    """One system in a recording.

    Attributes
    ----------
    audio : bytes
        A file of the type `mime`.
    picture : bytes
        Its spectrogram, a PNG file.
    """

    system: str
    audio: bytes
    mime: str
    picture: bytes
    scores: Scores


class Clip(NamedTuple):
    """A recording with its tracks.

    Attributes
    ----------
    rank : str
        "worst", "best" or, where all recordings are heard, empty.
    gain : float
        By which the system of interest raised `measure`; nan where it is not known.
    duration_s : float
        Of what is heard, at most 20 s.
    """

    name: str
    rank: str
    measure: str
    gain: float
    snr_db: float | None
    noise: str
    duration_s: float
    tracks: list[Track]


def choose_clips(comparison: Comparison, count: int) -> tuple[str, str, list[tuple[str, str, float]]]:
    """The recordings to hear: the worst half first, then the best, by what the system of interest gained.

    Parameters
    ----------
    comparison : Comparison
    count : int
        At most so many.

    Returns
    -------
    system, measure : str
        By which they are ordered.
    chosen : list of (name, rank, gain)
    """
    others = [system for system in comparison.systems if system != REFERENCE_SYSTEM]
    system = OWN_SYSTEM if OWN_SYSTEM in others else (others or [REFERENCE_SYSTEM])[0]
    measure = next((name for name in RANKED_BY if name in comparison.measures), "")
    gains = np.full(len(comparison.names), np.nan)
    if measure:
        gains = comparison.values(system, measure) - comparison.values(REFERENCE_SYSTEM, measure)
    ordered = [(comparison.names[i], float(gains[i])) for i in np.argsort(gains, kind="stable")]  # nan at the end
    count = max(0, count)
    if len(ordered) <= count:
        return system, measure, [(name, "", gain) for name, gain in ordered]
    known = [entry for entry in ordered if math.isfinite(entry[1])] or ordered
    worst = min(-(-count // 2), len(known))
    best = min(count - worst, len(known) - worst)
    chosen = [(name, "worst", gain) for name, gain in known[:worst]]
    chosen += [(name, "best", gain) for name, gain in reversed(known[len(known) - best :])]
    return system, measure, chosen


def make_clips(comparison: Comparison, register: Register, count: int) -> list[Clip]:
    """Sound and pictures of the recordings that `choose_clips` chooses."""
    _, measure, chosen = choose_clips(comparison, count)
    heard = [(entry, sounds) for entry in chosen if (sounds := _sounds(comparison, register, entry[0]))]
    scores: dict[str, dict[str, Scores]] = {}
    for row in comparison.rows:
        scores.setdefault(row.name, {})[row.system] = row.scores
    tracks = make_tracks([(sounds, scores.get(name, {})) for (name, _, _), sounds in heard])
    clips = []
    for ((name, rank, gain), sounds), tracks_of_it in zip(heard, tracks, strict=True):
        recording = comparison.recordings[name]
        duration_s = len(next(iter(sounds.values()))) / SAMPLE_RATE_HZ
        clips.append(Clip(name, rank, measure, gain, recording.snr_db, recording.noise, duration_s, tracks_of_it))
    return clips


def make_tracks(recordings: Sequence[tuple[Mapping[str, Samples], Mapping[str, Scores]]]) -> list[list[Track]]:
    """Files and pictures of all that can be heard in a page, without loss unless that would be too large.

    Parameters
    ----------
    recordings : sequence of (sounds, scores)
        By system; sounds are np.ndarray [shape=(n,)] at 48 kHz. A system may lack scores.

    Returns
    -------
    list of list of Track
        Of each recording; its pictures share one scale of level.
    """
    audio, mime = [{system: _encoded(x, "FLAC") for system, x in sounds.items()} for sounds, _ in recordings], "flac"
    if sum(len(file) for files in audio for file in files.values()) > LOSSLESS_BYTES_MAX:
        audio, mime = [{system: _encoded(x, "OGG") for system, x in sounds.items()} for sounds, _ in recordings], "ogg"
    tracks = []
    for (sounds, scores), files in zip(recordings, audio, strict=True):
        levels = {system: _levels_db(x) for system, x in sounds.items()}
        top_db = max(float(level.max()) for level in levels.values())
        tracks.append(
            [Track(s, files[s], f"audio/{mime}", _picture(levels[s], top_db), scores.get(s, {})) for s in sounds]
        )
    return tracks


def _sounds(comparison: Comparison, register: Register, name: str) -> dict[str, Samples]:
    """What each system makes of a recording, noisy first and clean last; without those that fail on it."""
    samples = round(SECONDS_MAX * SAMPLE_RATE_HZ)
    scored = {row.system for row in comparison.rows if row.name == name}
    sounds = {}
    try:
        clean, noisy = read_recording(comparison.recordings[name])
    except PercepNetError:  # it was there when it was scored
        return {}
    for system in comparison.systems:
        if system not in scored:
            continue
        try:
            process = register.start(system)
            sounds[system] = run_system(process, noisy[:samples], None if clean is None else clean[:samples]).y
        except PercepNetError:
            continue
    if clean is not None:
        sounds[CLEAN] = clean[:samples]
    return sounds


def _encoded(x: Samples, container: str) -> bytes:
    file = io.BytesIO()
    subtype = "PCM_16" if container == "FLAC" else "OPUS"
    soundfile.write(file, np.clip(x, -1.0, 1.0), SAMPLE_RATE_HZ, format=container, subtype=subtype)
    return file.getvalue()


def _levels_db(x: Samples) -> Samples:
    """Spectrogram on the scale of hearing, high frequencies first [shape=(rows, columns)]."""
    spectrogram = Spectrogram(SAMPLE_RATE_HZ, len(x), PICTURE_WINDOW_S)
    spectrogram.add(x[None])
    spectrogram.finish()
    power = over_erb(10 ** (spectrogram.power_db() / 10), PICTURE_ROWS, SAMPLE_RATE_HZ / 2)[::-1]
    levels = 10 * np.log10(power + 1e-20)
    columns = min(PICTURE_COLUMNS, levels.shape[1])
    edges = np.linspace(0, levels.shape[1], columns + 1).astype(int)
    return (np.add.reduceat(levels, edges[:-1], axis=1) / np.diff(edges)).astype(np.float32)


def _picture(levels_db: Samples, top_db: float) -> bytes:
    import matplotlib
    from PIL import Image

    shares = np.clip((levels_db - top_db) / LEVEL_RANGE_DB + 1, 0.0, 1.0)
    picture = Image.fromarray(np.rint(shares * (PICTURE_COLOURS - 1)).astype(np.uint8), "P")
    colours = matplotlib.colormaps["magma"](np.linspace(0, 1, PICTURE_COLOURS))[:, :3]
    picture.putpalette(np.rint(255 * colours).astype(np.uint8).tobytes())
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return file.getvalue()
