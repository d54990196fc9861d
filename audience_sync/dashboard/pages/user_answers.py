"""Put into words why a user has each value, and what each destination was sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from audience_sync.command_line import to_paste
from audience_sync.dashboard.pages.user_lanes import OUTCOMES, value_text
from audience_sync.history.explain.as_json import http_status, reason
from audience_sync.history.explain.calls import Call
from audience_sync.history.explain.explain import DestinationView, Explanation
from audience_sync.history.explain.status import DeliveryState
from audience_sync.history.explain.value_history import TRUE, UNKNOWN, ValueHistory
from audience_sync.model import ALIAS_KEY, PropertyKind
from audience_sync.text import pluralize

#: Requests on the page, the newest.
MOST_REQUESTS = 100
#: The state of a property at a destination: the state of the pages, and its word.
STATES = {
    DeliveryState.SENT: ("accepted", "accepted"),
    DeliveryState.PENDING: ("pending", "pending"),
    DeliveryState.WAITING: ("waiting", "waits for seed"),
    DeliveryState.REFUSED: ("refused", "refused"),
    DeliveryState.WITHHELD: ("withheld", "withheld: suppressed"),
    DeliveryState.BASELINE: ("none", "baseline, not sent"),
    DeliveryState.NOT_SUBSCRIBED: ("none", "not sent here"),
    DeliveryState.ENDED: ("none", "no longer sent here"),
    DeliveryState.MERGED: ("none", "sent under the new id"),
    DeliveryState.NOTHING: ("none", "nothing to send"),
}
_REMEDY = re.compile(r" (?=If this is right: |If all that run |If it is right anyway: |To sync it again: )")
_COMMAND = re.compile(r"audience-sync [a-z-]+(?: [^\s.]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a property has its value. ``problem``: why a newer snapshot was not used, with commands."""

    key: str
    value: str
    is_retired: bool
    run: int
    at: datetime
    fact: str
    confirmed_run: int | None = None
    confirmed_at: datetime | None = None
    problem: str = ""
    commands: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SentProperty:
    """A property of a call: its value, and how it was sent if not under its key."""

    key: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """One request about the user, with its answer. ``sent_id``: the id there, if it was another."""

    request: int | None
    run: int
    at: datetime
    destination: str
    state: str
    answer: str
    properties: Sequence[SentProperty]
    sent_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationState:
    """The properties of the user at a destination, by key: state and word. ``notes``: on what is not accepted."""

    name: str
    type: str
    states: Mapping[str, tuple[str, str]]
    notes: Sequence[str] = ()
    commands: Sequence[str] = ()


def reason_of(found: Explanation, versions: ValueHistory, commands: Mapping[int, str]) -> Reason:
    """Name the run that set the value, and its snapshot. ``commands``: of the runs that set values."""
    snapshot, now = found.snapshots[versions.definition.key], versions.latest
    facts, remedies = _problem(versions.definition.key, snapshot.problem)
    return Reason(
        key=versions.definition.key,
        value=value_text(now),
        is_retired=versions.definition.retired,
        run=now.run,
        at=found.times[now.run],
        fact=_fact(versions, commands.get(now.run, "sync")),
        confirmed_run=snapshot.confirmed_by if snapshot.confirmed_by != now.run else None,
        confirmed_at=found.times[snapshot.confirmed_by] if snapshot.confirmed_by else None,
        problem=facts,
        commands=remedies,
    )


def _fact(versions: ValueHistory, command: str) -> str:
    where = versions.latest_loaded_from or "its source"
    value = versions.latest.value
    if command == "undo":
        return "undid an earlier change."
    if command == "retire":
        return "retired it."
    if value == UNKNOWN:
        return "or an earlier one set it; the value is no longer stored."
    if versions.definition.kind is PropertyKind.AUDIENCE:
        return f"found the user in {where}." if value == TRUE else f"no longer found the user in {where}."
    return f"loaded the value from {where}." if value is not None else f"found no value any longer in {where}."


def _problem(key: str, problem: str | None) -> tuple[str, Sequence[str]]:
    """Divide a problem into its facts and the commands that it names."""
    if not problem:
        return "", ()
    text = problem.replace(f"audience '{key}' is held: ", "").replace(f"audience '{key}': ", "")
    text = " ".join(text.split())
    facts = _REMEDY.split(text, maxsplit=1)[0]
    return facts[:1].upper() + facts[1:], tuple(_COMMAND.findall(text[len(facts) :]))


def destination_state(view: DestinationView) -> DestinationState:
    """The state of each property at a destination, with what a person should know or do."""
    states = {each.key: STATES[each.state] for each in view.statuses if each.key != ALIAS_KEY}
    found = {each.state for each in view.statuses}
    notes, commands = list[str](), list[str]()
    if DeliveryState.REFUSED in found and view.replay.refusals:
        times = pluralize(len(view.replay.refusals), "time")
        notes.append(f"Refused {times}: {_answer(view.replay.refusals[-1]) or 'without a reason'}.")
        commands.append(to_paste("retry", "--destination", view.name))
    if found & {DeliveryState.PENDING, DeliveryState.WAITING}:
        runs = sorted(each.pending.run for each in view.statuses if each.pending)
        if runs:
            notes.append(f"Pending since run {runs[0]}.")
        if view.last and view.last.error:
            notes.append(f"Run {view.last.run} ended early: {view.last.error}")
        if view.unanswered_since is not None:
            notes.append(
                f"Run {view.unanswered_since} may have sent this call, without an answer recorded. It is sent again "
                "with the same message id."
            )
    commands += [f"audience-sync seed {each.key}" for each in view.statuses if each.state is DeliveryState.WAITING]
    gone = [each.key for each in view.statuses if each.state is DeliveryState.SENT and each.sent is None]
    if gone:
        notes.append(f"The requests that sent {_listed(gone)} are no longer stored.")
    ended = [each for each in view.statuses if each.ended_run is not None]
    notes += [f"{each.key}: no longer sent since run {each.ended_run}." for each in ended]
    return DestinationState(
        name=view.name, type=view.type, states=states, notes=notes, commands=list(dict.fromkeys(commands))[:5]
    )


def _listed(keys: Sequence[str], most: int = 5) -> str:
    more = len(keys) - most
    return ", ".join(keys[:most]) + (f" and {more:,} more" if more > 0 else "")


def request_lines(found: Explanation) -> list[RequestLine]:
    """All calls about the user, the newest first."""
    lines = [_line(found, view, call) for view in found.destinations for call in view.replay.calls]
    return sorted(lines, key=lambda each: (each.at, each.request or 0), reverse=True)


def _line(found: Explanation, view: DestinationView, call: Call) -> RequestLine:
    lost = view.last_identifiers(call, found.versions)
    forms = view.forms(call)
    properties = []
    for key, value in sorted({**call.values, **lost}.items()):
        form = forms.get(key)
        notes = [f"as {form.name}" if form and form.name else "", "hashed" if form and form.hashed else ""]
        notes.append("its last value, in the exit" if key in lost else "")
        name = "previous ids" if key == ALIAS_KEY else key
        properties.append(SentProperty(key=name, value=value_text(value), note=", ".join(filter(None, notes))))
    return RequestLine(
        request=call.request.id,
        run=call.request.run,
        at=call.request.answered_at,
        destination=view.name,
        state=OUTCOMES[call.outcome][0],
        answer=_answer(call),
        properties=properties,
        sent_id=view.sent_id(call, found.versions),
    )


def _answer(call: Call) -> str:
    """``HTTP 400: email address is not deliverable``; empty for an answer without status and text."""
    status, text = http_status(call), (reason(call) or "").strip()
    if status and text.startswith(f"HTTP {status}"):
        return text
    return ": ".join(filter(None, [f"HTTP {status}" if status else "", text]))
