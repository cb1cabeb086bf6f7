"""JSON as model files have it, by the rules of core/src/json.c: what one of the two refuses, the other refuses too.

Python's own reader lets NaN, Infinity and half characters pass, which are no JSON; and a file may nest its values only
so deep, because a reader in C has a stack to keep.
"""

import json
from typing import Any

DEPTH_MAX = 64
DIGITS_MAX = 300  # of an integer: beyond, any bound is passed, and Python refuses to count
SHOWN_MAX = 40


class JsonObject(dict[str, Any]):
    """An object: the last value of a name that is there twice counts, but all of its members can be looked at.

    Parameters
    ----------
    pairs : list of tuple
        Names and values, as they stand there.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def parse(text: str | bytes) -> Any:
    """The value of a whole text.

    Raises
    ------
    ValueError
        If it is no JSON in UTF-8, or nested deeper than 64.
    """
    if isinstance(text, bytes):
        text = text.decode()
    try:
        value = json.loads(text, object_pairs_hook=JsonObject, parse_constant=_refuse, parse_int=_integer)
    except RecursionError:
        raise ValueError("nested too deep") from None
    _check(value)
    return value


def shown(value: object) -> str:
    """A value for a message: one line of at most 40 characters, whatever it is."""
    if isinstance(value, JsonObject):
        value = dict(value)
    try:
        text = ascii(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits
        text = type(value).__name__
    return plain(text)


def plain(text: str) -> str:
    """Text for a message, without quotes: at most 40 characters, all of them printable."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:SHOWN_MAX])


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= DIGITS_MAX else float(digits)


def _check(value: Any) -> None:
    # a list of what is left to do, because depth is what is to be found out
    left = [(value, 0)]
    while left:
        item, depth = left.pop()
        if depth > DEPTH_MAX:
            raise ValueError("nested too deep")
        if isinstance(item, str):
            item.encode()  # refuses half characters
        elif isinstance(item, JsonObject):
            left += [(part, depth + 1) for pair in item.pairs for part in pair]
        elif isinstance(item, list):
            left += [(part, depth + 1) for part in item]
