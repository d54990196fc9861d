"""How do owed changes become identify calls, and calls become batches?"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha1
from itertools import accumulate
from typing import Any, NamedTuple, cast

from audience_sync.destinations.base import Destination, Limits, Message
from audience_sync.destinations.messages.identify import derived_message_id, object_json, split_traits
from audience_sync.errors import BrokenDestinationError, OwnCodeError, UnsendableError
from audience_sync.model import ALIAS_KEY, Alias, AudienceEvent, IdentifyCall
from audience_sync.workspace import Workspace, quote_literal

#: What the program's own SQL raises, of a run that the store doesn't have.
NO_RUN_TIME = "no time is known of run "
#: Errors of DuckDB that quote the text of a query, and no value.
QUERY_TEXT_ERRORS = ("ParserException", "BinderException", "CatalogException")


@dataclass(frozen=True, slots=True)
class CallDetails:
    """A call that is not just one message.

    ``unsendable``: why nothing of it can ever be sent. ``left_out``: the properties that can never be sent, and why;
    the messages are without them. ``only``: the properties, where it is a part of a call that was divided.
    ``is_fault``: the destination's own code failed at it.
    """

    messages: tuple[Message, ...] = ()
    unsendable: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)
    only: frozenset[str] | None = None
    is_fault: bool = False


class EncodedCall(NamedTuple):
    """A call as a destination is sent it: its one message, or something else (``odd``).

    It is the row that the database returned, and its own message: a million are made in a first run.
    """

    message_id: str
    body: bytes
    user_id: str
    details: CallDetails | None = None

    @property
    def messages(self) -> tuple[Message, ...]:
        return (Message(self.message_id, self.body),) if self.details is None else self.details.messages

    @property
    def unsendable(self) -> str:
        return "" if self.details is None else self.details.unsendable

    @property
    def left_out(self) -> Mapping[str, str]:
        return {} if self.details is None else self.details.left_out

    @property
    def only(self) -> frozenset[str] | None:
        return None if self.details is None else self.details.only

    @property
    def size(self) -> int:
        """Bytes of all its messages, with a separator after each."""
        if self.details is None:
            return len(self.body) + 1
        return sum(len(each.body) + 1 for each in self.details.messages)


#: Of fewer calls than this, after others that could be encoded, each is refused by itself.
FEW_CALLS = 100

#: What ``EncodedCall._make`` does, without a Python function in the way of a million rows.
_encoded_call: Callable[[Iterable[Any]], EncodedCall] = partial(tuple.__new__, EncodedCall)


def batch_messages(calls: Sequence[EncodedCall]) -> Sequence[Message]:
    """The messages of all calls, in their order."""
    if not [call for call in calls if call.details is not None]:
        return cast(Sequence[Message], calls)  # it has what a message has
    return [message for call in calls for message in call.messages]


#: What of some messages travels in one request each (``Destination.parts``).
Parts = Callable[[Sequence[Message]], Sequence[Sequence[Message]]]


def request_messages(calls: Sequence[EncodedCall], parts: Parts, limits: Limits | None) -> Iterator[Sequence[Message]]:
    """The messages of each request. Several calls are a batch that fits already; a single one may be too much."""
    for messages in parts(batch_messages(calls)):
        if limits is None or len(calls) > 1 or len(messages) < 2:
            yield messages
        else:
            yield from _split_by_limits(messages, limits)


def _split_by_limits(messages: Sequence[Message], limits: Limits) -> Iterator[Sequence[Message]]:
    """The messages in requests that stay within the limits, in order."""
    start, size = 0, 0
    for place, message in enumerate(messages):
        size += len(message.body) + 1
        if place > start and (place - start == limits.messages or size > limits.request_bytes):
            yield messages[start:place]
            start, size = place, len(message.body) + 1
    yield messages[start:]


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls for one request, in user order: those of the users after ``after``, up to the last one."""

    after: str
    calls: Sequence[EncodedCall]

    @property
    def through(self) -> str:
        return self.calls[-1].user_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReader:
    """The calls of an ``owed`` table. ``times``: when each run started (ISO 8601). ``told_since``: of each audience
    whose events are told, the run since which the destination is told of it: what everyone is told then is no event.
    ``nonces``: the random value of each run; a run of a version without has none."""

    workspace: Workspace
    table: str
    installation: str
    destination: str
    times: Mapping[int, str]
    event_start_runs: Mapping[str, int] = field(default_factory=dict)
    nonces: Mapping[int, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[IdentifyCall]:
        """In user order."""
        for rows in self.workspace.stream(f"{self._sql} order by user_id"):
            yield from map(self._call, rows)

    def for_users(self, users: Collection[str]) -> dict[str, IdentifyCall]:
        """The calls of these few users."""
        if not users:
            return {}
        names = ", ".join(map(quote_literal, users))
        rows = self.workspace.stream(f"{self._sql} where user_id in ({names})")
        return {row[0]: self._call(row) for batch in rows for row in batch}

    def _call(self, row: Sequence[Any]) -> IdentifyCall:
        call = IdentifyCall(*row)
        return call._replace(events=tuple(self._events(call))) if self.event_start_runs else call

    def _events(self, call: IdentifyCall) -> Iterator[AudienceEvent]:
        for version in call.versions.split(","):
            key, _, run = version.rpartition("@")
            moved = f"{ALIAS_KEY}@{run}" in call.versions.split(",")  # what went with the user to another id
            if key in self.event_start_runs and int(run) > self.event_start_runs[key] and not moved:
                nonce = [self.nonces[int(run)]] if int(run) in self.nonces else []
                change = "\0".join((self.installation, self.destination, call.user_id, version, *nonce))
                message_id = sha1(change.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:32]
                at = self.times.get(int(run), call.timestamp)
                yield AudienceEvent(key, bool(call.traits[key]), message_id, at)

    def encoded(self, destination: Destination) -> Iterator[list[EncodedCall]]:
        """In user order, in lists, as this destination is sent them.

        What DuckDB can write itself (``encode_sql``) takes a fraction of the time: docs/decisions/0005.

        Raises BrokenDestinationError where the destination's own code fails at all of a list, and not at a few last.
        """
        works = False
        own = destination.encode_sql()
        body = own or "null"
        if destination.has_alias:  # so is one with previous ids
            body = f"case when not contains(versions, {quote_literal(ALIAS_KEY + '@')}) then {body} end"
        if self.event_start_runs:  # a call that may come with events is one that ``encode`` has to see
            body = f"case when run_id <= {min(self.event_start_runs.values())} then {body} end"
        ordered = f"{self._rows} order by user_id"
        query = f"select message_id, encode({body}), user_id, null from ({ordered})"
        stream = self.workspace.stream(query)
        for rows in stream if own is None else _check_encode_sql(stream):
            calls = list(map(_encoded_call, rows))
            if unwritten := [place for place, (_, written, *_) in enumerate(rows) if written is None]:
                found = self.for_users([calls[place].user_id for place in unwritten])
                for place in unwritten:
                    calls[place] = encode(found[calls[place].user_id], destination)
                if len(unwritten) == len(calls) and not (works and len(calls) < FEW_CALLS):
                    _raise_if_broken(calls)
            works = True
            yield calls

    def split(self, call: EncodedCall, destination: Destination) -> list[EncodedCall]:
        """The same call as two: its largest property alone, after the others. None where it can't be divided.

        Traits that mean something only together stay together.
        """
        whole = self.for_users([call.user_id])[call.user_id]
        found = {key: value for key, value in split_traits(whole.traits_json) if key not in call.left_out}
        units = _companion_units(
            [key for key in found if call.only is None or key in call.only], destination.companions
        )
        if len(units) < 2:
            return []
        largest = max(units, key=lambda unit: sum(len(found[key]) for key in unit))
        others = frozenset().union(*(unit for unit in units if unit != largest))
        return [
            EncodedCall(part.message_id, part.body, part.user_id, replace(part.details or CallDetails(), only=keys))
            for keys in (others, largest)
            for part in [encode(part_of(whole, keys), destination)]
        ]

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
        parts = (
            quote_literal(self.installation),
            quote_literal(self.destination),
            "user_id",
            "traits",
            "versions",
            "nonce",
        )
        change = ", ".join(parts)
        runs = ", ".join(f"({run}, {quote_literal(at)}, {self._nonce(run)})" for run, at in self.times.items())
        started = f"coalesce(started, error('{NO_RUN_TIME}' || run_id))"
        return (
            f"select user_id, traits, sha1(concat_ws(chr(0), {change}))[:32] as message_id, "
            f'{started} as "timestamp", versions, run_id from {self.table} '
            f"left join (values {runs}) t(run_id, started, nonce) using (run_id)"
        )

    def _nonce(self, run: int) -> str:
        return quote_literal(self.nonces[run]) if run in self.nonces else "null"


def _check_encode_sql(stream: Iterator[list[tuple[Any, ...]]]) -> Iterator[list[tuple[Any, ...]]]:
    """The rows; raises BrokenDestinationError where DuckDB refuses the destination's SQL, or a value in it."""
    import duckdb

    while True:
        try:
            rows = next(stream, None)
        except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
            if isinstance(error, duckdb.InvalidInputException) and NO_RUN_TIME in str(error):
                raise
            words = f"error in the destination's own code: encode_sql: {_error_summary(error)}"
            raise BrokenDestinationError(words) from error
        if rows is None:
            return
        yield rows


def _error_summary(error: Exception) -> str:
    """What DuckDB says without the query's text, and without values: an error of a value quotes it."""
    kind = type(error).__name__
    words = str(error).partition("\n")[0]
    return f"{kind}: {words}" if kind in QUERY_TEXT_ERRORS else kind


def _raise_if_broken(calls: Sequence[EncodedCall]) -> None:
    if all(call.details is not None and call.details.is_fault for call in calls):
        raise BrokenDestinationError(calls[0].unsendable)


def encode(call: IdentifyCall, destination: Destination) -> EncodedCall:
    """The call as this destination is sent it: what fits, without the properties that can never be sent."""
    left_out: dict[str, str] = {}
    rest = call
    while True:
        try:
            return EncodedCall(
                call.message_id, b"", call.user_id, CallDetails(_messages(rest, destination), left_out=left_out)
            )
        except UnsendableError as error:
            known = error.properties or _unsendable_alone(rest, destination)
            found = {key: why for key, why in known.items() if key in _keys(rest)}
            left_out.update(found)
            if found and (others := _keys(call).difference(left_out)):
                rest = part_of(call, others)
                continue
            reason = "; ".join(left_out.values()) if found else str(error)
            is_fault = isinstance(error, OwnCodeError)
            return EncodedCall(call.message_id, b"", call.user_id, CallDetails(unsendable=reason, is_fault=is_fault))


def _messages(call: IdentifyCall, destination: Destination) -> tuple[Message, ...]:
    call, aliases = _separate_aliases(call)
    joined = [destination.encode_alias(call.user_id, each) for each in aliases]
    events = [destination.encode_event(call.user_id, each) for each in call.events]
    told = destination.encode(call) if call.versions else ()
    return (*joined, *told, *events)


def _unsendable_alone(call: IdentifyCall, destination: Destination) -> dict[str, str]:
    """The properties that can't be sent by themselves either, where others can."""
    reasons: dict[str, str] = {}
    keys = sorted(_keys(call) - {ALIAS_KEY})
    for key in keys:
        try:
            destination.encode(part_of(call, [key]))
        except UnsendableError as error:
            reasons[key] = f"'{key}': {error}"
    return reasons if len(reasons) < len(keys) else {}


def part_of(call: IdentifyCall, keys: Collection[str]) -> IdentifyCall:
    """A call of these properties of it alone, with an id of its own: the same for the same ones."""
    return call._replace(
        traits_json=object_json((key, value) for key, value in split_traits(call.traits_json) if key in keys),
        message_id=derived_message_id(call.message_id, "\0".join(("part", *sorted(keys)))),
        versions=",".join(each for each in call.versions.split(",") if each.rpartition("@")[0] in keys),
        events=tuple(each for each in call.events if each.key in keys),
    )


def _keys(call: IdentifyCall) -> frozenset[str]:
    return frozenset(each.rpartition("@")[0] for each in call.versions.split(","))


def _companion_units(keys: Sequence[str], companions: Sequence[Sequence[str]]) -> list[frozenset[str]]:
    """The keys one by one, but for those that stay together."""
    groups = [frozenset(group).intersection(keys) for group in companions]
    alone = frozenset(keys).difference(*groups) if groups else frozenset(keys)
    return [*(group for group in groups if group), *(frozenset([key]) for key in keys if key in alone)]


def _separate_aliases(call: IdentifyCall) -> tuple[IdentifyCall, Sequence[Alias]]:
    """The call without the previous ids, and these: they are told before it."""
    if f"{ALIAS_KEY}@" not in call.versions:
        return call, ()
    found = split_traits(call.traits_json)
    versions = call.versions.split(",")
    (version,) = (each for each in versions if each.startswith(f"{ALIAS_KEY}@"))
    plain = call._replace(
        traits_json=object_json((key, value) for key, value in found if key != ALIAS_KEY),
        versions=",".join(each for each in versions if each != version),
    )
    ids = json.loads(dict(found)[ALIAS_KEY])
    return plain, [
        Alias(each, derived_message_id(call.message_id, f"{version}\0{each}"), call.timestamp) for each in ids
    ]


def batches(
    found: Iterable[Sequence[EncodedCall]], destination: Destination, *, max_calls: int | None = None
) -> Iterator[Batch]:
    """Divide lists of calls into batches within the destination's limits, each of at most ``max_calls`` calls."""
    batch_size = destination.options.batch_size or destination.limits.messages
    batch_size = batch_size if max_calls is None else min(batch_size, max_calls)
    after, waiting = "", list[EncodedCall]()
    for calls in found:
        waiting += calls
        ends = _batch_ends(waiting, destination, batch_size)
        for start, end in zip([0, *ends], ends, strict=False):
            yield Batch(after, waiting[start:end])
            after = waiting[end - 1].user_id
        del waiting[: ends[-1] if ends else 0]
    if waiting:
        yield Batch(after, waiting)


def limit_calls(found: Iterator[Batch], max_calls: int | None) -> Iterator[Batch]:
    """Batches up to so many calls; the last one is cut."""
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
    """Where each request ends that is full; what comes after the last one waits for more."""
    limits = destination.limits
    messages = list(accumulate([1 if call.details is None else len(call.messages) for call in calls], initial=0))
    size = list(accumulate([len(call.body) + 1 if call.details is None else call.size for call in calls], initial=0))
    ends, start = list[int](), 0
    while True:
        most_messages = bisect_right(messages, messages[start] + limits.messages) - 1
        most_bytes = bisect_right(size, size[start] + limits.request_bytes) - 1
        end = max(start + 1, min(start + batch_size, most_messages, most_bytes))
        if end >= len(calls):
            return ends
        ends.append(end)
        start = end
