"""Copy everything to another store, table by table, comparing counts and checksums."""

from __future__ import annotations

from sqlalchemy import Connection, Table, delete, func, insert, select, text

from audience_sync.errors import StoreError
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import Lease, acquire, acquire_row, release_row
from audience_sync.store.maintenance import migrate
from audience_sync.store.maintenance.checksum import count_and_checksum
from audience_sync.store.runs.decisions import Decision, record_decision
from audience_sync.store.tables import installation, lease, metadata

#: Rows in memory at once; rows of snapshot_file_chunks are megabytes each.
BATCH = 1_000
LARGE_BATCH = 1


def copy_store(source: Store, target: Store, decision: Decision | None = None) -> dict[str, int]:
    """Copy every row into an empty store; returns the rows of each table. ``decision`` is recorded in the target.

    One transaction in the target: it gets everything or nothing. Runs can't start meanwhile, on either store.
    Raises StoreError if the target isn't empty or a count or checksum differs, and RunInProgressError during a run.
    """
    migrate.require_current_schema(source)
    with acquire(source) as held, source.reading() as reading:
        migrate.upgrade(target)
        return _copy_all(held, target, reading, decision)


def _copy_all(held: Lease, target: Store, reading: Connection, decision: Decision | None) -> dict[str, int]:
    with target.writing() as writing:
        _refuse_same_store(target, reading, writing)
        token = acquire_row(writing)
        _refuse_used(target, writing)
        counts = {table.name: _copy_table(reading, writing, table) for table in _tables()}
        _continue_sequences(writing)
        if decision is not None:
            record_decision(writing, decision, ())
        release_row(writing, token)
        held.check(reading)  # else a run may have written to the source while this slept
    return counts


def _tables() -> list[Table]:
    return [table for table in metadata.sorted_tables if table is not lease]


def _refuse_same_store(target: Store, reading: Connection, writing: Connection) -> None:
    identity = select(installation.c.uuid)
    if reading.execute(identity).scalar_one() == writing.execute(identity).scalar_one():
        raise StoreError(f"{target.label} is this store, or a copy of it. Nothing was copied: name an empty one.")


def _refuse_used(target: Store, writing: Connection) -> None:
    """Raise StoreError unless the target is empty: its rows, such as suppressed users, would be lost."""
    used = {table.name: count for table in _tables() if table is not installation and (count := _count(writing, table))}
    if used:
        found = ", ".join(f"{name} ({count:,})" for name, count in used.items())
        raise StoreError(f"The store {target.label} is in use: {found}. Nothing was copied: name an empty one.")
    writing.execute(delete(installation))  # the row of a new schema


def _copy_table(reading: Connection, writing: Connection, table: Table) -> int:
    size = LARGE_BATCH if "content" in table.c else BATCH
    query = select(table).order_by(*table.primary_key).execution_options(yield_per=size)
    with reading.execute(query) as result:
        for rows in result.partitions():
            writing.execute(insert(table), [dict(row._mapping) for row in rows])
    (read, sum_before), (written, sum_after) = (
        _count_and_checksum(connection, table) for connection in (reading, writing)
    )
    if read != written:
        raise StoreError(
            f"The copy of {table.name} has {written} rows instead of {read}. Nothing was kept. Please report this."
        )
    if sum_before != sum_after:
        raise StoreError(
            f"The copy of {table.name} has other contents (its checksum differs). Nothing was kept. Please report this."
        )
    return written


def _count_and_checksum(connection: Connection, table: Table) -> tuple[int, int]:
    size = LARGE_BATCH if "content" in table.c else BATCH
    with connection.execute(select(table).execution_options(yield_per=size)) as result:
        return count_and_checksum(result)


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _continue_sequences(connection: Connection) -> None:
    """Let PostgreSQL's sequences continue after the highest id of each table."""
    if connection.dialect.name != "postgresql":
        return
    for table in _tables():
        if "id" in table.c and table.name != "installation":
            connection.execute(
                text(
                    f"select setval(pg_get_serial_sequence('{table.name}', 'id'), "
                    f"(select coalesce(max(id), 0) + 1 from {table.name}), false)"
                )
            )
