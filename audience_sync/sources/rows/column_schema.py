"""Compare columns and types of snapshots, by generic types: an integer of another width is the same type."""

from __future__ import annotations

import re
from collections.abc import Mapping

from audience_sync.sources.rows.scan import join_names, looks_like_data

#: Beginnings of type names in DuckDB and in databases.
_PLAIN = (
    (re.compile(r"u?(tiny|small|big|huge)?int(eger|\d)?\b|float|double|real|decimal|numeric|number"), "number"),
    (re.compile(r"(var|bp|n|nvar)?char|text|string|uuid"), "text"),
    (re.compile(r"bool"), "boolean"),
    (re.compile(r"date|timestamp"), "time"),
)


def generic_type(name: str) -> str:
    """The generic type (number, text, boolean, time, list) of a type's name, or the name itself."""
    lower = name.lower()
    if lower.endswith("[]"):
        return "list"
    return next((word for pattern, word in _PLAIN if pattern.match(lower)), lower)


def schema_changes(before: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """The changes in words; None if columns and types are equal in any order. An empty type equals any type."""
    gone, new = [name for name in before if name not in now], [name for name in now if name not in before]
    if looks_like_data([*gone, *new]):
        return "the columns have other names"
    other = [
        f"{name!r} was {before[name]} and is {now[name]}"
        for name in before
        if now.get(name) and before[name] and now[name] != before[name]
    ]
    changes = [
        *([f"without {join_names(gone)}"] if gone else []),
        *([f"with the new {join_names(new)}"] if new else []),
        *other,
    ]
    return ", ".join(changes) or None
