"""Answer whether anything is wrong, and what to type: what needs a person, the last runs, audiences, destinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from markupsafe import Markup

from audience_sync.dashboard.charts.sparkline import sparkline
from audience_sync.dashboard.frame import attention, entries_of
from audience_sync.dashboard.links import href
from audience_sync.dashboard.page import Dataset, Page, Visit
from audience_sync.dashboard.pages.runs import context_of
from audience_sync.dashboard.queries.audiences import (
    AudienceRow,
    Snapshot,
    read_audiences,
    read_holds_since,
    read_members_at,
    read_run_times,
    snapshots_at,
)
from audience_sync.dashboard.queries.destinations import STATE, read_destinations
from audience_sync.dashboard.queries.progress import read_progress
from audience_sync.dashboard.queries.rows import read
from audience_sync.dashboard.queries.runs import COLUMNS, RunFilter, read_runs
from audience_sync.history.attention_text import headline
from audience_sync.history.concerns import Attention, Concern, SubjectKind
from audience_sync.schedule.entries import ScheduleEntry
from audience_sync.schedule.times import schedule_name, times_after
from audience_sync.web import formats

#: Runs of the strip; audiences, and next times, of their tables.
STRIP, MOST_AUDIENCES, MOST_TIMES = 46, 40, 4
SPARK_DAYS, SPARK_POINTS = 30, 30
DAY = timedelta(hours=24)
RUNS = f"select {COLUMNS}\nfrom {{views}}sync_runs\norder by run desc"
AUDIENCES = """select key, name, members, last_run, last_status, changed_at, flags
from {views}audiences
where retired_at is null
order by name, key"""
#: Flags that are shown as the state of an audience, the most urgent first.
_FLAGS = ("held", "failed", "waiting", "frozen")


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAudience:
    """``entered``, ``left``: in the last 24 hours; None for an audience that waits for its seed."""

    key: str
    name: str
    members: int | None
    entered: int | None
    left: int | None
    spark: Markup
    state: str


@dataclass(frozen=True, slots=True)
class NextRun:
    """The next time of a schedule. ``what``: the audiences that it runs."""

    at: datetime
    what: str
    schedule: str


@dataclass(frozen=True, slots=True)
class Todo:
    """A thing that needs a person, as a list shows it."""

    concern: Concern
    link: str
    word: str
    commands: Sequence[str]


def home_page(visit: Visit) -> Page:
    found = attention(visit)
    if found.last_run is None:
        context = {"title": "No run yet", "here": "home", "live": "page", "attention": found}
        return Page(template="home_empty.html", context=context)
    runs = read_runs(visit.connection, RunFilter(), most=STRIP)
    entries = entries_of(visit.site.settings)
    every = [each for each in read_audiences(visit.connection) if each.retired_at is None]
    days, audiences = home_audiences(visit, every[:MOST_AUDIENCES])
    running = runs[0] if runs and runs[0].status == "running" else None
    return Page(
        template="home.html",
        context={
            "title": headline(found),
            "here": "home",
            "live": "page",
            "attention": found,
            "headline": headline(found),
            "todos": [todo(visit, each) for each in found.needs_person],
            "continuing": [todo(visit, each) for each in found.continuing if each.kind is not SubjectKind.RUN],
            "latest": runs[0],
            "well": well(found),
            "progress": read_progress(visit.connection, running.run, visit.now) if running else None,
            **context_of(visit, runs[::-1]),
            "audiences": audiences,
            "audience_count": len(every),
            "days": days,
            "destinations": read_destinations(visit.connection),
            "next_runs": next_runs(entries, visit.now, all_audiences=_count_audiences(visit)),
            "has_schedule": bool(entries),
        },
        datasets=(Dataset("runs", RUNS), Dataset("audiences", AUDIENCES), Dataset("destinations", STATE)),
    )


def todo(visit: Visit, concern: Concern) -> Todo:
    """The link, the word and the commands of a concern."""
    first = concern.subjects[0]
    match concern.kind:
        case SubjectKind.AUDIENCE if len(concern.subjects) == 1:
            link = href("audience", key=first)
        case SubjectKind.AUDIENCE:
            link = href("audiences")
        case SubjectKind.DESTINATION:
            link = href("destinations", anchor=first)
        case SubjectKind.RUN if first.isdigit():
            link = href("run", run=first)
        case _ if concern.since_run:
            link = href("run", run=concern.since_run)
        case _:
            link = ""
    counted = concern.state.value in ("refused", "pending")
    word = f"{formats.short_count(concern.count)} {concern.state.value}" if counted else concern.state.value
    return Todo(concern, link, word, [visit.site.command(each) for each in concern.commands])


def well(found: Attention) -> str:
    """One sentence for a page on which nothing needs a person."""
    last = found.last_run
    if last is None or last.status not in ("succeeded", "partial"):
        return "Nothing needs a person."
    calls = "every call was accepted" if last.delivered else "nothing had changed"
    return f"Nothing needs a person: run {last.run} {last.status}, and {calls}."


def home_audiences(visit: Visit, audiences: Sequence[AudienceRow]) -> tuple[int, list[HomeAudience]]:
    """The days of the sparklines, and the rows of the table."""
    times = read_run_times(visit.connection, visit.now - timedelta(days=SPARK_DAYS))
    start = max(visit.now - timedelta(days=SPARK_DAYS), min(times[0].at if times else visit.now, visit.now))
    step = (visit.now - start) / (SPARK_POINTS - 1)
    slots = snapshots_at(times, [start + step * index for index in range(SPARK_POINTS)])
    wanted = [each.run for each in slots if each is not None]
    members = read_members_at(visit.connection, [each.key for each in audiences], wanted)
    holds = read_holds_since(visit.connection, wanted[0]) if wanted else {}
    day = _changes_of_a_day(visit, times)
    found = [
        _line(each, members[each.key], slots, holds.get(each.key, ()), day.get(each.key, (0, 0))) for each in audiences
    ]
    return max(round((visit.now - start) / DAY), 1), found


def _line(
    audience: AudienceRow,
    members: Mapping[int, int],
    slots: Sequence[Snapshot | None],
    holds: Sequence[tuple[int, int]],
    day: tuple[int, int],
) -> HomeAudience:
    is_created = audience.created_at is not None
    values = [members.get(each.run) if each is not None and is_created else None for each in slots]
    marks = [
        index
        for index, each in enumerate(slots)
        if each is not None and any(first <= each.run <= last for first, last in holds)
    ]
    return HomeAudience(
        key=audience.key,
        name=audience.name or audience.key,
        members=audience.members if is_created else None,
        entered=day[0] if is_created else None,
        left=day[1] if is_created else None,
        spark=sparkline(values, marks),
        state=next((each for each in _FLAGS if each in audience.flags), audience.last_status or "waiting"),
    )


def _changes_of_a_day(visit: Visit, times: Sequence[Snapshot]) -> Mapping[str, tuple[int, int]]:
    """Users who entered and left in the last 24 hours, by audience, without those of a first creation."""
    recent = [each.run for each in times if each.at >= visit.now - DAY]
    if not recent:
        return {}
    query = """
        select audience_key, sum(entered) as entered, sum("left") as "left" from {views}audience_syncs
        where run >= :first and status <> 'created' group by audience_key
    """
    rows = read(visit.connection, query, first=min(recent))
    return {row["audience_key"]: (int(row["entered"]), int(row["left"])) for row in rows}


def _count_audiences(visit: Visit) -> int:
    return len(visit.site.settings.audiences) if visit.site.settings else 0


def next_runs(entries: Sequence[ScheduleEntry], now: datetime, *, all_audiences: int) -> list[NextRun]:
    """The next times of all schedules, the soonest first: two of each at most."""
    found = [
        NextRun(at, _what(entry, all_audiences), schedule_name(entry.schedule))
        for entry in entries
        for at in islice(times_after(entry.schedule, now), 2)
    ]
    return sorted(found, key=lambda each: each.at)[:MOST_TIMES]


def _what(entry: ScheduleEntry, all_audiences: int) -> str:
    names = [each.name or each.names_from or "" for each in entry.audiences]
    if len(names) == all_audiences:
        return "everything"
    if not names:
        return "computed traits"
    return ", ".join(names) if len(names) <= 2 else f"{len(names)} audiences"
