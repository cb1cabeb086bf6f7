"""What several files of tests ask for."""

import pytest

from percepnet import native


@pytest.fixture(scope="session")
def core():
    """The C core; a test that asks for it is skipped, and says so, where it was not built."""
    try:
        native.library()
    except native.CoreMissing as missing:
        pytest.skip(str(missing))
    return native
