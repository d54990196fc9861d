"""Lay out the answer of ``explain``: the user's values, then the calls and answers of each destination."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from shlex import quote

from audience_sync.cli.base.layout import (
    INDENT,
    Column,
    Screen,
    advice,
    command,
    display_id,
    intro_and_command,
    joined,
    labelled,
    printable,
    prose,
    table,
    width_of,
)
from audience_sync.cli.base.output import time_text
from audience_sync.history.explain.as_json import http_status, reason
from audience_sync.history.explain.explain import DestinationView, Explanation
from audience_sync.history.explain.replay import Call, CallOutcome
from audience_sync.history.explain.status import DeliveryState
from audience_sync.history.explain.value_history import UNKNOWN, ValueChange, ValueHistory
from audience_sync.model import PropertyKind
from audience_sync.store.audiences.absences import Absence
from audience_sync.text import join_names, listed, pluralize

#: The start of a problem's remedy, and the commands in it.
_REMEDY = re.compile(r" (?=If this is right: |If all that run |If it is right anyway: |To sync it again: )")
_COMMAND = re.compile(r"audience-sync [a-z-]+(?: [^\s.]+)+")
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


def explanation_lines(found: Explanation, screen: Screen, *, at: datetime | None) -> list[str]:
    user, when = display_id(found.user_id), f" at {time_text(at)} UTC" if at else ""
    if found.erased_at:
        return _erased(found, user, screen)
    if not found.is_known:
        there_is = f"There is no user '{user}' in the store{when}." if user == found.user_id else ""
        there_is = there_is or f"There is no user {user} in the store{when}."
        return prose(f"{there_is}\nIds are compared exactly as written: 007 and 7 are two users.", screen)
    texts = (f"User {user}{when}: {_membership_counts(found)}", _destinations_line(found), *_remarks(found))
    return joined([[line for text in texts if text for line in prose(text, screen)], *_blocks(found, screen)])


def _erased(found: Explanation, user: str, screen: Screen) -> list[str]:
    texts = (
        f"User {user} was erased on {time_text(found.erased_at)} UTC.",
        "Only a hash of the id is kept. The user is neither loaded nor sent.",
        "Destinations keep what they had: delete the user there as well.",
    )
    lines = [line for text in texts for line in prose(text, screen)]
    again = f"audience-sync unsuppress {_quoted_id(found.user_id)}"
    return [*lines, "", *advice("To allow this user again:", again, screen=screen)]


def _quoted_id(user: str) -> str:
    """The id, quoted for a command line."""
    return f"-- {quote(user)}" if user.startswith("-") else quote(user)


def _of_kind(found: Explanation, kind: PropertyKind) -> list[ValueHistory]:
    return [each for each in found.versions.values() if each.definition.kind is kind]


def _membership_counts(found: Explanation) -> str:
    audiences = _of_kind(found, PropertyKind.AUDIENCE)
    inside = sum(each.is_present for each in audiences)
    traits = sum(each.is_present for each in _of_kind(found, PropertyKind.COMPUTED_TRAIT))
    return f"in {inside:,} of {pluralize(len(audiences), 'audience')}, {pluralize(traits, 'computed trait')}."


def _destinations_line(found: Explanation) -> str:
    """The destinations by state, in one line."""
    names: dict[DeliveryState, list[str]] = {state: [] for state in STATE_HEADINGS}
    for view in found.destinations:
        states = {each.state for each in view.statuses}
        if state := next((each for each in (*_DECISIVE_STATES, DeliveryState.SENT) if each in states), None):
            names[state].append(view.name)
    return " ".join(f"{STATE_HEADINGS[state]} {join_names(each)}." for state, each in names.items() if each)


def _remarks(found: Explanation) -> Iterator[str]:
    if found.current_id is not None:
        yield f"A previous id of {display_id(found.current_id.new_id)} (`aliases`), since run {found.current_id.run}."
    for each in found.suppressions:
        where = "by hand" if each.origin == "command" else "by a list of the config"
        if each.holds_at(found.at):
            yield f"Suppressed {where} since {time_text(each.since)} UTC: nothing is sent."
        else:
            yield f"Was suppressed {where} from {time_text(each.since)} to {time_text(each.until)} UTC."


def _blocks(found: Explanation, screen: Screen) -> Iterator[list[str]]:
    yield _audiences(found, screen)
    yield _traits(found, screen)
    yield _problem_lines(found, screen)
    for view in found.destinations:
        yield _destination(found, view, screen)
    if found.forgotten:
        yield prose(f"Calls of the runs up to {found.forgotten} are no longer stored (`retention`).", screen)
    if found.destinations:
        each = f"audience-sync explain {_quoted_id(found.user_id)} --json"
        yield intro_and_command("Each property at each destination:", each, screen)


def _problem_lines(found: Explanation, screen: Screen) -> list[str]:
    """Problems as sentences, each command on its own line."""
    lines = list[str]()
    for text in _problems(found):
        facts = _REMEDY.split(text, maxsplit=1)[0]
        lines += prose(facts, screen, hanging="  ")
        lines += [command(each, indent="    ") for each in _COMMAND.findall(text[len(facts) :])]
    return lines


def _problems(found: Explanation) -> Iterator[str]:
    for key, snapshot in found.snapshots.items():
        if snapshot.problem:
            problem = snapshot.problem.replace(f"audience '{key}' is held: ", "").replace(f"audience '{key}': ", "")
            yield f"{key}: {printable(' '.join(problem.split()))}"
    for key, each in found.absences.items():
        yield f"{key}: {_absence_text(each)}"
    for key, out in found.holdouts.items():
        share = f" ({out.share * 100:g}%)" if out.share else ""
        yield f"Held out of {key}{share} since run {out.run} ({time_text(out.since)} UTC): never sent `true`."


def _absence_text(absence: Absence) -> str:
    since = f"missing from its source since run {absence.run} ({time_text(absence.since)} UTC)"
    if absence.min_stay is None:
        return f"{since}. The next run sends `false`, unless the user comes back"
    return f"{since}, still a member for now: `false` is sent {absence.min_stay} after that, unless the user comes back"


def _audiences(found: Explanation, screen: Screen) -> list[str]:
    audiences = _of_kind(found, PropertyKind.AUDIENCE)
    ever = [each for each in audiences if each.was_ever_present]
    notes = [[note] if (note := _snapshot_note(found, each)) else [] for each in ever]
    lines = _values("audience", found, ever, notes, screen)
    never = [each.definition.key for each in audiences if not each.was_ever_present]
    return [*lines, *prose(f"Never in: {listed(never)}", screen, hanging="  ")] if never else lines


def _traits(found: Explanation, screen: Screen) -> list[str]:
    traits = [each for each in _of_kind(found, PropertyKind.COMPUTED_TRAIT) if each.was_ever_present]
    if not traits:
        return []
    origins: dict[str, list[str]] = {}
    for each in traits:
        origins.setdefault(_snapshot(found, each, "user"), []).append(each.definition.key)
    origins.pop("", None)
    lines = _values("trait", found, traits, [[] for _ in traits], screen)
    for origin, keys in origins.items():
        which = "All" if len(keys) == len(traits) and len(keys) > 1 else listed(keys)
        lines += prose(f"{which} from {origin}", screen, indent="  ", hanging="  ")
    return lines


def _values(
    heading: str, found: Explanation, versions: Sequence[ValueHistory], notes: Sequence[list[str]], screen: Screen
) -> list[str]:
    """Lay out a table of values. A value that does not fit moves under its row, before the row's note."""
    # On a narrow terminal to the minute.
    times = [time_text(found.times[each.latest.run])[: 16 if screen.is_narrow else None] for each in versions]
    names = [each.definition.key + (" (retired)" if each.definition.retired else "") for each in versions]
    runs = [str(each.latest.run) for each in versions]
    values = [shortened(_value(each.latest), screen) for each in versions]
    room = None
    if screen.width is not None and versions:
        others = (max(map(width_of, (heading, *names))), width_of(times[0]), max(map(len, ("run", *runs))))
        room = max(screen.width - sum(others) - 3 * 2, width_of("value"))
    fits = [room is None or width_of(each) <= room for each in values]
    cells = [value if fit else "" for value, fit in zip(values, fits, strict=True)]
    under = [([] if fit else [value]) + note for value, fit, note in zip(values, fits, notes, strict=True)]
    columns = (Column(heading), Column("value", keep=True), Column("since (UTC)"), Column("run", right=True))
    return table(columns, list(zip(names, cells, times, runs, strict=True)), screen, notes=under, stack_if_narrow=True)


def _value(version: ValueChange) -> str:
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


def _snapshot_note(found: Explanation, versions: ValueHistory) -> str:
    by = found.snapshots[versions.definition.key].confirmed_by
    confirmed = "" if by is None else f"last confirmed by run {by}"
    return ", ".join(filter(None, [_snapshot(found, versions, "member"), confirmed]))


def _snapshot(found: Explanation, versions: ValueHistory, thing: str) -> str:
    """Where the snapshot comes from, and the number of its members or users."""
    counts = found.snapshots[versions.definition.key].counts
    size = pluralize(counts[f"{thing}s"], thing) if f"{thing}s" in counts else ""
    return ", ".join(filter(None, [versions.latest_loaded_from, size]))


def _destination(found: Explanation, view: DestinationView, screen: Screen) -> list[str]:
    pairs = [*_pending_and_refused(found, view, screen), *_calls(found, view, screen), *_unsent(view)]
    lines = [
        *prose(f"{view.name} ({view.type}): {_state_counts(view)}", screen, hanging="  "),
        *labelled(pairs, screen),
    ]
    older = len(view.replay.calls) - MAX_CALLS
    if older > 0:
        lines += prose(f"and {pluralize(older, 'older request')}: --json", screen, indent="  ")
    if any(each.state is DeliveryState.REFUSED for each in view.statuses):
        retry = f"audience-sync retry --destination {view.name}"
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
        yield "Reason", f"run {view.last.run} left {calls} pending: {printable(' '.join(view.last.error.split()))}"
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
        yield OUTCOME_LABELS[call.outcome], _properties_text(found, call.values, screen)
        answer = "" if call.outcome is CallOutcome.WITHHELD else _answer(call)
        if answer:
            yield "Answer", printable(answer)


def _request(call: Call) -> str:
    request, at = call.request, f"{time_text(call.request.answered_at)} UTC"
    return f"run {request.run}, {at}" if request.id is None else f"{request.id} of run {request.run}, {at}"


def _properties_text(found: Explanation, values: Mapping[str, ValueChange], screen: Screen) -> str:
    """Properties with their values, or ``the 8 values above`` if they are all values of the tables."""
    above = {key: each.latest.value for key, each in found.versions.items() if each.was_ever_present}
    if len(values) > 1 and {key: each.value for key, each in values.items()} == above:
        return f"the {len(values):,} values above"
    return ", ".join(f"{key} {shortened(_value(each), screen)}" for key, each in sorted(values.items()))


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
    status, why = http_status(call), reason(call) or ""
    if call.outcome is CallOutcome.DELIVERED and not why:
        return ""
    return ": ".join(filter(None, ["" if not status or f"HTTP {status}" in why else f"HTTP {status}", why]))
