"""How much of the machine this process may use."""

import os


def processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_of_a_recording() -> int:
    """Threads that a recording is worth by itself: one decides, the other hears what comes."""
    return min(2, processors())
