"""Compare in Databricks."""

from __future__ import annotations

from audience_sync.sources.values.user_ids import WHITESPACE
from audience_sync.sources.warehouse.dialects.base import Dialect, column_kinds
from audience_sync.sources.warehouse.dialects.bigquery import escaped_literal
from audience_sync.sql import Condition, Expression, Query


class Databricks(Dialect):
    """The SQL of Databricks, in a catalog of Unity Catalog."""

    kinds = column_kinds(
        text=r"string\b",
        integer=r"(tiny|small|big)?int$|integer$|long$|short$|byte$",
        decimal=r"decimal",
        double=r"double$|float$",
        date=r"date$",
    )
    grantee = Query("select current_user()")

    def grants(self, schema: str, grantee: str) -> str:
        name, user = self.quote(schema), self.quote(grantee)
        grant = f"grant use schema, create table on schema {name} to {user}"
        return f"create schema if not exists {name}; {grant}; the same user needs use catalog on its catalog"

    def quote(self, name: str) -> Expression:
        return Expression("`" + name.replace("`", "``") + "`")

    def literal(self, text: str) -> Expression:
        return escaped_literal(text)

    def text(self, column: str, type_name: str) -> str:
        text = f"cast({column} as string)"
        return f"({text} collate UTF8_BINARY)" if type_name.lower().startswith("string") else text

    def is_blank(self, text: str) -> Condition:
        return Condition(f"trim(both {self.literal(WHITESPACE)} from {text}) = ''")

    def trimmed(self, text: str) -> str:
        return f"trim(both ' ' from {text})"

    def contains_nul(self, text: str) -> Condition:
        return Condition(f"instr({text}, char(0)) > 0")

    def truncated(self, number: str) -> str:
        return f"floor({number})"

    def decimal_digits(self, column: str) -> str:
        return f"cast(floor({column}) as string)"

    def double(self, column: str) -> str:
        return f"cast({column} as double)"

    def double_digits(self, number: str) -> str:
        return f"cast(cast({number} as bigint) as string)"

    def date_text(self, column: str) -> str:
        return f"date_format({column}, 'yyyy-MM-dd')"
