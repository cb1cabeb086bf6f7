"""What the echo canceller takes away, what it leaves of a talker, and what it costs, beside the one of Speex.

    python benchmarks/bench_echo.py [--rooms 6] [--speech FOLDER] [--seconds 20]

Far end and talker are clips of speech (those of examples/clips, or of a folder), each room is simulated, and the path
is linear: what is measured is the canceller alone ("ours"), and all of a call. Speex is measured where libspeexdsp
is installed, with the same length of filter; it gets the far end as it is, and finds no delay by itself.
"""

import argparse
import ctypes
import ctypes.util
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.signal
import soundfile

from percepnet import native, native_echo
from percepnet.acoustics.rooms import shortened, simulated_room
from percepnet.arrays import Samples
from percepnet.bench.measure import take_turns
from percepnet.metrics.score import si_sdr
from percepnet.model import load_model, residual_for
from percepnet.params import FRAMES_PER_SECOND, HOP_SAMPLES, SAMPLE_RATE_HZ
from percepnet.systems.system import LiveSystem

CLIPS = Path(__file__).parents[1] / "examples" / "clips" / "clean"
SECONDS = 20
CHANGE_S = 10.0
TALK_S = (6.0, 12.0)
NOISE_RMS = 3e-5  # of a microphone: -90 dBFS
SPEECH_RMS = 0.05
FILTER_S = 0.16
CALL_HOPS = 200
Canceller = Callable[[Samples, Samples], Samples]


class Scene(NamedTuple):
    far: Samples
    echo: Samples
    talker: Samples

    @property
    def near(self) -> Samples:
        return np.asarray(self.echo + self.talker, np.float32)


def speech(files: list[Path], rng: np.random.Generator) -> Samples:
    """Clips one after the other, each of the same level."""
    parts, samples = [], 0
    while samples < SECONDS * SAMPLE_RATE_HZ:
        x, rate_hz = soundfile.read(files[rng.integers(len(files))], dtype="float32", always_2d=True)
        rms = np.sqrt(np.mean(x[:, 0] ** 2))
        if rate_hz == SAMPLE_RATE_HZ and rms > 1e-3:
            parts.append(SPEECH_RMS / rms * x[:, 0])
            samples += len(x)
    return np.asarray(np.concatenate(parts)[: SECONDS * SAMPLE_RATE_HZ], np.float32)


def scene(files: list[Path], seed: int, case: str) -> Scene:
    """One room, and what goes on in it."""
    rng = np.random.default_rng(seed)
    far, talker = speech(files, rng), speech(files, rng)
    echo = _heard(far, rng)
    seconds = np.arange(len(far)) / SAMPLE_RATE_HZ
    if case.startswith("delay"):
        echo = _late(echo, int(case.split()[1]))
    elif case == "path change":
        echo = np.where(seconds < CHANGE_S, echo, _heard(far, rng))
    elif case.startswith("drift"):
        rate = 1 + float(case.split()[1]) * 1e-6
        echo = np.interp(np.arange(len(far)) * rate, np.arange(len(far)), _late(echo, 100))
    speaks = (seconds >= TALK_S[0]) & (seconds < TALK_S[1]) if case == "double talk" else np.zeros(len(far), bool)
    echo = echo + NOISE_RMS * rng.standard_normal(len(echo))
    return Scene(far, np.asarray(echo, np.float32), np.where(speaks, talker, np.float32(0)))


def _heard(far: Samples, rng: np.random.Generator) -> Samples:
    return np.asarray(0.5 * scipy.signal.fftconvolve(far, shortened(simulated_room(rng)))[: len(far)], np.float32)


def _late(x: Samples, delay_ms: int) -> Samples:
    return np.concatenate([np.zeros(delay_ms * SAMPLE_RATE_HZ // 1000, np.float32), x])[: len(x)]


def ours(near: Samples, far: Samples) -> Samples:
    return np.asarray(native_echo.EchoCanceller().process(near[None], far)[0])


def whole(near: Samples, far: Samples) -> Samples:
    """What a call hears: canceller, enhancement, and what suppresses the rest."""
    model = load_model(None)
    stream = native.Stream(model, far_end=True, residual=residual_for(model))
    y = np.concatenate([stream.process(near[None], far[None])[0], stream.flush()[0]])
    return np.asarray(y[stream.latency_samples :][: len(near)])


def speex_canceller() -> Canceller | None:
    """The multidelay filter of SpeexDSP, where it is installed."""
    name = ctypes.util.find_library("speexdsp") or "libspeexdsp.so.1"
    try:
        library = ctypes.CDLL(name)
    except OSError:
        return None
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    library.speex_echo_state_init.restype = pointer
    library.speex_echo_ctl.argtypes = [pointer, integer, pointer]
    library.speex_echo_cancellation.argtypes = [pointer] * 4
    library.speex_echo_state_destroy.argtypes = [pointer]
    set_rate = 24

    def cancel(near: Samples, far: Samples) -> Samples:
        state = library.speex_echo_state_init(HOP_SAMPLES, int(FILTER_S * SAMPLE_RATE_HZ))
        library.speex_echo_ctl(state, set_rate, ctypes.byref(integer(SAMPLE_RATE_HZ)))
        x, y = (np.clip(np.rint(signal * 32768), -32768, 32767).astype(np.int16) for signal in (near, far))
        out = np.zeros_like(x)
        for start in range(0, len(x), HOP_SAMPLES):
            parts = (part[start : start + HOP_SAMPLES].ctypes.data for part in (x, y, out))
            library.speex_echo_cancellation(state, *parts)
        library.speex_echo_state_destroy(state)
        return np.asarray(out / np.float32(32768), np.float32)

    return cancel


def erle_db(before: Samples, after: Samples, start_s: float, end_s: float) -> float:
    """By how much the power of the echo went down in a stretch."""
    part = slice(round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ))
    return float(10 * np.log10(np.sum(before[part] ** 2.0) / (np.sum(after[part] ** 2.0) + 1e-20)))


def figures(case: str, at: Scene, y: Samples) -> dict[str, float]:
    """What is said of a case."""
    left = y - at.talker
    if case == "path change":
        return {
            "ERLE just before": erle_db(at.echo, left, CHANGE_S - 3, CHANGE_S),
            "ERLE 3 to 5 s after": erle_db(at.echo, left, CHANGE_S + 3, CHANGE_S + 5),
        }
    if case == "double talk":
        part = slice(round(TALK_S[0] * SAMPLE_RATE_HZ), round(TALK_S[1] * SAMPLE_RATE_HZ))
        return {
            "SI-SDR of the talker before": si_sdr(at.talker[part], at.near[part], SAMPLE_RATE_HZ)["si_sdr_db"],
            "after": si_sdr(at.talker[part], y[part], SAMPLE_RATE_HZ)["si_sdr_db"],
            "ERLE behind it": erle_db(at.echo, left, TALK_S[1] + 1, SECONDS),
        }
    return {"ERLE 3 to 5 s": erle_db(at.echo, left, 3, 5), "ERLE 10 to 20 s": erle_db(at.echo, left, 10, SECONDS)}


CASES = ("delay 0 ms", "delay 120 ms", "delay 380 ms", "path change", "double talk", "drift 100 ppm", "drift -100 ppm")


def compare(files: list[Path], rooms: int) -> None:
    """A line for each case, figure and system: the mean over all rooms, and the least."""
    systems: dict[str, Canceller] = {"ours": ours, "all of percepnet": whole}
    if (speex := speex_canceller()) is not None:
        systems["Speex"] = speex
    print("| case | dB | " + " | ".join(f"{name}, mean | least" for name in systems) + " |")
    print("|---|---|" + "---|---|" * len(systems))
    for case in CASES:
        scenes = [scene(files, seed, case) for seed in range(rooms)]
        found = {
            name: [figures(case, at, cancel(at.near, at.far)) for at in scenes] for name, cancel in systems.items()
        }
        for figure in found["ours"][0]:
            values = [[each[figure] for each in of] for of in found.values()]
            print(
                f"| {case} | {figure} | " + " | ".join(f"{np.mean(v):.1f} | {min(v):.1f}" for v in values) + " |",
                flush=True,
            )


def cost(seconds: float) -> None:
    """Time of a hop, paced and hot, and memory, of the canceller and of the default model's stream."""
    model = load_model(None)
    near, far = _call()
    alone = native.Stream(model, block_hops=1)
    both = native.Stream(model, block_hops=1, far_end=True, residual=residual_for(model))
    canceller = native_echo.EchoCanceller()
    systems = [
        LiveSystem("default", _in_turn(near, far, lambda x, _: alone.process(x[None]))),
        LiveSystem("default with a far end", _in_turn(near, far, lambda x, y: both.process(x[None], y[None]))),
        LiveSystem("canceller", _in_turn(near, far, lambda x, y: canceller.process(x[None], y))),
    ]
    memory = {system.name: of.memory_bytes for system, of in zip(systems, (alone, both, canceller), strict=True)}
    frames = round(seconds * FRAMES_PER_SECOND)
    paced, hot = (take_turns(systems, frames, paced=paced) for paced in (True, False))
    medians = {name: [float(np.median(of[name].cpu_us)) for of in (paced, hot)] for name in memory}
    print("\n| | paced, median µs | to default | hot, median µs | to default | memory, kB |\n|---|---|---|---|---|---|")
    for name, us in medians.items():
        costs = " | ".join(f"{value:.0f} | {value / of:.2f}" for value, of in zip(us, medians["default"], strict=True))
        print(f"| {name} | {costs} | {memory[name] / 1000:.0f} |")


def _call() -> tuple[Samples, Samples]:
    """Microphone and far end: noise, the echo of noise, and a little of another noise, without an end."""
    rng = np.random.default_rng(0)
    far, other = (0.05 * rng.standard_normal(CALL_HOPS * HOP_SAMPLES).astype(np.float32) for _ in range(2))
    return np.asarray(0.5 * np.roll(far, 2000) + 0.1 * other, np.float32), far


def _in_turn(near: Samples, far: Samples, step: Callable[[Samples, Samples], object]) -> Callable[[Samples], object]:
    """Something that takes the next hop of both in each call, instead of the one that it is given."""
    starts = itertools.cycle(range(0, len(near), HOP_SAMPLES))

    def process(_: Samples) -> object:
        part = next(starts)
        return step(near[part : part + HOP_SAMPLES], far[part : part + HOP_SAMPLES])

    return process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", type=int, default=6, help="simulated; 0: only what it costs")
    parser.add_argument("--speech", type=Path, default=CLIPS, help="folder with recordings of 48 kHz")
    parser.add_argument("--seconds", type=float, default=20.0, help="for which each system is timed, paced and hot")
    arguments = parser.parse_args()
    files = sorted(path for path in arguments.speech.rglob("*") if path.suffix in (".flac", ".wav", ".ogg", ".opus"))
    if arguments.rooms:
        compare(files, arguments.rooms)
    cost(arguments.seconds)


if __name__ == "__main__":
    main()
