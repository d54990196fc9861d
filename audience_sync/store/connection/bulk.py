"""Insert and delete many rows fast: with COPY on PostgreSQL, with many rows a statement on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table

from audience_sync.model import RunId
from audience_sync.prefetch import prefetch
from audience_sync.sql import Relation, quote_literal
from audience_sync.workspace import ROWS_PER_GROUP, Workspace, interruptible_query

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


def insert_users(
    connection: Connection, workspace: Workspace, table: Table, file: Path, count: int, *, audience: str, run: RunId
) -> None:
    """Insert the users of a Parquet file with ``count`` rows who are ``present``, as of this run.

    ``audience``: the SQL of their property id. No user id becomes a Python object: DuckDB writes them as CSV for COPY,
    and as JSON for SQLite.
    """
    if connection.dialect.name == "postgresql":
        cursor: Any = connection.connection.cursor()
        with cursor, cursor.copy(f'copy "{table.name}" ({_USER_ROW}) from stdin (format csv, encoding utf8)') as copy:
            make = partial(_lines, workspace, f"{audience}, user_id, {run}")
            for lines in prefetch(map(make, row_groups(file, count))):
                copy.write(lines)
        return
    statement = f'insert into "{table.name}" ({_USER_ROW}) select ?, value, {run} from json_each(?)'
    for values in _users_by_audience(workspace, audience, file, count, "present"):
        connection.exec_driver_sql(statement, values)


def delete_users(
    connection: Connection,
    workspace: Workspace,
    table: Table,
    file: Path,
    count: int,
    *,
    audience: str,
    column: str = "property_id",
) -> None:
    """Delete the rows of the users of a Parquet file with ``count`` rows.

    ``audience``: the SQL of what the table has in ``column``, as in ``insert_users``.
    """
    is_server = connection.dialect.name == "postgresql"
    users = "jsonb_array_elements_text(%s::jsonb)" if is_server else "value from json_each(?)"
    mine = f"{column} = {'%s' if is_server else '?'} and user_id in (select {users})"
    for values in _users_by_audience(workspace, audience, file, count):
        connection.exec_driver_sql(f'delete from "{table.name}" where {mine}', values)


_USER_ROW = "property_id, user_id, run_id"


def row_groups(file: Path, count: int, size: int | None = None) -> Iterator[Relation]:
    """The parts of a Parquet file with ``count`` rows: its row groups, or ``size`` rows each."""
    size = size or ROWS_PER_GROUP
    for start in range(0, count, size):
        yield Relation(
            f"read_parquet({quote_literal(str(file))}, file_row_number = true) "
            f"where file_row_number >= {start} and file_row_number < {start + size}"
        )


def _lines(workspace: Workspace, columns: str, rows: Relation) -> bytes:
    """The present users of some rows as lines of CSV."""
    path = workspace.path(".csv")
    query = f"select {columns} from {rows} and present"
    with workspace.cursor() as cursor, interruptible_query(cursor):
        cursor.execute(f"copy ({query}) to {quote_literal(str(path))} (format csv, header false)")
    lines = path.read_bytes()
    path.unlink()
    return lines


def _users_by_audience(
    workspace: Workspace, audience: str, file: Path, count: int, condition: str = "true"
) -> Iterator[tuple[Any, ...]]:
    """Pairs of property id and a JSON array of user ids, in their order in the file.

    Those of the next row group are made while the caller uses these.
    """

    def make(rows: Relation) -> list[tuple[Any, ...]]:
        query = f"select {audience}, to_json(list(user_id))::varchar from {rows} and {condition} group by 1 order by 1"
        with workspace.cursor() as cursor, interruptible_query(cursor):
            return cursor.execute(query).fetchall()

    return chain.from_iterable(prefetch(map(make, row_groups(file, count))))
