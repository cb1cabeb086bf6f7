"""Which models ship, by the hash of their files: what pictures, tables and cards are held to."""

import hashlib
from pathlib import Path

WEIGHTS = Path(__file__).resolve().parents[1] / "src" / "percepnet" / "model" / "weights"
MARK = "percepnet-models"  # of a picture's text, in the PNG file


def model_hashes() -> dict[str, str]:
    """Name to SHA-256, in hexadecimal, of each model's file."""
    return {p.stem: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(WEIGHTS.glob("*.safetensors"))}
