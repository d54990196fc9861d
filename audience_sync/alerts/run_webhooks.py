"""Post the summary of each run to the hooks of `on_run`, signed by Standard Webhooks, until they accept it.

The store has a webhook for each run and hook from the start of the run. What a killed process has not posted is posted
after the next run, with the same `webhook-id`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.alerts.notify import alert_egress, error_text
from audience_sync.alerts.request import Outcome, request
from audience_sync.command_line import given_options
from audience_sync.config.models import Settings
from audience_sync.config.sections.on_run import RunHook
from audience_sync.errors import AudienceSyncError
from audience_sync.history.run_summary import run_summary
from audience_sync.store.connection.engine import Store
from audience_sync.store.runs.webhooks import Webhook, discard, give_up, record_attempt, waiting_webhooks
from audience_sync.text import iso_time, pluralize, utc_time
from audience_sync.version import __version__
from audience_sync.webhook_signature import ID, signature_headers, signing_key

log = logging.getLogger("audience_sync.alerts")

#: The time from a failed attempt to the next one, as Standard Webhooks proposes; the last one is repeated.
BACK_OFF = tuple(timedelta(seconds=each) for each in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400))
#: The sum: when a hook has not accepted a webhook for so long, it is given up.
LONGEST = sum(BACK_OFF, timedelta())
#: The receiver no longer wants them.
GONE = 410
_HEADERS = {"Content-Type": "application/json", "User-Agent": f"audience-sync/{__version__}"}


class Clock(Struct, frozen=True):
    """``now``: the time. ``monotonic`` and ``pause``: seconds that pass, and that are waited for."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


def post_webhooks(settings: Settings, store: Store, clock: Clock | None = None) -> None:
    """Post what is due to all hooks at the same time, each within its `timeout`.

    A failure is logged as a warning and recorded; it changes no run.
    """
    hooks = {each.label: each for each in settings.on_run}
    if not hooks:
        return
    clock = clock or Clock()
    try:
        with store.reading() as connection:
            waiting = waiting_webhooks(connection)
        unwanted = [each for each in waiting if each.hook in hooks and each.run_status not in hooks[each.hook].statuses]
        if unwanted:
            with store.writing() as connection:
                discard(connection, unwanted)
        wanted = [each for each in waiting if each not in unwanted]
    except AudienceSyncError as error:
        log.warning("the webhooks of `on_run` were not posted: %s", error_text(error, settings))
        return

    def post(hook: RunHook) -> None:
        mine, ends = [each for each in wanted if each.hook == hook.label], hook.timeout.total_seconds()
        poster = _Poster(settings=settings, store=store, hook=hook, clock=clock, ends=clock.monotonic() + ends)
        try:
            problem = poster.post_all(mine)
        except Exception as error:  # one hook does not stop the others
            problem = f"`on_run` hook {hook.label}: {error_text(error, settings)}"
        if problem:
            log.warning("%s", problem)

    threads = [Thread(target=post, args=(each,), name="on_run", daemon=True) for each in hooks.values()]
    for thread in threads:
        thread.start()
    for thread in threads:  # Ctrl-C ends the wait, and the next run posts the rest
        thread.join()


def post_test(settings: Settings, hook: RunHook) -> str | None:
    """Post a webhook of type `run.test`. Returns the problem with the hook, if any, without its address."""
    now = datetime.now(UTC)
    body = webhook_body("run.test", now, {"message": "The summary of each run is posted to this address."})
    signed = _signed(hook, f"msg_test_{now:%Y%m%d%H%M%S%f}", body, now)
    return _problem(_post(settings, hook, signed, timeout=hook.timeout.total_seconds()))


def webhook_body(kind: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    """The body of a webhook, as Standard Webhooks proposes it."""
    document = {"type": kind, "timestamp": iso_time(at), "data": data}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


class _Failure(Struct, frozen=True):
    webhook: Webhook
    outcome: Outcome
    reason: str
    due_at: datetime


class _Poster(Struct, frozen=True, kw_only=True):
    """Posts to one hook until an attempt fails or the time is over. ``ends``: on the monotonic clock."""

    settings: Settings
    store: Store
    hook: RunHook
    clock: Clock
    ends: float

    def post_all(self, waiting: Sequence[Webhook]) -> str | None:
        """Post what is due. Returns a warning, if there is one.

        The runs that have just ended come first. If the hook accepts them, so it may everything that waits. A hook that
        has not accepted an earlier one gets one attempt, so that it delays no run by a pause.
        """
        accepts, is_patient = False, not any(each.attempts for each in waiting)
        for each in sorted(waiting, key=lambda each: (each.attempts > 0, each.run)):
            if each.due_at is not None and each.due_at > self.clock.now() and not accepts:
                continue
            failed = self._post(each, is_patient=is_patient)
            if failed is not None:
                return self._give_up_old(waiting, failed)
            accepts = True
            if self.clock.monotonic() >= self.ends:
                break
        return None

    def _post(self, webhook: Webhook, *, is_patient: bool) -> _Failure | None:
        """Post one webhook; with patience again while there is time for the next attempt. Returns the last failure."""
        with self.store.reading() as connection:
            data = run_summary(connection, webhook.run, options=given_options())
        body = webhook_body("run.finished", webhook.ended_at, data)  # the store has no secrets
        while True:
            at, left = self.clock.now(), self.ends - self.clock.monotonic()
            outcome = _post(self.settings, self.hook, _signed(self.hook, webhook.id, body, at), timeout=left)
            reason = _problem(outcome)
            wait = timedelta(0) if reason is None else _wait(webhook.attempts, outcome)
            due_at = None if reason is None else self.clock.now() + wait
            with self.store.writing() as connection:
                record_attempt(connection, webhook, at=at, http_status=outcome.status, error=reason, due_at=due_at)
            if reason is None or due_at is None:
                return None
            is_last = not is_patient or outcome.status == GONE
            if is_last or self.clock.monotonic() + wait.total_seconds() >= self.ends:
                return _Failure(webhook, outcome, reason, due_at)
            self.clock.pause(wait.total_seconds())
            webhook = replace(webhook, attempts=webhook.attempts + 1)

    def _give_up_old(self, waiting: Sequence[Webhook], failed: _Failure) -> str:
        """Give up what the hook has not accepted for too long; after a 410, all that waits. Returns the warning."""
        oldest, is_gone = self.clock.now() - LONGEST, failed.outcome.status == GONE
        over = [each for each in waiting if is_gone or (each.attempts and each.ended_at < oldest)]
        if over:
            with self.store.writing() as connection:
                give_up(connection, over)
        where = f"the webhook about run {failed.webhook.run} was not accepted by `on_run` hook {self.hook.label}"
        given_up = f" {pluralize(len(over), 'webhook')} to it will not be posted again." if over else ""
        has_rest = len(over) < len(waiting)
        again = f" The first run from {utc_time(failed.due_at)} on posts it again." if has_rest else ""
        return f"{where}: {failed.reason}.{given_up}{again}"


def _wait(attempts: int, outcome: Outcome) -> timedelta:
    """The time until the next attempt, after so many attempts before this one."""
    return max(BACK_OFF[min(attempts, len(BACK_OFF) - 1)], timedelta(seconds=outcome.retry_after or 0))


class _SignedBody(Struct, frozen=True):
    headers: Mapping[str, str]
    body: bytes


def _signed(hook: RunHook, message_id: str, body: bytes, at: datetime) -> _SignedBody:
    signature = signature_headers(signing_key(hook.secret), message_id, body, at)
    return _SignedBody({**_HEADERS, ID: message_id, **signature}, body)


def _post(settings: Settings, hook: RunHook, signed: _SignedBody, *, timeout: float) -> Outcome:
    """``timeout``: seconds."""
    egress = alert_egress(settings)
    return request("POST", hook.url, egress, timeout=max(timeout, 0.001), body=signed.body, headers=signed.headers)


def _problem(outcome: Outcome) -> str | None:
    if outcome.status is None:
        return outcome.problem or "no answer"
    if outcome.status == GONE:
        return "HTTP 410: it no longer wants webhooks. Remove it from `on_run`"
    if 300 <= outcome.status < 400:
        return f"HTTP {outcome.status}: its address redirects. Correct its `url`"
    return None if 200 <= outcome.status < 300 else f"HTTP {outcome.status}"
