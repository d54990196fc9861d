"""How is an explanation shown to a person?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime

from audience_sync.cli.output import line, print_table, sample, show
from audience_sync.cli.users import shown_id
from audience_sync.history.explain import DestinationView, Explanation
from audience_sync.history.explained import http_status, reason
from audience_sync.history.standing import Line, State
from audience_sync.history.telling import Call, Outcome
from audience_sync.history.versions import UNKNOWN, Version, Versions
from audience_sync.model import PropertyKind
from audience_sync.store.absences import Absence
from audience_sync.store.holdouts import Holdout
from audience_sync.wording import plural

#: Calls that are shown, the newest; `--json` has them all.
MOST_ROWS = 10
#: What the states mean, where it isn't plain.
WORDS = {
    State.WAITING: "waiting for `seed`",
    State.WITHHELD: "withheld: the user is suppressed",
    State.BASELINE: "recorded without sending: only changes are told",
    State.NOT_TOLD_OF: "not told of it",
    State.NOTHING: "nothing to tell",
    State.JOINED: "told under the new id",
}
VALUE_COLUMNS = {"value": "left", "since (UTC)": "left", "run": "right"}
LINE_COLUMNS = {
    "property": "left",
    "told": "left",
    "at (UTC)": "left",
    "run": "right",
    "request": "right",
    "answer": "left",
    "state": "left",
}


def print_explanation(found: Explanation, *, at: datetime | None) -> None:
    user, when = shown_id(found.user_id), f" at {show(at)} UTC" if at else ""
    if found.erased_at:
        line(f"User {user} was erased at {show(found.erased_at)} UTC. Nothing but a hash of the id is kept.")
        line("The user is neither loaded nor sent, until: audience-sync unsuppress")
        return
    if not found.is_known:
        line(f"The store knows no user {user}{when}. Ids are compared as they are written: 007 is not 7.")
        return
    line(f"User {user}{when}")
    if found.joined is not None:
        line(f"A previous id of {shown_id(found.joined.new_id)} (`aliases`), since run {found.joined.run}.")
    for text in _suppressions(found):
        line(text)
    _print_audiences(found)
    _print_traits(found)
    for key, snapshot in found.snapshots.items():
        if snapshot.problem:
            line(f"{key}: {snapshot.problem}")
    for key, each in found.absences.items():
        line(f"{key}: {_missing(each)}")
    for key, out in found.holdouts.items():
        line(f"Held out of {key}{_share(out)} since run {out.run} ({show(out.since)} UTC): never told `true`.")
    for view in found.destinations:
        _print_destination(view)
    if found.forgotten:
        line(f"\nCalls of the runs up to {found.forgotten} are no longer kept (`retention`).")


def _missing(absence: Absence) -> str:
    since = f"missing from its source since run {absence.run} ({show(absence.since)} UTC)"
    if absence.stay is None:
        return f"{since}. The next run tells `false`, unless the user comes back"
    return f"{since}, and for now still in it: `false` is told {absence.stay} after that, unless the user comes back"


def _share(holdout: Holdout) -> str:
    return f" ({holdout.share * 100:g}%)" if holdout.share else ""


def _suppressions(found: Explanation) -> Iterator[str]:
    for each in found.suppressions:
        where = "by hand" if each.origin == "command" else "by a list of the config"
        if each.holds_at(found.at):
            yield f"Suppressed {where} since {show(each.since)} UTC: is sent nothing."
        else:
            yield f"Was suppressed {where} from {show(each.since)} to {show(each.until)} UTC."


def _print_audiences(found: Explanation) -> None:
    audiences = [each for each in found.versions.values() if each.of.kind is PropertyKind.AUDIENCE]
    ever = [each for each in audiences if each.ever]
    if ever:
        line("")
        columns = {"audience": "left", **VALUE_COLUMNS, "last seen so": "left", "snapshot": "left"}
        print_table(columns, [(*_value_row(found, each), *_seen(found, each)) for each in ever])
    never = [each.of.key for each in audiences if not each.ever]
    if never:
        line(f"Never in {', '.join(never)}.")


def _value_row(found: Explanation, versions: Versions) -> tuple[str, str, datetime, str]:
    now = versions.now
    retired = " (retired)" if versions.of.retired else ""
    return f"{versions.of.key}{retired}", _value(now), found.times[now.run], str(now.run)


def _value(version: Version) -> str:
    return "(not kept)" if version.value == UNKNOWN else version.value or "(none)"


def _seen(found: Explanation, versions: Versions) -> tuple[str, str]:
    snapshot = found.snapshots[versions.of.key]
    by = snapshot.confirmed_by
    return "" if by is None else f"{show(found.times[by])}, run {by}", _snapshot(found, versions, "members", "member")


def _snapshot(found: Explanation, versions: Versions, count: str, thing: str) -> str:
    counts, place = found.snapshots[versions.of.key].counts, versions.now_from
    return ": ".join(filter(None, [place, plural(counts[count], thing) if count in counts else None]))


def _print_traits(found: Explanation) -> None:
    traits = [each for each in found.versions.values() if each.of.kind is PropertyKind.COMPUTED_TRAIT and each.ever]
    if traits:
        line("")
        columns = {"computed trait": "left", **VALUE_COLUMNS, "snapshot": "left"}
        print_table(columns, [(*_value_row(found, each), _snapshot(found, each, "users", "user")) for each in traits])


def _print_destination(view: DestinationView) -> None:
    line(f"\n{view.name} ({view.type}): {_in_short(view)}")
    if view.lines:
        print_table(LINE_COLUMNS, [_row(each) for each in view.lines])
    for text in _remarks(view):
        line(text)
    if view.told.calls:
        line("Calls about the user, the newest first:")
    for call in view.told.calls[: -MOST_ROWS - 1 : -1]:
        sample(f"  {_call(call)}")
    if len(view.told.calls) > MOST_ROWS:
        line(f"  ... and {len(view.told.calls) - MOST_ROWS:,} older ones: --json")


def _in_short(view: DestinationView) -> str:
    counts = {state: sum(each.state is state for each in view.lines) for state in State}
    found = [
        f"{counts[state]:,} {state}"
        for state in (State.OWED, State.WAITING, State.REFUSED, State.WITHHELD)
        if counts[state]
    ]
    return ", ".join(found) or "nothing is owed"


def _row(each: Line) -> Sequence[object]:
    state = WORDS.get(each.state, str(each.state))
    if each.due:
        state = f"{state}: {_value(each.due)} since run {each.due.run}"
    if each.ended_run is not None:
        state = f"no longer told of it since run {each.ended_run}"
    if each.told is None:
        return (each.key, "(not kept)" if each.state is State.TOLD else "(nothing)", "", "", "", "", state)
    request = each.told.request
    value = _value(each.told.values[each.key])
    return (each.key, value, request.answered_at, str(request.run), str(request.id), _answer(each.told), state)


def _answer(call: Call) -> str:
    status, why = http_status(call), reason(call) or ""
    words = ["" if not status or f"HTTP {status}" in why else f"HTTP {status}", why]
    return ": ".join(filter(None, words)) or "taken"


def _remarks(view: DestinationView) -> Iterator[str]:
    told, owes = view.told, any(each.state in (State.OWED, State.WAITING) for each in view.lines)
    refused = any(each.state is State.REFUSED for each in view.lines)
    if refused and told.refusals:
        last = told.refusals[-1]
        yield (
            f"Refused {plural(len(told.refusals), 'time')}, last at {show(last.request.answered_at)} UTC in run "
            f"{last.request.run}: {_answer(last)}. Once the reason is gone: audience-sync retry"
        )
    if owes and view.unanswered_since is not None:
        yield f"It may have arrived all the same: answers since run {view.unanswered_since} may not have been recorded."
    if owes and view.last and view.last.error:
        yield f"Run {view.last.run} left {plural(view.last.pending, 'call')} undelivered: {view.last.error}"


def _call(call: Call) -> str:
    request = call.request
    values = json.dumps({key: _plain(each) for key, each in sorted(call.values.items())}, ensure_ascii=False)
    where = f"run {request.run}" + (f", request {request.id}" if request.id is not None else "")
    said = "" if call.outcome is Outcome.WITHHELD else f" ({_answer(call)})" if _answer(call) != "taken" else ""
    return f"{show(request.answered_at)}  {where}: {call.outcome}{said}  {values}"


def _plain(version: Version) -> object:
    return "(not kept)" if version.value == UNKNOWN else version.value and json.loads(version.value)
