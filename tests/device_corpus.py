"""A few seconds of speech, noise and rooms in files, for tests of what is made on a device."""

from pathlib import Path

import numpy as np
import soundfile

from percepnet.training.corpus import find_clips
from percepnet.training.features import Recordings
from voices import RATE_HZ, glide


def write_corpus(folder: Path) -> dict[str, tuple[str, ...]]:
    """Three speakers, two noises and a room, in folders by kind."""
    rng = np.random.default_rng(0)
    for number in range(3):
        voice, _ = glide(number, 2.5)
        words = np.clip(3 * np.sin(2 * np.pi * 1.7 * np.arange(len(voice)) / RATE_HZ), 0, 1)
        _write(folder / "speech" / f"speaker{number}" / "a.wav", 4 * voice * words)
    _write(folder / "noise" / "rain" / "a.wav", 0.1 * rng.standard_normal(3 * RATE_HZ))
    door = 0.5 * rng.standard_normal(RATE_HZ) * np.exp(-np.arange(RATE_HZ) / 2000)
    _write(folder / "noise" / "doors" / "a.wav", door)
    room = rng.standard_normal(RATE_HZ // 2) * np.exp(-np.arange(RATE_HZ // 2) / 4000)
    room[0] = 8
    _write(folder / "rooms" / "a.wav", 0.1 * room)
    return {kind: (str(folder / kind),) for kind in ("speech", "noise", "rooms")}


def recordings(folder: Path, **settings: object) -> Recordings:
    """What a run is given of `write_corpus`."""
    places = write_corpus(folder)
    return Recordings(*(find_clips(places[kind]) for kind in places), folder / "audio", **settings)  # type: ignore[arg-type]


def _write(path: Path, audio: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.clip(audio, -1, 1), RATE_HZ)
