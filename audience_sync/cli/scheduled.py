"""How are schedules, and the runs by them, shown?"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from audience_sync.cli.compose import read_settings, store_to_read
from audience_sync.cli.options import GlobalOptions
from audience_sync.cli.output import print_json, print_table
from audience_sync.cli.streams import for_programs
from audience_sync.cli.summary import print_in_short
from audience_sync.schedule.entries import Entry, entries
from audience_sync.schedule.times import first_after, times_after
from audience_sync.store.slots import LastSlot, last_slots
from audience_sync.sync.report import Report

log = logging.getLogger("audience_sync.schedule")

#: Times to come of each schedule that ``--json`` gives.
COMING = 3
COLUMNS = {"schedule": "left", "next": "left", "last": "left", "run": "right", "for": "left"}


def say_schedules(found: Sequence[Entry]) -> None:
    now = datetime.now(UTC)
    for each in found:
        log.info("%s: %s; next %s", each.name, ", ".join(_whose(each)), _local(each, first_after(each.schedule, now)))


def say_report(report: Report, *, as_json: bool) -> None:
    """One document a line, for programs."""
    if as_json:
        for_programs(sys.stdout)
        print(json.dumps(report.as_json(), ensure_ascii=False), flush=True)
    else:
        print_in_short(report)


def list_schedules(options: GlobalOptions) -> None:
    settings, now = read_settings(options), datetime.now(UTC)
    found = entries(settings)
    with store_to_read(settings.store) as store, store.reading() as connection:
        last = last_slots(connection, [each.name for each in found], now)
    ran = {name: each for name, each in last.items() if each.run is not None}
    if options.as_json:
        print_json([_json(each, ran.get(each.name), now) for each in found])
    else:
        print_table(COLUMNS, [_row(each, ran.get(each.name), now) for each in found])


def _row(entry: Entry, last: LastSlot | None, now: datetime) -> Sequence[object]:
    coming = _local(entry, first_after(entry.schedule, now))
    then = (_local(entry, last.at), str(last.run)) if last else ("never", "")
    return (entry.name, coming, *then, ", ".join(_whose(entry)))


def _json(entry: Entry, last: LastSlot | None, now: datetime) -> dict[str, Any]:
    return {
        "schedule": entry.name,
        "cron": entry.schedule.cron,
        "every": None if entry.schedule.every is None else entry.schedule.every.total_seconds(),
        "timezone": entry.schedule.timezone,
        "audiences": [each.property_key for each in entry.audiences if each.names_from is None],
        "names_from": [each.names_from for each in entry.audiences if each.names_from is not None],
        "last": last and {"due_at": last.at, "run": last.run},
        "next": list(islice(times_after(entry.schedule, now), COMING)),
    }


def _whose(entry: Entry) -> list[str]:
    """The audiences by their keys, and what every run is for."""
    return [*(each.property_key or f"all {each.names_from}" for each in entry.audiences), "computed traits"]


def _local(entry: Entry, moment: datetime) -> str:
    """In the schedule's own time zone."""
    return f"{moment.astimezone(ZoneInfo(entry.schedule.timezone or 'UTC')):%Y-%m-%d %H:%M:%S %Z}"
