"""Group the config's audiences by schedule, and build one run request from all that are due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from audience_sync.config.models import AudienceConfig, Settings
from audience_sync.config.sections.guard import Schedule
from audience_sync.errors import ConfigError, Problem
from audience_sync.schedule.times import find_due, first_after, schedule_name
from audience_sync.store.runs.schedule_slots import LastSlot, Slot
from audience_sync.sync.values.request import Selection, Sync


class ScheduleEntry(Struct, frozen=True):
    """A schedule and its audiences. Every run syncs the computed traits too."""

    schedule: Schedule
    audiences: tuple[AudienceConfig, ...]

    @property
    def name(self) -> str:
        """The schedule's name in the store."""
        return schedule_name(self.schedule)


_NO_SCHEDULE = """no schedule is set. Nothing was run.
    Add one to config.yaml, for example:
      schedule: {cron: "*/15 * * * *", timezone: Europe/Berlin}
    Or let cron run: audience-sync sync"""


def schedule_entries(settings: Settings) -> list[ScheduleEntry]:
    """Every schedule of the config, once. Raises ConfigError if the config has no schedule."""
    found: dict[str, tuple[Schedule, list[AudienceConfig]]] = {}
    for config in settings.audiences:
        schedule = settings.schedule_of(config)
        if schedule is not None:
            found.setdefault(schedule_name(schedule), (schedule, []))[1].append(config)
    general = settings.general_schedule
    if general is not None:
        found.setdefault(schedule_name(general), (general, []))
    if not found:
        raise ConfigError([Problem("", _NO_SCHEDULE)])
    return [ScheduleEntry(schedule, tuple(audiences)) for schedule, audiences in found.values()]


def next_time(found: Sequence[ScheduleEntry], after: datetime) -> datetime:
    return min(first_after(each.schedule, after) for each in found)


def due_request(
    settings: Settings, found: Sequence[ScheduleEntry], last: Mapping[str, LastSlot], now: datetime
) -> Sync | None:
    """One request for all that is due; None if nothing is. ``last``: the last slot of each schedule, by name."""
    slots, audiences = list[Slot](), list[AudienceConfig]()
    for each in found:
        before = last[each.name]
        came = find_due(each.schedule, before.at if before.is_over else before.at - timedelta(microseconds=1), now)
        if came is not None:
            slots.append(Slot(each.name, came.at, came.missed + before.missed, before.since or came.since))
            audiences += each.audiences
    if not slots:
        return None
    whole = len(audiences) == len(settings.audiences)
    return Sync(command="schedule", selection=Selection(entries=None if whole else audiences), slots=slots)
