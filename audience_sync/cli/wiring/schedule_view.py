"""Show schedules, and the runs that they start."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from audience_sync.cli.base.layout import PIPE, Column, Screen, command, labelled, prose, table
from audience_sync.cli.base.options import GlobalOptions
from audience_sync.cli.base.output import print_json, screen, write
from audience_sync.cli.base.streams import write_utf8
from audience_sync.cli.views.attention import blocks, urgent_lines
from audience_sync.cli.views.run_details import read_details
from audience_sync.cli.views.summary import short_summary
from audience_sync.cli.wiring.dependencies import read_settings
from audience_sync.cli.wiring.run_command import print_urgent
from audience_sync.config.models import Settings
from audience_sync.project import store_to_read
from audience_sync.schedule.entries import ScheduleEntry, schedule_entries
from audience_sync.schedule.times import first_after, times_after
from audience_sync.store.runs.schedule_slots import LastSlot, last_slots
from audience_sync.sync.values.report import Report
from audience_sync.text import pluralize

log = logging.getLogger("audience_sync.schedule")

#: Future times of each schedule in ``--json``.
UPCOMING_TIMES = 3
COLUMNS = ("schedule", "next", "last", "run", "syncs")


def log_schedules(found: Sequence[ScheduleEntry]) -> None:
    now = datetime.now(UTC)
    for each in found:
        log.info(
            "%s: %s; next %s",
            each.name,
            ", ".join(_synced_names(each)),
            _local_time(each, first_after(each.schedule, now)),
        )


def print_report(report: Report, settings: Settings, options: GlobalOptions) -> None:
    """Print a run of the scheduler: one JSON document a line, or one line and what needs a person."""
    with store_to_read(settings.store) as store, store.reading() as connection:
        details = read_details(connection, settings, report, Path(options.config).name)
    urgent = urgent_lines(list(blocks(report, details, PIPE)))
    if options.as_json and (urgent or not options.quiet):
        write_utf8(sys.stdout)
        print(json.dumps(report.as_json(), ensure_ascii=False), flush=True)
    elif not options.quiet:
        write(short_summary(report, details, screen()))
    print_urgent(urgent, shown=not options.as_json and not options.quiet)


def list_schedules(options: GlobalOptions) -> None:
    settings, now = read_settings(options), datetime.now(UTC)
    found = schedule_entries(settings)
    with store_to_read(settings.store) as store, store.reading() as connection:
        last = last_slots(connection, [each.name for each in found], now)
    ran = {name: each for name, each in last.items() if each.run is not None}
    if options.as_json:
        print_json([_json(each, ran.get(each.name), now) for each in found])
    else:
        write(schedule_lines([Shown.of(each, ran.get(each.name), now) for each in found], screen()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A schedule with its next and last time in its own time zone, and the keys that it syncs.

    ``run``: the run of the last time.
    """

    name: str
    coming: str
    last: str | None
    run: int | None
    syncs: Sequence[str]

    @staticmethod
    def of(entry: ScheduleEntry, last: LastSlot | None, now: datetime) -> Shown:
        coming = _local_time(entry, first_after(entry.schedule, now))
        last_time = last and _local_time(entry, last.at)
        return Shown(name=entry.name, coming=coming, last=last_time, run=last and last.run, syncs=_synced_names(entry))


def schedule_lines(schedules: Sequence[Shown], screen: Screen) -> list[str]:
    """Lay out a block for each schedule, or without a terminal a table."""
    if screen.width is None:
        rows = [
            (each.name, each.coming, each.last or "never", str(each.run or ""), ", ".join(each.syncs))
            for each in schedules
        ]
        return table([Column(name, right=name == "run") for name in COLUMNS], rows, screen)
    coming = f", next run {schedules[0].coming}" if len(schedules) == 1 else ""
    lines = prose(f"{pluralize(len(schedules), 'schedule')}{coming}.", screen)
    for each in schedules:
        last = f"{each.last}, run {each.run}" if each.last else "never"
        pairs = [("Next", each.coming), ("Last", last), ("Syncs", ", ".join(each.syncs))]
        lines += ["", *prose(each.name.removeprefix("cron "), screen), *labelled(pairs, screen)]
    if not any(each.last for each in schedules):
        lines += ["", "No scheduler has run yet. To start it:", command("audience-sync schedule")]
    return lines


def _json(entry: ScheduleEntry, last: LastSlot | None, now: datetime) -> dict[str, Any]:
    return {
        "schedule": entry.name,
        "cron": entry.schedule.cron,
        "every": None if entry.schedule.every is None else entry.schedule.every.total_seconds(),
        "timezone": entry.schedule.timezone,
        "audiences": [each.property_key for each in entry.audiences if each.names_from is None],
        "names_from": [each.names_from for each in entry.audiences if each.names_from is not None],
        "last": last and {"due_at": last.at, "run": last.run},
        "next": list(islice(times_after(entry.schedule, now), UPCOMING_TIMES)),
    }


def _synced_names(entry: ScheduleEntry) -> list[str]:
    """The keys of the audiences, and the computed traits, which every run syncs."""
    return [*(each.property_key or f"all {each.names_from}" for each in entry.audiences), "computed traits"]


def _local_time(entry: ScheduleEntry, moment: datetime) -> str:
    """Format a time in the schedule's time zone."""
    local = moment.astimezone(ZoneInfo(entry.schedule.timezone or "UTC"))
    return f"{local:%Y-%m-%d %H:%M:%S %Z}" if local.second else f"{local:%Y-%m-%d %H:%M %Z}"
