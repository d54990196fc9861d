"""Notify people: one message to each address with everything that is new to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from audience_sync.alerts.message import body, title
from audience_sync.alerts.send import send
from audience_sync.config.models import Settings
from audience_sync.destinations.http.egress import Egress
from audience_sync.errors import AudienceSyncError, NotifyError, summarize_error
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.store.alerts.notifications import (
    Notification,
    NotificationResult,
    pending_notifications,
    record_notified,
)
from audience_sync.store.connection.engine import Store
from audience_sync.text import ordinal


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


def alert_egress(settings: Settings) -> Egress:
    """The proxy and certificates for alerts: the config's `proxy` and `ca_file`."""
    return Egress.of(settings.ca_file, settings.proxy)


def error_text(error: Exception, settings: Settings) -> str:
    """The text of an error, without secrets."""

    def mask(text: str) -> str:
        return mask_secrets(text, settings.secrets)

    return mask(str(error)) if isinstance(error, AudienceSyncError) else summarize_error(error, mask)
