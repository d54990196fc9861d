"""How many messages tell one identify call? One, or as many as a service's limits for a message need."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from audience_sync.destinations.base import Message
from audience_sync.destinations.identify import identify_bytes, identify_sql, object_json, part_id, properties
from audience_sync.errors import UnsendableError
from audience_sync.model import IdentifyCall


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a service takes in one message: bytes of plain text, and traits."""

    service: str
    message_bytes: int
    message_traits: int = sys.maxsize


def whole_or_split(call: IdentifyCall, tail: str, bounds: Bounds) -> list[Message]:
    """``tail`` is the end of every message, see ``message_tail``."""
    if call.traits_json.count(",") < bounds.message_traits:  # that few commas part at most so many traits
        body = identify_bytes(call, call.message_id, call.traits_json, tail)
        if len(body) <= bounds.message_bytes:
            return [Message(call.message_id, body)]
    return list(_split(call, tail, bounds))


def whole_sql(tail: str, bounds: Bounds) -> str:
    """The same for ``Destination.encode_sql``, where one message is enough."""
    return identify_sql(tail, most_bytes=bounds.message_bytes, most_traits=bounds.message_traits)


def _split(call: IdentifyCall, tail: str, bounds: Bounds) -> Iterator[Message]:
    """As many messages as the limits need, told apart by their first trait."""
    room = bounds.message_bytes - len(identify_bytes(call, part_id(call.message_id, ""), "{}", tail))
    for traits in _packed(properties(call.traits_json), room, bounds.message_traits):
        yield part(call, traits, tail, bounds)


def part(call: IdentifyCall, traits: Sequence[tuple[str, str]], tail: str, bounds: Bounds) -> Message:
    """Raises UnsendableError where even one trait is too much for a message."""
    message_id = part_id(call.message_id, traits[0][0])
    body = identify_bytes(call, message_id, object_json(traits), tail)
    if len(body) > bounds.message_bytes:
        raise UnsendableError(
            f"'{traits[0][0]}' makes a message of {len(body):,} bytes and {bounds.service} takes "
            f"{bounds.message_bytes:,}: shorten the value at its source"
        )
    return Message(message_id, body)


def _packed(parts: Sequence[tuple[str, str]], room: int, most: int) -> Iterator[list[tuple[str, str]]]:
    """The traits in groups that fit a message: ``most`` of them, ``room`` bytes together."""
    group: list[tuple[str, str]] = []
    used = 0
    for trait in parts:
        size = len(object_json([trait]).encode())
        if group and (len(group) == most or used + size > room):
            yield group
            group, used = [], 0
        group.append(trait)
        used += size
    if group:
        yield group
