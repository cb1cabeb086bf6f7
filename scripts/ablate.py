"""What each part of a training is worth: variants of one recipe, trained alike on the same mixtures, in one table.

    python scripts/ablate.py recipes/ablations/gated.toml --speech SPEECH.jsonl --noise NOISE.jsonl \\
        --rooms ROOMS.jsonl --pairs DEV [--pairs DEV2] -o ablations

A variant is the `base` of the file but for what it says. Mixtures are made once, with all the features that any variant
is given, and every variant draws them in the same order. What has been trained or scored is not done again, so that
the command may be interrupted, and repeated with more variants.
"""

import argparse
import hashlib
import json
import multiprocessing
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from percepnet.errors import PercepNetError
from percepnet.params import HEARD_FEATURES, SignalParams
from percepnet.training.config import Config
from percepnet.training.features import Producers, shard_name, shards_folder, write_shard
from percepnet.training.rows import RowLayout
from percepnet.training.run import recordings_of, run_training
from percepnet.training.trainer import MODEL_NAME
from percepnet.typed import convert, read_toml

METRICS = {"pesq_wb": 3, "stoi": 4, "si_sdr_db": 2, "dnsmos_ovrl": 2}  # and decimals
MIXED_BY = ("speech", "noise", "rooms", "exclude", "speech_weights", "mixing", "highpass_hz", "lookahead_frames")
WAIT_S = 1.0


@dataclass(frozen=True)
class Variant:
    """A row of the table.

    Parameters
    ----------
    name, group : str
    seeds : tuple of int
        Trainings; the table has their mean, and how far they lie apart.
    hours : float
        Of mixtures that it draws from.
    settings : dict
        Of `percepnet.training.config.Config`.
    """

    name: str
    group: str
    seeds: tuple[int, ...]
    hours: float
    settings: dict[str, Any]

    @property
    def slug(self) -> str:
        """Its folder's name; other settings are another folder."""
        told = json.dumps([self.hours, self.settings], sort_keys=True)
        words = "".join(c if c.isalnum() else "-" for c in f"{self.group} {self.name}".lower().strip())[:40]
        return f"{words}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"

    def config(self, out: Path, seed: int) -> Config:
        """The settings of one training."""
        settings = {"out": str(out), "seed": seed, "workers": 0, "checkpoint_minutes": 60.0} | self.settings
        return convert(settings, Config, Path(self.name))


@dataclass(frozen=True)
class Plan:
    """What a file of variants says.

    Parameters
    ----------
    variants : list of Variant
    features : tuple of str
        Blocks that any of them is given.
    """

    variants: list[Variant]
    features: tuple[str, ...]


def read_plan(path: Path, places: dict[str, list[str]]) -> Plan:
    """Read a file of variants.

    Raises
    ------
    PercepNetError
        If it cannot be read, or a setting is unknown or of another type.
    """
    found = read_toml(path, "file of variants")
    base = found.get("base", {}) | {kind: [str(Path(x).resolve()) for x in given] for kind, given in places.items()}
    variants = []
    for told in found.get("variant", []):
        own = dict(told)
        name, group = own.pop("name"), own.pop("group", "")
        seeds = tuple(own.pop("seeds", found.get("seeds", [0])))
        hours = float(own.pop("mixtures_hours", found["mixtures_hours"]))
        settings = dict(base)
        for key, value in own.items():  # a table changes what it names, and leaves the rest of it
            settings[key] = settings.get(key, {}) | value if isinstance(value, dict) else value
        variant = Variant(name, group, seeds, hours, settings)
        variant.config(Path("out"), 0)  # which says what is wrong with it
        variants.append(variant)
    blocks = {block for variant in variants for block in variant.settings["features"]}
    return Plan(variants, tuple(block for block in HEARD_FEATURES if block in blocks))


def mixtures_of(variant: Variant, out: Path, features: tuple[str, ...], workers: int) -> Path:
    """The folder of the mixtures that a variant draws from, made where they are missing."""
    config = replace(variant.config(out, 0), features=features)
    told = json.dumps({name: asdict(config)[name] for name in MIXED_BY} | {"features": features}, sort_keys=True)
    folder = out / f"mixtures-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
    config = replace(config, out=str(folder))
    count = shards_in(config, variant.hours)
    missing = [index for index in range(count) if not (shards_folder(folder) / shard_name(index)).exists()]
    if not missing:
        return folder
    params = SignalParams(config.lookahead_frames, highpass_hz=config.highpass_hz, feature_blocks=features)
    producers = Producers(
        recordings_of(config), params, folder, seed=0, workers=workers, ring=count,
        sequences=config.shard_sequences, seconds=config.sequence_seconds, window=range(missing[0], count),
    )  # fmt: skip
    producers.start()
    try:
        while missing:
            producers.check()
            print(f"mixtures for {variant.name!r}: {count - len(missing)} of {count} shards", flush=True)
            time.sleep(10 * WAIT_S)
            missing = [index for index in missing if not (shards_folder(folder) / shard_name(index)).exists()]
    finally:
        producers.stop()
    return folder


def shards_in(config: Config, hours: float) -> int:
    """How many shards hold so many hours."""
    return max(1, round(3600 * hours / config.shard_sequences / config.sequence_seconds))


def cut_shards(config: Config, mixtures: Path, features: tuple[str, ...], count: int) -> None:
    """Of the mixtures with all features those with the features of a training, in its own folder."""
    common = {"lookahead_frames": config.lookahead_frames, "highpass_hz": config.highpass_hz}
    whole = RowLayout(SignalParams(feature_blocks=features, **common))
    cut = RowLayout(SignalParams(feature_blocks=config.features, **common))
    taken = [np.arange(whole.analysed.features)[whole.analysed.feature_slices[b]] for b in cut.analysed.feature_blocks]
    columns = np.concatenate([*taken, np.arange(whole.analysed.features, whole.count)])
    into = shards_folder(Path(config.out))
    into.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        shard = np.load(shards_folder(mixtures) / shard_name(index), mmap_mode="r")
        write_shard(into / shard_name(index), np.ascontiguousarray(shard[..., columns]))


def train(variant: Variant, seed: int, out: Path, mixtures: Path, features: tuple[str, ...]) -> Path:
    """Train once, if it is not done; the model."""
    import torch

    torch.set_num_threads(1)
    run = out / f"{variant.slug}-{seed}"
    model = run.with_suffix(".safetensors")
    if not model.exists():
        shutil.rmtree(run, ignore_errors=True)
        config = variant.config(run, seed)
        cut_shards(config, mixtures, features, shards_in(config, variant.hours))
        started = time.monotonic()
        run_training(config, lambda progress: print(f"{variant.name}: {progress.line()}", flush=True), validate=False)
        print(f"{variant.name!r}, seed {seed}: {(time.monotonic() - started) / 60:.1f} minutes", flush=True)
        shutil.copy(run / MODEL_NAME, model)
        shutil.rmtree(run)
    return model


def score(model: Path, pairs: Path) -> dict[str, list[float]]:
    """Mean scores of the noisy recordings and of the enhanced ones, by measure, kept beside the model."""
    kept = score_file(model, pairs)
    if not kept.exists():
        command = [sys.executable, "-m", "percepnet", "evaluate", "--pairs", str(pairs), "--systems", "noisy,percepnet"]
        command += ["--model", str(model), "--metrics", "pesq,stoi,si_sdr,dnsmos", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PercepNetError(f"{model}: {done.stderr.strip()}")
        kept.write_text(done.stdout)
    summary = json.loads(kept.read_text())["summary"]
    return {name: [summary[system][name]["mean"] for system in ("noisy", "percepnet")] for name in METRICS}


def table(plan: Plan, out: Path, pairs: list[Path]) -> str:
    """The table of what has been trained and scored, in Markdown."""
    lines = [
        "| | " + " | ".join(f"`{folder.resolve().name}`" for folder in pairs) + " |",
        "|---" * (len(pairs) + 1) + "|",
    ]
    first, group = True, ""
    for variant in plan.variants:
        models = [out / f"{variant.slug}-{seed}.safetensors" for seed in variant.seeds]
        models = [model for model in models if all(score_file(model, folder).exists() for folder in pairs)]
        if not models:
            continue
        found = [[score(model, folder) for model in models] for folder in pairs]
        if first:
            lines.append("| noisy | " + " | ".join(told(of_folder[:1], 0) for of_folder in found) + " |")
            first = False
        if variant.group != group:
            group = variant.group
            lines.append(f"| **{group}** |" + " |" * len(pairs))
        count = f" ({len(models)} trainings)" if len(models) > 1 else ""
        lines.append(f"| {variant.name}{count} | " + " | ".join(told(of_folder, 1) for of_folder in found) + " |")
    return "\n".join(lines)


def score_file(model: Path, pairs: Path) -> Path:
    """Where `score` keeps its scores."""
    return model.with_name(f"{model.stem}-{pairs.resolve().name}.json")


def told(scores: list[dict[str, list[float]]], system: int) -> str:
    """Means of trainings, and half of their range."""
    parts = []
    for name, decimals in METRICS.items():
        values = [score[name][system] for score in scores]
        half = (max(values) - min(values)) / 2
        parts.append(f"{np.mean(values):.{decimals}f}" + (f" ± {half:.{decimals}f}" if len(values) > 1 else ""))
    return " / ".join(parts)


def main(arguments: list[str] | None = None) -> int:
    """Train, score and print the table; 2 where the user has to do something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", type=Path, metavar="TOML")
    for kind in ("speech", "noise", "rooms"):
        parser.add_argument(f"--{kind}", nargs="+", default=[], metavar="PLACE", help="manifests, folders or files")
    parser.add_argument("--pairs", type=Path, action="append", default=[], metavar="FOLDER", help="clean/ and noisy/")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, of a core each (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="TEXT", help="variants with this in their name")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    chosen = parser.parse_args(arguments)
    try:
        plan = read_plan(chosen.variants, {kind: getattr(chosen, kind) for kind in ("speech", "noise", "rooms")})
        if not chosen.table:
            chosen.out.mkdir(parents=True, exist_ok=True)
            _run(plan, chosen)
    except PercepNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(plan, chosen.out, chosen.pairs))
    return 0


def _run(plan: Plan, chosen: argparse.Namespace) -> None:
    wanted = [variant for variant in plan.variants if chosen.only in variant.name]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(chosen.jobs, mp_context=context) as pool:
        runs = []
        for variant in wanted:
            mixtures = mixtures_of(variant, chosen.out, plan.features, chosen.jobs)
            for seed in variant.seeds:
                given = (variant, seed, chosen.out, mixtures, plan.features, chosen.pairs)
                runs.append(pool.submit(_train_and_score, *given))
        for run in runs:
            run.result()


def _train_and_score(
    variant: Variant, seed: int, out: Path, mixtures: Path, features: tuple[str, ...], pairs: list[Path]
) -> None:
    model = train(variant, seed, out, mixtures, features)
    for folder in pairs:
        score(model, folder)


if __name__ == "__main__":
    raise SystemExit(main())
