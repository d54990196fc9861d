"""How do many rows get into a table quickly? Sorted, by COPY on PostgreSQL and executemany on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table

Rows = Sequence[Sequence[Any]]


def insert_rows(connection: Connection, table: Table, columns: Sequence[str], batches: Iterable[Rows]) -> None:
    """Insert batches of rows, whose values are in the order of ``columns``."""
    names = ", ".join(f'"{name}"' for name in columns)
    if connection.dialect.name == "postgresql":
        _copy(connection, f'copy "{table.name}" ({names}) from stdin', batches)
        return
    marks = ", ".join("?" for _ in columns)
    statement = f'insert into "{table.name}" ({names}) values ({marks})'
    for rows in filter(None, batches):
        connection.exec_driver_sql(statement, [tuple(row) for row in rows])


def delete_rows(connection: Connection, table: Table, columns: Sequence[str], batches: Iterable[Rows]) -> None:
    """Delete the rows whose ``columns`` have these values."""
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    condition = " and ".join(f'"{name}" = {mark}' for name in columns)
    for rows in filter(None, batches):
        connection.exec_driver_sql(f'delete from "{table.name}" where {condition}', [tuple(row) for row in rows])


def _copy(connection: Connection, statement: str, batches: Iterable[Rows]) -> None:
    cursor: Any = connection.connection.cursor()
    with cursor, cursor.copy(statement) as copy:
        for rows in batches:
            for row in rows:
                copy.write_row(row)
