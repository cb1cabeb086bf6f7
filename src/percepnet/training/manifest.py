"""What manifests say: splits that nothing leaks between, and what is in them.

`percepnet.training.indexing` writes manifests, `percepnet.manifest` reads them.
"""

import hashlib
import math
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from percepnet.manifest import Split

KINDS = ("speech", "noise", "room")
GROUP_FIELDS = {"speech": "speaker", "noise": "recording", "room": "room"}  # what a split keeps together, by kind
FLAGS = {
    "clipped": "more than a thousandth of the samples in clipped runs",
    "noisy": "noise floor of speech less than 30 dB below it",
    "reverberant": "a room whose reverberation time exceeds 1.5 s, of which training takes only the beginning",
    "mostly_silent": "a noise that is silent for more than half of its length",
    "narrowband": "spectrum ends below 6.5 kHz",
    "short": "less than half a second (of a room: 50 ms)",
}
# the standard terms, and where the next one begins
BANDWIDTHS = {"narrowband": 6_500.0, "wideband": 12_000.0, "super-wideband": 18_000.0, "fullband": math.inf}
NARROWBAND_HZ = BANDWIDTHS["narrowband"]
NAMED = 5  # groups that a warning names

# an index at the end of a name, attached or not, or a letter that stands alone
_INDEX = re.compile(r"(?:[-_ .]*\(?\d+\)?|[-_ .]+[A-Za-z])$")
_LETTER = re.compile(r"[-_ .]+[A-Za-z]$")
_PLACE = re.compile(r"[-_ .]+[A-Za-z]{0,8}\d+$")


def original(stem: str) -> str:
    """The name of the recording that a file was cut from: its own, without an index at the end.

    Parameters
    ----------
    stem : str

    Examples
    --------
    >>> [original(stem) for stem in ("rain_003", "rain (2)", "rain-b", "5-200461-A-11", "0042", "rain")]
    ['rain', 'rain', 'rain', '5-200461', '0042', 'rain']
    """
    without = _INDEX.sub("", stem)
    return _LETTER.sub("", without) or without or stem


def room_name(stem: str) -> str:
    """The name of a room: a file's, without channels and places at its end, which have numbers.

    Parameters
    ----------
    stem : str

    Examples
    --------
    >>> [room_name(stem) for stem in ("kitchen_c0", "room12_src2_mic3", "office-left", "0042")]
    ['kitchen', 'room12', 'office-left', '0042']
    """
    while _PLACE.sub("", stem) not in ("", stem):
        stem = _PLACE.sub("", stem)
    return stem


def assign_splits(groups: Iterable[str], known: Mapping[str, Split], valid_share: float) -> dict[str, Split]:
    """A split for each group (a speaker, a recording, a room).

    A hash of its name decides, so that more groups change nothing for those that are there. But one group at least is
    in `train`; and if 10 groups or more are expected for 5 % (a number of which half a group would be held out), one at
    least is in `valid`.

    Parameters
    ----------
    groups : iterable of str
    known : mapping of str to {"train", "valid"}
        Of groups that have a split already, and keep it.
    valid_share : float
        From 0 to 1.

    Returns
    -------
    dict of str to {"train", "valid"}
        Of `groups`.
    """
    at = {group: _fraction(group) for group in sorted(set(groups))}
    new = [group for group in at if group not in known]
    result: dict[str, Split] = {group: "valid" if at[group] < valid_share else "train" for group in at}
    result.update({group: known[group] for group in at if group in known})
    everywhere = {**known, **result}
    if new and "train" not in everywhere.values():
        result[max(new, key=at.__getitem__)] = "train"
    if new and "valid" not in everywhere.values() and len(everywhere) * valid_share >= 0.5:
        result[min(new, key=at.__getitem__)] = "valid"
    return result


def group_of(row: Mapping[str, Any]) -> str:
    """What must not be on both sides of a split: the speaker, or the source where it is unknown; recording; room."""
    group = row.get(GROUP_FIELDS.get(str(row.get("kind")), "speaker"))
    return str(group) if group else f"source {row.get('source') or ''}"


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is in manifests, by kind.

    Parameters
    ----------
    rows : sequence of mapping
        Of one or more manifests; a row without a kind is counted under `recordings`.

    Returns
    -------
    dict of str to dict
        By kind: `files`, `hours`, `speakers`, then files and hours by split, source, category, bandwidth, licence and
        flag, and the range of reverberation times.
    """
    kinds: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        kinds[str(row.get("kind") or "recordings")].append(row)
    return {kind: _summary_of_kind(kinds[kind]) for kind in sorted(kinds)}


def leaks(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is on both sides of a split: the same sound, speaker, recording or room; one line each.

    Parameters
    ----------
    rows : sequence of mapping
        Of all the manifests that are used together.

    Returns
    -------
    list of str
    """
    lines = []
    for field in ("sha256", "speaker", "recording", "room", "source"):
        sides: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for row in rows:
            # a source is on both sides by right, unless it stands for a speaker whom nobody knows
            counts = field != "source" or (row.get("kind") == "speech" and not row.get("speaker"))
            if row.get(field) and row.get("split") and counts:
                sides[row[field]].setdefault(row["split"], row["path"])
        both = {name: paths for name, paths in sides.items() if len(paths) > 1}
        for name, paths in list(both.items())[:NAMED]:
            what = "the same sound" if field == "sha256" else f"{field} {name!r}"
            unknown = " (of unknown speakers)" if field == "source" else ""
            lines.append(f"{what}{unknown} is in train and valid: {paths['train']}, {paths['valid']}")
        if len(both) > NAMED:
            lines.append(f"and {len(both) - NAMED} more, each with a {field} in train and valid")
    return lines


def gaps(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Splits that have nothing in them, by kind; one line each."""
    lines = []
    for kind in KINDS:
        of_kind = [row for row in rows if row.get("kind") == kind]
        if of_kind and not any(row.get("split") == "valid" for row in of_kind):
            unknown = kind == "speech" and not any(row.get("speaker") for row in of_kind)
            hint = ": say who speaks, with --speaker-from" if unknown else ""
            lines.append(f"no {kind} is held out (split valid){hint}")
    return lines


def _summary_of_kind(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "files": len(rows),
        "hours": round(_hours(rows), 4),
        "speakers": len({row["speaker"] for row in rows if row.get("speaker")}),
    }
    for field in ("split", "source", "category", "licence"):
        result[field] = _counted((str(row.get(field) or "unknown"), row) for row in rows)
    result["bandwidth"] = _counted((_bandwidth_name(row), row) for row in rows)
    result["flags"] = _counted((flag, row) for row in rows for flag in row.get("flags") or ())
    if rt60_s := [row["rt60_s"] for row in rows if row.get("rt60_s") is not None]:
        low, middle, high = np.percentile(rt60_s, [0, 50, 100]).round(2).tolist()
        result["rt60_s"] = {"shortest": low, "median": middle, "longest": high}
    return result


def _counted(pairs: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, dict[str, float]]:
    members: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for name, row in pairs:
        members[name].append(row)
    found = {name: {"files": len(rows), "hours": round(_hours(rows), 4)} for name, rows in members.items()}
    return dict(sorted(found.items(), key=lambda item: (-item[1]["hours"], item[0])))


def _hours(rows: Iterable[Mapping[str, Any]]) -> float:
    return float(sum(row.get("seconds") or 0.0 for row in rows) / 3600)


def _bandwidth_name(row: Mapping[str, Any]) -> str:
    if row.get("bandwidth_hz") is None:
        return "unknown"
    return next(name for name, end_hz in BANDWIDTHS.items() if row["bandwidth_hz"] < end_hz)


def _fraction(name: str) -> float:
    """A number from 0 to 1 that a name always has."""
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "big") / 2.0**64
