"""Which columns has a source, and of which types? In plain words, so that an integer of another width is the same."""

from __future__ import annotations

import re
from collections.abc import Mapping

from audience_sync.sources.rows.scan import join_names, looks_like_data

#: What the names of types begin with, in DuckDB and in databases.
_PLAIN = (
    (re.compile(r"u?(tiny|small|big|huge)?int(eger|\d)?\b|float|double|real|decimal|numeric|number"), "number"),
    (re.compile(r"(var|bp|n|nvar)?char|text|string|uuid"), "text"),
    (re.compile(r"bool"), "boolean"),
    (re.compile(r"date|timestamp"), "time"),
)


def generic_type(name: str) -> str:
    """Of a list the element's type says nothing: it is a list."""
    lower = name.lower()
    if lower.endswith("[]"):
        return "list"
    return next((word for pattern, word in _PLAIN if pattern.match(lower)), lower)


def schema_changes(before: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """In words; None where they are the same, in whatever order. A type that isn't known ("") is like any."""
    gone, new = [name for name in before if name not in now], [name for name in now if name not in before]
    if looks_like_data([*gone, *new]):
        return "the columns have other names"
    other = [
        f"{name!r} was {before[name]} and is {now[name]}"
        for name in before
        if now.get(name) and before[name] and now[name] != before[name]
    ]
    said = [
        *([f"without {join_names(gone)}"] if gone else []),
        *([f"with the new {join_names(new)}"] if new else []),
        *other,
    ]
    return ", ".join(said) or None
