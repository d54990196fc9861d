"""Answer whether anything is wrong, and what to type: what needs a person, the last runs, audiences, destinations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from markupsafe import Markup
from sqlalchemy import Connection

from audience_sync.config.models import Settings
from audience_sync.dashboard.frame import attention, entries_of
from audience_sync.dashboard.links import href
from audience_sync.dashboard.page import Dataset, Page, Visit
from audience_sync.dashboard.pages.audiences import state_of_audience
from audience_sync.dashboard.pages.runs import strip_context
from audience_sync.dashboard.pages.sparklines import LENGTH, Sparklines, read_sparklines
from audience_sync.dashboard.queries.audiences import (
    AudienceRow,
    Snapshot,
    read_audiences,
    read_changes_since,
    read_run_times,
)
from audience_sync.dashboard.queries.destinations import STATE, read_destinations
from audience_sync.dashboard.queries.progress import read_progress
from audience_sync.dashboard.queries.runs import RunFilter, read_runs, runs_query
from audience_sync.history.attention_text import headline
from audience_sync.history.concerns import Attention, Concern, SubjectKind
from audience_sync.schedule.entries import ScheduleEntry
from audience_sync.schedule.times import schedule_name, times_after
from audience_sync.text import form, pluralize
from audience_sync.web import formats

#: Runs of the strip; audiences, and next times, of their tables.
STRIP, MOST_AUDIENCES, MOST_TIMES = 46, 25, 4
#: States of audiences that the table shows first, if it can't show all.
_FIRST = ("failed", "held", "waiting")
AUDIENCES = """select key, name, members, last_run, last_status, changed_at, flags
from {views}audiences
where retired_at is null
order by name, key"""

#: The values of the page without a run.
EMPTY = {"title": "No run yet", "here": "home", "live": "page"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAudience:
    """``entered``, ``left``: in the last 24 hours; None for an audience that waits for its seed."""

    audience: AudienceRow
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
        return Page(template="home_empty.html", context=EMPTY, attention=found)
    runs = read_runs(visit.connection, RunFilter(), most=STRIP)
    latest = runs[0]
    every = [each for each in read_audiences(visit.connection) if each.retired_at is None]
    first = sorted(every, key=lambda each: state_of_audience(each) not in _FIRST)
    shown = every if len(every) <= MOST_AUDIENCES else first[:MOST_AUDIENCES]
    times = read_run_times(visit.connection, visit.now - LENGTH)
    day = [each for each in times if each.at >= visit.now - timedelta(hours=24)]
    sparklines = read_sparklines(visit.connection, shown, times, visit.now)
    return Page(
        template="home.html",
        attention=found,
        context={
            "title": headline(found),
            "here": "home",
            "live": "page",
            "todos": [todo(visit, each) for each in found.needs_person],
            "continuing": [todo(visit, each) for each in found.continuing if each.kind is not SubjectKind.RUN],
            "latest": latest,
            "well": well(found),
            "progress": None if latest.is_over else read_progress(visit.connection, latest.run, visit.now),
            **strip_context(visit, runs[::-1]),
            "lines": _lines(visit.connection, shown, sparklines, day),
            "audience_count": len(every),
            "days": sparklines.days,
            "destinations": read_destinations(visit.connection),
            "next_runs": next_runs(visit.site.settings, visit.now),
        },
        datasets=(
            Dataset("runs", runs_query(RunFilter())),
            Dataset("audiences", AUDIENCES),
            Dataset("destinations", STATE),
        ),
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
    if last.pending:
        calls = f"{pluralize(last.pending, 'call')} {form(last.pending, 'is')} pending"
    return f"Nothing needs a person: run {last.run} {last.status}, and {calls}."


def _lines(
    connection: Connection, audiences: Sequence[AudienceRow], sparklines: Sparklines, day: Sequence[Snapshot]
) -> list[HomeAudience]:
    """The rows of the table. ``day``: the runs of the last 24 hours."""
    changes = read_changes_since(connection, day[0].run) if day else {}
    found = list[HomeAudience]()
    for each in audiences:
        entered, left = changes.get(each.key, (0, 0)) if each.created_at is not None else (None, None)
        found.append(
            HomeAudience(
                audience=each,
                entered=entered,
                left=left,
                spark=sparklines.drawn[each.key],
                state=state_of_audience(each),
            )
        )
    return found


def next_runs(settings: Settings | None, now: datetime) -> list[NextRun]:
    """The next times of all schedules, the soonest first: two of each at most."""
    if settings is None:
        return []
    found = [
        NextRun(at, _what(entry, len(settings.audiences)), schedule_name(entry.schedule))
        for entry in entries_of(settings)
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
