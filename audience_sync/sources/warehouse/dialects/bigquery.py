"""Compare in BigQuery."""

from __future__ import annotations

from audience_sync.sources.warehouse.dialects.base import Dialect, column_kinds
from audience_sync.sql import Condition, Expression, Query


class BigQuery(Dialect):
    """The SQL of BigQuery (GoogleSQL). A schema is a dataset, which may be ``project.dataset``."""

    kinds = column_kinds(
        text=r"string$", integer=r"integer$|int64$", decimal=r"(big)?numeric\b", double=r"float(64)?$", date=r"date$"
    )
    grantee = Query("select session_user()")

    def grants(self, schema: str, grantee: str) -> str:
        name = self.quote(schema)
        kind = "serviceAccount" if grantee.endswith(".gserviceaccount.com") else "user"
        grant = f'grant `roles/bigquery.dataEditor` on schema {name} to "{kind}:{grantee}"'
        return f"create schema if not exists {name}; {grant}; the same user needs the role roles/bigquery.jobUser"

    def quote(self, name: str) -> Expression:
        return Expression("`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`")

    def literal(self, text: str) -> Expression:
        return escaped_literal(text)

    def tables(self, schema: str, prefix: str) -> Query:
        where = f"starts_with(table_name, {self.literal(prefix)})"
        return Query(f"select table_name from {self.quote(schema)}.INFORMATION_SCHEMA.TABLES where {where}")

    def md5(self, text: str) -> str:
        return f"to_hex(md5({text}))"

    def text(self, column: str, type_name: str) -> str:
        text = f"cast({column} as string)"
        return f"collate({text}, '')" if type_name.lower() == "string" else text

    def byte_length(self, text: str) -> str:
        return f"byte_length({text})"

    def contains_nul(self, text: str) -> Condition:
        return Condition(f"strpos({text}, '\\u0000') > 0")

    def decimal_digits(self, column: str) -> str:
        return f"cast(trunc({column}) as string)"

    def double_digits(self, number: str) -> str:
        return f"cast(cast({number} as int64) as string)"

    def date_text(self, column: str) -> str:
        return f"cast({column} as string)"


def escaped_literal(text: str) -> Expression:
    """A text as a value where a backslash escapes, and a line must not end within quotes."""
    plain = text.replace("\\", "\\\\").replace("'", "\\'")
    return Expression("'" + "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in plain) + "'")
