"""Define what a run reports: its findings with its deliveries, its status, and the JSON of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from audience_sync.model import AudienceStatus, RunId, RunStatus
from audience_sync.sync.values.findings import (
    AudienceResult,
    HeldDifference,
    InvalidRow,
    MappingResult,
    RunFindings,
    SkippedUser,
    TraitsResult,
)

if TYPE_CHECKING:
    from audience_sync.delivery.deliver import DeliveryStats

#: Exit codes (product.md, section 5); where several apply, the highest of these in this order.
EXIT_CODES = {RunStatus.FAILED: 3, RunStatus.HELD: 4, RunStatus.PARTIAL: 1, RunStatus.SUCCEEDED: 0}


class DestinationReport(Struct, frozen=True, kw_only=True):
    """One destination in a run: ``delivered + refused + pending`` is ``calls``.

    ``withheld``: users without their call because they are suppressed. ``still_refused``: calls of all runs that it
    has refused and not accepted since. ``rate_limited``: ``error`` is a rate limit, which is not a failure.
    """

    name: str
    address: str
    calls: int
    delivered: int
    refused: int
    pending: int
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    error: str = ""
    still_refused: int = 0
    withheld: int = 0
    rate_limited: bool = False


class Report(Struct, frozen=True, kw_only=True):
    run: RunId
    audiences: Sequence[AudienceResult]
    traits: TraitsResult
    destinations: Sequence[DestinationReport]
    seconds: float
    warnings: Sequence[str] = ()
    notices: Sequence[str] = ()
    store_is_new: bool = False
    errors: Sequence[str] = ()
    held: Sequence[str] = ()
    mappings: Sequence[MappingResult] = ()
    skipped_users: Sequence[SkippedUser] | None = None  # of an undo
    invalid_rows: Sequence[InvalidRow] = ()

    @property
    def messages(self) -> Sequence[str]:
        return [*self.warnings, *self.notices]

    @property
    def status(self) -> RunStatus:
        failed = any(each.status is AudienceStatus.FAILED for each in self.audiences)
        if failed or self.traits.errors or self.errors or self._every_destination_failed():
            return RunStatus.FAILED
        if self.held or self.traits.held or any(each.status is AudienceStatus.HELD for each in self.audiences):
            return RunStatus.HELD
        if any(each.still_refused or each.pending for each in self.destinations):
            return RunStatus.PARTIAL
        return RunStatus.SUCCEEDED

    def _every_destination_failed(self) -> bool:
        """Whether there were calls to send, and every destination with calls failed without accepting any."""
        pending = [each for each in self.destinations if each.calls]
        return bool(pending) and all(each.error and not each.rate_limited and not each.delivered for each in pending)

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.status]

    @property
    def error(self) -> str | None:
        """All errors, one a line, or None."""
        destinations = [f"destination {each.name}: {each.error}" for each in self.destinations if each.error]
        return "\n".join([*failures(self.audiences), *self.traits.errors, *self.errors, *destinations]) or None

    def as_json(self) -> dict[str, Any]:
        """The contract of ``sync --json`` (product.md, section 5)."""
        return {
            "run": self.run,
            "status": self.status.value,
            "audiences": [audience_json(each) for each in self.audiences],
            "traits": traits_json(self.traits),
            "destinations": [_destination(each) for each in self.destinations],
            "seconds": round(self.seconds, 3),
            "warnings": list(self.messages),
            "errors": list(self.errors),
            "held": list(self.held),
            **({"mapping_changes": mappings_json(self.mappings)} if self.mappings else {}),
            **left_alone_json(self.skipped_users),
        }


def failures(audiences: Sequence[AudienceResult]) -> Iterator[str]:
    """One line for each reason of failed audiences, with their keys."""
    by_reason: dict[str, list[str]] = {}
    for each in audiences:
        if each.status is AudienceStatus.FAILED and each.error:
            reason = " ".join(each.error.split()).removeprefix(f"audience '{each.key}': ")
            by_reason.setdefault(reason, []).append(each.key)
    for reason, keys in by_reason.items():
        who = f"audience '{keys[0]}'" if len(keys) == 1 else f"{len(keys):,} audiences ({', '.join(keys)})"
        yield f"{who}: {reason}"


def mappings_json(mappings: Sequence[MappingResult]) -> list[dict[str, Any]]:
    return [
        {
            "destination": each.destination,
            "key": change.key,
            "change": change.kind.value,
            "from": change.before,
            "to": change.after,
            "users": change.users,
            "held": each.held is not None,
        }
        for each in mappings
        for change in each.changes
    ]


def left_alone_json(left_alone: Sequence[SkippedUser] | None) -> dict[str, Any]:
    return {} if left_alone is None else {"left_alone": [each._asdict() for each in left_alone]}


def audience_json(finding: AudienceResult) -> dict[str, Any]:
    return {
        "key": finding.key,
        "name": finding.name,
        "status": finding.status.value,
        "members": finding.after,
        "entered": finding.entered,
        "left": finding.left,
        "invalid": finding.invalid,
        "error": finding.error,
        "held": finding.held and _held(finding.held),
        "absent": finding.absent,
        "returned": finding.returned,
        "held_out": finding.held_out,
    }


def _held(held: HeldDifference) -> dict[str, Any]:
    """The changes that were held; the audience's own ``entered`` and ``left`` are 0."""
    return {"since_run": held.since, "entered": held.counts.entered, "left": held.counts.left}


def traits_json(finding: TraitsResult) -> dict[str, Any]:
    return {
        "users": finding.users,
        "changed": finding.changed,
        "invalid": finding.invalid,
        "errors": list(finding.errors),
        "held": [{"key": key, **_held(held), "error": held.message} for key, held in finding.held],
    }


def _destination(report: DestinationReport) -> dict[str, Any]:
    return {
        "name": report.name,
        "calls": report.calls,
        "delivered": report.delivered,
        "refused": report.refused,
        "still_refused": report.still_refused,
        "pending": report.pending,
        "withheld": report.withheld,
        "requests": report.requests,
        "retries": report.retries,
        "seconds": round(report.seconds, 3),
        "error": report.error or None,
        "rate_limited": report.rate_limited,
    }


def destination_report(address: str, tallies: Sequence[DeliveryStats], still_refused: int) -> DestinationReport:
    """The sum of the deliveries to one destination."""
    return DestinationReport(
        name=tallies[0].name,
        address=address,
        calls=sum(each.calls for each in tallies),
        delivered=sum(each.delivered for each in tallies),
        refused=sum(each.refused for each in tallies),
        pending=sum(each.pending for each in tallies),
        requests=sum(each.requests for each in tallies),
        retries=sum(each.retries for each in tallies),
        seconds=sum(each.seconds for each in tallies),
        error="; ".join(each.error for each in tallies if each.error),
        still_refused=still_refused,
        withheld=sum(each.withheld for each in tallies),
        rate_limited=any(each.rate_limited for each in tallies),
    )


def build_report(run: RunId, found: RunFindings, destinations: Sequence[DestinationReport], seconds: float) -> Report:
    return Report(
        run=run,
        audiences=found.audiences,
        traits=found.traits,
        destinations=destinations,
        seconds=seconds,
        warnings=found.warnings,
        notices=found.notices,
        errors=found.errors,
        held=found.held,
        mappings=found.mappings,
        skipped_users=found.skipped_users,
        invalid_rows=found.invalid_rows,
    )
