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
    printable_lines,
    prose,
    width_of,
)
from audience_sync.cli.views.holds import MAX_LISTED, held_block, more_held_block, users_text
from audience_sync.command_line import to_paste
from audience_sync.errors import ACCEPT_ANYWAY
from audience_sync.model import AudienceStatus
from audience_sync.project.run_details import MAX_REASONS, Details, RefusedFor
from audience_sync.sync.values.findings import AudienceResult, InvalidRow
from audience_sync.sync.values.report import DestinationReport, Report
from audience_sync.text import and_more, form, listed, pluralize

#: The most holds of which a terminal shows the block.
MAX_HELD = 5
DEEPER = INDENT + INDENT


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
        yield Block(more_held_block(more, report.run, screen), urgent=True)
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


def _refused(each: DestinationReport, reasons: Sequence[RefusedFor], screen: Screen) -> Iterator[list[str]]:
    now, retry = sum(one.calls for one in reasons), to_paste("retry", "--destination", each.name)
    if now:
        found = [(one.calls, printable_lines(one.reason), users_text(one.users, one.calls)) for one in reasons]
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
