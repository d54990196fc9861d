"""Find what needs a person, and what continues by itself, from the public views: for `status` and the dashboard."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlalchemy import Connection

from audience_sync.history.concern_rows import (
    failed_concerns,
    held_concerns,
    hook_concerns,
    late_concerns,
    pending_concerns,
    refused_concerns,
    size_concerns,
    unfinished_concerns,
    waiting_concern,
)
from audience_sync.history.concerns import Attention, Concern, LastRun, LateSchedule, State, SubjectKind
from audience_sync.history.view_rows import Row, read
from audience_sync.model import WebhookStatus

_AUDIENCES = "select key, name, flags, last_run from {views}audiences where retired_at is null order by key"
_ALERTS = "select kind, subject, words, began_run, began_at from {views}alerts where ended_at is null order by began_at"
#: Failures of the newest run, whose alerts may not be stored yet.
_FAILED_NOW = "select audience_key, error from {views}audience_syncs where run = :run and status = 'failed'"
_HOLDS = """
    select run, last_run, kind, key, reason, held_at from {views}holds where status = 'held'
    order by last_run, kind, reason, run, key
"""
_REFUSED = """
    select destination, reason, http_status, count(*) as calls, min(run) as since_run, min(refused_at) as since_at
    from {views}refused_calls group by destination, reason, http_status
"""
_WAITING = """
    select a.run as since_run, r.started_at as since_at from {views}audience_syncs a
    join {views}sync_runs r on r.run = a.run
    where a.audience_key = :key and a.status = 'waiting' order by a.run limit 1
"""
_PENDING = "select destination, calls, waiting, since_run, since_at from {views}pending_calls order by destination"
_STAGES = "select stage, subject from {views}run_stages where run = :run and seconds is null order by started_at"
#: Webhooks about ended runs that hooks have not accepted; those given up only until the hook accepts a later one.
_WEBHOOKS = """
    select w.hook, w.status, count(*) as webhooks, min(w.run) as since_run, min(r.started_at) as since_at,
        max(case when w.run = newest.run then w.error end) as error
    from {views}run_webhooks w join {views}sync_runs r on r.run = w.run join (
        select hook, status, max(run) as run from {views}run_webhooks where attempted_at is not null
        group by hook, status
    ) newest on newest.hook = w.hook and newest.status = w.status
    where r.status <> 'running' and (w.status = 'waiting' or (w.status = 'given up' and not exists (
        select 1 from {views}run_webhooks a where a.hook = w.hook and a.status = 'accepted' and a.run > w.run
    )))
    group by w.hook, w.status order by w.hook
"""
_LAST_RUN = """
    select run, command, status, started_at, finished_at, seconds, delivered, refused, pending, error
    from {views}sync_runs order by run desc limit 1
"""


def read_attention(
    connection: Connection,
    *,
    late: Sequence[LateSchedule] = (),
    keys: Collection[str] | None = None,
    destinations: Collection[str] | None = None,
) -> Attention:
    """Read what needs a person now.

    ``late``: schedules that are late, which only the config shows. ``keys``: keys and names of the config's audiences;
    ``destinations``: its destinations. Others need no person, unless the newest run had them; None means that the
    config does not list them.
    """
    audiences = {row["key"]: row for row in read(connection, _AUDIENCES)}
    alerts, pending = read(connection, _ALERTS), read(connection, _PENDING)
    last = next(iter(read(connection, _LAST_RUN)), None)
    known = {row["destination"] for row in pending}
    if keys is not None:
        newest = last and last["run"]  # it knows an audience that was renamed while it was held
        keys = {*keys, *(key for key, row in audiences.items() if row["name"] in keys or row["last_run"] == newest)}
    webhooks = read(connection, _WEBHOOKS)
    open_failures = [row for row in alerts if row["kind"] == "failed"]
    failed = list(failed_concerns([*open_failures, *_failures_of(connection, last, open_failures)], audiences, known))
    refused = list(refused_concerns(read(connection, _REFUSED)))
    unusual = [row for row in alerts if row["kind"] == "size"]
    found = [
        *failed,
        *held_concerns(read(connection, _HOLDS), audiences),
        *refused,
        *_waiting(connection, audiences),
        *late_concerns(late, [row for row in alerts if row["kind"] == "late"]),
        *size_concerns(unusual, audiences),
        *hook_concerns(webhooks, WebhookStatus.GIVEN_UP),
    ]
    is_running = last is not None and last["status"] == State.RUNNING
    stages = read(connection, _STAGES, run=last["run"]) if last is not None and is_running else []
    stopped = {each.subjects[0] for each in failed if each.kind is SubjectKind.DESTINATION}
    continuing = [
        *unfinished_concerns(last, stages),
        *pending_concerns([row for row in pending if row["destination"] not in stopped], last),
        *hook_concerns(webhooks, WebhookStatus.WAITING),
    ]
    needs_person = tuple(each for each in found if _is_configured(each, keys, destinations))
    troubled = {key for each in needs_person for key in each.subjects if each.kind is SubjectKind.AUDIENCE}
    frozen = [key for key, row in audiences.items() if "frozen" in (row["flags"] or "")]
    busy = stopped | {row["destination"] for row in pending if row["calls"]} | {each.name for each in refused}
    return Attention(
        needs_person=needs_person,
        continuing=tuple(each for each in continuing if _is_configured(each, keys, destinations)),
        last_run=None if last is None else LastRun(**{name: last[name] for name in LastRun.__struct_fields__}),
        audiences=len(audiences),
        well=len(audiences.keys() - troubled - set(frozen)),
        frozen=len(frozen),
        destinations=tuple(sorted(known - busy if destinations is None else (known - busy) & set(destinations))),
    )


def _is_configured(each: Concern, keys: Collection[str] | None, destinations: Collection[str] | None) -> bool:
    listed = {SubjectKind.AUDIENCE: keys, SubjectKind.DESTINATION: destinations}.get(each.kind)
    return listed is None or not set(listed).isdisjoint(each.subjects)


def _failures_of(connection: Connection, last: Row | None, alerts: Sequence[Row]) -> Iterator[Row]:
    """Failures of the newest run that have no alert, in the form of alerts."""
    if last is None or last["status"] == State.RUNNING:
        return
    subjects = {row["subject"] for row in alerts}
    failed = {row["audience_key"]: row["error"] for row in read(connection, _FAILED_NOW, run=last["run"])}
    if last["status"] == State.FAILED and not (failed or subjects):
        failed = {"run": last["error"]}
    for subject, error in failed.items():
        if subject not in subjects:
            words = error or "the reason is not stored"
            yield {"subject": subject, "words": words, "began_run": last["run"], "began_at": last["started_at"]}


def _waiting(connection: Connection, audiences: Mapping[str, Row]) -> Iterator[Concern]:
    for key, row in audiences.items():
        if "waiting" in (row["flags"] or ""):
            yield waiting_concern(row, next(iter(read(connection, _WAITING, key=key)), None))
