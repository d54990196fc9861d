"""Write the message of an alert: a title with counts, and one line for each alert that starts or ends."""

from __future__ import annotations

from collections.abc import Sequence

from audience_sync.command_line import given_options, with_options
from audience_sync.model import AlertKind
from audience_sync.store.alerts.notifications import Notification
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


def title(notifications: Sequence[Notification], run: int) -> str:
    """`audience-sync run 7: 2 held, 1 recovered`; without the run where it is 0."""
    counts = {kind: sum(each.alert.kind is kind and not each.is_over for each in notifications) for kind in AlertKind}
    counted = [f"{count:,} {HEADINGS[kind].lower()}" for kind, count in counts.items() if count]
    recovered = sum(each.is_over for each in notifications)
    counted += [f"{recovered:,} recovered"] if recovered else []
    return f"audience-sync{f' run {run}' if run else ''}: {', '.join(counted)}"


def body(notifications: Sequence[Notification]) -> str:
    """One line for each alert. The commands in it have the options of the process that writes it."""
    lines = [_line(each) for each in sorted(notifications, key=lambda each: each.is_over)]
    rest = and_more(len(lines) - MAX_LINES, "... ", ": audience-sync history")
    return with_options("\n".join([*lines[:MAX_LINES], *rest]), given_options())


def _line(notification: Notification) -> str:
    kind, subject, text = notification.alert
    if notification.is_over:
        return f"RECOVERED {subject} (was: {HEADINGS[kind].lower()})"
    return f"{HEADINGS[kind]} {subject}: {text}"
