"""Check the small tables of a SQLite store, and their indexes, before a run relies on them."""

from __future__ import annotations

from sqlalchemy import Connection, Table, Text

from audience_sync.errors import StoreDamagedError
from audience_sync.store.columns import UtcDateTime
from audience_sync.store.engine import Store
from audience_sync.store.tables import metadata

#: Rows up to which a table is small: the check takes about a hundredth of a second for so many.
LARGEST = 10_000
#: The same in pieces of snapshots, each up to a megabyte; their checksums are compared when they are read.
LARGEST_PARTS = 2
TABLES = ("alembic_version", *metadata.tables)


def refuse_damaged(store: Store) -> None:
    """Raise StoreDamagedError where a small table and its indexes differ, its rows aren't of its types, or they refer
    to rows that don't exist. PostgreSQL has its own checks."""
    if not store.is_sqlite:
        return
    with store.reading() as connection:
        for table in TABLES:
            found = _damage(connection, table) if _is_small(connection, table) else None
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
    if table in metadata.tables and _has_other_types(connection, metadata.tables[table]):
        return "a row of another table"
    orphan = connection.exec_driver_sql(f"PRAGMA foreign_key_check('{table}')").first()
    return None if orphan is None else f"a row refers to a row of {orphan[2]} that does not exist"


def _has_other_types(connection: Connection, table: Table) -> bool:
    """Whether a text or a time is something else: SQLite stores any type in any column."""
    texts = [column.name for column in table.columns if isinstance(column.type, Text | UtcDateTime)]
    others = " or ".join(f"typeof(\"{name}\") not in ('text', 'null')" for name in texts)
    return bool(texts) and connection.exec_driver_sql(f"select 1 from {table.name} where {others}").first() is not None
