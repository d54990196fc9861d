"""Stores with something in them, made in a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, insert, inspect

from audience_sync.model import PropertyKind, RunId
from audience_sync.sql import quote_literal
from audience_sync.store.connection.engine import Store
from audience_sync.store.snapshots import files
from audience_sync.store.snapshots.chain import (
    BASE,
    DELTA,
    Chain,
    SnapshotFile,
    current_rows_query,
    write_snapshot_file,
)
from audience_sync.store.tables import properties, runs
from audience_sync.store.tables import snapshot_chains as chains_table
from audience_sync.store.tables.views import VIEW_SCHEMA
from audience_sync.workspace import Workspace

#: Runs start every morning at six, the first on this day.
FIRST_MORNING = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


def a_store_with(store: Store, *, runs_so_far: int = 1, audiences: Sequence[str] = ()) -> None:
    """Runs 1, 2, ... and audiences whose property and chain have the ids 1, 2, ..."""
    with store.writing() as connection:
        for run in range(1, runs_so_far + 1):
            add_run(connection, run)
        for audience in audiences:
            key = connection.execute(insert(chains_table).values(kind="audience", user_count=0)).inserted_primary_key
            assert key is not None
            row = {"kind": "audience", "key": audience, "name": audience.title(), "created_run_id": 1}
            connection.execute(insert(properties).values(chain_id=key[0], **row))


def add_run(connection: Connection, run: int) -> None:
    started = FIRST_MORNING + timedelta(days=run - 1)
    row = {"command": "sync", "status": "succeeded", "holder": "", "version": "1"}
    connection.execute(insert(runs).values(started_at=started, **row))


def the_audience(key: str = "vip", *, id: int | None = None, users: int = 0) -> Chain:
    return Chain(id=id, kind=PropertyKind.AUDIENCE, keys=(key,), user_count=users)


def base(workspace: Workspace, run: int, members: Sequence[str]) -> SnapshotFile:
    """A base with these members since the run."""
    return _segment(workspace, BASE, run, dict.fromkeys(members, True))


def delta(workspace: Workspace, run: int, changes: Mapping[str, bool]) -> SnapshotFile:
    """What the run changed: ``True`` for who entered, ``False`` for who left."""
    return _segment(workspace, DELTA, run, changes)


def _segment(workspace: Workspace, kind: str, run: int, changes: Mapping[str, bool]) -> SnapshotFile:
    rows = ", ".join(f"({quote_literal(user)}, {run}, {present})" for user, present in changes.items())
    values = f"values {rows}" if rows else "select '', 0, true where false"
    return write_snapshot_file(workspace, kind, f"select * from ({values}) as t(user_id, run_id, present)")


def save(store: Store, chain: Chain, *new: SnapshotFile, run: int = 1) -> int:
    """Store the snapshot files in a transaction of their own; the chain's id."""
    with store.writing() as connection:
        return files.save_files(connection, chain, new, RunId(run))


def fetch(store: Store, workspace: Workspace, chain: Chain) -> Chain:
    with store.reading() as connection:
        return files.download_chain(connection, workspace, chain)


def members(store: Store, workspace: Workspace, chain: Chain) -> list[tuple[str, int]]:
    """What the stored chain says now: user ids, each with the run that last changed it."""
    query = current_rows_query(fetch(store, workspace, chain))
    return workspace.all(f"select user_id, run_id from ({query}) order by user_id")


def table_and_view_names(store: Store) -> tuple[set[str], set[str]]:
    with store.reading() as connection:
        inspector = inspect(connection)
        return set(inspector.get_table_names()), set(inspector.get_view_names(None if store.is_sqlite else VIEW_SCHEMA))
