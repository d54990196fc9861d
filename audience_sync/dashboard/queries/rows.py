"""Run a query on the views, and return its rows by column."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, CursorResult, text

from audience_sync.store.tables.views import view_prefix

Row = dict[str, Any]


def read(connection: Connection, query: str, **values: Any) -> list[Row]:
    """Read all rows. ``{views}`` in the query is the prefix of a view's name; ``values`` are its parameters.

    Times are passed as aware datetimes. SQLite stores them as text in UTC.
    """
    return [dict(row._mapping) for row in _execute(connection, query, values)]


def read_table(connection: Connection, query: str, **values: Any) -> tuple[list[str], list[list[Any]]]:
    """Read the same as names of columns and rows of values."""
    found = _execute(connection, query, values)
    return list(found.keys()), [list(row) for row in found]


def _execute(connection: Connection, query: str, values: dict[str, Any]) -> CursorResult[Any]:
    if connection.dialect.name == "sqlite":
        values = {name: sqlite_time(each) if isinstance(each, datetime) else each for name, each in values.items()}
    return connection.execute(text(query.replace("{views}", view_prefix(connection))), values)


def sqlite_time(moment: datetime) -> str:
    """Write a time as SQLite stores it: ``2026-03-02 06:00:00.000000``."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"


def utc(value: Any) -> datetime | None:
    """Read a time of a view as an aware datetime in UTC."""
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
