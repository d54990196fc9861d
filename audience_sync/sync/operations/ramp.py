"""Decide whether a ramp continues with the next share of members; it stops if too many calls are refused."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from audience_sync.model import AudienceStatus
from audience_sync.store.tables import delivery_destinations, properties, refused_values
from audience_sync.sync.values.report import DestinationReport, Report
from audience_sync.text import pluralize, share_of


def refused_of(connection: Connection, key: str) -> dict[str, int]:
    """By destination, the number of users whose value of the audience it has refused."""
    query = (
        select(delivery_destinations.c.name, func.count().label("users"))
        .select_from(refused_values.join(delivery_destinations).join(properties))
        .where(properties.c.key == key)
        .group_by(delivery_destinations.c.name)
    )
    return {row.name: row.users for row in connection.execute(query)}


def stop_reason(report: Report, key: str, refused: dict[str, int], most_refused: float) -> str | None:
    """The reason to stop; None to continue. ``most_refused``: a share (0 to 1) of the members that were reached."""
    audience = next((each for each in report.audiences if each.key == key), None)
    if audience is None or audience.status in (AudienceStatus.FAILED, AudienceStatus.HELD):
        return f"{key} could not be loaded, or is held"
    if report.errors:
        return "; ".join(report.errors)
    reasons = [
        reason for each in report.destinations for reason in _reasons(each, audience.after, refused, most_refused)
    ]
    return "; ".join(reasons) or None


def _reasons(each: DestinationReport, members: int, refused: dict[str, int], most_refused: float) -> Iterator[str]:
    if each.error:
        yield f"{each.name} did not answer everything ({each.error})"
    reached, count = max(members - each.pending, 1), refused.get(each.name, 0)
    if count > most_refused * reached:
        yield (
            f"{each.name} refused {count:,} of {pluralize(reached, 'call')} ({share_of(count, reached)}; limit "
            f"{most_refused * 100:g}%)"
        )
