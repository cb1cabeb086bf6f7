"""Recordings for evaluation: mono, alone or as clean and noisy pairs of one name."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from percepnet.acoustics.resampling import resampled
from percepnet.arrays import Samples
from percepnet.audio import FORMATS, open_audio
from percepnet.audio.search import find_audio
from percepnet.errors import AudioError, PercepNetError
from percepnet.params import SAMPLE_RATE_HZ

_UNREAD = f"recordings to compare are {', '.join(FORMATS)}"


@dataclass(frozen=True)
class Pair:
    """A noisy recording and the clean speech in it, two files of one name.

    Attributes
    ----------
    snr_db : float or None
        Signal-to-noise ratio, where it is known.
    """

    name: str
    clean: Path
    noisy: Path
    snr_db: float | None = None


@dataclass(frozen=True)
class Recording:
    """A noisy recording, with the clean speech in it where there is one.

    Attributes
    ----------
    noise, room : str
        Kind of noise, and the room that the speech is in, where they are known.
    """

    name: str
    noisy: Path
    clean: Path | None = None
    snr_db: float | None = None
    noise: str = ""
    room: str = ""


def read_mono(path: Path) -> tuple[Samples, int]:
    """A whole mono recording, `samples, sample_rate_hz`.

    Returns
    -------
    np.ndarray [shape=(n,)]
    int

    Raises
    ------
    AudioError
        If the file cannot be read, is empty or has several channels.
    """
    with open_audio(path) as reader:
        if reader.info.channels != 1:
            raise AudioError(f"{path}: has {reader.info.channels} channels; evaluation compares mono recordings")
        return np.concatenate(list(reader.blocks()), axis=1)[0], reader.info.sample_rate_hz


def read_aligned(clean: Path, noisy: Path) -> tuple[Samples, Samples, int]:
    """Two mono recordings of one length and rate, `clean, noisy, sample_rate_hz`.

    Raises
    ------
    AudioError
        If one cannot be read, or their rates or lengths differ.
    """
    (x, x_rate_hz), (y, y_rate_hz) = read_mono(clean), read_mono(noisy)
    if x_rate_hz != y_rate_hz:
        raise AudioError(f"{clean} has {x_rate_hz} Hz and {noisy} has {y_rate_hz} Hz: give both one rate")
    if len(x) != len(y):
        raise AudioError(f"{clean} has {len(x)} samples and {noisy} has {len(y)}: cut both to one start and length")
    return x, y, x_rate_hz


def read_at_48k(pair: Pair) -> tuple[Samples, Samples]:
    """Both signals of a pair at 48 kHz, `clean, noisy`; the errors are those of `read_aligned`."""
    clean, noisy, rate_hz = read_aligned(pair.clean, pair.noisy)
    return resampled(clean, rate_hz, SAMPLE_RATE_HZ), resampled(noisy, rate_hz, SAMPLE_RATE_HZ)


def find_pairs(folder: Path, snrs_db: dict[str, float] | None = None) -> list[Pair]:
    """The recordings that `folder/clean` and `folder/noisy` both have, by name.

    Parameters
    ----------
    folder : path
    snrs_db : dict, optional
        Signal-to-noise ratios by name.

    Raises
    ------
    PercepNetError
        If a folder is missing or there is no pair.
    """
    files = {}
    for kind in ("clean", "noisy"):
        if not (folder / kind).is_dir():
            raise PercepNetError(f"{folder / kind}: no such folder; pairs are clean/NAME.wav and noisy/NAME.wav")
        files[kind] = audio_by_name(folder / kind)
    names = [name for name in files["noisy"] if name in files["clean"]]
    if not names:
        raise PercepNetError(f"{folder}: no recording in noisy/ has one of the same name in clean/")
    return [Pair(name, files["clean"][name], files["noisy"][name], (snrs_db or {}).get(name)) for name in names]


def find_recordings(folder: Path, *, with_clean: bool = True) -> list[Recording]:
    """The recordings to evaluate.

    Parameters
    ----------
    folder : path
        With clean speech: has ``noisy`` and ``clean``; a recording without a clean one of its name comes without.
        Otherwise: a folder of recordings, with its subfolders.
    with_clean : bool

    Raises
    ------
    PercepNetError
        If a folder is missing or there is no recording.
    """
    if with_clean:
        pairs = {pair.name: pair for pair in find_pairs(folder)}
        files = audio_by_name(folder / "noisy")
        return [Recording(name, file, pairs[name].clean if name in pairs else None) for name, file in files.items()]
    if not folder.is_dir():
        raise PercepNetError(f"{folder}: no such folder")
    found = find_audio(folder, suffixes=FORMATS).audio
    stems = [f.relative_to(folder).with_suffix("").as_posix() for f in found]
    names = [s if stems.count(s) == 1 else f.relative_to(folder).as_posix() for s, f in zip(stems, found, strict=True)]
    if not found:
        raise PercepNetError(f"{folder}: no recording in this folder ({', '.join(FORMATS)})")
    return [Recording(name, file) for name, file in zip(names, found, strict=True)]


def left_out(folder: Path, *, with_clean: bool = True, pairs_only: bool = False) -> list[str]:
    """What of a folder is not scored, a sentence each.

    Parameters
    ----------
    folder, with_clean
        As for `find_recordings`.
    pairs_only : bool
        Noisy recordings without a clean one are not scored either, as those of `find_pairs`.
    """
    if not with_clean:
        others = find_audio(folder).audio
        return [f"{path}: is not scored: {_UNREAD}" for path in others if path.suffix.lower() not in FORMATS]
    sentences = []
    names = {kind: audio_by_name(folder / kind) for kind in ("clean", "noisy")}
    for kind, taken in names.items():
        for path in find_audio(folder / kind).audio:
            if path.parent != folder / kind:
                sentences.append(f"{path}: is not scored, as it lies in a folder below {kind}/")
            elif path.suffix.lower() not in FORMATS:
                sentences.append(f"{path}: is not scored: {_UNREAD}")
            elif taken[path.stem] != path:
                sentences.append(f"{path}: is not scored, as {taken[path.stem].name} has the same name: rename one")
    for kind, other in (("clean", "noisy"), *([("noisy", "clean")] if pairs_only else [])):
        alone = [path for name, path in names[kind].items() if name not in names[other]]
        sentences += [f"{path}: is not scored, as no recording in {other}/ has its name" for path in alone]
    return sentences


def read_recording(recording: Recording) -> tuple[Samples | None, Samples]:
    """Both signals at 48 kHz, `clean or None, noisy`.

    Raises
    ------
    AudioError
        If one cannot be read, their rates or lengths differ, or the noisy one is silent.
    """
    clean: Samples | None = None
    if recording.clean is None:
        noisy, rate_hz = read_mono(recording.noisy)
    else:
        speech, noisy, rate_hz = read_aligned(recording.clean, recording.noisy)
        clean = resampled(speech, rate_hz, SAMPLE_RATE_HZ)
    if not np.any(noisy):
        raise AudioError(f"{recording.noisy}: is silent")
    return clean, resampled(noisy, rate_hz, SAMPLE_RATE_HZ)


def audio_by_name(folder: Path) -> dict[str, Path]:
    """The recordings of a folder without its subfolders, by their names without suffixes."""
    return {file.stem: file for file in find_audio(folder, suffixes=FORMATS).audio if file.parent == folder}
