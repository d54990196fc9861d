"""Encode identify calls as a destination's messages, without the properties that can never be sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import orjson
from msgspec import Struct, field

from audience_sync.delivery.mapping import DestinationMapping, mapping_of
from audience_sync.destinations.base import Destination, JoinedMessages, Message
from audience_sync.destinations.messages.identify import derived_message_id, object_json, split_traits
from audience_sync.errors import NoIdentifierError, OwnCodeError, UnsendableError
from audience_sync.model import ALIAS_KEY, Alias, IdentifyCall, UserId
from audience_sync.workspace import STREAMED_ROWS

if TYPE_CHECKING:
    from audience_sync.arrow import TextColumn


class CallDetails(Struct, frozen=True, kw_only=True):
    """The details of a call that is not a single message.

    ``unsendable``: why no part of it can ever be sent. ``left_out``: the properties that can never be sent, with the
    reason; the messages are without them. ``only``: the properties of a part of a divided call. ``is_fault``: the
    destination's own code failed.
    """

    messages: tuple[Message, ...] = ()
    unsendable: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)
    only: frozenset[str] | None = None
    is_fault: bool = False


class EncodedCall(NamedTuple):
    """A call encoded for a destination: one message, or the messages of ``details``.

    It has the fields of a message and is made directly from a database row, because a first run makes millions.
    """

    message_id: str
    body: bytes
    user_id: UserId
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
        """The bytes of all its messages, with a separator after each."""
        if self.details is None:
            return len(self.body) + 1
        return sum(len(each.body) + 1 for each in self.details.messages)


class CallColumns(Sequence[EncodedCall], JoinedMessages):
    """Calls of one message each in columns of buffers. A call is made into an object when somebody asks for it.

    ``bodies`` have a comma after each. ``rows``: those of the columns that these calls are.
    """

    __slots__ = ("_bodies", "_message_ids", "_rows", "_user_ids")

    def __init__(self, message_ids: TextColumn, bodies: TextColumn, user_ids: TextColumn, rows: range) -> None:
        self._message_ids, self._bodies, self._user_ids, self._rows = message_ids, bodies, user_ids, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> EncodedCall: ...

    @overload
    def __getitem__(self, index: slice) -> CallColumns: ...

    def __getitem__(self, index: int | slice) -> EncodedCall | CallColumns:
        if isinstance(index, slice):
            return CallColumns(self._message_ids, self._bodies, self._user_ids, self._rows[index])
        row = self._rows[index]
        user_id = UserId(self._user_ids[row].decode())
        return EncodedCall(self._message_ids[row].decode(), self._bodies[row][:-1], user_id)

    def __iter__(self) -> Iterator[EncodedCall]:
        return map(self.__getitem__, range(len(self._rows)))

    @property
    def joined(self) -> memoryview:
        ends = self.ends
        return self._bodies.data[ends[0] : ends[-1] - 1]

    @property
    def ends(self) -> Sequence[int]:
        """Where the first body begins, and where each of them and its comma end."""
        return self._bodies.offsets[self._rows.start : self._rows.stop + 1]


class CallTexts(NamedTuple):
    """Calls in columns; ``calls``: the fields of those without a body, as a JSON array."""

    message_ids: TextColumn
    bodies: TextColumn
    user_ids: TextColumn
    calls: TextColumn


def encode_missing(
    texts: CallTexts, encode_fields: Callable[[Sequence[Any]], EncodedCall]
) -> Iterator[CallColumns | list[EncodedCall]]:
    """Yield the calls as columns, with the bodies of those that ``encode_fields`` makes one message of.

    Blocks with another call, such as one that can't be sent, are lists.
    """
    count, ends, start, bodies = len(texts.bodies.offsets) - 1, texts.bodies.offsets, 0, dict[int, bytes]()
    for block in range(0, count if texts.calls.data else 0, STREAMED_ROWS):
        rows = range(block, min(block + STREAMED_ROWS, count))
        left = {row: encode_fields(orjson.loads(texts.calls[row])) for row in rows if ends[row] == ends[row + 1]}
        if all(map(_is_plain, left.values())):
            bodies |= {row - start: call.messages[0].body + b"," for row, call in left.items()}
            continue
        if start < block:
            yield _columns(texts, start, block, bodies)
        others = _columns(texts, block, rows.stop, {})
        yield [left[row] if row in left else others[row - block] for row in rows]
        start, bodies = rows.stop, {}
    if start < count:
        yield _columns(texts, start, count, bodies)


def _is_plain(call: EncodedCall) -> bool:
    """Whether a call is one message with its own id, and nothing is left out."""
    return not call.left_out and [(type(each), each.message_id) for each in call.messages] == [
        (Message, call.message_id)
    ]


def _columns(texts: CallTexts, start: int, end: int, bodies: Mapping[int, bytes]) -> CallColumns:
    """Return these rows; ``bodies``: those that are missing, by their place."""
    message_ids, written, user_ids = (each.part(start, end) for each in texts[:3])
    return CallColumns(message_ids, written.filled(bodies) if bodies else written, user_ids, range(end - start))


def with_details(calls: Sequence[EncodedCall]) -> list[EncodedCall]:
    return [] if isinstance(calls, CallColumns) else [call for call in calls if call.details is not None]


def encode(call: IdentifyCall, destination: Destination, mapping: DestinationMapping | None = None) -> EncodedCall:
    """Encode a call for a destination, without the properties that can never be sent.

    ``mapping``: that of the destination's options, if it is made already.
    """
    mapping = mapping or mapping_of(destination)
    left_out: dict[str, str] = {}
    identifiers_left_out: dict[str, str] = {}
    rest = call
    while True:
        try:
            return EncodedCall(
                call.message_id,
                b"",
                call.user_id,
                CallDetails(messages=_messages(rest, destination, mapping), left_out=left_out),
            )
        except NoIdentifierError as error:
            reason = "; ".join(identifiers_left_out.values()) or str(error)
            return EncodedCall(call.message_id, b"", call.user_id, CallDetails(unsendable=reason))
        except UnsendableError as error:
            unsendable = error.properties or _unsendable_alone(rest, destination, mapping)
            found = {key: why for key, why in unsendable.items() if key in _keys(rest)}
            left_out.update(found)
            identifiers = {key: why for key, why in unsendable.items() if key in _optional_identifiers(rest, mapping)}
            identifiers_left_out.update(identifiers)
            others = _keys(call).difference(left_out)
            if others and (found or identifiers):
                rest = _without_identifiers(part_of(call, others) if left_out else call, identifiers_left_out)
                continue
            reason = "; ".join(left_out.values()) if found else str(error)
            is_fault = isinstance(error, OwnCodeError)
            return EncodedCall(call.message_id, b"", call.user_id, CallDetails(unsendable=reason, is_fault=is_fault))


def _optional_identifiers(call: IdentifyCall, mapping: DestinationMapping) -> frozenset[str]:
    """Return the identifiers of a call without which it may still be sent."""
    found = {key for key, _ in split_traits(call.identifiers)}
    return frozenset(mapping.identifiers).intersection(found) - {mapping.user_id}


def _without_identifiers(call: IdentifyCall, keys: Collection[str]) -> IdentifyCall:
    pairs = split_traits(call.identifiers)
    return call._replace(identifiers=object_json((key, value) for key, value in pairs if key not in keys))


def _messages(call: IdentifyCall, destination: Destination, mapping: DestinationMapping) -> tuple[Message, ...]:
    call, aliases = _separate_aliases(call)
    try:
        messages = _mapped_messages(mapping.apply(call), () if mapping.user_id else aliases, destination)
        if lost := mapping.last_identifiers(call) - {mapping.user_id}:
            with suppress(NoIdentifierError):  # without another identifier nothing but the exit is sent
                messages += _mapped_messages(mapping.apply(_loss_of(call, lost)), (), destination)
        return messages
    except UnsendableError as error:
        raise mapping.with_own_keys(error) from None


def _loss_of(call: IdentifyCall, lost: Collection[str]) -> IdentifyCall:
    """Return the loss of identifiers as a call of its own, which is sent after the last call with them."""
    kept = object_json((key, value) for key, value in split_traits(call.identifiers) if key not in lost)
    return part_of(call, lost)._replace(identifiers=kept, events=())


def _mapped_messages(call: IdentifyCall, aliases: Sequence[Alias], destination: Destination) -> tuple[Message, ...]:
    merges = [destination.encode_alias(call.user_id, each) for each in aliases]
    events = [destination.encode_event(call.user_id, each) for each in call.events]
    properties = destination.encode(call) if call.versions and call.traits_json != "{}" else ()
    return (*merges, *properties, *events)


def _unsendable_alone(call: IdentifyCall, destination: Destination, mapping: DestinationMapping) -> dict[str, str]:
    """Return the properties that can't be sent alone, if others can."""
    reasons: dict[str, str] = {}
    keys = sorted(_keys(call) - {ALIAS_KEY})
    for key in keys:
        try:
            destination.encode(mapping.apply(part_of(call, [key])))
        except UnsendableError as error:
            reasons[key] = f"'{key}': {error}"
    return reasons if len(reasons) < len(keys) else {}


def part_of(call: IdentifyCall, keys: Collection[str]) -> IdentifyCall:
    """Return a call with these properties alone. Its id is always the same for the same properties."""
    return call._replace(
        traits_json=object_json((key, value) for key, value in split_traits(call.traits_json) if key in keys),
        message_id=derived_message_id(call.message_id, "\0".join(("part", *sorted(keys)))),
        versions=",".join(each for each in call.versions.split(",") if each.rpartition("@")[0] in keys),
        events=tuple(each for each in call.events if each.key in keys),
        former=tuple((key, name) for key, name in call.former if key in keys),
    )


def _keys(call: IdentifyCall) -> frozenset[str]:
    return frozenset(each.rpartition("@")[0] for each in call.versions.split(","))


def companion_units(keys: Sequence[str], companions: Sequence[Sequence[str]]) -> list[frozenset[str]]:
    """Group the keys that have to be sent together; every other key is a group of its own."""
    groups = [frozenset(group).intersection(keys) for group in companions]
    alone = frozenset(keys).difference(*groups) if groups else frozenset(keys)
    return [*(group for group in groups if group), *(frozenset([key]) for key in keys if key in alone)]


def _separate_aliases(call: IdentifyCall) -> tuple[IdentifyCall, Sequence[Alias]]:
    """Separate the previous ids from a call: they are sent before it."""
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
