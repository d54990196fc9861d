"""How is a trait's value written as JSON? The rule of ``values``, for values met in Python."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

from audience_sync.sources.values import LARGEST_PLAIN

_ESCAPE = re.compile(r"\\(?:u[0-9a-f]{4}|.)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LARGEST_PLAIN = float(LARGEST_PLAIN)


class BytesError(ValueError):
    """Bytes have no form in JSON."""


def json_text(value: Any) -> str | None:
    """The value as JSON text, None where there is none. Raises BytesError."""
    write = _WRITERS.get(type(value))
    return write(value) if write else _other(value)


def json_texts(values: Sequence[Any]) -> list[str | None]:
    """The same for many values, in their order. Raises BytesError."""
    if set(map(type, values)) == {str} and _is_plain("".join(values)):
        return list(map(encode_basestring, values))
    return [json_text(value) for value in values]


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _string(text: str) -> str:
    quoted = encode_basestring(_SURROGATE.sub("\ufffd", text))
    # As DuckDB writes them, so that the text is the same whichever way a value came.
    return _ESCAPE.sub(_upper, quoted) if "\\u" in quoted else quoted


def _upper(escape: re.Match[str]) -> str:
    found = escape[0]
    return "\\u" + found[2:].upper() if found.startswith("\\u") else found


def _double(number: float) -> str | None:
    if not math.isfinite(number):
        return None
    if number == int(number) and abs(number) < _LARGEST_PLAIN:
        return str(int(number))
    return repr(number)


def _decimal(number: Decimal) -> str | None:
    if not number.is_finite():
        return None
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _moment(moment: datetime) -> str:
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return f'"{utc.replace(tzinfo=None).isoformat(timespec="milliseconds")}Z"'


def _nested(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """A list or object of values JSON knows; numbers that are not finite are null, times as in traits."""
    if isinstance(value, Mapping):
        return {_SURROGATE.sub("\ufffd", str(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in value]
    text = json_text(value)
    return None if text is None else json.loads(text)


def _bytes(value: object) -> str:
    raise BytesError(type(value).__name__)


def _other(value: Any) -> str | None:
    for kind in _WRITERS:
        if isinstance(value, kind):
            return _WRITERS[kind](value)
    return _nested(value) if isinstance(value, Mapping) else _string(str(value))


# bool before int and datetime before date: the first that fits a subclass is taken.
_WRITERS: dict[type, Callable[[Any], str | None]] = {
    str: _string,
    bool: lambda value: "true" if value else "false",
    int: str,
    float: _double,
    Decimal: _decimal,
    datetime: _moment,
    date: lambda day: f'"{day.isoformat()}T00:00:00.000Z"',
    dict: _nested,
    list: _nested,
    tuple: _nested,
    set: _nested,
    frozenset: _nested,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    type(None): lambda nothing: None,
}
