"""Read past runs from the public views, and find the run that was the latest at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from audience_sync.delivery.state.sent_form import SentForm
from audience_sync.errors import HistoryPrunedError, UnknownNameError
from audience_sync.history.view_rows import Row
from audience_sync.history.view_rows import read as _rows
from audience_sync.model import USER_ID, HistoryKind, RunId, RunStatus
from audience_sync.store.connection.lease import is_run_in_progress
from audience_sync.store.maintenance.pruning import pruned_through
from audience_sync.store.runs.runs import last_run_started_by
from audience_sync.store.tables import delivery_destinations, properties, runs, subscription_history

#: The view, with the numbers of computed traits and of mappings that a held run held, and why a person asked for it.
_LAST_RUNS = """
    select r.*, case when r.status in ('held', 'failed', 'interrupted') then (
        select count(*) from {views}holds h where h.kind = 'computed_trait' and h.run <= r.run and h.last_run >= r.run
    ) else 0 end as traits_held, case when r.status in ('held', 'failed', 'interrupted') then (
        select count(*) from {views}holds h where h.kind = 'mapping' and h.run <= r.run and h.last_run >= r.run
    ) else 0 end as mappings_held, (
        select d.reason from {views}decisions d where d.run = r.run and d.command <> 'reject' and d.reason is not null
        order by d.decision limit 1
    ) as reason
    from {views}sync_runs r order by r.run desc limit :limit
"""
#: Holds that were open during a run, or that it ended.
_RUN_HOLDS = """
    select * from {views}holds where (run <= :run and last_run >= :run) or ended_run = :run order by kind, key, run
"""
#: Decisions that a run carried out, and those about what it held.
_RUN_DECISIONS = """
    select d.* from {views}decisions d where d.run = :run or exists (
        select 1 from {views}holds h where h.run <= :run and h.last_run >= :run and (
            (d.command = 'approve' and d.run = h.ended_run)
            or (d.command = 'reject' and h.status = 'rejected' and d.run between h.run and h.last_run)
        )
    ) order by d.decision
"""


def last_runs(connection: Connection, *, key: str | None = None, limit: int = 20) -> list[Row]:
    """Read the last runs, newest first; with ``key`` their results for that audience."""
    if key is None:
        rows = _with_dead(connection, _rows(connection, _LAST_RUNS, limit=limit))
        return [{name: each[name] for name in each if name != "mappings_held" or each[name]} for each in rows]
    return _rows(
        connection,
        'select a.run, r.started_at, r.seconds, a.status, a.members_before, a.members_after, a.entered, a."left", '
        "a.invalid, a.absent, a.returned, a.held_out, a.error from {views}audience_syncs a "
        "join {views}sync_runs r on r.run = a.run where a.audience_key = :key order by a.run desc limit :limit",
        key=key,
        limit=limit,
    )


def one_run(connection: Connection, run: RunId) -> dict[str, Any]:
    """Read one run with all its rows. Raises UnknownNameError if there is no such run."""
    found = _with_dead(connection, _rows(connection, "select * from {views}sync_runs where run = :run", run=run))
    if not found:
        raise UnknownNameError(f"There is no run {run}. The last ones: audience-sync history")
    return {
        **found[0],
        "audience_syncs": _run_rows(connection, "audience_syncs", run, "audience_key"),
        "holds": [_with_sample(connection, hold) for hold in _rows(connection, _RUN_HOLDS, run=run)],
        "deliveries": _run_rows(connection, "deliveries", run, "destination"),
        "refused_calls": _run_rows(connection, "refused_calls", run, "destination, user_id"),
        "refusals": _run_rows(connection, "refusals", run, "destination, user_id"),
        **({"mappings": mappings} if (mappings := _mappings(connection, run)) else {}),
        "invalid_rows": _run_rows(connection, "invalid_rows", run, 'audience_key, file, "row"'),
        "decisions": _rows(connection, _RUN_DECISIONS, run=run),
        "stages": _run_rows(connection, "run_stages", run, "started_at, stage, subject"),
        "no_longer_kept": [each.value for each, through in pruned_through(connection).items() if run <= through],
    }


def _with_dead(connection: Connection, found: Sequence[Row]) -> list[Row]:
    """The runs; one whose process on this machine has died is interrupted before its lease has expired, too."""
    if any(each["status"] == RunStatus.RUNNING for each in found) and not is_run_in_progress(connection):
        return [{**each, "status": _status_of_dead(each["status"])} for each in found]
    return [*found]


def _status_of_dead(status: str) -> str:
    return RunStatus.INTERRUPTED.value if status == RunStatus.RUNNING else status


def _mappings(connection: Connection, run: RunId) -> list[Row]:
    """Read how each property is sent since this run, if not under its key, by destination."""
    later, mine = subscription_history.alias(), subscription_history.c
    same = (later.c.destination_id == mine.destination_id) & (later.c.property_id == mine.property_id)
    newest = select(func.max(later.c.from_run)).where(same, later.c.from_run <= run)
    query = (
        select(delivery_destinations.c.name, properties.c.key, mine.sent_as)
        .select_from(subscription_history.join(delivery_destinations).join(properties))
        .where(mine.from_run == newest.correlate(subscription_history).scalar_subquery())
        .where(mine.ended_run.is_(None), mine.sent_as.is_not(None))
        .order_by(delivery_destinations.c.name, properties.c.key)
    )
    forms = [(row.name, row.key, SentForm.of(row.sent_as)) for row in connection.execute(query)]
    return [
        {
            "destination": name,
            "key": key,
            "name": form.name or key,
            "hashed": form.hashed,
            "user_id": form.user_id or USER_ID,
        }
        for name, key, form in forms
    ]


def run_at(connection: Connection, at: datetime) -> RunId:
    """Return the last run that had started by then. Raises HistoryPrunedError if its changes were deleted."""
    run, pruned = last_run_started_by(connection, at), pruned_through(connection)[HistoryKind.CHANGES]
    if run < pruned:
        since = connection.execute(select(runs.c.started_at).where(runs.c.id == pruned)).scalar_one()
        raise HistoryPrunedError(
            f"history before {since:%Y-%m-%d %H:%M:%S} UTC (run {pruned}) was deleted by `retention`. "
            "Use that time or a later one."
        )
    return run


def _with_sample(connection: Connection, hold: Row) -> Row:
    """Add a sample of users to a hold: those who would enter and leave."""
    query = (
        "select user_id, change from {views}held_changes "
        "where run = :run and kind = :kind and key = :key order by user_id"
    )
    sample = _rows(connection, query, run=hold["run"], kind=hold["kind"], key=hold["key"])
    entered, left = ([each["user_id"] for each in sample if each["change"] == change] for change in ("entered", "left"))
    return {**hold, "sample": {"entered": entered, "left": left}}


def _run_rows(connection: Connection, view: str, run: RunId, order: str) -> list[Row]:
    return _rows(connection, f"select * from {{views}}{view} where run = :run order by {order}", run=run)
