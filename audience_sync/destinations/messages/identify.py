"""Write identify, track and alias calls in Segment's format, without parsing the traits."""

from __future__ import annotations

import re
import sys
from base64 import b32encode
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from json import JSONDecoder
from typing import Any

import orjson

from audience_sync.destinations.base import Message, joined_bodies
from audience_sync.errors import UnsendableError
from audience_sync.model import Alias, AudienceEvent, IdentifyCall
from audience_sync.sql import quote_literal
from audience_sync.version import __version__

LIBRARY = {"name": "audience-sync", "version": __version__}
MESSAGE_ID_CHARACTERS = 100
NOT_TEXT = "it has characters that are not text (lone surrogates)"

#: Numbers are not parsed, so that they may have any number of digits.
_DECODER = JSONDecoder(parse_int=str, parse_float=str)
_GAP = re.compile(r"[\s,:]*")
#: A key and a value of an object without escapes, spaces and nesting.
_FLAT_PAIR = re.compile(r'"([^"\\]*)":("[^"\\]*"|[^\s"\[{},:\\]+)[,}]')


def json_bytes(value: Any) -> bytes:
    """Write compact JSON. Raises UnsendableError for text that JSON can't carry."""
    try:
        return orjson.dumps(value)
    except TypeError:
        raise UnsendableError(NOT_TEXT) from None


def json_text(value: Any) -> str:
    return json_bytes(value).decode()


#: Keys are few, and each is in millions of calls.
_key_json = lru_cache(maxsize=4096)(json_text)


def json_list(messages: Sequence[Message]) -> bytes:
    """Write the bodies of messages, each of which is JSON, as a list."""
    return b"".join((b"[", joined_bodies(messages), b"]"))


def identify_bytes(call: IdentifyCall, message_id: str, traits_json: str, tail: str) -> bytes:
    """Write one message; ``tail`` is its end from the key ``context`` on, see ``message_tail``.

    A first run writes millions: one formatted text is twice as fast as joined bytes.
    """
    if not call.user_id:
        raise UnsendableError("the user id is empty")
    try:
        return (
            f'{{"type":"identify","messageId":{json_text(message_id)},"userId":{json_text(call.user_id)},'
            f'"traits":{traits_json},"timestamp":"{call.timestamp}",{tail}'
        ).encode()
    except UnicodeEncodeError:
        raise UnsendableError(NOT_TEXT) from None


def track_bytes(user_id: str, name: str, event: AudienceEvent, tail: str) -> bytes:
    """Write a track call like Segment's Engage; ``tail`` as in ``identify_bytes``."""
    if not user_id:
        raise UnsendableError("the user id is empty")
    properties = json_text({"audience_key": event.key, event.key: event.entered})
    return (
        f'{{"type":"track","messageId":{json_text(event.message_id)},"userId":{json_text(user_id)},'
        f'"event":{json_text(name)},"properties":{properties},"timestamp":"{event.timestamp}",'
        f"{with_context_traits(tail, event.identifiers)}"
    ).encode()


def alias_bytes(user_id: str, alias: Alias, tail: str) -> bytes:
    """Write an alias call, which merges two ids; ``tail`` as in ``identify_bytes``."""
    return (
        f'{{"type":"alias","messageId":{json_text(alias.message_id)},"previousId":{json_text(alias.previous_id)},'
        f'"userId":{json_text(user_id)},"timestamp":"{alias.timestamp}",{tail}'
    ).encode()


def identify_sql(tail: str, *, most_bytes: int = sys.maxsize, most_traits: int = sys.maxsize) -> str:
    """Return ``identify_bytes`` as SQL for ``Destination.encode_sql``.

    It is NULL if the id needs escapes, the traits have several lines, or the message may exceed the bytes or traits.
    """
    user = "cast(to_json(user_id) as varchar)"
    texts = ('{"type":"identify","messageId":"', '","userId":', ',"traits":', ',"timestamp":"', f'",{tail}')
    columns = ("message_id", user, "traits", '"timestamp"')
    begin, *others = map(quote_literal, texts)
    body = f"concat({begin}, {', '.join(f'{column}, {text}' for column, text in zip(columns, others, strict=True))})"
    plain = [f"not contains({user}, '\\')", "not contains(traits, chr(10))", "user_id != ''"]
    if most_traits < sys.maxsize:  # a text of so few bytes can't have more commas
        commas = "length(traits) - length(replace(traits, ',', ''))"
        plain.append(f"(strlen(traits) <= {most_traits} or {commas} < {most_traits})")
    if most_bytes < sys.maxsize:
        room = most_bytes - sum(len(text.encode()) for text in texts)
        plain.append(f"{' + '.join(f'strlen({column})' for column in columns)} <= {room}")
    return f"case when {' and '.join(plain)} then {body} end"


#: How ``message_tail`` begins.
_CONTEXT = '"context":{'


def message_tail(context: Mapping[str, Any], more: Mapping[str, Any]) -> str:
    """Write ``"context":{...}}``, the end that many messages share, once."""
    return json_text({"context": {"library": LIBRARY, **context}, **more})[1:]


def with_context_traits(tail: str, identifiers: str) -> str:
    """Add a user's identifiers (a JSON object) to the context of ``message_tail``, where services look for them."""
    if identifiers == "{}":
        return tail
    return f'"context":{{"traits":{identifiers},{tail.removeprefix(_CONTEXT)}'


def split_traits(traits_json: str) -> list[tuple[str, str]]:
    """Split a JSON object into its keys and the JSON text of each value.

    Numbers that a float can't hold stay unchanged. Raises UnsendableError for a value that is nested too deeply.
    """
    pairs: list[tuple[str, str]] = _FLAT_PAIR.findall(traits_json)
    if len(traits_json) == 1 + len("".join(chain.from_iterable(pairs))) + 4 * len(pairs):  # each character is in one
        return pairs
    try:
        return _split_object(traits_json)
    except RecursionError:
        raise UnsendableError("a trait is nested too deeply") from None


def _split_object(traits_json: str) -> list[tuple[str, str]]:
    found = []
    at = _after_gap(traits_json, traits_json.index("{") + 1)
    while traits_json[at] != "}":
        key, at = _DECODER.raw_decode(traits_json, at)
        start = _after_gap(traits_json, at)
        _, at = _DECODER.raw_decode(traits_json, start)
        found.append((key, traits_json[start:at]))
        at = _after_gap(traits_json, at)
    return found


def _after_gap(text: str, at: int) -> int:
    gap = _GAP.match(text, at)
    assert gap is not None  # it may be empty, so it always matches
    return gap.end()


def object_json(parts: Iterable[tuple[str, str]]) -> str:
    """Join keys and JSON texts into an object: the inverse of ``split_traits``."""
    return "{" + ",".join([f"{_key_json(key)}:{value}" for key, value in parts]) + "}"


def derived_message_id(message_id: str, part: str) -> str:
    """Return the id of one of several messages of a call, with at most 100 characters.

    It is the same for the same part, and different for every other call and part.
    """
    digest = blake2b(f"{len(message_id)}:{message_id}{part}".encode(), digest_size=20).digest()
    suffix = b32encode(digest).decode().lower()
    return f"{message_id[: MESSAGE_ID_CHARACTERS - len(suffix) - 1]}-{suffix}"
