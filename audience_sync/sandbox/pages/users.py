"""Show users by property and event, and one user."""

from __future__ import annotations

from typing import Any

from audience_sync.sandbox.pages.feed import item
from audience_sync.sandbox.pages.texts import value_text
from audience_sync.sandbox.pages.visit import Page, Visit
from audience_sync.sandbox.state.filters import WORDS, CallFilter, read_user_filter
from audience_sync.sandbox.state.read import PAGE
from audience_sync.sandbox.state.stored import StoredUser
from audience_sync.text import pluralize
from audience_sync.web.errors import NotFoundError

DAYS = ("1", "7", "30", "90", "365", "ever")
#: Properties that are true, in the list.
MOST_TRUE = 20


def users_page(visit: Visit) -> Page:
    """Users that a filter finds, as a campaign would find them."""
    chosen = read_user_filter(visit.query)
    after = (visit.text("after_destination"), visit.text("after"))
    found = visit.reader.users(chosen, visit.now, after=after, limit=PAGE + 1)
    users = found[:PAGE]
    total = visit.reader.count_users(chosen, visit.now)
    names = list(dict.fromkeys(each.property for each in chosen.properties))
    return Page(
        "sandbox_users.html",
        {
            "title": pluralize(total, "user") + (f": {words}" if (words := chosen.words()) else ""),
            "here": "users",
            "total": total,
            "rows": [_row(user, names) for user in users],
            "columns": names,
            "chosen": chosen,
            "fields": {
                name: value for name, value in visit.query.items() if name not in ("after", "after_destination")
            },
            "more": users[-1] if len(found) > PAGE else None,
            "is_first": not any(after),
            "destinations": visit.reader.destinations(),
            "names": [each.property for each in visit.reader.properties()],
            "events": visit.reader.event_names(),
            "comparisons": WORDS,
            "days": DAYS,
        },
    )


def _row(user: StoredUser, names: list[str]) -> dict[str, Any]:
    true = [name for name, (value, _) in user.properties.items() if value is True]
    values = [value_text(user.properties[name][0]) if name in user.properties else "–" for name in names]
    return {"user": user, "true": true[:MOST_TRUE], "more": max(len(true) - MOST_TRUE, 0), "values": values}


def user_page(visit: Visit) -> Page:
    """One user of one destination: values last received, events, and the calls that are kept."""
    user_id, destination = visit.text("id"), visit.text("destination")
    others = visit.reader.destinations_of_user(user_id)
    destination = destination or (others[0] if others else "")
    user = visit.reader.user(destination, user_id)
    calls = visit.reader.calls(CallFilter(user=user_id, destination=destination), PAGE)
    if user is None and not calls:
        raise NotFoundError(
            "No call about this user was accepted here.",
            remedy="Ids are compared whole, upper and lower case included. Refused calls are in the feed only while "
            f"they are among the last {visit.site.keep:,}.",
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
