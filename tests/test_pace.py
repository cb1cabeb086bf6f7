import itertools

import pytest

from percepnet.training.pace import Pace


@pytest.mark.parametrize("rate", [0.01, 0.3, 2.7])
def test_shards_come_at_the_rate_and_go_with_the_ring(rate):
    pace = Pace(rate, first=3, ring=10)
    windows = [pace.window(updates) for updates in range(2000)]
    assert windows[0] == range(3)
    assert windows[-1].stop == pytest.approx(3 + 1999 * rate, abs=1)
    assert max(map(len, windows)) == 10
    for before, after in itertools.pairwise(windows):
        assert before.start <= after.start <= before.stop  # nothing comes back, nothing is left out
        assert before.stop <= after.stop
