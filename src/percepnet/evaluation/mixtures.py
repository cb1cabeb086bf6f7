"""The record of a set of mixtures, ``mixtures.json`` beside its folders: what each is made of, and by which command."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from percepnet.errors import PercepNetError
from percepnet.typed import describe as description

RECORD = "mixtures.json"


class Part(msgspec.Struct, frozen=True):
    """Speech, noise or room of a mixture: the recording it is from. What is not needed here is not looked at."""

    path: str = ""
    source: str | None = None
    category: str | None = None
    voice: str | None = None


class Mixture(msgspec.Struct, frozen=True):
    """One mixture, under the name of its two files."""

    name: str
    snr_db: float
    speech: Part | None = None
    noise: Part | None = None
    room: Part | None = None


class MixtureSet(msgspec.Struct, frozen=True):
    """All mixtures of a folder.

    Attributes
    ----------
    command : str
        That made them; empty where it is not recorded.
    """

    mixtures: list[Mixture]
    command: str = ""

    @property
    def snrs_db(self) -> dict[str, float]:
        """Signal-to-noise ratios by name."""
        return {mixture.name: mixture.snr_db for mixture in self.mixtures}

    @property
    def made_of(self) -> str:
        """Of what mixtures by `percepnet heldout` are made, for reports; empty for others."""
        parts = [(m.speech, m.noise) for m in self.mixtures if m.speech and m.noise]
        if not parts or len(parts) < len(self.mixtures):
            return ""
        speech = {part.path: part for part, _ in parts}
        noises = {part.path: part for _, part in parts}
        low = sum(part.voice == "low" for part, _ in parts)
        rooms = [mixture.room for mixture in self.mixtures if mixture.room]
        reverberant = f"; {len(rooms)} of them in {len({room.path for room in rooms})} measured rooms" if rooms else ""
        return (
            f"{len(speech)} recordings of speech ({_listed(part.source for part in speech.values())}), "
            f"{low} mixtures with a low voice and {len(parts) - low} with a high one; "
            f"{len(noises)} noises ({_listed(part.category for part in noises.values())}){reverberant}"
        )


def read_mixtures(folder: Path) -> MixtureSet:
    """The mixtures of a folder as `percepnet heldout` recorded them; none where there is no ``mixtures.json``.

    Raises
    ------
    PercepNetError
        If the file is not as it writes it.
    """
    path = folder / RECORD
    if not path.is_file():
        return MixtureSet([])
    try:
        return msgspec.json.decode(path.read_bytes(), type=MixtureSet, strict=False)
    except msgspec.ValidationError as error:
        raise PercepNetError(
            f"{path}: expected mixtures with name and snr_db ({description(error)}); delete it to do without"
        ) from error
    except (OSError, msgspec.DecodeError) as error:
        raise PercepNetError(f"{path}: {error}; delete it to do without") from error


def _listed(names: Iterable[str | None]) -> str:
    return ", ".join(sorted({str(name) for name in names}))
