"""Show one audience: members over time, who came and went, overlap, holdout, invalid rows, definition."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from audience_sync.command_line import to_paste
from audience_sync.dashboard.charts.members import chart_data, members_svg
from audience_sync.dashboard.overlap import PATIENCE, OverlapCache, Progress
from audience_sync.dashboard.page import Dataset, Page, Visit
from audience_sync.dashboard.pages.audiences import state_of_audience
from audience_sync.dashboard.pages.definition import definition_of, entry_with_key
from audience_sync.dashboard.pages.members_chart import RANGES, TABLE_ROWS, members_chart
from audience_sync.dashboard.pages.overlap_matrix import overlap_rows
from audience_sync.dashboard.queries.audience import (
    PAGE,
    AudienceRun,
    MembershipChange,
    count_changes,
    read_changes,
    read_flapping,
    read_history,
    read_holdout,
    read_last_error,
    read_last_loaded,
)
from audience_sync.dashboard.queries.audiences import AudienceRow, read_audiences, read_names
from audience_sync.dashboard.queries.decisions import read_audience_decisions, read_freezes
from audience_sync.dashboard.queries.holds import read_audience_holds
from audience_sync.dashboard.queries.invalid_rows import InvalidReason, read_invalid_reasons, read_reading_run
from audience_sync.web.errors import NotFoundError

MEMBERS_SQL = """
    select a.run, r.started_at, a.status, a.members_after as members, a.entered, a."left", a.invalid
    from {views}audience_syncs a join {views}sync_runs r on r.run = a.run
    where a.audience_key = :key
    order by a.run
"""
CHANGES_SQL = """
    select run, changed_at, user_id, change
    from {views}membership_changes
    where audience_key = :key
    order by run desc, user_id
"""
INVALID_SQL = """
    select run, file, "row", user_id, reason
    from {views}invalid_rows
    where run = :run and audience_key = :key
    order by file, "row"
"""
CURRENT_SQL = """
    select user_id, member_since, since_run
    from {views}audience_members
    where audience_key = :key
    order by user_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesPage:
    """A page of the users who entered and left. ``after``: where the next page begins, as values of its address."""

    rows: tuple[MembershipChange, ...]
    total: int
    is_first: bool
    after: dict[str, Any] | None


def audience_page(visit: Visit, *, overlaps: OverlapCache, patience: float = PATIENCE) -> Page:
    """Show an audience. Raises NotFoundError for a key that the store does not have."""
    key = visit.text("key")
    found = read_audiences(visit.connection, key)
    if not found:
        raise _not_found(visit, key)
    audience = found[0]
    chosen = visit.choice("range", RANGES, _usual_range(audience, visit.now))
    length = RANGES[chosen]
    since = visit.now - length if length is not None else None
    history = read_history(visit.connection, key, since)
    holds = read_audience_holds(visit.connection, key)
    freezes = read_freezes(visit.connection, key)
    chart = members_chart(
        history, holds, freezes, read_audience_decisions(visit.connection, key), zone=visit.site.zone, since=since
    )
    is_fitted = visit.choice("axis", ("fitted",)) == "fitted"
    svg = members_svg(chart.points, chart.events, visit.site.zone, is_fitted=is_fitted)
    overlap = overlaps.of(key, audience.members or 0, patience=patience)
    last = read_last_loaded(visit.connection, key)
    invalid_run, invalid = _invalid_rows(visit, last, key)
    error = read_last_error(visit.connection, key) or ""
    settings = visit.site.settings
    context = {
        "title": audience.name,
        "here": "audiences",
        "audience": audience,
        "state": state_of_audience(audience),
        "hold": next((each for each in reversed(holds) if each.status == "held"), None),
        "last": last,
        "last_error": f"{error[:1].upper()}{error[1:]}",
        "freeze": next((each for each in reversed(freezes) if each.unfrozen_at is None), None),
        "chart_range": chosen,
        "ranges": tuple(RANGES),
        "members": chart,
        "is_fitted": is_fitted,
        "chart": bool(svg),
        "chart_svg": svg,
        "chart_json": chart_data(chart.points, chart.events),
        "table": chart.points[: -TABLE_ROWS - 1 : -1],
        "changes": _changes(visit, key),
        "flapping": read_flapping(visit.connection, key),
        "overlap": overlap,
        "live": "part" if overlap is not None and overlap.progress is Progress.COUNTING else "",
        "matrix": overlap_rows(overlap, key) if overlap is not None else [],
        "overlap_estimated": overlap is not None and any(each.is_estimate for each in overlap.shared.values()),
        "names": read_names(visit.connection, overlap.sizes) if overlap is not None else {},
        "holdout": read_holdout(visit.connection, key) if audience.held_out else None,
        "invalid": invalid,
        "invalid_run": invalid_run,
        "definition": definition_of(settings, key, audience.name) if settings is not None else None,
        **_day(history, visit.now),
    }
    values = {"key": key}
    datasets = [
        Dataset("members", MEMBERS_SQL, values),
        Dataset("changes", CHANGES_SQL, values),
        Dataset("current", CURRENT_SQL, values),
    ]
    if invalid_run is not None:
        datasets.append(Dataset("invalid", INVALID_SQL, {**values, "run": invalid_run}))
    return Page(template="audience.html", context=context, datasets=datasets)


def _not_found(visit: Visit, key: str) -> NotFoundError:
    settings = visit.site.settings
    mine = entry_with_key(settings, key) if settings is not None else None
    if mine is None:
        return NotFoundError(
            f"There is no audience with the key “{key[:80]}” in the store.",
            title="There is no such audience",
            remedy="The list of all audiences is one click away: Audiences.",
        )
    return NotFoundError(
        f"“{mine.name}” is in the config, but no run has synced it yet.",
        title="It has not been synced yet",
        remedy="Its first run:",
        commands=[visit.site.command(to_paste("seed" if mine.initial == "manual" else "sync", key))],
    )


def _usual_range(audience: AudienceRow, now: datetime) -> str:
    """A range in which something happened: of an audience that is quiet since long ago everything is shown."""
    changed = audience.changed_at or audience.created_at
    if changed is None or now - changed <= timedelta(days=30):
        return "30d"
    return "1y" if now - changed <= timedelta(days=366) else "all"


def _invalid_rows(visit: Visit, last: AudienceRun | None, key: str) -> tuple[int | None, list[InvalidReason]]:
    """The reasons why rows are left out, and the run that read them: an earlier one, if the source has not changed."""
    if last is None or not last.invalid:
        return (None if last is None else last.run), []
    if found := read_invalid_reasons(visit.connection, last.run, key):
        return last.run, found
    earlier = read_reading_run(visit.connection, key, last.run)
    return (last.run, []) if earlier is None else (earlier, read_invalid_reasons(visit.connection, earlier, key))


def _day(history: list[AudienceRun], now: datetime) -> dict[str, int]:
    """How many users entered and left in the last 24 hours, without a first creation."""
    recent = [each for each in history if each.at > now - timedelta(hours=24) and each.status != "created"]
    return {"entered_day": sum(each.entered for each in recent), "left_day": sum(each.left for each in recent)}


def _changes(visit: Visit, key: str) -> ChangesPage:
    """The page of changes of the address. Where ids are masked, no address has one: rows of the run are skipped."""
    run, user, skip = visit.number("before", 0, least=0), visit.query.get("user", ""), visit.number("skip", 0, least=0)
    after = (run, user) if run else None
    found = read_changes(visit.connection, key, after=after, skip=skip)
    rows = tuple(found[:PAGE])
    following: dict[str, Any] | None = None
    if len(found) > PAGE:
        last = rows[-1]
        if visit.site.id_mask is None:
            following = {"before": last.run, "user": last.user_id}
        else:
            seen = sum(each.run == last.run for each in rows) + (skip if last.run == run else 0)
            following = {"before": last.run, "skip": seen}
    return ChangesPage(rows=rows, total=count_changes(visit.connection, key), is_first=after is None, after=following)
