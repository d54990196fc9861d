"""Show the calls as they come: the feed with its filter, numbers of the last day, and one call in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from audience_sync.sandbox.curl import curl_command
from audience_sync.sandbox.json_text import indented, json_value
from audience_sync.sandbox.pages.setup import setup_values
from audience_sync.sandbox.pages.texts import STATES, Shown, shown_changes, status_words, value_text
from audience_sync.sandbox.pages.visit import Page, Visit
from audience_sync.sandbox.state.conditions import DAY
from audience_sync.sandbox.state.read import WEEK, Reader
from audience_sync.sandbox.state.stored import StoredCall
from audience_sync.sandbox.values import Outcome, Problem
from audience_sync.text import pluralize
from audience_sync.web.errors import NotFoundError

#: Calls on a page, of a message to an open page, and changes of a call in the feed.
PAGE, LIVE_CALLS, MOST_CHANGES = 40, 20, 8
TYPES = ("identify", "track", "page", "screen", "group", "alias", "request")
ANSWERS = ("200", "400", "401", "413", "429", "500", "503", *map(str, Outcome))

#: Outcomes of calls that show what they changed, also if that is nothing.
_WITH_CHANGES = (Outcome.ACCEPTED, Outcome.CUT_OFF, Outcome.REPEAT)


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
        return (
            self.call.outcome in (Outcome.ACCEPTED, Outcome.CUT_OFF)
            and self.call.type == "identify"
            and not self.changes
        )


def item(reader: Reader, call: StoredCall) -> Item:
    """Return a call as the feed shows it. One that was refused without a problem of its own has its request's."""
    changes = shown_changes(call.changes)
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
    if not call.event and (call.changes or call.outcome in _WITH_CHANGES or not call.message):
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
    if not reader.totals().destinations:
        return Page("sandbox_empty.html", {"title": "Waiting for the first call", "here": "home", **setup_values()})
    chosen = visit.call_filter()
    found = reader.calls(chosen, PAGE + 1)
    calls = found[:PAGE]
    opened = visit.number("open")
    numbers = day_numbers(visit)
    return Page(
        "sandbox_feed.html",
        {
            "title": f"{pluralize(numbers['total'], 'call')} in the last 24 hours",
            "here": "home",
            "items": [item(reader, call) for call in calls],
            "opened": next((opened_call(visit, each) for each in calls if each.call == opened), None),
            "older": calls[-1].call if len(found) > PAGE else None,
            "chosen": chosen,
            "fields": chosen.fields(),
            "is_live": visit.text("live") != "0" and chosen.before is None,
            "is_first": chosen.before is None,
            "last": reader.last_call(),
            "types": TYPES,
            "answers": ANSWERS,
            "kept": reader.kept_calls(),
            "destinations": reader.destinations(),
            "hours": reader.calls_by_hour(visit.now, chosen.destination),
            "properties": reader.properties(chosen.destination, 15),
            "events": reader.events(visit.now, chosen.destination, 10),
            "found_problems": reader.problems_since(visit.now - WEEK, chosen.destination),
            "plans": visit.plans,
            **numbers,
        },
    )


def day_numbers(visit: Visit) -> dict[str, Any]:
    """Return the numbers of the head: calls of the last 24 hours, and totals."""
    counts = visit.reader.calls_since(visit.now - DAY)
    return {"counts": counts, "total": sum(counts.values()), "ever": visit.reader.totals()}


def opened_call(visit: Visit, call: StoredCall) -> dict[str, Any]:
    """Return request, answer and curl command of a call."""
    request = visit.reader.request(call.request)
    with_keys = visit.text("keys") == "shown"
    message = indented(json_value(call.message)) if call.message else ""
    found: dict[str, Any] = {"request": request, "call": call, "message": message, "with_keys": with_keys}
    if request is not None:
        found["headers"] = [
            (name.title(), value) for name, value in request.headers.items() if name not in ("host", "content-length")
        ]
        found["curl"] = curl_command(
            visit.site.address,
            service=call.service,
            destination=call.destination,
            method=request.method,
            path=request.path,
            headers=request.headers,
            type=call.type,
            message=call.message,
            with_keys=with_keys,
        )
    return found


def kept_call(visit: Visit) -> StoredCall:
    """Return the call of the address. Raises NotFoundError."""
    number = visit.number("call") or 0
    if (call := visit.reader.call(number)) is None:
        raise NotFoundError(
            f"There is no call {number:,} here: the sandbox keeps the last {visit.site.keep:,} calls.",
            title="This call is not kept",
        )
    return call


def call_page(visit: Visit) -> Page:
    """One call in full."""
    call = kept_call(visit)
    context = {
        "title": f"Call {call.call:,}",
        "here": "home",
        "item": item(visit.reader, call),
        "opened": opened_call(visit, call),
        "all_changes": shown_changes(call.changes, None),
    }
    return Page("sandbox_call.html", context)


def live_items(visit: Visit, after: int, last: int) -> tuple[list[Item], int]:
    """Return the newest calls after a number up to another, and how many more there are that the filter allows."""
    chosen = replace(visit.call_filter(), after=after, before=last + 1)
    items = [item(visit.reader, call) for call in visit.reader.calls(chosen, LIVE_CALLS)]
    if not chosen.fields():
        return items, last - after - len(items)  # with those that are no longer kept
    return items, visit.reader.count_calls(chosen) - len(items) if len(items) == LIVE_CALLS else 0
