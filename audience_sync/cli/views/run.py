"""Lay out one run: its outcome, tables of audiences and destinations, and what needs a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from audience_sync.cli.base.layout import (
    Column,
    Screen,
    advice,
    command,
    display_id,
    joined,
    labelled,
    one_line,
    printable,
    prose,
    table,
)
from audience_sync.cli.base.output import short_duration
from audience_sync.cli.views.attention import answer_text, refusal_lines, without_audience_name
from audience_sync.cli.views.headline import call_texts, held_things, moved_texts
from audience_sync.cli.views.history import member_notes
from audience_sync.cli.views.holds import hold_group, stored_hold_block
from audience_sync.command_line import to_paste
from audience_sync.model import USER_ID
from audience_sync.text import and_more, by_reason, listed, pluralize, utc_time

Row = Mapping[str, Any]

#: The most invalid rows that are shown; the view has all.
MAX_INVALID_ROWS = 50
#: The most users that are shown for one reason; the view has all.
MAX_REFUSED_USERS = 10
#: What `retention` deletes, as the answer names it.
PRUNED = {
    "changes": "changes that later ones replaced",
    "requests": "requests",
    "invalid_rows": "invalid rows",
    "runs": "what the run found and delivered",
}
_AUDIENCES = (
    Column("audience"),
    Column("status"),
    Column("before", right=True, keep=True),
    Column("after", right=True, keep=True),
    Column("entered", right=True),
    Column("left", right=True),
    Column("invalid", right=True, lost=1),
)
_DESTINATIONS = (
    Column("destination"),
    Column("calls", right=True, keep=True),
    Column("delivered", right=True, keep=True),
    Column("refused", right=True),
    Column("pending", right=True),
    Column("requests", right=True, keep=True),
    Column("retries", right=True, lost=1),
    Column("time", right=True, lost=2),
)
_UNANSWERED = "-"
#: Later outcomes of a refused call.
_OUTCOMES = {
    "accepted": "accepted by a later run",
    "withheld": "not sent, the user was suppressed or the destination no longer gets the values",
    "dropped": "dropped, nothing is to be sent any longer",
}


def run_lines(run: Row, screen: Screen, *, ask: Callable[[str], str]) -> list[str]:
    """Lay out the answer of ``show``. ``ask``: returns the shell command that prints its rows in a view."""
    started = utc_time(run["started_at"])
    if run["seconds"] and run["status"] != "interrupted":
        started += f", took {short_duration(run['seconds'])}"
    return joined(
        [
            [
                *prose(screen.coloured(_outcome(run), run["status"]), screen),
                *labelled([("Command", run["command"]), ("Started", started), *_why(run)], screen),
            ],
            *_blocks(run, screen, ask),
        ]
    )


def _why(run: Row) -> Iterator[tuple[str, str]]:
    """Who asked for the run and why, if it carries out decisions; of a run in progress, the stages it is at."""
    own = [each for each in run.get("decisions", ()) if each["run"] == run["run"] and each["command"] != "reject"]
    if own:
        yield "By", f"{own[0]['decided_by']} on {own[0]['host']}"
        yield "Reason", one_line(own[0]["reason"] or "")
    if run["status"] == "running":
        at = [each for each in run.get("stages", ()) if each["seconds"] is None]
        yield "Stage", "; ".join(f"{each['stage']} {each['subject'] or ''}".strip() for each in at)
        if run.get("entries"):
            yield "Loaded", f"{run['entries_loaded']:,} of {run['entries']:,}"


def _blocks(run: Row, screen: Screen, ask: Callable[[str], str]) -> Iterator[list[str]]:
    audiences, deliveries = run["audience_syncs"], run["deliveries"]
    yield _audiences(audiences, screen)
    if run["trait_users_changed"] is not None:
        yield [f"Computed traits: {pluralize(run['trait_users_changed'], 'user')} changed."]
    yield _destinations(deliveries, screen)
    yield _mappings(run.get("mappings", ()), screen)
    yield from (_failed(each, screen) for each in audiences if each["status"] == "failed")
    if error := _run_error(run):
        title = "Interrupted" if run["status"] == "interrupted" else "Failed"
        yield [f"{title}: the run", *labelled([("Reason", one_line(error))], screen)]
    yield from (_stopped(each, screen) for each in deliveries if each["error"])
    yield from (stored_hold_block(list(found), run, screen) for _, found in groupby(run["holds"], hold_group))
    for name, calls in groupby(run["refusals"] or run["refused_calls"], itemgetter("destination")):
        yield _refused(name, list(calls), screen, ask)
    if run["status"] == "interrupted" and run["pending"]:
        yield advice("The next run sends the pending calls:", "audience-sync sync", screen=screen)
    yield from (_waiting_or_frozen(each, screen) for each in audiences)
    for key, rows in groupby(run["invalid_rows"], itemgetter("audience_key")):
        yield _invalid(key, list(rows), screen, ask)
    if run["no_longer_kept"]:
        gone = ", ".join(PRUNED[each] for each in run["no_longer_kept"])
        yield prose(f"No longer stored (`retention`): {gone}.", screen)


def _outcome(run: Row) -> str:
    number, counts = f"Run {run['run']}", ", ".join(_counts(run))
    match run["status"]:
        case "interrupted":
            fact = f"{number} was interrupted" + (f" after {short_duration(run['seconds'])}" if run["seconds"] else "")
            if not run["audience_syncs"] and not counts:
                return f"{fact}. It had stored and sent nothing."
            return f"{fact}. Its changes are stored" + (f"; {counts}." if counts else ".")
        case "running":
            return f"{number} is running" + (f": {counts}." if counts else ".")
        case "held":
            held = _held_in(run)
            which = "it" if held in ("1 audience", "1 computed trait") else "them"
            if held == "1 mapping":
                return f"{number} held 1 mapping. Changes were sent under the former one" + (
                    f": {counts}." if counts else "."
                )
            done = f". {counts[:1].upper()}{counts[1:]}" if counts else ""
            return f"{number} held {held}. Nothing of {which} was changed or sent{done}."
        case "failed":
            stopped = sum(bool(each["error"]) for each in run["deliveries"])
            cause = counts
            if run["failed"]:
                cause = f"{run['failed']:,} of {pluralize(run['audiences'], 'audience')} could not be loaded"
            elif stopped:
                cause = f"{stopped:,} of {pluralize(len(run['deliveries']), 'destination')} stopped"
            rest = f"; {counts}" if counts and cause != counts else ""
            return f"{number} failed" + (f": {cause}{rest}." if cause else ".")
        case status:
            return f"{number} {status}: {counts or 'no changes, nothing to send'}."


def _mappings(rows: Sequence[Row], screen: Screen) -> list[str]:
    """One line for each destination that is sent properties under other names, hashed, or under another id."""
    lines = list[str]()
    for destination, found in groupby(rows, itemgetter("destination")):
        mine = list(found)
        parts = [f"{each['key']} as {each['name']}" for each in mine if each["name"] != each["key"]]
        parts += [f"{each['key']} hashed" for each in mine if each["hashed"]]
        parts += [f"users by {each}" for each in dict.fromkeys(row["user_id"] for row in mine) if each != USER_ID]
        lines += prose(f"Mapping of {destination}: {', '.join(parts)}.", screen) if parts else []
    return lines


def _held_in(run: Row) -> str:
    kinds = [each["kind"] for each in run["holds"] if each["run"] <= run["run"] <= each["last_run"]]
    audiences = max(kinds.count("audience"), run["held"] or 0)
    traits, mappings = kinds.count("computed_trait"), kinds.count("mapping")
    return held_things(audiences, traits, mappings, lists="suppressed" in kinds) or "a snapshot"


def _counts(run: Row) -> list[str]:
    held = [f"{pluralize(run['held'], 'audience')} held"] if run["held"] and run["status"] != "held" else []
    return [*held, *moved_texts(run), *call_texts(run)]


def _audiences(audiences: Sequence[Row], screen: Screen) -> list[str]:
    names = ("audience_key", "status", "members_before", "members_after", "entered", "left", "invalid")
    rows = [[each[name] for name in names] for each in audiences]
    notes = [[note] if (note := ", ".join(member_notes(each))) else [] for each in audiences]
    return table(_AUDIENCES, rows, screen, notes=notes, stack_if_narrow=True)


def _destinations(deliveries: Sequence[Row], screen: Screen) -> list[str]:
    names = ("destination", "calls", "delivered", "refused", "pending")
    rows = [
        [
            *(each[name] for name in names),
            _UNANSWERED if each["requests"] is None else each["requests"],
            each["retries"],
            short_duration(each["seconds"]),
        ]
        for each in deliveries
    ]
    return table(_DESTINATIONS, rows, screen, stack_if_narrow=True)


def _failed(audience: Row, screen: Screen) -> list[str]:
    effect = f"its {pluralize(audience['members_after'], 'member')} are unchanged" if audience["members_after"] else ""
    reason = without_audience_name(one_line(audience["error"] or "not stored"), audience["audience_key"])
    pairs = [("Reason", reason), ("Effect", effect)]
    return [f"Failed: {audience['audience_key']}", *labelled(pairs, screen)]


def _run_error(run: Row) -> str:
    """The lines of a run's error that are not about one audience or destination."""
    audiences = {
        without_audience_name(one_line(each["error"] or ""), each["audience_key"]) for each in run["audience_syncs"]
    }
    destinations = "\n".join(f"destination {each['destination']}: {each['error']}" for each in run["deliveries"])
    own = set(destinations.splitlines())
    lines = [line for line in (run["error"] or "").splitlines() if line not in own]
    return "\n".join(line for line in lines if not line.endswith(tuple(audiences - {""})))


def _stopped(delivery: Row, screen: Screen) -> list[str]:
    """The block of a delivery that ended early: stopped, or pending after a 429."""
    pending = delivery["pending"]
    effect = f"{pluralize(pending, 'call')} pending after this run" if pending else "no call was pending after this run"
    pairs = [("Reason", one_line(delivery["error"])), ("Effect", effect)]
    is_rate_limited = "HTTP 429" in delivery["error"] and pending
    what = f"Pending at {{}}: {pluralize(pending, 'call')}" if is_rate_limited else "Stopped: {}"
    return [what.format(delivery["destination"]), *labelled(pairs, screen)]


def _waiting_or_frozen(audience: Row, screen: Screen) -> list[str]:
    """The block of an audience that waits for its seed or is frozen; empty for another one."""
    key, error = audience["audience_key"], audience["error"]
    match audience["status"]:
        case "waiting":
            return advice(f"Waiting: {key}", f"audience-sync seed {key}", screen=screen)
        case "frozen" if error:
            return [f"Frozen: {key}", *prose(one_line(error), screen, indent="  ")]
        case _:
            return []


def _refused(name: str, calls: Sequence[Row], screen: Screen, ask: Callable[[str], str]) -> list[str]:
    users: dict[str, list[str]] = {}
    for each in calls:
        answer = answer_text(each["http_status"], one_line(each["reason"] or "no reason given"))
        users.setdefault(answer, []).append(display_id(each["user_id"]))
    groups = {shared: [user for each in alike for user in users[each]] for shared, alike in by_reason(users).items()}
    found = sorted(groups.items(), key=lambda reason: -len(reason[1]))
    lines = [
        f"Refused by {name}: {pluralize(len(calls), 'call')}, {pluralize(len(found), 'reason')}",
        *refusal_lines([(len(each), why, listed(each, most=MAX_REFUSED_USERS)) for why, each in found], screen),
    ]
    outcomes = Counter(each.get("outcome", "refused") for each in calls)
    later = [f"{outcomes[outcome]:,} {what}" for outcome, what in _OUTCOMES.items() if outcomes[outcome]]
    if later:
        lines += prose(f"Since then: {'; '.join(later)}", screen, indent="  ", hanging="    ")
    further = list[str]()
    if any(len(each) > MAX_REFUSED_USERS for each in groups.values()):
        further += advice("All of them:", ask("refusals"), screen=screen, indent="  ")
    if outcomes["refused"]:
        retry = to_paste("retry", "--destination", name)
        further += advice("After correcting the data:", retry, screen=screen, indent="  ")
    return [*lines, "", *further] if further else lines


def _invalid(key: str, rows: Sequence[Row], screen: Screen, ask: Callable[[str], str]) -> list[str]:
    lines = [f"Invalid: {pluralize(len(rows), 'row')} of {key}"]
    for each in rows[:MAX_INVALID_ROWS]:
        lines += prose(_row_text(each), screen, indent="  ", hanging="    ")
    if len(rows) > MAX_INVALID_ROWS:
        lines += [
            *and_more(len(rows) - MAX_INVALID_ROWS, "  ", ":"),
            command(ask("invalid_rows"), screen, indent="    "),
        ]
    return lines


def _row_text(row: Row) -> str:
    where = [printable(row["file"])] if row["file"] else []
    where += [f"row {row['row']}"] if row["row"] is not None else []
    user = f" (user {display_id(row['user_id'])})" if (row["user_id"] or "").strip() else ""
    return f"{', '.join(where)}: {one_line(row['reason'])}{user}"
