"""Word the outcome of a run in one sentence, with counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from audience_sync.model import AudienceStatus, RunStatus
from audience_sync.sync.values.report import Report
from audience_sync.text import pluralize, seconds_text


def headline(report: Report) -> str:
    """The outcome in one sentence, with counts."""
    start = f"Run {report.run} {report.status.value}"
    took = f"in {seconds_text(report.seconds)}"
    match report.status:
        case RunStatus.HELD:
            return f"{start} {held_text(report)} {took}. {_other_results(report)}"
        case RunStatus.FAILED:
            causes = "; ".join(filter(None, [*failed_causes(report), _counts(report)]))
            return f"{start} {took}: {causes}."
        case _:
            return f"{start} {took}: {counts_text(report)}."


def held_text(report: Report) -> str:
    mappings = _held_mappings(report)
    lists = len(report.held) > mappings
    return held_things(_held_audiences(report), len(report.traits.held), mappings, lists=lists)


def held_things(audiences: int, traits: int, mappings: int = 0, *, lists: bool) -> str:
    """Format `2 audiences and 1 computed trait`, with the ``lists`` of suppressed users if they are held."""
    counts = ((audiences, "audience"), (traits, "computed trait"), (mappings, "mapping"))
    found = [pluralize(count, what) for count, what in counts if count]
    return " and ".join([*found, "the lists of suppressed users"] if lists else found)


def _held_audiences(report: Report) -> int:
    return sum(each.status is AudienceStatus.HELD for each in report.audiences)


def _held_mappings(report: Report) -> int:
    return sum(each.held is not None for each in report.mappings)


def _other_results(report: Report) -> str:
    several = _held_audiences(report) + len(report.traits.held) > 1
    nothing = f"Nothing of {'them' if several else 'it'} was changed or sent."
    if report.held and not several:
        held_mapping = _held_mappings(report) and not (_held_audiences(report) or report.traits.held)
        nothing = "Changes are sent under the former mapping." if held_mapping else "No user was removed from them."
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
    return ", ".join([*(changed or ["no changes"]), *(calls or ["nothing to send"])])


def _counts(report: Report) -> str:
    """The other results of a run that failed or held something, or an empty text."""
    stopped = any(each.error and not each.rate_limited for each in report.destinations)
    calls = [] if stopped and report.status is RunStatus.FAILED else _calls(report)
    return ", ".join([*_changed(report), *calls])


def _changed(report: Report) -> list[str]:
    moved = {name: sum(getattr(each, name) for each in report.audiences) for name in ("entered", "left")}
    if not any(moved.values()) and report.traits.changed:
        return [f"{pluralize(report.traits.changed, 'user')} with changed traits"]
    return moved_texts(moved)


def moved_texts(counts: Mapping[str, int]) -> list[str]:
    """Format `3,118 entered` and `5 left`, without counts of zero."""
    return [f"{counts[name]:,} {name}" for name in ("entered", "left") if counts[name]]


def _calls(report: Report) -> list[str]:
    outcomes = ("delivered", "refused", "pending")
    return call_texts({name: sum(getattr(each, name) for each in report.destinations) for name in outcomes})


def call_texts(counts: Mapping[str, int]) -> list[str]:
    """Format `5,000 calls delivered` and `100 refused`, without counts of zero; the first one has the word."""
    found = [name for name in ("delivered", "refused", "pending") if counts[name]]
    return [f"{pluralize(counts[name], 'call') if name == found[0] else f'{counts[name]:,}'} {name}" for name in found]
