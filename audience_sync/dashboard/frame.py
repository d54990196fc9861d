"""Read what every page shows: how many things need a person, and how fresh the numbers are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from audience_sync.config.models import Settings
from audience_sync.dashboard.page import Visit
from audience_sync.dashboard.queries.rows import read, utc
from audience_sync.errors import AudienceSyncError
from audience_sync.history.attention import read_attention
from audience_sync.history.concerns import Attention, LateSchedule
from audience_sync.schedule.entries import ScheduleEntry, schedule_entries
from audience_sync.schedule.times import find_due

#: A scheduled time without a run is late after this time, or after a tenth of the schedule's interval.
LATE_AFTER = timedelta(minutes=5)


def attention(visit: Visit) -> Attention:
    """What needs a person now, as `audience-sync status` has it."""
    settings = visit.site.settings
    if settings is None:
        return read_attention(visit.connection)
    return read_attention(
        visit.connection,
        late=list(_late(visit, settings)),
        keys=None if any(each.property_key is None for each in settings.audiences) else _keys(settings),
        destinations=list(settings.destinations),
    )


def frame(visit: Visit, found: Attention) -> dict[str, Any]:
    """The values of base.html, nav.html and foot.html."""
    last = found.last_run
    return {
        "todo": len(found.needs_person),
        "last_run": last,
        "site": visit.site,
        "now": visit.now,
    }


def entries_of(settings: Settings | None) -> Sequence[ScheduleEntry]:
    """The schedules of the config; none without a config or a schedule."""
    if settings is None:
        return ()
    try:
        return schedule_entries(settings)
    except AudienceSyncError:
        return ()


def _keys(settings: Settings) -> list[str]:
    return [each.property_key for each in settings.audiences if each.property_key is not None]


def _late(visit: Visit, settings: Settings) -> Iterator[LateSchedule]:
    """Schedules whose time came without a run. One that no scheduler has served yet is not late: cron may do it."""
    served = _last_served(visit.connection)
    for entry in entries_of(settings):
        if (before := served.get(entry.name)) is None:
            continue
        due = find_due(entry.schedule, before, visit.now)
        if due is not None and visit.now - (due.since or due.at) > LATE_AFTER:
            yield LateSchedule(entry.name, due.since or due.at, due.missed + 1)


def _last_served(connection: Connection) -> dict[str, Any]:
    query = "select schedule, max(due_at) as due_at from {views}scheduled_runs group by schedule"
    return {row["schedule"]: utc(row["due_at"]) for row in read(connection, query)}
