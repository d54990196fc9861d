"""Divide encoded calls into batches and requests within a destination's limits, and define a batch's result."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import accumulate
from typing import cast

from msgspec import Struct, field

from audience_sync.delivery.send.encode import CallColumns, EncodedCall, with_details
from audience_sync.destinations.base import Destination, Limits, Message
from audience_sync.model import UserId

#: Before all users.
FIRST_USER = UserId("")


def batch_messages(calls: Sequence[EncodedCall]) -> Sequence[Message]:
    """Return the messages of all calls in order."""
    if not with_details(calls):
        return cast(Sequence[Message], calls)  # it has the fields of a message
    return [message for call in calls for message in call.messages]


#: Groups messages by request (``Destination.parts``).
Parts = Callable[[Sequence[Message]], Sequence[Sequence[Message]]]


def request_messages(calls: Sequence[EncodedCall], parts: Parts, limits: Limits | None) -> Iterator[Sequence[Message]]:
    """Yield the messages of each request. A batch of several calls fits; a single call may need several requests."""
    for messages in parts(batch_messages(calls)):
        if limits is None or len(calls) > 1 or len(messages) < 2:
            yield messages
        else:
            yield from _split_by_limits(messages, limits)


def _split_by_limits(messages: Sequence[Message], limits: Limits) -> Iterator[Sequence[Message]]:
    """Group messages by request, within the limits and in order."""
    start, size = 0, 0
    for index, message in enumerate(messages):
        size += len(message.body) + 1
        if index > start and (index - start == limits.messages or size > limits.request_bytes):
            yield messages[start:index]
            start, size = index, len(message.body) + 1
    yield messages[start:]


class Batch(Struct, frozen=True):
    """Calls for one request, ordered by user id: those of all users after ``after``, up to the last one."""

    after: UserId
    calls: Sequence[EncodedCall]

    @property
    def through(self) -> UserId:
        return self.calls[-1].user_id


class RefusedCall(Struct, frozen=True):
    """A call that the destination refuses for good. ``properties``: the refused ones, if the rest was sent."""

    call: EncodedCall
    reason: str
    http_status: int | None
    properties: frozenset[str] | None = None


class Attempt(Struct, frozen=True, kw_only=True):
    """A request without a final answer: its calls are sent again, in this run or a later one.

    ``number``: counted from 1 among the requests of the batch. ``seconds``: until the answer, or until there was none.
    """

    batch: Batch
    number: int
    calls: int
    sent_at: datetime
    seconds: float
    http_status: int | None
    answer: str


class BatchResult(Struct, kw_only=True):
    """The outcome of a batch: each call is delivered, refused or withheld (its user was suppressed meanwhile).

    ``answered`` is false if a call has no final answer. ``final_responses`` counts requests with a final answer.
    ``suspects`` are calls that failed repeatedly before the server accepted any other call of the batch. ``sent_at``,
    ``seconds``, ``http_status`` and ``reason`` are of its last request.
    """

    batch: Batch
    answered: bool = True
    refusals: list[RefusedCall] = field(default_factory=list)
    suspects: list[RefusedCall] = field(default_factory=list)
    withheld: list[EncodedCall] = field(default_factory=list)
    requests: int = 0
    retries: int = 0
    final_responses: int = 0
    http_status: int | None = None
    reason: str = ""
    started: float = 0.0
    sent_at: datetime | None = None
    seconds: float = 0.0

    @property
    def delivered(self) -> int:
        return len(self.batch.calls) - len(self.refusals) - len(self.withheld)


def partial_refusal_reason(reason: str, keys: Iterable[str]) -> str:
    return f"{reason.removesuffix('.')}. The rest was sent, without: {', '.join(sorted(keys))}"


def batches(
    found: Iterable[Sequence[EncodedCall]],
    destination: Destination,
    *,
    max_calls: int | None = None,
    after: UserId = FIRST_USER,
) -> Iterator[Batch]:
    """Divide lists of calls into batches within the destination's limits, each of at most ``max_calls`` calls.

    ``after``: the last user of the calls before these.
    """
    batch_size = destination.options.batch_size or destination.limits.messages
    batch_size = batch_size if max_calls is None else min(batch_size, max_calls)
    waiting: Sequence[EncodedCall] = ()
    for found_calls in found:
        calls = found_calls
        if waiting:  # the first of these calls fill their request
            both = [*waiting, *calls[:batch_size]]
            if not (ends := _batch_ends(both, destination, batch_size)):
                waiting = both
                continue
            batch, calls = Batch(after, both[: ends[0]]), calls[ends[0] - len(waiting) :]
            yield batch
            after = batch.through
        ends = _batch_ends(calls, destination, batch_size)
        for start, end in zip([0, *ends], ends, strict=False):
            yield Batch(after, calls[start:end])
            after = calls[end - 1].user_id
        waiting = calls[ends[-1] :] if ends else calls
    if waiting:
        yield Batch(after, waiting)


def limit_calls(found: Iterator[Batch], max_calls: int | None) -> Iterator[Batch]:
    """Yield batches with at most so many calls; the last one is cut."""
    left = max_calls
    for batch in found:
        if left is None:
            yield batch
            continue
        if left <= 0:
            return
        yield Batch(batch.after, batch.calls[:left])
        left -= len(batch.calls)


def _batch_ends(calls: Sequence[EncodedCall], destination: Destination, batch_size: int) -> list[int]:
    """Return the end of each full request. Calls after the last end wait for more."""
    limits = destination.limits
    messages, size = _cumulated(calls)
    ends, start = list[int](), 0
    while True:
        most_messages = bisect_right(messages, messages[start] + limits.messages) - 1
        most_bytes = bisect_right(size, size[start] + limits.request_bytes) - 1
        end = max(start + 1, min(start + batch_size, most_messages, most_bytes))
        if end >= len(calls):
            return ends
        ends.append(end)
        start = end


def _cumulated(calls: Sequence[EncodedCall]) -> tuple[Sequence[int], Sequence[int]]:
    """Return the numbers of messages and of bytes before each call, and after the last one."""
    if isinstance(calls, CallColumns):
        return range(len(calls) + 1), calls.ends
    messages = accumulate([1 if call.details is None else len(call.messages) for call in calls], initial=0)
    size = accumulate([len(call.body) + 1 if call.details is None else call.size for call in calls], initial=0)
    return list(messages), list(size)
