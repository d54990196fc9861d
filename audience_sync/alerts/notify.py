"""Notify people: one message to each address with everything that is new to it, through Apprise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from audience_sync.alerts.send import send
from audience_sync.config.models import Settings
from audience_sync.destinations.http.egress import Egress
from audience_sync.errors import AudienceSyncError, NotifyError, summarize_error
from audience_sync.model import AlertKind
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.store.alerts.notifications import (
    Notification,
    NotificationResult,
    pending_notifications,
    record_notified,
)
from audience_sync.store.connection.engine import Store
from audience_sync.text import and_more

#: Alerts listed in one message; the number of the others follows.
MAX_LINES = 20
HEADINGS = {
    AlertKind.FAILED: "FAILED",
    AlertKind.HELD: "HELD",
    AlertKind.REFUSED: "REFUSED",
    AlertKind.SIZE: "UNUSUAL SIZE",
    AlertKind.LATE: "LATE",
}


def notify(settings: Settings, store: Store, run: int) -> None:
    """Send every address its pending notifications, and record which accepted. Raises NotifyError if one did not."""
    with store.reading() as connection:
        pending = pending_notifications(connection)
    problems: list[str | None] = []
    results = []
    for number, address in enumerate(settings.notify.to, 1):
        notifications = [each for each in pending.for_address(number) if each.alert.kind in settings.notify.of]
        problems.append(notify_address(settings, address, notifications, run) if notifications else None)
        results.append(NotificationResult(number, notifications, is_accepted=not problems[-1]))
    if any(each.notifications for each in results):
        with store.writing() as connection:
            record_notified(connection, pending, results, datetime.now(UTC))
    raise_failed_addresses(problems)


def raise_failed_addresses(problems: Sequence[str | None]) -> None:
    """Raise NotifyError if an address has a problem. ``problems``: one for each address, in order."""
    failed = [f"the {ordinal(number)} address {problem}" for number, problem in enumerate(problems, 1) if problem]
    if failed:
        raise NotifyError(f"of `notify.to` {', '.join(failed)}")


def notify_address(settings: Settings, address: str, notifications: Sequence[Notification], run: int) -> str | None:
    """Send one message. Returns the problem with the address, if any, without the address."""
    heading, text = (mask_secrets(part, settings.secrets) for part in (title(notifications, run), body(notifications)))
    return send(address, heading, text, alert_egress(settings), is_good=all(each.is_over for each in notifications))


def title(notifications: Sequence[Notification], run: int) -> str:
    """`audience-sync run 7: 2 held, 1 recovered`; without the run where it is 0."""
    counts = {kind: sum(each.alert.kind is kind and not each.is_over for each in notifications) for kind in AlertKind}
    counted = [f"{count:,} {HEADINGS[kind].lower()}" for kind, count in counts.items() if count]
    recovered = sum(each.is_over for each in notifications)
    counted += [f"{recovered:,} recovered"] if recovered else []
    return f"audience-sync{f' run {run}' if run else ''}: {', '.join(counted)}"


def body(notifications: Sequence[Notification]) -> str:
    lines = [_line(each) for each in sorted(notifications, key=lambda each: each.is_over)]
    return "\n".join([*lines[:MAX_LINES], *and_more(len(lines) - MAX_LINES, "... ", ": audience-sync history")])


def _line(notification: Notification) -> str:
    kind, subject, text = notification.alert
    if notification.is_over:
        return f"RECOVERED {subject} (was: {HEADINGS[kind].lower()})"
    return f"{HEADINGS[kind]} {subject}: {text}"


def alert_egress(settings: Settings) -> Egress:
    """The proxy and certificates for alerts: the config's `proxy` and `ca_file`."""
    return Egress.of(settings.ca_file, settings.proxy)


def error_text(error: Exception, settings: Settings) -> str:
    """The text of an error, without secrets."""

    def mask(text: str) -> str:
        return mask_secrets(text, settings.secrets)

    return mask(str(error)) if isinstance(error, AudienceSyncError) else summarize_error(error, mask)


def ordinal(number: int) -> str:
    """`first`, `second`, ... `12th`."""
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")
