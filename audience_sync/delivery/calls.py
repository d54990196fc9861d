"""How do owed changes become identify calls, and calls become batches?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from audience_sync.destinations.base import Destination, Message
from audience_sync.errors import UnsendableError
from audience_sync.model import IdentifyCall
from audience_sync.workspace import Workspace


class EncodedCall(NamedTuple):
    """A call and its messages; none where the destination could never take it, with the reason."""

    call: IdentifyCall
    messages: tuple[Message, ...]
    unsendable: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls for one request, in user order: those of the users after ``after``, up to the last one."""

    after: str
    calls: tuple[EncodedCall, ...]

    @property
    def through(self) -> str:
        return self.calls[-1].call.user_id


def message_id(installation: str, destination: str, user_id: str, traits: str, versions: str) -> str:
    """The same for the same change of the same user, whenever it is sent; 32 characters.

    ``versions`` names the run behind every value, so that true -> false -> true gives three ids.
    """
    change = "\0".join((installation, destination, user_id, traits, versions))
    return hashlib.blake2b(change.encode(), digest_size=16).hexdigest()


def identify_calls(
    workspace: Workspace, table: str, *, installation: str, destination: str, times: Mapping[int, str]
) -> Iterator[IdentifyCall]:
    """The calls of an ``owed`` table in user order. ``times``: when each run started (ISO 8601)."""
    for rows in workspace.stream(f"select user_id, traits, versions, run_id from {table} order by user_id"):
        for user_id, traits, versions, run in rows:
            key = message_id(installation, destination, user_id, traits, versions)
            yield IdentifyCall(user_id, traits, key, times[run], versions)


def batches(calls: Iterator[IdentifyCall], destination: Destination, batch_size: int) -> Iterator[Batch]:
    """Calls in requests that stay within the destination's limits."""
    limits = destination.limits
    after, group, messages, size = "", list[EncodedCall](), 0, 0
    for call in calls:
        encoded = _encode(call, destination)
        count, length = len(encoded.messages), _length(encoded.messages)
        full = len(group) >= batch_size or messages + count > limits.messages or size + length > limits.request_bytes
        if group and full:
            batch = Batch(after, tuple(group))
            yield batch
            after, group, messages, size = batch.through, [], 0, 0
        group.append(encoded)
        messages, size = messages + count, size + length
    if group:
        yield Batch(after, tuple(group))


def _length(messages: tuple[Message, ...]) -> int:
    """Bytes, with a separator each; nearly always of one message."""
    if len(messages) == 1:
        return len(messages[0].body) + 1
    return sum(len(each.body) + 1 for each in messages)


def _encode(call: IdentifyCall, destination: Destination) -> EncodedCall:
    try:
        return EncodedCall(call, tuple(destination.encode(call)))
    except UnsendableError as error:
        return EncodedCall(call, (), str(error))
