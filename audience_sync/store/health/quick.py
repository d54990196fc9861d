"""Check the small tables of a SQLite store, and the ends of the large ones, before a run relies on them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, Text

from audience_sync.errors import StoreDamagedError
from audience_sync.store.columns import UtcDateTime
from audience_sync.store.engine import Store
from audience_sync.store.tables import metadata

#: Rows up to which a table is small: the check takes about a hundredth of a second for so many.
LARGEST = 10_000
#: The same in pieces of snapshots, each up to a megabyte; their checksums are compared when they are read.
LARGEST_PARTS = 2
#: Rows at each end of a large table, and of each of its indexes, that are compared: about a millisecond for an index.
ENDS = 200
TABLES = ("alembic_version", *metadata.tables)


def refuse_damaged(store: Store) -> None:
    """Raise StoreDamagedError where a small table and its indexes differ, its rows aren't of its types, or they refer
    to rows that don't exist; and where the first or last rows of a large one differ. PostgreSQL has its own checks."""
    if not store.is_sqlite:
        return
    with store.reading() as connection:
        for table in TABLES:
            found = _damage(connection, table) if _is_small(connection, table) else _damage_at_ends(connection, table)
            if found:
                raise StoreDamagedError(
                    f"The store {store.label} is damaged (table {table}: {found}). Nothing was changed or sent. "
                    "Restore a backup of the store, then: audience-sync resync. What is damaged: audience-sync db check"
                )


def _is_small(connection: Connection, table: str) -> bool:
    largest = LARGEST_PARTS if table == "segment_parts" else LARGEST
    query = f"select count(*) from (select 1 from {table} limit {largest + 1})"
    return bool(connection.exec_driver_sql(query).scalar_one() <= largest)


def _damage(connection: Connection, table: str) -> str | None:
    found: str = connection.exec_driver_sql(f"PRAGMA integrity_check('{table}')").scalars().all()[0]
    if found != "ok":
        return found
    if table in metadata.tables and _has_other_types(connection, metadata.tables[table], table):
        return "a row of another table"
    orphan = connection.exec_driver_sql(f"PRAGMA foreign_key_check('{table}')").first()
    return None if orphan is None else f"a row refers to a row of {orphan[2]} that does not exist"


def _has_other_types(connection: Connection, table: Table, rows: str) -> bool:
    """Whether a text or a time is something else: SQLite stores any type in any column."""
    texts = [column.name for column in table.columns if isinstance(column.type, Text | UtcDateTime)]
    others = [f"typeof(\"{name}\") not in ('text', 'null')" for name in texts]
    others += [f'"{column.name}" is null' for column in table.columns if not column.nullable]
    return (
        bool(texts)
        and connection.exec_driver_sql(f"select 1 from {rows} where {' or '.join(others)}").first() is not None
    )


def _damage_at_ends(connection: Connection, name: str) -> str | None:
    """The rows at both ends of the table are in each index, and those at both ends of each index are in the table."""
    table = metadata.tables[name]
    is_by_rowid = table.dialect_options["sqlite"]["with_rowid"]
    key = ["rowid"] if is_by_rowid else [column.name for column in table.primary_key]
    if _has_other_types(connection, table, _ends(name, "*", key)):
        return "a row of another table"
    for index, origin in connection.exec_driver_sql(f"select name, origin from pragma_index_list('{name}')").all():
        if origin == "pk" and not is_by_rowid:  # it is the table
            continue
        query = f"select name from pragma_index_info('{index}') order by seqno"
        columns = list(dict.fromkeys([*connection.exec_driver_sql(query).scalars(), *key]))
        by_index = f'indexed by "{index}"'
        if _lacks(connection, name, by_index, _ends(name, _listed(columns), key), columns):
            return f"rows are missing from index {index}"
        if _lacks(connection, name, "", _ends(f"{name} {by_index}", _listed(columns), columns), columns):
            return f"index {index} has rows that the table has not"
    return None


def _listed(columns: Sequence[str], ending: str = "") -> str:
    return ", ".join(f'"{name}"{ending}' for name in columns)


def _ends(table: str, listed: str, order: Sequence[str]) -> str:
    first, last = (
        f"select * from (select {listed} from {table} order by {_listed(order, way)} limit {ENDS})"
        for way in ("", " desc")
    )
    return f"({first} union all {last})"


def _lacks(connection: Connection, table: str, by: str, rows: str, columns: Sequence[str]) -> bool:
    """Whether one of the rows isn't found in the table, or ``by`` its index."""
    same = " and ".join(f'found."{name}" is ends."{name}"' for name in columns)
    query = f"select 1 from {rows} as ends where not exists (select 1 from {table} as found {by} where {same})"
    return connection.exec_driver_sql(query).first() is not None
