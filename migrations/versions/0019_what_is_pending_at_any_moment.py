"""The views are right while a run is at work and after it was killed: its status, and what is pending.

Revision ID: 0019
Revises: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

#: What earlier versions said of a run that was interrupted, or whose process had died.
BROKEN_OFF = "(error like 'The run was interrupted;%' or error like 'The process ended before the run did;%')"
#: Of a run that is at work the answers so far, which the requests have; only the newest run can be at work.
ANSWERED = """
    left join (
        select q.run_id, q.destination_id, sum(q.calls - q.refused) as delivered, sum(q.refused) as refused,
            sum(q.attempts) as attempts, count(*) as answered, max(q.answered_at) as last_at
        from requests q where q.run_id = (select max(id) from runs) group by q.run_id, q.destination_id
    ) a on a.run_id = d.run_id and a.destination_id = d.destination_id and r.status = 'running'
    left join (
        select q.run_id, q.destination_id, count(*) as calls
        from requests q join untaken_calls u on u.request_id = q.id and u.reason is null
        where q.run_id = (select max(id) from runs) group by q.run_id, q.destination_id
    ) w on w.run_id = d.run_id and w.destination_id = d.destination_id and r.status = 'running'"""
OLD_DELIVERIES = """
    select r.run_id as run, d.name as destination, r.calls, r.delivered, r.refused, r.pending, r.retries,
        r.requests, r.seconds, r.error
    from run_destinations r join destinations d on d.id = r.destination_id"""
SCHEDULED_RUNS = """
    select s.schedule, s.due_at, s.run_id as run, r.started_at, {status} as status, s.missed, s.missed_since
    from schedule_slots s join runs r on r.id = s.run_id"""


def is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def status() -> str:
    """A run that is said to run has been interrupted, if its process no longer holds the lease."""
    now = "extract(epoch from clock_timestamp())" if is_postgresql() else "(julianday('now') - 2440587.5) * 86400.0"
    held = (
        f"l.holder = r.holder and l.expires_at > {now} and l.expires_at - ({now}) <= coalesce(l.time_to_live, 60) + 1"
    )
    lost = f"exists (select 1 from lease l where l.token > 0 and not ({held}))"
    return f"case when r.status = 'running' and {lost} then 'interrupted' else r.status end"


def deliveries() -> str:
    if is_postgresql():
        seconds = "round(cast(extract(epoch from (a.last_at - r.committed_at)) as numeric), 3)::float"
    else:
        seconds = "round((julianday(a.last_at) - julianday(r.committed_at)) * 86400.0, 3)"
    counts = ("delivered", "refused")
    delivered, refused = (f"cast(coalesce(a.{each}, d.{each}) as integer)" for each in counts)
    calls = "cast(d.calls - coalesce(w.calls, 0) as integer)"
    return (
        f"select d.run_id as run, n.name as destination, {calls} as calls, {delivered} as delivered, "
        f"{refused} as refused, "
        "case when a.run_id is null then d.pending "
        f"else cast(d.calls - coalesce(w.calls, 0) - a.delivered - a.refused as integer) end as pending, "
        "cast(coalesce(a.attempts - a.answered, d.retries) as integer) as retries, "
        "cast(coalesce(a.attempts, d.requests) as integer) as requests, "
        f"case when a.last_at is null then d.seconds else {seconds} end as seconds, d.error "
        "from run_destinations d join destinations n on n.id = d.destination_id join runs r on r.id = d.run_id"
        f"{ANSWERED}"
    )


def sync_runs(run_status: str, *, live: bool) -> str:
    gone = "exists (select 1 from pruned_history p where p.history = 'runs' and p.through_run >= r.id)"
    mine = "from run_audiences a where a.run_id = r.id"
    count, entered, left, held, failed = (
        f"case when {gone} then null else (select {what}) end"
        for what in (
            f"count(*) {mine}",
            f"coalesce(sum(a.entered), 0) {mine}",
            f'coalesce(sum(a."left"), 0) {mine}',
            f"count(*) {mine} and a.status = 'held'",
            f"count(*) {mine} and a.status = 'failed'",
        )
    )
    delivered, refused, pending = (_calls(what, gone, live=live) for what in ("delivered", "refused", "pending"))
    return (
        f"select r.id as run, r.command, {run_status} as status, r.started_at, r.finished_at, r.seconds, "
        f'{count} as audiences, {entered} as entered, {left} as "left", {held} as held, {failed} as failed, '
        "coalesce(r.trait_users_changed, 0) as trait_users_changed, "
        f"{delivered} as delivered, {refused} as refused, {pending} as pending, r.error from runs r"
    )


def _calls(what: str, gone: str, *, live: bool) -> str:
    at_work = (
        f"when r.status = 'running' then (select coalesce(sum(v.{what}), 0) from deliveries v where v.run = r.id) "
        if live
        else ""
    )
    ended = f"(select coalesce(sum(d.{what}), 0) from run_destinations d where d.run_id = r.id)"
    return f"case when {gone} then null {at_work}else {ended} end"


def replace(name: str, query: str) -> None:
    if is_postgresql():
        op.execute(f"create or replace view {name} as {query}")
    else:
        op.execute(f"drop view {name}")
        op.execute(f"create view {name} as {query}")


def say_statuses(comment: str) -> None:
    """SQLite keeps no comments."""
    if is_postgresql():
        op.alter_column("runs", "status", comment=comment)


def upgrade() -> None:
    say_statuses("running, succeeded, partial, held, failed or interrupted")
    seconds = "Seconds that its holder asks for at a time; further ahead it is not believed"
    op.add_column("lease", sa.Column("time_to_live", sa.Float(), nullable=True, comment=seconds))
    op.execute(f"update runs set status = 'interrupted' where status = 'failed' and {BROKEN_OFF}")
    replace("deliveries", deliveries())
    replace("sync_runs", sync_runs(status(), live=True))
    replace("scheduled_runs", SCHEDULED_RUNS.format(status=status()))


def downgrade() -> None:
    replace("scheduled_runs", SCHEDULED_RUNS.format(status="r.status"))
    replace("sync_runs", sync_runs("r.status", live=False))
    replace("deliveries", OLD_DELIVERIES)
    op.execute("update runs set status = 'failed' where status = 'interrupted'")
    say_statuses("running, succeeded, partial, held or failed")
    op.drop_column("lease", "time_to_live")
