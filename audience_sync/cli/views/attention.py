"""Lay out what needs a person after a run or in a plan: blocks with reason, effect and commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from audience_sync.cli.base.layout import (
    INDENT,
    Screen,
    advice,
    command,
    joined,
    labelled,
    printable,
    printable_lines,
    prose,
    width_of,
)
from audience_sync.cli.views.run_details import MAX_REASONS, Details, Held, RefusedFor
from audience_sync.command_line import to_paste
from audience_sync.errors import ACCEPT_ANYWAY
from audience_sync.model import AudienceStatus, ChangeCounts, HoldKind
from audience_sync.sync.guard.limits import removes_everyone
from audience_sync.sync.values.findings import AudienceResult, InvalidRow
from audience_sync.sync.values.report import DestinationReport, Report
from audience_sync.text import and_more, form, listed, pluralize, share_of

#: The most reasons, and rows or users of each, that a block lists.
MAX_LISTED = 5
#: The most holds of which a terminal shows the block.
MAX_HELD = 5
DEEPER = INDENT + INDENT
#: Labels of some users that a held change would change, other than those who lose a value.
_SAMPLES = {HoldKind.AUDIENCE: "Leaving", HoldKind.MAPPING: "Users"}


class Block(Struct, frozen=True):
    """A block of lines. ``urgent``: without a terminal it also goes to stderr, so that cron mails it."""

    lines: Sequence[str]
    urgent: bool = False


def blocks(report: Report, details: Details, screen: Screen, *, by_hand: bool = False) -> Iterator[Block]:
    """The blocks of a run: failed, stopped, held, refused, pending, waiting, frozen, invalid, in this order.

    ``by_hand``: a person limited the seed, so pending calls without an error need no block.
    """
    traits, run = report.traits.errors, f"run {report.run}"
    for lines in failure_blocks(report.audiences, traits, report.errors, details, screen, whole=run):
        yield Block(lines, urgent=True)
    stopped = [each for each in report.destinations if each.error and not each.rate_limited]
    for each in stopped:
        yield Block(_stopped(each, details, screen), urgent=True)
    shown = details.held if screen.width is None else details.held[:MAX_HELD]
    for held in shown:
        yield Block(held_block(held, details, screen), urgent=True)
    if more := sum(len(each.keys) for each in details.held[len(shown) :]):
        yield Block(_more_held(more, report.run, screen), urgent=True)
    for each in report.destinations:
        for lines in _refused(each, details.refused.get(each.name, ()), screen):
            yield Block(lines, urgent=True)
    for each in report.destinations:
        if each.pending and each not in stopped and (each.error or not by_hand):
            yield Block(_pending(each, screen))
    yield from map(Block, waiting_and_frozen(report.audiences, details, screen))
    if report.invalid_rows:
        yield Block(invalid_block(report.invalid_rows, screen))


def failure_blocks(
    audiences: Sequence[AudienceResult],
    trait_errors: Sequence[str],
    errors: Sequence[str],
    details: Details,
    screen: Screen,
    *,
    whole: str = "the whole run",
) -> Iterator[list[str]]:
    """Blocks for failed audiences by reason, for computed traits, and for errors of the ``whole`` run."""
    by_reason: dict[str, list[AudienceResult]] = {}
    for each in audiences:
        if each.status is AudienceStatus.FAILED:
            by_reason.setdefault(without_audience_name(each.error or "it failed", each.key), []).append(each)
    for reason, failed in by_reason.items():
        keys, members = [each.key for each in failed], sum(each.before for each in failed)
        sources = dict.fromkeys(details.source_names[key] for key in keys if key in details.source_names)
        its = "its" if len(keys) == 1 else "their"
        kept = f"{its} {pluralize(members, 'member')}" if members else f"{its} members"
        pairs = [
            ("Source", ", ".join(sources)),
            ("Audiences", ", ".join(keys) if len(keys) > 1 else ""),
            ("Effect", f"{kept} {form(members, 'is')} unchanged since the last good run; nothing was sent"),
        ]
        what = keys[0] if len(keys) == 1 else pluralize(len(keys), "audience")
        yield _failed(what, reason, pairs, screen)
    for error in trait_errors:
        effect = ("Effect", "their values are unchanged; nothing was sent for them")
        yield _failed("computed traits", error, [effect], screen)
    for error in errors:
        yield _failed(whole, error, [("Effect", "nothing was sent")], screen)


def _failed(what: str, reason: str, pairs: Sequence[tuple[str, str]], screen: Screen) -> list[str]:
    """The block of a failure. If `expect` refused the snapshot, it has the command that accepts it anyway."""
    why, _, accept = reason.partition(f" {ACCEPT_ANYWAY}")
    again = "audience-sync sync" if accept else "audience-sync check"
    lines = [
        f"Failed: {what}",
        *labelled([("Reason", printable_lines(why)), *pairs], screen),
        "",
        *advice("After correcting it:", again, screen=screen, indent=INDENT),
    ]
    if accept:
        lines += advice("If the snapshot is right anyway:", accept, screen=screen, indent=INDENT)
    return lines


def without_audience_name(reason: str, key: str) -> str:
    """The reason without the audience's name, which the block's title has."""
    return reason.removeprefix(f"audience '{key}': ")


def _stopped(each: DestinationReport, details: Details, screen: Screen) -> list[str]:
    pending = f"{pluralize(each.pending, 'call')} {form(each.pending, 'is')} pending"
    pairs = [
        ("Reason", printable_lines(each.error)),
        ("Address", each.address),
        ("Effect", f"{pending}; the next run sends {'it' if each.pending == 1 else 'them'}"),
    ]
    where = f"`destinations.{each.name}` in {details.config}"
    intro, test = f"If its settings are wrong, correct {where}. Then test it:", to_paste("test-destination", each.name)
    remedy = advice(intro, f"{test} --user ID", screen=screen, indent=INDENT)
    return [f"Stopped: {each.name}", *labelled(pairs, screen), "", *remedy]


def held_block(held: Held, details: Details, screen: Screen) -> list[str]:
    """The block of a hold: what is held, why, since when, and how to decide."""
    lines = [f"Held: {_held_name(held)}", *labelled(_held_pairs(held), screen)]
    return lines if held.run is None else [*lines, "", *_decision_commands(held, details, screen)]


def _more_held(count: int, run: int, screen: Screen) -> list[str]:
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
        (_SAMPLES.get(held.kind, "Losing it"), "" if several else _users(held.sample.left, counts.left)),
        ("Entering", "" if several or not is_audience else _users(held.sample.entered, counts.entered)),
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


def _users(users: Sequence[str], count: int) -> str:
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


def _refused(each: DestinationReport, reasons: Sequence[RefusedFor], screen: Screen) -> Iterator[list[str]]:
    now, retry = sum(one.calls for one in reasons), to_paste("retry", "--destination", each.name)
    if now:
        found = [(one.calls, printable_lines(one.reason), _users(one.users, one.calls)) for one in reasons]
        lines = [f"Refused by {each.name}: {pluralize(now, 'call')}", *refusal_lines(found[:MAX_REASONS], screen)]
        if len(reasons) > MAX_REASONS:
            more = pluralize(len(reasons) - MAX_REASONS, "more reason")
            lines += prose(f"{more}: audience-sync show", screen, indent=INDENT)
        old = f"These users keep their old values at {each.name}. After correcting the data:"
        yield [*lines, "", *advice(old, retry, screen=screen, indent=INDENT)]
    if each.still_refused > now:
        earlier = pluralize(each.still_refused - now, "call")
        title = prose(f"Refused by {each.name} in earlier runs: {earlier}", screen)
        yield [*title, command(retry, screen, indent=DEEPER)]


def refusal_lines(reasons: Sequence[tuple[int, str, str]], screen: Screen) -> list[str]:
    """Lay out reasons of refused calls: the number of calls, the reason, and some of the users."""
    width, lines = max(len(f"{calls:,}") for calls, _, _ in reasons), list[str]()
    for calls, reason, users in reasons:
        start = f"{INDENT}{calls:>{width},}{INDENT}"
        hanging = " " * width_of(start)
        lines += [*prose(reason, screen, indent=start, hanging=hanging), *prose(users, screen, indent=hanging)]
    return lines


def answer_text(status: int | None, reason: str) -> str:
    """``HTTP 400: no such user``; a reason often has the status itself."""
    return ": ".join(filter(None, [f"HTTP {status}" if status and f"HTTP {status}" not in reason else "", reason]))


def _pending(each: DestinationReport, screen: Screen) -> list[str]:
    what = "no call is lost: the next run sends them with the newest values"
    intro = "Nothing to do if sync runs on a schedule. To send them now:"
    return [
        f"Pending at {each.name}: {pluralize(each.pending, 'call')}",
        *labelled([("Reason", printable_lines(each.error)), ("Effect", what)], screen),
        "",
        *advice(intro, "audience-sync sync", screen=screen, indent=INDENT),
    ]


def waiting_and_frozen(audiences: Sequence[AudienceResult], details: Details, screen: Screen) -> Iterator[list[str]]:
    """Blocks for audiences that wait for their seed or are frozen."""
    for each in audiences:
        if each.status is AudienceStatus.WAITING:
            why = f"`initial: manual` in {details.config}: sync leaves it out until it is seeded."
            commands = [command(f"audience-sync {verb} {each.key}", screen, indent=DEEPER) for verb in ("plan", "seed")]
            yield [f"Waiting: {each.key}", *prose(why, screen, indent=INDENT), *commands]
        elif each.status is AudienceStatus.FROZEN:
            why, _, remedy = (each.error or "").rpartition(": ")
            why = why.rpartition(". ")[0] or each.error or ""
            yield [
                f"Frozen: {each.key}",
                *prose(printable_lines(why), screen, indent=INDENT),
                command(remedy or f"audience-sync unfreeze {each.key}", screen, indent=DEEPER),
            ]


def invalid_block(rows: Sequence[InvalidRow], screen: Screen) -> list[str]:
    """The block of the rows that were left out, by file and reason."""
    files = list(dict.fromkeys(each.file for each in rows))
    of = files[0] if len(files) == 1 else pluralize(len(files), "file")
    title = f"Invalid: {pluralize(len(rows), 'row')} of {of} {form(len(rows), 'was')} left out."
    reasons: dict[tuple[str, str], set[int]] = {}
    for each in rows:  # several audiences may read one file
        reasons.setdefault((each.file, each.reason), set()).add(each.row)
    found = sorted(reasons.items(), key=lambda item: -len(item[1]))
    pairs = list[tuple[str, str]]()
    for (file, reason), numbers in found[:MAX_LISTED]:
        where = listed([str(number) for number in sorted(numbers)], most=MAX_LISTED)
        in_file = f"{file}, " if len(files) > 1 else ""
        pairs.append(("Reason", f"{printable_lines(reason)} ({in_file}{form(len(numbers), 'row')} {where})"))
    if len(found) > MAX_LISTED:
        pairs.append(("More", pluralize(len(found) - MAX_LISTED, "reason")))
    return [*prose(title, screen), *labelled(pairs, screen)]


def invalid_lines(rows: Sequence[InvalidRow], screen: Screen, *, most: int) -> list[str]:
    """The block of the rows that would be left out, one by one."""
    lines = [f"Invalid: {pluralize(len(rows), 'row')} would be left out."]
    for each in rows[:most]:
        text = f"{each.file}, row {each.row}: {printable_lines(each.reason)}"
        lines += prose(text, screen, indent=INDENT, hanging=DEEPER)
    return [*lines, *and_more(len(rows) - most, INDENT)]


def urgent_lines(found: Iterable[Block]) -> list[str]:
    return joined([each.lines for each in found if each.urgent])
