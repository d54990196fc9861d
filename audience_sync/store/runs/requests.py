"""Keep requests for runs by their idempotency key, so that a repeated request gets the run of the first."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select, update

from audience_sync.model import RunId, RunStatus
from audience_sync.store.tables import lease, run_requests, runs

#: How long a key is kept.
KEPT = timedelta(days=7)
#: The newest runs in which the run of a process is looked for.
_NEWEST = 100


class StoredRequest(Struct, frozen=True):
    """``fingerprint``: of what was asked for. ``holder``: the process. ``run``: None if it has not begun."""

    fingerprint: str
    holder: str
    run: RunId | None


def find_request(connection: Connection, key: str) -> StoredRequest | None:
    """The request with this key, with the run of its process if that is not recorded yet."""
    row = connection.execute(select(run_requests).where(run_requests.c.idempotency_key == key)).one_or_none()
    if row is None:
        return None
    run = run_of_process(connection, row.holder) if row.run_id is None else RunId(row.run_id)
    return StoredRequest(row.fingerprint, row.holder, run)


def keep_request(connection: Connection, key: str, fingerprint: str, holder: str, now: datetime) -> None:
    """Write a request before its run begins, in place of one with this key, and delete those that are too old."""
    old = (run_requests.c.requested_at < now - KEPT) | (run_requests.c.idempotency_key == key)
    connection.execute(delete(run_requests).where(old))
    row = {"idempotency_key": key, "fingerprint": fingerprint, "requested_at": now, "holder": holder}
    connection.execute(insert(run_requests).values(row))


def record_run(connection: Connection, key: str, run: RunId) -> None:
    mine = run_requests.c.idempotency_key == key
    connection.execute(update(run_requests).where(mine).values(run_id=run))


def forget_request(connection: Connection, key: str) -> None:
    """Delete a request that led to no run."""
    mine = (run_requests.c.idempotency_key == key) & run_requests.c.run_id.is_(None)
    connection.execute(delete(run_requests).where(mine))


class OwnersRun(Struct, frozen=True):
    """The newest run of the process that owns the lease."""

    run: RunId
    status: RunStatus


def run_of_owner(connection: Connection) -> OwnersRun | None:
    """None if the process has not begun a run."""
    owner = connection.execute(select(lease.c.holder)).scalar_one()
    run = run_of_process(connection, owner)
    if run is None:
        return None
    return OwnersRun(run, RunStatus(connection.execute(select(runs.c.status).where(runs.c.id == run)).scalar_one()))


def run_of_process(connection: Connection, holder: str) -> RunId | None:
    """The newest run of a process; None if it has not begun one."""
    newest = select(runs.c.id, runs.c.holder).order_by(runs.c.id.desc()).limit(_NEWEST)
    found = (row.id for row in connection.execute(newest) if row.holder == holder)
    run = next(found, None)
    return None if run is None else RunId(run)
