"""A system run on a recording: what comes out is lined up with what went in, and its time is taken."""

import os
import time
from typing import NamedTuple

import numpy as np

from percepnet.arrays import Samples
from percepnet.errors import PercepNetError
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.systems.system import Oracle, Process

DELAY_MAX_SAMPLES = 9600  # 200 ms


class Enhanced(NamedTuple):
    """What a system made of a recording: aligned with it, and of its length.

    Attributes
    ----------
    delay_samples : int
        By which it came out late, at 48 kHz.
    cpu_s : float
        Time of the processor, of all threads and of child processes.
    """

    y: Samples
    delay_samples: int
    cpu_s: float


def measured_delay_samples(x: Samples, delayed: Samples) -> int:
    """Delay of a system, 0 to 200 ms: the lag at which what came out correlates best with what went in.

    Parameters
    ----------
    x, delayed : np.ndarray [shape=(n,)]
    """
    size = len(x) + len(delayed)
    correlation = np.fft.irfft(np.fft.rfft(x, size).conj() * np.fft.rfft(delayed, size), size)
    return int(np.argmax(correlation[: DELAY_MAX_SAMPLES + 1]))


def run_system(process: Process | Oracle, noisy: Samples, clean: Samples | None = None) -> Enhanced:
    """Run a system on a recording, and line up what comes out with what went in.

    Parameters
    ----------
    process : callable or Oracle
        As the adapters of this file.
    noisy : np.ndarray [shape=(n,)]
        Mono, 48 kHz; 200 ms of silence are added, so that the end comes out of a system with a delay too.
    clean : np.ndarray [shape=(n,)], optional
        For an oracle alone.

    Raises
    ------
    PercepNetError
        If the system fails, or gives too few samples, too many, or NaN or infinity; or if an oracle is told nothing.
    """
    if isinstance(process, Oracle):
        if clean is None:
            raise PercepNetError("decides by the clean speech, and there is none")
        process = process.told(clean)
    padded = np.pad(noisy, (0, DELAY_MAX_SAMPLES))
    before = _cpu_s()
    try:
        y = np.asarray(process(padded))
    except PercepNetError:
        raise
    except Exception as error:  # whatever a package of others raises must not stop the others
        raise PercepNetError(f"failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}") from error
    cpu_s = _cpu_s() - before
    if y.ndim != 1 or len(y) > len(padded) + DELAY_MAX_SAMPLES or len(y) < len(noisy):
        raise PercepNetError(f"gave an array of shape {y.shape} for a recording of {len(padded)} samples")
    if not np.isfinite(y).all():
        raise PercepNetError("gave NaN or infinity")
    y = y.astype(np.float32, copy=False)
    delay = measured_delay_samples(padded, y)
    if len(y) < delay + len(noisy):
        raise PercepNetError(f"is late by {delay} samples, and gave only {len(y)} for {len(padded)}")
    return Enhanced(y[delay : delay + len(noisy)], delay, cpu_s)


def _cpu_s() -> float:
    """Time of the processor so far, of this process, finely, and of its children, in steps of 10 ms."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def real_time_factor(enhanced: Enhanced, samples: int) -> float:
    """Seconds of one processor for a second of sound."""
    return enhanced.cpu_s / ((samples + DELAY_MAX_SAMPLES) / SAMPLE_RATE_HZ)
