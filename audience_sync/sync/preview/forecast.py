"""Forecast the delivery to one destination: every call and request is built, and none is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from audience_sync.delivery.send.batches import Batch, batches, limit_calls, partial_refusal_reason, request_messages
from audience_sync.delivery.send.calls import CallReader
from audience_sync.delivery.send.encode import EncodedCall
from audience_sync.delivery.send.rate_limiter import max_batch_users
from audience_sync.destinations.base import Destination, HttpDestination, HttpRequest
from audience_sync.destinations.boundary import Contained, destination_error_message
from audience_sync.errors import BrokenDestinationError
from audience_sync.model import IdentifyCall, RunId
from audience_sync.sync.deliver.pending import PendingDelivery
from audience_sync.workspace import Workspace

#: Calls shown of each destination, and calls that it would refuse.
SAMPLES = 3
MOST_REFUSED = 100


@dataclass(slots=True, kw_only=True)
class Forecast:
    """The calls and requests that a destination would get.

    ``refused``: the number of ``calls`` that can't be sent; ``refusals``: reasons of the first of them, by user.
    ``withheld``: suppressed users. ``rate_limit``: requests a second; ``rate``: users a second. ``request``: the first
    request, with ``in_request`` of the ``samples``; a destination without HTTP has its ``body`` alone.
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
    samples: list[IdentifyCall] = field(default_factory=list)
    in_request: int = 0
    request: HttpRequest | None = None
    body: bytes = b""

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
            "samples": [{"user_id": call.user_id, "traits": call.traits} for call in self.samples],
        }


def forecast(
    workspace: Workspace,
    destination: Destination,
    name: str,
    installation: str,
    shares: Sequence[PendingDelivery],
    times: Mapping[RunId, str],
    nonces: Mapping[RunId, str],
    *,
    rate: float | None = None,
    most: int | None = None,
) -> Forecast:
    """Build all calls and requests of a destination.

    ``times``: the start of each run, the planned one included. ``nonces``: see ``CallReader``. ``rate``: users a
    second. ``most``: the limit of calls.
    """
    found = Forecast(name=name, address=destination.address, rate_limit=destination.options.rate_limit, rate=rate)
    sizes = [each for each in (most, max_batch_users(rate)) if each is not None]
    for share in shares:
        calls = CallReader(
            workspace=workspace,
            table=share.table,
            installation=installation,
            destination=name,
            times=times,
            event_start_runs=share.event_start_runs(destination),
            nonces=nonces,
        )
        found.calls += share.calls if most is None else min(most, share.calls)
        found.withheld += share.withheld_users
        filled = batches(calls.encoded(destination), destination, max_calls=min(sizes, default=None))
        for batch in limit_calls(_until_broken(filled, found), most):
            sendable = _without_refused(batch, found)
            requests = request_messages(sendable, destination.parts, destination.limits) if sendable else ()
            found.requests += sum(1 for _ in requests)
            if sendable and len(found.samples) < SAMPLES:
                _take_samples(found, destination, calls, sendable[: SAMPLES - len(found.samples)])
    return found


def _until_broken(filled: Iterator[Batch], found: Forecast) -> Iterator[Batch]:
    """The batches. If the destination's code fails at all calls, its error becomes the body."""
    try:
        yield from filled
    except BrokenDestinationError as error:
        found.body = str(error).encode()


def _without_refused(batch: Batch, found: Forecast) -> Sequence[EncodedCall]:
    """The calls that can be sent. A call without some of its properties is sent, and counted as refused, too."""
    odd = [call for call in batch.calls if call.details is not None and (call.unsendable or call.left_out)]
    if not odd:
        return batch.calls
    found.refused += len(odd)
    for call in odd[: MOST_REFUSED - len(found.refusals)]:
        without = partial_refusal_reason("; ".join(call.left_out.values()), call.left_out) if call.left_out else ""
        found.refusals[call.user_id] = call.unsendable or without
    return [call for call in batch.calls if not call.unsendable]


def _take_samples(
    found: Forecast, destination: Destination, calls: CallReader, sendable: Sequence[EncodedCall]
) -> None:
    is_first = not found.samples
    by_user = calls.for_users([call.user_id for call in sendable])
    found.samples += [by_user[call.user_id] for call in sendable]
    if not is_first:
        return
    found.in_request, messages = (
        len(sendable),
        next(iter(request_messages(sendable, destination.parts, destination.limits))),
    )
    if isinstance(destination, Contained):
        destination = destination.inner or destination
    if isinstance(destination, HttpDestination):
        try:
            found.request = destination.signed(destination.request(messages), datetime.now(UTC))
        except Exception as error:  # code of another package may raise any error
            found.body = destination_error_message(error, destination.about.secrets).encode()
    else:
        found.body = b"\n".join(message.body for message in messages)
