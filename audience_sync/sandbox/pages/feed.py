"""Show the calls as they come: the feed with its filter, numbers of the last day, and one call in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from audience_sync.sandbox.curl import curl_command, pretty
from audience_sync.sandbox.keys import CONNECT_PAIRS, RUDDERSTACK_KEY, SEGMENT_KEY, WEBHOOK_SECRET
from audience_sync.sandbox.pages.values import STATES, Shown, shown_changes, status_words, value_text
from audience_sync.sandbox.pages.visit import Page, Visit
from audience_sync.sandbox.state.batch import json_value
from audience_sync.sandbox.state.read import DAY, WEEK, Reader
from audience_sync.sandbox.state.stored import CallFilter, StoredCall
from audience_sync.sandbox.values import Outcome, Problem
from audience_sync.text import pluralize
from audience_sync.web.errors import NotFoundError

#: Calls on a page, and changes of a call in the feed.
PAGE, MOST_CHANGES = 40, 12
TYPES = ("identify", "track", "page", "screen", "group", "alias", "request")
ANSWERS = ("200", "400", "401", "413", "429", "500", "503", *map(str, Outcome))


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of the feed."""

    call: StoredCall
    state: str
    words: str
    changes: Sequence[Shown]
    more_changes: int
    details: Sequence[tuple[str, str]]
    problems: Sequence[Problem]

    @property
    def is_unchanged(self) -> bool:
        """Whether an accepted identify call has only values that were received before."""
        return self.call.outcome is Outcome.ACCEPTED and self.call.type == "identify" and not self.changes


def read_call_filter(visit: Visit) -> CallFilter:
    """Read the filter of the feed from the address."""
    return CallFilter(
        destination=visit.text("destination"),
        user=visit.text("user"),
        property_name=visit.text("property"),
        value=visit.text("value"),
        type=visit.text("type"),
        answer=visit.text("answer"),
        problem=visit.text("problem"),
        before=visit.number("before"),
    )


def filter_fields(chosen: CallFilter) -> dict[str, str]:
    """Return the fields of a filter for an address."""
    return {
        "destination": chosen.destination,
        "user": chosen.user,
        "property": chosen.property_name,
        "value": chosen.value,
        "type": chosen.type,
        "answer": chosen.answer,
        "problem": chosen.problem,
    }


def item(reader: Reader, call: StoredCall) -> Item:
    """Return a call as the feed shows it. One that was refused without a problem of its own has its request's."""
    changes = shown_changes(call)
    problems = call.problems
    if not problems and call.outcome in (Outcome.DROPPED, Outcome.REFUSED, Outcome.FAILED):
        request = reader.request(call.request)
        problems = request.problems if request else ()
    return Item(
        call=call,
        state=STATES[call.outcome],
        words=status_words(call),
        changes=changes[:MOST_CHANGES],
        more_changes=max(len(changes) - MOST_CHANGES, 0),
        details=_details(call),
        problems=problems,
    )


def _details(call: StoredCall) -> list[tuple[str, str]]:
    """Return an event's first properties, or those that a call would have set if it had been accepted."""
    if not call.event and (call.changes or call.outcome in (Outcome.ACCEPTED, Outcome.REPEAT) or not call.message):
        return []
    message = json_value(call.message)
    names = ("properties",) if call.event else ("traits", "attributes")
    values = [message.get(name) for name in names] if isinstance(message, dict) else []
    found = next((each for each in values if isinstance(each, dict)), {})
    key = found.get("audience_key")
    is_ours = isinstance(key, str) and key in found  # our events name the audience twice
    shown = {name: value for name, value in found.items() if not (is_ours and name == "audience_key")}
    return [(name, value_text(value, 40)) for name, value in list(shown.items())[:4]]


def feed_page(visit: Visit) -> Page:
    """The first page: the newest calls, what happened in the last 24 hours, and which answers are planned."""
    reader = visit.reader
    destinations = reader.destinations()
    if not destinations:
        return Page(
            "sandbox_empty.html", {"title": "Waiting for the first call", "here": "home", **setup_values(visit)}
        )
    chosen = read_call_filter(visit)
    found = reader.calls(chosen, PAGE + 1)
    calls = found[:PAGE]
    is_live = visit.text("live") != "0" and chosen.before is None
    opened = visit.number("open")
    fields = filter_fields(chosen)
    return Page(
        "sandbox_feed.html",
        {
            "title": f"{pluralize(sum(reader.calls_since(visit.now - DAY).values()), 'call')} in the last 24 hours",
            "here": "home",
            "items": [item(reader, call) for call in calls],
            "opened": _opened(visit, opened, calls),
            "older": calls[-1].call if len(found) > PAGE else None,
            "chosen": chosen,
            "fields": fields,
            "is_live": is_live,
            "is_first": chosen.before is None,
            "last": max((call.call for call in calls), default=0) if chosen.is_empty else _newest(visit),
            "types": TYPES,
            "answers": ANSWERS,
            **numbers(visit, chosen.destination),
        },
    )


def _newest(visit: Visit) -> int:
    newest = visit.reader.calls(CallFilter(), 1)
    return newest[0].call if newest else 0


def numbers(visit: Visit, destination: str = "") -> dict[str, Any]:
    """Return the numbers next to the feed."""
    reader = visit.reader
    return {
        **totals(visit),
        "kept": reader.kept_calls(),
        "keep": visit.keep,
        "hours": reader.calls_by_hour(visit.now, destination),
        "properties": reader.properties(destination, 30),
        "events": reader.events(visit.now, destination, 10),
        "found_problems": reader.problems_since(visit.now - WEEK, destination),
        "plans": list(visit.plans.values()),
    }


def totals(visit: Visit) -> dict[str, Any]:
    """Return the numbers of the head: calls of the last 24 hours, and all users and requests."""
    destinations = visit.reader.destinations()
    counts = visit.reader.calls_since(visit.now - DAY)
    return {
        "destinations": destinations,
        "counts": counts,
        "total": sum(counts.values()),
        "ever": sum(each.calls for each in destinations),
        "users": sum(each.users for each in destinations),
        "requests": sum(each.requests for each in destinations),
        "last_at": max((each.last_at for each in destinations), default=None),
    }


def _opened(visit: Visit, number: int | None, calls: Sequence[StoredCall]) -> dict[str, Any] | None:
    call = next((each for each in calls if each.call == number), None)
    return opened_call(visit, call) if call else None


def opened_call(visit: Visit, call: StoredCall) -> dict[str, Any]:
    """Return request, answer and curl command of a call."""
    request = visit.reader.request(call.request)
    with_keys = visit.text("keys") == "shown"
    found: dict[str, Any] = {"call": call, "request": request, "message": pretty(call.message), "with_keys": with_keys}
    if request is not None:
        found["headers"] = [
            (name.title(), value) for name, value in request.headers.items() if name not in ("host", "content-length")
        ]
        found["curl"] = curl_command(
            visit.base,
            service=call.service,
            destination=call.destination,
            method=request.method,
            path=request.path,
            headers=request.headers,
            message=call.message,
            with_keys=with_keys,
        )
    return found


def call_page(visit: Visit, number: int) -> Page:
    """One call in full."""
    call = visit.reader.call(number)
    if call is None:
        raise NotFoundError(
            f"There is no call {number:,} here: the sandbox keeps the last {visit.keep:,} calls.",
            title="This call is not kept",
        )
    context = {
        "title": f"Call {number:,}",
        "here": "home",
        "item": item(visit.reader, call),
        "opened": opened_call(visit, call),
        "all_changes": [
            Shown(each.property, value_text(each.old, None) if each.was_set else "–", value_text(each.new, None))
            for each in call.changes
        ],
    }
    return Page("sandbox_call.html", context)


def live_items(visit: Visit, after: int, limit: int = 20) -> tuple[list[Item], int]:
    """Return the newest calls after a number, and how many more there are that the filter allows."""
    chosen = replace(read_call_filter(visit), before=None, after=after)
    items = [item(visit.reader, call) for call in visit.reader.calls(chosen, limit)]
    more = visit.reader.count_calls(chosen) - limit if len(items) == limit else 0
    return items, more


def setup_values(visit: Visit) -> Mapping[str, Any]:
    """Return what the page about setting up shows."""
    return {
        "base": visit.base,
        "host": visit.base.removeprefix("http://"),
        "segment_key": SEGMENT_KEY,
        "rudderstack_key": RUDDERSTACK_KEY,
        "pairs": CONNECT_PAIRS,
        "webhook_secret": WEBHOOK_SECRET,
    }


def setup_page(visit: Visit) -> Page:
    """How to send to the sandbox, and how to choose its answers."""
    return Page("sandbox_setup.html", {"title": "Set up", "here": "setup", "plans": [], **setup_values(visit)})


def call_document(call: StoredCall) -> dict[str, Any]:
    """Return a call as a value of JSON."""
    return {
        "call": call.call,
        "at": call.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "destination": call.destination,
        "service": call.service,
        "type": call.type,
        "user": call.user_id,
        "event": call.event or None,
        "outcome": call.outcome.value,
        "status": call.status,
        "message_id": call.message_id or None,
        "changes": [
            {"property": each.property, "old": each.old if each.was_set else None, "new": each.new}
            for each in call.changes
        ],
        "problems": [{"code": each.code, "text": each.text, "is_fatal": bool(each.is_fatal)} for each in call.problems],
        "message": json_value(call.message) if call.message else None,
    }
