"""Which files go where; everything that would destroy one is refused before any is touched."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from percepnet.audio.formats import ALL_SUFFIXES, FORMATS, MEDIA, default_suffix
from percepnet.audio.search import find_audio
from percepnet.bulk.one import Job
from percepnet.errors import AudioError, PercepNetError

ENHANCED = ".enhanced"  # before the suffix of an output whose name nobody chose


@dataclass
class Plan:
    """What is to be done.

    Attributes
    ----------
    jobs : list of Job
    folder : path or None
        Where results go, if into a folder; its ledger is there.
    not_taken : list of path
        Files of folders that are no audio.
    notes : list of str
    """

    jobs: list[Job] = field(default_factory=list)
    folder: Path | None = None
    not_taken: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def make_plan(inputs: Sequence[Path], output: str | None, *, suffix: str | None = None) -> Plan:
    """Every file, and where its result goes.

    Parameters
    ----------
    inputs : sequence of path
        Files, or folders with their subfolders.
    output : str or None
        A file for one file, a folder otherwise; None is beside the input, with `.enhanced` in the name.
    suffix : str, optional
        Of the outputs, such as ".flac".

    Raises
    ------
    PercepNetError
        If an input is missing, or the output is a file where a folder is needed.
    """
    if output is None:
        return _beside(inputs, suffix)
    target = Path(output)
    is_folder = target.is_dir() or output.endswith(("/", os.sep))
    into_folder = len(inputs) > 1 or inputs[0].is_dir() or is_folder
    if into_folder and target.exists() and not target.is_dir():
        raise PercepNetError(f"{target}: is a file; several inputs or a folder need a folder for -o")
    if len(inputs) > 1 and not is_folder and target.suffix.lower() in ALL_SUFFIXES:
        raise PercepNetError(f"{target}: is the name of one file, and there are {len(inputs)} inputs: give -o a folder")
    plan = Plan(folder=target if into_folder else None)
    pairs: list[tuple[Path, Path]] = []
    for source in inputs:
        if source.is_dir():
            pairs += [(path, target / path.relative_to(source)) for path in _search(plan, source, target)]
        else:
            _require_file(source)
            pairs.append((source, target / source.name if into_folder else target))
    plan.jobs = _named(pairs, suffix, chosen=not into_folder)
    return plan


def _beside(inputs: Sequence[Path], suffix: str | None) -> Plan:
    plan = Plan()
    pairs: list[tuple[Path, Path]] = []
    for source in inputs:
        if source.is_dir():
            folder = source.resolve()
            target = folder.with_name(folder.name + ENHANCED)
            if len(inputs) == 1:
                plan.folder = target
            pairs += [(path, target / path.relative_to(source)) for path in _search(plan, source, target)]
            continue
        _require_file(source)
        if len(inputs) > 1 and source.stem.endswith(ENHANCED):
            plan.notes.append(f"{source}: is an earlier result, and was not taken")
            continue
        pairs.append((source, source.with_name(source.stem + ENHANCED + source.suffix)))
    plan.jobs = _named(pairs, suffix, chosen=False)
    return plan


def _search(plan: Plan, source: Path, target: Path) -> list[Path]:
    same = os.path.realpath(target) == os.path.realpath(source)
    found = find_audio(source, without=None if same else target)
    plan.not_taken += found.others
    plan.notes += [f"{place}: cannot be looked into ({reason})" for place, reason in found.unreadable]
    if not found.audio:
        raise PercepNetError(f"{source}: no audio file in this folder ({', '.join(FORMATS)}, {', '.join(MEDIA)})")
    return found.audio


def _require_file(source: Path) -> None:
    if not source.is_file():
        raise PercepNetError(f"{source}: {'is neither a file nor a folder' if source.exists() else 'no such file'}")


def _named(pairs: list[tuple[Path, Path]], suffix: str | None, *, chosen: bool) -> list[Job]:
    """Give outputs their suffix; where it makes two names the same, the old suffix stays in them."""
    jobs = []
    renamed: dict[Path, int] = {}
    for _, target in pairs:
        wanted = suffix or (target.suffix if chosen else default_suffix(target))
        name = target.with_suffix(wanted) if wanted != target.suffix else target
        renamed[name] = renamed.get(name, 0) + 1
    for source, target in pairs:
        wanted = suffix or (target.suffix if chosen else default_suffix(target))
        name = target.with_suffix(wanted) if wanted != target.suffix else target
        if renamed[name] > 1 and wanted != target.suffix:
            name = target.with_name(target.name + wanted)
        known = {*FORMATS, *MEDIA, "", source.suffix.lower()}
        if name.suffix.lower() not in known:
            raise PercepNetError(
                f"{name}: no format has this suffix: use one of {', '.join(FORMATS)}, or of {', '.join(MEDIA)}"
            )
        jobs.append(Job(source, name))
    return jobs


def refuse_losses(jobs: Sequence[Job], *, overwrite: bool, plot: bool, ours: Collection[Path] = ()) -> None:
    """Refuse what would destroy a file: an input, another result, what is already there and not `ours`.

    Raises
    ------
    PercepNetError
    """
    originals = {_identity(job.source) for job in jobs}
    owners: dict[str, Path] = {}
    targets = [(target, job.source) for job in jobs for target in ([job.target, job.picture] if plot else [job.target])]
    for target, source in targets:
        owner = owners.setdefault(os.path.normcase(os.path.realpath(target)), source)
        if owner is not source:
            raise PercepNetError(f"{owner} and {source} would both be written to {target}: give them different names")
        if not target.exists():
            continue
        if _identity(target) in originals:
            raise PercepNetError(f"{target}: is an input too, which would be lost: give another -o")
        if not target.is_file():
            raise PercepNetError(f"{target}: exists and is not a file: give another -o")
        if not overwrite and target not in ours:
            raise PercepNetError(f"{target}: exists: give another -o, or --overwrite to replace it")


def _identity(path: Path) -> tuple[int, int]:
    """What hard links, symbolic links and other spellings of one file have in common."""
    status = path.stat()
    return status.st_dev, status.st_ino


def make_folders(jobs: Sequence[Job]) -> None:
    """Make the folders of the outputs.

    Raises
    ------
    AudioError
    """
    for folder in {job.target.parent for job in jobs}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AudioError(f"{folder}: cannot be created ({error.strerror})") from error
