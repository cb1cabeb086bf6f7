"""Beamforming in simulated rooms: PESQ, SI-SDR and STOI of one microphone, delay and sum, MVDR, and the model after it.

    pip install pyroomacoustics 'percepnet[eval]'
    python benchmarks/bench_arrays.py [--speech DIR_OR_MANIFEST --noise DIR_OR_MANIFEST --split valid] [--count 60]
    python benchmarks/bench_arrays.py --rows build/arrays.json      # the table and the picture again

Scenes are those of `array_scenes.py`; without corpora, of the voices and noises of examples/clips. Each output is
scored against the direct sound and 50 ms of reflections at one microphone: a single channel and delay-and-sum at their
own, the beamformers at the one that they have chosen in the end. The best channel is the best of all microphones in
each measure, as only an oracle knows it; delay and sum knows where the talker stands. All of a recording is scored, its
beginning too. Microphones of an array hear nearly the same, so that a PESQ far above that of the others has aligned
noise with speech: it counts for nothing.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "scripts")]
from array_scenes import SPEED_M_S, Recordings, Scene, recordings, scene  # noqa: E402

import percepnet  # noqa: E402
from percepnet.arrays import Array, Samples  # noqa: E402
from percepnet.engine import decider  # noqa: E402
from percepnet.evaluation.comparison import paired_difference  # noqa: E402
from percepnet.metrics.score import pesq, si_sdr, stoi  # noqa: E402
from percepnet.params import HOP_SAMPLES, SAMPLE_RATE_HZ  # noqa: E402
from percepnet.reference.beamformer import Beamformer, Design, multichannel_wiener, souden_mvdr  # noqa: E402

SEED = 30_000_000
CLIPS = ROOT / "examples" / "clips"
ASTRAY = 1.0  # of PESQ, above the median of an array
MEASURES = {"pesq_wb": "PESQ-WB", "si_sdr_db": "SI-SDR (dB)", "stoi": "STOI"}
FIRST, FIRST_MODEL = "first channel", "first channel + model"
BEST, BEST_MODEL, OURS, OURS_MODEL = "best channel", "best channel + model", "beamformer", "beamformer + model"


def measured(target: Samples, y: Samples) -> list[float]:
    found = {name: value for of in (pesq, si_sdr, stoi) for name, value in of(target, y, SAMPLE_RATE_HZ).items()}
    return [found[name] for name in MEASURES]


def best_of(channels: list[list[float]]) -> list[float]:
    """The best of all microphones in each measure, but for a PESQ that has gone astray."""
    scores = np.array(channels)
    scores[scores[:, 0] > np.median(scores[:, 0]) + ASTRAY, 0] = -np.inf
    return np.max(scores, axis=0).tolist()


def noises_of_clips(folder: Path) -> Path:
    """What has been added to the clean clips."""
    for path in sorted((CLIPS / "noisy").iterdir()):
        noisy, clean = (soundfile.read(CLIPS / kind / path.name, dtype="float32")[0] for kind in ("noisy", "clean"))
        soundfile.write(folder / path.name, noisy - clean, SAMPLE_RATE_HZ)
    return folder


def delay_and_sum(heard: Scene) -> Samples:
    """Aligned to microphone 0, from the direction of the talker."""
    samples = heard.microphones.shape[1]
    lead_s = (heard.positions_m - heard.positions_m[0]) @ heard.towards / SPEED_M_S
    hz = np.fft.rfftfreq(2 * samples, 1 / SAMPLE_RATE_HZ)
    aligned = np.fft.rfft(heard.microphones, 2 * samples) * np.exp(-2j * np.pi * hz * lead_s[:, None])
    return np.fft.irfft(aligned.mean(axis=0))[:samples].astype(np.float32)


def gains_of(x: Samples, channels: Array) -> Array:
    """What the network decides of some channels, hop by hop: (hops, channels, bands)."""
    found = []
    for channel in channels:
        one = decider(percepnet.load_model())
        found.append([])
        for start in range(0, x.shape[1] - HOP_SAMPLES + 1, HOP_SAMPLES):
            one.process(x[channel : channel + 1, start : start + HOP_SAMPLES])
            found[-1].append(one.gains)
    return np.array(found).swapaxes(0, 1)


def beams(heard: Scene, designs: list[Design]) -> list[tuple[Samples, Samples]]:
    """Output of each filter, and its target."""
    params, x = percepnet.load_model().params, heard.microphones
    made = [Beamformer(len(x), params, design) for design in designs]
    gains = gains_of(x, made[0].listeners)
    found = []
    for beamformer in made:
        hops = [beamformer.process(x[:, i * HOP_SAMPLES : (i + 1) * HOP_SAMPLES], g) for i, g in enumerate(gains)]
        end = beamformer.process(np.zeros_like(x[:, :HOP_SAMPLES]), gains[-1])
        y = np.concatenate([*hops, end], axis=1)[0, beamformer.latency_samples :]
        found.append((y, heard.targets[beamformer.reference]))
    return found


def rows_of(heard: Scene) -> dict[str, list[float]]:
    def model(x: Samples) -> Samples:
        return percepnet.enhance(x, SAMPLE_RATE_HZ)

    singles = list(zip(heard.microphones, heard.targets, strict=True))
    summed = delay_and_sum(heard)
    (souden, souden_target), (ours, our_target) = beams(heard, [souden_mvdr, multichannel_wiener])
    alone = [measured(target, x) for x, target in singles]
    enhanced = [measured(target, model(x)) for x, target in singles]
    return {
        FIRST: alone[0],
        FIRST_MODEL: enhanced[0],
        BEST: best_of(alone),
        BEST_MODEL: best_of(enhanced),
        "delay and sum": measured(heard.targets[0], summed),
        "delay and sum + model": measured(heard.targets[0], model(summed)),
        "Souden's MVDR": measured(souden_target, souden),
        "Souden's MVDR + model": measured(souden_target, model(souden)),
        OURS: measured(our_target, ours),
        OURS_MODEL: measured(our_target, model(ours)),
    }


def table(rows: list[dict]) -> str:
    lines = [f"| {len(rows)} scenes | {' | '.join(MEASURES.values())} |", "|---|---|---|---|"]
    values = {name: np.array([row["scores"][name] for row in rows]) for name in rows[0]["scores"]}
    for name, scores in values.items():
        mean = scores.mean(axis=0)
        lines.append(f"| {name} | {mean[0]:.2f} | {mean[1]:.1f} | {mean[2]:.3f} |")
    groups = {"all": lambda row: True}
    groups |= {f"{n} microphones": (lambda row, n=n: row["microphones"] == n) for n in (2, 4, 8)}
    groups |= {f"{kind} noise": (lambda row, kind=kind: row["noise"] == kind) for kind in ("point", "diffuse")}
    lines += ["", f"| difference, 95 % interval | {' | '.join(MEASURES.values())} |", "|---|---|---|---|"]
    for name, to in ((OURS, FIRST), (OURS, BEST), (OURS_MODEL, FIRST_MODEL), (OURS_MODEL, BEST_MODEL)):
        for group, holds in groups.items():
            of = np.array([holds(row) for row in rows])
            if of.any():
                parts = (paired_difference(values[name][of, m], values[to][of, m]) for m in range(3))
                cells = [f"{d.difference:+.3f} ({d.low:+.3f} to {d.high:+.3f})" for d in parts]
                lines.append(f"| {name} over {to}, {group} ({of.sum()}) | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(rows: list[dict], path: Path) -> None:
    """Scores without and with the model, for each number of microphones and kind of noise."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from pictures import mark
    from shipped import model_hashes

    figure = Figure(figsize=(12, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    groups = [(kind, n) for kind in ("point", "diffuse") for n in (2, 4, 8)]
    systems = {BEST: "#c9ccd1", BEST_MODEL: "#8a8f98", OURS: "#6cb0c8", OURS_MODEL: "#1f6f8b"}
    for place, (axis, title) in enumerate(zip(figure.subplots(1, 3), MEASURES.values(), strict=True)):
        for number, (name, colour) in enumerate(systems.items()):
            means = [
                np.mean([row["scores"][name][place] for row in rows if (row["noise"], row["microphones"]) == g] or [0])
                for g in groups
            ]
            axis.bar(np.arange(len(groups)) + 0.2 * number - 0.3, means, 0.2, color=colour, label=name)
        axis.set_title(title)
        axis.set_xticks(np.arange(len(groups)), [f"{n}\n{kind if n == 4 else ''}" for kind, n in groups])
        axis.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_xlabel("microphones, and noise from one point or from all directions")
    figure.axes[0].set_ylim(bottom=1)
    figure.axes[2].set_ylim(bottom=0.4)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(path, dpi=110)
    mark(path, model_hashes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--speech", type=Path, default=CLIPS / "clean")
    parser.add_argument("--noise", type=Path, help="default: what is added in examples/clips")
    parser.add_argument("--split", default="valid", help="of manifests")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rows", type=Path, default=ROOT / "build" / "arrays.json", help="scores, as far as there are")
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    rows = json.loads(arguments.rows.read_text()) if arguments.rows.exists() else []
    arguments.rows.parent.mkdir(exist_ok=True)
    speech = recordings(arguments.speech, arguments.split)
    with tempfile.TemporaryDirectory() as folder:
        noise = recordings(arguments.noise or noises_of_clips(Path(folder)), arguments.split)
        judge(rows, speech, noise, arguments)
    print(table(rows))
    if arguments.picture:
        draw(rows, arguments.picture)


def judge(rows: list[dict], speech: Recordings, noise: Recordings, arguments: argparse.Namespace) -> None:
    """Add the scenes that are missing."""
    for number in range(len(rows), arguments.count):
        started = time.time()
        heard = scene(speech, noise, SEED, number, arguments.seconds)
        row = {"microphones": len(heard.microphones), "noise": heard.noise_kind, "geometry": heard.geometry}
        row |= {"t30_s": heard.t30_s, "snr_db": heard.snr_db, "distance_m": heard.distance_m}
        rows.append(row | {"scores": rows_of(heard)})
        arguments.rows.write_text(json.dumps(rows, indent=1))
        print(f"{number + 1} of {arguments.count}, {time.time() - started:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
