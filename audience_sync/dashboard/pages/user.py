"""Show one user: every property over time, why, what each destination was sent, and each request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from shlex import quote
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from audience_sync.dashboard.charts.lanes import axis_svg
from audience_sync.dashboard.page import Dataset, Page, Visit
from audience_sync.dashboard.pages.user_answers import (
    MOST_REQUESTS,
    destination_state,
    reason_of,
    request_lines,
)
from audience_sync.dashboard.pages.user_lanes import (
    audience_lane,
    audiences_of,
    first_time,
    never_in,
    previous_ids,
    request_lane,
    span_of,
    trait_lane,
    traits_of,
)
from audience_sync.errors import HistoryPrunedError
from audience_sync.history.explain.explain import Companions, Explanation, explain_from
from audience_sync.history.explain.status import DeliveryState
from audience_sync.history.view_rows import read
from audience_sync.model import UserId
from audience_sync.web.errors import PageError, WrongQueryError
from audience_sync.web.formats import moment
from audience_sync.workspace import Workspace

#: Memory of DuckDB, which reads one user's rows of the snapshots (bytes, with Python's share).
MEMORY = 512_000_000
#: Bytes of an id that the store accepts; a longer one is in no source.
LONGEST_ID = 10_000
#: PostgreSQL's code for a missing right.
_NO_RIGHT = "42501"
CHANGES_SQL = """
    select run, changed_at, audience_key, change
    from {views}membership_changes
    where user_id = :user_id
    order by run, audience_key
"""


def user_page(visit: Visit) -> Page:
    """Look a user up by the id of the address, exactly as written; without an id ask for one."""
    user = visit.query.get("id", "")
    if not user:
        return Page(template="user_none.html", context={"title": "Users", "here": "users", "user": "", "reason": ""})
    at = _time(visit)
    if problem := _unusable(user):
        return _not_found(user, problem, at)
    found = _explain(visit, UserId(user), at)
    if not found.is_known:
        return _not_found(user, "", at)
    context = _erased(found) if found.erased_at else _known(visit, found, at)
    datasets = [] if visit.site.id_mask else [Dataset("changes", CHANGES_SQL, {"user_id": user})]
    return Page(template="user.html", context=context, datasets=datasets)


def _time(visit: Visit) -> datetime | None:
    """The time of the address, in the config's zone: a minute's end, as the page shows minutes."""
    given = visit.query.get("at", "").strip()
    if not given:
        return None
    try:
        found = datetime.fromisoformat(given)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=visit.site.zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise WrongQueryError(f"“{given[:40]}” is not a time. Examples: 2026-05-01, 2026-05-01T12:00") from None
    return found + timedelta(seconds=59, microseconds=999_999) if len(given) <= len("2026-05-01T12:00") else found


def _unusable(user: str) -> str:
    """Why no user can have this id; empty if one may."""
    try:
        size = len(user.encode())
    except UnicodeEncodeError:
        return "It has half of a surrogate pair, which no database stores."
    if "\0" in user:
        return "It has a NUL character, which no database stores."
    return f"It has {size:,} bytes, and no stored id is that long." if size > LONGEST_ID else ""


def _explain(visit: Visit, user: UserId, at: datetime | None) -> Explanation:
    settings = visit.site.settings
    limit = min(settings.memory_limit, MEMORY) if settings is not None else MEMORY
    try:
        with Workspace(limit) as workspace:
            return explain_from(visit.connection, workspace=workspace, user=user, at=at, companions=companions())
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _NO_RIGHT:
            raise
        raise PageError(
            "The role of the dashboard may read the views alone. The page of a user needs the tables, too.",
            title="Users are not shown here",
            remedy="Look the user up with a role that may read them:",
            commands=["audience-sync explain ID"],
            status=403,
        ) from None
    except HistoryPrunedError as error:
        raise PageError(str(error), title="The history is shorter", remedy="Choose a later time.", status=400) from None


def companions() -> Mapping[str, Companions]:
    """The traits that a destination of each type receives together; a type is imported when it is looked up."""
    from audience_sync.destinations.registry import destination_types

    return destination_types().each(lambda kind: kind.companions)


def _not_found(user: str, reason: str, at: datetime | None) -> Page:
    trimmed = user.strip()
    context = {
        "title": "There is no such user",
        "here": "users",
        "user": user,
        "reason": reason,
        "trimmed": trimmed if trimmed != user and trimmed else "",
        "at": at,
    }
    return Page(template="user_none.html", context=context)


def _erased(found: Explanation) -> dict[str, Any]:
    return {"title": "Erased user", "here": "users", "user": found.user_id, "found": found, "is_erased": True}


def _known(visit: Visit, found: Explanation, at: datetime | None) -> dict[str, Any]:
    zone, span = visit.site.zone, span_of(found)
    audiences, traits = audiences_of(found), traits_of(found)
    commands = _commands_of(visit.connection, {each.latest.run for each in (*audiences, *traits)})
    requests = request_lines(found)
    wants_all = visit.choice("requests", ("all",)) == "all"
    destinations = [destination_state(each) for each in found.destinations]
    former, joined = previous_ids(found)
    states = [each.state for view in found.destinations for each in view.statuses]
    return {
        "title": "User",
        "here": "users",
        "is_erased": False,
        "user": found.user_id,
        "found": found,
        "at": at,
        "at_value": f"{(at or visit.now).astimezone(zone):%Y-%m-%dT%H:%M}",
        "since": first_time(found),
        "suppressions": list(found.suppressions),
        "previous_ids": former,
        "joined_run": joined.run if joined is not None and former else None,
        "in_count": sum(each.is_present for each in audiences),
        "audience_count": len(audiences) + len(never_in(found)),
        "trait_count": sum(each.is_present for each in traits),
        "pending_count": sum(each in (DeliveryState.PENDING, DeliveryState.WAITING) for each in states),
        "refused_count": states.count(DeliveryState.REFUSED),
        "axis": axis_svg(span, zone, "now" if at is None else moment(at, zone, visit.now)),
        "audience_lanes": [audience_lane(found, each, span, zone) for each in audiences],
        "trait_lanes": [trait_lane(found, each, span, zone) for each in traits],
        "request_lanes": [request_lane(each, span, zone) for each in found.destinations if each.replay.calls],
        "never_in": never_in(found),
        "reasons": [reason_of(found, each, commands) for each in (*audiences, *traits)],
        "absences": found.absences,
        "holdouts": found.holdouts,
        "destinations": destinations,
        "state_keys": [each.definition.key for each in (*audiences, *traits)],
        "requests": requests if wants_all else requests[:MOST_REQUESTS],
        "request_count": len(requests),
        "command": _command(found.user_id, at) if visit.site.id_mask is None else "",
    }


def _commands_of(connection: Connection, runs: Collection[int]) -> dict[int, str]:
    """The commands of runs, by number."""
    if not runs:
        return {}
    rows = read(connection, "select run, command from {views}sync_runs where run in :runs", runs=sorted(runs))
    return {row["run"]: row["command"].partition(" ")[0] for row in rows}


def _command(user: str, at: datetime | None) -> str:
    """The command that shows the same in a terminal; empty for an id that can't be pasted there."""
    if not user.isprintable():
        return ""
    time = f" --at {at:%Y-%m-%dT%H:%M:%SZ}" if at is not None else ""
    return (
        f"audience-sync explain{time} -- {quote(user)}"
        if user.startswith("-")
        else f"audience-sync explain {quote(user)}{time}"
    )
