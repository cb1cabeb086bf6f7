"""Does enhancement help machines that listen? Words that moonshine gets wrong, and wake words that openWakeWord hears.

    pip install moonshine-voice==0.0.68 pyopen-wakeword     # their weights are in these wheels
    apt install flite                                       # speaks the wake words
    python benchmarks/recognition.py [--speech FILE.wav ...] [--pairs FOLDER]

Without --speech it reads the two recordings of books that come with moonshine. The text is what moonshine hears in the
clean recording. The noises are those of the example clips. Every setting hears the same mixtures. With --pairs it hears
the mixtures of a folder that `percepnet heldout` has made, in their stead.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr

import percepnet
from percepnet.evaluation.mixtures import read_mixtures
from percepnet.evaluation.recordings import find_pairs

ROOT = Path(__file__).resolve().parents[1]
CLIPS = ROOT / "examples/clips"
SNRS_DB = (20, 10, 5, 0, -5)
RATE_HZ = 16000
WORDS_MIN = 4  # that moonshine hears in a clean recording, for it to count
WAKE_WORDS = {"alexa": "alexa", "hey_jarvis": "hey jarvis", "hey_mycroft": "hey mycroft", "okay_nabu": "okay nabu"}
VOICES = ("awb", "rms", "slt")
# openWakeWord takes 0.7 s of processor for the 4 s around a word: three noises, and one where they are not heard
WAKE_NOISES = {60: 1, 10: 3, 0: 3}
SETTINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "noisy": lambda x: x,
    "default": lambda x: percepnet.enhance(x, RATE_HZ),
    "default, at most 12 dB": lambda x: percepnet.enhance(x, RATE_HZ, attenuation_limit_db=12.0),
    "small": lambda x: percepnet.enhance(x, RATE_HZ, model="small"),
}
# wake words do not wait 30 s
FOR_RECORDINGS = SETTINGS | {"best": lambda x: percepnet.enhance(x, RATE_HZ, quality="best")}


def noises() -> list[np.ndarray]:
    """What the example clips have beside their speech, at 16 kHz."""
    found = []
    for path in sorted((CLIPS / "noisy").iterdir()):
        noisy, rate_hz = soundfile.read(path, dtype="float32")
        clean, _ = soundfile.read(CLIPS / "clean" / path.name, dtype="float32")
        found.append(soxr.resample(noisy - clean, rate_hz, RATE_HZ))
    return found


def mixed(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Speech and a repeated noise, at a ratio of their powers where there is speech."""
    noise = np.resize(noise, len(speech))
    power = speech.astype(np.float64) ** 2
    loud = power > 0.01 * power.max()
    wanted = np.mean(power[loud]) / 10 ** (snr_db / 10)
    y = speech + noise * np.sqrt(wanted / np.mean(noise.astype(np.float64) ** 2))
    return (0.9 * y / max(1.0, float(np.abs(y).max()))).astype(np.float32)


def words_of(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split()


def words_wrong(found: str, text: str) -> float:
    """Word error rate: the least substitutions, insertions and deletions, for each word of the text."""
    a, b = words_of(found), words_of(text)
    row = np.arange(len(b) + 1)
    for i, word in enumerate(a, 1):
        before, row = row, np.empty_like(row)
        row[0] = i
        for j, other in enumerate(b, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (word != other))
    return float(row[-1]) / len(b)


def moonshine() -> Callable[[np.ndarray], str]:
    """What is heard in a signal at 16 kHz."""
    from moonshine_voice import ModelArch, get_model_path
    from moonshine_voice.transcriber import Transcriber

    listener = Transcriber(str(get_model_path("tiny-en")), ModelArch.TINY)

    def heard(x: np.ndarray) -> str:
        return " ".join(line.text for line in listener.transcribe_without_streaming(x.tolist(), RATE_HZ).lines)

    return heard


def of_pairs(folder: Path) -> dict[str, dict[str, float]]:
    """Word error rates by setting and ratio, over all words of the mixtures that have some, and how many words."""
    heard, words = moonshine(), Counter[str]()
    wrong = {name: Counter[str]() for name in FOR_RECORDINGS}
    for pair in find_pairs(folder, read_mixtures(folder).snrs_db):
        text, noisy = heard(read_at_rate(pair.clean)), read_at_rate(pair.noisy)
        count = len(words_of(text))
        if count < WORDS_MIN:
            continue
        keys = ["all"] if pair.snr_db is None else [f"{pair.snr_db:.0f} dB", "all"]
        words.update(dict.fromkeys(keys, count))
        for name, enhance in FOR_RECORDINGS.items():
            errors = round(count * words_wrong(heard(enhance(noisy)), text))
            wrong[name].update(dict.fromkeys(keys, errors))
    rates = {name: {key: round(wrong[name][key] / words[key], 3) for key in words} for name in wrong}
    return rates | {"words": {key: float(count) for key, count in words.items()}}


def read_at_rate(path: Path) -> np.ndarray:
    x, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(x[:, 0], rate_hz, RATE_HZ))


def recognition(paths: list[Path]) -> dict[str, dict[str, float]]:
    """Word error rates by setting and ratio; the text is what is heard in the clean recording."""
    heard = moonshine()
    rates: dict[str, dict[str, list[float]]] = {name: {} for name in FOR_RECORDINGS}
    for path in paths:
        speech = read_at_rate(path)
        text = heard(speech)
        for snr_db in SNRS_DB:
            for noise in noises():
                mixture = mixed(speech, noise, snr_db)
                for name, enhance in FOR_RECORDINGS.items():
                    wrong = words_wrong(heard(enhance(mixture)), text)
                    rates[name].setdefault(f"{snr_db} dB", []).append(wrong)
    return {name: {snr: round(float(np.mean(all_)), 3) for snr, all_ in by.items()} for name, by in rates.items()}


def wake_words() -> dict[str, dict[str, float]]:
    """Share of spoken wake words that are heard, by setting and ratio; takes some three minutes of a processor."""
    from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures

    heard: dict[str, dict[str, list[bool]]] = {name: {} for name in SETTINGS}
    beside = noises()
    features = OpenWakeWordFeatures.from_builtin()
    with tempfile.TemporaryDirectory() as folder:
        for model, words in WAKE_WORDS.items():
            listener = OpenWakeWord.from_builtin(Model(model))
            for voice in VOICES:
                print(f"{words}, by {voice}", file=sys.stderr, flush=True)
                path = Path(folder, f"{model}-{voice}.wav")
                subprocess.run(["flite", "-voice", voice, "-t", words, "-o", str(path)], check=True)
                x, rate_hz = soundfile.read(path, dtype="float32")
                speech = np.pad(soxr.resample(x, rate_hz, RATE_HZ), (2 * RATE_HZ, RATE_HZ))
                for snr_db, count in WAKE_NOISES.items():
                    for noise in beside[:count]:
                        mixture = mixed(speech, noise, snr_db)
                        for name, enhance in SETTINGS.items():
                            audio = (32767 * np.clip(enhance(mixture), -1, 1)).astype(np.int16).tobytes()
                            best = max(
                                (p for f in features.process_streaming(audio) for p in listener.process_streaming(f)),
                                default=0.0,
                            )
                            heard[name].setdefault(f"{snr_db} dB", []).append(best > 0.5)
                            listener.reset()
                            features.reset()
    return {name: {snr: round(float(np.mean(all_)), 3) for snr, all_ in by.items()} for name, by in heard.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--pairs", type=Path, metavar="FOLDER", help="with clean/ and noisy/")
    parser.add_argument("--skip-wake-words", action="store_true")
    parser.add_argument("--skip-words", action="store_true")
    arguments = parser.parse_args()
    if arguments.pairs:
        print(json.dumps({"word error rate": of_pairs(arguments.pairs)}, indent=1), flush=True)
    elif not arguments.skip_words:
        paths = arguments.speech
        if not paths:
            found = importlib.util.find_spec("moonshine_voice")
            assets = Path(str(found.origin)).parent / "assets"  # type: ignore[union-attr]
            paths = [assets / "two_cities.wav", assets / "beckett.wav"]
        print(json.dumps({"word error rate": recognition(paths)}, indent=1), flush=True)
    if not arguments.skip_wake_words:
        print(json.dumps({"wake words heard": wake_words()}, indent=1))


if __name__ == "__main__":
    main()
