"""May a seed go on to the next share of the members? Not while too many of those it has reached are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from audience_sync.model import AudienceStatus
from audience_sync.store.tables import destinations, properties, refused_values
from audience_sync.sync.values.report import DestinationReport, Report
from audience_sync.text import pluralize, share_of


@dataclass(frozen=True, slots=True)
class RampStep:
    """A run of a ramp: until ``share`` (0 to 1) of the members had been told. ``stopped``: why it is the last one."""

    share: float
    report: Report
    stopped: str | None = None


def refused_of(connection: Connection, key: str) -> dict[str, int]:
    """How many users each destination refuses to take the audience of, by its name."""
    query = (
        select(destinations.c.name, func.count().label("users"))
        .select_from(refused_values.join(destinations).join(properties))
        .where(properties.c.key == key)
        .group_by(destinations.c.name)
    )
    return {row.name: row.users for row in connection.execute(query)}


def why_to_stop(report: Report, key: str, refused: dict[str, int], most_refused: float) -> str | None:
    """None where the next share may be told. ``most_refused``: a share (0 to 1) of the members that were reached."""
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
