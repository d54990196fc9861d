"""Convert JSON texts to the ``type`` of a trait, in SQL.

All conversions start from the JSON text of the source's own type, so one rule serves all sources.
"""

from __future__ import annotations

from collections.abc import Callable

from audience_sync.sources.values.json_sql import (
    OUT_OF_YEARS,
    invalid_literal,
    number_json,
    short_number,
    sql_json,
    time_json,
)

JSON_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?"
ISO_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
ISO_TIME = ISO_DATE + r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
#: Years before 1 and after 9999, in the spelling of PostgreSQL and DuckDB.
OTHER_YEARS = r"(?:[+-]?[0-9]{5,}|-[0-9]{4})-[0-9]{2}-[0-9]{2}(?:[T ].*)?|[0-9]{4,}-[0-9]{2}-[0-9]{2}.* \(?BC\)?"

#: Types whose conversion may make a readable value invalid, because it has no form in JSON.
MAY_BE_INVALID = ("number", "date", "json")

_NOT_FINITE = "('nan', 'inf', '-inf', 'infinity', '-infinity')"
_YES = "('true', 't', 'yes', 'y', '1')"
_NO = "('false', 'f', 'no', 'n', '0')"


def cast_json(json_text: str, wanted_type: str) -> str:
    """SQL for the JSON text as that type: ``null`` for no value, NULL if it can't be converted."""
    return _CONVERSIONS[wanted_type](json_text)


def _bare_text(json_text: str) -> str:
    """The text within a JSON string; numbers, booleans, lists and objects stay unchanged.

    `try_cast`, since DuckDB evaluates a repeated expression before the conditions around it, also for invalid values.
    """
    return f"(try_cast({json_text} as JSON) ->> '$')"


def _text(json_text: str) -> str:
    return f"case when {json_text}[1] = '\"' then {json_text} else cast(to_json({json_text}) as VARCHAR) end"


def _number(json_text: str) -> str:
    text = f"trim({_bare_text(json_text)})"
    return (
        f"case when regexp_full_match({text}, '-?(?:0|[1-9][0-9]*)') then {short_number(text)}"
        f" when regexp_full_match({text}, '[+-]?[0-9]+') then cast(try_cast({text} as HUGEINT) as VARCHAR)"
        f" when regexp_full_match({text}, '[+-]?[0-9]*\\.?[0-9]+(?:[eE][+-]?[0-9]+)?')"
        f" then coalesce({number_json(f'try_cast({text} as DOUBLE)')}, 'null')"
        f" when lower({text}) in {_NOT_FINITE} then 'null' end"
    )


def _boolean(json_text: str) -> str:
    text = f"lower(trim({_bare_text(json_text)}))"
    return f"case when {text} in {_YES} then 'true' when {text} in {_NO} then 'false' end"


def _date(json_text: str) -> str:
    text = f"trim({_bare_text(json_text)})"
    moment = time_json(f"try_cast({text} as TIMESTAMPTZ)", "TIMESTAMP WITH TIME ZONE")
    return (
        f"case when regexp_full_match({text}, '{ISO_DATE}|{ISO_TIME}') then {moment}"
        f" when lower({text}) in ('infinity', '-infinity') then 'null'"
        f" when regexp_full_match({text}, '{OTHER_YEARS}') then {invalid_literal(OUT_OF_YEARS)} end"
    )


def _json(json_text: str) -> str:
    inner = _bare_text(json_text)
    return (
        f"case when {json_text}[1] <> '\"' then {json_text}"
        f" when json_valid({inner}) then coalesce({sql_json(f'json({inner})', 'JSON')}, 'null') end"
    )


_CONVERSIONS: dict[str, Callable[[str], str]] = {
    "text": _text,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "json": _json,
}
