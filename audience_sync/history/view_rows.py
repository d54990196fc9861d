"""Read rows of the public views, with times in UTC on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from audience_sync.store.tables import view_prefix

Row = dict[str, Any]


def read_rows(connection: Connection, query: str, **values: Any) -> list[Row]:
    """Read rows. Times (``..._at``) are in UTC with a time zone, also on SQLite, which stores text.

    ``{views}`` in the query: the prefix of a view's name.
    """
    query = query.format(views=view_prefix(connection))
    return [
        {name: _utc(value) if name.endswith("_at") else value for name, value in row._mapping.items()}
        for row in connection.execute(text(query), values)
    ]


def _utc(value: str | datetime | None) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
