"""Compare in Spark, or in what speaks Spark Connect."""

from __future__ import annotations

import re

from audience_sync.sources.values.user_ids import WHITESPACE
from audience_sync.sources.warehouse.dialects.base import Dialect, column_kinds
from audience_sync.sql import Condition, Expression, Query, Relation, quote_literal

#: Types whose values contain others.
_NESTED = ("array", "map", "struct", "variant")
#: Maps whose keys have no text of their own in JSON: Spark writes where a key lies in memory.
_NO_TEXT = re.compile(r"map<(array|binary|map|struct|variant)")
_TIME_FORMAT = "yyyy-MM-dd HH:mm:ss.SSSSSS XXX"


class Spark(Dialect):
    """The SQL of Spark. A schema may have the name of its catalog before it: ``main.audience_sync``."""

    kinds = column_kinds(
        text=r"string|char\(|varchar\(|void$",
        integer=r"(tiny|small|big)?int$",
        decimal=r"decimal",
        double=r"float$|double$",
        date=r"date$",
    )
    grantee = Query("select current_user()")

    def grants(self, schema: str, grantee: str) -> str:
        name, user = self.schema(schema), self.quote(grantee)
        return f"create schema if not exists {name}; grant use schema, create table on schema {name} to {user};"

    def quote(self, name: str) -> Expression:
        return Expression("`" + name.replace("`", "``") + "`")

    def literal(self, text: str) -> Expression:
        """Spark and its likes differ in what a quote and a backslash in a text mean."""
        if "'" in text or "\\" in text:
            return Expression(f"cast(X'{text.encode().hex()}' as string)")
        return quote_literal(text)

    def place(self, schema: str, table: str) -> Relation:
        return Relation(f"{self.schema(schema)}.{self.quote(table)}")

    def schema(self, schema: str) -> str:
        return ".".join(map(self.quote, schema.split(".")))

    def plain_type(self, type_name: str) -> str:
        plain = super().plain_type(type_name)
        return "string" if plain == "void" else plain

    def is_comparable(self, type_name: str) -> bool:
        return not _NO_TEXT.search(type_name.lower())

    def stored(self, column: str, type_name: str) -> str:
        return f"cast({column} as string)" if type_name.lower() == "void" else column

    def text(self, column: str, type_name: str) -> str:
        lower = type_name.lower()
        if lower.startswith(_NESTED):  # as text, ['a, b'] and ['a', 'b'] are equal
            return f"to_json({column}, map('timestampFormat', '{_TIME_FORMAT}'))"
        if lower.startswith("binary"):  # it need not be UTF-8
            return f"hex({column})"
        if lower == "timestamp":  # as text it has no offset, so that two hours of a night in autumn are equal
            return f"cast(unix_micros({column}) as string)"
        text = f"cast({column} as string)"
        return f"collate({text}, 'UTF8_BINARY')" if " collate " in lower else text

    def is_blank(self, text: str) -> Condition:
        return Condition(f"trim(both {quote_literal(WHITESPACE)} from {text}) = ''")

    def trimmed(self, text: str) -> str:
        return f"trim(both ' ' from {text})"

    def contains_nul(self, text: str) -> Condition:
        return Condition(f"contains({text}, char(0))")

    def truncated(self, number: str) -> str:
        return f"floor({number})"

    def is_whole_decimal(self, column: str) -> Condition:
        """Spark rounds decimals of 38 digits before it compares them with others."""
        return Condition(f"{column} % 1 = 0")

    def decimal_digits(self, column: str) -> str:
        return f"cast(cast({column} as decimal(38, 0)) as string)"

    def double(self, column: str) -> str:
        return f"cast({column} as double)"

    def double_digits(self, number: str) -> str:
        return f"cast(cast({number} as bigint) as string)"

    def date_text(self, column: str) -> str:
        return f"cast({column} as string)"
