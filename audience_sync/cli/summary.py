"""What does a person want to know after a run? Who entered and left, where the calls went, what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from audience_sync.cli.output import line, path_text, print_table
from audience_sync.model import AudienceStatus
from audience_sync.sync.findings import AudienceFinding, TraitsFinding
from audience_sync.sync.report import DestinationReport, Report
from audience_sync.wording import plural

AUDIENCE_COLUMNS = {
    "audience": "left",
    "status": "left",
    "members": "right",
    "entered": "right",
    "left": "right",
    "invalid rows": "right",
}


#: What a person has to seed first, or has frozen.
_LEFT = (AudienceStatus.WAITING, AudienceStatus.FROZEN)


def print_summary(report: Report, *, store: str) -> None:
    line(f"Run {report.run} {report.status.value} in {report.seconds:.1f} s")
    print_audiences(report.audiences)
    traits = report.traits
    if traits.users or traits.changed:
        line(f"Computed traits: {plural(traits.users, 'user')}, {traits.changed:,} with changes.")
    for destination in report.destinations:
        line(_delivered(destination))
    found = (*report.warnings, *problems(report.audiences, traits), *of_the_whole_run(report.errors, report.held))
    beside = (*absent(report.audiences), *held_out(report.audiences))
    for text in (*beside, *found, *_stops(report), *_next_steps(report, store)):
        line(text)


def print_in_short(report: Report) -> None:
    """One line, and one for whatever needs a person."""
    counts = (
        (sum(each.entered for each in report.audiences), "entered"),
        (sum(each.left for each in report.audiences), "left"),
        (report.traits.changed, "with other traits"),
    )
    found = ", ".join(f"{count:,} {what}" for count, what in counts if count) or "no changes"
    line(f"Run {report.run} {report.status.value} in {report.seconds:.1f} s: {found}.")
    for destination in report.destinations:
        if destination.calls:
            line(_delivered(destination))
    found_wrong = (*report.warnings, *problems(report.audiences, report.traits))
    for text in (*found_wrong, *of_the_whole_run(report.errors, report.held), *_stops(report)):
        line(text)


def print_audiences(audiences: Sequence[AudienceFinding]) -> None:
    if audiences:
        rows = [(each.key, each.status.value, each.after, each.entered, each.left, each.invalid) for each in audiences]
        print_table(AUDIENCE_COLUMNS, rows)


def _delivered(report: DestinationReport) -> str:
    if not report.calls:
        still = f" {plural(report.still_refused, 'call')} still refused." if report.still_refused else ""
        return f"{report.name}: nothing to send.{still}{_withheld(report)}"
    parts = [f"{plural(report.delivered, 'identify call')} delivered to {path_text(report.address)}"]
    if report.refused:
        parts.append(f"{report.refused:,} refused")
    if report.pending:
        parts.append(f"{report.pending:,} pending")
    return f"{report.name}: {', '.join(parts)} (in {plural(report.requests, 'request')}).{_withheld(report)}"


def _withheld(report: DestinationReport) -> str:
    return f" {plural(report.withheld, 'suppressed user')} left out." if report.withheld else ""


def problems(audiences: Sequence[AudienceFinding], traits: TraitsFinding) -> Iterator[str]:
    """What failed, is held, waits for a person or was frozen by one, with the next command."""
    failures = dict.fromkeys(each.error for each in audiences if each.status is AudienceStatus.FAILED)
    yield from (f"failed: {error}" for error in failures if error)
    yield from (f"failed: {error}" for error in traits.errors)
    held = [each.held.words for each in audiences if each.held] + [each.words for _, each in traits.held]
    yield from (f"held: {words}" for words in dict.fromkeys(held))
    yield from (f"{each.key}: {each.error}" for each in audiences if each.status in _LEFT)


def absent(audiences: Sequence[AudienceFinding]) -> Iterator[str]:
    """Who is missing and stays for now, or came back in time."""
    for each in audiences:
        if each.absent:
            yield f"{each.key}: {plural(each.absent, 'member')} missing from its source, for now still in it."
        if each.returned:
            yield f"{each.key}: {plural(each.returned, 'member')} came back in time, and nothing was sent."


def held_out(audiences: Sequence[AudienceFinding]) -> Iterator[str]:
    """Who is never told `true`."""
    for each in audiences:
        if each.held_out:
            yield f"{each.key}: {plural(each.held_out, 'user')} held out, never told `true`."


def of_the_whole_run(errors: Sequence[str], held: Sequence[str]) -> Iterator[str]:
    yield from (f"failed: {error}" for error in errors)
    yield from (f"held: {text}" for text in held)


def _stops(report: Report) -> Iterator[str]:
    for each in report.destinations:
        if each.error:
            yield f"{each.name} stopped: {each.error}. What is owed stays owed: the next run goes on from there."


def _next_steps(report: Report, store: str) -> Iterator[str]:
    """The commands that answer the next question."""
    refused = any(each.still_refused for each in report.destinations)
    if report.rejected or refused:
        what = " and ".join(["rejected rows"] * bool(report.rejected) + ["refused calls"] * refused)
        yield f"The {what}, with reasons:  audience-sync show {report.run}"
    if refused:
        yield "Once their reason is gone:  audience-sync retry"
    written = next((each for each in report.destinations if each.delivered and "://" not in each.address), None)
    if written:
        yield f"The last calls:  tail -n 3 {path_text(written.address)}"
    if report.store_is_new and store.endswith(".db"):
        yield f"All that is known:  sqlite3 {path_text(store)} 'select * from sync_runs'"
