"""Write one user's item of a request from its parts, in Python and, for millions of users, in SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import NamedTuple

from audience_sync.destinations.json_api.ids import MESSAGE_UUID_SQL, epoch_milliseconds, epoch_seconds, message_uuid
from audience_sync.destinations.messages.identify import NOT_TEXT, json_text, object_json
from audience_sync.errors import UnsendableError
from audience_sync.sql import quote_literal


class Part(Enum):
    """A part of an item that differs by user: each is JSON text."""

    USER = auto()  #: the user id, a text
    TRAITS = auto()  #: the properties, an object
    FIELDS = auto()  #: the properties as further fields of the item, with its closing brace: ,"vip":true}
    UNSET_NAMES = auto()  #: the names of the properties without a value, a list
    UNSET_DASHES = auto()  #: the same as an object: {"old":"-"}
    MESSAGE_ID = auto()  #: the message id, a text
    UUID = auto()  #: a UUID of the message id, a text
    TIME = auto()  #: the time of the change in ISO 8601, a text
    SECONDS = auto()  #: the same in seconds since 1970
    MILLISECONDS = auto()  #: the same in milliseconds since 1970


#: The form of an item: texts that are the same for all users, and parts.
Item = Sequence[str | Part]


class ItemValues(NamedTuple):
    """The values of one item. ``traits`` and ``unset`` are pairs of a name and a JSON text."""

    user_id: str
    message_id: str
    timestamp: str
    traits: Sequence[tuple[str, str]]
    unset: Sequence[tuple[str, str]] = ()


def _fields(values: ItemValues) -> str:
    written = object_json(values.traits)
    return f",{written[1:]}" if values.traits else "}"


_WRITERS: Mapping[Part, Callable[[ItemValues], str]] = {
    Part.USER: lambda values: json_text(values.user_id),
    Part.TRAITS: lambda values: object_json(values.traits),
    Part.FIELDS: _fields,
    Part.UNSET_NAMES: lambda values: json_text([name for name, _ in values.unset]),
    Part.UNSET_DASHES: lambda values: json_text(dict.fromkeys((name for name, _ in values.unset), "-")),
    Part.MESSAGE_ID: lambda values: json_text(values.message_id),
    Part.UUID: lambda values: f'"{message_uuid(values.message_id)}"',
    Part.TIME: lambda values: f'"{values.timestamp}"',
    Part.SECONDS: lambda values: str(epoch_seconds(values.timestamp)),
    Part.MILLISECONDS: lambda values: str(epoch_milliseconds(values.timestamp)),
}

_SQL: Mapping[Part, str] = {
    Part.USER: "cast(to_json(user_id) as varchar)",
    Part.MESSAGE_ID: "concat('\"', message_id, '\"')",
    Part.UUID: f"concat('\"', {MESSAGE_UUID_SQL}, '\"')",
    Part.TIME: "concat('\"', \"timestamp\", '\"')",
    Part.SECONDS: 'epoch_ms(cast("timestamp" as timestamp)) // 1000',
    Part.MILLISECONDS: 'epoch_ms(cast("timestamp" as timestamp))',
}


def item_bytes(item: Item, values: ItemValues) -> bytes:
    """Write an item."""
    parts = [part if isinstance(part, str) else _WRITERS[part](values) for part in item]
    try:
        return "".join(parts).encode()
    except UnicodeEncodeError:
        raise UnsendableError(NOT_TEXT) from None


def item_sql(item: Item, traits: str) -> str:
    """Return ``item_bytes`` in SQL. ``traits``: the object of properties in SQL; none of them is null for UNSET.

    It is NULL if ``traits`` is: ``||``, unlike ``concat``, propagates it.
    """
    fields = f"case when {traits} = '{{}}' then '}}' else ',' || substr({traits}, 2) end"
    sql = {**_SQL, Part.TRAITS: traits, Part.FIELDS: fields}
    texts: list[list[str]] = [[]]
    for part in item:
        written = quote_literal(part) if isinstance(part, str) else sql[part]
        if part in (Part.TRAITS, Part.FIELDS):
            texts += [[written], []]
        else:
            texts[-1].append(written)
    return " || ".join(f"concat({', '.join(each)})" if len(each) > 1 else f"({each[0]})" for each in texts if each)
