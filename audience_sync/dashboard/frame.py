"""Read what every page shows: how many things need a person, and how fresh the numbers are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audience_sync.config.models import Settings
from audience_sync.dashboard.page import Page, Visit
from audience_sync.errors import AudienceSyncError
from audience_sync.history.attention import read_attention
from audience_sync.history.concerns import Attention, LateSchedule
from audience_sync.schedule.entries import ScheduleEntry, schedule_entries
from audience_sync.schedule.late import find_late


def attention(visit: Visit) -> Attention:
    """What needs a person now, as `audience-sync status` has it."""
    settings = visit.site.settings
    if settings is None:
        return read_attention(visit.connection)
    return read_attention(
        visit.connection,
        late=_late(visit, settings),
        keys=None if any(each.property_key is None for each in settings.audiences) else _names(settings),
        destinations=list(settings.destinations),
    )


def page_context(visit: Visit, page: Page) -> dict[str, Any]:
    """All values of a page's template: its own, and those of nav.html and foot.html."""
    found = page.attention or attention(visit)
    return {"todo": len(found.needs_person), "last_run": found.last_run, **page.context}


def entries_of(settings: Settings) -> Sequence[ScheduleEntry]:
    """The schedules of the config; none without one."""
    try:
        return schedule_entries(settings)
    except AudienceSyncError:
        return ()


def _names(settings: Settings) -> list[str]:
    """The keys and names of the config's audiences."""
    keys = [each.property_key for each in settings.audiences]
    return [each for each in (*keys, *(each.name for each in settings.audiences)) if each is not None]


def _late(visit: Visit, settings: Settings) -> Sequence[LateSchedule]:
    """Schedules whose time came without a run. One that no scheduler has served yet is not late: cron may do it."""
    return find_late(visit.connection, settings, visit.now) if entries_of(settings) else ()
