"""Describe what DuckDB scans: a file or an answer with its columns, and the SQL of ids, names and traits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from audience_sync.errors import SourceError
from audience_sync.sources.base import SnapshotRequest, TraitColumn
from audience_sync.sources.values.json_sql import SURROGATE_PLACEHOLDER, may_be_invalid, placeholders_of, sql_json
from audience_sync.sources.values.user_ids import HAS_SURROGATE, is_checked_by_text, sql_id, usable_type
from audience_sync.sql import Condition, Expression, Relation, quote_literal
from audience_sync.text import listed, nearest

Item = TypeVar("Item")
MAX_NAMES = 12
REPEATED_HEADER = "the header again"
NAME_HAS_NUL = "audience name contains a NUL character"
NAME_HAS_SURROGATE = "audience name contains half a surrogate pair"
_PLAIN = re.compile(r"[\w./-]+")
#: A value rather than a column's name: an address, a long number, a date.
_VALUE = re.compile(r"@|\d{6}|\d{4}-\d\d-\d\d")


class Column(Struct, frozen=True):
    """An SQL expression over a table's scan, and its DuckDB type."""

    sql: Expression
    type: str

    def cast(self, duckdb_type: str) -> Column:
        return Column(Expression(f"cast({self.sql} as {duckdb_type})"), duckdb_type)


class Scan(Struct, frozen=True, kw_only=True):
    """A table: a relation with its columns; ``name`` is the displayed name of the file.

    ``is_text``: a CSV file, in which NULL is an empty cell. ``repeated_header``: whether a row repeats the header.
    """

    name: str
    scan: Relation
    columns: Mapping[str, Column]
    is_text: bool = False
    #: Placeholders that its texts may contain (``PLACEHOLDERS`` of ``values.json_sql``).
    placeholders: tuple[str, ...] = ()
    #: Whether columns of type JSON were parsed by the reader, and so are valid.
    is_parsed: bool = False
    repeated_header: Condition | None = None

    def with_columns(self, columns: Mapping[str, Column]) -> Scan:
        """The table with these columns, which replace those of the same names."""
        return replace(self, columns={**self.columns, **columns})

    def select_values(self, names: Iterable[str]) -> str:
        """A query of these columns, named ``v0``, ``v1`` and so on."""
        values = ", ".join(f"{self.columns[name].sql} as v{index}" for index, name in enumerate(names))
        return f"select {values} from {self.scan}"


class SnapshotPart(Struct, frozen=True, kw_only=True):
    """One scan in canonical SQL expressions: the user id, the reason if it is invalid, the name, JSON text per trait.

    ``raw`` is the user id as a person would search for it. ``may_be_invalid``: the traits that may have invalid values,
    each with the placeholders that these may contain.
    """

    file: str
    scan: Relation
    row: Expression
    user_id: Expression
    reason: Expression
    raw: Expression
    name: Expression | None
    traits: Mapping[str, Expression]
    may_be_invalid: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: Whether its scan has exactly the requested columns, like the scans of the other files.
    is_uniform: bool = False
    #: Whether a user id's text alone decides whether it is valid.
    is_checked_by_text: bool = False


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of at most ``size``."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def wanted_columns(request: SnapshotRequest) -> list[str]:
    """The distinct names of the requested columns."""
    names = [request.user_id, *([request.name] if request.name else [])]
    return list(dict.fromkeys(names + [trait.column for trait in request.traits.values()]))


def missing_column(
    file: str, name: str, columns: Collection[str], request: SnapshotRequest | None = None
) -> SourceError:
    """The error about a missing column. ``request``: to suggest `user_id` if that column is missing."""
    meant = nearest(name, columns)
    hint = f" Columns: {join_names(columns)}." + (f" Did you mean {meant!r}?" if meant else "")
    is_id = request is not None and request.user_id == name and not any(each.is_id for each in request.traits.values())
    remedy = f"Set `user_id: {meant}`" if meant and is_id else "Correct the column's name"
    if looks_like_data(columns):
        hint, remedy = " The first row has values instead of names of columns.", "Correct the column's name"
    return SourceError(f"{file}: there is no column {name!r}.{hint} {remedy} in config.yaml, or correct the file.")


def looks_like_data(names: Iterable[str]) -> bool:
    """Whether the names are values: the file has no header, and no message may show its first row."""
    return any(_VALUE.search(name) for name in names)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A sentence with the nearest name, or an empty text."""
    meant = nearest(name, names)
    return f" Did you mean {meant!r}?" if meant else ""


def duplicate_column(file: str, name: str) -> SourceError:
    return SourceError(
        f"{file}: the column {name!r} appears twice, so it is unclear which one is meant. "
        "Nothing of it was used. Give each column a name of its own."
    )


def refuse_duplicates(file: str, names: Iterable[str]) -> None:
    """Raise SourceError for a duplicate name; columns without a name are ignored."""
    double = next((name for name, times in Counter(names).items() if name and times > 1), None)
    if double is not None:
        raise duplicate_column(file, "..." if looks_like_data([double]) else double)


def join_names(names: Collection[str]) -> str:
    return listed([name if _PLAIN.fullmatch(name) else repr(name) for name in names], most=MAX_NAMES) or "none"


def require_same_columns(tables: Sequence[Scan]) -> None:
    """Raise SourceError unless all tables have the same names of columns, in any order."""
    for table in tables[1:]:
        if different := sorted(table.columns.keys() ^ tables[0].columns.keys()):
            only = "some columns" if looks_like_data(different) else join_names(different)
            raise SourceError(
                f"{table.name} and {tables[0].name} are read together, but only one of them has {only}. "
                "Nothing of them was used. Write them with the same columns, or name fewer files."
            )


def snapshot_part(table: Scan, request: SnapshotRequest) -> SnapshotPart:
    """The SQL expressions for a request. Raises SourceError for a missing column or an unusable type."""
    for column in wanted_columns(request):
        if column not in table.columns:
            raise missing_column(table.name, column, table.columns, request)
    user_id, reason = _id_sql(table, request.user_id)
    raw = user_id
    if again := table.repeated_header:
        reason = Expression(f"case when {again} then '{REPEATED_HEADER}' else {reason} end")
        raw = Expression(f"case when {again} then {quote_literal(request.user_id)} else {user_id} end")
    name = None
    if request.name:
        name, problem = _name_sql(table, request.name)
        reason = Expression(f"coalesce({reason}, {problem})")
    return SnapshotPart(
        file=table.name,
        scan=table.scan,
        row=Expression("row_number() over ()"),
        user_id=user_id,
        reason=reason,
        raw=raw,
        name=name,
        is_uniform=table.is_parsed,
        is_checked_by_text=is_checked_by_text(table.columns[request.user_id].type)
        and not (table.repeated_header or table.placeholders),
        traits={key: _trait_sql(table, trait) for key, trait in request.traits.items()},
        may_be_invalid={
            key: (*table.placeholders, *placeholders_of(kind))
            for key, trait in request.traits.items()
            if not trait.is_id and (may_be_invalid(kind := table.columns[trait.column].type) or table.placeholders)
        },
    )


def _id_sql(table: Scan, name: str) -> tuple[Expression, Expression]:
    """A user id as text, and the reason if it is invalid (else NULL)."""
    column = table.columns[name]
    if not usable_type(column.type):
        raise SourceError(
            f"{table.name}: column {name!r} has the type {column.type}, which can't hold user ids. "
            "Choose another column, or write this one as text."
        )
    user_id, reason = sql_id(f"coalesce({column.sql}, '')" if table.is_text else column.sql, column.type)
    if SURROGATE_PLACEHOLDER in table.placeholders:
        reason = f"case when contains({user_id}, '{SURROGATE_PLACEHOLDER}') then '{HAS_SURROGATE}' else {reason} end"
    return Expression(user_id), Expression(reason)


def _name_sql(table: Scan, name: str) -> tuple[Expression, Expression]:
    """An audience's name as text (NULL if invalid), and the reason if it is invalid (else NULL)."""
    column = table.columns[name]
    text = f"({column.sql} ->> '$')" if column.type == "JSON" else f"cast({column.sql} as VARCHAR)"
    half = (
        f" when contains({text}, '{SURROGATE_PLACEHOLDER}') then '{NAME_HAS_SURROGATE}'"
        if SURROGATE_PLACEHOLDER in table.placeholders
        else ""
    )
    reason = f"case when contains({text}, chr(0)) then '{NAME_HAS_NUL}'{half} end"
    return Expression(f"case when {reason} is null then {text} end"), Expression(reason)


def _trait_sql(table: Scan, trait: TraitColumn) -> Expression:
    if trait.is_id:
        user_id, reason = _id_sql(table, trait.column)
        return Expression(f"case when {reason} is null then {user_id} end")
    column = table.columns[trait.column]
    json = sql_json(column.sql, column.type, is_checked=table.is_parsed)
    if json is None:
        raise bytes_column(table.name, trait.column)
    return Expression(json)


def bytes_column(file: str, name: str) -> SourceError:
    return SourceError(
        f"{file}: column {name!r} holds bytes (BLOB), which can't be the value of a trait. "
        "Remove the trait, or write the column as text or a number."
    )
