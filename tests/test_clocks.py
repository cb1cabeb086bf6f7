"""The clocks of two devices and the sound between them, against simulated devices; an hour takes seconds."""

import heapq

import numpy as np
import pytest

pytest.importorskip("soxr")

from percepnet.live.asrc import MARGIN_S, RATIO_MAX, AsyncResampler
from percepnet.live.clocks import Clock, SlowMean

RATE_HZ = 48000
BLOCK, PLAYED = 480, 960
SINE_HZ = 1000.0
SETTLED_S = 60
START_S = 0.0137  # of the loudspeaker, after the microphone


def call_times(seconds, ppm, *, burst=BLOCK, block=BLOCK, jitter_s=0.0005, start_s=0.0, seed=0):
    """When a device calls for its blocks: by its own clock, at once for what comes at once, and late by chance."""
    rate_hz = RATE_HZ * (1 + 1e-6 * ppm)
    number = np.arange(1, int(seconds * rate_hz / block))
    due_s = start_s + np.ceil(number * block / burst) * burst / rate_hz
    late_s = np.random.default_rng(seed).exponential(jitter_s, len(number))
    return np.maximum.accumulate(due_s + late_s).tolist()


class Devices:
    """A microphone that hears a sine, and a loudspeaker."""

    def __init__(self, source_s, target_s):
        self.between = AsyncResampler(RATE_HZ, BLOCK, PLAYED, patience_s=0.001)
        self.heard, self.delays_s = [], []
        phase, step = 0, 2 * np.pi * SINE_HZ / RATE_HZ
        calls = heapq.merge(((s, 0) for s in source_s), ((s, 1) for s in target_s))
        for now_s, is_target in calls:
            if is_target:
                self.heard.append(self.between.take(now_s))
                self.delays_s.append(self._delay_s() if self.between.playing else np.nan)
            else:
                sine = 0.5 * np.sin(step * (phase + np.arange(BLOCK)))
                self.between.put(sine.astype(np.float32), now_s)
                phase += BLOCK

    def _delay_s(self):
        between = self.between
        position = between._fed - between._held - len(between._rest) * between.ratio
        due_s = self.due_s(between.target.samples, self.target_ppm)
        # each call comes when its block is over
        return START_S + (PLAYED - BLOCK) / RATE_HZ + due_s - self.due_s(position, self.source_ppm)

    source_ppm = target_ppm = 0.0

    @staticmethod
    def due_s(sample, ppm):
        """By the device's own clock, which nobody but a simulation knows."""
        return sample / RATE_HZ / (1 + 1e-6 * ppm)

    def settled(self, values):
        return np.array(values[SETTLED_S * RATE_HZ // PLAYED :])


def devices(seconds, source_ppm, target_ppm, source_burst=BLOCK, target_burst=BLOCK):
    class Drifting(Devices):
        pass

    Drifting.source_ppm, Drifting.target_ppm = source_ppm, target_ppm
    source_s = call_times(seconds, source_ppm, burst=source_burst)
    return Drifting(
        source_s, call_times(seconds, target_ppm, burst=target_burst, start_s=START_S, block=PLAYED, seed=1)
    )


def snr_db(y):
    """Of the sine, whose rate changes slowly: a click or a jump would be what is left."""
    count, worst = RATE_HZ // 20, np.inf
    x = np.linspace(-1, 1, count)
    angle = 2 * np.pi * SINE_HZ / RATE_HZ * np.arange(count)
    basis = np.stack([x**power * turn(angle) for power in range(3) for turn in (np.sin, np.cos)], axis=1)
    for part in y[: len(y) // count * count].reshape(-1, count):
        fitted = basis @ np.linalg.lstsq(basis, part, rcond=None)[0]
        worst = min(worst, 10 * np.log10(np.sum(part**2) / np.sum((part - fitted) ** 2)))
    return worst


@pytest.mark.parametrize(
    ("source_ppm", "target_ppm", "source_burst", "target_burst"),
    [(100, 0, BLOCK, BLOCK), (0, 100, 960, 1024), (300, 0, 1024, 960), (-100, 200, BLOCK, 1024)],
)
def test_a_delay_stays_between_clocks_that_drift(source_ppm, target_ppm, source_burst, target_burst):
    found = devices(180, source_ppm, target_ppm, source_burst, target_burst)
    assert found.between.gaps == 0
    assert np.ptp(found.settled(found.delays_s)) < 0.001
    drift = (1 + 1e-6 * source_ppm) / (1 + 1e-6 * target_ppm)
    assert found.between.ratio == pytest.approx(drift, abs=5e-6)
    assert snr_db(np.concatenate(found.settled(found.heard)).astype(float)) > 80


def test_servers_that_stand_still_for_a_moment_leave_the_delay_as_it_is():
    def paused(times_s):
        return [time_s + 0.0213 * (time_s > 70) + 0.0107 * (time_s > 90) for time_s in times_s]

    found = Devices(paused(call_times(150, 0)), paused(call_times(150, 0, start_s=START_S, block=PLAYED, seed=1)))
    assert found.between.gaps == 0
    assert np.ptp(found.settled(found.delays_s)) < 0.001


def test_the_delay_is_as_said():
    found = devices(90, 50, -50)  # which are late by chance alike
    assert found.between.delay_s == pytest.approx(found.delays_s[-1], abs=0.0003)


@pytest.mark.slow
def test_a_delay_stays_for_an_hour():
    found = devices(3600, -40, 60, 960, 1024)
    assert found.between.gaps == 0
    assert np.ptp(found.settled(found.delays_s)) < 0.001


def test_silence_until_both_clocks_are_known_and_then_no_click():
    found = devices(5, 20, -20)
    y = np.concatenate(found.heard)
    first = int(np.argmax(y != 0))
    assert 2 < first / RATE_HZ < 3
    assert np.abs(np.diff(y)).max() < 1.1 * 0.5 * 2 * np.pi * SINE_HZ / RATE_HZ
    assert found.between.delay_s > MARGIN_S


def test_a_gap_fades_and_the_delay_comes_back():
    source_s, target_s = call_times(40, 0), call_times(40, 0, start_s=START_S, block=PLAYED)
    late = [time_s for time_s in source_s if not 20 < time_s < 20.3]
    stalled = [20.3] * (len(source_s) - len(late))  # all at once, after a computer had other things to do
    found = Devices(sorted(late + stalled), target_s)
    y = np.concatenate(found.heard)[3 * RATE_HZ :]
    assert found.between.gaps == 1
    assert np.abs(np.diff(y)).max() < 1.1 * 0.5 * 2 * np.pi * SINE_HZ / RATE_HZ
    delays_s = np.array(found.delays_s)
    assert np.nanmedian(delays_s[1750:]) == pytest.approx(np.nanmedian(delays_s[750:950]), abs=0.001)


def test_samples_that_a_driver_lost_do_not_change_the_delay():
    source_s, target_s = call_times(60, 0), call_times(60, 0, start_s=START_S, block=PLAYED)
    found = Devices([time_s for time_s in source_s if not 20 < time_s < 20.2], target_s)
    assert 1 <= found.between.gaps <= 3
    assert found.between.playing
    # the simulated clock, which has lost nothing, is behind by what is missing
    assert found.delays_s[-1] - found.delays_s[750] == pytest.approx(0.2, abs=0.003)


def test_a_loudspeaker_that_stalls_leaves_nothing_waiting():
    source_s, target_s = call_times(60, 0), call_times(60, 0, start_s=START_S, block=PLAYED)
    found = Devices(source_s, [time_s for time_s in target_s if not 20 < time_s < 20.4])
    assert found.between.playing
    assert found.between._queue.qsize() < 10


def test_a_rate_is_found_and_never_leaves_reason():
    clock = Clock(RATE_HZ, BLOCK)
    for time_s in call_times(60, 120):
        clock.note(time_s)
    assert clock.steady
    assert clock.sample_s * RATE_HZ == pytest.approx(1 / (1 + 120e-6), abs=2e-6)
    for time_s in call_times(60, 5000):  # no clock, but a driver that has lost its mind
        clock.note(100 + time_s)
    assert abs(clock.sample_s * RATE_HZ - 1) < 1.01 * RATIO_MAX


def test_a_slow_mean_is_one_of_all_at_first():
    mean = SlowMean(4)
    for value in (1.0, 2.0, 6.0):
        mean.add(value)
    assert mean.value == pytest.approx(3.0)
    for _ in range(100):
        mean.add(5.0)
    assert mean.value == pytest.approx(5.0)
