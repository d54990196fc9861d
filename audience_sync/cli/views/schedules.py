"""Lay out schedules: next and last time in their own time zones, and what each syncs."""

from __future__ import annotations

from collections.abc import Sequence

from audience_sync.cli.base.layout import Column, Screen, advice, labelled, prose, table
from audience_sync.project.schedules import ProjectSchedule
from audience_sync.text import pluralize

COLUMNS = ("schedule", "next", "last", "run", "syncs")


def schedule_lines(schedules: Sequence[ProjectSchedule], screen: Screen) -> list[str]:
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
