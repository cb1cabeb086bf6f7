"""What a terminal shows of a session, in one line, and the keys that steer it."""

import math
import os
import select
import shutil
import sys
import time
from types import TracebackType
from typing import Any

from percepnet.errors import complain
from percepnet.live.session import Session

LIMITS_DB = (6.0, 12.0, 20.0, 30.0, 40.0, None)
BAR = 12
BAR_DB = 60
LINE_S = 10.0  # between lines where there is no terminal
HELP = "b: bypass   + and -: more and less suppression   q: end"


class View:
    """Shows a session and reads keys, as the `wait` of `Session.run`.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._is_terminal = sys.stderr.isatty()
        self._keys = _Keys() if self._is_terminal and sys.stdin.isatty() else None
        self._next_line_s = time.monotonic()
        self._said = ""

    def __enter__(self) -> "View":
        if self._keys:
            self._keys.start()
            print(HELP, file=sys.stderr)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._keys:
            self._keys.end()
        if self._is_terminal:
            print(file=sys.stderr)

    def wait(self, seconds: float) -> bool:
        """Wait, show, and return whether to go on."""
        key = self._keys.wait(seconds) if self._keys else _sleep(seconds)
        going = self._obey(key)
        status = self._session.status
        if status.message != self._said:
            self._said = status.message
            if self._is_terminal:
                print(end="\r\x1b[K", file=sys.stderr)
            complain(status.message)
        if self._is_terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{self.line()[:width]}\x1b[K", end="", file=sys.stderr, flush=True)
        elif time.monotonic() >= self._next_line_s:
            self._next_line_s += LINE_S
            print(self.line(), file=sys.stderr, flush=True)
        return going

    def line(self) -> str:
        """The state in one line."""
        session, status = self._session, self._session.status
        probability = status.speech_probability
        state = "passing" if status.passing else "bypass" if session.bypass else _limit_text(session)
        parts = [
            f"in {_level(status.power_in)}",
            f"out {_level(status.power_out)}",
            "" if probability is None else f"speech {100 * probability:3.0f} %",
            f"load {100 * status.load:2.0f} %",
            f"delay {1000 * status.delay_s:.0f} ms",
            f"dropouts {status.dropouts}",
            state,
        ]
        return "  ".join(part for part in parts if part)

    def _obey(self, key: str) -> bool:
        session = self._session
        if key == "b":
            session.bypass = not session.bypass
        elif key in ("+", "-"):
            now = session.attenuation_limit_db
            place = next(
                (i for i, limit in enumerate(LIMITS_DB) if limit is None or (now is not None and limit >= now)), 0
            )
            place = min(max(place + (1 if key == "+" else -1), 0), len(LIMITS_DB) - 1)
            session.attenuation_limit_db = LIMITS_DB[place]
        return key not in ("q", "\x03")


class _Keys:
    """Single keys of a terminal."""

    def start(self) -> None:
        """Give keys without waiting for the end of a line."""
        if os.name != "nt":
            import termios
            import tty

            self._before: Any = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)

    def end(self) -> None:
        """As it was."""
        if os.name != "nt":
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def wait(self, seconds: float) -> str:
        """The next key within a time, or nothing."""
        if os.name == "nt":
            import msvcrt

            time.sleep(seconds)
            return str(msvcrt.getwch()) if msvcrt.kbhit() else ""  # type: ignore[attr-defined, unused-ignore]
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        return os.read(sys.stdin.fileno(), 1).decode(errors="replace") if ready else ""


def _sleep(seconds: float) -> str:
    time.sleep(seconds)
    return ""


def _level(power: float) -> str:
    level_db = 10 * math.log10(power + 1e-12)
    filled = round(BAR * min(max(level_db + BAR_DB, 0), BAR_DB) / BAR_DB)
    return f"{max(level_db, -99):3.0f} dB {'█' * filled}{'░' * (BAR - filled)}"


def _limit_text(session: Session) -> str:
    limit_db = session.attenuation_limit_db
    return "all" if limit_db is None else f"up to {limit_db:.0f} dB"
