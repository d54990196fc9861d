"""Lay out what a run did: the outcome first, then tables, then what needs a person, then the next commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from shlex import quote

from msgspec import Struct

from audience_sync.cli.base.layout import (
    INDENT,
    Column,
    Screen,
    advice,
    intro_and_command,
    joined,
    labelled,
    printable_lines,
    prose,
    table,
)
from audience_sync.cli.views.attention import blocks
from audience_sync.cli.views.headline import headline
from audience_sync.model import AudienceStatus, RunStatus
from audience_sync.project.run_details import Details
from audience_sync.project.values import Run
from audience_sync.sync.values.findings import AudienceResult, MappingChange, MappingKind, MappingResult, TraitsResult
from audience_sync.sync.values.report import DestinationReport, Report
from audience_sync.text import form, listed, path_text, pluralize

AUDIENCES = (
    Column("audience"),
    Column("status", keep=True),
    Column("members", right=True, keep=True),
    Column("entered", right=True),
    Column("left", right=True),
    Column("invalid", right=True, lost=1),
)
DESTINATIONS = (
    Column("destination"),
    Column("delivered", right=True, keep=True),
    Column("refused", right=True),
    Column("pending", right=True),
    Column("requests", right=True, keep=True, lost=2),
    Column("address", lost=1),
)
#: With more audiences, a terminal shows only those that changed or need a person.
MAX_AUDIENCES = 20
#: Changes of a mapping that are listed; `--json` has all.
MAX_CHANGES = 10
#: The start of warnings about one audience or trait, and about a hold.
_ABOUT_ONE = re.compile(r"(audience|computed trait) '|(audiences|computed traits) .+?: the hold of run |the lists of ")
_OF_A_HOLD = re.compile(r"(?P<kind>audience|computed trait) '(?P<key>.+?)': (?P<rest>the hold of run .+)", re.DOTALL)


class Wording(Struct, frozen=True):
    """The parts of an answer that a command words itself. None: the usual ones.

    ``under``: lines below the headline. ``after``: the last part. ``addresses``: show the destinations' addresses.
    """

    headline: str | None = None
    after: Sequence[str] | None = None
    addresses: bool = True
    under: Sequence[str] = ()


#: Returns the wording of a command's own answer to a run that did not fail.
DescribeRun = Callable[[Run], Wording]


def summary(run: Run, screen: Screen, *, describe: DescribeRun | None = None) -> list[str]:
    """All lines of the answer to a command that made a run."""
    report, details = run.report, run.details
    wording = describe(run) if describe and report.status is not RunStatus.FAILED else Wording()
    found = list(blocks(report, details, screen, by_hand=not wording.addresses))
    needs_a_person = [each for each in found if each.urgent] or report.status is not RunStatus.SUCCEEDED
    last = wording.after
    if last is None:
        last = [] if needs_a_person or screen.width is None else _next_commands(report, run.store, screen)
    return joined(
        [
            _headline(report, wording, screen),
            audience_table(report.audiences, screen, run=report.run),
            *_traits_and_destinations(report, wording, screen),
            mapping_lines(report.mappings, screen),
            notes(report.audiences, report.messages, screen),
            *(each.lines for each in found),
            last,
        ]
    )


def _traits_and_destinations(report: Report, wording: Wording, screen: Screen) -> list[list[str]]:
    """Two parts, or one if no destination had calls."""
    shows_traits = wording.headline is None or report.traits.changed
    traits = traits_lines(report.traits, screen) if shows_traits else []
    sent = destination_lines(report.destinations, screen, addresses=wording.addresses)
    return [traits, sent] if any(each.calls or each.requests for each in report.destinations) else [traits + sent]


def short_summary(report: Report, details: Details, screen: Screen) -> list[str]:
    """Lay out a run in one line, and what needs a person."""
    found = [each.lines for each in blocks(report, details, screen) if each.urgent]
    sent = [each for each in report.destinations if each.calls]
    deliveries = [text for each in sent for text in prose(_delivery_text(each), screen, indent=INDENT)]
    lines = prose(headline(report), screen)
    return [*lines, *deliveries, *joined([notes((), report.messages, screen), *found])]


def _headline(report: Report, wording: Wording, screen: Screen) -> list[str]:
    first, *others = prose(wording.headline or headline(report), screen)
    return [screen.coloured(first, report.status.value), *others, *wording.under]


def _delivery_text(each: DestinationReport) -> str:
    parts = [f"{each.delivered:,} delivered"]
    parts += [f"{count:,} {word}" for count, word in ((each.refused, "refused"), (each.pending, "pending")) if count]
    return f"{each.name}: {', '.join(parts)}"


def audience_table(audiences: Sequence[AudienceResult], screen: Screen, *, run: int) -> list[str]:
    """Lay out all audiences. Of many, a terminal shows those that changed or need a person."""
    shown = list(audiences)
    if screen.width is not None and len(shown) > MAX_AUDIENCES:
        shown = [each for each in shown if each.status is not AudienceStatus.UNCHANGED]
    rows = [(each.key, each.status.value, each.after, each.entered, each.left, each.invalid) for each in shown]
    lines = table(AUDIENCES, rows, screen, stack_if_narrow=True)
    if left_out := len(audiences) - len(shown):
        unchanged = f"{pluralize(left_out, 'audience')} {form(left_out, 'is')} unchanged."
        lines += intro_and_command(f"{unchanged} All of them:", f"audience-sync show {run}", screen)
    return lines


def traits_lines(traits: TraitsResult, screen: Screen, *, changed: str = "changed") -> list[str]:
    if not (traits.users or traits.changed):
        return []
    return prose(f"Computed traits: {pluralize(traits.users, 'user')}, {traits.changed:,} {changed}.", screen)


def mapping_lines(mappings: Sequence[MappingResult], screen: Screen) -> list[str]:
    """Lay out the changes of each destination's mapping by kind, with the users who have a value of each property."""
    blocks = list[list[str]]()
    for each in mappings:
        pairs = dict[str, list[str]]()
        for change in each.changes:
            label, text = _mapping_text(change)
            pairs.setdefault(label, []).append(f"{text} ({pluralize(change.users, 'user')})")
        texts = [(label, listed(found, most=MAX_CHANGES)) for label, found in pairs.items()]
        title = f"Mapping of {each.destination}{', held' if each.held else ''}:"
        blocks.append([*prose(title, screen), *labelled(texts, screen)])
    return joined(blocks)


def _mapping_text(change: MappingChange) -> tuple[str, str]:
    """The label of a change's kind, and what changes."""
    match change.kind:
        case MappingKind.NEW | MappingKind.DROPPED:
            return ("New" if change.kind is MappingKind.NEW else "No longer sent"), change.key or ""
        case MappingKind.RENAMED:
            return "Renamed", f"{change.before} to {change.after}"
        case MappingKind.HASHED:
            return ("Hashed" if change.after == "hashed" else "No longer hashed"), change.key or ""
        case MappingKind.USER_ID:
            return "User id", f"{change.after} instead of {change.before}"
        case MappingKind.ON_NULL:
            return "on_null", f"{change.key} {change.after}"


def destination_lines(
    destinations: Sequence[DestinationReport], screen: Screen, *, addresses: bool = True
) -> list[str]:
    """Lay out a table of destinations, or one line if none had calls."""
    columns = DESTINATIONS if addresses or screen.width is None else DESTINATIONS[:-1]
    rows = [
        (each.name, each.delivered, each.refused, each.pending, each.requests, path_text(each.address))[: len(columns)]
        for each in destinations
    ]
    if any(each.calls or each.requests for each in destinations):
        lines = table(columns, rows, screen)
    else:
        names = ", ".join(each.name for each in destinations)
        lines = prose(f"Destinations without pending calls: {names}.", screen) if names else []
    for each in destinations:
        if each.withheld:
            lines += prose(f"{pluralize(each.withheld, 'suppressed user')} left out at {each.name}.", screen)
    return lines


def notes(audiences: Sequence[AudienceResult], warnings: Sequence[str], screen: Screen) -> list[str]:
    """Lines on absent, returned and held-out users, and warnings."""
    lines = list[str]()
    for each in audiences:
        facts = (
            (each.absent, "member", "missing from its source, for now still in it."),
            (each.returned, "member", "came back in time; nothing was sent."),
            (each.held_out, "user", "held out: not members, and never sent `true`."),
        )
        for count, what, fact in facts:
            lines += prose(f"{each.key}: {pluralize(count, what)} {fact}", screen) if count else []
    for warning in merged(warnings):
        text = warning_text(warning)
        lines += prose(text, screen, hanging=INDENT if text.startswith("warning: ") else None)
    return lines


def merged(warnings: Sequence[str]) -> list[str]:
    """Merge warnings that differ only in the key, such as those about many traits whose holds ended."""
    keys: dict[tuple[str, str], list[str]] = {}
    for each in warnings:
        found = _OF_A_HOLD.match(each)
        same, key = ((found["kind"], found["rest"]), found["key"]) if found else (("", each), "")
        keys.setdefault(same, []).append(key)
    return [_merged_text(kind, named, rest) for (kind, rest), named in keys.items()]


def _merged_text(kind: str, keys: Sequence[str], rest: str) -> str:
    if not kind:
        return rest
    return f"{kind} '{keys[0]}': {rest}" if len(keys) == 1 else f"{kind}s {', '.join(keys)}: {rest}"


def warning_text(warning: str) -> str:
    """Format a warning: with a label, unless it is about one audience or trait."""
    if _ABOUT_ONE.match(warning):
        return printable_lines(f"{warning[0].upper()}{warning[1:]}")
    return f"{'warning: ' if warning[0].islower() else ''}{printable_lines(warning)}"


def _next_commands(report: Report, store: str, screen: Screen) -> list[str]:
    """The next commands: to show the run, the last calls and the history."""
    delivered = [each for each in report.destinations if each.delivered]
    written = next((each for each in delivered if "://" not in each.address), None)
    commands = [f"audience-sync show {report.run}"] if delivered or report.invalid_rows else []
    if written:
        commands.append(f"tail -n {min(3, written.delivered)} {quote(path_text(written.address))}")
    lines = advice("Next:", *commands, screen=screen) if commands else []
    if report.store_is_new and store.endswith(".db"):
        query = f"sqlite3 {quote(path_text(store))} 'select * from sync_runs'"
        lines += advice("Query the history:", query, screen=screen)
    return lines
