"""Create the store: its public views, and the tables behind them.

Revision ID: 0100
Revises: nothing. Stores from before the first release (schema 0022) are moved into it: see ``store_0022.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from alembic import op
from alembic.util import load_python_file

from audience_sync.errors import StoreError

revision = "0100"
down_revision = None
branch_labels = None
depends_on = None

#: The schema of the views on PostgreSQL. SQLite has no schemas.
VIEW_SCHEMA = "audience_sync"
TIME = sa.DateTime(timezone=True)
USER_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


class View(NamedTuple):
    """A public view. ``columns``: the SQL and the comment of each. ``rows``: the tables and conditions after `from`.

    The SQL has names in braces for what differs: ``{now}`` (seconds since 1970), ``{moment}`` (the current time as the
    store keeps it), ``{answered_seconds}``, ``{dead_seconds}``, ``{trait_values}``, and ``{views}``, the prefix of a
    view's name.
    """

    name: str
    comment: str
    columns: dict[str, tuple[str, str]]
    rows: str


#: Whether the process of a run `r` has lost the lease before it recorded an end: the run is interrupted.
IS_DEAD = """r.status = 'running' and exists (select 1 from lease l where l.token > 0 and not (
            l.holder = r.holder and l.expires_at > {now} and l.expires_at - ({now}) <= coalesce(l.time_to_live, 60) + 1
        ))"""
STATUS = f"case when {IS_DEAD} then 'interrupted' else r.status end"
#: The last recorded activity of such a run, and its error: as the next run writes them.
LAST_ACTIVITY = """(select max(s.at) from (
            select r.started_at as at union all select r.committed_at union all select r.active_at
            union all select max(q.answered_at) from delivery_requests q where q.run_id = r.id
        ) s)"""
DEAD = "The process ended before the run did. What it had committed stays; the next run continues there."
RIGHT_TO_CREATE = "select current_database(), current_user, has_database_privilege(current_database(), 'create')"
NOW = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "extract(epoch from statement_timestamp())",
}
MOMENT = {"sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now')", "postgresql": "statement_timestamp()"}

#: The seconds between two times. SQLite's own functions round each of them to a millisecond.
SECONDS = {
    "sqlite": "round(strftime('%s', substr({until}, 1, 19)) - strftime('%s', substr({since}, 1, 19)) "
    "+ ('0' || substr({until}, 20)) - ('0' || substr({since}, 20)), 3)",
    "postgresql": "round(cast(extract(epoch from ({until} - {since})) as numeric), 3)::float",
}

#: The keys and values of the traits `t` of a user. PostgreSQL's `json` keeps a text as written; `jsonb` would not.
TRAIT_VALUES = {
    "sqlite": "json_each(t.traits) j",
    "postgresql": "json_each_text(cast(t.traits as json)) j(key, value)",
}
#: The newest change of a trait value is never pruned. Without one, the value has been there since the trait's creation.
TRAIT_SINCE = """coalesce(
        (select max(c.run_id) from changes c join properties p on p.id = c.property_id
            where c.user_id = t.user_id and p.key = j.key),
        (select p.created_run_id from properties p where p.key = j.key))"""


def unless_pruned(count: str) -> str:
    """The count of a run `r`; NULL if its results have been deleted."""
    pruned = "exists (select 1 from pruned_history p where p.history = 'runs' and p.through_run >= r.id)"
    return f"case when {pruned} then null else ({count}) end"


def of_audiences(count: str, condition: str = "true") -> str:
    return unless_pruned(f"select {count} from run_audiences a where a.run_id = r.id and {condition}")


def answered(sum_of: str) -> str:
    return f"select coalesce(sum({sum_of}), 0) from delivery_requests q where q.run_id = r.id"


#: The calls of a run `r` that is running, according to its answers until now, as in the view `deliveries`.
LIVE_CALLS = {
    "delivered": answered("q.calls - q.refused"),
    "refused": answered("q.refused"),
    "pending": f"""select coalesce(sum(d.calls), 0) - ({answered("q.calls")}) - (
            select count(*) from delivery_requests q join unaccepted_calls u on u.request_id = q.id and u.reason is null
            where q.run_id = r.id) from run_destinations d where d.run_id = r.id""",
}


def of_destinations(column: str) -> str:
    """The calls of a run `r`."""
    live = LIVE_CALLS[column]
    ended = f"select coalesce(sum(d.{column}), 0) from run_destinations d where d.run_id = r.id"
    return unless_pruned(f"case when r.status = 'running' then ({live}) else ({ended}) end")


#: The run that is running, or was when its process was killed: the only one whose answers have to be counted.
RUNNING = "select e.id from runs e where e.id = (select max(id) from runs) and e.status = 'running'"
#: The newest run that has sent something to a destination `d`, and the one that is running.
NEWEST = f"""
                select b.run_id from (
                    select n.run_id from run_destinations n where n.destination_id = d.id and n.{{count}} > 0
                    order by n.run_id desc limit 1
                ) b union all {RUNNING}"""
#: Whether the last attempt at a request to a destination, `e`, is newer than its last final answer, `q`.
IS_UNANSWERED = "e.sent_at > coalesce(q.sent_at, q.answered_at) or (q.id is null and e.id is not null)"
#: How many properties of a kind a destination `d` is sent.
SUBSCRIBED = """(
            select count(*) from subscriptions b join properties p on p.id = b.property_id
            where b.destination_id = d.id and b.ended_run is null and p.retired_at is null
                and p.kind = '{kind}' and p.key <> '$alias'
        )"""
#: The ids of audiences that are frozen now, and the keys of one kind that a guard holds now.
FROZEN = """
                select f.property_id from audience_freezes f
                where f.unfrozen_at is null and (f.frozen_until is null or f.frozen_until > {moment})"""
HELD = "select g.key from held_snapshots g where g.kind = '{kind}' and g.status = 'held'"
#: The request of an attempt `a`: it has the same range, and the same seeded audience or none.
_SAME_RANGE = """select q.id from delivery_requests q where q.run_id = a.run_id
            and q.destination_id = a.destination_id and q.after_user = a.after_user
            and q.through_user = a.through_user and q.seeded_property_id"""
REQUEST_OF_ATTEMPT = f"""case when a.seeded_property_id is null then ({_SAME_RANGE} is null limit 1)
            else ({_SAME_RANGE} = a.seeded_property_id limit 1) end"""
#: Final answers, and the attempts before them.
REQUESTS = f"""(
        select r.id as request, r.run_id, r.destination_id, r.attempts as attempt, r.sent_at, r.seconds, r.calls,
            r.refused, case when r.refused = 0 then 'accepted' when r.refused < r.calls then 'partly refused'
            else 'refused' end as status, r.http_status, r.answer
        from delivery_requests r where r.attempts > 0
        union all
        select {REQUEST_OF_ATTEMPT}, a.run_id, a.destination_id, a.attempt, a.sent_at, a.seconds, a.calls, 0,
            case when a.http_status is null then 'no answer' else 'sent again' end, a.http_status, a.answer
        from request_attempts a
    ) q join delivery_destinations d on d.id = q.destination_id"""


def each_of_properties(table: str) -> str:
    """The rows of a table (with its alias) of users by property, and the runs since which they are there.

    A cross join, because SQLite then looks into each property for one user, also without statistics of the tables.
    """
    alias = table.split()[1]
    joined = f"properties p cross join {table} left join runs r on r.id = {alias}.run_id"
    return f"{joined} where {alias}.property_id = p.id"


#: Stable for people and their tools: docs/database.md. In the order of their creation: `destinations` reads
#: `pending_calls`.
VIEWS = (
    View(
        "deliveries",
        "The result of each run at each destination",
        {
            "run": ("d.run_id", "The run"),
            "destination": ("n.name", "The destination: its name in the config"),
            "calls": (
                "cast(d.calls - coalesce(w.calls, 0) as integer)",
                "Identify calls to deliver, one a user: of this run, and pending from earlier runs",
            ),
            "delivered": ("cast(coalesce(a.delivered, d.delivered) as integer)", "Calls that it accepted"),
            "refused": ("cast(coalesce(a.refused, d.refused) as integer)", "Calls that it refused"),
            "pending": (
                "case when a.run_id is null then d.pending "
                "else cast(d.calls - coalesce(w.calls, 0) - a.delivered - a.refused as integer) end",
                "Calls without an answer; after the run, as of its end",
            ),
            "retries": (
                "cast(coalesce(u.attempts, 0) + d.retries as integer)",
                "Requests that were sent again",
            ),
            "requests": (
                "cast(coalesce(a.attempts, 0) + coalesce(u.unanswered, 0) + d.requests as integer)",
                "Requests that were sent",
            ),
            "seconds": (
                "case when a.last_at is null then d.seconds else {answered_seconds} end",
                "Duration of the delivery, until the last answer",
            ),
            "error": ("d.error", "The reason why the delivery ended early"),
        },
        f"""run_destinations d
        join delivery_destinations n on n.id = d.destination_id
        join runs r on r.id = d.run_id
        left join (
            select q.run_id, q.destination_id, sum(q.calls - q.refused) as delivered, sum(q.refused) as refused,
                sum(q.attempts) as attempts, max(q.answered_at) as last_at
            from delivery_requests q where q.run_id = ({RUNNING}) group by q.run_id, q.destination_id
        ) a on a.run_id = d.run_id and a.destination_id = d.destination_id and r.status = 'running'
        left join (
            select e.run_id, e.destination_id, sum(e.attempts) as attempts,
                sum(case when e.request is null then e.number else 0 end) as unanswered
            from (
                select a.run_id, a.destination_id, count(*) as attempts, max(a.attempt) as number,
                    {REQUEST_OF_ATTEMPT} as request
                from request_attempts a where a.run_id = ({RUNNING})
                group by a.run_id, a.destination_id, a.seeded_property_id, a.after_user, a.through_user
            ) e group by e.run_id, e.destination_id
        ) u on u.run_id = d.run_id and u.destination_id = d.destination_id and r.status = 'running'
        left join (
            select q.run_id, q.destination_id, count(*) as calls
            from delivery_requests q join unaccepted_calls u on u.request_id = q.id and u.reason is null
            where q.run_id = ({RUNNING}) group by q.run_id, q.destination_id
        ) w on w.run_id = d.run_id and w.destination_id = d.destination_id and r.status = 'running'""",
    ),
    View(
        "sync_runs",
        "Sync runs, one row a run",
        {
            "run": ("r.id", "The number of the run"),
            "command": ("r.command", "The command that started it: sync, seed, ..."),
            "status": (STATUS, "running, succeeded, partial, held, failed or interrupted"),
            "started_at": ("r.started_at", "When it started (UTC)"),
            "finished_at": (
                f"case when {IS_DEAD} then {LAST_ACTIVITY} else r.finished_at end",
                "When it ended, or was last active if its process was killed (UTC); NULL while it is running",
            ),
            "seconds": (f"case when {IS_DEAD} then {{dead_seconds}} else r.seconds end", "Its duration"),
            "audiences": (of_audiences("count(*)"), "Audiences that have a result in it"),
            "entered": (of_audiences("coalesce(sum(a.entered), 0)"), "Memberships that began, in all audiences"),
            "left": (of_audiences('coalesce(sum(a."left"), 0)'), "Memberships that ended, in all audiences"),
            "held": (of_audiences("count(*)", "a.status = 'held'"), "Audiences that a guard held"),
            "failed": (of_audiences("count(*)", "a.status = 'failed'"), "Audiences that could not be loaded"),
            "trait_users_changed": ("coalesce(r.trait_users_changed, 0)", "Users whose computed traits changed"),
            "delivered": (of_destinations("delivered"), "Identify calls that destinations accepted"),
            "refused": (of_destinations("refused"), "Identify calls that destinations refused"),
            "pending": (of_destinations("pending"), "Identify calls without an answer; after the run, as of its end"),
            "error": (f"case when {IS_DEAD} then '{DEAD}' else r.error end", "The reason why it failed"),
            "started_by": ("r.started_by", "The user who started it, or whose scheduler did; NULL = not recorded"),
            "host": ("r.host", "The host that it ran on; NULL = not recorded"),
            "entries": ("r.entries", "Audiences, and entries of computed traits, that it was to load"),
            "entries_loaded": ("r.entries_loaded", "How many of them it has loaded"),
        },
        "runs r",
    ),
    View(
        "run_stages",
        "The stages of each run: when each began, and how long it took",
        {
            "run": ("s.run_id", "The run"),
            "stage": ("s.stage", "load, compare, guard, pending, commit, deliver or record"),
            "subject": ("s.subject", "The audience, `computed traits` or the destination; NULL = the whole run"),
            "started_at": ("s.started_at", "When it began (UTC)"),
            "seconds": ("s.seconds", "Its duration; NULL while it is in progress, or if its process was killed"),
        },
        "stage_log s",
    ),
    View(
        "audience_syncs",
        "The result of each audience in each run",
        {
            "run": ("a.run_id", "The run"),
            "audience_key": ("a.audience_key", "The audience"),
            "status": ("a.status", "created, synced, unchanged, held, failed, waiting, frozen or retired"),
            "members_before": ("a.members_before", "Members before the run"),
            "members_after": ("a.members_after", "Members after the run"),
            "entered": ("a.entered", "Users who entered; on creation all members"),
            "left": ('a."left"', "Users who left"),
            "invalid": ("a.invalid", "Rows without a usable user id"),
            "error": ("a.error", "The reason why it was held, failed or frozen"),
            "absent": ("a.absent", "Members missing from the snapshot who stay for now (min_stay)"),
            "returned": ("a.returned", "Members who had been missing and came back in time"),
            "held_out": ("a.held_out", "Users of the source who are never sent true (holdout)"),
            "config_changes": ("a.config_changes", "How its config had changed since it was last used"),
        },
        "run_audiences a",
    ),
    View(
        "holds",
        "Snapshots that a guard held, and the decisions about them",
        {
            "run": ("h.run_id", "The run that held it first"),
            "last_run": ("h.last_run_id", "The last run that got the same snapshot"),
            "kind": (
                "h.kind",
                "audience, computed_trait, mapping, or suppressed: the config's lists of suppressed users",
            ),
            "key": ("h.key", "The audience or computed trait; of a mapping its destination"),
            "status": ("h.status", "held, approved, rejected, or superseded by another snapshot"),
            "reason": ("h.reason", "Why it was held"),
            "members_before": ("h.members_before", "Members before, or users with a value"),
            "entered": ("h.entered", "Users who would enter"),
            "left": ('h."left"', "Users who would leave, or lose their value"),
            "held_at": ("h.held_at", "When it was held first (UTC)"),
            "decided_at": ("h.decided_at", "When it was approved, rejected or superseded (UTC)"),
            "ended_run": ("h.ended_run_id", "The run that used it after approval, or got another snapshot"),
        },
        "held_snapshots h",
    ),
    View(
        "held_changes",
        "Users whom a held snapshot would change: some of each hold",
        {
            "run": ("h.run_id", "The run that held it first"),
            "kind": ("h.kind", "As in holds"),
            "key": ("h.key", "As in holds"),
            "user_id": ("s.user_id", "The user"),
            "change": (
                "case when s.entered then 'entered' else 'left' end",
                "entered or left: what the snapshot would do; left also if the user would lose the value",
            ),
        },
        "held_snapshots h join hold_samples s on s.hold_id = h.id",
    ),
    View(
        "freezes",
        "Freezes of audiences: runs skip them",
        {
            "audience_key": ("p.key", "The audience"),
            "frozen_at": ("f.frozen_at", "When a person froze it (UTC)"),
            "frozen_until": ("f.frozen_until", "When it ends by itself (UTC); NULL = only by `unfreeze`"),
            "frozen_by": ("f.frozen_by", "The person: user and host"),
            "reason": ("f.reason", "Why, in the person's words"),
            "unfrozen_at": ("f.unfrozen_at", "When a person or another freeze ended it (UTC)"),
            "unfrozen_by": ("f.unfrozen_by", "The person who ended it"),
        },
        "audience_freezes f join properties p on p.id = f.property_id",
    ),
    View(
        "audience_members",
        "Current members of audiences",
        {
            "audience_key": ("p.key", "The audience"),
            "user_id": ("m.user_id", "The member"),
            "member_since": ("r.started_at", "When the run started that found the member (UTC)"),
            "since_run": ("m.run_id", "That run"),
        },
        each_of_properties("members m"),
    ),
    View(
        "trait_values",
        "Current values of computed traits",
        {
            "trait_key": ("j.key", "The computed trait"),
            "user_id": ("t.user_id", "The user"),
            "value": ("j.value", "The value as JSON"),
            "since_run": (TRAIT_SINCE, "The run since which the user has it"),
            "value_since": (
                f"(select r.started_at from runs r where r.id = {TRAIT_SINCE})",
                "When that run started (UTC)",
            ),
        },
        "user_traits t, {trait_values}",
    ),
    View(
        "scheduled_runs",
        "Runs by the schedules of the config",
        {
            "schedule": ("s.schedule", "The schedule in the config"),
            "due_at": ("s.due_at", "The scheduled time (UTC)"),
            "run": ("s.run_id", "The run for it"),
            "started_at": ("r.started_at", "When the run started (UTC)"),
            "status": (STATUS, "The status of the run"),
            "missed": ("s.missed", "Earlier times without a run, which this run makes up for"),
            "missed_since": ("s.missed_since", "The first of those times (UTC)"),
        },
        "schedule_slots s join runs r on r.id = s.run_id",
    ),
    View(
        "alerts",
        "Problems that need attention, and when people were notified",
        {
            "kind": ("a.kind", "failed, held, refused, size or late"),
            "subject": ("a.subject", "The audience, destination or schedule; run, computed traits, config"),
            "words": ("a.message", "The problem, and what to do"),
            "began_run": ("a.started_run", "The run that found it first"),
            "began_at": ("a.started_at", "When that run found it (UTC)"),
            "told_at": ("a.notified_at", "When the first notification was sent (UTC)"),
            "ended_run": ("a.ended_run", "The run that no longer found it"),
            "ended_at": ("a.ended_at", "When that run did not find it (UTC); NULL = the alert is open"),
        },
        "alert_log a",
    ),
    View(
        "run_webhooks",
        "The webhooks about each run (on_run), one row a run and hook",
        {
            "run": ("w.run_id", "The run"),
            "hook": ("w.hook", "The hook: its name in on_run, or the host of its address"),
            "status": ("w.status", "waiting, accepted or given up"),
            "attempts": ("w.attempts", "How often it was posted"),
            "attempted_at": ("w.attempted_at", "When it was posted last (UTC)"),
            "next_attempt_at": (
                "case when w.status = 'waiting' then w.next_attempt_at end",
                "The first run after this time posts it again (UTC); NULL = the next run, or none",
            ),
            "http_status": ("w.http_status", "The status of the last answer; NULL = there was none"),
            "error": ("w.error", "Why the last attempt failed"),
            "webhook_id": ("w.webhook_id", "The webhook-id of every attempt"),
        },
        "run_webhook_log w",
    ),
    View(
        "absent_members",
        "Members who are missing from their source and stay for now (min_stay)",
        {
            "audience_key": ("p.key", "The audience"),
            "user_id": ("a.user_id", "The member"),
            "missing_since": ("r.started_at", "When the run started that first missed the member (UTC)"),
            "since_run": ("a.run_id", "That run"),
            "min_stay": ("p.min_stay", "How long the member stays, as in the config"),
        },
        each_of_properties("absences a"),
    ),
    View(
        "held_out_members",
        "Users of a source who are never sent true (holdout)",
        {
            "audience_key": ("p.key", "The audience"),
            "user_id": ("h.user_id", "The user"),
            "held_out_since": ("r.started_at", "When the run started since which the user is held out (UTC)"),
            "since_run": ("h.run_id", "That run"),
            "holdout": ("p.holdout", "The share of the audience's users who are held out, 0 to 1"),
            "holdout_salt": ("p.holdout_salt", "With the user id it selects them"),
        },
        each_of_properties("held_out_users h"),
    ),
    View(
        "membership_changes",
        "Users who entered and left, except the first members of an audience",
        {
            "run": ("c.run_id", "The run that found the change"),
            "audience_key": ("p.key", "The audience"),
            "user_id": ("c.user_id", "The user"),
            "change": ("case c.value when 'true' then 'entered' else 'left' end", "entered or left"),
            "changed_at": ("r.started_at", "When that run started (UTC)"),
        },
        """changes c
        join properties p on p.id = c.property_id and p.kind = 'audience'
        left join runs r on r.id = c.run_id""",
    ),
    View(
        "refused_calls",
        "Identify calls that a destination refused and has not accepted since",
        {
            "run": ("o.run_id", "The run whose call was refused last"),
            "destination": ("d.name", "The destination that refuses it"),
            "user_id": ("o.user_id", "The user of the call"),
            "reason": ("o.reason", "The destination's reason"),
            "http_status": ("o.http_status", "The status of its answer; NULL if the call was never sent"),
            "attempts": ("o.attempts", "How often it was tried"),
            "refused_at": ("o.refused_at", "When it was refused last (UTC)"),
        },
        "delivery_destinations d cross join open_refusals o where o.destination_id = d.id",
    ),
    View(
        "refusals",
        "All refusals of identify calls, also of calls that were accepted later",
        {
            "run": ("q.run_id", "The run whose call was refused"),
            "destination": ("d.name", "The destination that refused it"),
            "user_id": ("u.user_id", "The user of the call"),
            "reason": ("u.reason", "The destination's reason"),
            "http_status": ("u.http_status", "The status of its answer"),
            "refused_at": ("q.answered_at", "When it was refused (UTC)"),
            "outcome": (
                """case when u.accepted_run is not null then 'accepted'
            when exists (select 1 from open_refusals o where o.destination_id = q.destination_id
                and o.user_id = u.user_id) then 'refused'
            when exists (select 1 from withheld_values w where w.destination_id = q.destination_id
                and w.user_id = u.user_id) then 'withheld'
            else 'dropped' end""",
                "refused (still), accepted (a later call), withheld (the user is suppressed, or the destination is no "
                "longer sent the values), dropped (nothing left to send)",
            ),
            "accepted_run": (
                "nullif(u.accepted_run, 0)",
                "The run whose call was accepted; NULL = none or not recorded",
            ),
        },
        """unaccepted_calls u
        join delivery_requests q on q.id = u.request_id and u.reason is not null
        join delivery_destinations d on d.id = q.destination_id""",
    ),
    View(
        "invalid_rows",
        "Rows of snapshots that can't be used",
        {
            "run": ("i.run_id", "The run that read the row"),
            "audience_key": ("i.audience_key", "The audience; NULL = computed traits"),
            "file": ("i.file", "The file, or the query"),
            "row": ('i."row"', "The number of the row, from 1 for the first row of data"),
            "user_id": ("i.user_id", "The user id as written"),
            "reason": ("i.reason", "Why the row can't be used"),
        },
        "run_invalid_rows i",
    ),
    View(
        "pending_calls",
        "Identify calls that are still to be sent, one row a destination",
        {
            "destination": ("d.name", "The destination: its name in the config"),
            "calls": ("coalesce(w.calls, 0)", "Calls that are still to be sent, one a user; the answered ones are not"),
            "since_run": ("w.since_run", "The run since which some of them are pending; NULL = none is"),
            "since_at": ("r.started_at", "When that run started (UTC)"),
            "waiting": ("coalesce(w.waiting, 0)", "How many of them only the next seed sends"),
        },
        """delivery_destinations d
        left join (
            select p.destination_id, cast(sum(p.calls) as integer) as calls, cast(sum(p.waiting) as integer) as waiting,
                min(case when p.calls > 0 then p.since_run end) as since_run
            from (
                select n.destination_id, n.since_run, n.calls + n.unreached as calls,
                    case when n.is_seed = 0 then 0 when n.is_reached = 1 then n.unreached else n.calls end as waiting
                from (
                    select c.destination_id, c.pending_since_run as since_run,
                        coalesce(c.pending_calls, 0) - coalesce(a.calls, 0) - coalesce(u.calls, 0) as calls,
                        coalesce(c.waiting_calls, 0) as unreached,
                        case when c.seeded_property_id is null then 0 else 1 end as is_seed,
                        case when c.waiting_calls is null then 0 else 1 end as is_reached
                    from delivery_cursors c
                    left join (
                        select q.run_id, q.destination_id, coalesce(q.seeded_property_id, 0) as seeded,
                            sum(q.calls) as calls
                        from delivery_requests q where q.run_id in (select b.pending_run from delivery_cursors b)
                        group by q.run_id, q.destination_id, coalesce(q.seeded_property_id, 0)
                    ) a on a.run_id = c.pending_run and a.destination_id = c.destination_id
                        and a.seeded = coalesce(c.seeded_property_id, 0)
                    left join (
                        select q.run_id, q.destination_id, coalesce(q.seeded_property_id, 0) as seeded,
                            count(*) as calls
                        from delivery_requests q
                        join unaccepted_calls u on u.request_id = q.id and u.reason is null
                        where q.run_id in (select b.pending_run from delivery_cursors b)
                        group by q.run_id, q.destination_id, coalesce(q.seeded_property_id, 0)
                    ) u on u.run_id = c.pending_run and u.destination_id = c.destination_id
                        and u.seeded = coalesce(c.seeded_property_id, 0)
                ) n
            ) p
            group by p.destination_id
        ) w on w.destination_id = d.id
        left join runs r on r.id = w.since_run""",
    ),
    View(
        "destinations",
        "Destinations, and what they are sent",
        {
            "name": ("d.name", "Its name in the config"),
            "type": ("d.type", "Its type in the config"),
            "created_at": ("d.created_at", "When a run first delivered to it (UTC)"),
            "sent_through_run": ("nullif(c.position, 0)", "Everything up to this run has been sent; NULL = none"),
            "audiences": (SUBSCRIBED.format(kind="audience"), "How many audiences it is sent"),
            "computed_traits": (SUBSCRIBED.format(kind="computed_trait"), "How many computed traits it is sent"),
            "pending": ("w.calls", "Identify calls that are still to be sent"),
            "refused": (
                "(select count(*) from open_refusals o where o.destination_id = d.id)",
                "Identify calls that it refused and has not accepted since",
            ),
            "last_request_at": (
                f"case when {IS_UNANSWERED} then e.sent_at else coalesce(q.sent_at, q.answered_at) end",
                "When its last request was sent (UTC)",
            ),
            "last_http_status": (
                f"case when {IS_UNANSWERED} then e.http_status else q.http_status end",
                "The HTTP status of the answer; NULL = there was none",
            ),
            "last_accepted_at": (
                f"""(
            select max(t.answered_at) from delivery_requests t
            where t.destination_id = d.id and t.calls > t.refused and t.run_id in ({NEWEST.format(count="delivered")})
        )""",
                "When it last accepted a call (UTC)",
            ),
            "last_error": ("l.error", "Why its last delivery ended early; NULL = it did not"),
            "last_run": ("l.run_id", "The last run with it; later runs did not have it in their config"),
        },
        f"""delivery_destinations d
        join delivery_cursors c on c.destination_id = d.id and c.seeded_property_id is null
        join {{views}}pending_calls w on w.destination = d.name
        left join run_destinations l on l.destination_id = d.id and l.run_id = (
            select n.run_id from run_destinations n where n.destination_id = d.id order by n.run_id desc limit 1)
        left join delivery_requests q on q.id = (
            select max(t.id) from delivery_requests t
            where t.destination_id = d.id and t.attempts > 0 and t.run_id in ({NEWEST.format(count="requests")}))
        left join request_attempts e on e.id = (
            select max(t.id) from request_attempts t where t.destination_id = d.id and t.run_id = (
                select n.run_id from request_attempts n where n.destination_id = d.id
                order by n.run_id desc limit 1))""",
    ),
    View(
        "audiences",
        "Audiences, also those that have not been created yet",
        {
            "key": ("x.key", "The name of the user property; it never changes"),
            "name": ("x.name", "The name in the config"),
            "source": ("x.source", "The source of its snapshots, as named in the config"),
            "created_at": ("c.started_at", "When the run started that created it (UTC); NULL = it has yet to be"),
            "created_run": ("x.created_run_id", "That run"),
            "retired_at": ("x.retired_at", "When its key was closed for good (UTC)"),
            "members": ("coalesce(s.user_count, 0)", "Members now"),
            "held_out": (
                "case when x.holdout_salt is null then 0 "
                "else (select count(*) from held_out_users o where o.property_id = x.id) end",
                "Users of its source who are never sent true (holdout)",
            ),
            "absent": (
                "(select count(*) from absences o where o.property_id = x.id)",
                "Members missing from the last snapshot who stay for now (min_stay)",
            ),
            "last_run": ("l.run_id", "The last run with a result for it"),
            "last_status": ("l.status", "That result, as in audience_syncs"),
            "changed_at": ("h.started_at", "When the run started that changed its users last (UTC)"),
            "flags": (
                f"""substr(
            case when x.id in ({FROZEN}) then ', frozen' else '' end
            || case when x.key in ({HELD.format(kind="audience")}) then ', held' else '' end
            || case when l.status in ('waiting', 'failed') then ', ' || l.status else '' end
            || case when x.retired_at is not null then ', retired' else '' end
            || case when x.holdout > 0 then ', holdout' else '' end
            || case when x.min_stay is not null then ', min_stay' else '' end, 3)""",
                "Those of frozen, held, waiting, failed, retired, holdout and min_stay that apply",
            ),
        },
        """(
            select p.id, p.key, p.name, p.source, p.chain_id, p.created_run_id, p.retired_at, p.holdout, p.holdout_salt,
                p.min_stay
            from properties p where p.kind = 'audience'
            union all
            select null, a.audience_key, a.name, a.source, null, null, null, null, null, null
            from run_audiences a
            where a.name is not null
                and a.run_id >= coalesce((select r.id from runs r where r.covers_all order by r.id desc limit 1), 0)
                and a.run_id = (select max(n.run_id) from run_audiences n where n.audience_key = a.audience_key)
                and not exists (select 1 from properties p where p.key = a.audience_key)
        ) x
        left join snapshot_chains s on s.id = x.chain_id
        left join runs c on c.id = x.created_run_id
        left join runs h on h.id = coalesce(s.changed_run_id, x.created_run_id)
        left join run_audiences l on l.audience_key = x.key and l.run_id = (
            select max(m.run_id) from run_audiences m where m.audience_key = x.key)""",
    ),
    View(
        "computed_traits",
        "Computed traits",
        {
            "key": ("p.key", "The name of the user property; it never changes"),
            "name": ("p.name", "The name in the config, or the column"),
            "source": ("p.source", "The source of its values, as named in the config"),
            "created_at": ("c.started_at", "When the run started that created it (UTC)"),
            "created_run": ("p.created_run_id", "That run"),
            "retired_at": ("p.retired_at", "When its key was closed for good (UTC)"),
            "users": (
                "case when p.retired_at is null then s.user_count else 0 end",
                "Users in its snapshot: those with a value of any trait that was created together with it",
            ),
            "changed_at": ("h.started_at", "When the run started that changed its snapshot last (UTC)"),
            "flags": (
                f"""substr(
            case when p.key in ({HELD.format(kind="computed_trait")}) then ', held' else '' end
            || case when p.retired_at is not null then ', retired' else '' end, 3)""",
                "Those of held and retired that apply",
            ),
        },
        """properties p
        join snapshot_chains s on s.id = p.chain_id
        left join runs c on c.id = p.created_run_id
        left join runs h on h.id = coalesce(s.changed_run_id, p.created_run_id)
        where p.kind = 'computed_trait' and p.key <> '$alias'""",
    ),
    View(
        "trait_changes",
        "Changes of computed traits, except the first values of a new one",
        {
            "run": ("c.run_id", "The run that found the change"),
            "trait_key": ("p.key", "The computed trait"),
            "user_id": ("c.user_id", "The user"),
            "value": ("c.value", "The new value as JSON; NULL = it was lost"),
            "previous_value": (
                "nullif(c.previous_value, 'null')",
                "The value before as JSON; NULL = none, or not recorded",
            ),
            "changed_at": ("r.started_at", "When that run started (UTC)"),
        },
        """changes c
        join properties p on p.id = c.property_id and p.kind = 'computed_trait' and p.key <> '$alias'
        left join runs r on r.id = c.run_id""",
    ),
    View(
        "requests",
        "Requests to destinations, one row for each attempt",
        {
            "request": ("q.request", "The request; NULL if it has no final answer"),
            "run": ("q.run_id", "The run that sent it"),
            "destination": ("d.name", "The destination: its name in the config"),
            "attempt": ("q.attempt", "The number of the attempt at this request, from 1"),
            "sent_at": ("q.sent_at", "When it was sent (UTC); NULL = not recorded"),
            "seconds": ("q.seconds", "How long the answer took; NULL = not recorded"),
            "users": ("q.calls", "Users whose calls it carried"),
            "refused": ("q.refused", "How many of them were refused"),
            "status": ("q.status", "accepted, partly refused, refused, sent again or no answer"),
            "http_status": ("q.http_status", "The status of the answer; NULL = there was none"),
            "answer": ("q.answer", "What the answer means"),
        },
        REQUESTS,
    ),
    View(
        "decisions",
        "Commands of people that changed something: who, when and why",
        {
            "decision": ("c.id", "The number of the decision"),
            "decided_at": ("c.decided_at", "When it was made (UTC)"),
            "command": ("c.command", "approve, reject, undo, retry, resync, seed, retire, freeze, erase, ..."),
            "subject": ("c.subject", "Keys, a run or a destination; of users only how many; NULL = everything"),
            "run": ("c.run_id", "The run that carried it out; of reject, the run that was named"),
            "decided_by": ("c.decided_by", "The user"),
            "host": ("c.host", "The host on which the command was given"),
            "reason": ("c.reason", "Why, in the person's words"),
        },
        "decision_log c",
    ),
)


def upgrade() -> None:
    connection = op.get_bind()
    old_store = load_python_file(str(Path(__file__).parents[1]), "store_0022.py")
    create_tables()
    create_views(connection.dialect.name)
    old_store.copy_rows(connection)


def downgrade() -> None:
    drop_views(op.get_bind())
    drop_tables()


def create_views(dialect: str) -> None:
    """Create them with comments: on SQLite, which stores none, within the view's text."""
    views = f"{VIEW_SCHEMA}." if dialect == "postgresql" else ""
    if views:
        create_view_schema(op.get_bind())
    for view in VIEWS:
        columns = [f'{sql} as "{name}"' for name, (sql, _) in view.columns.items()]
        separators = [*[","] * (len(columns) - 1), ""]
        comments = [comment for _, comment in view.columns.values()]
        query = "\n    ".join(map("{}{} -- {}".format, columns, separators, comments))
        differing = {"now": NOW[dialect], "moment": MOMENT[dialect], "trait_values": TRAIT_VALUES[dialect]}
        differing["answered_seconds"] = SECONDS[dialect].format(until="a.last_at", since="r.committed_at")
        differing["dead_seconds"] = SECONDS[dialect].format(until=LAST_ACTIVITY, since="r.started_at")
        query = f"{query}\nfrom {view.rows}".format(**differing, views=views)
        op.execute(f"create view {views}{view.name} as -- {view.comment}\nselect\n    {query}")
        if views:
            subjects = [f"view {views}{view.name}", *(f'column {views}{view.name}."{name}"' for name in view.columns)]
            texts = [text.replace("'", "''") for text in (view.comment, *comments)]
            op.execute(";\n".join(map("comment on {} is '{}'".format, subjects, texts)))


def create_view_schema(connection: sa.Connection) -> None:
    """Create the schema unless it exists. Raises StoreError without the right, or if it is another store's."""
    inspector = sa.inspect(connection)
    if inspector.has_schema(VIEW_SCHEMA):
        if "sync_runs" in inspector.get_view_names(VIEW_SCHEMA):
            raise StoreError(
                f"Database {connection.engine.url.database} has the views of another store in schema {VIEW_SCHEMA}. "
                "Nothing was done. Give each store a database of its own: change `store:` in the config."
            )
        return
    database, role, may_create = connection.execute(sa.text(RIGHT_TO_CREATE)).one()
    if not may_create:
        raise StoreError(
            f"The role {role} may not create the schema {VIEW_SCHEMA} in database {database}. Nothing was done. As the "
            f"owner of the database: psql {database} -c 'create schema {VIEW_SCHEMA} authorization {role}'. Then: "
            "audience-sync db upgrade"
        )
    op.execute(f"create schema {VIEW_SCHEMA}")
    op.execute(f"comment on schema {VIEW_SCHEMA} is 'The public views of Audience Sync: docs/database.md'")


def drop_views(connection: sa.Connection) -> None:
    """Drop the views, and their schema if nothing else is in it."""
    is_postgresql = connection.dialect.name == "postgresql"
    for view in reversed(VIEWS):
        op.execute(f"drop view {VIEW_SCHEMA + '.' if is_postgresql else ''}{view.name}")
    inspector = sa.inspect(connection)
    if is_postgresql and not inspector.get_table_names(VIEW_SCHEMA) + inspector.get_view_names(VIEW_SCHEMA):
        op.execute(f"drop schema {VIEW_SCHEMA}")


def create_tables() -> None:
    op.create_table(
        "alert_log",
        sa.Column("id", sa.Integer(), nullable=False, comment="The alert"),
        sa.Column("kind", sa.Text(), nullable=False, comment="failed, held, refused, size or late"),
        sa.Column(
            "subject", sa.Text(), nullable=False, comment="The audience, destination or schedule; run, computed traits"
        ),
        sa.Column("message", sa.Text(), nullable=False, comment="The problem, and what to do"),
        sa.Column("started_run", sa.Integer(), nullable=False, comment="The run that found the problem first"),
        sa.Column("started_at", TIME, nullable=False, comment="When that run found it (UTC)"),
        sa.Column("notified_at", TIME, nullable=True, comment="When its first notification was sent (UTC)"),
        sa.Column("ended_run", sa.Integer(), nullable=True, comment="The run that no longer found the problem"),
        sa.Column(
            "ended_at", TIME, nullable=True, comment="When that run did not find it (UTC); NULL = the alert is open"
        ),
        sa.Column("end_notified_at", TIME, nullable=True, comment="When the notification of its end was sent (UTC)"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_log")),
        comment="Problems that need attention, and when people were notified",
    )
    op.create_index("ix_alert_log_ended_at", "alert_log", ["ended_at"], unique=False)
    op.create_table(
        "delivery_destinations",
        sa.Column("id", sa.Integer(), nullable=False, comment="The destination"),
        sa.Column("name", sa.Text(), nullable=False, comment="Its name in the config"),
        sa.Column("type", sa.Text(), nullable=False, comment="Its type in the config: the service's protocol"),
        sa.Column("created_at", TIME, nullable=False, comment="When a run first delivered to it (UTC)"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_destinations")),
        sa.UniqueConstraint("name", name=op.f("uq_delivery_destinations_name")),
        comment="Destinations of identify calls",
    )
    op.create_table(
        "erasures",
        sa.Column("user_hash", sa.Text(), nullable=False, comment="SHA-256 of installation.uuid and the user id"),
        sa.Column("erased_at", TIME, nullable=False, comment="When the user was erased (UTC)"),
        sa.PrimaryKeyConstraint("user_hash", name=op.f("pk_erasures")),
        comment="Hashes of erased users, so that they are never stored again",
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), nullable=False, comment="Always 1"),
        sa.Column("uuid", sa.Text(), nullable=False, comment="Makes message ids unique to this installation"),
        sa.Column("created_at", TIME, nullable=False, comment="When the store was created"),
        sa.Column("members_table", sa.Boolean(), nullable=False, comment="Whether the table `members` is filled"),
        sa.Column(
            "trait_values_table",
            sa.Boolean(),
            nullable=True,
            comment="Whether the table `user_traits` is filled; NULL = not yet, an older store",
        ),
        sa.Column(
            "state_folders",
            sa.Text(),
            nullable=True,
            comment="JSON list: folders in buckets that may have objects of this store",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
        comment="This installation (one row)",
    )
    op.create_table(
        "lease",
        sa.Column("id", sa.Integer(), nullable=False, comment="Always 1"),
        sa.Column("token", sa.Integer(), nullable=False, comment="Rises with every owner; checked at every commit"),
        sa.Column("holder", sa.Text(), nullable=False, comment="The process that owns the lease; empty = none"),
        sa.Column(
            "acquired_at",
            sa.Float(),
            nullable=False,
            comment="When it was acquired (seconds since 1970, database's clock)",
        ),
        sa.Column(
            "expires_at", sa.Float(), nullable=False, comment="When it expires (seconds since 1970, database's clock)"
        ),
        sa.Column(
            "time_to_live",
            sa.Float(),
            nullable=True,
            comment="Seconds of each renewal; an expiry further ahead is ignored",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lease")),
        comment="The run lock: the process that may write (one row)",
    )
    op.create_table(
        "past_suppressions",
        sa.Column("user_id", USER_ID, nullable=False, comment="The user"),
        sa.Column("origin", sa.Text(), nullable=False, comment="As in suppressions"),
        sa.Column("since", TIME, nullable=False, comment="When the user came onto the list (UTC)"),
        sa.Column("until", TIME, nullable=False, comment="When the user was removed from it (UTC)"),
        sa.PrimaryKeyConstraint("user_id", "origin", "since", name=op.f("pk_past_suppressions")),
        comment="Users who were suppressed and no longer are (append-only)",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pruned_history",
        sa.Column("history", sa.Text(), nullable=False, comment="changes, requests, invalid_rows or runs"),
        sa.Column("through_run", sa.Integer(), nullable=False, comment="Rows up to this run may have been deleted"),
        sa.Column("next_run", sa.Integer(), nullable=False, comment="The deletion continues with this run ..."),
        sa.Column("after_user", USER_ID, nullable=False, comment="... and the users greater than this one"),
        sa.PrimaryKeyConstraint("history", name=op.f("pk_pruned_history")),
        comment="The parts of the history that retention has deleted",
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False, comment="The run's number"),
        sa.Column("command", sa.Text(), nullable=False, comment="sync, seed, ..."),
        sa.Column(
            "status", sa.Text(), nullable=False, comment="running, succeeded, partial, held, failed or interrupted"
        ),
        sa.Column("started_at", TIME, nullable=False, comment="When it started (UTC)"),
        sa.Column("committed_at", TIME, nullable=True, comment="When its changes became durable (UTC)"),
        sa.Column("finished_at", TIME, nullable=True, comment="When it ended (UTC)"),
        sa.Column("seconds", sa.Float(), nullable=True, comment="How long it took"),
        sa.Column("holder", sa.Text(), nullable=False, comment="The process that ran it, and its host"),
        sa.Column("version", sa.Text(), nullable=False, comment="The program's version"),
        sa.Column("trait_users", sa.Integer(), nullable=True, comment="Users that have computed traits"),
        sa.Column("trait_users_changed", sa.Integer(), nullable=True, comment="Users whose computed traits changed"),
        sa.Column("error", sa.Text(), nullable=True, comment="Why it failed"),
        sa.Column(
            "nonce",
            sa.Text(),
            nullable=True,
            comment="Random part of the message ids of its changes; NULL = none, from an early version",
        ),
        sa.Column(
            "clock_doubted",
            sa.Boolean(),
            nullable=True,
            comment="Whether its clock is doubted: no age is measured by it",
        ),
        sa.Column(
            "counted_at", TIME, nullable=True, comment="The time that ages are measured by (UTC); NULL = started_at"
        ),
        sa.Column(
            "inputs",
            sa.Text(),
            nullable=True,
            comment="What it depended on, with its result; unchanged, the next run repeats that (JSON)",
        ),
        sa.Column(
            "covers_all",
            sa.Boolean(),
            nullable=True,
            comment="Whether it loaded every audience of the config; NULL = no",
        ),
        sa.Column(
            "started_by",
            sa.Text(),
            nullable=True,
            comment="The user who started it, or whose scheduler did; NULL = not recorded",
        ),
        sa.Column("host", sa.Text(), nullable=True, comment="The host that it ran on; NULL = not recorded"),
        sa.Column(
            "entries",
            sa.Integer(),
            nullable=True,
            comment="Audiences, and entries of computed traits, that it was to load",
        ),
        sa.Column("entries_loaded", sa.Integer(), nullable=True, comment="How many of them it has loaded"),
        sa.Column(
            "active_at",
            TIME,
            nullable=True,
            comment="When it was last at work, as each renewal of its lease notes (UTC)",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        comment="One row a sync run",
    )
    op.create_table(
        "stage_log",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run"),
        sa.Column("number", sa.Integer(), nullable=False, comment="Counted from 1, in the order in which they began"),
        sa.Column(
            "stage",
            sa.Text(),
            nullable=False,
            comment="load, compare, guard, pending, commit, deliver or record",
        ),
        sa.Column(
            "subject",
            sa.Text(),
            nullable=True,
            comment="The audience, `computed traits` or the destination; NULL = the whole run",
        ),
        sa.Column("started_at", TIME, nullable=False, comment="When it began (UTC)"),
        sa.Column("seconds", sa.Float(), nullable=True, comment="How long it took; NULL = it has not ended"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_stage_log_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_stage_log")),
        comment="The stages of each run",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "decision_log",
        sa.Column("id", sa.Integer(), nullable=False, comment="The decision"),
        sa.Column("decided_at", TIME, nullable=False, comment="When (UTC)"),
        sa.Column(
            "command",
            sa.Text(),
            nullable=False,
            comment="The command: approve, reject, undo, retire, freeze, erase, ...",
        ),
        sa.Column(
            "subject",
            sa.Text(),
            nullable=True,
            comment="The keys, the run or the destination; of users only how many; NULL = everything",
        ),
        sa.Column(
            "run_id",
            sa.Integer(),
            nullable=True,
            comment="The run that carried it out; of reject, the run that was named",
        ),
        sa.Column("decided_by", sa.Text(), nullable=False, comment="The user"),
        sa.Column("host", sa.Text(), nullable=False, comment="The host on which the command was given"),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=True,
            comment="Why, in the person's words, without secrets and erased users",
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_decision_log_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision_log")),
        comment="Commands of people that changed something (append-only)",
    )
    op.create_index("ix_decision_log_run_id", "decision_log", ["run_id"], unique=False)
    op.create_table(
        "snapshot_chains",
        sa.Column("id", sa.Integer(), nullable=False, comment="The chain"),
        sa.Column("kind", sa.Text(), nullable=False, comment="audience or computed_trait"),
        sa.Column("user_count", sa.Integer(), nullable=False, comment="Users in it now"),
        sa.Column(
            "changed_run_id",
            sa.Integer(),
            nullable=True,
            comment="The last run that changed its users, or those held out of it",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshot_chains")),
        comment="Stored snapshots: the members of an audience, or the values of traits created together",
    )
    op.create_table(
        "suppressions",
        sa.Column("user_id", USER_ID, nullable=False, comment="The user"),
        sa.Column("origin", sa.Text(), nullable=False, comment="command, or config: one of its `suppressed` lists"),
        sa.Column("since", TIME, nullable=False, comment="When the user came onto the list (UTC)"),
        sa.PrimaryKeyConstraint("user_id", "origin", name=op.f("pk_suppressions")),
        comment="Users who are never sent anything",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "delivery_requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, comment="The request"),
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="The destination"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that sent it"),
        sa.Column("after_user", USER_ID, nullable=False, comment="The calls of the users greater than this one"),
        sa.Column("through_user", USER_ID, nullable=False, comment="... up to this one"),
        sa.Column("calls", sa.Integer(), nullable=False, comment="Identify calls in it"),
        sa.Column("refused", sa.Integer(), nullable=False, comment="How many of them were refused"),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="How often it was sent, parts included"),
        sa.Column("http_status", sa.Integer(), nullable=True, comment="The last status, where there is one"),
        sa.Column("answer", sa.Text(), nullable=True, comment="What the answer means, without user properties"),
        sa.Column("answered_at", TIME, nullable=False, comment="When the answer came (UTC)"),
        sa.Column(
            "seeded_property_id", sa.Integer(), nullable=True, comment="The audience that it seeded; NULL = all others"
        ),
        sa.Column(
            "position",
            sa.Integer(),
            nullable=True,
            comment="All users had been sent everything up to this run before it",
        ),
        sa.Column(
            "attempted_run",
            sa.Integer(),
            nullable=True,
            comment="Since this run calls may have been sent without an answer",
        ),
        sa.Column(
            "retried",
            sa.Boolean(),
            nullable=True,
            comment="Whether it contained calls that had been refused, unchanged ones too",
        ),
        sa.Column("sent_at", TIME, nullable=True, comment="When it was sent last (UTC); NULL = not recorded"),
        sa.Column("seconds", sa.Float(), nullable=True, comment="How long its last answer took; NULL = not recorded"),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["delivery_destinations.id"], name=op.f("fk_delivery_requests_destination_id")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_delivery_requests_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_requests")),
        comment="Requests with a final answer",
    )
    op.create_index(
        "ix_delivery_requests_run_id",
        "delivery_requests",
        ["run_id", "destination_id", "seeded_property_id", "through_user"],
        unique=False,
    )
    op.create_table(
        "request_attempts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, comment="The attempt"),
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="The destination"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that sent it"),
        sa.Column("seeded_property_id", sa.Integer(), nullable=True, comment="As in delivery_requests"),
        sa.Column("after_user", USER_ID, nullable=False, comment="Its request has the users greater than this one"),
        sa.Column("through_user", USER_ID, nullable=False, comment="... up to this one"),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="Counted from 1 in its request, parts included"),
        sa.Column("calls", sa.Integer(), nullable=False, comment="Identify calls in it"),
        sa.Column("sent_at", TIME, nullable=False, comment="When it was sent (UTC)"),
        sa.Column("seconds", sa.Float(), nullable=False, comment="How long its answer took, or until there was none"),
        sa.Column(
            "http_status", sa.Integer(), nullable=True, comment="The status of the answer; NULL = there was none"
        ),
        sa.Column("answer", sa.Text(), nullable=True, comment="What the answer means, without user properties"),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["delivery_destinations.id"], name=op.f("fk_request_attempts_destination_id")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_request_attempts_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_attempts")),
        comment="Attempts at requests without a final answer: their calls are sent again (append-only)",
    )
    op.create_index(
        "ix_request_attempts_run_id",
        "request_attempts",
        ["run_id", "destination_id", "seeded_property_id", "through_user"],
        unique=False,
    )
    op.create_table(
        "held_snapshots",
        sa.Column("id", sa.Integer(), nullable=False, comment="The hold"),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="audience, computed_trait, mapping, or suppressed: the config's lists",
        ),
        sa.Column(
            "key", sa.Text(), nullable=False, comment="The audience or computed trait; of a mapping its destination"
        ),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that held it first"),
        sa.Column("last_run_id", sa.Integer(), nullable=False, comment="The last run that got the same snapshot"),
        sa.Column("status", sa.Text(), nullable=False, comment="held, approved, rejected or superseded"),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why it was held"),
        sa.Column(
            "together",
            sa.Boolean(),
            nullable=False,
            comment="Whether it is one of several that together change too much",
        ),
        sa.Column("members_before", sa.Integer(), nullable=False, comment="Members before, or users with a value"),
        sa.Column("entered", sa.Integer(), nullable=False, comment="Users who would enter"),
        sa.Column("left", sa.Integer(), nullable=False, comment="Users who would leave, or lose their value"),
        sa.Column("held_at", TIME, nullable=False, comment="When it was held first (UTC)"),
        sa.Column("decided_at", TIME, nullable=True, comment="When it was approved, rejected or superseded (UTC)"),
        sa.Column("ended_run_id", sa.Integer(), nullable=True, comment="The run that used it, or got another snapshot"),
        sa.Column("undone_run_id", sa.Integer(), nullable=True, comment="The undone run whose changes it would repeat"),
        sa.ForeignKeyConstraint(["ended_run_id"], ["runs.id"], name=op.f("fk_held_snapshots_ended_run_id")),
        sa.ForeignKeyConstraint(["last_run_id"], ["runs.id"], name=op.f("fk_held_snapshots_last_run_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_held_snapshots_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_held_snapshots")),
        comment="Snapshots that a guard held",
    )
    op.create_table(
        "missed_notifications",
        sa.Column("alert_id", sa.Integer(), nullable=False, comment="The alert"),
        sa.Column("is_end", sa.Boolean(), nullable=False, comment="Whether the notification is of the alert's end"),
        sa.Column(
            "recipient_number", sa.Integer(), nullable=False, comment="The address: its number in notify.to, from 1"
        ),
        sa.ForeignKeyConstraint(["alert_id"], ["alert_log.id"], name=op.f("fk_missed_notifications_alert_id")),
        sa.PrimaryKeyConstraint("alert_id", "is_end", "recipient_number", name=op.f("pk_missed_notifications")),
        comment="Notifications that one address has not received yet, although others have",
    )
    op.create_table(
        "open_refusals",
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="The destination"),
        sa.Column("user_id", USER_ID, nullable=False, comment="The user"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that was refused last"),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why, without secrets and user properties"),
        sa.Column("http_status", sa.Integer(), nullable=True, comment="The status, where there was one"),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="How often it was tried"),
        sa.Column("refused_at", TIME, nullable=False, comment="When it was refused last (UTC)"),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["delivery_destinations.id"], name=op.f("fk_open_refusals_destination_id")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_open_refusals_run_id")),
        sa.PrimaryKeyConstraint("destination_id", "user_id", name=op.f("pk_open_refusals")),
        comment="Calls that a destination refuses, until it accepts one for the user",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "properties",
        sa.Column("id", sa.Integer(), nullable=False, comment="The property"),
        sa.Column("kind", sa.Text(), nullable=False, comment="audience or computed_trait"),
        sa.Column("key", sa.Text(), nullable=False, comment="The name of the user property; it never changes"),
        sa.Column("name", sa.Text(), nullable=False, comment="The current name in the config"),
        sa.Column("origin", sa.Text(), nullable=True, comment="The names_from entry an audience comes from"),
        sa.Column(
            "definition", sa.Text(), nullable=True, comment="A hash of its source; recognises a renamed audience"
        ),
        sa.Column("chain_id", sa.Integer(), nullable=False, comment="Its members or values"),
        sa.Column("created_run_id", sa.Integer(), nullable=False, comment="The run that created it"),
        sa.Column("retired_at", TIME, nullable=True, comment="When the key was closed for good (UTC)"),
        sa.Column(
            "fingerprint",
            sa.Text(),
            nullable=True,
            comment="Fingerprint of the source when last used; the same = not read again",
        ),
        sa.Column("invalid", sa.Integer(), nullable=True, comment="Rows without a usable user id in that snapshot"),
        sa.Column("loaded_from", sa.Text(), nullable=True, comment="The file and source of its snapshots"),
        sa.Column("loaded_from_run", sa.Integer(), nullable=True, comment="The first run that loaded from there"),
        sa.Column(
            "min_stay",
            sa.Text(),
            nullable=True,
            comment="How long a missing member stays, as in the config; NULL = not at all",
        ),
        sa.Column(
            "source_columns", sa.Text(), nullable=True, comment="Columns and types (JSON) that have to stay the same"
        ),
        sa.Column(
            "holdout",
            sa.Float(),
            nullable=True,
            comment="The share of its users (0 to 1) who are held out; NULL = none",
        ),
        sa.Column(
            "holdout_salt",
            sa.Text(),
            nullable=True,
            comment="With the user id it selects them: the key at the first holdout",
        ),
        sa.Column("source", sa.Text(), nullable=True, comment="The source of its snapshots, as named in the config"),
        sa.Column("guard", sa.Text(), nullable=True, comment="Its guard's limits when last used, as in the config"),
        sa.Column(
            "claims",
            sa.Text(),
            nullable=True,
            comment="The earlier audiences in its group, each with its last change, when last compared",
        ),
        sa.ForeignKeyConstraint(["chain_id"], ["snapshot_chains.id"], name=op.f("fk_properties_chain_id")),
        sa.ForeignKeyConstraint(["created_run_id"], ["runs.id"], name=op.f("fk_properties_created_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_properties")),
        sa.UniqueConstraint("key", name=op.f("uq_properties_key")),
        comment="User properties: audiences and computed traits",
    )
    op.create_table(
        "run_requests",
        sa.Column("idempotency_key", sa.Text(), nullable=False, comment="The key that the client chose"),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="Hash of what was asked for"),
        sa.Column("requested_at", TIME, nullable=False, comment="When (UTC)"),
        sa.Column(
            "holder",
            sa.Text(),
            nullable=False,
            comment="The process that carries it out, and its host: as in `runs`",
        ),
        sa.Column("run_id", sa.Integer(), nullable=True, comment="The run; NULL = it has not begun"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_requests_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("idempotency_key", name=op.f("pk_run_requests")),
        comment="Requests for runs over HTTP that have an idempotency key",
    )
    op.create_index(op.f("ix_run_requests_run_id"), "run_requests", ["run_id"], unique=False)
    op.create_table(
        "run_webhook_log",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run"),
        sa.Column(
            "hook", sa.Text(), nullable=False, comment="The hook: its name in on_run, or the host of its address"
        ),
        sa.Column("webhook_id", sa.Text(), nullable=False, comment="The webhook-id of every attempt"),
        sa.Column("status", sa.Text(), nullable=False, comment="waiting, accepted or given up"),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="How often it was posted"),
        sa.Column("attempted_at", TIME, nullable=True, comment="When it was posted last (UTC)"),
        sa.Column(
            "next_attempt_at",
            TIME,
            nullable=True,
            comment="When it is due again (UTC); NULL = as soon as the run has ended",
        ),
        sa.Column(
            "http_status", sa.Integer(), nullable=True, comment="The status of the last answer; NULL = there was none"
        ),
        sa.Column("error", sa.Text(), nullable=True, comment="Why the last attempt failed, without secrets"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_webhook_log_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "hook", name=op.f("pk_run_webhook_log")),
        comment="The webhooks about each run, one row a run and hook",
    )
    op.create_index("ix_run_webhook_log_status", "run_webhook_log", ["status", "hook"], unique=False)
    op.create_table(
        "run_audiences",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run"),
        sa.Column("audience_key", sa.Text(), nullable=False, comment="The audience"),
        sa.Column(
            "status",
            sa.Text(),
            nullable=False,
            comment="created, synced, unchanged, held, failed, waiting, frozen or retired",
        ),
        sa.Column("members_before", sa.Integer(), nullable=False, comment="Members before the run"),
        sa.Column("members_after", sa.Integer(), nullable=False, comment="Members after it"),
        sa.Column("entered", sa.Integer(), nullable=False, comment="Users who entered"),
        sa.Column("left", sa.Integer(), nullable=False, comment="Users who left"),
        sa.Column("invalid", sa.Integer(), nullable=False, comment="Rows without a usable user id"),
        sa.Column("error", sa.Text(), nullable=True, comment="Why it failed, is held, waits or is frozen"),
        sa.Column(
            "absent",
            sa.Integer(),
            nullable=True,
            comment="Members who are missing from the snapshot and stay for now (min_stay)",
        ),
        sa.Column(
            "returned", sa.Integer(), nullable=True, comment="Members who had been missing and came back in time"
        ),
        sa.Column(
            "held_out", sa.Integer(), nullable=True, comment="Users of its source who are never sent true (holdout)"
        ),
        sa.Column("name", sa.Text(), nullable=True, comment="Its name in the config, if it has not been created yet"),
        sa.Column("source", sa.Text(), nullable=True, comment="Its source, if it has not been created yet"),
        sa.Column(
            "config_changes",
            sa.Text(),
            nullable=True,
            comment="How its config had changed since it was last used; NULL = not at all",
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_audiences_run_id")),
        sa.PrimaryKeyConstraint("run_id", "audience_key", name=op.f("pk_run_audiences")),
        comment="The result of each audience of a run",
    )
    op.create_index("ix_run_audiences_audience_key", "run_audiences", ["audience_key", "run_id"], unique=False)
    op.create_table(
        "run_destinations",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run"),
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="The destination"),
        sa.Column("calls", sa.Integer(), nullable=False, comment="Identify calls to deliver"),
        sa.Column("delivered", sa.Integer(), nullable=False, comment="Calls that the destination accepted"),
        sa.Column("refused", sa.Integer(), nullable=False, comment="Calls that the destination refused"),
        sa.Column("pending", sa.Integer(), nullable=False, comment="Calls without an answer when the run ended"),
        sa.Column("retries", sa.Integer(), nullable=False, comment="Requests that were sent again"),
        sa.Column("requests", sa.Integer(), nullable=False, comment="Requests sent"),
        sa.Column("seconds", sa.Float(), nullable=False, comment="How long it took"),
        sa.Column("error", sa.Text(), nullable=True, comment="Why it stopped"),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["delivery_destinations.id"], name=op.f("fk_run_destinations_destination_id")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_destinations_run_id")),
        sa.PrimaryKeyConstraint("run_id", "destination_id", name=op.f("pk_run_destinations")),
        comment="The result of each destination of a run",
    )
    op.create_table(
        "run_invalid_rows",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that read the row"),
        sa.Column("number", sa.Integer(), nullable=False, comment="Counted from 1 in the run"),
        sa.Column("audience_key", sa.Text(), nullable=True, comment="The audience; NULL = computed traits"),
        sa.Column("file", sa.Text(), nullable=False, comment="The file, or the query"),
        sa.Column(
            "row", sa.BigInteger(), nullable=False, comment="The number of the row, from 1 for the first row of data"
        ),
        sa.Column("user_id", sa.Text(), nullable=True, comment="The user id as written"),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why it has no usable user id"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_invalid_rows_run_id")),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_run_invalid_rows")),
        comment="Rows without a usable user id",
    )
    op.create_table(
        "schedule_slots",
        sa.Column("schedule", sa.Text(), nullable=False, comment="The schedule in the config"),
        sa.Column("due_at", TIME, nullable=False, comment="The scheduled time (UTC)"),
        sa.Column("run_id", sa.Integer(), nullable=True, comment="The run for it; NULL = first seen then"),
        sa.Column(
            "missed", sa.Integer(), nullable=False, comment="Earlier times without a run, which this run makes up for"
        ),
        sa.Column("missed_since", TIME, nullable=True, comment="The first of those times (UTC)"),
        sa.Column(
            "ended_at",
            TIME,
            nullable=True,
            comment="When its run ended (UTC); NULL = it did not end, and another is due",
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_schedule_slots_run_id")),
        sa.PrimaryKeyConstraint("schedule", "due_at", name=op.f("pk_schedule_slots")),
        comment="Scheduled times, and the runs for them",
    )
    op.create_index(op.f("ix_schedule_slots_run_id"), "schedule_slots", ["run_id"], unique=False)
    op.create_table(
        "snapshot_files",
        sa.Column("id", sa.Integer(), nullable=False, comment="The file"),
        sa.Column("chain_id", sa.Integer(), nullable=False, comment="Its chain"),
        sa.Column("kind", sa.Text(), nullable=False, comment="base or delta"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that wrote it"),
        sa.Column("row_count", sa.Integer(), nullable=False, comment="Number of rows"),
        sa.Column("bytes", sa.BigInteger(), nullable=False, comment="Size"),
        sa.Column("checksum", sa.Text(), nullable=False, comment="blake2b of the bytes, checked at every read"),
        sa.Column(
            "object_url",
            sa.Text(),
            nullable=True,
            comment="The URL of the object in a bucket that has its bytes; NULL = in chunks, here",
        ),
        sa.ForeignKeyConstraint(["chain_id"], ["snapshot_chains.id"], name=op.f("fk_snapshot_files_chain_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_snapshot_files_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshot_files")),
        comment="The files of a chain, a base and later deltas: Parquet, sorted by user id",
    )
    op.create_index(op.f("ix_snapshot_files_chain_id"), "snapshot_files", ["chain_id"], unique=False)
    op.create_table(
        "source_states",
        sa.Column(
            "id", sa.Integer(), nullable=False, comment="Rises: a table's changes come after those of lower ones"
        ),
        sa.Column(
            "subject",
            sa.Text(),
            nullable=False,
            comment="The audience, the names_from entry, or an entry of computed traits",
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="The source, as named in the config"),
        sa.Column("kind", sa.Text(), nullable=False, comment="base or delta"),
        sa.Column("table_name", sa.Text(), nullable=False, comment="Its name in the source's schema"),
        sa.Column(
            "row_count", sa.BigInteger(), nullable=False, comment="Its rows; another number means that it is damaged"
        ),
        sa.Column(
            "left_out",
            sa.Text(),
            nullable=True,
            comment="JSON list: audiences or traits whose rows in it were not accepted",
        ),
        sa.Column(
            "reread",
            sa.Text(),
            nullable=True,
            comment="JSON list: users whose rows every run reads, as a value is invalid or rows differ",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_states")),
        sa.UniqueConstraint("table_name", name=op.f("uq_source_states_table_name")),
        comment="Tables in warehouses with the last snapshots, for sources with compare: in_warehouse",
    )
    op.create_index(op.f("ix_source_states_subject"), "source_states", ["subject"], unique=False)
    op.create_table(
        "absences",
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience"),
        sa.Column("user_id", USER_ID, nullable=False, comment="A member that its source no longer contains"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The first run that missed the member"),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_absences_property_id")),
        sa.PrimaryKeyConstraint("property_id", "user_id", name=op.f("pk_absences")),
        comment="Missing members who stay for now (min_stay)",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audience_freezes",
        sa.Column("id", sa.Integer(), nullable=False, comment="The freeze"),
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience"),
        sa.Column("frozen_at", TIME, nullable=False, comment="When a person froze it (UTC)"),
        sa.Column(
            "frozen_until", TIME, nullable=True, comment="When it ends by itself (UTC); NULL = only by `unfreeze`"
        ),
        sa.Column("frozen_by", sa.Text(), nullable=False, comment="The person: user and host"),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why, in the person's words"),
        sa.Column("unfrozen_at", TIME, nullable=True, comment="When a person or another freeze ended it (UTC)"),
        sa.Column("unfrozen_by", sa.Text(), nullable=True, comment="The person who ended it"),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_audience_freezes_property_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audience_freezes")),
        comment="Freezes: runs skip the audience (append-only, except for the end)",
    )
    op.create_index(op.f("ix_audience_freezes_property_id"), "audience_freezes", ["property_id"], unique=False)
    op.create_table(
        "changes",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that found the change"),
        sa.Column("user_id", USER_ID, nullable=False, comment="The user"),
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience or computed trait"),
        sa.Column("value", sa.Text(), nullable=True, comment="The new value as JSON; NULL = removed"),
        sa.Column(
            "previous_value",
            sa.Text(),
            nullable=True,
            comment="The previous value as JSON, null = no value; NULL = not recorded",
        ),
        sa.PrimaryKeyConstraint("run_id", "user_id", "property_id", name=op.f("pk_changes")),
        comment="Changes by each run, after the creation of a property (append-only)",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_changes_user_id", "changes", ["user_id"], unique=False)
    op.create_table(
        "delivery_cursors",
        sa.Column("id", sa.Integer(), nullable=False, comment="The cursor"),
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="The destination"),
        sa.Column(
            "seeded_property_id", sa.Integer(), nullable=True, comment="The audience it seeds; NULL = all others"
        ),
        sa.Column("position", sa.Integer(), nullable=False, comment="Everything up to this run has been sent"),
        sa.Column(
            "attempted_run",
            sa.Integer(),
            nullable=True,
            comment="Since this run calls may have been sent without an answer",
        ),
        sa.Column(
            "pending_calls",
            sa.Integer(),
            nullable=True,
            comment="Calls still to be sent, as the last run counted them; NULL = none",
        ),
        sa.Column(
            "pending_run",
            sa.Integer(),
            nullable=True,
            comment="The run that sends them: its answered calls are not pending; NULL = none",
        ),
        sa.Column(
            "pending_since_run", sa.Integer(), nullable=True, comment="The run since which some calls are pending"
        ),
        sa.Column(
            "waiting_calls",
            sa.Integer(),
            nullable=True,
            comment="Calls that only the next `seed` sends; NULL = all of pending_calls",
        ),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["delivery_destinations.id"], name=op.f("fk_delivery_cursors_destination_id")
        ),
        sa.ForeignKeyConstraint(
            ["seeded_property_id"], ["properties.id"], name=op.f("fk_delivery_cursors_seeded_property_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_cursors")),
        comment="The position of each delivery",
    )
    op.create_index(op.f("ix_delivery_cursors_destination_id"), "delivery_cursors", ["destination_id"], unique=False)
    op.create_table(
        "claimed_users",
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience"),
        sa.Column(
            "user_id", USER_ID, nullable=False, comment="A user of its last snapshot, and of an earlier audience"
        ),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run since which the user is in an earlier one"),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_claimed_users_property_id")),
        sa.PrimaryKeyConstraint("property_id", "user_id", name=op.f("pk_claimed_users")),
        comment="Users whom earlier audiences of a priority group claim, for snapshots that a warehouse compares",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "held_out_users",
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience"),
        sa.Column("user_id", USER_ID, nullable=False, comment="A user of its source who is never sent true"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run since which the user is held out"),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_held_out_users_property_id")),
        sa.PrimaryKeyConstraint("property_id", "user_id", name=op.f("pk_held_out_users")),
        comment="Users who would be members without the holdout",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "hold_samples",
        sa.Column("hold_id", sa.Integer(), nullable=False, comment="The hold"),
        sa.Column("user_id", USER_ID, nullable=False, comment="A user that it would change"),
        sa.Column(
            "entered",
            sa.Boolean(),
            nullable=False,
            comment="true = would enter; false = would leave, or lose the value",
        ),
        sa.ForeignKeyConstraint(
            ["hold_id"], ["held_snapshots.id"], name=op.f("fk_hold_samples_hold_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hold_id", "user_id", name=op.f("pk_hold_samples")),
        comment="Some of the users that a held snapshot would change",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "members",
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience"),
        sa.Column("user_id", USER_ID, nullable=False, comment="The user"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run since which the user is a member"),
        sa.PrimaryKeyConstraint("property_id", "user_id", name=op.f("pk_members")),
        comment="The current members, derived from the snapshots",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "refused_values",
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="The destination"),
        sa.Column("user_id", USER_ID, nullable=False, comment="The user"),
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience or computed trait"),
        sa.Column("value", sa.Text(), nullable=True, comment="The value as JSON; NULL = removed"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that made the change"),
        sa.Column(
            "former_names",
            sa.Text(),
            nullable=True,
            comment="The names at the destination that end with it, as JSON; NULL = none",
        ),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["delivery_destinations.id"], name=op.f("fk_refused_values_destination_id")
        ),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_refused_values_property_id")),
        sa.PrimaryKeyConstraint("destination_id", "user_id", "property_id", name=op.f("pk_refused_values")),
        comment="Values of refused calls, pending until they are sent with the newest values",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "snapshot_file_chunks",
        sa.Column("file_id", sa.Integer(), nullable=False, comment="The file"),
        sa.Column("number", sa.Integer(), nullable=False, comment="Counted from 0"),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="Bytes of the file"),
        sa.ForeignKeyConstraint(
            ["file_id"], ["snapshot_files.id"], name=op.f("fk_snapshot_file_chunks_file_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("file_id", "number", name=op.f("pk_snapshot_file_chunks")),
        comment="The bytes of snapshot files, in chunks that fit into memory",
    )
    op.create_table(
        "subscription_history",
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="The destination"),
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience or computed trait"),
        sa.Column("from_run", sa.Integer(), nullable=False, comment="From this run on, until the next row of both"),
        sa.Column("since_run", sa.Integer(), nullable=False, comment="As in subscriptions"),
        sa.Column("backfill", sa.Boolean(), nullable=False, comment="As in subscriptions"),
        sa.Column("ended_run", sa.Integer(), nullable=True, comment="As in subscriptions"),
        sa.Column("previously_delivered_run", sa.Integer(), nullable=True, comment="As in subscriptions"),
        sa.Column("seeding", sa.Boolean(), nullable=False, comment="Whether a person was seeding it"),
        sa.Column("sent_as", sa.Text(), nullable=True, comment="As in subscriptions"),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["delivery_destinations.id"], name=op.f("fk_subscription_history_destination_id")
        ),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_subscription_history_property_id")),
        sa.PrimaryKeyConstraint("destination_id", "property_id", "from_run", name=op.f("pk_subscription_history")),
        comment="The subscriptions at every run (append-only)",
    )
    op.create_table(
        "subscriptions",
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="The destination"),
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience or computed trait"),
        sa.Column("since_run", sa.Integer(), nullable=False, comment="The run since which the destination receives it"),
        sa.Column(
            "backfill",
            sa.Boolean(),
            nullable=False,
            comment="Whether current members are sent too; false = only changes",
        ),
        sa.Column(
            "ended_run",
            sa.Integer(),
            nullable=True,
            comment="The run since which the destination no longer receives it",
        ),
        sa.Column(
            "previously_delivered_run",
            sa.Integer(),
            nullable=True,
            comment="Everything up to this run was sent when it last ended",
        ),
        sa.Column(
            "sent_as",
            sa.Text(),
            nullable=True,
            comment="How it is sent, if not under its key: JSON with the name, the hash, the id and the former names",
        ),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["delivery_destinations.id"], name=op.f("fk_subscriptions_destination_id")
        ),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_subscriptions_property_id")),
        sa.PrimaryKeyConstraint("destination_id", "property_id", name=op.f("pk_subscriptions")),
        comment="The properties that each destination receives",
    )
    op.create_table(
        "unaccepted_calls",
        sa.Column(
            "request_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, comment="The request"
        ),
        sa.Column("user_id", USER_ID, nullable=False, comment="The user"),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=True,
            comment="Why it was refused; NULL = not sent, because the user had just been suppressed",
        ),
        sa.Column("http_status", sa.Integer(), nullable=True, comment="The status, where there was one"),
        sa.Column(
            "accepted_run",
            sa.Integer(),
            nullable=True,
            comment="The run whose call was accepted instead; 0 = not recorded",
        ),
        sa.Column(
            "refused_properties",
            sa.Text(),
            nullable=True,
            comment="Ids of the refused properties (JSON); NULL = the whole call",
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["delivery_requests.id"], name=op.f("fk_unaccepted_calls_request_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("request_id", "user_id", name=op.f("pk_unaccepted_calls")),
        comment="Calls of requests that were not accepted: refused, or not sent (append-only)",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_unaccepted_calls_user_id", "unaccepted_calls", ["user_id"], unique=False)
    op.create_table(
        "user_traits",
        sa.Column("user_id", USER_ID, nullable=False, comment="The user"),
        sa.Column("chain_id", sa.Integer(), nullable=False, comment="The chain of the computed traits"),
        sa.Column(
            "traits", sa.Text(), nullable=False, comment="JSON object: by key of a trait, the text of its value as JSON"
        ),
        sa.PrimaryKeyConstraint("user_id", "chain_id", name=op.f("pk_user_traits")),
        comment="The current values of computed traits, derived from the snapshots",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "withheld_values",
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="The destination"),
        sa.Column("user_id", USER_ID, nullable=False, comment="The suppressed user"),
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience or computed trait"),
        sa.Column("value", sa.Text(), nullable=True, comment="The value as JSON; NULL = removed"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that made the change"),
        sa.Column("former_names", sa.Text(), nullable=True, comment="As in refused_values"),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["delivery_destinations.id"], name=op.f("fk_withheld_values_destination_id")
        ),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_withheld_values_property_id")),
        sa.PrimaryKeyConstraint("destination_id", "user_id", "property_id", name=op.f("pk_withheld_values")),
        comment="Values that suppressed users would have been sent, pending until they no longer are",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "delivered_ranges",
        sa.Column("cursor_id", sa.Integer(), nullable=False, comment="The cursor"),
        sa.Column("after_user", USER_ID, nullable=False, comment="Users greater than this one ..."),
        sa.Column("through_user", USER_ID, nullable=False, comment="... up to this one ..."),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="... have been sent everything up to this run"),
        sa.ForeignKeyConstraint(
            ["cursor_id"], ["delivery_cursors.id"], name=op.f("fk_delivered_ranges_cursor_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cursor_id", "after_user", name=op.f("pk_delivered_ranges")),
        comment="The users that an unfinished delivery has reached, in user order",
    )


def drop_tables() -> None:
    op.drop_table("delivered_ranges")
    op.drop_table("withheld_values")
    op.drop_table("user_traits")
    op.drop_index("ix_unaccepted_calls_user_id", table_name="unaccepted_calls")
    op.drop_table("unaccepted_calls")
    op.drop_table("subscriptions")
    op.drop_table("subscription_history")
    op.drop_table("snapshot_file_chunks")
    op.drop_table("refused_values")
    op.drop_table("members")
    op.drop_table("hold_samples")
    op.drop_table("held_out_users")
    op.drop_table("claimed_users")
    op.drop_index(op.f("ix_delivery_cursors_destination_id"), table_name="delivery_cursors")
    op.drop_table("delivery_cursors")
    op.drop_index("ix_changes_user_id", table_name="changes")
    op.drop_table("changes")
    op.drop_index(op.f("ix_audience_freezes_property_id"), table_name="audience_freezes")
    op.drop_table("audience_freezes")
    op.drop_table("absences")
    op.drop_index(op.f("ix_source_states_subject"), table_name="source_states")
    op.drop_table("source_states")
    op.drop_index(op.f("ix_snapshot_files_chain_id"), table_name="snapshot_files")
    op.drop_table("snapshot_files")
    op.drop_index(op.f("ix_schedule_slots_run_id"), table_name="schedule_slots")
    op.drop_table("schedule_slots")
    op.drop_table("run_invalid_rows")
    op.drop_table("run_destinations")
    op.drop_index(op.f("ix_run_requests_run_id"), table_name="run_requests")
    op.drop_table("run_requests")
    op.drop_index("ix_run_webhook_log_status", table_name="run_webhook_log")
    op.drop_table("run_webhook_log")
    op.drop_index("ix_run_audiences_audience_key", table_name="run_audiences")
    op.drop_table("run_audiences")
    op.drop_table("properties")
    op.drop_table("open_refusals")
    op.drop_table("missed_notifications")
    op.drop_table("held_snapshots")
    op.drop_index("ix_request_attempts_run_id", table_name="request_attempts")
    op.drop_table("request_attempts")
    op.drop_index("ix_delivery_requests_run_id", table_name="delivery_requests")
    op.drop_table("delivery_requests")
    op.drop_table("suppressions")
    op.drop_table("snapshot_chains")
    op.drop_index("ix_decision_log_run_id", table_name="decision_log")
    op.drop_table("decision_log")
    op.drop_table("stage_log")
    op.drop_table("runs")
    op.drop_table("pruned_history")
    op.drop_table("past_suppressions")
    op.drop_table("lease")
    op.drop_table("installation")
    op.drop_table("erasures")
    op.drop_table("delivery_destinations")
    op.drop_index("ix_alert_log_ended_at", table_name="alert_log")
    op.drop_table("alert_log")
