"""Lay out one run: its outcome, tables of audiences and destinations, and what needs a person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from audience_sync.cli.base.layout import Column, Screen, command, labelled, printable, prose, table
from audience_sync.cli.base.output import short_duration
from audience_sync.cli.base.user_id_option import display_id
from audience_sync.cli.views.attention import change_text, without_audience_name
from audience_sync.model import ChangeCounts, HoldKind
from audience_sync.sync.guard.messages import limit_then, without_subject
from audience_sync.text import and_more, listed, pluralize

Row = Mapping[str, Any]

#: The most invalid rows that are shown; the view has all.
MAX_INVALID_ROWS = 50
#: The most users that are shown of a hold; the JSON answer has up to 100 of those who would enter, and of those
#: who would leave.
MAX_SAMPLED_USERS = 5
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
    "withheld": "not sent, the user was suppressed",
    "dropped": "dropped, nothing is to be sent any longer",
}


def run_lines(run: Row, screen: Screen, *, ask: Callable[[str], str]) -> list[str]:
    """Lay out the answer of ``show``. ``ask``: returns the shell command that prints its rows in a view."""
    lines = prose(screen.coloured(_outcome(run), run["status"]), screen)
    started = f"{run['started_at']:%Y-%m-%d %H:%M:%S} UTC"
    took = short_duration(run["seconds"])
    lines += labelled(
        [
            ("Command", run["command"]),
            ("Started", f"{started}, took {took}" if took and run["status"] != "interrupted" else started),
        ],
        screen,
    )
    for block in _blocks(run, screen, ask):
        if block:
            lines += ["", *block]
    return lines


def _blocks(run: Row, screen: Screen, ask: Callable[[str], str]) -> Iterator[list[str]]:
    yield _audiences(run["audience_syncs"], screen)
    if run["trait_users_changed"] is not None:
        yield [f"Computed traits: {pluralize(run['trait_users_changed'], 'user')} changed."]
    yield _destinations(run["deliveries"], screen)
    yield from (_failed(each, screen) for each in run["audience_syncs"] if each["status"] == "failed")
    if error := _run_error(run):
        yield ["Failed: the run", *labelled([("Reason", _one_line(error))], screen)]
    yield from (_stopped(each, screen) for each in run["deliveries"] if each["error"])
    groups = [list(found) for _, found in groupby(run["holds"], _hold_group)]
    yield from (_held(each, run, screen) for each in groups)
    for name, calls in groupby(run["refusals"] or run["refused_calls"], itemgetter("destination")):
        yield _refused(name, list(calls), screen, ask)
    if run["status"] == "interrupted" and run["pending"]:
        yield ["The next run sends the pending calls:", command("audience-sync sync")]
    yield from (
        _waiting_or_frozen(each, screen) for each in run["audience_syncs"] if each["status"] in ("waiting", "frozen")
    )
    for key, rows in groupby(run["invalid_rows"], itemgetter("audience_key")):
        yield _invalid(key, list(rows), screen, ask)
    if run["no_longer_kept"]:
        gone = ", ".join(PRUNED[each] for each in run["no_longer_kept"])
        yield prose(f"No longer stored (`retention`): {gone}.", screen)


def _outcome(run: Row) -> str:
    number, counts = f"Run {run['run']}", ", ".join(_counts(run))
    match run["status"]:
        case "interrupted":
            after = f" after {short_duration(run['seconds'])}" if run["seconds"] else ""
            if not run["audience_syncs"] and not counts:
                return f"{number} was interrupted{after}. It had stored and sent nothing."
            return f"{number} was interrupted{after}. Its changes are stored" + (f"; {counts}." if counts else ".")
        case "running":
            return f"{number} is running" + (f": {counts}." if counts else ".")
        case "held":
            held = _held_in(run)
            which = "it" if held == "1 audience" else "them"
            done = f". {counts[:1].upper()}{counts[1:]}" if counts else ""
            return f"{number} held {held}. Nothing of {which} was changed or sent{done}."
        case "failed" if run["failed"]:
            many = pluralize(run["audiences"], "audience")
            found = f"{number} failed: {run['failed']:,} of {many} could not be loaded"
            return f"{found}; {counts}." if counts else f"{found}."
        case "failed" if stopped := sum(bool(each["error"]) for each in run["deliveries"]):
            many = pluralize(len(run["deliveries"]), "destination")
            found = f"{number} failed: {stopped:,} of {many} stopped"
            return f"{found}; {counts}." if counts else f"{found}."
        case "failed" if not counts:
            return f"{number} failed."
        case status:
            return f"{number} {status}: {counts or 'no changes, nothing to send'}."


def _held_in(run: Row) -> str:
    kinds = [each["kind"] for each in run["holds"] if each["run"] <= run["run"] <= each["last_run"]]
    audiences = max(kinds.count("audience"), run["held"] or 0)
    counts = ((audiences, "audience"), (kinds.count("computed_trait"), "computed trait"))
    found = [pluralize(count, thing) for count, thing in counts if count]
    if "suppressed" in kinds:
        found.append("the lists of suppressed users")
    return " and ".join(found) or "a snapshot"


def _counts(run: Row) -> Iterator[str]:
    if run["held"] and run["status"] != "held":
        yield f"{pluralize(run['held'], 'audience')} held"
    for name in ("entered", "left"):
        if run[name]:
            yield f"{run[name]:,} {name}"
    if run["delivered"]:
        yield f"{pluralize(run['delivered'], 'call')} delivered"
    for name in ("refused", "pending"):
        if run[name]:
            what = f"{run[name]:,} {name}"
            yield what if run["delivered"] else f"{pluralize(run[name], 'call')} {name}"


def _audiences(audiences: Sequence[Row], screen: Screen) -> list[str]:
    names = ("audience_key", "status", "members_before", "members_after", "entered", "left", "invalid")
    rows = [[each[name] for name in names] for each in audiences]
    notes = [[note] if (note := ", ".join(_members(each))) else [] for each in audiences]
    return table(_AUDIENCES, rows, screen, notes=notes, stack_if_narrow=True)


def _members(audience: Row) -> Iterator[str]:
    """Counts of members in addition to those who entered and left."""
    if audience["absent"]:
        yield f"{audience['absent']:,} missing from the source, still members"
    if audience["returned"]:
        yield f"{audience['returned']:,} came back in time"
    if audience["held_out"]:
        yield f"{audience['held_out']:,} held out"


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


def _one_line(text: str) -> str:
    """Put an error on one line, with control characters escaped."""
    return printable(" ".join(text.split()))


def _failed(audience: Row, screen: Screen) -> list[str]:
    effect = f"its {pluralize(audience['members_after'], 'member')} are unchanged" if audience["members_after"] else ""
    reason = without_audience_name(_one_line(audience["error"] or "not stored"), audience["audience_key"])
    pairs = [("Reason", reason), ("Effect", effect)]
    return [f"Failed: {audience['audience_key']}", *labelled(pairs, screen)]


def _run_error(run: Row) -> str:
    """The lines of a run's error that are not about one audience or destination."""
    audiences = {
        without_audience_name(_one_line(each["error"] or ""), each["audience_key"]) for each in run["audience_syncs"]
    }
    destinations = "\n".join(f"destination {each['destination']}: {each['error']}" for each in run["deliveries"])
    own = set(destinations.splitlines())
    lines = [line for line in (run["error"] or "").splitlines() if line not in own]
    return "\n".join(line for line in lines if not line.endswith(tuple(audiences - {""})))


def _stopped(delivery: Row, screen: Screen) -> list[str]:
    """The block of a delivery that ended early: stopped, or pending after a 429."""
    pending = delivery["pending"]
    effect = f"{pluralize(pending, 'call')} pending after this run" if pending else "no call was pending after this run"
    pairs = [("Reason", _one_line(delivery["error"])), ("Effect", effect)]
    name = delivery["destination"]
    title = (
        f"Pending at {name}: {pluralize(pending, 'call')}"
        if "HTTP 429" in delivery["error"] and pending
        else f"Stopped: {name}"
    )
    return [title, *labelled(pairs, screen)]


def _waiting_or_frozen(audience: Row, screen: Screen) -> list[str]:
    """The block of an audience that waits for its seed or is frozen."""
    key = audience["audience_key"]
    if audience["status"] == "waiting":
        return [f"Waiting: {key}", command(f"audience-sync seed {key}")]
    title = f"{audience['status'].capitalize()}: {key}"
    return [title, *prose(_one_line(audience["error"] or ""), screen, indent="  ")] if audience["error"] else []


def _hold_group(hold: Row) -> tuple[object, ...]:
    """The key by which holds are grouped: computed traits with the same reason and run share a block."""
    own = None if hold["kind"] == "computed_trait" else hold["key"]
    return (hold["kind"], own, _reason(hold), hold["status"], hold["run"], hold["last_run"], hold["ended_run"])


def _held(holds: Sequence[Row], run: Row, screen: Screen) -> list[str]:
    hold, several = holds[0], len(holds) > 1
    kinds = {"audience": hold["key"], "computed_trait": f"computed trait {hold['key']}"}
    title = f"{len(holds)} computed traits" if several else kinds.get(hold["kind"], "the lists of suppressed users")
    limit = "" if several else limit_then(HoldKind(hold["kind"]), str(hold["reason"]))
    pairs = [
        ("Change", _change(hold) if len({_change(each) for each in holds}) == 1 else ""),
        ("Reason", "" if limit else _reason(hold)),
        ("Limit", limit),
        ("Since", f"run {hold['run']}" if hold["run"] != run["run"] else ""),
        ("Traits", listed([each["key"] for each in holds]) if several else ""),
        *([] if several else _sample_pairs(hold)),
        ("Decision", _decision(hold)),
    ]
    lines = [f"Held: {title}", *labelled(pairs, screen)]
    if hold["status"] == "held":
        waiting = [each for each in run["holds"] if each["status"] == "held"]
        which = "" if waiting == list(holds) and several else "".join(f" {each['key']}" for each in holds)
        which = "" if hold["kind"] == "suppressed" else which
        commands = (f"audience-sync {verb} {hold['last_run']}{which}" for verb in ("approve", "reject"))
        lines += ["", *(command(each, indent="    ") for each in commands)]
    return lines


def _change(hold: Row) -> str:
    return change_text(HoldKind(hold["kind"]), ChangeCounts(hold["members_before"], hold["entered"], hold["left"]))


def _reason(hold: Row) -> str:
    """The reason without the name, which the block's title has."""
    return without_subject(_one_line(str(hold["reason"])))


def _sample_pairs(hold: Row) -> Iterator[tuple[str, str]]:
    """Labels and texts on some users that the held snapshot would change."""
    away = "Leaving" if hold["kind"] == "audience" else "Losing"
    for name, label in (("left", away), ("entered", "Entering")):
        users = [display_id(each) for each in hold["sample"][name]]
        if users:
            yield label, listed(users, most=MAX_SAMPLED_USERS, count=hold[name])


def _decision(hold: Row) -> str:
    ended = f", run {hold['ended_run']}" if hold["ended_run"] else ""
    match hold["status"]:
        case "held":
            return "waiting for approve or reject"
        case "superseded":
            return f"ended: another snapshot replaced it{ended}"
        case status:
            return f"{status}{ended}"


def _refused(name: str, calls: Sequence[Row], screen: Screen, ask: Callable[[str], str]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for each in calls:
        by_reason.setdefault(_answer(each), []).append(display_id(each["user_id"]))
    found = sorted(by_reason.items(), key=lambda reason: -len(reason[1]))
    lines = [f"Refused by {name}: {pluralize(len(calls), 'call')}, {pluralize(len(found), 'reason')}"]
    width = len(f"{len(found[0][1]):,}")
    hanging = " " * (width + 4)
    for reason, users in found:
        lines += prose(reason, screen, indent=f"  {len(users):>{width},}  ", hanging=hanging)
        lines += prose(listed(users, most=MAX_REFUSED_USERS), screen, indent=hanging)
    later = "; ".join(_later_outcomes(calls))
    if later:
        lines += prose(f"Since then: {later}", screen, indent="  ", hanging="    ")
    asks = []
    if any(len(users) > MAX_REFUSED_USERS for users in by_reason.values()):
        asks += ["  All of them:", command(ask("refusals"), indent="    ")]
    if any(each.get("outcome", "refused") == "refused" for each in calls):
        retry = command(f"audience-sync retry --destination {name}", indent="    ")
        asks += ["  After correcting the data:", retry]
    return [*lines, "", *asks] if asks else lines


def _later_outcomes(calls: Sequence[Row]) -> Iterator[str]:
    """The later outcomes of refused calls, with counts."""
    outcomes = [each.get("outcome") for each in calls]
    for outcome, what in _OUTCOMES.items():
        if outcome in outcomes:
            yield f"{outcomes.count(outcome):,} {what}"


def _answer(call: Row) -> str:
    status, reason = call["http_status"], _one_line(call["reason"] or "no reason given")
    return reason if not status or f"HTTP {status}" in reason else f"HTTP {status}: {reason}"


def _invalid(key: str, rows: Sequence[Row], screen: Screen, ask: Callable[[str], str]) -> list[str]:
    lines = [f"Invalid: {pluralize(len(rows), 'row')} of {key}"]
    for each in rows[:MAX_INVALID_ROWS]:
        lines += prose(_row_text(each), screen, indent="  ", hanging="    ")
    if len(rows) > MAX_INVALID_ROWS:
        lines += [*and_more(len(rows) - MAX_INVALID_ROWS, "  ", ":"), command(ask("invalid_rows"), indent="    ")]
    return lines


def _row_text(row: Row) -> str:
    location = ", ".join(_location(row))
    user = f" (user {display_id(row['user_id'])})" if (row["user_id"] or "").strip() else ""
    return f"{location}: {_one_line(row['reason'])}{user}"


def _location(row: Row) -> Iterable[str]:
    if row["file"]:
        yield printable(row["file"])
    if row["row"] is not None:
        yield f"row {row['row']}"
