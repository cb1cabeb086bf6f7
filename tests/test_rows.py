import pytest

from percepnet.params import FEATURE_SIZES, SignalParams
from percepnet.training.rows import RowLayout


@pytest.mark.parametrize("blocks", [("band_levels", "coherences", "pitch"), ("pitch",), tuple(FEATURE_SIZES)])
def test_columns_follow_one_another(blocks):
    params = SignalParams(feature_blocks=blocks)
    layout = RowLayout(params)
    assert layout.features == slice(0, params.features)
    assert (layout.levels.stop <= params.features) == ("band_levels" in blocks)
    assert layout.analysed.feature_blocks[: len(blocks)] == blocks
    assert [layout.gains.start, layout.strengths.start, layout.speech.start] == [
        layout.analysed.features,
        layout.gains.stop,
        layout.strengths.stop,
    ]
    assert layout.count == layout.speech.stop == layout.analysed.features + 2 * 34 + 1
