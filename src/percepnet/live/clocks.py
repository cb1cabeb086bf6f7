"""What time it is by a sound device, from when it calls.

A device counts time in samples, and calls for each block of them: late by some milliseconds, as its driver moves
several blocks at once, in patterns that may take seconds to repeat, and as the computer has other things to do. But no
call comes before its samples are there, or before there is room for them: the earliest of a second tell the time. A
Kalman filter draws the straight line below these calls: when a sample is due at the earliest, and how long a sample
lasts. It finds out by itself how much a second of calls is worth, so that it is quick with a sound card, and with a
server that wakes when it likes averages over minutes.
"""

import statistics

SKIPPED_S = 0.3  # a driver that starts calls at once for all that it can hold
SETTLING_S = 2.0
WINDOW_S = 1.0  # of calls of which the filter sees the earliest
EARLIEST = 50  # of so many, all but one are later
LATENESS_WINDOWS = 30  # over which it is averaged
RATE_KNOWN = 1e-5
OUTLIER_S = 0.02  # a call that is late by more says no more than that it is late
JUMP_S, JUMP_NOISE = 0.002, 6.0  # a window off by more, and by more than so often its noise, is of another line
RATE_OFF_MAX = 1e-3  # no crystal is further off: relative
CRYSTAL = 5e-5  # standard deviation of crystals' rates,
WANDER = 1e-7  # and of their change in a second
NOISE_S = 0.003  # of a window, before it is known
NOISE_WEIGHT = 0.25  # of the last window, in what is known of the noise
CAUTION = 4.0  # times the noise's power, as windows that follow each other are off to the same side


class Clock:
    """The time at which samples are due, by the calls of a device.

    Parameters
    ----------
    rate_hz : int
        What the device says that its rate is.
    block_samples : int
        Samples of a call.
    """

    def __init__(self, rate_hz: int, block_samples: int) -> None:
        self._block = block_samples
        self._call_s = block_samples / rate_hz
        self._nominal_s = 1 / rate_hz
        self._settling, self._window = (round(seconds / self._call_s) for seconds in (SETTLING_S, WINDOW_S))
        self._calls = -round(SKIPPED_S / self._call_s)
        self._times: list[float] = []  # of calls, and then how far they are off
        self._noise = NOISE_S**2
        self._slope = 0.0  # of the line, over the nominal one; relative
        # variances of the line's end and slope, and what they have in common
        self._end_var, self._both_var, self._slope_var = NOISE_S**2, 0.0, CRYSTAL**2
        self._before_s = 0.0  # how far the last window was off
        self._doubted = 0  # windows until then; by another thread
        # the line, changed as one, as another thread reads it: a sample, when it is due, and how long one lasts
        self._line = (0, 0.0, self._nominal_s)
        self.late_s = 0.0  # by how much calls come after their time
        self._lateness = SlowMean(LATENESS_WINDOWS)
        self.samples = 0
        self.certain = True  # False while it may have lost samples

    @property
    def settled(self) -> bool:
        """Whether it knows the time."""
        return self._calls >= self._settling

    @property
    def steady(self) -> bool:
        """Whether it knows the rate so well that a minute is right to a millisecond."""
        return self._slope_var < RATE_KNOWN**2

    @property
    def sample_s(self) -> float:
        """How long a sample lasts."""
        return self._line[2]

    @property
    def late_mean_s(self) -> float:
        """By how much calls come after their time on average."""
        return self._lateness.value

    def due_s(self, sample: float) -> float:
        """The time at which a call begins with a sample, were all calls in time."""
        start, start_s, sample_s = self._line
        return start_s + (sample - start) * sample_s

    def note(self, now_s: float) -> None:
        """A call: its first sample is the number `samples`, which goes on by a block."""
        if self.settled:
            self._times.append(now_s - self.due_s(self.samples))
        elif self._calls >= 0:
            self._times.append(now_s - len(self._times) * self._call_s)
        self._calls += 1
        self.samples += self._block
        if self._calls == self._settling:
            self._settle()
        elif self.settled and len(self._times) == self._window:
            self._follow()

    def doubt(self) -> None:
        """Sound was missing when it was due: the window after this one, whose calls are late, may move the line."""
        self._doubted = 2

    def _settle(self) -> None:
        start_s, end_s = _earliest_and_latest(self._times)
        self.late_s = end_s - start_s
        self._lateness.add(statistics.fmean(self._times) - start_s)
        self._line = (self.samples - len(self._times) * self._block, start_s, self._nominal_s)
        self._times.clear()

    def _follow(self) -> None:
        """What a window of calls says."""
        off_s, _ = _earliest_and_latest(self._times)
        self._lateness.add(statistics.fmean(min(time_s - off_s, self.late_s + OUTLIER_S) for time_s in self._times))
        self._times.clear()
        if self._doubted:
            self._doubted -= 1
            self._end_var += 0.0 if self._doubted else OUTLIER_S**2
        jump_s = max(JUMP_S, JUMP_NOISE * self._noise**0.5)
        change_s = off_s - self._before_s  # in which a rate that is not known yet hardly shows
        self._before_s = off_s
        if abs(off_s) < jump_s or self._doubted:
            self._noise += NOISE_WEIGHT * (min(change_s**2, jump_s**2) / 2 - self._noise)
            self._update(off_s)
            self.certain = True
        elif self.certain or abs(change_s) > jump_s:
            self.certain = False
        else:  # for the second time: samples were lost, and the line goes on elsewhere
            start, start_s, sample_s = self._line
            self._line = (start, start_s + off_s, sample_s)
            self._before_s = 0.0
            self.certain = True

    def _update(self, off_s: float) -> None:
        """A step of the filter; a window counts at its end, which puts the line off by less than is known of it."""
        step_s = self._window * self._call_s
        end_var = self._end_var + step_s * (2 * self._both_var + step_s * self._slope_var)
        both_var = self._both_var + step_s * self._slope_var
        slope_var = self._slope_var + step_s * WANDER**2
        total = end_var + CAUTION * self._noise
        end_gain, slope_gain = end_var / total, both_var / total
        self._end_var = (1 - end_gain) * end_var
        self._both_var = (1 - end_gain) * both_var
        self._slope_var = slope_var - slope_gain * both_var
        slope = self._slope + slope_gain * off_s
        self._slope = min(max(slope, -RATE_OFF_MAX), RATE_OFF_MAX)
        end_s = self.due_s(self.samples) + end_gain * off_s
        self._line = (self.samples, end_s, self._nominal_s * (1 + self._slope))


def _earliest_and_latest(times: list[float]) -> tuple[float, float]:
    """But for those which were so by chance."""
    few, ordered = len(times) // EARLIEST, sorted(times)
    return ordered[few], ordered[-1 - few]


class SlowMean:
    """The mean of all values at first, and then of about the last so many.

    Parameters
    ----------
    count : int
    """

    def __init__(self, count: int) -> None:
        self._most = count
        self._count = 0
        self.value = 0.0

    def add(self, value: float) -> None:
        """One more."""
        self._count = min(self._count + 1, self._most)
        self.value += (value - self.value) / self._count

    def forget(self) -> None:
        """The next value is the first one."""
        self._count = 0
