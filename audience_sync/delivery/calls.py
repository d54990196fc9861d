"""How do owed changes become identify calls, and calls become batches?"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha1
from itertools import accumulate
from typing import Any, NamedTuple, cast

from audience_sync.destinations.base import Destination, Message
from audience_sync.destinations.identify import object_json, part_id, properties
from audience_sync.errors import UnsendableError
from audience_sync.model import ALIAS_KEY, Alias, AudienceEvent, IdentifyCall
from audience_sync.workspace import Workspace, literal


class EncodedCall(NamedTuple):
    """A call as a destination is sent it: its one message, or (``odd``) several, or why it can never be sent.

    It is the row that the database returned, and its own message: a million are made in a first run.
    """

    message_id: str
    body: bytes
    user_id: str
    odd: tuple[Message, ...] | str | None = None

    @property
    def messages(self) -> tuple[Message, ...]:
        if self.odd is None:
            return (Message(self.message_id, self.body),)
        return () if isinstance(self.odd, str) else self.odd

    @property
    def unsendable(self) -> str:
        return self.odd if isinstance(self.odd, str) else ""


#: What ``EncodedCall._make`` does, without a Python function in the way of a million rows.
_call: Callable[[Iterable[Any]], EncodedCall] = partial(tuple.__new__, EncodedCall)


def messages_of(calls: Sequence[EncodedCall]) -> Sequence[Message]:
    """The messages of all calls, in their order."""
    if not [call for call in calls if call.odd is not None]:
        return cast(Sequence[Message], calls)  # it has what a message has
    return [message for call in calls for message in call.messages]


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls for one request, in user order: those of the users after ``after``, up to the last one."""

    after: str
    calls: Sequence[EncodedCall]

    @property
    def through(self) -> str:
        return self.calls[-1].user_id


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of an ``owed`` table. ``times``: when each run started (ISO 8601). ``told_since``: of each audience
    whose events are told, the run since which the destination is told of it: what everyone is told then is no event.
    ``nonces``: the random value of each run; a run of a version without has none."""

    workspace: Workspace
    table: str
    installation: str
    destination: str
    times: Mapping[int, str]
    told_since: Mapping[str, int] = field(default_factory=dict)
    nonces: Mapping[int, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[IdentifyCall]:
        """In user order."""
        for rows in self.workspace.stream(f"{self._sql} order by user_id"):
            yield from map(self._call, rows)

    def of(self, users: Collection[str]) -> dict[str, IdentifyCall]:
        """The calls of these few users."""
        if not users:
            return {}
        names = ", ".join(map(literal, users))
        rows = self.workspace.stream(f"{self._sql} where user_id in ({names})")
        return {row[0]: self._call(row) for batch in rows for row in batch}

    def _call(self, row: Sequence[Any]) -> IdentifyCall:
        call = IdentifyCall(*row)
        return call._replace(events=tuple(self._events(call))) if self.told_since else call

    def _events(self, call: IdentifyCall) -> Iterator[AudienceEvent]:
        for version in call.versions.split(","):
            key, _, run = version.rpartition("@")
            moved = f"{ALIAS_KEY}@{run}" in call.versions.split(",")  # what went with the user to another id
            if key in self.told_since and int(run) > self.told_since[key] and not moved:
                nonce = [self.nonces[int(run)]] if int(run) in self.nonces else []
                change = "\0".join((self.installation, self.destination, call.user_id, version, *nonce))
                message_id = sha1(change.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:32]
                at = self.times.get(int(run), call.timestamp)
                yield AudienceEvent(key, bool(call.traits[key]), message_id, at)

    def encoded(self, destination: Destination) -> Iterator[list[EncodedCall]]:
        """In user order, in lists, as this destination is sent them.

        What DuckDB can write itself (``encode_sql``) takes a fraction of the time: docs/decisions/0005.
        """
        body = destination.encode_sql() or "null"
        if destination.has_alias:  # so is one with previous ids
            body = f"case when not contains(versions, {literal(ALIAS_KEY + '@')}) then {body} end"
        if self.told_since:  # a call that may come with events is one that ``encode`` has to see
            body = f"case when run_id <= {min(self.told_since.values())} then {body} end"
        ordered = f"{self._rows} order by user_id"
        for rows in self.workspace.stream(f"select message_id, encode({body}), user_id, null from ({ordered})"):
            calls = list(map(_call, rows))
            if unwritten := [place for place, (_, written, *_) in enumerate(rows) if written is None]:
                found = self.of([calls[place].user_id for place in unwritten])
                for place in unwritten:
                    calls[place] = encode(found[calls[place].user_id], destination)
            yield calls

    @property
    def _sql(self) -> str:
        """The fields of IdentifyCall."""
        return f'select user_id, traits, message_id, "timestamp", versions from ({self._rows})'

    @property
    def _rows(self) -> str:
        """The fields of IdentifyCall, and the newest run.

        A message's id is the same for the same change of the same user, whenever it is sent: ``versions`` names the
        run behind every value, so that true -> false -> true gives three ids. The nonce of the newest run tells two
        histories apart: two copies of a store that both have that run have the same runs before it. SHA-1, as in
        name-based UUIDs, takes half the time of SHA-256; the id names a change, it protects nothing."""
        parts = (literal(self.installation), literal(self.destination), "user_id", "traits", "versions", "nonce")
        change = ", ".join(parts)
        runs = ", ".join(f"({run}, {literal(at)}, {self._nonce(run)})" for run, at in self.times.items())
        started = "coalesce(started, error('no time is known of run ' || run_id))"
        return (
            f"select user_id, traits, sha1(concat_ws(chr(0), {change}))[:32] as message_id, "
            f'{started} as "timestamp", versions, run_id from {self.table} '
            f"left join (values {runs}) t(run_id, started, nonce) using (run_id)"
        )

    def _nonce(self, run: int) -> str:
        return literal(self.nonces[run]) if run in self.nonces else "null"


def encode(call: IdentifyCall, destination: Destination) -> EncodedCall:
    """The call as this destination is sent it."""
    try:
        call, aliases = _aliases(call)
        joined = [destination.encode_alias(call.user_id, each) for each in aliases]
        events = [destination.encode_event(call.user_id, each) for each in call.events]
        told = destination.encode(call) if call.versions else ()
        messages = (*joined, *told, *events)
    except UnsendableError as error:
        return EncodedCall(call.message_id, b"", call.user_id, str(error))
    return EncodedCall(call.message_id, b"", call.user_id, messages)


def _aliases(call: IdentifyCall) -> tuple[IdentifyCall, Sequence[Alias]]:
    """The call without the previous ids, and these: they are told before it."""
    if f"{ALIAS_KEY}@" not in call.versions:
        return call, ()
    found = properties(call.traits_json)
    versions = call.versions.split(",")
    (version,) = (each for each in versions if each.startswith(f"{ALIAS_KEY}@"))
    plain = call._replace(
        traits_json=object_json((key, value) for key, value in found if key != ALIAS_KEY),
        versions=",".join(each for each in versions if each != version),
    )
    ids = json.loads(dict(found)[ALIAS_KEY])
    return plain, [Alias(each, part_id(call.message_id, f"{version}\0{each}"), call.timestamp) for each in ids]


def batches(
    found: Iterable[Sequence[EncodedCall]], destination: Destination, *, most: int | None = None
) -> Iterator[Batch]:
    """Calls, which come in lists, in requests that stay within the destination's limits, of ``most`` calls each."""
    batch_size = destination.options.batch_size or destination.limits.messages
    batch_size = batch_size if most is None else min(batch_size, most)
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


def limited(found: Iterator[Batch], most: int | None) -> Iterator[Batch]:
    """Batches up to so many calls; the last one is cut."""
    left = most
    for batch in found:
        if left is None:
            yield batch
            continue
        if left <= 0:
            return
        yield Batch(batch.after, batch.calls[:left])
        left -= len(batch.calls)


def _ends(calls: Sequence[EncodedCall], destination: Destination, batch_size: int) -> list[int]:
    """Where each request ends that is full; what comes after the last one waits for more."""
    limits = destination.limits
    messages = list(accumulate([1 if call.odd is None else len(call.messages) for call in calls], initial=0))
    size = list(accumulate([len(call.body) + 1 if call.odd is None else _length(call) for call in calls], initial=0))
    ends, start = list[int](), 0
    while True:
        most_messages = bisect_right(messages, messages[start] + limits.messages) - 1
        most_bytes = bisect_right(size, size[start] + limits.request_bytes) - 1
        end = max(start + 1, min(start + batch_size, most_messages, most_bytes))
        if end >= len(calls):
            return ends
        ends.append(end)
        start = end


def _length(call: EncodedCall) -> int:
    """Bytes of all its messages, with a separator after each."""
    return sum(len(each.body) + 1 for each in call.messages)
