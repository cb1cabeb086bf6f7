"""Settings, manifests and other plain data as typed structures: one place that checks them and says what is wrong."""

import re
import sys
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from percepnet.errors import PercepNetError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Kind = TypeVar("Kind")

_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$\.?(?P<where>.*?)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def convert(value: Any, kind: type[Kind], source: object) -> Kind:
    """Plain data as a structure.

    Parameters
    ----------
    value : dict, list, str, number
        As from JSON or TOML.
    kind : type
        A dataclass or `msgspec.Struct`; a dataclass takes no field that it does not have.
    source : path or str
        Where the data are from, for messages.

    Raises
    ------
    PercepNetError
        In one line: source, field, what was found and what was expected.
    """
    _refuse_unknown(value, kind, source, "")
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise PercepNetError(f"{source}: {describe(error, value, kind)}") from error


def describe(error: msgspec.ValidationError, value: Any = None, kind: Any = None) -> str:
    """What a validation found wrong with a value, as one line: where, and what was expected."""
    found = _PLACE.match(str(error))
    assert found is not None
    what, where = found["what"], found["where"] or ""
    if missing := _MISSING.match(what):
        return f"{where or 'it'} needs a {missing[1]}"
    if unknown := _UNKNOWN.match(what):
        return f"{where}{where and '.'}{unknown[1]}: no such field"
    what = f"{what[:1].lower()}{what[1:]}"
    if choices := _choices(kind, where):
        what = f"expected one of {', '.join(map(str, choices))}"
    if not where:
        return what
    return f"{where} is {_at(value, where)!r:.60}: {what}" if isinstance(value, dict | list) else f"{where}: {what}"


def field_names(kind: Any) -> list[str]:
    """Names of the fields of a dataclass or struct."""
    return list(kind.__struct_fields__ if _is_struct(kind) else kind.__dataclass_fields__)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises
    ------
    PercepNetError
        If it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PercepNetError(f"cannot read the {what} {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise PercepNetError(f"{path}: not TOML ({error})") from error


def _refuse_unknown(value: Any, kind: Any, source: object, where: str) -> None:
    """What msgspec does for structs inside of lists; dataclasses and others are told what there is."""
    strict = is_dataclass(kind) or (_is_struct(kind) and kind.__struct_config__.forbid_unknown_fields)
    if not strict or not isinstance(value, dict):
        return
    names, hints = field_names(kind), get_type_hints(kind)
    for name, inside in value.items():
        place = f"{where}.{name}".removeprefix(".")
        if name not in names:
            raise PercepNetError(f"{source}: {place}: no such field; there are: {', '.join(names)}")
        _refuse_unknown(inside, hints[name], source, place)


def _choices(kind: Any, where: str) -> tuple[Any, ...]:
    """What a field can be, if it is one of several values; empty for any other."""
    for number, name in _STEP.findall(where):
        if number:
            return ()
        kind = get_type_hints(kind).get(name) if is_dataclass(kind) or _is_struct(kind) else None
    options = [kind, *get_args(kind)]
    return next((get_args(option) for option in options if get_origin(option) is Literal), ())


def _at(value: Any, where: str) -> Any:
    """The value at a place such as ``system[0].rate_hz``; None where it is a part of one that cannot be looked into."""
    try:
        for number, name in _STEP.findall(where):
            value = value[int(number)] if number else value[name]
    except (KeyError, IndexError, TypeError):
        return None
    return value
