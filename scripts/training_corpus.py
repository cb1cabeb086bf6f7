"""Makes a corpus to train on, from clones of openly licensed collections that no set of the evaluation is made of.

    python scripts/training_corpus.py CLONES -o corpus
    percepnet train --config recipes/crowd.toml --init default -o run --speech corpus/quiet.jsonl \\
        --noise corpus/noise.jsonl

`CLONES` holds a clone (bare or not) of each repository in `SOURCES`, named owner+name; `--only` takes some of them.
`corpus` then has the recordings, speech.jsonl, noise.jsonl, and quiet.jsonl: speech whose own noise is at least 36 dB
below it, which the trainings beside crowds heard. It may be called again: what is there stays.
"""

import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from clones import Clones

SOME_UNUSABLE = 1  # a silent file among hundreds: `percepnet corpus add` has said so, and kept the others
QUIET_DB = -36.0  # noise floor, relative to the speech
MINECRAFT = "src/main/resources/assets"


@dataclass(frozen=True)
class Source:
    """Recordings of a repository.

    Parameters
    ----------
    repository : str
        owner+name
    kind : {"speech", "noise"}
    licence : str
    folder : str
        Below which they lie; what is below it keeps its path.
    pattern : str
        Of their paths.
    speaker : str
        As of `percepnet corpus add --speaker-from`; empty where speakers are unknown.
    exclude : str
        Text in the paths of what is left out.
    """

    repository: str
    kind: str
    licence: str
    folder: str
    pattern: str = r"\.(wav|WAV|ogg|mp3|flac)$"
    speaker: str = ""
    exclude: str = ""

    def holds(self, path: str) -> bool:
        """Whether a file of the repository is one of the recordings."""
        left_out = self.exclude and self.exclude in path
        return path.startswith(f"{self.folder}/") and bool(re.search(self.pattern, path)) and not left_out


SOURCES = {
    "speechocean": Source("jimbozhang+speechocean762", "speech", "CC-BY-4.0", "WAVE", speaker="folder"),
    "librispeech": Source(
        "resemble-ai+Resemblyzer", "speech", "CC-BY-4.0", "audio_data", r"librispeech.*flac$", r"(\d+)-\d+-\d+"
    ),
    "robotutor_en2": Source(
        "XPRIZE+GLEXP-Team-RoboTutor-EnglishAssets", "speech", "Apache-2.0 / CC-BY-4.0", "English_StoriesAudio"
    ),
    # spoken into microphones of their own by more than 50 people each; which file is whose is not said
    "picovoice_sti": Source("Picovoice+speech-to-intent-benchmark", "speech", "Apache-2.0", "data/speech/clean"),
    "picovoice_ww": Source(
        "Picovoice+wake-word-benchmark", "speech", "Apache-2.0", "audio", exclude="multiple_keywords"
    ),
    # single words: the test set of Google's Speech Commands, and a set like it in Arabic
    "speech_commands": Source(
        "thegtagamer+PICO-tinyML-benchmark",
        "speech",
        "CC-BY-4.0",
        "MLTK_keyworkSpotting/dataset",
        speaker=r"([0-9a-f]{8})_nohash",
        exclude="_silence_",
    ),
    "arabic_commands": Source(
        "abdulkaderghandoura+arabic-speech-commands-dataset",
        "speech",
        "CC-BY-4.0",
        "dataset",
        r"_NO_\d+\.wav$",
        r"(\d{8})_NO_",
    ),
    "ambient": Source("CreativeMD+AmbientSounds", "noise", "LGPL-3.0", MINECRAFT),
    "dynsurr": Source("OreCruncher+DynamicSurroundings", "noise", "CC0 / CC-BY (per sound)", MINECRAFT),
    "maad": Source("scikit-maad+scikit-maad", "noise", "BSD-3-Clause", "data"),
    "footsteps": Source("Sollace+Presence-Footsteps", "noise", "MIT", f"{MINECRAFT}/presencefootsteps"),
    "drone": Source("grigoriev-vladimir+drone-audio-dataset", "noise", "MIT", "clips"),
    "weather2": Source("Corosauce+weather2", "noise", "LGPL-2.1", MINECRAFT),
    # not what voices sing or call
    "noixer": Source("abetusk+noixer", "noise", "CC0", "assets", r"^(?!.*(voices|prayer|choirs|singing)).*mp3$"),
    "mineclone": Source("MineClone2+MineClone2", "noise", "GPL-3.0 / CC0 / CC-BY / CC-BY-SA", "mods", exclude="music"),
}


def main() -> None:
    """Read the arguments, and make the corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clones", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--only", nargs="+", choices=SOURCES, default=list(SOURCES), metavar="SOURCE")
    options = parser.parse_args()
    clones = Clones(options.clones, {name: source.repository for name, source in SOURCES.items()})
    for name in options.only:
        extract(clones, name, options.output / SOURCES[name].kind / name)
        add(options.output, name, SOURCES[name])
    if (speech := options.output / "speech.jsonl").exists():
        write_quiet(speech, options.output / "quiet.jsonl")


def extract(clones: Clones, name: str, place: Path) -> None:
    """Write the recordings of a source, each below the folder of the source by its path in the repository."""
    source = SOURCES[name]
    count = 0
    for path, data in clones.chosen(name, source.holds):
        target = place / path.removeprefix(f"{source.folder}/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.write_bytes(data)
        count += 1
    if not count:
        raise SystemExit(f"{source.repository}: nothing below {source.folder} matches {source.pattern}")
    print(f"{name}: {count} recordings")


def add(corpus: Path, name: str, source: Source) -> None:
    """Measure the recordings of a source, and put them into the manifest of their kind."""
    of_kind = ["--category-from", "file"] if source.kind == "noise" else []
    if source.speaker:
        of_kind += ["--speaker-from", source.speaker]
    command = [sys.executable, "-m", "percepnet", "corpus", "add", f"{source.kind}/{name}", "--kind", source.kind]
    command += ["--source", name, "--licence", source.licence, "-o", f"{source.kind}.jsonl", *of_kind]
    outcome = subprocess.run(command, check=False, cwd=corpus)
    if outcome.returncode not in (0, SOME_UNUSABLE):
        raise SystemExit(f"{name}: percepnet corpus add ended with {outcome.returncode}; its message is above")


def write_quiet(speech: Path, quiet: Path) -> None:
    """Those rows of a manifest whose own noise is far below the speech, or not known."""
    lines = speech.read_text(encoding="utf-8").splitlines()
    floors = [json.loads(line).get("noise_floor_db") for line in lines]
    kept = [line for line, floor in zip(lines, floors, strict=True) if floor is None or floor <= QUIET_DB]
    quiet.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    print(f"{quiet.name}: {len(kept)} of {len(lines)} recordings")


if __name__ == "__main__":
    main()
