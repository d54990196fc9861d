"""How is a trait's value written as JSON? In SQL; ``texts`` has the same rule for values met in Python.

NULL, NaN and infinity are no value. A whole double below 10^15 is written like an integer: a column that is
read as integers one day and as doubles the next (a file written by pandas, with one gap) must not send every
user again. Dates and times are ISO 8601, UTC, with milliseconds.
"""

from __future__ import annotations

from audience_sync.sources.ids import INTEGER_TYPES

#: Below, a double says every integer exactly and is printed without an exponent everywhere.
LARGEST_PLAIN = "1e15"

#: A string, or what stands between two strings: only outside of strings NaN is a number.
_PARTS = r'"(?:\\.|[^"\\])*"|[^"]+'
_NOT_FINITE = r"-?(?:NaN|Infinity|[0-9][0-9.]*[eE]\+?0*(?:309|3[1-9][0-9]|[4-9][0-9]{2}|[1-9][0-9]{3,}))"


def sql_json(expression: str, duckdb_type: str) -> str | None:
    """JSON text of a column, NULL where there is no value; None for bytes, which JSON can't hold."""
    if duckdb_type == "BLOB":
        return None
    if duckdb_type == "VARCHAR":
        return f"cast(to_json({expression}) as VARCHAR)"
    if duckdb_type == "BOOLEAN" or duckdb_type in INTEGER_TYPES:
        return f"cast({expression} as VARCHAR)"
    if duckdb_type in ("FLOAT", "DOUBLE"):
        return number_json(expression)
    if is_time(duckdb_type):
        return time_json(expression, duckdb_type)
    return _other_json(expression, duckdb_type)


def is_time(duckdb_type: str) -> bool:
    """A list of times is none: its type begins with the same word."""
    return duckdb_type == "DATE" or (duckdb_type.startswith("TIMESTAMP") and not duckdb_type.endswith("]"))


def _other_json(expression: str, duckdb_type: str) -> str:
    if duckdb_type == "JSON":
        return _any_json(expression)
    if is_time(element := duckdb_type.rpartition("[")[0]):
        return _times_json(expression, element)
    if duckdb_type.endswith("]") or duckdb_type.startswith(("STRUCT", "MAP", "UNION", "VARIANT")):
        return _finite(f"cast(to_json({expression}) as VARCHAR)")
    if duckdb_type.startswith("DECIMAL"):
        return _decimal_json(f"cast({expression} as VARCHAR)")
    return f"cast(to_json(cast({expression} as VARCHAR)) as VARCHAR)"


def number_json(number: str) -> str:
    whole = f"{number} = trunc({number}) and abs({number}) < {LARGEST_PLAIN}"
    return (
        f"case when not isfinite({number}) then null"
        f" when {whole} then cast(cast({number} as BIGINT) as VARCHAR)"
        f" else cast({number} as VARCHAR) end"
    )


def time_json(moment: str, duckdb_type: str) -> str:
    """``"2018-11-02T09:30:00.000Z"``; a time without a zone is UTC."""
    plain = f"timezone('UTC', {moment})" if "TIME ZONE" in duckdb_type else f"cast({moment} as TIMESTAMP)"
    return f"""case when isfinite({moment}) then strftime({plain}, '"%Y-%m-%dT%H:%M:%S.%gZ"') end"""


def _times_json(moments: str, duckdb_type: str) -> str:
    each = f"coalesce({time_json('moment', duckdb_type)}, 'null')"
    return f"'[' || array_to_string(list_transform({moments}, lambda moment: {each}), ',') || ']'"


def _decimal_json(text: str) -> str:
    return f"case when contains({text}, '.') then rtrim(rtrim({text}, '0'), '.') else {text} end"


def _any_json(json: str) -> str:
    text = f"cast({json} as VARCHAR)"
    number = number_json(f"try_cast({json} as DOUBLE)")
    return (
        f"case json_type({json}) when 'NULL' then null"
        f" when 'DOUBLE' then case when regexp_full_match({text}, '-?[0-9]+') then {text} else {number} end"
        f" when 'ARRAY' then {_finite(text)} when 'OBJECT' then {_finite(text)} else {text} end"
    )


def _finite(json_text: str) -> str:
    """Lists and objects with null for numbers that are not finite, which DuckDB reads and writes in JSON."""
    part = f"case when part[1] = '\"' then part else regexp_replace(part, '{_NOT_FINITE}', 'null', 'g') end"
    parts = f"regexp_extract_all({json_text}, '{_PARTS}')"
    return (
        f"case when regexp_matches({json_text}, '{_NOT_FINITE}')"
        f" then array_to_string([{part} for part in {parts}], '') else {json_text} end"
    )
