"""Run a person's query on the views of a store in either database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine.reflection import ObjectKind

from audience_sync.dashboard.sql_console.result import LONGEST_QUERY, ROWS, SECONDS, QueryError, QueryResult
from audience_sync.dashboard.sql_console.sqlite import run_on_sqlite
from audience_sync.store.tables.views import VIEW_SCHEMA, VIEWS


def run_query(
    connection: Connection, sql: str, *, mask_key: bytes | None = None, seconds: float = SECONDS, rows: int = ROWS
) -> QueryResult:
    """Run one query that can only read the views. ``mask_key``: of the pseudonyms, if ids are masked.

    Nothing runs on ``connection`` itself: it names the store. Raises QueryError.
    """
    if "\0" in sql:
        raise QueryError("the query contains a NUL character.", position=sql.index("\0"))
    if len(sql) > LONGEST_QUERY:
        raise QueryError(f"the query has {len(sql):,} characters, and {LONGEST_QUERY:,} are the most.")
    columns = view_columns(connection)
    if connection.dialect.name == "sqlite":
        return run_on_sqlite(_file(connection), columns, sql, mask_key=mask_key, seconds=seconds, rows=rows)
    from audience_sync.dashboard.sql_console.postgresql import run_on_postgresql

    return run_on_postgresql(connection.engine, columns, sql, mask_key=mask_key, seconds=seconds, rows=rows)


def view_columns(connection: Connection) -> Mapping[str, Sequence[str]]:
    """Return the columns of each view that the store has."""
    schema = None if connection.dialect.name == "sqlite" else VIEW_SCHEMA
    found = inspect(connection).get_multi_columns(schema=schema, filter_names=VIEWS, kind=ObjectKind.VIEW)
    return {
        name: [column["name"] for column in columns]
        for (_, name), columns in sorted(found.items(), key=lambda item: item[0][1])
    }


def _file(connection: Connection) -> Path:
    files = {row.name: row.file for row in connection.execute(text("select name, file from pragma_database_list"))}
    if not files.get("main"):
        raise QueryError("there is no store yet.", hint="The first run creates it: audience-sync sync")
    return Path(files["main"])
