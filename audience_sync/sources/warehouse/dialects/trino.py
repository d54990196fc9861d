"""Compare in Trino."""

from __future__ import annotations

from audience_sync.sources.values.user_ids import WHITESPACE
from audience_sync.sources.warehouse.dialects.base import Dialect, column_kinds
from audience_sync.sql import Condition


class Trino(Dialect):
    """The SQL of Trino, in the catalog of the URL."""

    kinds = column_kinds(
        text=r"varchar\b|uuid$",
        integer=r"(tiny|small|big)?int$|integer$",
        decimal=r"decimal",
        double=r"double$|real$",
        date=r"date$",
    )

    def grants(self, schema: str, grantee: str) -> str:
        name, user = self.quote(schema), self.quote(grantee)
        return f"create schema if not exists {name}; grant create on schema {name} to user {user};"

    def md5(self, text: str) -> str:
        return f"lower(to_hex(md5(to_utf8({text}))))"

    def byte_length(self, text: str) -> str:
        return f"length(to_utf8({text}))"

    def is_blank(self, text: str) -> Condition:
        return Condition(f"not regexp_like({text}, {self.literal(f'[^{WHITESPACE}]')})")

    def trimmed(self, text: str) -> str:
        return f"trim(both ' ' from {text})"

    def contains_nul(self, text: str) -> Condition:
        return Condition(f"strpos({text}, chr(0)) > 0")

    def truncated(self, number: str) -> str:
        return f"truncate({number})"

    def double(self, column: str) -> str:
        return f"cast({column} as double)"
