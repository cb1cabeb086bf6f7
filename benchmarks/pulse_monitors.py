"""Record sources of a PulseAudio server together, and when each sample was.

    python benchmarks/pulse_monitors.py FILE.npz SOURCE [SOURCE ...]

Ends at SIGINT. Two recordings of two programs begin at times of their own, up to a block of the server apart; here
libpulse says how old each sample is, so that they lie on one clock. Of a monitor that is when the sound is played,
which is later than when the server has mixed it.
"""

import ctypes
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

RATE_HZ = 48000
BLOCK = 96
# Of so many the youngest sample counts: libpulse says how old the beginning of a fragment is, until it is read.
READS = 50
RECORD, FLOAT32LE = 2, 5
FRAGMENT_BYTES = 4 * 960


class _Format(ctypes.Structure):
    _fields_ = (("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8))


class _Buffer(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("maxlength", "tlength", "prebuf", "minreq", "fragsize"))


class Recorder:
    """One source: `samples`, and `times`, pairs of a number of a sample and its time in s.

    Parameters
    ----------
    source : str
    """

    def __init__(self, source: str) -> None:
        self.samples: list[np.ndarray] = []
        self.times: list[tuple[int, float]] = []
        self.going = True
        self._pulse = ctypes.CDLL("libpulse-simple.so.0")
        self._pulse.pa_simple_new.restype = ctypes.c_void_p
        self._pulse.pa_simple_get_latency.restype = ctypes.c_int64
        error, none = ctypes.c_int(), ctypes.c_uint32(-1).value
        buffer = _Buffer(none, none, none, none, FRAGMENT_BYTES)
        name = b"monitors"
        stream = self._pulse.pa_simple_new(
            None, name, RECORD, source.encode(), name, ctypes.byref(_Format(FLOAT32LE, RATE_HZ, 1)), None,
            ctypes.byref(buffer), ctypes.byref(error),
        )  # fmt: skip
        if not stream:
            raise OSError(f"{source}: PulseAudio's error {error.value}")
        self._stream = ctypes.c_void_p(stream)
        self._thread = threading.Thread(target=self._record, daemon=True)
        self._thread.start()

    def _record(self) -> None:
        error, count = ctypes.c_int(), 0
        found: list[tuple[int, float]] = []
        while self.going:
            block = np.empty(BLOCK, np.float32)
            self._pulse.pa_simple_read(self._stream, block.ctypes, ctypes.c_size_t(block.nbytes), ctypes.byref(error))
            old_us = self._pulse.pa_simple_get_latency(self._stream, ctypes.byref(error))
            count += BLOCK
            self.samples.append(block)
            found.append((count, time.monotonic() - old_us / 1e6))
            if len(found) == READS:
                self.times.append(max(found, key=lambda pair: pair[1] - pair[0] / RATE_HZ))
                found.clear()

    def end(self) -> None:
        """The thread ends."""
        self.going = False
        self._thread.join(1.0)


def main() -> None:
    path, *sources = sys.argv[1:]
    ends = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: ends.set())
    recorders = [Recorder(source) for source in sources]
    ends.wait()
    arrays = {}
    for number, recorder in enumerate(recorders):
        recorder.end()
        arrays[f"samples{number}"] = np.concatenate(recorder.samples)
        arrays[f"times{number}"] = np.array(recorder.times)
    partial = Path(path).with_suffix(".part.npz")  # whole once it has its name
    np.savez(partial, **arrays)
    partial.rename(path)


if __name__ == "__main__":
    main()
