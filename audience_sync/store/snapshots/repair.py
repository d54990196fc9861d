"""Rebuild a chain whose files are damaged, so that a resync can send everything again."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, select

from audience_sync.model import PropertyKind
from audience_sync.store.snapshots.chain import BASE, Chain, write_snapshot_file
from audience_sync.store.tables import members, properties
from audience_sync.workspace import Workspace


def rebuild_chain(connection: Connection, workspace: Workspace, chain: Chain) -> Chain:
    """The chain with a base from other tables; the next change replaces all its stored files.

    An audience's base is the members table, so that a resync sends ``false`` to former members. A base of traits is
    empty, so that every value counts as new. The caller sends everything again.
    """
    base = write_snapshot_file(workspace, BASE, _base_query(connection, workspace, chain))
    return replace(chain, files=(base,), user_count=base.rows, rebuilt=True)


def _base_query(connection: Connection, workspace: Workspace, chain: Chain) -> str:
    query = (
        select(members.c.user_id, members.c.run_id)
        .join_from(members, properties, members.c.property_id == properties.c.id)
        .where(properties.c.key == chain.keys[0])
        .execution_options(yield_per=10_000)
    )
    table = workspace.load({"user_id": "varchar", "run_id": "integer"}, connection.execute(query).partitions())
    value = "true" if chain.kind is PropertyKind.AUDIENCE else "null::varchar"
    return f"select user_id, run_id, {', '.join(f'{value} as {column}' for column in chain.columns)} from {table}"
