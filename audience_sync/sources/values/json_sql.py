"""Write values of traits as JSON text, in SQL; ``json_python`` has the same rules for values of Python.

NULL, NaN and infinity mean no value. A whole double below 10^15 is written like an integer: a column may be read as
integers one day and as doubles the next (a file by pandas, with one gap), and this must not send every user again.
Dates and times are ISO 8601, in UTC, with milliseconds, also within lists and objects.

A value that can't be written (a time outside of the years, half a surrogate pair, a value nested too deeply) is
invalid: its text is ``!`` and the reason, or contains one of the ``PLACEHOLDERS``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from audience_sync.sources.values.user_ids import INTEGER_TYPES
from audience_sync.sql import quote_identifier, quote_literal

if TYPE_CHECKING:
    import duckdb

#: Below this, a double represents every integer exactly, and is printed without an exponent everywhere.
LARGEST_PLAIN = "1e15"
#: First character of an invalid value's text; no JSON begins with it.
INVALID = "!"
#: The type of a text that is a number as a double writes it, but for zeros at the end.
NUMERIC_TEXT = "NUMERIC TEXT"
MAX_LEVELS = 100
MAX_DIGITS = 1_000
#: Reasons; messages have the column's name before them.
OUT_OF_YEARS = "is a time outside of the years 1 to 9999 (UTC)"
TOO_DEEP = f"is nested deeper than {MAX_LEVELS} levels"
TOO_MANY_DIGITS = f"has a number of more than {MAX_DIGITS:,} digits"
HAS_SURROGATE = "has half a surrogate pair in its text"
HAS_NO_TEXT = "is an object of Python, which has no form in JSON"
NOT_JSON = "is not JSON"
ARE_BYTES = "holds bytes, which have no form in JSON"
NOT_UTF_8 = "has text that is not UTF-8"
UNREADABLE = "is a time that can't be read"
#: Placeholders within JSON text for parts that can't be written; the whole value is invalid then. Unicode reserves
#: these characters.
SURROGATE_PLACEHOLDER, TIME_PLACEHOLDER, BYTES_PLACEHOLDER = "\ufdd0", "\ufdd1", "\ufdd2"
PLACEHOLDERS = {SURROGATE_PLACEHOLDER: HAS_SURROGATE, TIME_PLACEHOLDER: OUT_OF_YEARS, BYTES_PLACEHOLDER: ARE_BYTES}

#: A string, or text between two strings: NaN is a number only outside of strings.
_STRING = r'"(?:\\.|[^"\\])*"'
_PARTS = _STRING + r'|[^"]+'
_NOT_FINITE = r"-?(?:NaN|Infinity|[0-9][0-9.]*[eE]\+?0*(?:309|3[1-9][0-9]|[4-9][0-9]{2}|[1-9][0-9]{3,}))"


def sql_json(expression: str, duckdb_type: str, *, is_checked: bool = True) -> str | None:
    """SQL for a column's JSON text, NULL for no value; None for bytes, which have no form in JSON.

    ``is_checked``: whether a column of type JSON surely has valid JSON.
    """
    if duckdb_type == "BLOB":
        return None
    if duckdb_type == "VARCHAR":
        return f"cast(to_json({expression}) as VARCHAR)"
    if duckdb_type == "BIGNUM":
        return short_number(f"cast({expression} as VARCHAR)")
    if duckdb_type == "BOOLEAN" or duckdb_type in INTEGER_TYPES:
        return f"cast({expression} as VARCHAR)"
    if duckdb_type in ("FLOAT", "DOUBLE"):
        return number_json(expression)
    if duckdb_type == NUMERIC_TEXT:
        zeros_at_the_end = f"suffix({expression}, '0') and contains({expression}, '.')"
        return f"case when {zeros_at_the_end} then {number_json(f'cast({expression} as DOUBLE)')} else {expression} end"
    if is_time(duckdb_type):
        return time_json(expression, duckdb_type)
    return _other_json(expression, duckdb_type, is_checked=is_checked)


def may_be_invalid(duckdb_type: str) -> bool:
    """Whether a column of this type can have invalid values."""
    return is_time(duckdb_type) or duckdb_type in ("JSON", "BIGNUM") or _is_nested(duckdb_type)


def is_time(duckdb_type: str) -> bool:
    """Whether the type is a date or a time, but not a list of times, whose name begins with the same word."""
    return duckdb_type == "DATE" or (duckdb_type.startswith("TIMESTAMP") and not duckdb_type.endswith("]"))


def _is_nested(duckdb_type: str) -> bool:
    return duckdb_type.endswith("]") or duckdb_type.startswith(("STRUCT", "MAP", "UNION", "VARIANT"))


def _other_json(expression: str, duckdb_type: str, *, is_checked: bool) -> str:
    if duckdb_type == "JSON":
        checked = _any_json(expression)
        invalid = f"{expression} is not null and not json_valid(cast({expression} as VARCHAR))"
        return checked if is_checked else f"case when {invalid} then {invalid_literal(NOT_JSON)} else {checked} end"
    if _is_nested(duckdb_type):
        return _nested_json(expression, duckdb_type)
    text = f"cast({expression} as VARCHAR)"
    if duckdb_type.startswith("DECIMAL"):
        return f"case when contains({text}, '.') then rtrim(rtrim({text}, '0'), '.') else {text} end"
    return f"cast(to_json({text}) as VARCHAR)"


def invalid_literal(reason: str) -> str:
    return quote_literal(INVALID + reason)


def number_json(number: str) -> str:
    whole = f"{number} = trunc({number}) and abs({number}) < {LARGEST_PLAIN}"
    return (
        f"case when not isfinite({number}) then null"
        f" when {whole} then cast(cast({number} as BIGINT) as VARCHAR)"
        f" else cast({number} as VARCHAR) end"
    )


def time_json(moment: str, duckdb_type: str) -> str:
    """``"2018-11-02T09:30:00.000Z"``; a time without a zone is UTC."""
    return _time(moment, duckdb_type, '"', invalid_literal(OUT_OF_YEARS))


def _time(moment: str, duckdb_type: str, quote: str, outside: str) -> str:
    zoned = "TIME ZONE" in duckdb_type or duckdb_type.startswith("TIMESTAMPTZ")
    kind = "TIMESTAMPTZ" if zoned else duckdb_type
    if duckdb_type.endswith("_NS"):  # DuckDB has few functions for nanoseconds, whose years are all valid
        kind = "TIMESTAMPTZ" if zoned else "TIMESTAMP"
        moment = f"cast({moment} as {kind})"
    # Compare in its own type: times near that type's limits can't be converted to another type.
    first, after = (f"cast('{year}-01-01 00:00:00{'+00' if zoned else ''}' as {kind})" for year in ("0001", "10000"))
    plain = f"timezone('UTC', {moment})" if zoned else f"cast({moment} as TIMESTAMP)"
    return (
        f"case when not isfinite({moment}) then null"
        f" when {moment} >= {first} and {moment} < {after}"
        f" then strftime({plain}, '{quote}%Y-%m-%dT%H:%M:%S.%gZ{quote}')"
        f" when {moment} is not null then {outside} end"
    )


def _nested_json(expression: str, duckdb_type: str) -> str:
    """JSON text of a nested value, with only the checks that its inner types need."""
    import duckdb

    kind = duckdb.sqltype(duckdb_type)
    inside, levels = set(_leaves(kind)), _levels(kind)
    text = f"cast(to_json({_LeafWriter().text(expression, kind) or expression}) as VARCHAR)"
    written = _finite(text) if inside & {"float", "double", "json", "variant"} else text
    if levels < MAX_LEVELS and not inside & {"json", "variant", "bignum"}:
        return written
    return f"case when strlen({text}) <= {2 * MAX_LEVELS} then {written} else {_checked_nested(written)} end"


def placeholders_of(duckdb_type: str) -> tuple[str, ...]:
    """The placeholders that the JSON text of a nested type may contain, for times and bytes."""
    import duckdb

    if not _is_nested(duckdb_type):
        return ()
    leaves = [leaf.upper() for leaf in _leaves(duckdb.sqltype(duckdb_type))]
    times = (TIME_PLACEHOLDER,) if any(map(is_time, leaves)) else ()
    return (*times, BYTES_PLACEHOLDER) if "BLOB" in leaves else times


def _leaves(kind: duckdb.sqltypes.DuckDBPyType) -> Iterator[str]:
    """The innermost types of a type, in lower case."""
    inner = _inner_types(kind).values()
    if not inner:
        yield str(kind).lower()
    for each in inner:
        yield from _leaves(each)


def _levels(kind: duckdb.sqltypes.DuckDBPyType) -> int:
    return max((1 + _levels(each) for each in _inner_types(kind).values()), default=0)


def _inner_types(kind: duckdb.sqltypes.DuckDBPyType) -> dict[str, Any]:
    """The direct inner types by name, without the size of an array and the tag of a union."""
    if kind.id not in ("list", "array", "struct", "map", "union"):
        return {}
    return {name: inner for name, inner in kind.children if name and isinstance(inner, type(kind))}


class _LeafWriter:
    """Writes times and bytes within nested values as text; each level's lambda has a separate variable."""

    def __init__(self) -> None:
        self._variables = 0

    def text(self, value: str, kind: duckdb.sqltypes.DuckDBPyType) -> str | None:
        match kind.id:
            case "struct":
                return self._struct(value, kind)
            case "list" | "array":
                return self._list(value, _inner_types(kind)["child"])
            case "map":
                return self._map(value, _inner_types(kind))
            case "union":
                return self._union(value, kind)
            case "blob":
                return f"case when {value} is not null then {quote_literal(BYTES_PLACEHOLDER)} end"
        return _time(value, str(kind), "", quote_literal(TIME_PLACEHOLDER)) if is_time(str(kind)) else None

    def _struct(self, value: str, kind: duckdb.sqltypes.DuckDBPyType) -> str | None:
        fields = self._fields(value, kind, "struct_extract")
        packed = ", ".join(f"{quote_identifier(name)} := {field}" for name, field in fields.items())
        return f"case when {value} is not null then struct_pack({packed}) end" if fields else None

    def _fields(self, value: str, kind: duckdb.sqltypes.DuckDBPyType, extract: str) -> dict[str, str]:
        """SQL for each field of a struct or member of a union; empty if all of them stay unchanged."""
        fields = {name: f"{extract}({value}, {quote_literal(name)})" for name in _inner_types(kind)}
        texts = {name: self.text(fields[name], inner) for name, inner in _inner_types(kind).items()}
        return {name: text or fields[name] for name, text in texts.items()} if any(texts.values()) else {}

    def _list(self, value: str, kind: duckdb.sqltypes.DuckDBPyType) -> str | None:
        each = self._variable()
        text = self.text(each, kind)
        return text and f"list_transform({value}, lambda {each}: {text})"

    def _map(self, value: str, kinds: Mapping[str, duckdb.sqltypes.DuckDBPyType]) -> str | None:
        each = self._variable()
        key, inner = (self.text(f"{each}.{name}", kinds[name]) for name in ("key", "value"))
        if key is None and inner is None:
            return None
        entry = f"struct_pack(key := {key or f'{each}.key'}, value := {inner or f'{each}.value'})"
        return f"map_from_entries(list_transform(map_entries({value}), lambda {each}: {entry}))"

    def _union(self, value: str, kind: duckdb.sqltypes.DuckDBPyType) -> str | None:
        cases = [
            f"when {quote_literal(name)} then to_json(struct_pack({quote_identifier(name)} := {member}))"
            for name, member in self._fields(value, kind, "union_extract").items()
        ]
        return f"case cast(union_tag({value}) as VARCHAR) {' '.join(cases)} end" if cases else None

    def _variable(self) -> str:
        self._variables += 1
        return f"each_{self._variables}"


def _any_json(json: str) -> str:
    text = f"cast({json} as VARCHAR)"
    number = number_json(f"try_cast({json} as DOUBLE)")
    nested = (
        f"case when strlen({text}) <= {2 * MAX_LEVELS} then {_finite(text)} else {_checked_nested(_finite(text))} end"
    )
    return (
        f"case json_type({json}) when 'NULL' then null"
        f" when 'DOUBLE' then case when regexp_full_match({text}, '-?[0-9]+') then {short_number(text)}"
        f" else {number} end"
        f" when 'ARRAY' then {nested} when 'OBJECT' then {nested} else {text} end"
    )


def short_number(digits: str) -> str:
    too_long = f"strlen(ltrim({digits}, '-')) > {MAX_DIGITS}"
    return f"case when {too_long} then {invalid_literal(TOO_MANY_DIGITS)} else {digits} end"


def _checked_nested(json_text: str) -> str:
    """Lists and objects, invalid if they are too deep or have a number that is too long.

    Only texts that are long enough for either are checked.
    """
    opened = f"strlen({json_text}) - strlen(translate({json_text}, '[{{', ''))"
    bare = f"regexp_replace({json_text}, '{_STRING}', '', 'g')"
    deep = f"{opened} > {MAX_LEVELS} and {_is_deep(bare)}"
    digits = f"'[0-9]{{{MAX_DIGITS}}}[0-9]'"
    long = f"regexp_matches({json_text}, {digits}) and regexp_matches({bare}, {digits})"
    return (
        f"case when {deep} then {invalid_literal(TOO_DEEP)}"
        f" when strlen({json_text}) > {MAX_DIGITS} and {long} then {invalid_literal(TOO_MANY_DIGITS)}"
        f" else {json_text} end"
    )


def _is_deep(bare: str) -> str:
    """Whether brackets remain after removing the innermost ones, one level at a time."""
    brackets = f"regexp_replace({bare}, '[^\\[\\]{{}}]', '', 'g')"
    rounds = f"list_transform(range({MAX_LEVELS}), lambda round: '')"
    innermost = "regexp_replace(rest, '\\[\\]|\\{\\}', '', 'g')"
    return f"list_reduce({rounds}, lambda rest, round: {innermost}, {brackets}) <> ''"


def _finite(json_text: str) -> str:
    """Lists and objects with null for numbers that are not finite, which DuckDB allows in JSON."""
    part = f"case when part[1] = '\"' then part else regexp_replace(part, '{_NOT_FINITE}', 'null', 'g') end"
    parts = f"regexp_extract_all({json_text}, '{_PARTS}')"
    return (
        f"case when regexp_matches({json_text}, '{_NOT_FINITE}')"
        f" then array_to_string([{part} for part in {parts}], '') else {json_text} end"
    )


def is_invalid(json_text: str, placeholders: Iterable[str]) -> str:
    """An SQL condition for an invalid value; ``placeholders``: those that the text may contain."""
    contained = (f"contains({json_text}, {quote_literal(placeholder)})" for placeholder in placeholders)
    return " or ".join([f"starts_with({json_text}, '{INVALID}')", *contained])


def reason_of(json_text: str, placeholders: Iterable[str]) -> str:
    """SQL for the reason of an invalid value."""
    cases = (
        f" when contains({json_text}, {quote_literal(placeholder)}) then {quote_literal(PLACEHOLDERS[placeholder])}"
        for placeholder in placeholders
    )
    return f"case when starts_with({json_text}, '{INVALID}') then substr({json_text}, 2){''.join(cases)} end"
