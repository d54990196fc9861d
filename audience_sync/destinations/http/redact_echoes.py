"""Mask user properties that an answer repeats, because its reason is logged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence, Set
from typing import Any

from msgspec.structs import replace

from audience_sync.destinations.base import Judgement, Meaning, Message
from audience_sync.redaction.finder import Redactor
from audience_sync.version import __version__

#: Shorter values occur in every text by chance; masking them would only hide the reason.
MIN_CHARACTERS = 3
#: Words of fewer letters are parts of other words by chance, as `pro` of `project`: they are masked as whole words.
MIN_PART_CHARACTERS = 8
#: Values of every message that are not about a user.
OWN_VALUES = frozenset({"identify", "audience-sync", __version__, "true", "false"})


def redact_echoes(judgement: Judgement, messages: Sequence[Message], own: Set[str] = frozenset()) -> Judgement:
    """Mask every value of the messages in the reasons of a judgement, in any spelling.

    ``own``: values that are the config's and of no user, such as the key of an audience.
    """
    if judgement.meaning is Meaning.DELIVERED and not (judgement.refused or judgement.refused_fields):
        return judgement
    found = _values_of(messages) - own
    words = {value for value in found if value.isalpha() and len(value) < MIN_PART_CHARACTERS}
    values = Redactor(found - words, words)
    return replace(
        judgement,
        reason=values.redact(judgement.reason),
        refused={index: values.redact(reason) for index, reason in judgement.refused.items()},
        refused_fields={
            index: {key: values.redact(reason) for key, reason in fields.items()}
            for index, fields in judgement.refused_fields.items()
        },
    )


def _values_of(messages: Sequence[Message]) -> set[str]:
    found: set[str] = set()
    for message in messages:
        found.update(_body_values(message.body))
    return {value for value in found if len(value) >= MIN_CHARACTERS} - OWN_VALUES


def _body_values(body: bytes) -> Iterator[str]:
    """Yield every value in the body: strings and numbers of JSON, or every word of another text."""
    try:
        return _json_values(json.loads(body, parse_float=str, parse_int=str))
    except (ValueError, RecursionError):
        return iter(re.findall(r"[\w.@+-]+", body.decode("utf-8", "replace")))


def _json_values(value: Any) -> Iterator[str]:
    """Yield all strings of a JSON value, with the numbers, which were parsed as strings."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
        elif isinstance(part, str):
            yield part
