"""Two files beside a live stream: what came in and what went out, aligned to the sample."""

import os
import queue
import threading
from pathlib import Path
from types import TracebackType

from percepnet.arrays import AnySamples
from percepnet.errors import AudioError

SUBTYPES = {".wav": "PCM_24", ".flac": "PCM_24"}


class Recording:
    """Writes in a thread of its own, as a disk may be slow.

    Parameters
    ----------
    raw, clean : Path
        New .wav or .flac files.

    Raises
    ------
    AudioError
        If one is there already, has another suffix, or lies where nothing can be written.
    """

    def __init__(self, raw: Path, clean: Path) -> None:
        for path in (raw, clean):
            if path.suffix.lower() not in SUBTYPES:
                raise AudioError(f"{path}: recordings are {' or '.join(SUBTYPES)} files")
            if path.exists():
                raise AudioError(f"{path}: exists: give another name")
            if not path.parent.is_dir():
                raise AudioError(f"{path}: there is no folder {path.parent}: make it, or give another name")
            if not os.access(path.parent, os.W_OK):
                raise AudioError(f"{path}: the folder {path.parent} cannot be written to: give another name")
        if raw.absolute() == clean.absolute():
            raise AudioError(f"{raw}: give two different files to --record")
        self._paths = (raw, clean)
        self._blocks: queue.SimpleQueue[tuple[AnySamples, AnySamples] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._rate_hz = self._skip = 0
        self.error: str | None = None

    def prepare(self, rate_hz: int, latency_samples: int) -> None:
        """For sound of a rate, and of a delay; after a change of devices it goes on, if the rate is the same."""
        if not self._rate_hz:
            self._rate_hz, self._skip = rate_hz, latency_samples
        elif rate_hz != self._rate_hz:
            self.error = f"the devices are at {rate_hz} Hz now, and the recording ends: it is at {self._rate_hz} Hz"

    def start(self) -> None:
        """Write from here on: files appear only once the devices are open."""
        self._thread = threading.Thread(target=self._write, name="recording", daemon=True)
        self._thread.start()

    def add(self, raw: AnySamples, clean: AnySamples) -> None:
        """The next samples; called from the audio thread, and never waits."""
        if self.error is None:
            self._blocks.put((raw, clean))

    def __enter__(self) -> "Recording":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._blocks.put(None)
            self._thread.join()

    def _write(self) -> None:
        import soundfile

        files: list[soundfile.SoundFile] = []
        try:
            for path in self._paths:
                files.append(soundfile.SoundFile(path, "w", self._rate_hz, 1, SUBTYPES[path.suffix.lower()]))
        except (OSError, soundfile.SoundFileError) as error:
            self.error = f"the recording cannot be written: {error}"
            for file, path in zip(files, self._paths, strict=False):
                file.close()
                path.unlink()
            return
        with files[0], files[1]:
            while (block := self._blocks.get()) is not None:
                raw, clean = block
                skipped = min(self._skip, len(clean))
                self._skip -= skipped
                try:
                    files[0].write(raw)
                    files[1].write(clean[skipped:])
                except (OSError, soundfile.SoundFileError) as error:
                    self.error = f"the recording ends: {error}"
                    return
