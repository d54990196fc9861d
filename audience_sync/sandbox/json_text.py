"""Write values as JSON text that can be stored anywhere, and read it back."""

from __future__ import annotations

import json
from typing import Any

import orjson


def written(value: Any) -> str:
    """Return a value as JSON text. Half a surrogate pair stays an escape, and an integer over 64 bits its digits."""
    try:
        return orjson.dumps(value).decode()
    except (TypeError, orjson.JSONEncodeError):
        return storable(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def storable(text: str) -> str:
    """Return the text with half a surrogate pair written as an escape, because UTF-8 has no bytes for it."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def json_value(text: str) -> Any:
    """Return the value of a text that ``written`` made."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def indented(value: Any) -> str:
    """Return a value as JSON with a line for each member, for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)
