"""Write one identify call as one message, or as several within a service's limits for a message."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from audience_sync.destinations.base import Message
from audience_sync.destinations.messages.identify import (
    derived_message_id,
    identify_bytes,
    identify_sql,
    object_json,
    split_traits,
)
from audience_sync.errors import UnsendableError
from audience_sync.model import IdentifyCall


class MessageLimits(Struct, frozen=True):
    """The limits of one message of a service: bytes of plain text, and traits."""

    service: str
    message_bytes: int
    message_traits: int = sys.maxsize

    def check_sizes(self, sizes: Mapping[str, int]) -> None:
        """Raise UnsendableError with every trait whose message would be too large even without other traits."""
        reasons = {
            key: f"'{key}' makes a message of {size:,} bytes and {self.service} takes {self.message_bytes:,}: "
            "shorten the value at its source"
            for key, size in sizes.items()
            if size > self.message_bytes
        }
        if reasons:
            raise UnsendableError("; ".join(reasons.values()), reasons)

    def pack(self, traits: Sequence[tuple[str, str]], room: int, others: int) -> Iterator[list[tuple[str, str]]]:
        """Group the traits by message, of at most ``room`` bytes each. ``others``: traits that each has besides."""
        group: list[tuple[str, str]] = []
        used = 0
        for trait in traits:
            size = len(object_json([trait]).encode())
            if group and (len(group) + others >= self.message_traits or used + size > room):
                yield group
                group, used = [], 0
            group.append(trait)
            used += size
        if group:
            yield group


def encode_within_limits(call: IdentifyCall, tail: str, limits: MessageLimits) -> list[Message]:
    """Return the messages of a call. ``tail`` is the end of every message, see ``message_tail``."""
    if call.traits_json.count(",") < limits.message_traits:  # so few commas separate at most this many traits
        body = identify_bytes(call, call.message_id, call.traits_json, tail)
        if len(body) <= limits.message_bytes:
            return [Message(call.message_id, body)]
    return list(_split_call(call, tail, limits))


def single_message_sql(tail: str, limits: MessageLimits) -> str:
    """Return the SQL for ``Destination.encode_sql``, for calls of one message."""
    return identify_sql(tail, most_bytes=limits.message_bytes, most_traits=limits.message_traits)


def _split_call(call: IdentifyCall, tail: str, limits: MessageLimits) -> Iterator[Message]:
    """Yield as many messages as the limits require, each with the identifiers; its id follows from its first trait."""
    identifiers, found = separate_identifiers(call, split_traits(call.traits_json))
    empty = len(identify_bytes(call, derived_message_id(call.message_id, ""), "{}", tail))
    for repeated, traits in ((), identifiers), (identifiers, found):
        sizes = {key: empty - len("{}") + len(object_json([*repeated, (key, value)]).encode()) for key, value in traits}
        limits.check_sizes(sizes)
    room = limits.message_bytes - empty - len(object_json(identifiers).encode())
    for traits in limits.pack(found, room, len(identifiers)):
        yield partial_message(call, [*traits, *identifiers], tail)


def separate_identifiers(
    call: IdentifyCall, traits: Sequence[tuple[str, str]]
) -> tuple[Sequence[tuple[str, str]], Sequence[tuple[str, str]]]:
    """Return the identifiers among the traits, which each part of a call repeats, and the others."""
    names = dict(split_traits(call.identifiers))
    others = [trait for trait in traits if trait[0] not in names]
    return ([trait for trait in traits if trait[0] in names], others) if others else ((), traits)


def partial_message(call: IdentifyCall, traits: Sequence[tuple[str, str]], tail: str) -> Message:
    """Return a message with these traits alone."""
    message_id = derived_message_id(call.message_id, traits[0][0])
    return Message(message_id, identify_bytes(call, message_id, object_json(traits), tail))
