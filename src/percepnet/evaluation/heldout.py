"""Held-out mixtures: speech and noise that training never saw, mixed at known signal-to-noise ratios.

The corpus is described by manifests, ``speech.jsonl``, ``noise.jsonl`` and, for reverberation, ``rooms.jsonl``: one
JSON object a line with ``path`` (relative to the manifest), ``source``, ``licence``, ``split``, and ``speaker`` or
``category``. Only what has ``"split": "valid"`` is used. In a room the clean side is what the training aims at: the
first reflections, and a reverberation of at most 200 ms.

What comes out is a folder that ``percepnet evaluate`` reads: ``clean/NAME.wav``, ``noisy/NAME.wav`` and
``mixtures.json``, which says of every mixture what it is made of and under which licences. The same seed and corpus
give the same bytes.

    percepnet heldout --corpus CORPUS -o heldout --pairs 40 --snrs-db 0,5,10,15
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import scipy.signal
import soundfile as sf
import soxr
from numpy.typing import NDArray

from percepnet.acoustics.levels import ACTIVE_DB, active, frame_powers
from percepnet.acoustics.pairs import FRAME_SAMPLES, looped, mix, speech_level_db
from percepnet.acoustics.resampling import resampled
from percepnet.acoustics.rooms import BEFORE_DIRECT_SAMPLES, direct_first, reverberation_time_s, shortened
from percepnet.arrays import Samples
from percepnet.atomic import why
from percepnet.errors import PercepNetError
from percepnet.evaluation.mixtures import RECORD
from percepnet.evaluation.recordings import read_mono
from percepnet.manifest import Row, load_rows
from percepnet.params import SAMPLE_RATE_HZ

Item = TypeVar("Item")

KINDS = ("clean", "noisy")
SPEECH_ACTIVE_MIN = 0.5
NOISE_ACTIVE_DB = 30.0
SECONDS_MIN, SECONDS_MAX = 0.1, 3600
SNR_MAX_DB = 100
LOW_VOICE_HZ = 155.0  # between the voices of men and women
LEVELS_DBFS = (-32.0, -20.0)  # active speech level


def activity(x: Samples, within_db: float) -> float:
    """Share of the frames of 20 ms that are within so much of the loudest; 0 for silence."""
    powers = frame_powers(x, FRAME_SAMPLES)
    return float(np.mean(active(powers, within_db))) if powers.any() else 0.0


def median_f0_hz(x: Samples) -> float:
    """Median fundamental frequency of the voiced frames, roughly: enough to tell low voices from high ones.

    Peak of the autocorrelation of 40 ms frames, divided by that of their window (Boersma 1993); nan where nothing is
    voiced.
    """
    rate_hz, size = 8000, 320
    y = soxr.resample(x, SAMPLE_RATE_HZ, rate_hz)
    frames = np.lib.stride_tricks.sliding_window_view(y, size)[:: size // 2]
    window = np.hanning(size)

    def autocorrelation(frame: NDArray[Any]) -> NDArray[Any]:
        return np.fft.irfft(np.square(np.abs(np.fft.rfft(frame, 2 * size))))[..., : size // 2]

    r = autocorrelation((frames - frames.mean(axis=-1, keepdims=True)) * window)
    loud = r[:, 0] > r[:, 0].max() * 1e-3
    r = r[loud] / np.maximum(r[loud, :1], 1e-20) / (autocorrelation(window) / np.sum(window**2))
    lags = np.arange(rate_hz // 450, rate_hz // 65)
    candidates = r[:, lags]
    peak = candidates.max(axis=-1)
    # The first lag that is nearly as good as the best one: a multiple of the period correlates just as well.
    lag = lags[np.argmax(candidates > 0.95 * peak[:, None], axis=-1)]
    voiced = peak > 0.7
    return float(rate_hz / np.median(lag[voiced])) if voiced.any() else float("nan")


def held_out(path: Path, key: str, also: Sequence[str] = ()) -> list[Row]:
    """The ``valid`` rows of a manifest, and those whose ``key`` fits one of the patterns in ``also``.

    Raises
    ------
    PercepNetError
        If the manifest is missing, a line is not what it should be, or none is held out.
    """
    if not path.is_file():
        raise PercepNetError(f"{path}: no such manifest; --corpus wants a folder with speech.jsonl and noise.jsonl")
    rows = []
    for row in load_rows(path):
        if missing := [field for field in ("split", key) if row.get(field) is None]:
            raise PercepNetError(f"{path}, {row['path']}: needs a {missing[0]}")
        if row["split"] == "valid" or any(fnmatch(row[key], pattern) for pattern in also):
            rows.append(row)
    if not rows:
        raise PercepNetError(f'{path}: nothing is held out, no line has "split": "valid"')
    return rows


def deck(items: Sequence[Item], rng: np.random.Generator) -> Iterator[Item]:
    """Draw for ever, each item once before any comes again."""
    while True:
        yield from (items[i] for i in rng.permutation(len(items)))


class _Speech:
    """Draws low and high voices in turn; of a kind, every speaker before any comes again, and likewise their passages.

    A voice is judged passage by passage: files of plays and language courses hold several people.
    """

    def __init__(self, corpus: Path, samples: int, also: Sequence[str], rng: np.random.Generator) -> None:
        voices: dict[str, dict[str, list[tuple[Row, Samples]]]] = {}
        for row in held_out(corpus / "speech.jsonl", "speaker", also):
            x = resampled(*read_mono(corpus / row["path"]), SAMPLE_RATE_HZ)
            for start in range(0, len(x) - samples + 1, samples):
                passage = x[start : start + samples]
                if (share := activity(passage, ACTIVE_DB)) < SPEECH_ACTIVE_MIN:
                    continue
                if not np.isfinite(f0_hz := median_f0_hz(passage)):
                    continue
                voice = "low" if f0_hz < LOW_VOICE_HZ else "high"
                facts = {"speaker": row["speaker"], "voice": voice, "median_f0_hz": round(f0_hz, 1)}
                place = {"start_s": start / SAMPLE_RATE_HZ, "activity": round(share, 3)}
                passages = voices.setdefault(voice, {}).setdefault(row["speaker"], [])
                passages.append((_credit(row) | facts | place, passage))
        if not voices:
            raise PercepNetError(
                f"{corpus}: no held-out passage of {samples / SAMPLE_RATE_HZ:g} s is speech for half the time"
            )
        self._voices = deck([deck([deck(p, rng) for p in speakers.values()], rng) for speakers in voices.values()], rng)

    def draw(self) -> tuple[Row, Samples]:
        return next(next(next(self._voices)))


class _Noises:
    """Draws every category before any comes again, and likewise the clips of a category."""

    def __init__(self, corpus: Path, samples: int, min_activity: float, rng: np.random.Generator) -> None:
        self._samples = samples
        self._rng = rng
        by_category: dict[str, list[tuple[Row, Samples]]] = {}
        for row in held_out(corpus / "noise.jsonl", "category"):
            x = resampled(*read_mono(corpus / row["path"]), SAMPLE_RATE_HZ)
            if np.any(x) and activity(x, NOISE_ACTIVE_DB) >= min_activity:
                by_category.setdefault(row["category"], []).append((row, x))
        if not by_category:
            raise PercepNetError(
                f"{corpus}: no held-out noise is active {min_activity:.0%} of the time; lower --min-activity"
            )
        self._clips = deck([deck(clips, rng) for clips in by_category.values()], rng)

    def draw(self) -> tuple[Row, Samples]:
        row, x = next(next(self._clips))
        noise = np.zeros(0, np.float32)
        while not np.any(noise):  # of a bark with silence around it
            start = int(self._rng.integers(0, len(x)))
            noise = looped(x, self._samples, start)
        facts = {
            "category": row["category"],
            "url": row.get("url", ""),
            "start_s": round(start / SAMPLE_RATE_HZ, 3),
            "activity": round(activity(x, NOISE_ACTIVE_DB), 3),
        }
        return _credit(row) | facts, noise


class _Rooms:
    """Draws every room before any comes again."""

    def __init__(self, corpus: Path, rng: np.random.Generator) -> None:
        rooms = []
        for row in held_out(corpus / "rooms.jsonl", "path"):
            response = direct_first(resampled(*read_mono(corpus / row["path"]), SAMPLE_RATE_HZ))
            if not np.any(response):
                raise PercepNetError(f"{corpus / row['path']}: is silent, so it is no response of a room: leave it out")
            facts = {"rt60_s": round(reverberation_time_s(response), 2)}
            rooms.append((_credit(row) | facts, response))
        self._rooms = deck(rooms, rng)

    def put_in(self, speech: Samples) -> tuple[Row, Samples, Samples]:
        """The room, the speech as it should be heard, and the speech as it is in the room."""
        row, response = next(self._rooms)
        reference, reverberant = (
            scipy.signal.oaconvolve(speech, room)[BEFORE_DIRECT_SAMPLES:][: len(speech)].astype(np.float32)
            for room in (shortened(response), response)
        )
        return row, reference, reverberant


def _credit(row: Row) -> Row:
    return {key: row.get(key) for key in ("path", "source", "licence", "bandwidth_hz")}


def make_heldout(
    corpus: str | Path,
    out: str | Path,
    *,
    pairs: int = 40,
    snrs_db: Sequence[float] = (0.0, 5.0, 10.0, 15.0),
    crossed: bool = False,
    seconds: float = 8.0,
    min_activity: float = 0.0,
    also_speakers: Sequence[str] = (),
    reverberant_share: float = 0.0,
    seed: int = 0,
    command: str = "",
) -> list[Row]:
    """Make a folder of held-out mixtures, mono, 48 kHz, 16 bit.

    Speakers are drawn low voice and high voice in turn, noises by category: everyone once before anyone comes again.

    Parameters
    ----------
    corpus : path
        Folder with ``speech.jsonl`` and ``noise.jsonl``.
    out : path
        Folder to make; ``clean/``, ``noisy/`` and ``mixtures.json`` are written in it.
    pairs : int
        How many times a passage of speech and a noise are drawn.
    snrs_db : sequence of float
        Signal-to-noise ratios, active speech level over mean noise level.
    crossed : bool
        Mix every pair at all the ratios, instead of one ratio a pair.
    seconds : float
        Length of each mixture.
    min_activity : float
        Leave out noises that are within 30 dB of their loudest 20 ms for less than this share of the time.
    also_speakers : sequence of str
        Patterns (``*`` and ``?``) of speakers to use although the manifest does not hold them out: those that training
        was told to leave out, never others.
    reverberant_share : float
        Of the pairs whose speech is put into a held-out measured room.
    seed : int
        Seed of every draw.
    command : str
        What made the folder; kept in ``mixtures.json`` for reports.

    Returns
    -------
    mixtures : list of dict
        As in ``mixtures.json``: name, snr_db, level_dbfs, speech, noise, and room where there is one.

    Raises
    ------
    PercepNetError
        If the corpus holds no usable held-out speech or noise, or a file of it cannot be read; if there is a set in the
        folder, or it cannot be written. Then nothing is left in it.
    """
    corpus, out = Path(corpus), Path(out)
    if pairs < 1 or not SECONDS_MIN <= seconds <= SECONDS_MAX or not snrs_db:
        raise PercepNetError(
            f"a held-out set needs at least one pair, one signal-to-noise ratio, and {SECONDS_MIN} to {SECONDS_MAX} s"
        )
    if not all(abs(snr_db) <= SNR_MAX_DB for snr_db in snrs_db):
        raise PercepNetError(f"signal-to-noise ratios must be from -{SNR_MAX_DB} to {SNR_MAX_DB} dB")
    if crossed and len(set(snrs_db)) != len(snrs_db):
        raise PercepNetError("a signal-to-noise ratio is there twice: give each once")
    if seed < 0:
        raise PercepNetError(f"the seed is {seed}; it must be 0 or more")
    samples = round(seconds * SAMPLE_RATE_HZ)
    if not 0 <= reverberant_share <= 1:
        raise PercepNetError(f"the reverberant share is {reverberant_share}; it must be from 0 to 1")
    rng = np.random.default_rng(seed)
    passages, noises = _Speech(corpus, samples, also_speakers, rng), _Noises(corpus, samples, min_activity, rng)
    ratios = deck(list(snrs_db), rng)
    # draws of their own, so that the same seed without rooms gives the same mixtures
    room_rng = np.random.default_rng([seed, 1])
    rooms = _Rooms(corpus, room_rng) if reverberant_share > 0 else None
    mixtures = []
    with _appearing_whole(out) as place:
        for kind in KINDS:
            (place / kind).mkdir()
        for pair in range(pairs):
            (speech_row, speech), (noise_row, noise) = passages.draw(), noises.draw()
            level_dbfs = float(rng.uniform(*LEVELS_DBFS))
            reference, room_row = speech, None
            if rooms is not None and room_rng.random() < reverberant_share:
                room_row, reference, speech = rooms.put_in(speech)
            for snr_db in snrs_db if crossed else (next(ratios),):
                name = f"{pair:03d}_{_in_a_name(noise_row['category'])}_{speech_row['voice']}_{snr_db:g}dB"
                name += "_room" if room_row else ""
                clean, noisy = mix(speech, noise, snr_db, level_dbfs, reference)
                sf.write(place / "clean" / f"{name}.wav", clean, SAMPLE_RATE_HZ, subtype="PCM_16")
                sf.write(place / "noisy" / f"{name}.wav", noisy, SAMPLE_RATE_HZ, subtype="PCM_16")
                level = {"snr_db": float(snr_db), "level_dbfs": round(speech_level_db(clean), 2)}
                sources = {"speech": speech_row, "noise": noise_row} | ({"room": room_row} if room_row else {})
                mixtures.append({"name": name} | level | sources)
        record = {
            "seed": seed,
            "seconds": seconds,
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "min_activity": min_activity,
            "command": command,
            "mixtures": mixtures,
        }
        (place / RECORD).write_text(
            json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", errors="replace"
        )
    return mixtures


@contextmanager
def _appearing_whole(out: Path) -> Iterator[Path]:
    """A folder to write a set into, whose contents lie in `out` when all went well, and nowhere otherwise."""
    if there := [out / name for name in (*KINDS, RECORD) if (out / name).exists()]:
        raise PercepNetError(f"{there[0]}: is there already: give another folder, or remove the set that it is of")
    is_new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=".percepnet-", dir=out))
        try:
            yield place
            for path in sorted(place.iterdir()):
                os.replace(path, out / path.name)
        finally:
            shutil.rmtree(place, ignore_errors=True)
            if is_new and not any(out.iterdir()):
                out.rmdir()
    except sf.LibsndfileError as error:
        raise PercepNetError(f"{out}: cannot be written ({error.error_string})") from error
    except OSError as error:
        raise PercepNetError(f"{out}: cannot be written ({why(error)})") from error


def _in_a_name(category: str) -> str:
    """A category as a part of a file's name: a folder of noises may lie below another, as in "music/ambient"."""
    return re.sub(r"[^\w.+-]+", "-", category)
