"""Make the chart of an audience's members from its runs, holds, freezes and decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from audience_sync.dashboard.charts.members import ChartEvent, ChartPoint
from audience_sync.dashboard.queries.audience import AudienceHold, AudienceRun, Decision, Freeze

#: The ranges of the chart by their word in the address; None: everything.
RANGES = {"7d": timedelta(days=7), "30d": timedelta(days=30), "1y": timedelta(days=366), "all": None}
#: Points of the chart; more runs are put together by the hour, the day or the week.
MOST_POINTS = 800
#: Events in the chart and in the list below it, the newest.
MOST_EVENTS = 30
#: Rows of the chart's table on the page, the newest; CSV has all.
TABLE_ROWS = 100
_STEPS = (timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=28))
_UNITS = ("run", "hour", "day", "week", "4 weeks")
_COMMANDS = {
    "undo": ("undo", "", "undone"),
    "resync": ("created", "", "resync"),
    "retire": ("same", "", "retired"),
    "seed": ("created", "ok", "seeded"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersChart:
    """The chart of members. ``unit``: what one point stands for. ``sentence``: the same in words."""

    points: Sequence[ChartPoint]
    events: Sequence[ChartEvent]
    hidden_events: int
    unit: str
    sentence_parts: dict[str, Any]


def members_chart(
    history: Sequence[AudienceRun],
    holds: Sequence[AudienceHold],
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
        *_hold_events(holds, {each.run: each for each in synced}, since),
        *_freeze_events(freezes, since),
        *_config_events(synced),
    ]
    events = sorted(found, key=lambda each: each.at)
    shown = events[-MOST_EVENTS:]
    return MembersChart(
        points=points,
        events=shown,
        hidden_events=len(events) - len(shown),
        unit=unit,
        sentence_parts=_sentence(points),
    )


def thinned(points: Sequence[ChartPoint], zone: ZoneInfo) -> tuple[list[ChartPoint], str]:
    """Put points together until there are few enough: the last of each hour, day or week, with the sums of changes."""
    found, unit = list(points), _UNITS[0]
    for step, name in zip(_STEPS, _UNITS[1:], strict=True):
        if len(found) <= MOST_POINTS:
            break
        unit, buckets = name, dict[int, ChartPoint]()
        for each in points:
            local = each.at + (each.at.astimezone(zone).utcoffset() or timedelta())
            bucket = int(local.timestamp() // step.total_seconds())
            before = buckets.get(bucket)
            if before is not None:
                each = replace(each, entered=before.entered + each.entered, left=before.left + each.left)
            buckets[bucket] = each
        found = list(buckets.values())
    return found, unit


def _sentence(points: Sequence[ChartPoint]) -> dict[str, Any]:
    if not points:
        return {}
    members = [each.members for each in points]
    return {"first": points[0], "last": points[-1], "least": min(members), "most": max(members)}


def _run_events(history: Sequence[AudienceRun], decisions: Sequence[Decision]) -> list[ChartEvent]:
    """Events of runs that a person started: what they changed, and why."""
    reasons = {each.run: each for each in decisions if each.run is not None}
    found = []
    for each in history:
        if each.status == "created":
            text = f"first creation, {each.members:,} {'member' if each.members == 1 else 'members'}"
            found.append(_event(each.run, each.at, "created", "ok", "created", text))
            continue
        command, _, about = each.command.partition(" ")
        if command in _COMMANDS and (each.entered or each.left):
            icon, hue, word = _COMMANDS[command]
            which = f"run {about}: " if command == "undo" else ""
            text = f"{which}{_changed(each)}{_because(reasons.get(each.run))}"
            found.append(_event(each.run, each.at, icon, hue, word, text))
    return found


def _changed(run: AudienceRun) -> str:
    return f"{run.entered:,} entered, {run.left:,} left"


def _because(decision: Decision | None) -> str:
    if decision is None:
        return ""
    return "".join(
        [
            f", by {decision.decided_by}" if decision.decided_by else "",
            f": {decision.reason}" if decision.reason else "",
        ]
    )


def _hold_events(
    holds: Sequence[AudienceHold], history: Mapping[int, AudienceRun], since: datetime | None
) -> list[ChartEvent]:
    found = []
    for each in holds:
        would = f"{each.left:,} would leave, {each.entered:,} would enter"
        if since is None or each.held_at >= since:
            found.append(_event(each.run, each.held_at, "held", "act", "held", would))
        if each.decided_at is not None and (since is None or each.decided_at >= since):
            if each.status == "approved":
                ended = history.get(each.ended_run or 0)
                text = _changed(ended) if ended is not None else would
                found.append(_event(each.ended_run, each.decided_at, "approve", "ok", "approved", text))
            if each.status == "rejected":
                found.append(_event(None, each.decided_at, "undo", "", "rejected", "the held snapshot was dropped"))
    return found


def _freeze_events(freezes: Sequence[Freeze], since: datetime | None) -> list[ChartEvent]:
    found = []
    for each in freezes:
        if since is None or each.frozen_at >= since:
            who = f"by {each.frozen_by}" if each.frozen_by else ""
            text = ": ".join(filter(None, [who, each.reason]))
            found.append(_event(None, each.frozen_at, "same", "", "frozen", text))
        if each.unfrozen_at is not None and (since is None or each.unfrozen_at >= since):
            found.append(_event(None, each.unfrozen_at, "same", "", "unfrozen", ""))
    return found


def _config_events(history: Sequence[AudienceRun]) -> list[ChartEvent]:
    return [
        _event(each.run, each.at, "config", "", "config", each.config_changes)
        for each in history
        if each.config_changes
    ]


def _event(run: int | None, at: datetime, icon: str, hue: str, word: str, text: str) -> ChartEvent:  # noqa: PLR0917
    return ChartEvent(run=run, at=at, icon=icon, hue=hue, word=word, text=text)
