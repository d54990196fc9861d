"""Run a query on the public views, and return its rows by column or as values, with times in UTC on both databases."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from msgspec import Struct, convert
from sqlalchemy import BindParameter, Connection, CursorResult, bindparam, text

from audience_sync.store.tables import view_prefix

Row = dict[str, Any]
Value = TypeVar("Value")
#: The last word in the name of a column with times.
_TIMES = frozenset({"at", "since", "until"})


def read(connection: Connection, query: str, **values: Any) -> list[Row]:
    """Read all rows. ``{views}`` in the query is the prefix of a view's name; ``values`` are its parameters.

    A list, which must not be empty, is a parameter of ``in``: ``key in :keys``. Times are aware datetimes, also in
    columns such as ``started_at``, which SQLite stores as text in UTC.
    """
    found = _execute(connection, query, values)
    columns = list(found.keys())
    times = [name for name in columns if name.rpartition("_")[2] in _TIMES]
    return [{**row, **{name: _utc(row[name]) for name in times}} for row in found.mappings()]


def read_as(connection: Connection, kind: type[Value], query: str, **values: Any) -> list[Value]:
    """Read all rows as values of a struct or a dataclass: each field has the column of its name, if there is one."""
    rows = read(connection, query, **values)
    if issubclass(kind, Struct):
        return convert(rows, list[kind], strict=False)  # type: ignore[valid-type]
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]  # a dataclass
    return [kind(**{name: row[name] for name in names if name in row}) for row in rows]


def read_table(connection: Connection, query: str, **values: Any) -> tuple[list[str], list[list[Any]]]:
    """Read names of columns and rows of values, as the database returns them."""
    found = _execute(connection, query, values)
    return list(found.keys()), [list(row) for row in found]


def _execute(connection: Connection, query: str, values: Row) -> CursorResult[Any]:
    if connection.dialect.name == "sqlite":
        values = {name: sqlite_time(each) if isinstance(each, datetime) else each for name, each in values.items()}
    lists: list[BindParameter[Any]] = [
        bindparam(name, expanding=True) for name, each in values.items() if isinstance(each, list)
    ]
    statement = text(query.replace("{views}", view_prefix(connection))).bindparams(*lists)
    return connection.execute(statement, values)


def sqlite_time(moment: datetime) -> str:
    """Write a time as SQLite stores it: ``2026-03-02 06:00:00.000000``."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"


def _utc(value: Any) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
