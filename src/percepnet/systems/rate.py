"""Systems at another rate than 48 kHz."""

from percepnet.acoustics.resampling import resampled
from percepnet.arrays import Samples
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.systems.system import Process


def at_rate(rate_hz: int, process: Process) -> Process:
    """An adapter for a system that runs at another rate than 48 kHz; the resampling has no delay."""
    if rate_hz == SAMPLE_RATE_HZ:
        return process

    def resampling(noisy: Samples) -> Samples:
        return resampled(process(resampled(noisy, SAMPLE_RATE_HZ, rate_hz)), rate_hz, SAMPLE_RATE_HZ)

    return resampling
