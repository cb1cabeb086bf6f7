import numpy as np
import pytest

pytest.importorskip("scipy", reason="training needs scipy: pip install 'percepnet[train]'")

from percepnet.acoustics.rooms import (
    BEFORE_DIRECT_SAMPLES,
    direct_first,
    reverberation_time_s,
    shortened,
    simulated_room,
)
from room_responses import exponential_room


@pytest.mark.parametrize("rt60_s", [0.2, 0.5, 1.0])
def test_reverberation_time_of_an_exponential_decay(rt60_s):
    assert reverberation_time_s(exponential_room(rt60_s)) == pytest.approx(rt60_s, rel=0.05)


def test_reverberation_time_of_a_click():
    assert reverberation_time_s(np.eye(1, 1000, dtype=np.float32)[0]) == 0
    assert reverberation_time_s(np.zeros(10, np.float32)) == 0


def test_shortened_room_decays_in_200_ms():
    response = exponential_room(0.8)
    target = shortened(response)
    early = round(0.020 * 48000)
    np.testing.assert_array_equal(target[:early], response[:early])
    assert reverberation_time_s(target[early:]) == pytest.approx(0.2, rel=0.07)
    dry = exponential_room(0.15)
    np.testing.assert_array_equal(shortened(dry), dry)


def test_direct_first():
    response = np.zeros(48000 * 2, np.float32)
    response[5000] = 2
    response[6000] = 1
    cut = direct_first(response)
    assert len(cut) == 72000
    assert np.argmax(cut) == BEFORE_DIRECT_SAMPLES
    assert np.sum(cut[:960] ** 2) == pytest.approx(1)


def test_simulated_rooms_are_rooms():
    for seed in range(20):
        response = simulated_room(np.random.default_rng(seed))
        assert np.argmax(np.abs(response)) == BEFORE_DIRECT_SAMPLES
        assert 0 <= reverberation_time_s(response) < 0.9
