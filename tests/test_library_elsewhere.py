"""The C library for other systems and compilers. Apart from `test_library`, so that two processes share the minutes."""

import pytest

pytest.importorskip("hatchling", reason="the flags of the build are compared: pip install 'percepnet[wheels]'")

from check_library import ELSEWHERE, Missing


@pytest.mark.slow
@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_library_is_what_it_promises(library_workplace, name):
    try:
        ELSEWHERE[name](library_workplace)
    except Missing as missing:
        pytest.skip(str(missing))
