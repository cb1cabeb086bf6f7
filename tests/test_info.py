"""What models and checkpoints of former versions say of their training is still read."""

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'percepnet[train]'")

from percepnet.training.info import audio_seen_s, hours_seen


def test_names_of_before():
    assert hours_seen({"hours_heard": "1.5"}) == hours_seen({"hours_seen": "1.5"}) == "1.5"
    assert hours_seen({"init_hours_heard": "2"}, "init_") == hours_seen({"init_hours_seen": "2"}, "init_") == "2"
    assert hours_seen({}) is None
    assert audio_seen_s({"heard_s": 3.0}) == audio_seen_s({"audio_seen_s": 3.0}) == 3.0
