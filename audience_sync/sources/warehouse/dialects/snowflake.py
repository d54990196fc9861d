"""Compare in Snowflake."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_sync.sources.warehouse.dialects.base import Dialect, column_kinds
from audience_sync.sql import Condition, Expression, Query, Relation, quote_identifier

#: A name that Snowflake writes in capitals unless it is in quotes.
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
#: The names of types, by the driver's codes: https://docs.snowflake.com/en/developer-guide/python-connector/python-connector-api
_TYPES = (
    *("fixed", "real", "text", "date", "timestamp", "variant", "timestamp_ltz", "timestamp_tz", "timestamp_ntz"),
    *("object", "array", "binary", "time", "boolean", "geography", "geometry", "vector"),
)


class Snowflake(Dialect):
    """The SQL of Snowflake. A plain name means what it means without quotes: the name in capitals."""

    kinds = column_kinds(text=r"text$", decimal=r"fixed$", double=r"real$", date=r"date$")
    grantee = Query("select coalesce(current_role(), 'PUBLIC')")

    def grants(self, schema: str, grantee: str) -> str:
        name, role = self.quote(schema), quote_identifier(grantee)
        return f"create schema if not exists {name}; grant usage, create table on schema {name} to role {role};"

    def quote(self, name: str) -> Expression:
        return quote_identifier(name.upper() if _PLAIN.fullmatch(name) else name)

    def literal(self, text: str) -> Expression:
        return Expression("'" + text.replace("\\", "\\\\").replace("'", "''") + "'")

    def create(self, place: Relation, rows: Query) -> Query:
        # Tables are written once and can be made again: Snowflake need not keep (and bill) what was dropped.
        return Query(f"create transient table {place} data_retention_time_in_days = 0 as {rows}")

    def tables(self, schema: str, prefix: str) -> Query:
        stored = schema.upper() if _PLAIN.fullmatch(schema) else schema
        return Query(
            "select lower(table_name) as table_name from information_schema.tables "
            f"where table_schema = {self.literal(stored)} and startswith(table_name, {self.literal(prefix.upper())})"
        )

    def type_name(self, described: Sequence[Any]) -> str:
        code = described[1]
        return _TYPES[code] if code in range(len(_TYPES)) else str(code)

    def text(self, column: str, type_name: str) -> str:
        if type_name.startswith("timestamp"):  # an account's format of texts may leave a part out
            column = f"date_part(epoch_nanosecond, {column})"
        if type_name == "variant":  # as text, a text and a number are equal
            return f"to_json({column})"
        text = f"cast({column} as varchar)"
        return f"collate({text}, 'utf8')" if type_name == "text" else text

    def contains_nul(self, text: str) -> Condition:
        return Condition(f"contains({text}, chr(0))")

    def double_digits(self, number: str) -> str:
        return f"cast(cast({number} as number(38, 0)) as varchar)"

    def date_text(self, column: str) -> str:
        return f"to_varchar({column}, 'YYYY-MM-DD')"
