"""Infer the types of a CSV file's columns: a type must fit all values of the column.

Boolean: all are ``true`` or ``false``. Number: all are JSON numbers (no ``007``, no ``+1``) of at most 15 digits, which
a double represents exactly. Date: all are ISO dates or times. Otherwise text. Columns with digits that are not numbers
(phone, zip code, token) stay text, and ids get no type that would change their spelling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

from msgspec.structs import replace

from audience_sync.sources.rows.scan import Column, Scan, batched
from audience_sync.sources.values.casts import ISO_DATE, ISO_TIME, JSON_NUMBER
from audience_sync.sources.values.json_sql import NUMERIC_TEXT
from audience_sync.workspace import Workspace

MAX_DIGITS = 15
FIRST_ROWS = 2_000
#: Each test needs memory for a regular expression, in addition to what DuckDB counts.
MAX_TESTS_PER_QUERY = 60
#: Names of columns that stay text; in lower case, letters and digits only.
ALWAYS_TEXT = frozenset(
    {"avatar", "country", "countrycode", "currency", "description", "devicetoken", "devicetype", "email"}
    | {"firstname", "gender", "language", "lastname", "locale", "mobile", "name", "phone", "phonenumber"}
    | {"postalcode", "postcode", "state", "street", "timezone", "title", "token", "username", "website"}
    | {"zip", "zipcode"}
)
#: Numbers that a double writes without an exponent; zeros at the end are allowed.
_PLAIN_NUMBER = f"0|-?[1-9][0-9]{{0,{MAX_DIGITS - 1}}}" + r"|-?[1-9][0-9]*\.[0-9]+|-?0\.0{0,3}[1-9][0-9]*|0\.0+"


def _full_match(pattern: str) -> str:
    return f"regexp_full_match({{0}}, '{pattern.replace('{', '{{').replace('}', '}}')}')"


class Kind(Enum):
    """A type and its SQL test, the narrowest type first."""

    BOOLEAN = ("BOOLEAN", "lower({0}) in ('true', 'false')")
    PLAIN_NUMBER = (NUMERIC_TEXT, f"length({{0}}) <= {MAX_DIGITS + 1} and {_full_match(_PLAIN_NUMBER)}")
    INTEGER = ("BIGINT", _full_match(f"0|-?[1-9][0-9]{{0,{MAX_DIGITS - 1}}}"))
    NUMBER = (
        "DOUBLE",
        f"case when length({{0}}) > 24 or not {_full_match(JSON_NUMBER)} then false"
        f" when length({{0}}) <= {MAX_DIGITS} then true"
        f" else length(regexp_replace({{0}}, '[eE].*|[^0-9]', '', 'g')) <= {MAX_DIGITS} end",
    )
    DATE = ("DATE", "length({0}) = 10 and try_cast({0} as DATE) is not null and {0}[5] = '-' and {0}[8] = '-'")
    TIME = (
        "TIMESTAMP WITH TIME ZONE",
        f"{_full_match(f'{ISO_DATE}|{ISO_TIME}')} and try_cast({{0}} as TIMESTAMPTZ) is not null",
    )

    def test(self, expression: str) -> str:
        return self.value[1].format(expression)

    @property
    def type(self) -> str:
        return self.value[0]


#: Values of traits become JSON text, columns of queries get types of SQL.
TRAIT_KINDS = tuple(kind for kind in Kind if kind is not Kind.INTEGER)
_SQL_KINDS = tuple(kind for kind in Kind if kind is not Kind.PLAIN_NUMBER)
#: Types that keep the spelling of an id; a double, a boolean or a time would change it.
_LOSSLESS = (Kind.INTEGER, Kind.DATE)


def stays_text(name: str) -> bool:
    return re.sub("[^a-z0-9]", "", name.lower()) in ALWAYS_TEXT


def infer_types(
    workspace: Workspace,
    tables: Sequence[Scan],
    names: Sequence[str],
    may_be: Callable[[str], Sequence[Kind]] = lambda name: TRAIT_KINDS,
) -> tuple[list[Scan], int | None]:
    """The tables with inferred types for these columns, if they are text. All files are read together.

    Also the number of their rows, if all were read.
    """
    kinds = {name: allowed for name in names if (allowed := may_be(name))}
    if not kinds or not tables[0].is_text:
        return list(tables), None
    found, row_count = _find_kinds(workspace, tables, kinds)
    typed = [
        table.with_columns({name: _with_kind(table.columns[name], kind) for name, kind in found.items()})
        for table in tables
    ]
    return typed, row_count


def _with_kind(column: Column, kind: Kind) -> Column:
    return replace(column, type=kind.type) if kind is Kind.PLAIN_NUMBER else column.cast(kind.type)


def kinds_for_sql(name: str) -> Sequence[Kind]:
    if stays_text(name):
        return ()
    is_id = name.lower() == "id" or name.endswith(("_id", "Id", "ID", "-id", " id"))
    return _LOSSLESS if is_id else _SQL_KINDS


def _find_kinds(
    workspace: Workspace, tables: Sequence[Scan], kinds: Mapping[str, Sequence[Kind]]
) -> tuple[dict[str, Kind], int | None]:
    rows = " union all ".join(table.select_values(kinds) for table in tables)
    # The first rows rule out most kinds; only the remaining ones are tested on all rows.
    first, _ = _run_tests(workspace, f"{rows} limit {FIRST_ROWS}", kinds)
    remaining = {name: [kind for kind in kinds[name] if first[name, kind] is not False] for name in kinds}
    plain = {name for name in kinds if Kind.PLAIN_NUMBER in remaining[name]}  # these are numbers, too
    narrow = {
        name: [kind for kind in remaining[name] if name not in plain or kind is not Kind.NUMBER] for name in kinds
    }
    passed, row_count = _run_tests(workspace, rows, narrow)
    wide = {name: [Kind.NUMBER] for name in plain if passed[name, Kind.PLAIN_NUMBER] is False}
    passed |= _run_tests(workspace, rows, wide)[0]
    fits = {name: [kind for kind in remaining[name] if passed.get((name, kind))] for name in kinds}
    return {name: fit[0] for name, fit in fits.items() if fit}, row_count


def _run_tests(
    workspace: Workspace, rows: str, kinds: Mapping[str, Sequence[Kind]]
) -> tuple[dict[tuple[str, Kind], bool | None], int | None]:
    """Whether all values of a column are of a kind, None if it has no values; and the number of rows if it is read."""
    tests = {
        (name, kind): f"bool_and({kind.test(f'v{index}')}) filter (where v{index} is not null)"
        for index, (name, allowed) in enumerate(kinds.items())
        for kind in allowed
    }
    found, row_count = dict[tuple[str, Kind], bool | None](), None
    for batch in batched(tests, MAX_TESTS_PER_QUERY):
        *answers, row_count = workspace.one(
            f"select {', '.join(tests[test] for test in batch)}, count(*) from ({rows})"
        )
        found |= dict(zip(batch, answers, strict=True))
    return found, row_count
