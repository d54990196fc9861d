"""Show users by property and event, one user, and events with how often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from audience_sync.sandbox.pages.feed import item
from audience_sync.sandbox.pages.values import value_text
from audience_sync.sandbox.pages.visit import Page, Visit
from audience_sync.sandbox.state.filters import (
    WORDS,
    Comparison,
    PropertyFilter,
    UserFilter,
    days_of,
    read_user_filter,
)
from audience_sync.sandbox.state.read import PAGE
from audience_sync.sandbox.state.stored import CallFilter, StoredUser
from audience_sync.text import pluralize
from audience_sync.web.errors import NotFoundError

FIELDS = (
    *("destination", "id", "property", "is", "value", "property2", "is2", "value2"),
    *("did", "event", "days", "event_property", "event_is", "event_value"),
)
DAYS = ("1", "7", "30", "90", "365", "ever")
#: The most rows of a file to save.
MOST_ROWS = 1_000_000


def users_page(visit: Visit) -> Page:
    """Users that a filter finds, as a campaign would find them."""
    chosen = read_user_filter(visit.query)
    after = (visit.text("after_destination"), visit.text("after"))
    found = visit.reader.users(chosen, visit.now, after=after, limit=PAGE + 1)
    users = found[:PAGE]
    destinations = visit.reader.destinations()
    total = visit.reader.count_users(chosen, visit.now)
    fields = {name: visit.text(name) for name in FIELDS}
    return Page(
        "sandbox_users.html",
        {
            "title": f"{pluralize(total, 'user')}{title_of(chosen)}",
            "here": "users",
            "total": total,
            "rows": [_row(user, chosen) for user in users],
            "chosen": chosen,
            "words": words_of(chosen),
            "fields": fields,
            "more": users[-1] if len(found) > PAGE else None,
            "is_first": not any(after),
            "destinations": destinations,
            "names": [each.property for each in visit.reader.properties()],
            "events": visit.reader.event_names(),
            "comparisons": WORDS,
            "days": DAYS,
            "value_text": value_text,
        },
    )


def title_of(chosen: UserFilter) -> str:
    words = " and ".join(each.words() for each in chosen.by_properties)
    return f" with {words}" if words else ""


def words_of(chosen: UserFilter) -> str:
    """Return the other conditions in words."""
    parts = [chosen.by_event.words()] if chosen.by_event else []
    parts += [f"of {chosen.destination}"] if chosen.destination else []
    parts += [f"the id contains “{chosen.text}”"] if chosen.text else []
    return ", ".join(parts)


def _row(user: StoredUser, chosen: UserFilter) -> dict[str, Any]:
    true = [name for name, (value, _) in user.properties.items() if value is True]
    names = [each.property for each in chosen.by_properties]
    values = [value_text(user.properties[name][0]) if name in user.properties else "–" for name in names]
    return {"user": user, "true": true[:20], "more": max(len(true) - 20, 0), "values": values}


def user_rows(visit: Visit) -> tuple[list[str], Iterator[list[Any]]]:
    """Return columns and rows of the users that the filter finds, for a file."""
    chosen = read_user_filter(visit.query)
    names = [each.property for each in visit.reader.properties()][:50]

    def rows() -> Iterator[list[Any]]:
        for user in visit.reader.users(chosen, visit.now, limit=MOST_ROWS):
            values = [_plain(user.properties[name][0]) if name in user.properties else None for name in names]
            yield [user.destination, user.user_id, user.first_at, user.last_at, user.calls, *values]

    return ["destination", "user_id", "first_received", "last_received", "calls", *names], rows()


def _plain(value: Any) -> Any:
    return value_text(value, None) if isinstance(value, dict | list) else value


def user_page(visit: Visit) -> Page:
    """One user of one destination: values last received, events, and the calls that are kept."""
    user_id, destination = visit.text("id"), visit.text("destination")
    others = visit.reader.destinations_of_user(user_id)
    destination = destination or (others[0] if others else "")
    user = visit.reader.user(destination, user_id)
    calls = visit.reader.calls(CallFilter(user=user_id, destination=destination), 50)
    if user is None and not calls:
        raise NotFoundError(
            "No call about this user was accepted here.",
            remedy="Ids are compared whole, upper and lower case included. Refused calls are in the feed only while "
            f"they are among the last {visit.keep:,}.",
            title="There is no such user",
        )
    properties = sorted(user.properties.items()) if user else []
    return Page(
        "sandbox_user.html",
        {
            "title": "User",
            "here": "users",
            "id": user_id,
            "user": user,
            "destination": destination,
            "others": others,
            "properties": [(name, value_text(value, None), at) for name, (value, at) in properties],
            "events": visit.reader.events_of_user(destination, user_id),
            "items": [item(visit.reader, call) for call in calls],
        },
    )


def events_page(visit: Visit) -> Page:
    """Events with how often they came, and a goal: who did an event within some days."""
    destination = visit.text("destination")
    start, goal = visit.text("start"), visit.text("goal")
    days = days_of(visit.text("within").strip() or "7")
    value = visit.text("start_value") or "true"
    result = None
    if start and goal:
        kind, _, name = start.partition(":")
        began = PropertyFilter(name, Comparison.IS, value) if kind == "property" else None
        total, hit, users = visit.reader.goal(began, name if began is None else "", goal, days, destination)
        words = f"whose {began.words()}" if began else f"who did {name}"
        result = {"total": total, "hit": hit, "users": users, "words": words}
    return Page(
        "sandbox_events.html",
        {
            "title": "Events",
            "here": "events",
            "destinations": visit.reader.destinations(),
            "destination": destination,
            "events": visit.reader.events(visit.now, destination),
            "users_of": visit.reader.users_of_events(destination),
            "names": visit.reader.event_names(),
            "properties": [each.property for each in visit.reader.properties(destination)],
            "start": start,
            "start_value": value,
            "goal": goal,
            "within": days,
            "result": result,
        },
    )
