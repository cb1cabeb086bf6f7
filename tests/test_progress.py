import io

import pytest
from rich.console import Console

from percepnet import progress as module
from percepnet.progress import followed, progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_now_and_then(clock):
    log = io.StringIO()
    items = followed("abcdefgh", 8, "scoring", Console(file=log))
    for _ in items:
        clock[0] += 8.0
    assert log.getvalue().splitlines() == ["scoring: 25 % after 16 s", "scoring: 62 % after 40 s"]


def test_short_work_says_nothing(clock):
    log = io.StringIO()
    assert list(followed("abc", 3, "scoring", Console(file=log))) == ["a", "b", "c"]
    assert log.getvalue() == ""


def test_a_step_can_say_what_it_is(clock):
    log = io.StringIO()
    with progress("measuring", Console(file=log)) as advance:
        clock[0] += 60.0
        advance(0.5, "memory")
    assert log.getvalue() == "memory: 50 % after 60 s\n"


def test_a_terminal_gets_a_bar_that_goes_away():
    terminal = io.StringIO()
    list(followed("ab", 2, "scoring", Console(file=terminal, force_terminal=True)))
    assert "scoring" in terminal.getvalue()
    assert "\x1b[2K" in terminal.getvalue()
