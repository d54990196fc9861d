"""Keep the current members of audiences as plain rows, derived from the snapshots.

The view ``audience_members`` shows them, unless the config turns the table off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, delete, select, update

from audience_sync.model import PropertyId, PropertyKind, RunId
from audience_sync.sql import TableName, quote_literal
from audience_sync.store.connection.bulk import Rows, delete_users, insert_rows, insert_users
from audience_sync.store.snapshots.chain import Chain, SnapshotFile, current_rows_query
from audience_sync.store.snapshots.files import download_chain
from audience_sync.store.tables import installation, members, properties
from audience_sync.workspace import Workspace


def has_table(connection: Connection) -> bool:
    """Whether the table is filled."""
    return bool(connection.execute(select(installation.c.members_table)).scalar_one())


def empty_table(connection: Connection) -> None:
    connection.execute(update(installation).values(members_table=False))
    connection.execute(delete(members))


def fill_table(connection: Connection, workspace: Workspace) -> None:
    """Fill the table from the stored snapshots."""
    connection.execute(update(installation).values(members_table=True))
    connection.execute(delete(members))
    audiences = select(properties.c.id, properties.c.chain_id, properties.c.key).where(
        properties.c.kind == PropertyKind.AUDIENCE.value
    )
    for row in connection.execute(audiences).all():
        chain = download_chain(
            connection, workspace, Chain(id=row.chain_id, kind=PropertyKind.AUDIENCE, keys=(row.key,), user_count=0)
        )
        insert_rows(connection, members, ("property_id", "user_id", "run_id"), _members(workspace, chain, row.id))


def _members(workspace: Workspace, chain: Chain, audience: int) -> Iterator[Rows]:
    number, rows = quote_literal(str(audience)), current_rows_query(chain)
    query = f"select {number}::integer, user_id, run_id from ({rows}) order by user_id"
    return workspace.stream(query)


def insert_members(
    connection: Connection, workspace: Workspace, audience: PropertyId, file: SnapshotFile, run: RunId
) -> None:
    """Insert the users of a new audience. ``file``: its first base."""
    insert_users(connection, workspace, members, file.path, file.rows, audience=str(audience), run=run)


def move_members(
    connection: Connection, workspace: Workspace, moved: Sequence[tuple[PropertyId, TableName]], run: RunId
) -> None:
    """Delete the users who left, and insert those who entered, of all audiences together.

    ``moved``: by audience, a table in the workspace with ``user_id`` and ``present``.
    """
    if not moved:
        return
    rows = (f"select {audience} as property_id, user_id, present from {table}" for audience, table in moved)
    path, query = workspace.path(".parquet"), " union all ".join(rows)
    (count,) = workspace.one(f"copy (from ({query}) order by all) to {quote_literal(str(path))} (format parquet)")
    delete_users(connection, workspace, members, path, count, audience="property_id")
    insert_users(connection, workspace, members, path, count, audience="property_id", run=run)
