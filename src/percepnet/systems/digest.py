"""Hashes of the bytes that a system runs: kept scores hold as long as these stay the same."""

import hashlib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

COMPILED = {".pyc", ".pyo"}


def digest(first: str, files: Iterable[Path]) -> str:
    """Hash of a text and of the content of files, in this order."""
    found = hashlib.sha256(first.encode())
    for path in files:
        content = path.read_bytes() if path.is_file() else b""
        found.update(f"\0{path.name} {len(content)}\0".encode())
        found.update(content)
    return found.hexdigest()


def package_files(package: str) -> list[Path]:
    """The files of an installed distribution that run; none where it is not installed."""
    try:
        listed = distribution(package).files or []
    except PackageNotFoundError:
        return []
    runs = (f for f in listed if f.suffix not in COMPILED and not any(part.endswith(".dist-info") for part in f.parts))
    return sorted(Path(str(file.locate())) for file in runs)
