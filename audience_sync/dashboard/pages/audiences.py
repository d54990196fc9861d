"""List all audiences: size, change, sparkline, state, source, flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup
from sqlalchemy import Connection

from audience_sync.dashboard.charts.sparkline import sparkline
from audience_sync.dashboard.page import Dataset, Page, Visit
from audience_sync.dashboard.queries.audiences import (
    SPARKLINE_POINTS,
    AudienceRow,
    Snapshot,
    read_audiences,
    read_holds_since,
    read_members_at,
    read_run_times,
    snapshots_at,
)

#: Rows of a page.
PAGE = 50
#: The time of a sparkline, if the store is that old.
SPARKLINE_DAYS = 30
AUDIENCES_SQL = """
    select key, name, source, members, held_out, absent, created_at, retired_at, last_run, last_status,
        changed_at, flags
    from {views}audiences
    order by name, key
"""
SORTS = ("name", "members", "changed")
#: The words of the filter by state, in the order of the select field.
STATES = ("any", "held", "failed", "waiting", "frozen", "retired", "synced", "unchanged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The filter and the order of the list, from the address."""

    text: str = ""
    status: str = "any"
    source: str = "any"
    sort: str = "name"
    page: int = 1

    @property
    def is_used(self) -> bool:
        return bool(self.text) or self.status != "any" or self.source != "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceLine:
    """One row of the list. ``day`` and ``week``: the change of members since then; None = not known."""

    audience: AudienceRow
    state: str
    day: int | None
    week: int | None
    is_new: bool
    spark: Markup
    notes: Sequence[str]


def audiences_page(visit: Visit, *, rows: int = PAGE) -> Page:
    """List the audiences, ``rows`` a page. The members of the past are read for the shown ones only."""
    chosen = _chosen(visit)
    every = read_audiences(visit.connection)
    found = _sorted([each for each in every if _matches(each, chosen)], chosen.sort)
    last = max((len(found) - 1) // rows + 1, 1)
    page = min(max(chosen.page, 1), last)
    shown = found[(page - 1) * rows : page * rows]
    active = [each for each in every if each.retired_at is None and each.created_at is not None]
    days, lines = _lines(visit.connection, shown, visit.now)
    context = {
        "title": "Audiences",
        "here": "audiences",
        "lines": lines,
        "days": days,
        "filter": chosen,
        "states": STATES,
        "sources": sorted({each.source for each in every if each.source}),
        "all_count": len(every),
        "active_count": len(active),
        "retired_count": sum(each.retired_at is not None for each in every),
        "memberships": sum(each.members or 0 for each in active),
        "found_count": len(found),
        "first": (page - 1) * rows + 1,
        "last": (page - 1) * rows + len(shown),
        "page": page,
        "has_next": page < last,
        "has_notes": any(each.notes for each in lines),
    }
    return Page(template="audiences.html", context=context, datasets=[Dataset("audiences", AUDIENCES_SQL)])


def _chosen(visit: Visit) -> Filter:
    return Filter(
        text=visit.text("q").strip(),
        status=visit.choice("status", STATES, "any"),
        source=visit.text("source", "any") or "any",
        sort=visit.choice("sort", SORTS, "name"),
        page=visit.number("number", 1),
    )


def state_of_audience(audience: AudienceRow) -> str:
    """The state in which a person thinks of an audience: one of its flags, or the status of its last run."""
    order = ("retired", "held", "failed", "waiting", "frozen")
    return next((each for each in order if each in audience.flags), audience.last_status or "waiting")


def _matches(audience: AudienceRow, chosen: Filter) -> bool:
    text = chosen.text.casefold()
    return (
        (text in audience.name.casefold() or text in audience.key.casefold())
        and chosen.status in ("any", state_of_audience(audience), *audience.flags)
        and chosen.source in ("any", audience.source)
    )


def _sorted(audiences: Sequence[AudienceRow], sort: str) -> list[AudienceRow]:
    """Sort by name, by size or by the last change. What is not known comes last, and retired audiences after it."""
    by_name = sorted(audiences, key=lambda each: (each.retired_at is not None, each.name.casefold(), each.key))
    if sort == "members":
        return sorted(by_name, key=lambda each: (each.retired_at is not None, -(each.members or 0)))
    if sort == "changed":
        return sorted(
            by_name,
            key=lambda each: (
                each.retired_at is not None,
                -each.changed_at.timestamp() if each.changed_at is not None else 0.0,
            ),
        )
    return by_name


def _lines(connection: Connection, shown: Sequence[AudienceRow], now: datetime) -> tuple[int, list[AudienceLine]]:
    """The lines, and the number of days that the sparklines show."""
    runs = read_run_times(connection, now - timedelta(days=SPARKLINE_DAYS))
    oldest = min((each.created_at for each in shown if each.created_at), default=now)
    start = max(now - timedelta(days=SPARKLINE_DAYS), min(oldest, now))
    step = (now - start) / (SPARKLINE_POINTS - 1)
    slots = snapshots_at(runs, [start + step * number for number in range(SPARKLINE_POINTS)])
    day, week = snapshots_at(runs, [now - timedelta(days=7), now - timedelta(hours=24)])[::-1]
    wanted = [each.run for each in (*slots, day, week) if each is not None]
    members = read_members_at(connection, [each.key for each in shown], wanted)
    holds = read_holds_since(connection, wanted[0]) if wanted else {}
    lines = [_line(each, members[each.key], slots, (day, week), holds.get(each.key, ())) for each in shown]
    return max((now - start).days, 1), lines


def _line(
    audience: AudienceRow,
    members: Mapping[int, int],
    slots: Sequence[Snapshot | None],
    earlier: tuple[Snapshot | None, Snapshot | None],
    holds: Sequence[tuple[int, int]],
) -> AudienceLine:
    is_created = audience.created_at is not None
    values = [members.get(each.run) if each is not None and is_created else None for each in slots]
    if audience.members is not None and values:
        values[-1] = audience.members
    day, week = (_difference(audience, members, each) for each in earlier)
    return AudienceLine(
        audience=audience,
        state=state_of_audience(audience),
        day=day,
        week=week,
        is_new=audience.created_at is not None and week is None,
        spark=sparkline(values, [index for index, each in enumerate(slots) if each and _is_held(each.run, holds)]),
        notes=_notes(audience),
    )


def _difference(audience: AudienceRow, members: Mapping[int, int], earlier: Snapshot | None) -> int | None:
    if audience.members is None or earlier is None or earlier.run not in members:
        return None
    if audience.created_run is not None and earlier.run < audience.created_run:  # it waited for its seed
        return None
    return audience.members - members[earlier.run]


def _is_held(run: int, holds: Sequence[tuple[int, int]]) -> bool:
    return any(first <= run <= last for first, last in holds)


def _notes(audience: AudienceRow) -> list[str]:
    """What sets an audience apart, apart from its state."""
    found = []
    if audience.held_out:
        found.append(f"holdout: {audience.held_out:,} users")
    if audience.absent:
        found.append(f"min_stay: {audience.absent:,} missing")
    if "holdout" in audience.flags and not audience.held_out:
        found.append("holdout")
    if "min_stay" in audience.flags and not audience.absent:
        found.append("min_stay")
    return found
