"""Define the values that a project answers with: runs, plans, and the rows in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import asdict

from audience_sync.errors import OK, HeldError, PartialError, RunFailedError
from audience_sync.model import AudienceStatus, RunStatus
from audience_sync.project.records import Records
from audience_sync.project.run_details import Details
from audience_sync.store.audiences.holds import Hold
from audience_sync.sync.values.findings import AudienceResult, HeldDifference, InvalidRow, TraitsResult
from audience_sync.sync.values.report import DestinationReport, Report

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from audience_sync.project.http_exchange import ShownRequest
    from audience_sync.sync.preview.forecast import Forecast
    from audience_sync.sync.preview.plan import RunPreview


class HeldChange(Struct, frozen=True, kw_only=True):
    """A change that a guard holds, and its reason. ``run``: the run to approve or reject; None in a plan.

    ``entered`` and ``left``: the users who would.
    """

    key: str
    entered: int
    left: int
    reason: str
    run: int | None = None


class AudienceSync(Struct, frozen=True, kw_only=True):
    """One audience in a run, or in a plan.

    ``entered`` and ``left`` are 0 if it is held or failed: then nothing of it was changed or sent. ``invalid``: rows of
    the snapshot that can't be used. ``absent``: members who are missing from the snapshot and stay (`min_stay`).
    ``returned``: members who were missing and came back. ``held_out``: users of the snapshot who are held out.
    """

    key: str
    name: str
    status: AudienceStatus
    members: int
    members_before: int
    entered: int
    left: int
    invalid: int = 0
    error: str | None = None
    held: HeldChange | None = None
    absent: int = 0
    returned: int = 0
    held_out: int = 0


class TraitsSync(Struct, frozen=True, kw_only=True):
    """All computed traits in a run: users with some, users whose values changed, and what failed or is held."""

    users: int
    changed: int
    invalid: int = 0
    errors: tuple[str, ...] = ()
    held: tuple[HeldChange, ...] = ()


class Delivery(Struct, frozen=True, kw_only=True):
    """One destination in a run: ``delivered + refused + pending`` is ``calls``, the identify calls of the run.

    ``still_refused``: calls of all runs that it has refused and not accepted since. ``withheld``: suppressed users.
    ``requests`` and ``retries``: HTTP requests. ``rate_limited``: ``error`` is a rate limit, which is not a failure.
    """

    destination: str
    calls: int
    delivered: int
    refused: int
    pending: int
    still_refused: int = 0
    withheld: int = 0
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    error: str | None = None
    rate_limited: bool = False


class Run(Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """What one run did.

    ``report``, ``details``, ``store`` and ``approved`` have the values behind the properties, for the command line.
    ``limit``: the calls that a seed was to send at most.
    """

    report: Report
    details: Details
    store: str = ""
    approved: tuple[Hold, ...] = ()
    limit: int | None = None

    def __repr__(self) -> str:
        return f"<Run {self.number}: {self.status}>"

    @property
    def number(self) -> int:
        return self.report.run

    @property
    def status(self) -> RunStatus:
        """``succeeded``, ``partial`` (calls refused or pending), ``held`` or ``failed``."""
        return self.report.status

    @property
    def exit_code(self) -> int:
        """That of the command: 0, 1 (partial), 3 (failed) or 4 (held); also 0 after as many calls as ``limit``."""
        return OK if self._did_as_limited else self.report.exit_code

    @property
    def _did_as_limited(self) -> bool:
        """Whether a seed sent as many calls as its limit allows, and none is refused."""
        most, destinations = self.limit, self.report.destinations
        if most is None or self.status is not RunStatus.PARTIAL:
            return False
        short = any(each.pending and (each.error or each.delivered < most) for each in destinations)
        return not short and not any(each.still_refused for each in destinations)

    @property
    def audiences(self) -> Records[AudienceSync]:
        return audience_syncs(self.report.audiences, self.number)

    @property
    def traits(self) -> TraitsSync:
        return traits_sync(self.report.traits, self.number)

    @property
    def deliveries(self) -> Records[Delivery]:
        """One for each destination."""
        return Records(Delivery, map(_delivery, self.report.destinations))

    @property
    def held(self) -> tuple[HeldChange, ...]:
        """All that a person has to approve or reject, of audiences and computed traits."""
        return (*(each.held for each in self.audiences if each.held), *self.traits.held)

    @property
    def invalid_rows(self) -> Records[InvalidRow]:
        """The first rows that can't be used, with file, row and reason; each audience counts all of its own."""
        return Records(InvalidRow, self.report.invalid_rows)

    @property
    def seconds(self) -> float:
        return self.report.seconds

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self.report.messages)

    @property
    def error(self) -> str | None:
        """Everything that failed, one a line; None if nothing did."""
        return self.report.error

    def raise_for_status(self) -> Run:
        """Return the run if it did everything that it was asked for.

        Raises RunFailedError, HeldError or PartialError, each with the reasons and what to do next.
        """
        match self.status:
            case RunStatus.FAILED:
                raise RunFailedError(
                    f"Run {self.number} failed.\n{_indented(self.error or 'See its errors.')}", self.number
                )
            case RunStatus.HELD:
                raise HeldError(
                    "\n".join([f"Run {self.number}: a guard holds changes.", *self._held_lines()]), self.number
                )
            case RunStatus.PARTIAL if not self._did_as_limited:
                lines = [line for each in self.deliveries for line in _unfinished(each)]
                raise PartialError("\n".join([f"Run {self.number} is not complete.", *lines]), self.number)
            case _:
                return self

    def _held_lines(self) -> list[str]:
        reasons = [each.reason for each in self.held] + list(self.report.held)
        decide = f"To decide: audience-sync approve {self.number}, or audience-sync reject {self.number}"
        return [_indented(text) for text in (*reasons, decide)]

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync sync --json``."""
        return self.report.as_json()

    def to_frame(self) -> pandas.DataFrame:
        """The audiences as a pandas DataFrame. Raises MissingPackageError without pandas."""
        return self.audiences.to_frame()

    def to_arrow(self) -> pyarrow.Table:
        """The audiences as an Arrow table. Raises MissingPackageError without pyarrow."""
        return self.audiences.to_arrow()


def _indented(text: str) -> str:
    return "\n".join(f"  {line.strip()}" for line in text.splitlines())


def _unfinished(each: Delivery) -> list[str]:
    """What is left to do at a destination, with the command."""
    lines = []
    if each.pending:
        why = f" ({each.error})" if each.error else ""
        lines.append(f"  {each.destination}: {each.pending:,} calls are pending{why}. The next run sends them.")
    if each.still_refused:
        retry = f"audience-sync retry --destination {each.destination}"
        lines.append(
            f"  {each.destination}: {each.still_refused:,} calls are refused. After correcting the data: {retry}"
        )
    return lines


def audience_syncs(results: tuple[AudienceResult, ...] | Any, run: int | None) -> Records[AudienceSync]:
    """The public form of the results of audiences. ``run``: None in a plan."""
    return Records(
        AudienceSync,
        [
            AudienceSync(
                key=each.key,
                name=each.name,
                status=each.status,
                members=each.after,
                members_before=each.before,
                entered=each.entered,
                left=each.left,
                invalid=each.invalid,
                error=each.error,
                held=_held(each.key, each.held, run),
                absent=each.absent,
                returned=each.returned,
                held_out=each.held_out,
            )
            for each in results
        ],
    )


def traits_sync(result: TraitsResult, run: int | None) -> TraitsSync:
    held = [change for key, each in result.held if (change := _held(key, each, run))]
    return TraitsSync(
        users=result.users, changed=result.changed, invalid=result.invalid, errors=result.errors, held=tuple(held)
    )


def _held(key: str, held: HeldDifference | None, run: int | None) -> HeldChange | None:
    if held is None:
        return None
    counts = held.counts
    last = run if run is not None else held.last
    return HeldChange(key=key, entered=counts.entered, left=counts.left, reason=held.message, run=last)


def _delivery(report: DestinationReport) -> Delivery:
    values = asdict(report)
    del values["address"]
    return Delivery(destination=values.pop("name"), **{**values, "error": report.error or None})


class PlannedDelivery(Struct, frozen=True, kw_only=True):
    """What a run would send to one destination.

    ``seconds``: the least time at the rate limits; None without one. ``refused``: calls that can't be sent.
    ``withheld``: suppressed users. ``samples``: the first users, each with their properties.
    """

    destination: str
    calls: int
    requests: int
    seconds: float | None
    refused: int = 0
    withheld: int = 0
    samples: tuple[tuple[str, dict[str, Any]], ...] = ()


class Plan(Struct, frozen=True, kw_only=True):
    """What a run would do; nothing was changed or sent. ``preview`` and ``details``: for the command line.

    ``requests``: the first one to each destination, without secrets. ``counts_sends``: it is of ``undo`` or ``retire``,
    and has the number of users by value for each destination. ``undone``: the command and the start of the run that an
    ``undo`` would reverse.
    """

    preview: RunPreview
    details: Details
    requests: Mapping[str, ShownRequest] = field(default_factory=dict)
    counts_sends: bool = False
    undone: tuple[str, datetime] | None = None

    def __repr__(self) -> str:
        return f"<Plan: {self.preview.command}>"

    @property
    def audiences(self) -> Records[AudienceSync]:
        return audience_syncs(self.preview.findings.audiences, None)

    @property
    def traits(self) -> TraitsSync:
        return traits_sync(self.preview.findings.traits, None)

    @property
    def destinations(self) -> Records[PlannedDelivery]:
        return Records(PlannedDelivery, map(_planned, self.preview.forecasts))

    @property
    def invalid_rows(self) -> Records[InvalidRow]:
        return Records(InvalidRow, self.preview.findings.invalid_rows)

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.preview.findings.messages

    @property
    def does_something(self) -> bool:
        """Whether a run would change or send anything."""
        return self.preview.does_something

    @property
    def command(self) -> str:
        """The command that carries it out; if all of it is held, the command that approves that."""
        return self.preview.command

    @property
    def exit_code(self) -> int:
        """That of the command: 0, 3 (a source failed) or 4 (a guard would hold something)."""
        return self.preview.exit_code

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync plan --json``, or of `undo` and `retire` with `--dry-run --json`."""
        from audience_sync.project.plan_requests import plan_json, sends_json

        return sends_json(self.preview) if self.counts_sends else plan_json(self.preview, self.requests)

    def to_frame(self) -> pandas.DataFrame:
        """The audiences as a pandas DataFrame. Raises MissingPackageError without pandas."""
        return self.audiences.to_frame()

    def to_arrow(self) -> pyarrow.Table:
        """The audiences as an Arrow table. Raises MissingPackageError without pyarrow."""
        return self.audiences.to_arrow()


def _planned(forecast: Forecast) -> PlannedDelivery:
    return PlannedDelivery(
        destination=forecast.name,
        calls=forecast.calls,
        requests=forecast.requests,
        seconds=forecast.longest,
        refused=forecast.refused,
        withheld=forecast.withheld,
        samples=tuple((call.user_id, call.traits) for call in forecast.samples),
    )
