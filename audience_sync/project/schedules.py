"""List the schedules of a project: their next and last times, in their own time zones."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from audience_sync.project.access import Access
from audience_sync.schedule.entries import ScheduleEntry, schedule_entries
from audience_sync.schedule.times import first_after, times_after
from audience_sync.store.runs.schedule_slots import LastSlot, last_slots
from audience_sync.text import iso_time

#: Future times of each schedule in ``--json``.
UPCOMING_TIMES = 3


class ProjectSchedule(Struct, frozen=True):
    """A schedule at a moment. ``slot``: its last time that had a run, if there is one."""

    entry: ScheduleEntry
    slot: LastSlot | None
    now: datetime

    @property
    def coming(self) -> str:
        return self._local_time(first_after(self.entry.schedule, self.now))

    @property
    def last(self) -> str | None:
        return self.slot and self._local_time(self.slot.at)

    @property
    def syncs(self) -> str:
        """The keys of the audiences, and the computed traits, which every run syncs."""
        audiences = (each.property_key or f"all {each.names_from}" for each in self.entry.audiences)
        return ", ".join([*audiences, "computed traits"])

    def _local_time(self, moment: datetime) -> str:
        """Format a time in the schedule's time zone."""
        local = moment.astimezone(ZoneInfo(self.entry.schedule.timezone or "UTC"))
        return f"{local:%Y-%m-%d %H:%M:%S %Z}" if local.second else f"{local:%Y-%m-%d %H:%M %Z}"

    def to_dict(self) -> dict[str, Any]:
        """One of the documents of ``audience-sync schedule --list --json``."""
        schedule, audiences = self.entry.schedule, self.entry.audiences
        return {
            "schedule": self.entry.name,
            "cron": schedule.cron,
            "every": None if schedule.every is None else schedule.every.total_seconds(),
            "timezone": schedule.timezone,
            "audiences": [each.property_key for each in audiences if each.names_from is None],
            "names_from": [each.names_from for each in audiences if each.names_from is not None],
            "last": self.slot and {"due_at": iso_time(self.slot.at, "auto"), "run": self.slot.run},
            "next": [iso_time(each, "auto") for each in islice(times_after(schedule, self.now), UPCOMING_TIMES)],
        }


def read_schedules(access: Access, now: datetime) -> tuple[ProjectSchedule, ...]:
    """The schedules of the config, with their last times in the store."""
    found = schedule_entries(access.settings())
    with access.reading() as store, store.reading() as connection:
        last = last_slots(connection, [each.name for each in found], now)
    ran = {name: each for name, each in last.items() if each.run is not None}
    return tuple(ProjectSchedule(each, ran.get(each.name), now) for each in found)
