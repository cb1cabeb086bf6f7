"""Simulated rooms with a talker, noise and an array of microphones, drawn from a seed.

Rooms are boxes by the image method (pyroomacoustics), and their reverberation is measured (T30), as the formula that
walls are chosen by misses what is wished for. Noise is one source in the room, or comes from all directions: plane
waves of a sphere, each another stretch of recordings of one kind. Each microphone has a noise of its own.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyroomacoustics
import scipy.signal
import soundfile

from percepnet.acoustics.levels import active_rms
from percepnet.acoustics.pairs import looped, speech_level_db
from percepnet.acoustics.resampling import resampled
from percepnet.arrays import Array, Samples
from percepnet.manifest import read_manifest
from percepnet.params import SAMPLE_RATE_HZ

SPEED_M_S = 343.0
EARLY_S = 0.05  # of reflections that stay in the target
T30_S = (0.2, 0.6)
SNR_DB = (-5.0, 10.0)
APERTURE_M = (0.05, 0.30)
GEOMETRIES = ("linear", "circular", "random")
MICROPHONES = (2, 4, 8)
NOISES = ("point", "diffuse")
SELF_NOISE_DB = -45.0  # below the speech: 20 dB(A) for a voice of 65 dB
LEVEL_DBFS = -29.0
PLANE_WAVES = 32
BETWEEN_DEGREES = 30.0  # talker and the source of noise, seen from the array
EDGE_M = 0.5  # of everything to the walls
Recordings = dict[str, list[Path]]  # by category
RIR_OFFSET_SAMPLES = pyroomacoustics.constants.get("frac_delay_length") // 2  # that pyroomacoustics adds


@dataclass(frozen=True)
class Scene:
    """What an array hears, and what it should make of it.

    Attributes
    ----------
    microphones, targets : np.ndarray [shape=(channels, n)]
        At 48 kHz. The target of a microphone is the direct sound and 50 ms of reflections there.
    speech, noise : np.ndarray [shape=(channels, n)]
        What the microphones are the sum of.
    positions_m : np.ndarray [shape=(channels, 3)]
    towards : np.ndarray [shape=(3,)]
        Direction of the talker, from the middle of the array, of length 1.
    distance_m, t30_s, snr_db : float
    geometry, noise_kind : str
    """

    microphones: Samples
    targets: Samples
    speech: Samples
    noise: Samples
    positions_m: Array
    towards: Array
    distance_m: float
    t30_s: float
    snr_db: float
    geometry: str
    noise_kind: str


def recordings(place: Path, split: str) -> Recordings:
    """Files of a folder, or of one split of a manifest, by their category ("" where there is none)."""
    if place.suffix == ".jsonl":
        found: Recordings = {}
        for path, entry in read_manifest(place):
            if entry.split == split:
                found.setdefault(entry.category or "", []).append(path)
        if not found:
            raise SystemExit(f"{place}: has no recording of the split {split!r}: give another --split")
        return found
    return {"": sorted(path for path in place.rglob("*") if path.suffix in (".flac", ".wav", ".opus", ".ogg"))}


def read(path: Path) -> Samples:
    x, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = np.ascontiguousarray(x[:, 0])
    return mono if rate_hz == SAMPLE_RATE_HZ else resampled(mono, rate_hz, SAMPLE_RATE_HZ)


def scene(speech: Recordings, noise: Recordings, seed: int, number: int, seconds: float) -> Scene:
    """Scene of a number: number of microphones, kind of noise and geometry come in turn, the rest is drawn."""
    rng = np.random.default_rng([seed, number])
    channels = MICROPHONES[number % 3]
    noise_kind = NOISES[number // 3 % 2]
    geometry = GEOMETRIES[number // 6 % 3]
    samples = round(seconds * SAMPLE_RATE_HZ)
    size_m = rng.uniform((3.0, 3.0, 2.4), (7.0, 6.0, 3.2))
    offsets_m = _array(rng, channels, geometry)
    while True:
        centre = rng.uniform(EDGE_M + APERTURE_M[1] / 2, size_m - EDGE_M - APERTURE_M[1] / 2)
        centre[2] = rng.uniform(0.7, 1.5)
        talker, source = (_near(rng, centre, size_m, low, high) for low, high in ((0.5, 2.0), (1.0, 4.0)))
        if talker is not None and source is not None and _degrees(talker - centre, source - centre) > BETWEEN_DEGREES:
            break
    positions = centre + offsets_m
    responses, t30_s = _responses(rng, size_m, positions, [talker, source])
    dry = _speech(rng, speech, samples)
    early = [_early(h, float(np.linalg.norm(p - talker))) for h, p in zip(responses[0], positions, strict=True)]
    heard, targets = (np.stack([_through(dry, h) for h in those]) for those in (responses[0], early))
    category = sorted(noise)[int(rng.integers(len(noise)))]
    if noise_kind == "point":
        clip = _noise(rng, noise[category], samples)
        noises = np.stack([_through(clip, h) for h in responses[1]])
    else:
        noises = _diffuse(rng, noise[category], offsets_m, samples)
    snr_db = float(rng.uniform(*SNR_DB))
    gain = 10 ** ((LEVEL_DBFS - speech_level_db(heard[0])) / 20)
    noise_db = 10 * np.log10(np.mean(np.square(noises[0], dtype=np.float64)) + 1e-20)
    noises = noises * 10 ** ((LEVEL_DBFS - snr_db - noise_db) / 20)
    noises = noises + rng.standard_normal(noises.shape) * 10 ** ((LEVEL_DBFS + SELF_NOISE_DB) / 20)
    heard, targets, noises = (
        (factor * x).astype(np.float32) for factor, x in ((gain, heard), (gain, targets), (1, noises))
    )
    towards = (talker - centre) / np.linalg.norm(talker - centre)
    return Scene(
        heard + noises, targets, heard, noises, offsets_m, towards, float(np.linalg.norm(talker - centre)),
        t30_s, snr_db, geometry, noise_kind,
    )  # fmt: skip


def _array(rng: np.random.Generator, channels: int, geometry: str) -> Array:
    """Positions around the middle, of a random aperture and in a random direction."""
    aperture_m = rng.uniform(*APERTURE_M)
    turn = rng.uniform(0, 2 * np.pi)
    if geometry == "random":
        places = rng.uniform(-0.5, 0.5, (channels, 3))
        widest = max(np.linalg.norm(a - b) for a in places for b in places)
        return np.asarray((places - places.mean(axis=0)) * aperture_m / widest)
    if geometry == "linear":
        along = np.linspace(-0.5, 0.5, channels) * aperture_m
        return np.stack([along * np.cos(turn), along * np.sin(turn), np.zeros(channels)], axis=1)
    angles = turn + 2 * np.pi * np.arange(channels) / channels
    return np.stack([np.cos(angles), np.sin(angles), np.zeros(channels)], axis=1) * aperture_m / 2


def _near(rng: np.random.Generator, centre: Array, size_m: Array, low_m: float, high_m: float) -> Array | None:
    """A place at such a distance, or None where it would be in a wall."""
    angle = rng.uniform(0, 2 * np.pi)
    place = centre + rng.uniform(low_m, high_m) * np.array([np.cos(angle), np.sin(angle), 0.0])
    place[2] = rng.uniform(1.1, 1.8)
    return place if np.all((place > EDGE_M) & (place < size_m - EDGE_M)) else None


def _degrees(a: Array, b: Array) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))


def _responses(
    rng: np.random.Generator, size_m: Array, positions: Array, sources: list[Array]
) -> tuple[list[list[Array]], float]:
    """Responses of each source at each microphone, and T30 of the first, which is within its bounds."""
    wish_s = rng.uniform(*T30_S)
    asked_s = wish_s
    for _ in range(6):
        absorption, order = pyroomacoustics.inverse_sabine(asked_s, size_m)
        room = pyroomacoustics.ShoeBox(
            size_m,
            fs=SAMPLE_RATE_HZ,
            materials=pyroomacoustics.Material(min(absorption, 0.99)),
            max_order=min(order, 60),
        )
        room.add_microphone_array(positions.T)
        for source in sources:
            room.add_source(source)
        room.compute_rir()
        t30_s = float(pyroomacoustics.experimental.measure_rt60(room.rir[0][0], SAMPLE_RATE_HZ, decay_db=30))
        if abs(t30_s / wish_s - 1) < 0.1 and T30_S[0] <= t30_s <= T30_S[1]:
            break
        asked_s *= wish_s / t30_s
    return [[room.rir[m][s] for m in range(len(positions))] for s in range(len(sources))], t30_s


def _early(response: Array, distance_m: float) -> Array:
    direct = round(distance_m / SPEED_M_S * SAMPLE_RATE_HZ) + RIR_OFFSET_SAMPLES
    return response[: direct + round(EARLY_S * SAMPLE_RATE_HZ)]


def _through(x: Samples, response: Array) -> Array:
    return np.asarray(scipy.signal.fftconvolve(x, response)[: len(x)])


def _speech(rng: np.random.Generator, files: Recordings, samples: int) -> Samples:
    """A stretch of one talker, in which there is speech."""
    paths = [path for those in files.values() for path in those]
    while True:
        x = read(paths[int(rng.integers(len(paths)))])
        start = int(rng.integers(max(1, len(x) - samples)))
        x = looped(x, samples, start) if len(x) < samples else x[start : start + samples]
        if active_rms(x) > 1e-3:
            return x


def _noise(rng: np.random.Generator, paths: list[Path], samples: int) -> Samples:
    while True:
        x = read(paths[int(rng.integers(len(paths)))])
        y = looped(x, samples, int(rng.integers(len(x))))
        if np.sqrt(np.mean(y**2)) > 1e-4:
            return np.asarray(y)


def _diffuse(rng: np.random.Generator, paths: list[Path], positions: Array, samples: int) -> Array:
    """Plane waves from all of a sphere."""
    hz = np.fft.rfftfreq(2 * samples, 1 / SAMPLE_RATE_HZ)
    sum_of_all = np.zeros((len(positions), len(hz)), complex)
    for _ in range(PLANE_WAVES):
        direction = rng.standard_normal(3)
        lead_s = positions @ (direction / np.linalg.norm(direction)) / SPEED_M_S
        x = _noise(rng, paths, samples)
        wave = np.fft.rfft(x / np.sqrt(np.mean(x**2)), 2 * samples)
        sum_of_all += wave * np.exp(2j * np.pi * hz * lead_s[:, None])
    return np.fft.irfft(sum_of_all, 2 * samples)[:, :samples]
