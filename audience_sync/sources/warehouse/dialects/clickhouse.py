"""Compare in ClickHouse."""

from __future__ import annotations

import re

from audience_sync.sources.values.json_sql import NOT_UTF_8
from audience_sync.sources.values.user_ids import WHITESPACE
from audience_sync.sources.warehouse.dialects.base import CheckedText, Dialect, Kind, column_kinds
from audience_sync.sql import Condition, Expression, Query, Relation

#: A type may be Nullable, LowCardinality, or both. A list that may be NULL is a Variant of one type.
_WRAPPER = re.compile(r"(?:nullable|lowcardinality|variant)\((.*)\)")
#: Whitespace as a class of RE2, with the backslashes of a literal.
_SPACES = "".join(f"\\\\x{{{ord(each):04x}}}" for each in WHITESPACE)


class ClickHouse(Dialect):
    """The SQL of ClickHouse. Its texts are bytes, which need not be UTF-8."""

    kinds = column_kinds(
        text=r"string$|uuid$|enum(8|16)?\(",
        integer=r"u?int\d+$",
        decimal=r"decimal",
        double=r"float(32|64)$",
        date=r"date(32)?$",
    )
    grantee = Query("select currentUser()")

    def grants(self, schema: str, grantee: str) -> str:
        name, user = self.quote(schema), self.quote(grantee)
        rights = "select, insert, create table, drop table"
        return f"create database if not exists {name}; grant {rights} on {name}.* to {user};"

    def quote(self, name: str) -> Expression:
        return Expression("`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`")

    def literal(self, text: str) -> Expression:
        return Expression("'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'")

    def tables(self, schema: str, prefix: str) -> Query:
        where = f"database = {self.literal(schema)} and startsWith(name, {self.literal(prefix)})"
        return Query(f"select name from system.tables where {where}")

    def create(self, place: Relation, rows: Query) -> Query:
        return Query(f"create table {place} engine = MergeTree order by tuple() as {self.select(rows)}")

    def select(self, rows: Query) -> Query:
        # Without this setting an outer join fills columns with '' and 0 instead of NULL.
        return Query(f"select * from ({rows}) settings join_use_nulls = 1")

    def plain_type(self, type_name: str) -> str:
        return super().plain_type(_unwrapped(type_name))

    def kind_of(self, type_name: str) -> Kind | None:
        return super().kind_of(_unwrapped(type_name))

    def user_id(self, column: str, type_name: str) -> CheckedText | None:
        found = super().user_id(column, type_name)
        return found and found._replace(text=f"toValidUTF8({found.text})")

    def name(self, column: str, type_name: str) -> CheckedText:
        found = super().name(column, type_name)
        not_utf_8 = f"not isValidUTF8({self.text(column, type_name)})"
        reason = f"case when {not_utf_8} then 'audience name {NOT_UTF_8}' else {found.reason} end"
        return CheckedText(f"toValidUTF8({found.text})", reason)

    def text_problems(self, text: str) -> dict[str, str]:
        return {f"user id {NOT_UTF_8}": f"not isValidUTF8({text})"} | super().text_problems(text)

    def text(self, column: str, type_name: str) -> str:
        if _unwrapped(type_name).startswith("datetime"):  # as text it has no offset
            column = f"toTimeZone({column}, 'UTC')"
        return f"toString({column})"  # a cast of NULL is an error

    def md5(self, text: str) -> str:
        return f"lower(hex(MD5({text})))"

    def byte_length(self, text: str) -> str:
        return f"length({text})"

    def is_blank(self, text: str) -> Condition:
        return Condition(f"not match({text}, '[^{_SPACES}]')")

    def trimmed(self, text: str) -> str:
        return f"trim(both ' ' from {text})"

    def contains_nul(self, text: str) -> Condition:
        return Condition(f"position({text}, char(0)) > 0")

    def decimal_digits(self, column: str) -> str:
        return f"toString(toInt256({column}))"

    def double(self, column: str) -> str:
        return f"toFloat64({column})"

    def double_digits(self, number: str) -> str:
        return f"toString(toInt64({number}))"

    def date_text(self, column: str) -> str:
        return f"toString({column})"

    def is_out_of_years(self, column: str) -> Condition:
        return Condition("false")  # dates are of the years 1900 to 2299


def _unwrapped(type_name: str) -> str:
    """A type in lower case, which may be NULL or not: after a join it may."""
    lower = type_name.lower()
    while wrapped := _WRAPPER.fullmatch(lower):
        lower = wrapped[1]
    return lower
