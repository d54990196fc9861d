"""Apply calls to what is stored of their users: what changed against the last value received."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from audience_sync.sandbox.values import Call, ListChange


class Change(NamedTuple):
    """A property that has another value than before. ``was_set``: whether it had one at all."""

    property: str
    was_set: bool
    old: Any
    new: Any


@dataclass(slots=True)
class User:
    """One user of one destination: values last received, each with the time (seconds since 1970) of its last change."""

    properties: dict[str, list[Any]] = field(default_factory=dict)
    calls: int = 0
    first_at: float = 0
    last_at: float = 0


#: Deltas of how many users have ``true``, ``false``, ``null`` or another value, by property and kind of value.
Counts = Counter[tuple[str, str]]


def kind_of(value: Any) -> str:
    """Return the column of a value in the table of properties."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    return "null" if value is None else "other"


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: ``1`` is not ``true``, and ``1.0`` is not ``1``."""
    if one.__class__ is not other.__class__:
        return False
    if one.__class__ is dict:
        return one.keys() == other.keys() and all(is_same(value, other[key]) for key, value in one.items())
    if one.__class__ is list:
        return len(one) == len(other) and all(map(is_same, one, other))
    return bool(one == other)


def apply(call: Call, user: User, at: float, counts: Counts) -> list[Change]:
    """Apply a call to its user. Returns what changed, in the call's order."""
    user.calls += 1
    user.first_at = user.first_at or at
    user.last_at = at
    changes = []
    for name, value in _values(call, user.properties):
        stored = user.properties.get(name)
        if stored is None:
            user.properties[name] = [value, at]
            counts[name, kind_of(value)] += 1
            changes.append(Change(name, False, None, value))
        elif not is_same(stored[0], value):
            changes.append(Change(name, True, stored[0], value))
            counts[name, kind_of(stored[0])] -= 1
            counts[name, kind_of(value)] += 1
            user.properties[name] = [value, at]
    return changes


def merge(previous: User, user: User, counts: Counts) -> list[Change]:
    """Move a previous id's values to the user, whose own values count first. Returns what is new for the user."""
    changes = []
    for name, stored in previous.properties.items():
        if name in user.properties:
            counts[name, kind_of(stored[0])] -= 1
        else:
            user.properties[name] = stored
            changes.append(Change(name, False, None, stored[0]))
    user.calls += previous.calls
    user.first_at = min(filter(None, (user.first_at, previous.first_at)), default=0)
    return changes


def _values(call: Call, stored: Mapping[str, list[Any]]) -> Iterable[tuple[str, Any]]:
    if not call.lists:
        return call.sets.items()
    values: MutableMapping[str, Any] = dict(call.sets)
    for change in call.lists:
        before = values.get(change.property, stored.get(change.property, [[]])[0])
        values[change.property] = _changed_list(before if isinstance(before, list) else [], change)
    return values.items()


def _changed_list(before: list[Any], change: ListChange) -> list[Any]:
    if not change.values:
        return []
    if not change.is_added:
        return [] if change.values == ("all",) else [each for each in before if each not in change.values]
    return [*before, *(each for each in change.values if each not in before)]
