"""Word the answer of a seed: how many members it reached, or why it sent nothing."""

from __future__ import annotations

from collections.abc import Sequence

from audience_sync.cli.base.layout import command, prose
from audience_sync.cli.base.output import screen
from audience_sync.cli.views.attention import change_text
from audience_sync.cli.views.run_details import Details
from audience_sync.cli.views.summary import Wording, held_text
from audience_sync.model import AudienceStatus, RunStatus
from audience_sync.sync.values.change_set import AudienceResult
from audience_sync.sync.values.report import DestinationReport, Report
from audience_sync.sync.values.request import Seed
from audience_sync.text import pluralize, seconds_text

#: The rate in the next command if none was given.
DEFAULT_RATE = "500/s"


def seed_wording(report: Report, details: Details, request: Seed, rate: str | None) -> Wording:
    """The headline of a seed, and the next commands."""
    key, audience = request.key, _audience(report, request.key)
    if audience is None or report.status is RunStatus.FAILED:
        return Wording()
    took = f"in {seconds_text(report.seconds)}"
    if audience.status is AudienceStatus.HELD:
        held = next(each for each in details.held if key in each.keys)
        change = change_text(held.kind, held.counts) or held_text(report)
        return Wording(f"Run {report.run} held {key}: {change}. Nothing was sent.")
    if request.baseline:
        members = pluralize(audience.after, "member")
        recorded = f"Run {report.run} recorded {members} of {key} without sending."
        return Wording(recorded, prose("From now on `sync` sends only who enters or leaves.", screen()))
    if not any(each.calls for each in report.destinations):
        return Wording(f"Run {report.run}: {_nothing_sent(report, details, audience)} Nothing was sent.")
    pending = max((each.pending for each in report.destinations), default=0)
    trouble = any(each.error or each.refused for each in report.destinations)
    if trouble:
        return Wording(addresses=False)
    if pending:
        return _partial_wording(report, request, audience, pending=pending, took=took, rate=rate)
    where = pluralize(len(report.destinations), "destination")
    message = f"Run {report.run} finished seeding {key} {took}: {pluralize(audience.after, 'member')} at {where}."
    return Wording(message, prose("From now on `sync` sends only who enters or leaves.", screen()), addresses=False)


def _partial_wording(
    report: Report, request: Seed, audience: AudienceResult, *, pending: int, took: str, rate: str | None
) -> Wording:
    sent = max((each.delivered for each in report.destinations), default=0)
    everyone = audience.after - max((each.withheld for each in report.destinations), default=0)
    before = everyone - pending - sent
    so_far = f", {everyone - pending:,} so far" if before > 0 else ""
    of_all = f"{sent:,} of {pluralize(everyone, 'member')} of {request.key}"
    message = f"Run {report.run} seeded {of_all} {took}{so_far}, as limited."
    if screen().width is None:
        return Wording(message, (), addresses=False)
    users = "this user" if sent == 1 else f"these {sent:,} users"
    look = prose(f"Next: look at {users} in the destinations. Then continue:", screen())
    again = command(f"audience-sync seed {request.key} --rate {rate or DEFAULT_RATE}")
    return Wording(message, [*look, again], addresses=False)


def _nothing_sent(report: Report, details: Details, audience: AudienceResult) -> str:
    withheld = sum(each.withheld for each in report.destinations)
    if not audience.after:
        return f"{audience.key} has no members."
    if withheld:
        return f"all users of {audience.key} that are left to send to are suppressed."
    if details.baselines & {each.name for each in report.destinations}:
        return f"the members of {audience.key} were recorded without sending; only later changes are sent."
    return f"{audience.key} is already seeded at {names_of(report.destinations)}."


def _with_and(names: str) -> str:
    first, comma, last = names.rpartition(", ")
    return f"{first} and {last}" if comma else names


def _audience(report: Report, key: str) -> AudienceResult | None:
    return next((each for each in report.audiences if each.key == key), None)


def names_of(destinations: Sequence[DestinationReport]) -> str:
    """Format ``log``, ``log and segment`` or ``a, b and c``."""
    return _with_and(", ".join(each.name for each in destinations))
