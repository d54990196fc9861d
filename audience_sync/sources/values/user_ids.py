"""Check user ids and write them as text: one rule for every source and both stores, in SQL and in Python.

- Text stays as written, with leading and trailing spaces.
- NULL, empty text, or only whitespace: invalid.
- A NUL character or half a surrogate pair: invalid, since PostgreSQL can't store them.
- More than 2,500 bytes of UTF-8, for any type: invalid, since PostgreSQL can't index them.
- Numbers are written as digits, ``42`` and never ``42.0``: integers and decimals of any size, doubles up to 2^53
  (larger doubles don't represent one exact integer). A number with a fraction is invalid.
- Dates, UUIDs and enums become text. An infinite date means no id; a date outside of the years 1 to 9999 is invalid.
- A boolean, time, list, object or bytes: the row is invalid. If a column can have nothing else (by its type in Parquet,
  by its first rows in a database), the entry fails.

A cell of a CSV file can't be NULL: a missing value is "empty" there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from audience_sync.sources.base import Unsendable
from audience_sync.sql import Expression, quote_literal

MAX_BYTES = 2_500
LARGEST_WHOLE_DOUBLE = 2**53
#: All characters that are whitespace in Python; searching for them is as slow as all other checks together.
WHITESPACE = (
    "\u0009\u000a\u000b\u000c\u000d\u001c\u001d\u001e\u001f\u0020\u0085\u00a0\u1680\u2000\u2001"
    "\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)

MISSING = "no user id"
EMPTY = "empty user id"
HAS_NUL = "user id contains a NUL character"
HAS_SURROGATE = "user id contains half a surrogate pair"
TOO_LONG = f"user id is longer than {MAX_BYTES:,} bytes"
NOT_WHOLE = "user id is not a whole number"
NOT_TEXT = "user id is neither text nor a number"
OUT_OF_YEARS = "user id is a time outside of the years 1 to 9999 (UTC)"

_SIZES = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
INTEGER_TYPES = frozenset({*_SIZES, *(f"U{size}" for size in _SIZES), "BIGNUM"})
_TEXT_TYPES = frozenset({"VARCHAR", "UUID", "DATE"})

_SURELY_SHORT = MAX_BYTES // 4
_MAX_INTEGER = 10**MAX_BYTES - 1


def usable_type(duckdb_type: str) -> bool:
    """Whether a column of this type can have user ids."""
    exact = INTEGER_TYPES | _TEXT_TYPES | {"JSON", "FLOAT", "DOUBLE", '"NULL"', "NULL"}
    return duckdb_type in exact or (duckdb_type.startswith(("DECIMAL", "ENUM")) and not duckdb_type.endswith("]"))


def sql_id(expression: str, duckdb_type: str) -> tuple[str, str]:
    """SQL for the user id as text and for the reason if it is invalid (else NULL), for a column of a usable type."""
    if duckdb_type == "JSON":
        return _json_id(expression)
    if duckdb_type in ("FLOAT", "DOUBLE"):
        return _double_id(expression)
    if duckdb_type.startswith("DECIMAL"):
        return _decimal_id(expression)
    if duckdb_type in INTEGER_TYPES - {"BIGNUM"}:
        return f"cast({expression} as VARCHAR)", f"case when {expression} is null then '{MISSING}' end"
    if duckdb_type == "DATE":
        return _date_id(expression)
    text = expression if duckdb_type == "VARCHAR" else f"cast({expression} as VARCHAR)"
    return text, _text_reason(text)


def is_checked_by_text(duckdb_type: str) -> bool:
    """Whether an id's text alone decides whether it is valid, for a column of a usable type."""
    return duckdb_type not in ("JSON", "FLOAT", "DOUBLE", "DATE") and not duckdb_type.startswith("DECIMAL")


def valid_id(text: Expression) -> Expression:
    """SQL for the id with this text, NULL if it is invalid, for a column that is checked by text."""
    return Expression(f"case when {_text_reason(text)} is null then {text} end")


def _date_id(day: str) -> tuple[str, str]:
    inside = f"{day} between '0001-01-01'::DATE and '9999-12-31'::DATE"
    reason = (
        f"case when {day} is null or not isfinite({day}) then '{MISSING}' when not ({inside}) then '{OUT_OF_YEARS}' end"
    )
    return f"cast({day} as VARCHAR)", reason


def _text_reason(text: str) -> str:
    # Trimming 29 characters is slower than all other checks, so it is done only if the first letter is not ASCII.
    plain_start = f"{text} >= '!' and {text} < '\x7f'"
    return (
        f"case when {text} is null then '{MISSING}'"
        f" when not ({plain_start}) and trim({text}, {quote_literal(WHITESPACE)}) = '' then '{EMPTY}'"
        f" when contains({text}, chr(0)) then '{HAS_NUL}'"
        f" when strlen({text}) > {MAX_BYTES} then '{TOO_LONG}' end"
    )


def _double_id(number: str) -> tuple[str, str]:
    whole = f"{number} = trunc({number}) and abs({number}) <= {LARGEST_WHOLE_DOUBLE}"
    return _whole_number_id(number, whole, f"cast(cast({number} as BIGINT) as VARCHAR)")


def _decimal_id(number: str) -> tuple[str, str]:
    return _whole_number_id(number, f"{number} = trunc({number})", f"split_part(cast({number} as VARCHAR), '.', 1)")


def _whole_number_id(number: str, is_whole: str, digits: str) -> tuple[str, str]:
    reason = f"case when {number} is null then '{MISSING}' when not ({is_whole}) then '{NOT_WHOLE}' end"
    return f"case when {is_whole} then {digits} else cast({number} as VARCHAR) end", reason


def _json_id(json: str) -> tuple[str, str]:
    text = f"({json} ->> '$')"
    double, double_reason = _double_id(f"coalesce(try_cast({json} as DOUBLE), 'nan'::DOUBLE)")
    digits = f"regexp_full_match(cast({json} as VARCHAR), '-?[0-9]+')"
    kind = f"json_type({json})"
    value = f"case when {kind} = 'DOUBLE' and not {digits} then {double} else {text} end"
    reason = (
        f"case {kind} when 'VARCHAR' then {_text_reason(text)}"
        f" when 'DOUBLE' then case when not {digits} then {double_reason}"
        f" when strlen({text}) > {MAX_BYTES} then '{TOO_LONG}' end"
        f" when 'BIGINT' then null when 'UBIGINT' then null"
        f" when 'BOOLEAN' then '{NOT_TEXT}' when 'ARRAY' then '{NOT_TEXT}' when 'OBJECT' then '{NOT_TEXT}'"
        f" else '{MISSING}' end"
    )
    return value, reason


def python_id(value: Any) -> tuple[str | None, str | None]:
    """The same rule for a value of Python: the user id, or None and the reason."""
    if isinstance(value, str):
        return (None, reason) if (reason := _text_problem(value)) else (value, None)
    if value is None:
        return None, MISSING
    if isinstance(value, (bool, datetime, time, timedelta)):
        return None, NOT_TEXT
    if isinstance(value, (int, float, Decimal)):
        return _number_id(value)
    if isinstance(value, Unsendable):
        return None, f"user id {value.reason}"
    return (str(value), None) if isinstance(value, (date, UUID)) else (None, NOT_TEXT)


def python_ids(values: Sequence[Any]) -> tuple[list[str | None], list[str | None]]:
    """The same rule for many values: user ids and reasons, in order. Plain texts need no loop in Python."""
    if _all_plain(values):
        return list(values), [None] * len(values)
    checked = [python_id(value) for value in values]
    return [user_id for user_id, _ in checked], [reason for _, reason in checked]


def _all_plain(values: Sequence[Any]) -> bool:
    if set(map(type, values)) != {str}:
        return False
    text = "".join(values)
    is_plain = text.isascii() and "\0" not in text
    return is_plain and max(map(len, values)) <= MAX_BYTES and all(map(str.strip, values))


def _text_problem(text: str) -> str | None:
    if not text or text.isspace():
        return EMPTY
    if "\0" in text:
        return HAS_NUL
    if len(text) <= _SURELY_SHORT and text.isascii():
        return None
    try:
        return TOO_LONG if len(text.encode()) > MAX_BYTES else None
    except UnicodeEncodeError:
        return HAS_SURROGATE


def _number_id(number: float | Decimal) -> tuple[str | None, str | None]:
    if isinstance(number, int):
        return _digits(number)
    if not (number.is_finite() if isinstance(number, Decimal) else math.isfinite(number)):
        return None, NOT_WHOLE
    if isinstance(number, Decimal) and number.adjusted() >= MAX_BYTES:  # before converting to so many digits
        return None, TOO_LONG if number == number.to_integral_value() else NOT_WHOLE
    if number != int(number):
        return None, NOT_WHOLE
    if isinstance(number, float) and abs(number) > LARGEST_WHOLE_DOUBLE:
        return None, NOT_WHOLE
    return _digits(int(number))


def _digits(number: int) -> tuple[str | None, str | None]:
    # Python refuses to convert thousands of digits to text.
    is_short = -(_MAX_INTEGER // 10) <= number <= _MAX_INTEGER
    return (str(int(number)), None) if is_short else (None, TOO_LONG)
