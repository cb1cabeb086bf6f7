import numpy as np
import pytest

from percepnet.acoustics.levels import active_rms, fit_length


def test_active_rms_by_hand():
    audio = np.zeros(4800, np.float32)
    audio[:2400] = 0.5  # the silent half does not count
    assert active_rms(audio) == pytest.approx(0.5)
    assert active_rms(np.zeros(4800, np.float32)) == 0
    assert active_rms(np.full(10, 0.1, np.float32)) == pytest.approx(0.1)


def test_fit_length_cuts_and_pads():
    assert fit_length(np.ones(3), 5).tolist() == [1, 1, 1, 0, 0]
    assert fit_length(np.ones(5), 3).tolist() == [1, 1, 1]
