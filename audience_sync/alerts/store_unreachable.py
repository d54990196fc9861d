"""Notify people once when the store can't be reached, and so can't keep the alert.

A marker file on this host stays until a run succeeds in reaching the store again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from audience_sync.alerts.conditions import RUN
from audience_sync.alerts.notify import notify_address, raise_failed_addresses
from audience_sync.alerts.unreachable_marker import marker_paths
from audience_sync.config.models import Settings
from audience_sync.model import AlertKind
from audience_sync.store.alerts.alerts import Alert
from audience_sync.store.alerts.notifications import Notification
from audience_sync.store.connection.engine import Store


def report_unreachable(settings: Settings, alert: Alert) -> None:
    """Notify people unless the marker shows that they were notified. Raises NotifyError if an address fails."""
    if AlertKind.FAILED in settings.notify.of and not any(each.is_file() for each in _markers(settings)):
        _notify_addresses(settings, Notification(0, alert, is_over=False), _write_marker)


def report_recovery(settings: Settings) -> None:
    """After a run: notify people of the recovery if the marker exists. Raises NotifyError if an address fails."""
    if any(each.is_file() for each in _markers(settings)):
        _notify_addresses(settings, Notification(0, Alert(AlertKind.FAILED, RUN, ""), is_over=True), _delete_markers)


def _notify_addresses(settings: Settings, notification: Notification, record: Callable[[Settings], None]) -> None:
    """Send one notification, and call ``record`` if at least one address accepted it."""
    addresses = settings.notify.to
    problems = [notify_address(settings, address, [notification], 0) for address in addresses]
    if not all(problems) or not addresses:
        record(settings)
    raise_failed_addresses(problems)


def _write_marker(settings: Settings) -> None:
    """Create the marker in the first usable folder. Without one, people are notified again after each failure."""
    for marker in _markers(settings):
        with suppress(OSError):
            marker.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if marker.parent.stat().st_uid == os.getuid():
                os.close(os.open(marker, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
                return


def _delete_markers(settings: Settings) -> None:
    for marker in _markers(settings):
        marker.unlink(missing_ok=True)


def _markers(settings: Settings) -> Iterator[Path]:
    return marker_paths(Store(settings.store).label)
