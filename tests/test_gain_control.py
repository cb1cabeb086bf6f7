import numpy as np
import pytest
import torch

from percepnet.params import FRAMES_PER_SECOND, HOP_SAMPLES, SignalParams
from percepnet.reference.analysis import Analysis
from percepnet.reference.gain_control import GAIN_MAX_DB, HOLD_FRAMES, GainControl
from percepnet.training.signal.gain_control import gain_state
from percepnet.training.signal.gain_control import gains as batched_gains

FULL_SCALE = 480.0**2  # energy of a frame of white noise whose mean square is 1
SECOND = FRAMES_PER_SECOND


def gains_db(levels_db, silent=None):
    energies = FULL_SCALE * 10 ** (np.asarray(levels_db, np.float64) / 10)
    silent = np.zeros(len(energies), bool) if silent is None else silent
    return 10 * np.log10(GainControl().push(energies, silent))


def test_what_is_loud_is_left_alone():
    assert gains_db(np.full(10, -20.0)).max() == 0
    assert gains_db([-30.0] + [-90.0] * (HOLD_FRAMES - 1)).max() == 0  # a pause


def test_the_loudest_frames_come_to_40_db_at_once():
    levels = np.full(20, -60.0)
    levels[10:] = -47
    assert gains_db(levels)[10:] == pytest.approx(np.full(10, 7.0), abs=0.01)
    assert gains_db([-47.0, -10.0])[1] == 0


def test_quiet_speech_is_waited_for_and_then_lifted_by_10_db_a_second():
    levels = np.full(12 * SECOND, -70.0)
    levels[0] = -35
    found = gains_db(levels)
    assert found[HOLD_FRAMES] == 0
    # -35 falls by 10 dB a second; from -40 on that lifts
    assert found[HOLD_FRAMES + 2 * SECOND] == pytest.approx(15, abs=0.2)
    assert found[HOLD_FRAMES + SECOND : HOLD_FRAMES + 3 * SECOND] == pytest.approx(
        5 + 10 * np.arange(2 * SECOND) / SECOND, abs=0.2
    )
    assert found[-1] == pytest.approx(30, abs=0.2)


def test_at_the_beginning_it_is_quick_and_never_above_its_limit():
    found = gains_db(np.full(3 * SECOND, -95.0))
    assert found[0] == pytest.approx(10.3, abs=0.01)  # from -50 dB, by 30 dB a second
    assert found[SECOND // 2] == pytest.approx(25.3, abs=0.1)
    assert found.max() == pytest.approx(GAIN_MAX_DB, abs=0.01)


def test_digital_silence_changes_nothing_and_is_not_lifted():
    silent = np.zeros(400, bool)
    silent[100:300] = True
    levels = np.full(400, -55.0)
    levels[silent] = -200
    found = gains_db(levels, silent)
    assert found[silent].max() == 0
    np.testing.assert_array_equal(found[~silent], gains_db(levels[~silent]))


def test_features_of_a_quiet_recording_become_those_of_a_louder_one():
    """By steps of 10 dB from -36 dBFS: until the gain has come down to it, and from then on to a hundredth of a dB."""
    params = SignalParams(feature_blocks=("lifted_band_levels",))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 10 * SECOND * HOP_SAMPLES)).astype(np.float32)
    expected = Analysis(params).push(x * np.float32(10 ** (-40 / 20))).features
    for level_db in (-50, -60, -70, -80):
        found = Analysis(params).push(x * np.float32(10 ** (level_db / 20))).features
        assert np.abs(found - expected)[3 * SECOND :].max() * 30 < 1.0, level_db


def test_batches_are_lifted_as_single_recordings_are():
    rng = np.random.default_rng(1)
    levels = rng.uniform(-90, -30, (3, 40)).repeat(30, axis=1)
    levels[1] -= 20
    energies = (FULL_SCALE * 10 ** (levels / 10)).astype(np.float32)
    silent = rng.random(levels.shape) < 0.1
    state = gain_state(3, torch.device("cpu"))
    parts = []
    for some in (slice(0, 500), slice(500, 1200)):
        found, state = batched_gains(torch.from_numpy(energies[:, some]), torch.from_numpy(~silent[:, some]), state)
        parts.append(found)
    expected = [GainControl().push(row, quiet) for row, quiet in zip(energies, silent, strict=True)]
    np.testing.assert_allclose(torch.cat(parts, dim=1), expected, rtol=1e-4)
