"""What several files of tests ask for, and in which order files are run."""

import signal
import sys

import pytest

import percepnet.cli
from command_line import Outcome, Run
from percepnet import native

# In files of few but long tests: begun first, so that the last minutes are short tests, shared by all processes.
LONG = (
    "test_library_elsewhere",
    "test_web_package",
    "test_library",
    "test_live",
    "test_mic",
    "test_build",
    "test_obs_lv2",
    "test_ladspa",
)


def pytest_configure():
    # A shell's background jobs ignore SIGINT, and so would the programs that tests start and interrupt.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONG)))


@pytest.fixture(autouse=True, scope="module")
def _subnormals():
    """A training lets its process take subnormal numbers for zero; the tests behind it should not."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def core():
    """The C core; a test that asks for it is skipped, and says so, where it was not built."""
    try:
        native.library()
    except native.CoreMissing as missing:
        pytest.skip(str(missing))
    return native


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """The command line as a process has it: exit code, and all that is written, by libraries too."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["percepnet", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            percepnet.cli.main()
        code = stop.value.code
        assert code is None or isinstance(code, int)
        return Outcome(code or 0, *capfd.readouterr())

    return run


@pytest.fixture(scope="module")
def library_workplace(tmp_path_factory):
    """Where `scripts/check_library.py` builds and installs the C library."""
    check_library = pytest.importorskip("check_library")
    try:
        native.library()
    except native.CoreMissing as missing:
        pytest.skip(str(missing))
    return check_library.Workplace(tmp_path_factory.mktemp("library"))
