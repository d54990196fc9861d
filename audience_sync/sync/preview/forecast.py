"""Forecast the delivery to one destination: every call and request is built, and none is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field

from audience_sync.delivery.fields import missing_fields
from audience_sync.delivery.mapping import DestinationMapping, mapping_of
from audience_sync.delivery.send.batches import Batch, batches, limit_calls, partial_refusal_reason, request_messages
from audience_sync.delivery.send.calls import CallReader
from audience_sync.delivery.send.encode import EncodedCall
from audience_sync.delivery.send.rate_limiter import max_batch_users
from audience_sync.destinations.base import Destination, HttpDestination, HttpRequest
from audience_sync.destinations.boundary import ContainedDestination, destination_error_message
from audience_sync.destinations.http.statuses import name_destination
from audience_sync.errors import BrokenDestinationError, FieldError
from audience_sync.model import IdentifyCall, RunId
from audience_sync.sync.deliver.pending import PendingDelivery
from audience_sync.sync.values.run_plan import RunPlan
from audience_sync.text import without_size
from audience_sync.workspace import Workspace

#: Calls shown of each destination, and calls that it would refuse.
SAMPLES = 3
MOST_REFUSED = 100
#: Users shown for each reason of refused calls.
USERS_OF_REASON = 5


class RefusalCount(Struct, frozen=True):
    """The number of calls that a destination would refuse for one reason, and the first users."""

    calls: int = 0
    users: tuple[str, ...] = ()

    def plus(self, user: str) -> RefusalCount:
        return RefusalCount(self.calls + 1, (*self.users, user) if len(self.users) < USERS_OF_REASON else self.users)


class Forecast(Struct, kw_only=True):
    """The calls and requests that a destination would get.

    ``refused``: the number of ``calls`` that can't be sent; ``refusals``: reasons of the first of them, by user;
    ``reasons``: by reason, the number of calls and the first users, of at most ``MOST_REFUSED`` reasons.
    ``withheld``: suppressed users. ``rate_limit``: requests a second; ``rate``: users a second. ``request``: the first
    request, with ``in_request`` of the ``samples``; a destination without HTTP has its ``body`` alone.
    ``missing_fields``: properties that the destination has no field for; ``fields_problem``: why it is not clear.
    """

    name: str
    address: str
    rate_limit: float | None
    rate: float | None = None
    calls: int = 0
    requests: int = 0
    refused: int = 0
    withheld: int = 0
    refusals: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, RefusalCount] = field(default_factory=dict)
    samples: list[IdentifyCall] = field(default_factory=list)
    in_request: int = 0
    request: HttpRequest | None = None
    body: bytes = b""
    missing_fields: Sequence[str] = ()
    fields_problem: str = ""
    creates_fields: bool = False

    @property
    def seconds(self) -> float | None:
        """The time at the rate limit of requests; None without one."""
        return self.requests / self.rate_limit if self.rate_limit else None

    @property
    def seconds_at_rate(self) -> float | None:
        """The time at the rate of users; None without one."""
        return self.calls / self.rate if self.rate else None

    @property
    def longest(self) -> float | None:
        """The least time in seconds; None without a limit."""
        return max((each for each in (self.seconds, self.seconds_at_rate) if each is not None), default=None)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "calls": self.calls,
            "requests": self.requests,
            "seconds_at_rate_limit": self.seconds,
            "rate_limit": self.rate_limit,
            "rate": self.rate,
            "seconds_at_rate": self.seconds_at_rate,
            "refused": self.refused,
            "refusals": [{"user_id": user, "reason": why} for user, why in self.refusals.items()],
            "withheld": self.withheld,
            **self._fields_json(),
            "samples": [{"user_id": call.user_id, "traits": call.traits} for call in self.samples],
        }

    def _fields_json(self) -> dict[str, Any]:
        """The fields that are missing, at a destination that needs fields; otherwise nothing."""
        if not (self.missing_fields or self.fields_problem):
            return {}
        return {"missing_fields": list(self.missing_fields), "fields_problem": self.fields_problem or None}

    def add(self, batch: Batch, destination: Destination, calls: CallReader) -> None:
        """Count a batch and its requests, and show the first calls. ``calls`` reads the users of the batch."""
        sendable = self._without_refused(batch)
        requests = request_messages(sendable, destination.parts, destination.limits) if sendable else ()
        self.requests += sum(1 for each in requests if each)
        if sendable and len(self.samples) < SAMPLES:
            self._show(sendable[: SAMPLES - len(self.samples)], destination, calls)

    def find_missing_fields(
        self, workspace: Workspace, table: str, destination: Destination, mapping: DestinationMapping
    ) -> None:
        """Find the properties of the calls that the destination has no field for."""
        try:
            missing = missing_fields(workspace, table, destination, mapping)
        except FieldError as error:
            self.fields_problem = name_destination(str(error), self.name)
            return
        self.creates_fields = bool(getattr(destination.options, "create_fields", False))
        self.missing_fields = sorted({*self.missing_fields, *missing})

    def until_broken(self, filled: Iterator[Batch]) -> Iterator[Batch]:
        """The batches. If the destination's code fails at all calls, its error becomes the body."""
        try:
            yield from filled
        except BrokenDestinationError as error:
            self.body = str(error).encode()

    def _without_refused(self, batch: Batch) -> Sequence[EncodedCall]:
        """The calls that can be sent. A call without some of its properties is sent, and counted as refused, too."""
        refused = [call for call in batch.calls if call.details is not None and (call.unsendable or call.left_out)]
        if not refused:
            return batch.calls
        self.refused += len(refused)
        for call in refused:
            without = partial_refusal_reason("; ".join(call.left_out.values()), call.left_out) if call.left_out else ""
            self._count_refusal(call.user_id, call.unsendable or without)
        return [call for call in batch.calls if not call.unsendable]

    def _count_refusal(self, user: str, reason: str) -> None:
        if len(self.refusals) < MOST_REFUSED:
            self.refusals[user] = reason
        shared = without_size(reason)
        if shared not in self.reasons and len(self.reasons) >= MOST_REFUSED:
            return
        self.reasons[shared] = self.reasons.get(shared, RefusalCount()).plus(user)

    def _show(self, sendable: Sequence[EncodedCall], destination: Destination, calls: CallReader) -> None:
        is_first, by_user = not self.samples, calls.for_users([call.user_id for call in sendable])
        self.samples += [by_user[call.user_id] for call in sendable]
        if not is_first:
            return
        self.in_request = len(sendable)
        messages = next(iter(request_messages(sendable, destination.parts, destination.limits)))
        if isinstance(destination, ContainedDestination):
            destination = destination.inner or destination
        if isinstance(destination, HttpDestination):
            try:
                self.request = destination.signed(destination.request(messages), datetime.now(UTC))
            except Exception as error:  # code of another package may raise any error
                self.body = destination_error_message(error, destination.about.secrets).encode()
        else:
            self.body = b"\n".join(message.body for message in messages)


def forecast(
    workspace: Workspace,
    plan: RunPlan,
    name: str,
    shares: Sequence[PendingDelivery],
    *,
    times: Mapping[RunId, str],
    nonces: Mapping[RunId, str],
) -> Forecast:
    """Build all calls and requests of a destination.

    ``times``: the start of each run, the planned one included. ``nonces``: see ``CallReader``.
    """
    destination, rate, most = plan.destinations[name], plan.request.limits.users_per_second, plan.request.limits.calls
    found = Forecast(
        name=name,
        address=destination.address,
        rate_limit=destination.options.rate_limit,
        rate=rate,
        calls=sum(share.calls if most is None else min(most, share.calls) for share in shares),
        withheld=sum(share.withheld_users for share in shares),
    )
    sizes = [each for each in (most, max_batch_users(rate)) if each is not None]
    for share in shares:
        mapping, left = mapping_of(destination, share.state.subscriptions.values()), most
        for own, part in share.tables(workspace):
            calls = CallReader(
                workspace=own,
                table=part.table,
                installation=plan.installation,
                destination=name,
                times=times,
                event_start_runs=share.event_start_runs(destination),
                nonces=nonces,
                mapping=mapping,
                is_mapped=part.is_mapped,
            )
            found.find_missing_fields(own, part.table, destination, mapping)
            filled = batches(calls.encoded(destination), destination, max_calls=min(sizes, default=None))
            for batch in limit_calls(found.until_broken(filled), left):
                found.add(batch, destination, calls)
            left = None if left is None else max(left - part.calls, 0)
            if left == 0 and not destination.has_fields:
                break
    return found
