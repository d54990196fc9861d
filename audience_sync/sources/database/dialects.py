"""Write the rule for user ids, and what a comparison needs, in the SQL of each warehouse.

The rule is that of ``sources/values/user_ids.py``, which `tests/warehouse` compares with on every engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec import Struct

from audience_sync.sources.values.user_ids import (
    EMPTY,
    LARGEST_WHOLE_DOUBLE,
    MAX_BYTES,
    MISSING,
    NOT_WHOLE,
    OUT_OF_YEARS,
    TOO_LONG,
    WHITESPACE,
)
from audience_sync.sql import Expression, Query, quote_identifier, quote_literal


class IdText(NamedTuple):
    """SQL for a user id as text, and for the reason if it is invalid (else NULL)."""

    text: str
    reason: str


class Dialect(Struct, frozen=True, kw_only=True):
    """The SQL of one kind of warehouse.

    ``ids``: by the beginning of a type's name, the rule for ids in a column of that type. ``name``: SQL for an
    audience's name, NULL if it has none. ``quote``: a name as an identifier. ``tables``: a query for the tables of a
    schema whose names begin with a prefix. ``may_create``: a query for whether this user may create tables in a schema;
    no row if there is no such schema. ``grants``: what an administrator runs to allow it.
    """

    ids: Mapping[re.Pattern[str], Callable[[str], IdText]]
    name: Callable[[str], str]
    tables: Callable[[str, str], Query]
    may_create: Callable[[str], Query]
    grants: Callable[[str, str], str]
    quote: Callable[[str], Expression] = quote_identifier

    def id_text(self, column: str, type_name: str) -> IdText | None:
        """The rule for ids in this column; None if its type can't have ids."""
        rule = next((each for pattern, each in self.ids.items() if pattern.match(type_name.lower())), None)
        return rule(self.quote(column)) if rule else None


def _first(cases: Mapping[str, str]) -> str:
    """The reason whose condition holds first."""
    return (
        f"case {' '.join(f'when {condition} then {quote_literal(reason)}' for reason, condition in cases.items())} end"
    )


def _pg_text(column: str) -> IdText:
    # With this collation texts are equal if their bytes are, with any collation of the column.
    text = f'cast({column} as text) collate "C"'
    return IdText(text, _first({MISSING: f"{column} is null"} | _pg_length(text)))


def _pg_length(text: str) -> dict[str, str]:
    return {
        EMPTY: f"btrim({text}, {quote_literal(WHITESPACE)}) = ''",
        TOO_LONG: f"octet_length({text}) > {MAX_BYTES}",
    }


def _pg_padded(column: str) -> IdText:
    """The text of ``char(n)`` with its spaces, which a cast would drop."""
    return _pg_text(f"textin(bpcharout({column}))")


def _pg_integer(column: str) -> IdText:
    return IdText(f'cast({column} as text) collate "C"', _first({MISSING: f"{column} is null"}))


def _pg_decimal(column: str) -> IdText:
    is_finite = f"cast({column} as text) not in ('NaN', 'Infinity', '-Infinity')"
    is_whole = f"{is_finite} and {column} = trunc({column})"
    text = f"case when {is_whole} then cast(trunc({column}) as text) else cast({column} as text) end"
    cases = {
        MISSING: f"{column} is null",
        NOT_WHOLE: f"not ({is_whole})",
        TOO_LONG: f"octet_length({text}) > {MAX_BYTES}",
    }
    return IdText(f'({text}) collate "C"', _first(cases))


def _pg_double(column: str) -> IdText:
    number = f"cast(cast({column} as text) as double precision)"
    is_whole = f"abs({number}) <= {LARGEST_WHOLE_DOUBLE} and {number} = trunc({number})"
    text = f"case when {is_whole} then cast(cast({number} as bigint) as text) else cast({column} as text) end"
    return IdText(f'({text}) collate "C"', _first({MISSING: f"{column} is null", NOT_WHOLE: f"not ({is_whole})"}))


def _pg_date(column: str) -> IdText:
    cases = {
        MISSING: f"{column} is null or not isfinite({column})",
        OUT_OF_YEARS: f"{column} not between date '0001-01-01' and date '9999-12-31'",
    }
    return IdText(f"to_char({column}, 'YYYY-MM-DD') collate \"C\"", _first(cases))


def _pg_tables(schema: str, prefix: str) -> Query:
    return Query(
        f"select tablename from pg_catalog.pg_tables where schemaname = {quote_literal(schema)} "
        f"and starts_with(tablename, {quote_literal(prefix)})"
    )


def _pg_may_create(schema: str) -> Query:
    return Query(
        "select has_schema_privilege(oid, 'create') and has_schema_privilege(oid, 'usage') "
        "from pg_catalog.pg_namespace "
        f"where nspname = {quote_literal(schema)}"
    )


def _pg_grants(schema: str, user: str) -> str:
    name, role = quote_identifier(schema), quote_identifier(user)
    return f"create schema if not exists {name}; grant usage, create on schema {name} to {role};"


POSTGRESQL = Dialect(
    ids={
        re.compile(
            r"text|varchar|name\b|uuid|citext|\d+$"
        ): _pg_text,  # a number: the type is of the database, as an enum
        re.compile(r"bpchar|char"): _pg_padded,
        re.compile(r"int[248]?\b(?!\d*range)(?!.*\[)"): _pg_integer,
        re.compile(r"numeric"): _pg_decimal,
        re.compile(r"float[48]"): _pg_double,
        re.compile(r"date\b"): _pg_date,
    },
    name=lambda column: f"nullif(btrim(cast({column} as text) collate \"C\"), '')",
    tables=_pg_tables,
    may_create=_pg_may_create,
    grants=_pg_grants,
)

#: By SQLAlchemy's name of the database.
DIALECTS: Mapping[str, Dialect] = {"postgresql": POSTGRESQL}
