"""List all audiences: size, change, sparkline, state, source, flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup
from sqlalchemy import Connection

from audience_sync.dashboard.page import Dataset, Page, Visit
from audience_sync.dashboard.pages.sparklines import LENGTH, Sparklines, read_sparklines
from audience_sync.dashboard.queries.audiences import (
    AudienceRow,
    Snapshot,
    read_audiences,
    read_members_at,
    read_run_times,
    snapshots_at,
)

#: Rows of a page.
PAGE = 50
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

    text: str
    status: str
    source: str
    sort: str
    page: int


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
    page = min(chosen.page, last)
    start = (page - 1) * rows
    shown = found[start : start + rows]
    active = [each for each in every if each.retired_at is None and each.created_at is not None]
    runs = read_run_times(visit.connection, visit.now - LENGTH)
    sparklines = read_sparklines(visit.connection, shown, runs, visit.now)
    lines = _lines(visit.connection, shown, sparklines, runs, visit.now)
    context = {
        "title": "Audiences",
        "here": "audiences",
        "lines": lines,
        "days": sparklines.days,
        "filter": chosen,
        "states": STATES,
        "sources": sorted({each.source for each in every if each.source}),
        "all_count": len(every),
        "active_count": len(active),
        "retired_count": sum(each.retired_at is not None for each in every),
        "memberships": sum(each.members or 0 for each in active),
        "found_count": len(found),
        "first": start + 1,
        "last": start + len(shown),
        "page": page,
        "has_next": page < last,
        "has_notes": any(each.notes for each in lines),
    }
    return Page(template="audiences.html", context=context, datasets=[Dataset("audiences", AUDIENCES_SQL)])


def _chosen(visit: Visit) -> Filter:
    return Filter(
        text=visit.text("q").strip(),
        status=visit.choice("status", STATES, "any"),
        source=visit.text("source") or "any",
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

    def key(audience: AudienceRow) -> tuple[object, ...]:
        value = 0.0
        if sort == "members":
            value = audience.members or 0
        elif sort == "changed" and audience.changed_at is not None:
            value = audience.changed_at.timestamp()
        return audience.retired_at is not None, -value, audience.name.casefold(), audience.key

    return sorted(audiences, key=key)


def _lines(
    connection: Connection,
    shown: Sequence[AudienceRow],
    sparklines: Sparklines,
    runs: Sequence[Snapshot],
    now: datetime,
) -> list[AudienceLine]:
    week, day = snapshots_at(runs, [now - timedelta(days=7), now - timedelta(hours=24)])
    wanted = [each.run for each in (week, day) if each is not None]
    members = read_members_at(connection, [each.key for each in shown], wanted)
    found = list[AudienceLine]()
    for each in shown:
        since_week = _difference(each, members[each.key], week)
        found.append(
            AudienceLine(
                audience=each,
                state=state_of_audience(each),
                day=_difference(each, members[each.key], day),
                week=since_week,
                is_new=each.created_at is not None and since_week is None,
                spark=sparklines.drawn[each.key],
                notes=_notes(each),
            )
        )
    return found


def _difference(audience: AudienceRow, members: Mapping[int, int], earlier: Snapshot | None) -> int | None:
    if audience.members is None or earlier is None or earlier.run not in members:
        return None
    if audience.created_run is not None and earlier.run < audience.created_run:  # it waited for its seed
        return None
    return audience.members - members[earlier.run]


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
