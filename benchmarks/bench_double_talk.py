"""Double talk with noise in simulated calls: PESQ, STOI and SI-SDR beside WebRTC's echo canceller.

    pip install pywebrtc-audio==0.2.0 'percepnet[eval]'
    python benchmarks/bench_double_talk.py PAIRS [--count 200] [--model default]

PAIRS is a folder of held-out mixtures (`percepnet heldout`), with clean/ and noisy/: near ends are these, far ends
their clean speech. Loudspeakers, rooms and delays are those of `percepnet.acoustics.echoes`, with new seeds;
three echoes in ten are louder than the talker. The first four seconds, in which every canceller learns, are not scored.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from percepnet import native
from percepnet.acoustics.echoes import EchoConfig, EchoMixer
from percepnet.acoustics.levels import active_rms
from percepnet.acoustics.mixing import Mixture
from percepnet.arrays import Array
from percepnet.evaluation.comparison import paired_difference
from percepnet.metrics.score import pesq, si_sdr, stoi
from percepnet.model import load_model, residual_for
from percepnet.params import HOP_SAMPLES, SAMPLE_RATE_HZ

SECONDS, SCORED_FROM_S = 12.0, 4.0
ECHO = EchoConfig(
    far_alone_share=0.0, near_alone_share=0.0, unheard_share=0.0, ratio_min_db=-15.0, ratio_max_db=35.0, clip_share=0.0
)
SEED = 20_000_000
LATE_MAX_SAMPLES = 2400
MEASURES = {"pesq_wb": "PESQ-WB", "stoi": "STOI", "si_sdr_db": "SI-SDR (dB)"}


class Pairs:
    """Held-out mixtures one after the other, as a mixer gives them."""

    def __init__(self, folder: Path, noisy: bool) -> None:
        self._clean = sorted((folder / "clean").iterdir())
        self._noisy = [folder / ("noisy" if noisy else "clean") / path.name for path in self._clean]

    def mixture(self, seed: list[int], seconds: float) -> Mixture:
        rng = np.random.default_rng(seed)
        samples, parts = round(seconds * SAMPLE_RATE_HZ), []
        while sum(len(clean) for clean, _ in parts) < samples:
            number = int(rng.integers(len(self._clean)))
            clean, noisy = (soundfile.read(files[number], dtype="float32")[0] for files in (self._clean, self._noisy))
            if active_rms(clean) > 1e-4:
                parts.append((clean, noisy))
        clean, noisy = (np.concatenate(those)[:samples] for those in zip(*parts, strict=True))
        return Mixture(clean, noisy, SAMPLE_RATE_HZ / 2)


def stream(model: str, far_end: bool, residual: bool) -> Callable[[Array, Array], Array]:
    loaded = load_model(model)

    def run(near: Array, far: Array) -> Array:
        made = native.Stream(loaded, far_end=far_end, residual=residual_for(loaded) if residual else None)
        y = made.process(near[None], far[None] if far_end else None)[0]
        return np.asarray(np.concatenate([y, made.flush()[0]])[made.latency_samples :])

    return run


def aec3(near: Array, far: Array) -> Array:
    from pywebrtc_audio import EchoCanceller

    canceller = EchoCanceller(SAMPLE_RATE_HZ)
    hops = range(0, len(near), HOP_SAMPLES)
    return np.concatenate([canceller.process(near[i : i + HOP_SAMPLES], far[i : i + HOP_SAMPLES]) for i in hops])


def systems(model: str) -> dict[str, Callable[[Array, Array], Array]]:
    plain = stream(model, far_end=False, residual=False)
    return {
        "microphone": lambda near, far: near,
        f"{model}, no far end": plain,
        f"AEC3, then {model}": lambda near, far: plain(aec3(near, far), far),
        "linear canceller only": stream(model, far_end=True, residual=False),
        "percepnet": stream(model, far_end=True, residual=True),
    }


def aligned(y: Array, clean: Array) -> Array:
    """AEC3's filter banks delay by some milliseconds."""
    n = len(clean)
    products = np.fft.irfft(np.fft.rfft(y, 2 * n) * np.conj(np.fft.rfft(clean, 2 * n)))[:LATE_MAX_SAMPLES]
    late = int(np.argmax(products))
    return np.asarray(np.concatenate([y[late:], np.zeros(late, np.float32)]))


def scores(folder: Path, model: str, number: int) -> dict[str, tuple[float, ...]]:
    near, far = Pairs(folder, noisy=True), Pairs(folder, noisy=False)
    scene = EchoMixer(near, far, ECHO).scene([SEED, number], SECONDS)  # type: ignore[arg-type]
    clean = near.mixture([SEED, number, 8], SECONDS).clean
    # a scene that was too loud has been turned down, which no measure minds
    found = {}
    for name, run in systems(model).items():
        part = slice(round(SCORED_FROM_S * SAMPLE_RATE_HZ), None)
        y = aligned(run(scene.microphone, scene.far_end)[: len(clean)], clean)
        x, y = clean[part], np.asarray(y[part], np.float32)
        all_scores = {k: v for measure in (pesq, stoi, si_sdr) for k, v in measure(x, y, SAMPLE_RATE_HZ).items()}
        found[name] = tuple(all_scores[measure] for measure in MEASURES)
    return found


def interval(values: Array, to: Array) -> str:
    found = paired_difference(values, to)
    return f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--model", default="default")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    with ProcessPoolExecutor(arguments.jobs) as pool:
        rows = list(pool.map(partial(scores, arguments.pairs, arguments.model), range(arguments.count)))
    print(f"{arguments.count} calls\n\n| system | {' | '.join(MEASURES.values())} |\n|---|---|---|---|")
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    for name, values in table.items():
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values.mean(axis=0)) + " |")
    names = list(table)
    for other in names[2:4]:
        parts = [interval(*both) for both in zip(table["percepnet"].T, table[other].T, strict=True)]
        print(f"| percepnet over {other} | {' | '.join(parts)} |")


if __name__ == "__main__":
    main()
