"""Lay out what each destination was sent of a user: pending and refused values, calls and answers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from audience_sync.cli.base.layout import (
    INDENT,
    Screen,
    advice,
    display_id,
    labelled,
    one_line,
    printable,
    prose,
    width_of,
)
from audience_sync.cli.base.output import time_text
from audience_sync.cli.views.attention import answer_text
from audience_sync.command_line import to_paste
from audience_sync.delivery.state.sent_form import SentForm
from audience_sync.history.explain.as_json import http_status, reason
from audience_sync.history.explain.calls import Call, CallOutcome
from audience_sync.history.explain.explain import DestinationView, Explanation
from audience_sync.history.explain.status import DeliveryState
from audience_sync.history.explain.value_history import UNKNOWN, ValueChange
from audience_sync.text import join_names, listed, pluralize

#: The most calls that are shown, the newest first; `--json` has all.
MAX_CALLS = 10
#: The most characters of a value; `--json` has all.
MAX_CHARACTERS = 200
#: Characters before the text of the widest label, and a comma after it.
_DEEPEST = 12
#: States that the first line of a destination counts.
STATE_NAMES = {
    DeliveryState.PENDING: "pending",
    DeliveryState.WAITING: "waiting for seed",
    DeliveryState.REFUSED: "refused",
    DeliveryState.WITHHELD: "not sent (the user is suppressed)",
}
#: Headings of destinations in the second line of the answer, in this order.
STATE_HEADINGS = {
    DeliveryState.SENT: "Up to date at",
    DeliveryState.PENDING: "Pending at",
    DeliveryState.WAITING: "Waiting for seed at",
    DeliveryState.REFUSED: "Refused by",
    DeliveryState.WITHHELD: "Nothing is sent to",
}
#: A destination stands under the first of these states that one of its properties is in.
_DECISIVE_STATES = (DeliveryState.REFUSED, *(each for each in STATE_NAMES if each is not DeliveryState.REFUSED))
#: Why properties were never sent.
NEVER_SENT = {
    DeliveryState.BASELINE: ("Baseline", "recorded, only later changes are sent"),
    DeliveryState.NOT_SUBSCRIBED: ("Elsewhere", "not sent to this destination"),
    DeliveryState.MERGED: ("Joined", "sent under the new id"),
}
OUTCOME_LABELS = {CallOutcome.DELIVERED: "Sent", CallOutcome.REFUSED: "Refused", CallOutcome.WITHHELD: "Not sent"}


def destinations_line(found: Explanation) -> str:
    """The destinations by state, in one line."""
    names: dict[DeliveryState, list[str]] = {state: [] for state in STATE_HEADINGS}
    for view in found.destinations:
        states = {each.state for each in view.statuses}
        if state := next((each for each in (*_DECISIVE_STATES, DeliveryState.SENT) if each in states), None):
            names[state].append(view.name)
    return " ".join(f"{STATE_HEADINGS[state]} {join_names(each)}." for state, each in names.items() if each)


def destination_lines(found: Explanation, view: DestinationView, screen: Screen) -> list[str]:
    pairs = [*_pending_and_refused(found, view, screen), *_calls(found, view, screen), *_unsent(view)]
    lines = [
        *prose(f"{view.name} ({view.type}): {_state_counts(view)}", screen, hanging="  "),
        *labelled(pairs, screen),
    ]
    older = len(view.replay.calls) - MAX_CALLS
    if older > 0:
        lines += prose(f"and {pluralize(older, 'older request')}: --json", screen, indent="  ")
    if any(each.state is DeliveryState.REFUSED for each in view.statuses):
        retry = to_paste("retry", "--destination", view.name)
        lines += ["", *advice("After correcting the data:", retry, screen=screen, indent=INDENT)]
    for each in view.statuses:
        if each.state is DeliveryState.WAITING:
            seed = f"audience-sync seed {each.key}"
            lines += ["", *advice("To send it:", seed, screen=screen, indent=INDENT)]
    return lines


def _state_counts(view: DestinationView) -> str:
    counts = {state: sum(each.state is state for each in view.statuses) for state in DeliveryState}
    accepted, first = counts[DeliveryState.SENT], next((state for state in STATE_NAMES if counts[state]), None)
    if first is None:
        return f"{pluralize(accepted, 'property')} accepted, nothing pending" if accepted else "nothing pending"
    found = [f"{pluralize(counts[first], 'property')} {STATE_NAMES[first]}"]
    found += [f"{counts[each]:,} {what}" for each, what in STATE_NAMES.items() if counts[each] and each is not first]
    return ", ".join([*found, f"{accepted:,} accepted" if accepted else "none accepted"])


def _pending_and_refused(found: Explanation, view: DestinationView, screen: Screen) -> Iterator[tuple[str, str]]:
    """Labels and texts on pending and refused properties: reason, since when, values."""
    due = {each.key: each.pending for each in view.statuses if each.pending}
    states = {each.state for each in view.statuses if each.pending}
    if not due:
        return
    replay, waits = view.replay, bool(states & {DeliveryState.PENDING, DeliveryState.WAITING})
    if DeliveryState.REFUSED in states and replay.refusals:
        last = replay.refusals[-1]
        yield "Reason", printable(_answer(last))
        yield "Request", f"{_request(last)}, refused {pluralize(len(replay.refusals), 'time')}"
    if waits and view.last and view.last.error:
        calls = pluralize(view.last.pending, "call")
        yield "Reason", f"run {view.last.run} left {calls} pending: {one_line(view.last.error)}"
    runs = sorted({each.run for each in due.values()})
    yield "Since", f"run {runs[0]}" + (f" to {runs[-1]}" if len(runs) > 1 else "")
    yield "To send", _properties_text(found, due, screen)
    if waits and view.unanswered_since is not None:
        fact = f"run {view.unanswered_since} may have sent this call, without an answer recorded."
        yield "Note", f"{fact} It is sent again with the same message id."


def _calls(found: Explanation, view: DestinationView, screen: Screen) -> Iterator[tuple[str, str]]:
    """Labels and texts on the user's calls, the newest first, without a last refusal that is shown already."""
    known = view.replay.refusals[-1] if view.replay.refusals else None
    for call in view.replay.calls[: -MAX_CALLS - 1 : -1]:
        if call is known and any(each.state is DeliveryState.REFUSED for each in view.statuses):
            continue
        yield "Request", _request(call)
        forms, sent_id = view.forms(call), view.sent_id(call, found.versions)
        last = view.last_identifiers(call, found.versions)
        yield OUTCOME_LABELS[call.outcome], _properties_text(found, {**call.values, **last}, screen, forms, last)
        if sent_id is not None:
            yield "User id", f"{display_id(sent_id)} there"
        answer = "" if call.outcome is CallOutcome.WITHHELD else _answer(call)
        if answer:
            yield "Answer", printable(answer)


def _request(call: Call) -> str:
    request, at = call.request, f"{time_text(call.request.answered_at)} UTC"
    return f"run {request.run}, {at}" if request.id is None else f"{request.id} of run {request.run}, {at}"


def _properties_text(
    found: Explanation,
    values: Mapping[str, ValueChange],
    screen: Screen,
    forms: Mapping[str, SentForm] = MappingProxyType({}),
    lost: Collection[str] = (),
) -> str:
    """Properties with their values and their names there, or ``the 8 values above`` if they are all of the tables.

    ``lost``: identifiers of which the last value was sent.
    """
    above = {key: each.latest.value for key, each in found.versions.items() if each.was_ever_present}
    forms = {**dict.fromkeys(lost, SentForm()), **forms}
    notes = {key: note for key, form in forms.items() if (note := _form_text(form, is_lost=key in lost))}
    if len(values) > 1 and not notes and {key: each.value for key, each in values.items()} == above:
        return f"the {len(values):,} values above"
    texts = {key: f"{key} {shortened(value_text(each), screen)}" for key, each in sorted(values.items())}
    return ", ".join(f"{text} ({notes[key]})" if key in notes else text for key, text in texts.items())


def _form_text(form: SentForm, *, is_lost: bool) -> str:
    """``as is_vip, hashed``; empty if the property is sent under its key."""
    last = "its last value, in the exit" if is_lost else ""
    return ", ".join(filter(None, [f"as {form.name}" if form.name else "", "hashed" if form.hashed else "", last]))


def _unsent(view: DestinationView) -> Iterator[tuple[str, str]]:
    """Labels and texts on properties that no stored call has."""
    for state, (label, why) in NEVER_SENT.items():
        keys = [each.key for each in view.statuses if each.state is state]
        if keys:
            yield label, f"{listed(keys)}: {why}"
    for each in view.statuses:
        if each.ended_run is not None:
            yield "Ended", f"{each.key}: no longer sent since run {each.ended_run}"
    gone = [each.key for each in view.statuses if each.state is DeliveryState.SENT and each.sent is None]
    if gone:
        yield "Accepted", f"{listed(gone)}: the request is no longer stored"


def _answer(call: Call) -> str:
    """Status and reason of an answer; empty if the call was accepted without a reason."""
    why = reason(call) or ""
    return "" if call.outcome is CallOutcome.DELIVERED and not why else answer_text(http_status(call), why)


def value_text(version: ValueChange) -> str:
    return "(not stored)" if version.value == UNKNOWN else version.value or "(none)"


def shortened(text: str, screen: Screen) -> str:
    """Cut a long value, and count the characters that are left out.

    On a terminal, a value with a word wider than the line is long, too.
    """
    most = MAX_CHARACTERS
    if screen.width is not None:
        room = max(screen.width - _DEEPEST, 1)
        if any(width_of(word) > room for word in text.split(" ")):
            most = min(most, room)
    left = len(text) - most
    return f"{text[:most]} and {left:,} more characters" if left > 0 else text
