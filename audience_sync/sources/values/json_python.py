"""Write values of Python as JSON text, by the same rules as ``json_sql``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

from audience_sync.sources.base import Unsendable
from audience_sync.sources.values.json_sql import (
    ARE_BYTES,
    HAS_NO_TEXT,
    HAS_SURROGATE,
    INVALID,
    LARGEST_PLAIN,
    MAX_DIGITS,
    MAX_LEVELS,
    OUT_OF_YEARS,
    TOO_DEEP,
    TOO_MANY_DIGITS,
)

_ESCAPE = re.compile(r"\\(?:u[0-9a-f]{4}|.)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LARGEST_PLAIN = float(LARGEST_PLAIN)
_MAX_INTEGER = 10**MAX_DIGITS - 1


class _UnsendableError(ValueError):
    """A part of a list or an object has no form in JSON, so the whole value is invalid."""


def json_text(value: Any) -> str | None:
    """The value as JSON text; None for no value, and ``!`` with the reason for an invalid value."""
    write = _ENCODERS.get(type(value))
    return write(value) if write else _other(value)


def json_texts(values: Sequence[Any]) -> list[str | None]:
    """The same for many values, in order."""
    if set(map(type, values)) == {str} and (text := "".join(values)).isascii() and text.isprintable():
        return list(map(encode_basestring, values))
    return [json_text(value) for value in values]


def _string(text: str) -> str:
    if not text.isascii() and _SURROGATE.search(text):
        return INVALID + HAS_SURROGATE
    quoted = encode_basestring(text)
    # In upper case like DuckDB's, so that the text does not depend on the kind of source.
    return _ESCAPE.sub(lambda escape: escape[0][:2] + escape[0][2:].upper(), quoted) if "\\u" in quoted else quoted


def _double(number: float) -> str | None:
    if not math.isfinite(number):
        return None
    if number == int(number) and abs(number) < _LARGEST_PLAIN:
        return str(int(number))
    return repr(number)


def _integer(number: int) -> str:
    return str(number) if -_MAX_INTEGER <= number <= _MAX_INTEGER else INVALID + TOO_MANY_DIGITS


def _decimal(number: Decimal) -> str | None:
    if not number.is_finite():
        return None
    exponent = number.as_tuple().exponent
    if max(number.adjusted() + 1, 0) - min(int(exponent), 0) > MAX_DIGITS:
        return INVALID + TOO_MANY_DIGITS
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _time(moment: datetime) -> str:
    try:
        utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return INVALID + OUT_OF_YEARS
    return f'"{utc.replace(tzinfo=None).isoformat(timespec="milliseconds")}Z"'


def _nested(value: Any) -> str:
    try:
        return json.dumps(_plain(value, 1), ensure_ascii=False, separators=(",", ":"))
    except _UnsendableError as error:
        return INVALID + str(error)


def _plain(value: Any, level: int) -> Any:
    """A list or object of JSON values: numbers that are not finite become null, times have the form of traits.

    Raises _UnsendableError.
    """
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        if level > MAX_LEVELS:
            raise _UnsendableError(TOO_DEEP)
        if isinstance(value, Mapping):
            return {_key(key): _plain(inner, level + 1) for key, inner in value.items()}
        return [_plain(inner, level + 1) for inner in value]
    text = json_text(value)
    if text is not None and text.startswith(INVALID):
        raise _UnsendableError(text.removeprefix(INVALID))
    return None if text is None else json.loads(text)


def _key(key: Any) -> str:
    if _SURROGATE.search(text := str(key)):
        raise _UnsendableError(HAS_SURROGATE)
    return text


def _other(value: Any) -> str | None:
    for kind in _ENCODERS:
        if isinstance(value, kind):
            return _ENCODERS[kind](value)
    if isinstance(value, Mapping):
        return _nested(value)
    return _string(str(value)) if _has_text(type(value)) else INVALID + HAS_NO_TEXT


def _has_text(kind: Any) -> bool:
    """Whether objects of this type have a text of their own: Python's is the address, which no run has again."""
    return kind.__str__ is not object.__str__ or kind.__repr__ is not object.__repr__


# bool comes before int and datetime before date: for a subclass, the first match counts.
_ENCODERS: dict[type, Callable[[Any], str | None]] = {
    str: _string,
    bool: lambda value: "true" if value else "false",
    int: _integer,
    float: _double,
    Decimal: _decimal,
    datetime: _time,
    date: lambda day: f'"{day.isoformat()}T00:00:00.000Z"',
    **dict.fromkeys((dict, list, tuple, set, frozenset), _nested),
    **dict.fromkeys((bytes, bytearray, memoryview), lambda value: INVALID + ARE_BYTES),
    type(None): lambda nothing: None,
    Unsendable: lambda value: INVALID + value.reason,
}
