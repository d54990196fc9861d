"""Check the small tables of a SQLite store, and the ends of the large ones, before a run relies on them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Text

from audience_sync.errors import StoreDamagedError
from audience_sync.store.connection.engine import Store
from audience_sync.store.tables import metadata
from audience_sync.store.tables.types import UtcDateTime

#: A table with at most so many rows is small: checking it takes about 10 ms.
MAX_SMALL_ROWS = 10_000
#: The same for chunks of snapshot files, which are megabytes each. Loading a file checks its checksum.
MAX_SMALL_CHUNKS = 2
#: Rows to compare at each end of a large table and of each of its indexes: about 1 ms for an index.
END_ROWS = 200
TABLES = ("alembic_version", *metadata.tables)


def refuse_damaged(store: Store) -> None:
    """Raise StoreDamagedError if SQLite's tables are damaged. PostgreSQL has its own checks.

    A small table is damaged if it differs from its indexes, a value has the wrong type, or a row refers to one that
    does not exist. Of a large table only the first and last rows are checked.
    """
    if not store.is_sqlite:
        return
    with store.reading() as connection:
        small = _small_tables(connection)
        found = _damage(connection, small) or _damage_of_large_tables(
            connection, [name for name in TABLES if name not in small]
        )
    if found:
        raise StoreDamagedError(
            f"The store {store.label} is damaged (table {found[0]}: {found[1]}). Nothing was changed or sent. "
            "Restore a backup of the store, then: audience-sync resync. What is damaged: audience-sync db check"
        )


def _small_tables(connection: Connection) -> list[str]:
    """The small tables, found in one statement, as in the checks below: statements cost more than rows."""
    limits = {name: MAX_SMALL_CHUNKS if name == "snapshot_file_chunks" else MAX_SMALL_ROWS for name in TABLES}
    counts = (
        f"select '{name}', count(*) from (select 1 from {name} limit {largest + 1})" for name, largest in limits.items()
    )
    rows = connection.exec_driver_sql(" union all ".join(counts))
    return [name for name, count in rows if count <= limits[name]]


def _damage(connection: Connection, tables: Sequence[str]) -> tuple[str, str] | None:
    """The first damaged one of these tables, and its damage."""
    checks = (f"select '{name}', integrity_check from pragma_integrity_check('{name}')" for name in tables)
    for name, result in connection.exec_driver_sql(" union all ".join(checks)):
        if result != "ok":
            return name, result
    types = [f"select * from ({query})" for name in tables if (query := _wrong_types_query(name, name))]
    if wrong := connection.exec_driver_sql(" union all ".join(types)).first():
        return wrong[0], "a row of another table"
    orphans = (f"select '{name}', parent from pragma_foreign_key_check('{name}')" for name in tables)
    if orphan := connection.exec_driver_sql(" union all ".join(orphans)).first():
        return orphan[0], f"a row refers to a row of {orphan[1]} that does not exist"
    return None


def _wrong_types_query(name: str, rows: str) -> str | None:
    """A query for a row whose text or time has another type: SQLite stores any type in any column."""
    columns = metadata.tables[name].columns if name in metadata.tables else ()
    texts = [column.name for column in columns if isinstance(column.type, Text | UtcDateTime)]
    others = [f"typeof(\"{each}\") not in ('text', 'null')" for each in texts]
    others += [f'"{column.name}" is null' for column in columns if not column.nullable]
    return f"select '{name}' from {rows} where {' or '.join(others)} limit 1" if texts else None


def _damage_of_large_tables(connection: Connection, tables: Sequence[str]) -> tuple[str, str] | None:
    for name in tables:
        if found := _damage_at_ends(connection, name):
            return name, found
    return None


def _damage_at_ends(connection: Connection, name: str) -> str | None:
    """The damage, if rows at the ends of the table are missing from an index, or the reverse; None otherwise."""
    table = metadata.tables[name]
    is_by_rowid = table.dialect_options["sqlite"]["with_rowid"]
    key = ["rowid"] if is_by_rowid else [column.name for column in table.primary_key]
    query = _wrong_types_query(name, _end_rows_query(name, "*", key))
    if query and connection.exec_driver_sql(query).first():
        return "a row of another table"
    for index, origin in connection.exec_driver_sql(f"select name, origin from pragma_index_list('{name}')").all():
        if origin == "pk" and not is_by_rowid:  # it is the table
            continue
        query = f"select name from pragma_index_info('{index}') order by seqno"
        columns = list(dict.fromkeys([*connection.exec_driver_sql(query).scalars(), *key]))
        by_index = f'indexed by "{index}"'
        if _has_missing_rows(connection, name, by_index, _end_rows_query(name, _column_list(columns), key), columns):
            return f"rows are missing from index {index}"
        if _has_missing_rows(
            connection, name, "", _end_rows_query(f"{name} {by_index}", _column_list(columns), columns), columns
        ):
            return f"index {index} has rows that the table lacks"
    return None


def _column_list(columns: Sequence[str], ending: str = "") -> str:
    return ", ".join(f'"{name}"{ending}' for name in columns)


def _end_rows_query(table: str, listed: str, order: Sequence[str]) -> str:
    first, last = (
        f"select * from (select {listed} from {table} order by {_column_list(order, direction)} limit {END_ROWS})"
        for direction in ("", " desc")
    )
    return f"({first} union all {last})"


def _has_missing_rows(connection: Connection, table: str, by: str, rows: str, columns: Sequence[str]) -> bool:
    """Whether the table lacks one of the rows; ``by``: the index to search it with."""
    same = " and ".join(f'found."{name}" is ends."{name}"' for name in columns)
    query = f"select 1 from {rows} as ends where not exists (select 1 from {table} as found {by} where {same})"
    return connection.exec_driver_sql(query).first() is not None
