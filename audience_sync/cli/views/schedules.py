"""Lay out schedules: next and last time in their own time zones, and what each syncs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from audience_sync.cli.base.layout import Column, Screen, advice, labelled, prose, table
from audience_sync.schedule.entries import ScheduleEntry
from audience_sync.schedule.times import first_after, times_after
from audience_sync.store.runs.schedule_slots import LastSlot
from audience_sync.text import pluralize

#: Future times of each schedule in ``--json``.
UPCOMING_TIMES = 3
COLUMNS = ("schedule", "next", "last", "run", "syncs")


class ShownSchedule(Struct, frozen=True):
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

    def as_json(self) -> dict[str, Any]:
        schedule, audiences = self.entry.schedule, self.entry.audiences
        return {
            "schedule": self.entry.name,
            "cron": schedule.cron,
            "every": None if schedule.every is None else schedule.every.total_seconds(),
            "timezone": schedule.timezone,
            "audiences": [each.property_key for each in audiences if each.names_from is None],
            "names_from": [each.names_from for each in audiences if each.names_from is not None],
            "last": self.slot and {"due_at": self.slot.at, "run": self.slot.run},
            "next": list(islice(times_after(schedule, self.now), UPCOMING_TIMES)),
        }


def schedule_lines(schedules: Sequence[ShownSchedule], screen: Screen) -> list[str]:
    """Lay out a block for each schedule, or without a terminal a table."""
    if screen.width is None:
        rows = [
            (each.entry.name, each.coming, each.last or "never", str(each.slot.run) if each.slot else "", each.syncs)
            for each in schedules
        ]
        return table([Column(name, right=name == "run") for name in COLUMNS], rows, screen)
    coming = f", next run {schedules[0].coming}" if len(schedules) == 1 else ""
    lines = prose(f"{pluralize(len(schedules), 'schedule')}{coming}.", screen)
    for each in schedules:
        last = f"{each.last}, run {each.slot.run}" if each.slot else "never"
        pairs = [("Next", each.coming), ("Last", last), ("Syncs", each.syncs)]
        lines += ["", *prose(each.entry.name.removeprefix("cron "), screen), *labelled(pairs, screen)]
    if not any(each.slot for each in schedules):
        start = "No scheduler has run yet. To start it:"
        lines += ["", *advice(start, "audience-sync schedule", screen=screen)]
    return lines
