"""Keep what a vendor stores of an account, and the faults that it has in store, as one value."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from destinations.receiver import Received, Reply

Properties = Mapping[str, Any]


class StoredEvent(NamedTuple):
    """An event of a user: its name, and the audience that the user entered or left."""

    user: str
    name: str
    audience: str
    entered: bool


@dataclass(frozen=True, kw_only=True)
class State:
    """An account at a vendor.

    ``users``: properties by user id; a removed property is None. ``merged``: the id that has the properties of a
    previous one. ``events``: by the id that the vendor recognises, or by their number. ``types``: of the fields that
    exist. ``versions``: when each property of a user was set, where the vendor orders by time.

    The others are faults. ``blocked``: users that it refuses by item. ``limited``: so many requests get a 429.
    ``quota``: what is left for today. ``silent``: so many requests get a success, and nothing is stored.
    ``creates_fields``: whether a new property gets a field. ``most_bytes``: of a request, where a proxy allows less
    than the vendor.
    """

    key: str
    users: Mapping[str, Properties] = field(default_factory=dict)
    merged: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, StoredEvent] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    blocked: frozenset[str] = frozenset()
    limited: int = 0
    quota: int | None = None
    silent: int = 0
    creates_fields: bool = True
    most_bytes: int = sys.maxsize

    def id_of(self, user: str) -> str:
        """The id under which the vendor has the user."""
        while user in self.merged:
            user = self.merged[user]
        return user

    def limits_once(self) -> State:
        return replace(self, limited=self.limited - 1)


Outcome = tuple[State, Reply]
#: A vendor: what a request does to an account, and its answer.
Vendor = Callable[[State, Received], Outcome]


class Draft:
    """A state that one request changes item by item; ``finished`` is the new one."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.users = dict(state.users)
        self.merged = dict(state.merged)
        self.events = dict(state.events)
        self.types = dict(state.types)
        self.versions = dict(state.versions)

    def set(self, user: str, properties: Properties) -> None:
        user = self.id_of(user)
        self.users[user] = {**self.users.get(user, {}), **properties}

    def merge(self, previous: str, user: str, *, previous_wins: bool = False) -> None:
        """Put the properties of a previous id under the current one, whose own ones win. A removed one is not set."""
        previous, user = self.id_of(previous), self.id_of(user)
        if previous == user or not (previous in self.users or user in self.users):
            return
        theirs, own = self.users.pop(previous, {}), self.users.get(user, {})
        theirs, own = (own, theirs) if previous_wins else (theirs, own)
        values = {name: value for name, value in own.items() if value is not None}
        self.users[user] = {**dict.fromkeys(own), **theirs, **values}
        self.merged[previous] = user

    def add(self, event: StoredEvent, event_id: str | None) -> None:
        """Store an event once, if the vendor recognises its id."""
        self.events.setdefault(str(len(self.events)) if event_id is None else event_id, event)

    def id_of(self, user: str) -> str:
        while user in self.merged:
            user = self.merged[user]
        return user

    def finished(self, **changes: Any) -> State:
        return replace(
            self._state,
            users=self.users,
            merged=self.merged,
            events=self.events,
            types=self.types,
            versions=self.versions,
            **changes,
        )


def said(status: int, body: Any = None, **headers: str) -> Reply:
    """An answer with a JSON body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, b"" if body is None else json.dumps(body).encode(), named)


def kind_of(value: Any) -> str:
    """The type that a vendor gives a field at its first value."""
    return next(
        (name for name, kind in KINDS.items() if isinstance(value, kind)),
        "null",
    )


#: In this order, because a bool is an int.
KINDS: Mapping[str, Any] = {
    "boolean": bool,
    "number": int | float,
    "string": str,
    "list": list,
    "object": dict,
}
