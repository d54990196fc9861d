"""Lay out holds, in a run's answer and as the store has them: what is held, why, since when, and how to decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from audience_sync.cli.base.layout import (
    INDENT,
    Screen,
    advice,
    command,
    display_id,
    labelled,
    one_line,
    printable,
    printable_lines,
    prose,
)
from audience_sync.command_line import to_paste
from audience_sync.model import ChangeCounts, HoldKind
from audience_sync.project.run_details import Details, Held
from audience_sync.sync.guard.limits import removes_everyone
from audience_sync.sync.guard.messages import stored_limit_text, without_subject
from audience_sync.text import listed, pluralize, share_of

Row = Mapping[str, Any]

#: The most reasons, and rows or users of each, that a block lists.
MAX_LISTED = 5
#: Labels of some users that a held change would change, other than those who lose a value.
_SAMPLES = {HoldKind.AUDIENCE: "Leaving", HoldKind.MAPPING: "Users"}


def held_block(held: Held, details: Details, screen: Screen) -> list[str]:
    """The block of a hold: what is held, why, since when, and how to decide."""
    lines = [f"Held: {_held_name(held)}", *labelled(_held_pairs(held), screen)]
    return lines if held.run is None else [*lines, "", *_decision_commands(held, details, screen)]


def more_held_block(count: int, run: int, screen: Screen) -> list[str]:
    """The block of the holds that a terminal does not show."""
    return [
        f"Held: {count:,} more",
        *advice("Each with its reason:", to_paste("show", run), screen=screen, indent=INDENT),
        *advice("If every change that this run held is right:", to_paste("approve", run), screen=screen, indent=INDENT),
    ]


def _held_name(held: Held) -> str:
    if held.kind is HoldKind.SUPPRESSED:
        return "the lists of suppressed users"
    if held.kind is HoldKind.MAPPING:
        return f"the mapping of {held.keys[0]}"
    if len(held.keys) == 1:
        return held.keys[0]
    what = "audience" if held.kind is HoldKind.AUDIENCE else "computed trait"
    source = f" of {held.source}" if held.source and held.kind is HoldKind.COMPUTED_TRAIT else ""
    return f"{pluralize(len(held.keys), what)}{source}"


def _held_pairs(held: Held) -> list[tuple[str, str]]:
    several, counts = len(held.keys) > 1, held.counts
    change = "" if several else change_text(held.kind, counts)
    reason = held.reason if several or not held.limit else ""
    if not several and held.kind is HoldKind.AUDIENCE and removes_everyone(counts):
        reason = "the new snapshot is empty"
    at = f", {held.since_at:%Y-%m-%d %H:%M} UTC" if held.since_at else ""
    names = "Traits" if held.kind is HoldKind.COMPUTED_TRAIT else "Audiences"
    is_audience = held.kind is HoldKind.AUDIENCE
    return [
        ("Change", change),
        ("Reason", printable_lines(reason)),
        ("Limit", held.limit),
        ("Since", f"run {held.since}{at}" if held.since is not None else ""),
        ("Before", held.before),
        ("Source", held.source if is_audience and not several else ""),
        (_SAMPLES.get(held.kind, "Losing it"), "" if several else users_text(held.sample.left, counts.left)),
        ("Entering", "" if several or not is_audience else users_text(held.sample.entered, counts.entered)),
        (names, ", ".join(held.keys) if several else ""),
    ]


def change_text(kind: HoldKind, counts: ChangeCounts) -> str:
    """What a held snapshot would change, with the share of members or users that would leave."""
    before, entered, left = counts
    if kind is HoldKind.COMPUTED_TRAIT:
        return (
            f"{left:,} of {pluralize(before, 'user')} ({share_of(left, before)}) would lose their value" if left else ""
        )
    if kind is HoldKind.SUPPRESSED:
        return f"{left:,} of {pluralize(before, 'user')} ({share_of(left, before)}) would be sent to again"
    if kind is HoldKind.MAPPING:
        return f"{pluralize(left, 'user')} would be sent values under other names or ids"
    leave = f"{left:,} of {pluralize(before, 'member')} ({share_of(left, before)}) would leave" if left else ""
    enter = f"{pluralize(entered, 'user')} would enter" if entered else ""
    if entered and not left:
        enter += f"; it has {pluralize(before, 'member')}"
    return ", ".join(part for part in (leave, enter) if part)


def users_text(users: Sequence[str], count: int) -> str:
    return listed([printable(each) for each in users], most=MAX_LISTED, count=count)


def _decision_commands(held: Held, details: Details, screen: Screen) -> Iterator[str]:
    """The commands that decide, without keys if the run held nothing else."""
    is_alone = len(details.held) == 1 and len(held.keys) > 1
    which = (held.run, *(() if is_alone else held.keys))
    right = "If the changes are right after all:" if held.undone_run else "If the change is right:"
    yield from advice(right, to_paste("approve", *which), screen=screen, indent=INDENT)
    wrong, drop = "If it is wrong, correct the source; the next good snapshot ends the hold.", "this snapshot"
    if held.kind is HoldKind.MAPPING:
        wrong, drop = "If it is wrong, correct the config; the former mapping ends the hold.", "this hold"
    yield from prose(wrong, screen, indent=INDENT)
    yield from advice(f"To drop {drop} now:", to_paste("reject", *which), screen=screen, indent=INDENT)


def hold_group(hold: Row) -> tuple[object, ...]:
    """The key by which holds are grouped: computed traits with the same reason and run share a block."""
    own = None if hold["kind"] == "computed_trait" else hold["key"]
    return (hold["kind"], own, _reason(hold), hold["status"], hold["run"], hold["last_run"], hold["ended_run"])


def stored_hold_block(holds: Sequence[Row], run: Row, screen: Screen) -> list[str]:
    hold, several = holds[0], len(holds) > 1
    titles = {"suppressed": "the lists of suppressed users", "mapping": f"the mapping of {hold['key']}"}
    title = titles.get(hold["kind"], hold["key"])
    title = f"{len(holds)} computed traits" if several else title
    limit = "" if several else stored_limit_text(HoldKind(hold["kind"]), str(hold["reason"]))
    pairs = [
        ("Change", _change(hold) if len({_change(each) for each in holds}) == 1 else ""),
        ("Reason", "" if limit else _reason(hold)),
        ("Limit", limit),
        ("Since", f"run {hold['run']}" if hold["run"] != run["run"] else ""),
        ("Traits", listed([each["key"] for each in holds]) if several else ""),
        *([] if several else _sample_pairs(hold)),
        ("Decision", _decision(hold, run.get("decisions", ()))),
    ]
    lines = [f"Held: {title}", *labelled(pairs, screen)]
    if hold["status"] == "held":
        waiting = [each for each in run["holds"] if each["status"] == "held"]
        is_all = hold["kind"] == "suppressed" or (waiting == list(holds) and several)
        which = [] if is_all else [each["key"] for each in holds]
        commands = (to_paste(verb, hold["last_run"], *which) for verb in ("approve", "reject"))
        lines += ["", *(command(each, screen, indent="    ") for each in commands)]
    return lines


def _change(hold: Row) -> str:
    return change_text(HoldKind(hold["kind"]), ChangeCounts(hold["members_before"], hold["entered"], hold["left"]))


def _reason(hold: Row) -> str:
    """The reason without the name, which the block's title has."""
    return without_subject(one_line(str(hold["reason"])))


def _sample_pairs(hold: Row) -> Iterator[tuple[str, str]]:
    """Labels and texts on some users that the held snapshot would change."""
    away = {"audience": "Leaving", "mapping": "Users"}.get(hold["kind"], "Losing")
    for name, label in (("left", away), ("entered", "Entering")):
        users = [display_id(each) for each in hold["sample"][name]]
        if users:
            yield label, listed(users, most=MAX_LISTED, count=hold[name])


def _decision(hold: Row, decisions: Sequence[Row]) -> str:
    ended = f", run {hold['ended_run']}" if hold["ended_run"] else ""
    match hold["status"]:
        case "held":
            return "waiting for approve or reject"
        case "superseded":
            return f"ended: another snapshot replaced it{ended}"
        case status:
            command = {"approved": "approve", "rejected": "reject"}[status]
            mine = [each for each in decisions if each["command"] == command and _is_about(each, hold["key"])]
            by = f" by {mine[-1]['decided_by']} on {mine[-1]['host']}" if mine else ""
            why = f": {one_line(mine[-1]['reason'])}" if mine and mine[-1]["reason"] else ""
            return f"{status}{by}{ended}{why}"


def _is_about(decision: Row, key: str) -> bool:
    return key in (decision["subject"] or "").split(", ")
