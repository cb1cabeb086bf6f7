"""Scores that are kept from one run to the next, each under a hash of all that it depends on."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from percepnet.atomic import replacing
from percepnet.errors import PercepNetError

FOLDER = ".percepnet-evaluation"
VERSION = 1  # to be raised when what is measured, or how, changes


@dataclass(frozen=True)
class Cache:
    """A folder of JSON files; without a folder nothing is kept.

    Parameters
    ----------
    folder : path or None
        Made when the first result is kept. It holds nothing that cannot be made again, and tells git so.
    """

    folder: Path | None = None

    def get(self, key: str) -> Any | None:
        """What is kept under a key; None if there is nothing, or it cannot be read."""
        if self.folder is None:
            return None
        try:
            return json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def put(self, key: str, value: Any) -> None:
        """Keep a JSON value.

        Raises
        ------
        PercepNetError
            If the folder cannot be written.
        """
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            with replacing(self.folder / f"{key}.json") as temporary:
                temporary.write_text(json.dumps(value), encoding="utf-8")
        except OSError as error:
            raise PercepNetError(
                f"{self.folder}: cannot be written ({error.strerror}): give another --cache"
            ) from error


def file_digest(path: Path) -> str:
    """Hash of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def key_of(*parts: str) -> str:
    """Key for what depends on all the parts, in this order."""
    return hashlib.sha256("\0".join((str(VERSION), *parts)).encode()).hexdigest()[:32]
