"""Read the members of an audience, now or at a past time, from the stored snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, select

from audience_sync.history.runs import run_at
from audience_sync.model import RunId
from audience_sync.store.audiences.properties import Property, read_audience, read_chains
from audience_sync.store.connection.engine import Store
from audience_sync.store.snapshots.chain import current_rows_query, download_chain
from audience_sync.store.tables import changes, runs
from audience_sync.text import iso_time
from audience_sync.workspace import Workspace

Batch = list[tuple[str, str]]


def members_of(store: Store, key: str, *, at: datetime | None, memory_limit: int) -> Iterator[Batch]:
    """Yield batches of user id and start of membership (ISO 8601, UTC), ordered by user id, in bounded memory.

    ``at`` None means now. Raises UnknownNameError for an unknown audience, and HistoryPrunedError for a time whose
    changes were deleted.
    """
    with Workspace(memory_limit) as workspace:
        with store.reading() as connection:  # no longer: a slow reader of the batches would block commits
            audience = read_audience(connection, key)
            members = _current_members(connection, workspace, audience)
            if at is not None:
                members = _members_after(connection, workspace, audience, members, run_at(connection, at))
            times = {
                row.id: iso_time(row.started_at, "seconds")
                for row in connection.execute(select(runs.c.id, runs.c.started_at))
            }
        for rows in workspace.stream(f"select user_id, run_id from ({members}) order by user_id"):
            yield [(user, times[run]) for user, run in rows]


def _current_members(connection: Connection, workspace: Workspace, audience: Property) -> str:
    chain = read_chains(connection, [audience])[audience.chain_id]
    return current_rows_query(download_chain(connection, workspace, chain))


def _members_after(connection: Connection, workspace: Workspace, audience: Property, members: str, run: RunId) -> str:
    """Return a query for the members after a run. A user's first later change shows the membership before it."""
    if run < audience.created_run:
        return f"select * from ({members}) where false"
    mine = changes.c.property_id == audience.id
    later = select(changes.c.user_id).where(mine, changes.c.run_id > run)
    query = (
        select(changes.c.user_id, changes.c.value, changes.c.run_id)
        .where(mine, changes.c.user_id.in_(later))
        .execution_options(yield_per=10_000)
    )
    columns = {"user_id": "varchar", "value": "varchar", "run_id": "integer"}
    log = workspace.load(columns, connection.execute(query).partitions())
    was = (
        f"select user_id, min_by(value, run_id) filter (where run_id > {run}) as next, "
        f"coalesce(max(run_id) filter (where run_id <= {run}), {audience.created_run}) as run_id "
        f"from {log} group by user_id having next is not null"
    )
    return (
        f"with was as materialized ({was}) "
        f"select user_id, run_id from ({members}) anti join was using (user_id) "
        "union all select user_id, run_id from was where next = 'false'"
    )
