"""How do owed changes become identify calls, and calls become batches?"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from audience_sync.destinations.base import Destination, Message
from audience_sync.errors import UnsendableError
from audience_sync.model import IdentifyCall
from audience_sync.workspace import Workspace, literal


class EncodedCall(NamedTuple):
    """A call and how it is sent: the body of its one message, several messages, or (text) why it can never be.

    It is the row that the database returned: a million are made in a first run.
    """

    user_id: str
    traits_json: str
    message_id: str
    timestamp: str
    versions: str
    content: bytes | tuple[Message, ...] | str

    @property
    def call(self) -> IdentifyCall:
        return IdentifyCall(*self[:5])

    @property
    def messages(self) -> tuple[Message, ...]:
        content = self.content
        if isinstance(content, bytes):
            return (Message(self.message_id, content),)
        return () if isinstance(content, str) else content

    @property
    def unsendable(self) -> str:
        return self.content if isinstance(self.content, str) else ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls for one request, in user order: those of the users after ``after``, up to the last one."""

    after: str
    calls: Sequence[EncodedCall]

    @property
    def through(self) -> str:
        return self.calls[-1].user_id


def identify_calls(
    workspace: Workspace, table: str, *, installation: str, destination: str, times: Mapping[int, str]
) -> Iterator[IdentifyCall]:
    """The calls of an ``owed`` table in user order. ``times``: when each run started (ISO 8601)."""
    for rows in workspace.stream(_calls(table, installation, destination, times)):
        yield from map(IdentifyCall._make, rows)


def encoded_calls(
    workspace: Workspace,
    table: str,
    destination: Destination,
    *,
    installation: str,
    name: str,
    times: Mapping[int, str],
) -> Iterator[list[EncodedCall]]:
    """The same in lists, each call with its messages. ``name`` is the destination's.

    What DuckDB can write itself (``encode_sql``) takes a fraction of the time: docs/decisions/0005.
    """
    body = destination.encode_sql() or "null"
    query = f"select *, encode({body}) from ({_calls(table, installation, name, times)})"
    for rows in workspace.stream(query):
        yield [
            row if row.content is not None else encode(row.call, destination) for row in map(EncodedCall._make, rows)
        ]


def encode(call: IdentifyCall, destination: Destination) -> EncodedCall:
    """The call as this destination is sent it."""
    try:
        messages = tuple(destination.encode(call))
    except UnsendableError as error:
        return EncodedCall(*call, str(error))
    return EncodedCall(*call, messages)


def _calls(table: str, installation: str, destination: str, times: Mapping[int, str]) -> str:
    """The fields of IdentifyCall. A message's id is the same for the same change of the same user, whenever it is
    sent: ``versions`` names the run behind every value, so that true -> false -> true gives three ids."""
    change = ", ".join((literal(installation), literal(destination), "user_id", "traits", "versions"))
    runs = ", ".join(f"({run}, {literal(at)})" for run, at in times.items())
    started = "coalesce(started, error('no time is known of run ' || run_id))"
    return (
        f"select user_id, traits, sha256(concat_ws(chr(0), {change}))[:32] as message_id, "
        f'{started} as "timestamp", versions from {table} left join (values {runs}) t(run_id, started) using (run_id) '
        "order by user_id"
    )


def batches(found: Iterable[Sequence[EncodedCall]], destination: Destination, batch_size: int) -> Iterator[Batch]:
    """Calls, which come in lists, in requests that stay within the destination's limits."""
    after, waiting = "", list[EncodedCall]()
    for calls in found:
        waiting += calls
        ends = _ends(waiting, destination, batch_size)
        for start, end in zip([0, *ends], ends, strict=False):
            yield Batch(after, waiting[start:end])
            after = waiting[end - 1].user_id
        del waiting[: ends[-1] if ends else 0]
    if waiting:
        yield Batch(after, waiting)


def _ends(calls: Sequence[EncodedCall], destination: Destination, batch_size: int) -> list[int]:
    """Where each request ends that is full; what comes after the last one waits for more."""
    limits = destination.limits
    messages = list(accumulate([_count(each) for each in calls], initial=0))
    size = list(accumulate([_length(each) for each in calls], initial=0))
    ends, start = list[int](), 0
    while True:
        most_messages = bisect_right(messages, messages[start] + limits.messages) - 1
        most_bytes = bisect_right(size, size[start] + limits.request_bytes) - 1
        end = max(start + 1, min(start + batch_size, most_messages, most_bytes))
        if end >= len(calls):
            return ends
        ends.append(end)
        start = end


def _count(call: EncodedCall) -> int:
    return 1 if isinstance(call.content, bytes) else len(call.messages)


def _length(call: EncodedCall) -> int:
    """Bytes, with a separator after each message."""
    if isinstance(call.content, bytes):
        return len(call.content) + 1
    return sum(len(each.body) + 1 for each in call.messages)
