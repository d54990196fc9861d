"""Define what a comparison needs of a warehouse's SQL. What is standard is written here; a dialect overrides the rest.

The rule for user ids is that of ``sources/values/user_ids.py``, which `tests/warehouse/conformance` compares with.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, ClassVar, NamedTuple

from audience_sync.sources.rows.scan import NAME_HAS_NUL
from audience_sync.sources.rows.snapshot_query import NO_NAME
from audience_sync.sources.values.user_ids import (
    EMPTY,
    HAS_NUL,
    LARGEST_WHOLE_DOUBLE,
    MAX_BYTES,
    MISSING,
    NOT_WHOLE,
    OUT_OF_YEARS,
    TOO_LONG,
    WHITESPACE,
)
from audience_sync.sql import Condition, Expression, Query, Relation, quote_identifier, quote_literal

#: The length, or the precision and scale, of a type.
_LENGTHS = re.compile(r"\(\d+(?:, ?\d+)*\)")


class Kind(Enum):
    """The kind of a column: what its values are, in any warehouse."""

    TEXT = auto()
    INTEGER = auto()
    DECIMAL = auto()
    DOUBLE = auto()
    DATE = auto()


class CheckedText(NamedTuple):
    """SQL for a user id or an audience's name as text, and for the reason if it is invalid (else NULL)."""

    text: str
    reason: str


class Dialect(ABC):
    """The SQL of one kind of warehouse.

    Texts are equal if their bytes are, also in a column with another collation.
    """

    #: By the beginning of a type's name in lower case: the kind of its values. The first that matches counts; columns
    #: of other types can't be compared.
    kinds: ClassVar[Sequence[tuple[re.Pattern[str], Kind]]]
    #: Whether texts may have NUL characters.
    has_nul: ClassVar[bool] = True

    #: A query for the user, or the role, that the rights of a connection belong to.
    grantee: ClassVar[Query] = Query("select current_user")

    @abstractmethod
    def grants(self, schema: str, grantee: str) -> str:
        """What an administrator runs so that this user may create, read and drop tables in a schema of its own."""

    def quote(self, name: str) -> Expression:
        """A name, as the config has it, as an identifier."""
        return quote_identifier(name)

    def literal(self, text: str) -> Expression:
        """A text as a value."""
        return quote_literal(text)

    def place(self, schema: str, table: str) -> Relation:
        return Relation(f"{self.quote(schema)}.{self.quote(table)}")

    def tables(self, schema: str, prefix: str) -> Query:
        """A query for the names of the tables in a schema that begin with a prefix."""
        return Query(
            f"select table_name from information_schema.tables where table_schema = {self.literal(schema)} "
            f"and substr(table_name, 1, {len(prefix)}) = {self.literal(prefix)}"
        )

    def create(self, place: Relation, rows: Query) -> Query:
        """A statement that creates a table of these rows, and fails if there is one of this name."""
        return Query(f"create table {place} as {rows}")

    def drop(self, place: Relation) -> Query:
        return Query(f"drop table if exists {place}")

    def select(self, rows: Query) -> Query:
        """A query as a statement of its own, with the settings that it needs."""
        return rows

    def is_comparable(self, type_name: str) -> bool:
        """Whether values of a type have one text each, which is the same whenever it is read."""
        return True

    def type_name(self, described: Sequence[Any]) -> str:
        """The name of a column's type, of its description by the driver (PEP 249)."""
        return str(getattr(described, "type_display", described[1] or ""))

    def plain_type(self, type_name: str) -> str:
        """A type's name without lengths and precisions, which do not change what a text means."""
        return _LENGTHS.sub("", type_name.lower())

    def stored(self, column: str, type_name: str) -> str:
        """A value as a table keeps it, with a type that a table may have."""
        return column

    def kind_of(self, type_name: str) -> Kind | None:
        lower = type_name.lower()
        return next((kind for pattern, kind in self.kinds if pattern.match(lower)), None)

    def user_id(self, column: str, type_name: str) -> CheckedText | None:
        """The rule for ids in a column; None if its type can't have ids."""
        match self.kind_of(type_name):
            case Kind.TEXT:
                text = self.text(column, type_name)
                return _checked(text, {MISSING: f"{column} is null"} | self.text_problems(text))
            case Kind.INTEGER:
                return _checked(self.text(column, type_name), {MISSING: f"{column} is null"})
            case Kind.DECIMAL:
                text = self._whole(self.is_whole_decimal(column), self.decimal_digits(column), column, type_name)
                cases = {
                    MISSING: f"{column} is null",
                    NOT_WHOLE: f"not ({self.is_whole_decimal(column)})",
                    TOO_LONG: f"{self.byte_length(text)} > {MAX_BYTES}",
                }
                return _checked(text, cases)
            case Kind.DOUBLE:
                number = self.double(column)
                is_whole = f"abs({number}) <= {LARGEST_WHOLE_DOUBLE} and {number} = {self.truncated(number)}"
                text = self._whole(is_whole, self.double_digits(number), column, type_name)
                return _checked(text, {MISSING: f"{column} is null", NOT_WHOLE: f"not ({is_whole})"})
            case Kind.DATE:
                cases = {MISSING: self.is_missing_date(column), OUT_OF_YEARS: self.is_out_of_years(column)}
                return _checked(self.date_text(column), cases)
            case None:
                return None

    def name(self, column: str, type_name: str) -> CheckedText:
        """The rule for an audience's name in a column."""
        text = self.text(column, type_name)
        trimmed = f"nullif({self.trimmed(text)}, '')"
        nul = {NAME_HAS_NUL: self.contains_nul(text)} if self.has_nul else {}
        return _checked(trimmed, nul | {NO_NAME: f"{trimmed} is null"})

    def text_problems(self, text: str) -> dict[str, str]:
        """The reasons that make a text invalid as an id, each with its condition, in this order."""
        nul = {HAS_NUL: self.contains_nul(text)} if self.has_nul else {}
        return {EMPTY: self.is_blank(text)} | nul | {TOO_LONG: f"{self.byte_length(text)} > {MAX_BYTES}"}

    def _whole(self, is_whole: str, digits: str, column: str, type_name: str) -> str:
        """The digits of a whole number, and any other number as text."""
        return f"case when {is_whole} then {digits} else {self.text(column, type_name)} end"

    def text(self, column: str, type_name: str) -> str:
        """A value as text. Values that a client reads differently have different texts."""
        return f"cast({column} as varchar)"

    def md5(self, text: str) -> str:
        """The MD5 hash of a text's bytes, as hexadecimal digits in lower case."""
        return f"md5({text})"

    def byte_length(self, text: str) -> str:
        """The length in bytes of UTF-8."""
        return f"octet_length({text})"

    def is_blank(self, text: str) -> Condition:
        """Whether a text is empty or has only whitespace."""
        return Condition(f"trim({text}, {self.literal(WHITESPACE)}) = ''")

    def trimmed(self, text: str) -> str:
        """A text without spaces at its ends. Other whitespace stays."""
        return f"trim({text}, ' ')"

    def contains_nul(self, text: str) -> Condition:
        return Condition(f"position(chr(0) in {text}) > 0")

    def truncated(self, number: str) -> str:
        """A number without its fraction."""
        return f"trunc({number})"

    def is_whole_decimal(self, column: str) -> Condition:
        return Condition(f"{column} = {self.truncated(column)}")

    def decimal_digits(self, column: str) -> str:
        """The digits of a whole decimal, without a point."""
        return f"split_part({self.text(column, '')}, '.', 1)"

    def double(self, column: str) -> str:
        """A floating point number of any size as a double."""
        return column

    def double_digits(self, number: str) -> str:
        """The digits of a whole double."""
        return f"cast(cast({number} as bigint) as varchar)"

    def date_text(self, column: str) -> str:
        """A date as YYYY-MM-DD."""
        return f"cast({column} as varchar)"

    def is_missing_date(self, column: str) -> Condition:
        """Whether a date is NULL, or infinite where that is possible."""
        return Condition(f"{column} is null")

    def is_out_of_years(self, column: str) -> Condition:
        """Whether a date is before the year 1 or after 9999."""
        return Condition(f"{column} not between date '0001-01-01' and date '9999-12-31'")


def _checked(text: str, cases: Mapping[str, str]) -> CheckedText:
    """The text, and the reason whose condition holds first."""
    conditions = " ".join(f"when {condition} then {quote_literal(reason)}" for reason, condition in cases.items())
    return CheckedText(text, f"case {conditions} end")


def column_kinds(**patterns: str) -> Sequence[tuple[re.Pattern[str], Kind]]:
    """The kinds of types, by patterns for their names, in this order."""
    return [(re.compile(pattern), Kind[name.upper()]) for name, pattern in patterns.items()]
