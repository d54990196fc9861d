"""Compare in PostgreSQL."""

from __future__ import annotations

from audience_sync.sources.values.user_ids import WHITESPACE
from audience_sync.sources.warehouse.dialects.base import Dialect, column_kinds
from audience_sync.sql import Condition, Query, Relation


class PostgreSQL(Dialect):
    """The SQL of PostgreSQL."""

    kinds = column_kinds(
        text=r"text|varchar|name\b|uuid|citext|\d+$|bpchar|char",  # a number: a type of the database, as an enum
        integer=r"int[248]?\b(?!\d*range)(?!.*\[)",
        decimal=r"numeric",
        double=r"float[48]",
        date=r"date\b",
    )
    has_nul = False

    def grants(self, schema: str, grantee: str) -> str:
        name, role = self.quote(schema), self.quote(grantee)
        return f"create schema if not exists {name}; grant usage, create on schema {name} to {role};"

    def drop(self, place: Relation) -> Query:
        """Wait a second for others who read the table: a backup, or a run on a machine that sleeps."""
        return Query(f"set local lock_timeout = '1s'; {super().drop(place)}")

    def text(self, column: str, type_name: str) -> str:
        if type_name.lower().startswith(("bpchar", "char")):
            column = f"textin(bpcharout({column}))"  # with its spaces, which a cast would drop
        return _by_bytes(f"cast({column} as text)")

    def is_blank(self, text: str) -> Condition:
        return Condition(f"btrim({text}, {self.literal(WHITESPACE)}) = ''")

    def is_whole_decimal(self, column: str) -> Condition:
        is_finite = f"cast({column} as text) not in ('NaN', 'Infinity', '-Infinity')"
        return Condition(f"{is_finite} and {column} = trunc({column})")

    def double(self, column: str) -> str:
        return f"cast(cast({column} as text) as double precision)"  # the digits that a client reads, also of float4

    def double_digits(self, number: str) -> str:
        return _by_bytes(f"cast(cast({number} as bigint) as text)")

    def date_text(self, column: str) -> str:
        return _by_bytes(f"to_char({column}, 'YYYY-MM-DD')")

    def is_missing_date(self, column: str) -> Condition:
        return Condition(f"{column} is null or not isfinite({column})")


def _by_bytes(text: str) -> str:
    """With this collation texts are equal if their bytes are."""
    return f'{text} collate "C"'
