"""What systems cost in a call: one frame of 10 ms every 10 ms, as `percepnet bench` measures it, but briefly."""

from collections.abc import Iterable

from percepnet.bench.measure import FRAME_US, take_turns
from percepnet.params import FRAMES_PER_SECOND
from percepnet.systems.register import Register
from percepnet.systems.system import SystemMissing

SECONDS = 2.0


def paced_factors(names: Iterable[str], register: Register, *, seconds: float = SECONDS) -> dict[str, float]:
    """Real-time factors of live use, of the systems that can be used so.

    Parameters
    ----------
    names : iterable of str
        Of systems; those that do not take 10 ms at a time in this process have no place in the result.
    register : Register
    seconds : float
        Of audio for each system, in real time; they take turns of a second.

    Returns
    -------
    dict of str to float
        Name to seconds of one processor for a second of sound, the mean over all frames.

    Raises
    ------
    ModelError
        If the model cannot be loaded.
    """
    systems = []
    for name in names:
        try:
            systems.append(register.live(name))
        except SystemMissing:  # it is scored over its other interface, or left out with a word
            continue
    times = take_turns(systems, max(1, round(seconds * FRAMES_PER_SECOND)), paced=True)
    return {name: float(frames.cpu_us.mean()) / FRAME_US for name, frames in times.items()}
