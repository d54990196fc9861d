"""Lay out what a run did: the outcome first, then tables, then what needs a person, then the next commands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from audience_sync.cli.base.layout import INDENT, Column, Screen, command, prose, table
from audience_sync.cli.base.output import path_text
from audience_sync.cli.views.attention import blocks, joined, printable_lines
from audience_sync.cli.views.run_details import Details
from audience_sync.model import AudienceStatus, RunStatus
from audience_sync.sync.values.change_set import AudienceResult, TraitsResult
from audience_sync.sync.values.report import DestinationReport, Report
from audience_sync.text import pluralize, seconds_text

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
#: The start of warnings about one audience or trait, and about a hold.
_ABOUT_ONE = re.compile(r"(audience|computed trait) '|(audiences|computed traits) .+?: the hold of run |the lists of ")
_OF_A_HOLD = re.compile(r"(?P<kind>audience|computed trait) '(?P<key>.+?)': (?P<rest>the hold of run .+)", re.DOTALL)
#: Statuses of audiences that a long table leaves out.
_QUIET_STATUSES = (AudienceStatus.UNCHANGED,)


@dataclass(frozen=True, slots=True)
class Wording:
    """The parts of an answer that a command words itself. None: the usual ones.

    ``under``: lines below the headline. ``after``: the last part. ``addresses``: show the destinations' addresses.
    """

    headline: str | None = None
    after: Sequence[str] | None = None
    addresses: bool = True
    under: Sequence[str] = ()


def summary(
    report: Report, details: Details, screen: Screen, *, store: str = "", wording: Wording | None = None
) -> list[str]:
    """All lines of the answer to a command that made a run."""
    wording = wording or Wording()
    found = list(blocks(report, details, screen, by_hand=not wording.addresses))
    needs_a_person = [each for each in found if each.urgent] or report.status is not RunStatus.SUCCEEDED
    last = wording.after
    if last is None:
        last = [] if needs_a_person or screen.width is None else list(_next_commands(report, store))
    return joined(
        [
            _headline(report, wording, screen),
            audience_table(report.audiences, screen, run=report.run),
            *_traits_and_destinations(report, wording, screen),
            notes(report.audiences, report.warnings, screen),
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
    return [*lines, *deliveries, *joined([notes((), report.warnings, screen), *found])]


def _headline(report: Report, wording: Wording, screen: Screen) -> list[str]:
    first, *others = prose(wording.headline or headline(report), screen)
    return [screen.coloured(first, report.status.value), *others, *wording.under]


def _delivery_text(each: DestinationReport) -> str:
    parts = [f"{each.delivered:,} delivered"]
    parts += [f"{count:,} {word}" for count, word in ((each.refused, "refused"), (each.pending, "pending")) if count]
    return f"{each.name}: {', '.join(parts)}"


def headline(report: Report) -> str:
    """The outcome in one sentence, with counts."""
    start = f"Run {report.run} {report.status.value}"
    took = f"in {seconds_text(report.seconds)}"
    match report.status:
        case RunStatus.HELD:
            return f"{start} {held_text(report)} {took}. {_other_results(report)}"
        case RunStatus.FAILED:
            causes = "; ".join([*failed_causes(report), *([text] if (text := _counts(report)) else [])])
            return f"{start} {took}: {causes}."
        case _:
            return f"{start} {took}: {counts_text(report)}."


def held_text(report: Report) -> str:
    audiences = sum(each.status is AudienceStatus.HELD for each in report.audiences)
    parts = [
        pluralize(count, what)
        for count, what in ((audiences, "audience"), (len(report.traits.held), "computed trait"))
        if count
    ]
    if report.held:
        parts.append("the lists of suppressed users")
    return " and ".join(parts)


def _other_results(report: Report) -> str:
    several = sum(each.status is AudienceStatus.HELD for each in report.audiences) + len(report.traits.held) > 1
    nothing = f"Nothing of {'them' if several else 'it'} was changed or sent."
    if report.held and not several:
        nothing = "No user was removed from them."
    rest = _counts(report)
    return f"{nothing} Others: {rest}." if rest else nothing


def failed_causes(report: Report) -> Iterator[str]:
    failed = sum(each.status is AudienceStatus.FAILED for each in report.audiences)
    if failed:
        yield f"{failed:,} of {pluralize(len(report.audiences), 'audience')} could not be loaded"
    if report.traits.errors:
        yield "computed traits could not be loaded"
    if report.errors:
        yield "nothing could be sent"
    stopped = [each for each in report.destinations if each.error and not each.rate_limited]
    if stopped and not report.errors:
        pending = sum(each.pending for each in stopped)
        count = f"{len(stopped):,} of {pluralize(len(report.destinations), 'destination')} stopped"
        yield f"{count}, {pluralize(pending, 'call')} pending"


def counts_text(report: Report) -> str:
    """Format `3,118 entered, 5,000 calls delivered`, without counts of zero."""
    changed, calls = _changed(report), _calls(report)
    if not calls:
        return ", ".join([*(changed or ["no changes"]), "nothing to send"])
    return ", ".join([*(changed or ["no changes"]), *calls])


def _counts(report: Report) -> str:
    """The other results of a run that failed or held something, or an empty text."""
    stopped = any(each.error and not each.rate_limited for each in report.destinations)
    calls = [] if stopped and report.status is RunStatus.FAILED else _calls(report)
    return ", ".join([*_changed(report), *calls])


def _changed(report: Report) -> list[str]:
    moved = (
        (sum(each.entered for each in report.audiences), "entered"),
        (sum(each.left for each in report.audiences), "left"),
    )
    parts = [f"{count:,} {word}" for count, word in moved if count]
    if not parts and report.traits.changed:
        parts = [f"{pluralize(report.traits.changed, 'user')} with changed traits"]
    return parts


def _calls(report: Report) -> list[str]:
    sums = {
        name: sum(getattr(each, name) for each in report.destinations) for name in ("delivered", "refused", "pending")
    }
    if not any(sums.values()):
        return []
    parts = [f"{pluralize(sums['delivered'], 'call')} delivered"]
    return parts + [f"{sums[name]:,} {name}" for name in ("refused", "pending") if sums[name]]


def audience_table(
    audiences: Sequence[AudienceResult],
    screen: Screen,
    *,
    run: int | None = None,
    columns: Sequence[Column] = AUDIENCES,
) -> list[str]:
    """Lay out all audiences. Of many, a terminal shows those that changed or need a person."""
    shown = list(audiences)
    if screen.width is not None and len(shown) > MAX_AUDIENCES:
        shown = [each for each in shown if each.status not in _QUIET_STATUSES]
    rows = [(each.key, each.status.value, each.after, each.entered, each.left, each.invalid) for each in shown]
    lines = table(columns, rows, screen, stack_if_narrow=True)
    left_out = len(audiences) - len(shown)
    if not left_out:
        return lines
    all_of_them = f" All of them: audience-sync show {run}" if run is not None else ""
    return [*lines, f"{pluralize(left_out, 'audience')} {'is' if left_out == 1 else 'are'} unchanged.{all_of_them}"]


def traits_lines(traits: TraitsResult, screen: Screen, *, changed: str = "changed") -> list[str]:
    if not (traits.users or traits.changed):
        return []
    return prose(f"Computed traits: {pluralize(traits.users, 'user')}, {traits.changed:,} {changed}.", screen)


def destination_lines(
    destinations: Sequence[DestinationReport], screen: Screen, *, addresses: bool = True
) -> list[str]:
    """Lay out a table of destinations, or one line if none had calls."""
    withheld = [
        text
        for each in destinations
        if each.withheld
        for text in prose(f"{pluralize(each.withheld, 'suppressed user')} left out at {each.name}.", screen)
    ]
    if not any(each.calls or each.requests for each in destinations):
        names = ", ".join(each.name for each in destinations)
        return [*(prose(f"Destinations without pending calls: {names}.", screen) if names else []), *withheld]
    columns = DESTINATIONS if addresses or screen.width is None else DESTINATIONS[:-1]
    rows = [
        (each.name, each.delivered, each.refused, each.pending, each.requests, path_text(each.address))[: len(columns)]
        for each in destinations
    ]
    return [*table(columns, rows, screen), *withheld]


def notes(audiences: Sequence[AudienceResult], warnings: Sequence[str], screen: Screen) -> list[str]:
    """Lines on absent, returned and held-out users, and warnings."""
    lines = list[str]()
    for each in audiences:
        if each.absent:
            text = f"{each.key}: {pluralize(each.absent, 'member')} missing from its source, for now still in it."
            lines += prose(text, screen)
        if each.returned:
            lines += prose(
                f"{each.key}: {pluralize(each.returned, 'member')} came back in time; nothing was sent.", screen
            )
        if each.held_out:
            text = f"{each.key}: {pluralize(each.held_out, 'user')} held out: not members, and never sent `true`."
            lines += prose(text, screen)
    for warning in merged(warnings):
        text = warning_text(warning)
        lines += prose(text, screen, hanging=INDENT if text.startswith("warning: ") else None)
    return lines


def merged(warnings: Sequence[str]) -> list[str]:
    """Merge warnings that differ only in the key, such as those about many traits whose holds ended."""
    keys: dict[tuple[str, str], list[str]] = {}
    for each in warnings:
        found = _OF_A_HOLD.match(each)
        keys.setdefault((found["kind"], found["rest"]) if found else ("", each), []).append(
            found["key"] if found else ""
        )
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


def _next_commands(report: Report, store: str) -> Iterator[str]:
    """The next commands: to show the run, the last calls and the history."""
    found = list[str]()
    written = next((each for each in report.destinations if each.delivered and "://" not in each.address), None)
    if written or any(each.delivered for each in report.destinations) or report.invalid_rows:
        found.append(f"audience-sync show {report.run}")
    if written:
        found.append(f"tail -n {min(3, written.delivered)} {path_text(written.address)}")
    if found:
        yield "Next:"
        yield from map(command, found)
    if report.store_is_new and store.endswith(".db"):
        yield "Query the history:"
        yield command(f"sqlite3 {path_text(store)} 'select * from sync_runs'")
