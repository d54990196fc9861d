"""Make the chart of an audience's members from its runs, holds, freezes and decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from audience_sync.dashboard.charts.members import ChartEvent, ChartPoint
from audience_sync.dashboard.queries.audience import AudienceRun
from audience_sync.dashboard.queries.decisions import Decision, Freeze
from audience_sync.dashboard.queries.holds import Hold
from audience_sync.text import pluralize

#: The ranges of the chart by their word in the address; None: everything.
RANGES = {"7d": timedelta(days=7), "30d": timedelta(days=30), "1y": timedelta(days=366), "all": None}
#: Points of the chart; more runs are put together by the hour, the day or the week.
MOST_POINTS = 800
#: Events in the chart and in the list below it, the newest.
MOST_EVENTS = 30
#: Rows of the chart's table on the page, the newest; CSV has all.
TABLE_ROWS = 100
#: What a point may stand for, if not for a run.
_UNITS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "4 weeks": timedelta(days=28),
}
#: The words of events, with the icon and the hue of each.
_LOOKS = {
    "created": ("created", "ok"),
    "seeded": ("created", "ok"),
    "undone": ("undo", ""),
    "resync": ("created", ""),
    "retired": ("same", ""),
    "held": ("held", "act"),
    "approved": ("approve", "ok"),
    "rejected": ("undo", ""),
    "frozen": ("same", ""),
    "unfrozen": ("same", ""),
    "config": ("config", ""),
}
#: The commands whose effect is an event, and its word.
_COMMANDS = {"undo": "undone", "resync": "resync", "retire": "retired", "seed": "seeded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersChart:
    """The chart of members. ``unit``: what one point stands for."""

    points: Sequence[ChartPoint]
    events: Sequence[ChartEvent]
    hidden_events: int
    unit: str


def members_chart(
    history: Sequence[AudienceRun],
    holds: Sequence[Hold],
    freezes: Sequence[Freeze],
    decisions: Sequence[Decision],
    *,
    zone: ZoneInfo,
    since: datetime | None,
) -> MembersChart:
    """Make the points and events of the chart, from the audience's runs since a time."""
    synced = [each for each in history if each.status != "waiting"]
    points = [
        ChartPoint(
            run=each.run,
            at=each.at,
            members=each.members,
            entered=0 if each.status == "created" else each.entered,
            left=each.left,
        )
        for each in synced
    ]
    points, unit = thinned(points, zone)
    found = [
        *_run_events(synced, decisions),
        *_hold_events(holds, {each.run: each for each in synced}),
        *_freeze_events(freezes),
        *(_event("config", each.at, each.config_changes, run=each.run) for each in synced if each.config_changes),
    ]
    events = sorted((each for each in found if since is None or each.at >= since), key=lambda each: each.at)
    shown = events[-MOST_EVENTS:]
    return MembersChart(points=points, events=shown, hidden_events=len(events) - len(shown), unit=unit)


def thinned(points: Sequence[ChartPoint], zone: ZoneInfo) -> tuple[list[ChartPoint], str]:
    """Put points together until there are few enough: the last of each hour, day or week, with the sums of changes."""
    found, unit = list(points), "run"
    for name, length in _UNITS.items():
        if len(found) <= MOST_POINTS:
            break
        unit, buckets = name, dict[int, ChartPoint]()
        for each in points:
            local = each.at + (each.at.astimezone(zone).utcoffset() or timedelta())
            bucket = int(local.timestamp() // length.total_seconds())
            before = buckets.get(bucket)
            if before is not None:
                each = replace(each, entered=before.entered + each.entered, left=before.left + each.left)
            buckets[bucket] = each
        found = list(buckets.values())
    return found, unit


def _run_events(history: Sequence[AudienceRun], decisions: Sequence[Decision]) -> Iterator[ChartEvent]:
    """Yield first creations, and runs that a person started: what they changed, and why."""
    reasons = {each.run: each for each in decisions if each.run is not None}
    for each in history:
        if each.status == "created":
            yield _event("created", each.at, f"first creation, {pluralize(each.members, 'member')}", run=each.run)
            continue
        command, _, about = each.command.partition(" ")
        if command in _COMMANDS and (each.entered or each.left):
            which = f"run {about}: " if command == "undo" else ""
            text = f"{which}{_changed(each)}{_because(reasons.get(each.run))}"
            yield _event(_COMMANDS[command], each.at, text, run=each.run)


def _changed(run: AudienceRun) -> str:
    return f"{run.entered:,} entered, {run.left:,} left"


def _because(decision: Decision | None) -> str:
    if decision is None:
        return ""
    by = f", by {decision.decided_by}" if decision.decided_by else ""
    return f"{by}: {decision.reason}" if decision.reason else by


def _hold_events(holds: Sequence[Hold], history: Mapping[int, AudienceRun]) -> Iterator[ChartEvent]:
    for each in holds:
        would = f"{each.left:,} would leave, {each.entered:,} would enter"
        yield _event("held", each.held_at, would, run=each.run)
        if each.decided_at is not None and each.status == "approved":
            ended = history.get(each.ended_run or 0)
            yield _event("approved", each.decided_at, _changed(ended) if ended else would, run=each.ended_run)
        if each.decided_at is not None and each.status == "rejected":
            yield _event("rejected", each.decided_at, "the held snapshot was dropped")


def _freeze_events(freezes: Sequence[Freeze]) -> Iterator[ChartEvent]:
    for each in freezes:
        who = f"by {each.frozen_by}" if each.frozen_by else ""
        yield _event("frozen", each.frozen_at, ": ".join(filter(None, [who, each.reason])))
        if each.unfrozen_at is not None:
            yield _event("unfrozen", each.unfrozen_at, "")


def _event(word: str, at: datetime, text: str, *, run: int | None = None) -> ChartEvent:
    icon, hue = _LOOKS[word]
    return ChartEvent(run=run, at=at, icon=icon, hue=hue, word=word, text=text)
