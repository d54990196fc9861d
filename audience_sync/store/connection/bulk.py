"""Insert and delete many rows fast: with COPY on PostgreSQL, with many rows a statement on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Table

Rows = Sequence[Sequence[Any]]

#: Rows in one INSERT of SQLite. It needs a third of the time of one row a statement.
ROWS_PER_INSERT = 500


def insert_rows(connection: Connection, table: Table, columns: Sequence[str], batches: Iterable[Rows]) -> None:
    """Insert batches of rows, whose values are in the order of ``columns``."""
    names = ", ".join(f'"{name}"' for name in columns)
    if connection.dialect.name == "postgresql":
        _copy(connection, f'copy "{table.name}" ({names}) from stdin', batches)
        return
    row = f"({', '.join('?' for _ in columns)})"
    one = f'insert into "{table.name}" ({names}) values {row}'
    many = ", ".join([one, *[row] * (ROWS_PER_INSERT - 1)])
    for rows in filter(None, batches):
        whole = len(rows) - len(rows) % ROWS_PER_INSERT
        for start in range(0, whole, ROWS_PER_INSERT):
            connection.exec_driver_sql(many, tuple(chain.from_iterable(rows[start : start + ROWS_PER_INSERT])))
        if rest := [tuple(row) for row in rows[whole:]]:
            connection.exec_driver_sql(one, rest)


def delete_rows(connection: Connection, table: Table, columns: Sequence[str], batches: Iterable[Rows]) -> None:
    """Delete the rows whose ``columns`` have these values."""
    placeholder = "%s" if connection.dialect.name == "postgresql" else "?"
    condition = " and ".join(f'"{name}" = {placeholder}' for name in columns)
    for rows in filter(None, batches):
        connection.exec_driver_sql(f'delete from "{table.name}" where {condition}', [tuple(row) for row in rows])


def _copy(connection: Connection, statement: str, batches: Iterable[Rows]) -> None:
    cursor: Any = connection.connection.cursor()
    with cursor, cursor.copy(statement) as copy:
        for rows in batches:
            for row in rows:
                copy.write_row(row)
