"""A bank of sounds that are made from nothing: simulated rooms, and the noises that are made tone by tone.

They are made once, by all processors, with the functions that `percepnet.acoustics.mixing` uses, and are drawn like
recordings. Hiss, rumble and babble, which are most of what is synthetic, are made anew for each mixture.
"""

import multiprocessing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from percepnet.acoustics.synthetic_noise import calls, fan, hum, knocks
from percepnet.atomic import replacing
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.processors import processors
from percepnet.training.device.rooms import simulate_room

KINDS: Mapping[str, Callable[[np.random.Generator, int], npt.NDArray[np.float32]]] = {
    "hum": hum, "fan": fan, "knocks": knocks, "calls": calls,
}  # fmt: skip
NOISE_SECONDS = 12.0
PEAK = 0.9


@dataclass(frozen=True)
class Bank:
    """What was made.

    Parameters
    ----------
    noises : dict of str to list of np.ndarray [shape=(n,), dtype=int16]
        By kind.
    rooms : list of np.ndarray [shape=(n,), dtype=float32]
    """

    noises: dict[str, list[npt.NDArray[np.int16]]]
    rooms: list[npt.NDArray[np.float32]]


def make_bank(seed: int, noises: int, rooms: int, processes: int | None = None, cache: Path | None = None) -> Bank:
    """Make a bank.

    Parameters
    ----------
    seed : int
    noises : int
        Of each kind.
    rooms : int
    processes : int, optional
        Default: as many as there are processors.
    cache : Path, optional
        A folder in which banks are kept.

    Returns
    -------
    Bank
        The same for the same seed and counts.
    """
    path = cache / f"bank-{seed}-{noises}-{rooms}.npz" if cache else None
    if path is not None and path.exists():
        with np.load(path) as saved:
            return _bank(dict(saved), noises, rooms)
    jobs = [(kind, seed, number) for kind in KINDS for number in range(noises)]
    jobs += [("room", seed, number) for number in range(rooms)]
    processes = min(processes or processors(), max(1, len(jobs) // 8))
    if processes == 1:
        made = [_make(job) for job in jobs]
    else:
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            made = pool.map(_make, jobs, chunksize=4)
    arrays = {f"{kind}{number}": sound for (kind, _, number), sound in zip(jobs, made, strict=True)}
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    return _bank(arrays, noises, rooms)


def _bank(arrays: Mapping[str, npt.NDArray[np.generic]], noises: int, rooms: int) -> Bank:
    return Bank(
        {kind: [np.asarray(arrays[f"{kind}{number}"], np.int16) for number in range(noises)] for kind in KINDS},
        [np.asarray(arrays[f"room{number}"], np.float32) for number in range(rooms)],
    )


def _make(job: tuple[str, int, int]) -> npt.NDArray[np.generic]:
    kind, seed, number = job
    if kind == "room":
        return simulate_room((seed, 6, number))
    rng = np.random.default_rng([seed, 7, list(KINDS).index(kind), number])
    sound = KINDS[kind](rng, round(NOISE_SECONDS * SAMPLE_RATE_HZ))
    scale = PEAK * 32767 / max(float(np.abs(sound).max()), 1e-9)
    return np.rint(sound * scale).astype(np.int16)
