"""Keep the webhooks about runs: one for each run and hook, from the start of the run until the hook accepts it."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from audience_sync.model import RunId, RunStatus, WebhookStatus
from audience_sync.store.tables import run_webhook_log, runs

_GIVEN_UP = {"status": WebhookStatus.GIVEN_UP.value}


class Webhook(Struct, frozen=True, kw_only=True):
    """The webhook about one run to one hook. ``id``: its `webhook-id`. ``due_at``: None = at once."""

    run: RunId
    hook: str
    id: str
    attempts: int
    due_at: datetime | None
    run_status: RunStatus
    ended_at: datetime


def add_webhooks(connection: Connection, run: RunId, hooks: Sequence[str]) -> None:
    """Write the webhooks of a run that begins. They wait for its end.

    What hooks that the config no longer has did not accept is deleted.
    """
    log = run_webhook_log.c
    gone = log.hook.not_in(hooks) & (log.status != WebhookStatus.ACCEPTED.value)
    connection.execute(delete(run_webhook_log).where(gone))
    rows = [
        {
            "run_id": run,
            "hook": hook,
            "webhook_id": f"msg_{secrets.token_hex(16)}",
            "status": WebhookStatus.WAITING.value,
            "attempts": 0,
        }
        for hook in hooks
    ]
    if rows:
        connection.execute(insert(run_webhook_log), rows)


def waiting_webhooks(connection: Connection) -> list[Webhook]:
    """Read the webhooks about runs that have ended, and that no hook has accepted, in the order of the runs."""
    log = run_webhook_log.c
    query = (
        select(run_webhook_log, runs.c.status.label("run_status"), runs.c.finished_at)
        .join_from(run_webhook_log, runs)
        .where(log.status == WebhookStatus.WAITING.value, runs.c.finished_at.is_not(None))
        .order_by(log.run_id)
    )
    return [
        Webhook(
            run=RunId(row.run_id),
            hook=row.hook,
            id=row.webhook_id,
            attempts=row.attempts,
            due_at=row.next_attempt_at,
            run_status=RunStatus(row.run_status),
            ended_at=row.finished_at,
        )
        for row in connection.execute(query)
    ]


def record_attempt(
    connection: Connection,
    webhook: Webhook,
    *,
    at: datetime,
    http_status: int | None,
    error: str | None,
    due_at: datetime | None,
) -> None:
    """Write an attempt; without an ``error`` the hook has accepted the webhook. ``due_at``: the next attempt.

    What it has accepted from another process meanwhile stays accepted.
    """
    status = WebhookStatus.ACCEPTED if error is None else WebhookStatus.WAITING
    values = {"status": status.value, "attempts": webhook.attempts + 1, "attempted_at": at, "next_attempt_at": due_at}
    is_open = run_webhook_log.c.status != WebhookStatus.ACCEPTED.value
    mine = update(run_webhook_log).where(_is(webhook), is_open)
    connection.execute(mine.values(**values, http_status=http_status, error=error))


def give_up(connection: Connection, webhooks: Collection[Webhook]) -> None:
    """Mark these as given up. The reason is the error of their last attempt."""
    for each in webhooks:
        connection.execute(update(run_webhook_log).where(_is(each)).values(_GIVEN_UP))


def discard(connection: Connection, webhooks: Collection[Webhook]) -> None:
    """Delete webhooks that are not wanted."""
    for each in webhooks:
        connection.execute(delete(run_webhook_log).where(_is(each)))


def _is(webhook: Webhook) -> ColumnElement[bool]:
    log = run_webhook_log.c
    return (log.run_id == webhook.run) & (log.hook == webhook.hook)
